"""Knowing a model again whatever its file is called and says of itself: by its tensor table and its last norm.

No two trainings end with the same last norm, and it is a few kilobytes. A file with the table and the norm of a
registered model claims to be it in all but name: its settings must be that model's, and its perplexity too.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from leanvibe_lsp.engine.models import cache as store
from leanvibe_lsp.engine.models.formats import Format
from leanvibe_lsp.engine.models.gguf import read_gguf
from leanvibe_lsp.engine.models.registry import REGISTRY
from leanvibe_lsp.engine.models.tensor import Problem

if TYPE_CHECKING:
    from pathlib import Path

    from leanvibe_lsp.engine.models.gguf import GgufFile
    from leanvibe_lsp.engine.models.registry import Located


@dataclass(frozen=True, slots=True)
class Kin:
    """A registered GGUF: digests of its table and its last norm, and the settings its weights were trained with."""

    model: str
    table: str
    norm: str
    settings: tuple[tuple[str, int | float], ...]


KIN = (
    Kin(
        "smollm2",
        "27c0a754781ffe3b08bed687e79d6bff22e45a9e3d114c9a206561623dde7880",
        "3b87f8e27335e67fc08f159cabfd2d18f205d6c5b225a6f978153552bf01d559",
        (
            ("llama.attention.head_count", 9),
            ("llama.attention.head_count_kv", 3),
            ("llama.attention.layer_norm_rms_epsilon", 9.999999747378752e-06),
            ("llama.rope.dimension_count", 64),
            ("llama.rope.freq_base", 100_000.0),
        ),
    ),
)


def kin_of(path: Path, file: GgufFile) -> Kin | None:
    """The registered model whose weights a file has, as far as its table and last norm tell. Raises OSError."""
    norm = file.tensors.get("output_norm.weight")
    table = table_digest(file)
    if norm is None or all(kin.table != table for kin in KIN):
        return None
    with path.open("rb") as opened:
        opened.seek(norm.offset)
        found = hashlib.sha256(opened.read(norm.nbytes)).hexdigest()
    return next((kin for kin in KIN if (kin.table, kin.norm) == (table, found)), None)


def table_digest(file: GgufFile) -> str:
    """sha256 of the names, types and shapes of all tensors."""
    table = sorted((name, tensor.dtype, tensor.shape) for name, tensor in file.tensors.items())
    return hashlib.sha256(json.dumps(table).encode()).hexdigest()


def check_settings(path: Path, file: GgufFile) -> list[Problem]:
    """Where the settings are not those of the registered model the weights belong to. Raises OSError."""
    kin = kin_of(path, file)
    if kin is None:
        return []
    return [
        Problem(key, f"{value}, as {kin.model} was trained", str(file.metadata.get(key, "nothing")))
        for key, value in kin.settings
        if file.metadata.get(key) != value
    ]


def recorded_perplexity(located: Located) -> float | None:
    """What the fixed text should cost this model: by the registry, its kin there, or the manifest of a conversion.

    Raises ModelFormatError, OSError.
    """
    if located.spec.perplexity is not None:
        return located.spec.perplexity
    manifest = store.read_manifest(located.path if located.path.is_dir() else located.path.parent)
    if manifest is not None:
        return manifest.perplexity
    kin = kin_of(located.path, read_gguf(located.path)) if located.format is Format.GGUF else None
    return REGISTRY[kin.model].perplexity if kin is not None else None
