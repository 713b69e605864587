"""Knowing a model again whatever its file is called and says of itself: tensor by tensor, by the real one's digests.

All tensors in their places: it is that model, and has to have its settings and its perplexity. All tensors, in other
places: a model that was shuffled by mistake, which no other test shows as surely. Some tensors: a fine-tune or damage,
and the digests cannot tell which, so that is said and nothing is refused.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.cancel import CancelToken
from leanvibe_lsp.engine.models import cache as store
from leanvibe_lsp.engine.models.census import role
from leanvibe_lsp.engine.models.formats import Format
from leanvibe_lsp.engine.models.gguf import read_gguf
from leanvibe_lsp.engine.models.registry import REGISTRY
from leanvibe_lsp.engine.models.tensor import Problem
from leanvibe_lsp.errors import ModelFormatError

if TYPE_CHECKING:
    from pathlib import Path

    from leanvibe_lsp.engine.models.gguf import GgufFile
    from leanvibe_lsp.engine.models.registry import Located


@dataclass(frozen=True, slots=True)
class Kin:
    """A registered GGUF: the digest of its tensor table, and the settings its weights were trained with."""

    model: str
    table: str
    settings: tuple[tuple[str, int | float], ...]


KIN = (
    Kin(
        "smollm2",
        "27c0a754781ffe3b08bed687e79d6bff22e45a9e3d114c9a206561623dde7880",
        (
            ("llama.attention.head_count", 9),
            ("llama.attention.head_count_kv", 3),
            ("llama.attention.layer_norm_rms_epsilon", 9.999999747378752e-06),
            ("llama.rope.dimension_count", 64),
            ("llama.rope.freq_base", 100_000.0),
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Likeness:
    """A file beside the registered model it has tensors of.

    `moved` tells of a tensor that has another one's weights whose they are; `other` have weights the model has not.
    `settings` are those of the file that are not the model's.
    """

    model: str
    moved: Mapping[str, str]
    other: tuple[str, ...]
    settings: tuple[Problem, ...]

    @property
    def same(self) -> bool:
        """True for the very model, tensor by tensor."""
        return not self.moved and not self.other

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What no honest file has."""
        return (*_moves(self.moved), *(self.settings if self.same else ()))

    @property
    def suspects(self) -> tuple[Problem, ...]:
        """What a fine-tune has, and a damaged file, too."""
        roles: dict[str, list[str]] = defaultdict(list)
        for name in self.other:
            roles[role(name)].append(name)
        others = (
            Problem(names[0] if len(names) == 1 else kind, f"the weights of {self.model}", _others(len(names)))
            for kind, names in roles.items()
        )
        return (*others, *(() if self.same else self.settings))


def likeness(path: Path, file: GgufFile, cancel: CancelToken) -> Likeness | None:
    """What a file has of a registered model with the same tensor table; None when that is nothing.

    All weights are read where the table is known. Raises ModelFormatError, Cancelled.
    """
    kin = kin_of(file)
    if kin is None:
        return None
    recorded, found = recorded_tensors(kin.model), _digests(path, file, cancel)
    owner = {digest: name for name, digest in recorded.items()}
    changed = {name: digest for name, digest in found.items() if digest != recorded[name]}
    if len(changed) == len(found) and not owner.keys() & changed.values():
        return None
    settings = [
        Problem(key, f"{value}, as {kin.model} was trained", str(file.metadata.get(key, "nothing")))
        for key, value in kin.settings
        if file.metadata.get(key) != value
    ]
    moved = {name: owner[digest] for name, digest in changed.items() if digest in owner}
    return Likeness(kin.model, moved, tuple(name for name in changed if name not in moved), tuple(settings))


def kin_of(file: GgufFile) -> Kin | None:
    """The registered model that has the names, types and shapes of all tensors of a file."""
    table = table_digest(file)
    return next((kin for kin in KIN if kin.table == table), None)


def table_digest(file: GgufFile) -> str:
    """sha256 of the names, types and shapes of all tensors."""
    table = sorted((name, tensor.dtype, tensor.shape) for name, tensor in file.tensors.items())
    return hashlib.sha256(json.dumps(table).encode()).hexdigest()


@cache
def recorded_tensors(model: str) -> dict[str, str]:
    """Tensor -> its digest in a registered model, as `tensor_digest` gives it."""
    lines = (resources.files(__package__) / f"{model}.tensors").read_text("utf-8").splitlines()
    return {name: digest for digest, name in (line.split() for line in lines)}


def tensor_digest(pieces: Iterable[bytes]) -> str:
    """BLAKE2b of a tensor's bytes, 8 bytes long: among a few hundred tensors, by mistake, none is taken for another."""
    digest = hashlib.blake2b(digest_size=8)
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def recorded_perplexity(located: Located) -> float | None:
    """What the fixed text should cost this very model: by the registry, or by the manifest of its conversion.

    Raises ModelFormatError.
    """
    if located.spec.perplexity is not None:
        return located.spec.perplexity
    manifest = store.read_manifest(located.path if located.path.is_dir() else located.path.parent)
    if manifest is not None and manifest.perplexity is not None and _lists(manifest, located.path):
        return manifest.perplexity
    if located.format is not Format.GGUF:
        return None
    like = likeness(located.path, read_gguf(located.path), CancelToken())
    return REGISTRY[like.model].perplexity if like is not None and like.same else None


def _lists(manifest: store.Manifest, path: Path) -> bool:
    weights = {file.name for file in path.glob("model*.safetensors")} if path.is_dir() else {path.name}
    return weights <= {file.path for file in manifest.files}


def _digests(path: Path, file: GgufFile, cancel: CancelToken) -> dict[str, str]:
    found = {}
    size = limit("download.chunk_bytes")
    try:
        with path.open("rb") as opened:
            for name, tensor in file.tensors.items():
                cancel.check()
                opened.seek(tensor.offset)
                pieces = (opened.read(min(size, tensor.nbytes - at)) for at in range(0, tensor.nbytes, size))
                found[name] = tensor_digest(pieces)
    except OSError as error:
        raise ModelFormatError(f"{path} cannot be read: {error.strerror or error}.") from error
    return found


def _moves(moved: Mapping[str, str]) -> list[Problem]:
    """One line for two layers that changed places, and not one for each of their tensors."""
    count = Counter((_layer(name), _layer(source)) for name, source in moved.items())
    found: dict[tuple[str, str], Problem] = {}
    for name, source in moved.items():
        between = _layer(name), _layer(source)
        tensors = f" ({count[between]} tensors)"
        here, there, note = (name, source, "") if count[between] == 1 else (*between, tensors)
        found[between] = Problem(here, "weights of its own", f"those of {there}{note}")
    return list(found.values())


def _layer(name: str) -> str:
    return ".".join(name.split(".")[:2])


def _others(count: int) -> str:
    return f"others{f' in {count} tensors' if count > 1 else ''}: a fine-tune, or damage"
