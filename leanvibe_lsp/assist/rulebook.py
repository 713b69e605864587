"""The rules that count in a workspace: the library's and its own, which stand in `.leanvibe/rules`.

A rulebook is frozen; when a file of it changes, another one is loaded and takes its place. Files are read here and
nowhere else: what looks at texts is given rules.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.tiers.rule import Rule, rule_of
from leanvibe_lsp.tiers.rules import library_ids, rules_for

FOLDER = (".leanvibe", "rules")
ENDINGS = (".yml", ".yaml")


@dataclass(frozen=True, slots=True)
class RuleFault:
    """Why something in a file is no rule that can be used; `line` counts from 1."""

    file: Path
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


@dataclass(frozen=True, eq=False)
class Rulebook:
    """The library, and the rules of one workspace with the file that each came from. One is equal to itself alone."""

    root: Path | None
    own: tuple[Rule, ...] = ()
    sources: Mapping[str, Path] | None = None

    def rules_for(self, language: str, path: Path | None = None) -> tuple[Rule, ...]:
        """The rules for a file, by our name of its language; those that are about other files only are left out."""
        own = self._by_language.get(language, ())
        if not any(rule.files or rule.ignores for rule in own):
            return (*rules_for(language), *own)
        within = self._within(path)
        return (*rules_for(language), *(rule for rule in own if within is not None and rule.is_about(within)))

    @cached_property
    def _by_language(self) -> Mapping[str, tuple[Rule, ...]]:
        names = {language for rule in self.own for language in rule.languages}
        return {name: tuple(rule for rule in self.own if name in rule.languages) for name in names}

    def _within(self, path: Path | None) -> str | None:
        if path is None or self.root is None:
            return "" if path is None else path.as_posix()
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else path.as_posix()


LIBRARY_ALONE = Rulebook(None)


def load_rulebook(root: Path | None) -> tuple[Rulebook, tuple[RuleFault, ...]]:
    """The rulebook of a workspace, and what in its files cannot be used. Never raises; a bad rule costs itself."""
    if root is None or not root.joinpath(*FOLDER).is_dir():
        return Rulebook(root), ()
    rules: dict[str, Rule] = {}
    sources: dict[str, Path] = {}
    faults: list[RuleFault] = []
    theirs = library_ids()
    for file in _files(root.joinpath(*FOLDER), faults):
        for line, values in _read(file, faults):
            name = values["id"]
            if name in theirs:
                message = f"id: {name} is a rule of the library; take another one, or set its severity in the settings"
                faults.append(RuleFault(file, line, message))
            elif name in sources:
                faults.append(RuleFault(file, line, f"id: {name} is in {sources[name]} already"))
            else:
                rules[name], sources[name] = rule_of(values), file
    return Rulebook(root, tuple(rules.values()), sources), tuple(faults)


def is_rule_file(path: Path, root: Path) -> bool:
    """Whether a file holds rules of the workspace."""
    return path.suffix.lower() in ENDINGS and path.is_relative_to(root.joinpath(*FOLDER))


def _files(folder: Path, faults: list[RuleFault]) -> Iterator[Path]:
    """The files of rules, in the order of their names; links are not followed into folders."""
    most = limit("rules.files")
    count = 0
    for parent, names, files in os.walk(folder):
        names.sort()
        for name in sorted(files):
            if Path(name).suffix.lower() in ENDINGS:
                count += 1
                if count > most:
                    faults.append(
                        RuleFault(Path(parent) / name, 1, f"more than {most} files of rules; this is not read")
                    )
                    return
                yield Path(parent) / name


def _read(file: Path, faults: list[RuleFault]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The checked values of each good rule, with the line that its document begins on."""
    from leanvibe_lsp.tiers.rule_files import read_file

    most = limit("rules.file_bytes")
    try:
        if not file.is_file():
            raise ValueError("is no regular file")
        with file.open("rb") as opened:
            data = opened.read(most + 1)
        if len(data) > most:
            raise ValueError(f"is larger than {most:,} bytes")
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        faults.append(RuleFault(file, 1, "cannot be read: it is not UTF-8"))
        return
    except (OSError, ValueError) as error:
        faults.append(RuleFault(file, 1, f"cannot be read: {getattr(error, 'strerror', None) or error}"))
        return
    read = read_file(text, trusted=False)
    faults += (RuleFault(file, one.line, one.message) for one in read.problems)
    yield from zip(read.lines, read.values, strict=True)


# By the folder of each workspace that is open in this process: what looks at a document finds its rules by its path.
_books: dict[Path, Rulebook] = {}
_lock = Lock()


def use(book: Rulebook) -> None:
    """Let a rulebook count for what lies in its root from now on."""
    if book.root is not None:
        with _lock:
            _books[book.root] = book


def forget(root: Path) -> None:
    """Let the library alone count for what lies in a folder."""
    with _lock:
        _books.pop(root, None)


def rulebook_of(path: Path | None) -> Rulebook:
    """The rulebook of the innermost workspace that holds a file, among those in use; else the library alone."""
    with _lock:
        roots = [root for root in _books if path is not None and path.is_relative_to(root)]
        return _books[max(roots, key=lambda root: len(root.parts))] if roots else LIBRARY_ALONE
