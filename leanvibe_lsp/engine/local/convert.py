"""Converting a model into a folder for MLX, proven before and after; there is a whole result or none.

The folder grows beside its place under a hidden name, which holds the process id: a conversion that was killed leaves
it, and the next one to the same place removes it. MLX is imported when the weights are written.
"""

from __future__ import annotations

import glob
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from leanvibe_lsp import __version__
from leanvibe_lsp.core.cancel import CancelToken
from leanvibe_lsp.engine.models import cache as store
from leanvibe_lsp.engine.models.digest import sha256_of
from leanvibe_lsp.engine.models.formats import Format
from leanvibe_lsp.engine.models.perplexity import Proof
from leanvibe_lsp.engine.models.registry import COMPANION_PATTERNS, LocalPath, Located, ModelSpec
from leanvibe_lsp.engine.models.tokenizer_export import write_tokenizer
from leanvibe_lsp.errors import LeanVibeError, ModelUnverified, UsageError


@dataclass(frozen=True, slots=True)
class Recipe:
    """What to make of the weights: `bits` None keeps their precision, `dtype` None the type of their floats."""

    bits: int | None = None
    group_size: int = 64
    dtype: str | None = None  # "float16", "bfloat16", "float32"
    dequantize: bool = False


@dataclass(frozen=True, slots=True)
class WriteProgress:
    """Bytes of the source's tensors done, of `total`; `tensor` is the last one."""

    tensor: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Conversion:
    """A finished conversion: what both models proved, matrices kept in full precision, bytes of the result."""

    before: Proof
    after: Proof
    kept: tuple[str, ...]
    size: int


def convert(
    located: Located,
    target: Path,
    recipe: Recipe,
    *,
    prove: Callable[[Located], Proof],
    progress: Callable[[WriteProgress], None],
    cancel: CancelToken,
) -> Conversion:
    """Convert `located` into the new folder `target`.

    Raises UsageError for a target in use or a recipe that does not fit, ModelUnverified when the model does not prove
    itself before or after, ModelError, Cancelled.
    """
    _refuse_target(target)
    before = prove(located)
    _refuse(before, f"{located.name} is not converted")
    from leanvibe_lsp.engine.local.rewrite import write_weights

    try:
        with _growing(target) as folder:
            _write_companions(located, folder)  # first: it takes no time, and some tokenizers cannot be written
            kept = write_weights(located, folder, recipe, progress, cancel)
            result = Located(target.name, folder, Format.SAFETENSORS, _spec(target), None)
            after = prove(result)
            _refuse(after, f"The result for {target} is thrown away")
            size = _seal(folder, target, located, after, cancel)
    except OSError as error:
        raise LeanVibeError(f"{target} cannot be written: {error.strerror or error}.") from error
    return Conversion(before, after, kept, size)


def _refuse_target(target: Path) -> None:
    if target.is_symlink() or (target.exists() and (not target.is_dir() or any(target.iterdir()))):
        raise UsageError(f"{target} is there already.", next_step="Name a new folder, or remove that one.")


def _refuse(proof: Proof, consequence: str) -> None:
    if not proof.ok:
        raise ModelUnverified(
            f"{consequence}: self-test {proof.verdict.summary}; perplexity {proof.perplexity.summary}.",
            next_step="Take a whole model, or more bits.",
        )


def _spec(target: Path) -> ModelSpec:
    return ModelSpec(target.name, LocalPath(target), "A conversion.")


@contextmanager
def _growing(target: Path) -> Iterator[Path]:
    """A hidden folder beside `target` that takes its place when all went well, and else is removed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{target.name}.converting-"
    for left in target.parent.glob(f"{glob.escape(prefix)}*"):
        if not _is_anothers(left.name.removeprefix(prefix)):
            shutil.rmtree(left, ignore_errors=True)
    folder = target.parent / f"{prefix}{os.getpid()}"
    folder.mkdir()
    try:
        yield folder
        if target.exists():
            target.rmdir()  # empty, or it is somebody's now
        folder.rename(target)
        _sync(target.parent)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _is_anothers(process: str) -> bool:
    """Whether another process runs under that id. Our own was another's before: in a container ids come again."""
    import psutil

    return process.isdigit() and int(process) != os.getpid() and psutil.pid_exists(int(process))


def _write_companions(located: Located, folder: Path) -> None:
    """Tokenizer and settings; config.json is written with the weights."""
    if located.format is Format.GGUF:
        write_tokenizer(located.path, folder)
        return
    for pattern in COMPANION_PATTERNS:
        for file in located.path.glob(pattern):
            if file.name != "config.json":
                shutil.copyfile(file, folder / file.name)


def _seal(folder: Path, target: Path, source: Located, proof: Proof, cancel: CancelToken) -> int:
    """All on the disk, and a manifest with what can be proven later; gives the bytes."""
    records = []
    for file in sorted(folder.iterdir()):
        _sync(file)
        sha256 = sha256_of(file, progress=lambda _: None, cancel=cancel)
        records.append(store.FileRecord(file.name, file.stat().st_size, sha256))
    manifest = store.Manifest(
        name=target.name,
        repo=source.name,
        revision=source.digest or "",
        files=tuple(records),
        pulled_at=datetime.now(UTC).isoformat(timespec="seconds"),
        tool=f"leanvibe {__version__} convert",
        perplexity=proof.perplexity.value,
    )
    store.write_manifest(folder, manifest)
    _sync(folder)
    return manifest.size


def _sync(path: Path) -> None:
    if os.name == "nt" and path.is_dir():
        return  # Windows opens no folders
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
