"""Which files are looked at: those named, and those in folders named that have rules and that git does not ignore."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from leanvibe_lsp.assist.rulebook import rulebook_of
from leanvibe_lsp.core.globs import covers
from leanvibe_lsp.documents.grammars import language_of
from leanvibe_lsp.documents.ignoring import Ignores
from leanvibe_lsp.documents.workspace import workspace_files
from leanvibe_lsp.errors import UsageError
from leanvibe_lsp.review.values import Target, Trouble
from leanvibe_lsp.review.workspace import root_of


@dataclass(frozen=True, slots=True)
class Plan:
    """The files, by their paths; and those that were named and have no rules."""

    targets: tuple[Target, ...]
    left_out: tuple[Trouble, ...]


class _OnlyGit(Ignores):
    """For a folder that git ignores and a person named all the same."""

    def ignored(self, path: Path, *, is_folder: bool = False) -> bool:
        """Only what git keeps for itself."""
        return path.name == ".git"


def absolute(paths: Iterable[Path]) -> tuple[Path, ...]:
    """The paths from the disk's root on, each once. Raises UsageError for what is not there."""
    found: dict[Path, None] = {}
    for path in paths:
        try:
            there = path.exists()
        except (OSError, ValueError):
            there = False
        if not there:
            raise UsageError(f"{path} does not exist.", next_step="Check the path.")
        found[Path(os.path.abspath(path))] = None  # noqa: PTH100 - without following links
    return tuple(found)


def roots_of(paths: Sequence[Path]) -> tuple[Path, ...]:
    """The workspaces that absolute paths lie in."""
    return tuple(dict.fromkeys(map(root_of, paths)))


def plan(paths: Sequence[Path], exclude: Sequence[str] = ()) -> Plan:
    """The files at and below absolute paths; the rules of their workspaces must be in use.

    `exclude` are globs of files to leave out; a file that a person named is always looked at.
    """
    roots = {path: root_of(path) for path in paths}
    several = len(set(roots.values())) > 1
    here = Path.cwd()
    targets: dict[Path, Target] = {}
    left_out: list[Trouble] = []
    for path, root in roots.items():
        to_target = _targets(root, here if several else root, here)
        if not path.is_dir():
            one = to_target(path)
            if _has_rules(path):
                targets[path] = one
            else:
                left_out.append(Trouble(one.shown, "there are no rules for such a file"))
            continue
        for file in _walk(path):
            if file not in targets and not any(covers(glob, file.as_posix()) for glob in exclude):
                targets[file] = to_target(file)
    return Plan(tuple(sorted(targets.values(), key=lambda one: one.within)), tuple(left_out))


def _walk(folder: Path) -> Iterator[Path]:
    """The files below a folder for which there are rules."""
    ignores = Ignores(folder)
    if ignores.ignored(folder, is_folder=True):
        ignores = _OnlyGit(folder)
    return (file for file in workspace_files(folder, ignores, enough=lambda: False) if _has_rules(file))


def _has_rules(path: Path) -> bool:
    language = language_of("", path)
    return language is not None and bool(rulebook_of(path).rules_for(language, path))


def _targets(root: Path, base: Path, here: Path) -> Callable[[Path], Target]:
    def to_target(path: Path) -> Target:
        shown = path.relative_to(here) if path.is_relative_to(here) else path
        within = path.relative_to(base) if path.is_relative_to(base) else path
        return Target(path, root, str(shown), within.as_posix(), _size(path))

    return to_target


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # why, the one who reads it finds out
        return 0
