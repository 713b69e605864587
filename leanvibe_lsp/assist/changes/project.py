"""The files around a file: what the tests of a project look like is read from them. The only I/O of a change.

A file that is open in the editor is what it is there, also when it was never saved.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.documents.snapshot import Snapshot, read_regular_file
from leanvibe_lsp.errors import UsageError

# What marks the folder that a project begins in; the nearest above a file counts.
_ROOTS = (".git", "pyproject.toml", "package.json", "go.mod", "Cargo.toml", "pom.xml", "build.gradle", "composer.json")
_MANIFESTS = ("package.json", "pom.xml", "build.gradle", "build.gradle.kts")
_SKIPPED = frozenset(
    ("node_modules", "venv", "env", "dist", "build", "target", "vendor", "__pycache__", "site-packages", "out")
)


@dataclass(frozen=True, slots=True)
class Project:
    """Names of files relative to `root`, with "/" between, in no order; not those of others' code and of builds."""

    root: Path
    files: tuple[str, ...]
    opened: Mapping[str, Snapshot]


def project_of(path: Path, open_documents: Iterable[Snapshot] = ()) -> Project:
    """The project that a file is in; a file that is in none is one with what stands beside and below it."""
    root = next((folder for folder in path.parents if any((folder / name).exists() for name in _ROOTS)), path.parent)
    opened = {
        one.path.relative_to(root).as_posix(): one
        for one in open_documents
        if one.path is not None and one.path.is_relative_to(root)
    }
    return Project(root, tuple(dict.fromkeys((*_names(root), *opened))), opened)


def manifest_of(project: Project) -> str:
    """The text of the files that say what the project is built with."""
    told = [read_beside(project, name) for name in _MANIFESTS if name in project.files]
    return "\n".join(snapshot.text for snapshot in told if snapshot is not None)


def read_beside(project: Project, name: str) -> Snapshot | None:
    """A file of the project; None when it cannot be read."""
    if name in project.opened:
        return project.opened[name]
    with suppress(UsageError):
        return read_regular_file(project.root / name)
    return None


def _names(root: Path) -> Iterator[str]:
    left = limit("change.listed_files")
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in _SKIPPED)
        for name in sorted(names):
            left -= 1
            if left < 0:
                return
            yield (Path(folder) / name).relative_to(root).as_posix()
