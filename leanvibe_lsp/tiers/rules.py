"""The rules that come with the program: `library/<folder>/<name>.yml`, one a file, its id `<folder>/<name>`.

Reading YAML and asking ast-grep about each rule takes seconds for all of them, so that what was read is kept as JSON
in the platform's cache folder, for as long as no file changes that it came from. Without that folder it is read anew.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from leanvibe_lsp.tiers.rule import Rule as Rule
from leanvibe_lsp.tiers.rule import rule_of

LIBRARY = Path(__file__).parent / "library"

_log = logging.getLogger(__name__)

# A language whose rules do not stand in the folder of its name alone.
_FOLDERS = {"typescript": ("javascript", "typescript"), "tsx": ("javascript", "typescript"), "cpp": ("c", "cpp")}
_CASES = ("valid", "invalid", "fixed")  # for tests, which read the files


@cache
def rules_for(language: str) -> tuple[Rule, ...]:
    """The library's rules for a language, by our name of it, without their cases; read once."""
    names = _FOLDERS.get(language, (language,))
    return tuple(rule for name in names for rule in _folder(name) if language in rule.languages)


def library_ids() -> frozenset[str]:
    """The ids of all rules of the library."""
    return frozenset(f"{file.parent.name}/{file.stem}" for file in LIBRARY.glob("*/*.yml"))


@cache
def _folder(name: str) -> tuple[Rule, ...]:
    files = sorted((LIBRARY / name).glob("*.yml"))
    return tuple(map(rule_of, _kept(name, files))) if files else ()


def _kept(name: str, files: list[Path]) -> list[Mapping[str, Any]]:
    """The values of the rules in these files: as they were kept, or read now and kept."""
    stamp, kept = _stamp(files), _cache_folder() / f"{name}.json"
    with suppress(OSError, ValueError, TypeError, KeyError):
        content = json.loads(kept.read_text(encoding="utf-8"))
        if content["stamp"] == stamp:
            return list(content["rules"])
    values = _read(files)
    with suppress(OSError):
        _write(kept, json.dumps({"stamp": stamp, "rules": values}))
    return values


def _read(files: list[Path]) -> list[Mapping[str, Any]]:
    from leanvibe_lsp.tiers.rule_files import read_file

    found: list[Mapping[str, Any]] = []
    for file in files:
        read = read_file(file.read_text(encoding="utf-8"), trusted=True)
        for problem in read.problems:
            _log.error("%s:%d: %s", file, problem.line, problem.message)
        found += ({name: value for name, value in one.items() if name not in _CASES} for one in read.values)
    return found


def _stamp(files: list[Path]) -> str:
    """What changes when a file of the library does, or the code that reads it."""
    told = hashlib.blake2s(digest_size=16)
    for file in (
        *files,
        *sorted(Path(__file__).parent.glob("*.py")),
        *sorted(Path(__file__).parent.glob("matching/*.py")),
    ):
        status = file.stat()
        told.update(f"{file}\0{status.st_size}\0{status.st_mtime_ns}\0".encode(errors="surrogateescape"))
    return told.hexdigest()


def _cache_folder() -> Path:
    """`rules` in LEANVIBE_CACHE_DIR, or in the platform's cache folder. It need not exist."""
    if override := os.environ.get("LEANVIBE_CACHE_DIR"):
        return Path(override).expanduser().absolute() / "rules"
    from platformdirs import user_cache_path

    return user_cache_path("leanvibe", appauthor=False) / "rules"


def _write(path: Path, text: str) -> None:
    """Whole or not at all, whoever else writes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
