"""Is a file what it says it is? The digest of a known model is checked before its weights are used.

A file is known by the digest recorded when it came (of a downloaded folder: each file with weights), or, a GGUF, by its
header: metadata and tensor table, without the weights.
So a copy of a known model that was changed anywhere is found, wherever it lies and whatever it is called; one with
another header is known by its tensors (`kin`). A file that was checked is not read again until it changes: a stamp
remembers its size, times and inode.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from leanvibe_lsp import __version__
from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.cancel import CancelToken
from leanvibe_lsp.engine.models import cache as store
from leanvibe_lsp.engine.models.formats import Format
from leanvibe_lsp.engine.models.gguf import read_gguf
from leanvibe_lsp.engine.models.kin import kin_of, likeness
from leanvibe_lsp.engine.models.registry import REGISTRY, Located
from leanvibe_lsp.errors import ModelDamaged, ModelFormatError

log = logging.getLogger(__name__)

_GET_AGAIN = "Get it again: `leanvibe models list` says how."

# sha256 of a GGUF header -> the registered model that has it.
_HEADERS = {"cd2d87a25589b59f222688858608478fd7ed55b0cefdc3e96076591029713ce4": "smollm2"}


def expected_digest(located: Located) -> str | None:
    """The sha256 the file should have, by its record or by its header; None for a model nobody knows, or a folder."""
    if located.digest is not None or located.format is not Format.GGUF:
        return located.digest
    try:
        size = read_gguf(located.path).data_offset
        with located.path.open("rb") as file:
            owner = _HEADERS.get(hashlib.sha256(file.read(size)).hexdigest())
    except (OSError, ModelFormatError):  # cut or changed since it was located: who loads it says so
        return None
    return dict(REGISTRY[owner].digests).popitem()[1] if owner is not None else None


def recorded_digests(located: Located) -> dict[str, str] | None:
    """File name -> sha256 of a download, by its manifest and the registry; None for what was not downloaded."""
    manifest = store.read_manifest(located.path if located.path.is_dir() else located.path.parent)
    if manifest is None:
        return None
    return {file.path: file.sha256 for file in manifest.files} | dict(located.spec.digests)


def check_digest(located: Located, *, stamps: Path, cancel: CancelToken) -> str | None:
    """The digest a known file was found to have; None for an unknown one. Raises ModelDamaged, Cancelled.

    Of a folder each recorded file is checked; the digest is given when one file holds all weights.
    `stamps` is the file that remembers what was checked; it may be missing or unwritable.
    """
    if located.format is Format.GGUF:
        expected = expected_digest(located)
        files = {} if expected is None else {located.path: expected}
        if expected is None:
            _refuse_faulty_kin(located.path, stamps, cancel)
    else:
        recorded = recorded_digests(located) or {}
        files = {located.path / name: sha256 for name, sha256 in recorded.items() if store.is_plain_name(name)}
    for path, expected in files.items():
        _check_file(path, expected, stamps, cancel)
    weights = [sha256 for path, sha256 in files.items() if path.suffix in (".gguf", ".safetensors")]
    return weights[0] if len(weights) == 1 else None


def _refuse_faulty_kin(path: Path, stamps: Path, cancel: CancelToken) -> None:
    """Tensors of a known model in each other's places, or in a file with other settings."""
    try:
        file = read_gguf(path)
        if kin_of(file) is None:
            return
        sound = [file_stamp(path), f"sound for {__version__}"]
        known = _read_stamps(stamps)
        if known.get(str(path)) == sound:
            return
        like = likeness(path, file, cancel)
    except (OSError, ModelFormatError):  # cut or changed since it was located: who loads it says so
        return
    if like is not None and like.problems:
        raise ModelDamaged(f"{path} is {like.model}, and damaged: {like.problems[0]}.", next_step=_GET_AGAIN)
    _write_stamps(stamps, {**known, str(path): sound})


def _check_file(path: Path, expected: str, stamps: Path, cancel: CancelToken) -> None:
    try:
        stamp = file_stamp(path)
        known = _read_stamps(stamps)
        if known.get(str(path)) == [stamp, expected]:
            return
        found = sha256_of(path, progress=lambda _: None, cancel=cancel)
    except OSError as error:
        raise ModelDamaged(
            f"{path}, a file of a known model, cannot be read: {error.strerror or error}.", next_step=_GET_AGAIN
        ) from error
    if found != expected:
        raise ModelDamaged(
            f"{path} says it is a known model, and its contents are not: sha256 {found}, expected {expected}.",
            next_step=_GET_AGAIN,
        )
    _write_stamps(stamps, {**known, str(path): [stamp, expected]})


def sha256_of(path: Path, *, progress: Callable[[int], None], cancel: CancelToken) -> str:
    """Hex digest of a file; `progress` hears the bytes read so far. Raises Cancelled, OSError."""
    digest = hashlib.sha256()
    done = 0
    with path.open("rb") as file:
        while block := file.read(limit("download.chunk_bytes")):
            cancel.check()
            digest.update(block)
            done += len(block)
            progress(done)
    return digest.hexdigest()


def file_stamp(path: Path) -> str:
    """Another one when the file changed: its size, times and inode. Raises OSError."""
    facts = path.stat()
    return f"{facts.st_size} {facts.st_mtime_ns} {facts.st_ctime_ns} {facts.st_ino}"


def _read_stamps(stamps: Path) -> dict[str, list[str]]:
    try:
        content = json.loads(stamps.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _write_stamps(stamps: Path, content: dict[str, list[str]]) -> None:
    """Whole or not at all; a cache that cannot be written costs only the time of the next check."""
    try:
        stamps.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=stamps.parent, prefix=stamps.name)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(content, file)
            Path(name).replace(stamps)
        except OSError:
            with suppress(OSError):
                Path(name).unlink()
            raise
    except OSError as error:
        log.debug("digests cannot be remembered in %s: %s", stamps, error)
