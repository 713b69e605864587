"""What was computed for each case, kept line by line in the cache folder: a run that was stopped goes on where it was.

The file belongs to the code, the data and the model: when any of them changes, another one is begun. A line that is
cut, as by a full disk, costs itself.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from leanvibe_lsp.engine.proof import file_stamps, identity
from leanvibe_lsp.engine.select import Selection
from leanvibe_lsp.errors import LeanVibeError

# What no answer depends on.
_DOORS = ("cli", "lsp", "review")


class Journal:
    """Results by section and case, in one file. Use it from one thread."""

    def __init__(self, path: Path, *, fresh: bool = False) -> None:
        self.path = path
        self._known: dict[tuple[str, str], dict[str, Any]] = {}
        if fresh:
            with suppress(OSError):
                path.unlink()
        else:
            self._read()

    def __len__(self) -> int:
        return len(self._known)

    def get(self, section: str, case: str) -> dict[str, Any] | None:
        """What was kept for the case."""
        return self._known.get((section, case))

    def put(self, section: str, case: str, result: dict[str, Any]) -> None:
        """Keep it, on disk too before this returns. Raises LeanVibeError when it cannot be written."""
        line = json.dumps([section, case, result], ensure_ascii=True) + "\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line)
        except OSError as error:
            raise LeanVibeError(
                f"{self.path} could not be written: {error.strerror or error}.",
                next_step="Set LEANVIBE_CACHE_DIR to a folder that can be.",
            ) from error
        self._known[section, case] = result

    def _read(self) -> None:
        with suppress(OSError):  # nothing is known then; writing says what is wrong
            text = self.path.read_text(encoding="utf-8", errors="replace")
            whole = text.endswith("\n") or not text
            for line in text.splitlines():
                with suppress(ValueError, TypeError):
                    section, case, result = json.loads(line)
                    self._known[str(section), str(case)] = dict(result)
            if not whole:  # the next line begins on its own
                with suppress(OSError), self.path.open("a", encoding="utf-8") as file:
                    file.write("\n")


def journal_path(folder: Path, parts: Iterable[str]) -> Path:
    """The file for what these say: the code's digest, the data's, the model's, the seed."""
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
    return folder / "evaluation" / f"{digest}.jsonl"


@cache
def code_digest() -> str:
    """SHA-256 over this package's files that answers depend on."""
    root = Path(__file__).parents[2]
    digest = hashlib.sha256()
    for file in sorted(root.rglob("*")):
        part = file.relative_to(root)
        if file.is_file() and part.parts[0] not in _DOORS and "__pycache__" not in part.parts:
            digest.update(f"{part.as_posix()}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def model_digest(selection: Selection) -> str:
    """What says which weights answer, with which versions of all that computes; a server is known by its name alone."""
    known = identity(selection, "", file_stamps(selection.located))
    return known if known is not None else f"{selection.backend} {selection.model}"


def data_digest(folder: Path | None, names: Iterable[str]) -> str:
    """SHA-256 over the files of a folder that are there."""
    digest = hashlib.sha256()
    for name in sorted(names):
        file = folder / name if folder is not None else None
        if file is not None and file.is_file():
            digest.update(f"{name}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()
