"""Definitions looked for by name in the files of a workspace that git does not ignore.

Nothing is indexed and nothing runs in the background: each search is one pass, by ripgrep where it is installed, within
limits, and says when it met one. Links are never followed, files of secrets never opened. A file outside of all roots
has no workspace: its folder is not searched, since nobody said that it may be (it is often the home or a temporary
folder).
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from time import monotonic

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.config.secret_files import secret_file
from leanvibe_lsp.documents.grammars import language_of
from leanvibe_lsp.documents.ignoring import Ignores
from leanvibe_lsp.documents.related import module_name, related_languages
from leanvibe_lsp.documents.scopes import Symbol, symbols
from leanvibe_lsp.documents.snapshot import Snapshot, read_regular_file
from leanvibe_lsp.errors import UsageError

# What stands before a name that is defined: a keyword, or nothing but types and modifiers and then a parenthesis
# behind it. Whether it is a definition, the tree says.
_KEYWORD = re.compile(
    rb"\b(?:def|class|function|func|fn|struct|trait|interface|enum|type|union|module|namespace|record|mod|const|object)"
    rb"\b"
)
_TYPES = re.compile(rb"[\w<>\[\],.*&:?@~ \t-]*")
_NOT_TYPES = re.compile(rb"\s*(?:return|await|yield|throw|new|else|case|assert|raise|print)\b|.*\.$")


@dataclass(frozen=True, slots=True)
class Definition:
    """One definition, in a file as it is on disk."""

    snapshot: Snapshot
    symbol: Symbol


@dataclass(frozen=True, slots=True)
class Found:
    """Definitions by closeness to who asks; `cut` is why not everything was looked at, "" when it was."""

    definitions: tuple[Definition, ...] = ()
    cut: str = ""


def root_of(path: Path, roots: Sequence[Path]) -> Path | None:
    """The innermost root that a file really lies in, with links followed; None for one outside of all of them."""
    try:
        real = path.resolve()
        around = [root.resolve() for root in roots]
    except (OSError, RuntimeError):
        return None
    return max((root for root in around if real.is_relative_to(root)), key=lambda root: len(root.parts), default=None)


def find_definitions(
    names: Sequence[str],
    *,
    near: Path,
    language: str,
    roots: Sequence[Path],
    hints: Mapping[str, Collection[str]],
    passed: Collection[Path] = (),
    secrets: Sequence[str] = (),
) -> Found:
    """Definitions of `names` in the root that holds `near`, nearest first. Blocks; never raises.

    `hints` are, by name, words that the file's path may have, as an import says it; files in `passed` are not looked at
    (they are open, and their text of now is better); `secrets` are a person's own globs.
    """
    root = root_of(near, roots)
    if root is None or not names:
        return Found()
    search = _Search(
        root, language, {*passed, near.resolve()}, secrets, monotonic() + limit("workspace.milliseconds") / 1000
    )
    near, words = near.resolve(), frozenset(word for said in hints.values() for word in said)
    ranked = sorted(search.candidates(names), key=lambda path: (_far(path, near, words), path.as_posix()))
    most = limit("workspace.parsed_files")
    found: dict[str, list[Definition]] = {name: [] for name in names}
    open_names = set(names)  # until one is found where an import says that it is
    for path in ranked[:most]:
        if not open_names or search.late():
            break
        try:
            snapshot = read_regular_file(path)
        except UsageError:
            continue
        for symbol in symbols(snapshot):
            if symbol.name in found:
                found[symbol.name].append(Definition(snapshot, symbol))
                if module_name(path) in hints.get(symbol.name, ()):
                    open_names.discard(symbol.name)
    if open_names and len(ranked) > most:
        search.cut = search.cut or f"only the {most} likeliest of {len(ranked)} files were read"
    best = (one for name in names for one in _best(found[name], near, hints.get(name, ())))
    return Found(tuple(best), search.cut)


def workspace_files(root: Path, ignores: Ignores, *, enough: Callable[[], bool]) -> Iterator[Path]:
    """The files below a folder that git does not ignore, in a fixed order, links left out, until there are `enough`."""
    folders = [root]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(folder) as entries:
                inside = sorted(entries, key=lambda entry: entry.name)
        except OSError:
            continue
        deeper: list[Path] = []
        for entry in inside:
            if enough():
                return
            path = Path(entry.path)
            try:
                if entry.is_dir(follow_symlinks=False):
                    if not ignores.ignored(path, is_folder=True):
                        deeper.append(path)
                elif entry.is_file(follow_symlinks=False) and not ignores.ignored(path):
                    yield path
            except OSError:
                continue
        folders += reversed(deeper)


class _Search:
    """One pass through one root. `cut` says which limit ended it."""

    def __init__(
        self, root: Path, language: str, passed: Collection[Path], secrets: Sequence[str], deadline: float
    ) -> None:
        self._root = root
        self._languages = related_languages(language)
        self._passed = passed
        self._secrets = secrets
        self._ignores = Ignores(root)
        self._deadline = deadline
        self.cut = ""

    def late(self) -> bool:
        """True when the time is up."""
        if monotonic() < self._deadline:
            return False
        self.cut = f"the search of {self._root.name} ended after {limit('workspace.milliseconds')} ms"
        return True

    def candidates(self, names: Sequence[str]) -> list[Path]:
        """Files of the language that have a line which may define one of the names."""
        program = _ripgrep(self._root)
        listed = self._listed_by_ripgrep(program, names) if program is not None else None
        files = workspace_files(self._root, self._ignores, enough=self.late) if listed is None else listed
        mention = re.compile(rb"\b(?:" + b"|".join(re.escape(name.encode()) for name in names) + rb")\b")
        left, found = limit("workspace.read_bytes"), list[Path]()
        for path in files:
            if self.late():
                break
            if not self._wanted(path) or (data := _content(path)) is None:
                continue
            left -= len(data)
            if left < 0:
                self.cut = f"the search of {self._root.name} ended after {limit('workspace.read_bytes'):,} bytes"
                break
            for match in mention.finditer(data):
                if _may_define(data, match):
                    found.append(path)
                    break
                if self.late():
                    break
        return found

    def _wanted(self, path: Path) -> bool:
        return (
            language_of("", path) in self._languages
            and path not in self._passed
            and secret_file(path.as_posix(), self._secrets) is None
        )

    def _listed_by_ripgrep(self, program: str, names: Sequence[str]) -> list[Path] | None:
        """Files with one of the words; None when it fails. Our own rules come after its: they are what counts."""
        size = f"--max-filesize={limit('workspace.file_bytes')}"
        options = ("--no-config", "--files-with-matches", "--null", "--no-messages", "--hidden", "--text", size)
        ignoring = ("--no-ignore-dot", "--no-require-git", "--glob=!.git")
        words = (f"--regexp={name}" for name in names)
        command = [program, *options, *ignoring, "--fixed-strings", "--word-regexp", *words, "--", str(self._root)]
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=max(0.0, self._deadline - monotonic()),
                check=False,
                cwd=self._root,
            )
            output, failed = done.stdout, done.returncode > 1 and not done.stdout
        except subprocess.TimeoutExpired as error:
            self.late()
            output, failed = error.stdout or b"", False
        except OSError:
            return None
        listed = sorted(Path(os.fsdecode(name)) for name in output.split(b"\0")[:-1])
        return None if failed else [path for path in listed if not self.late() and not self._ignores.ignored(path)]


def _content(path: Path) -> bytes | None:
    """The file's bytes; None for one that is too large, is no regular file or cannot be read."""
    try:
        about = path.lstat()
        if not stat.S_ISREG(about.st_mode) or about.st_size > limit("workspace.file_bytes"):
            return None
        return path.read_bytes()
    except OSError:
        return None


def _may_define(data: bytes, name: re.Match[bytes]) -> bool:
    reach = max(0, name.start() - limit("document.signature_characters"))
    before = data[max(reach, data.rfind(b"\n", reach, name.start()) + 1) : name.start()]
    if _KEYWORD.search(before):
        return True
    called = data[name.end() : name.end() + 8].lstrip(b" \t").startswith(b"(")
    return called and _TYPES.fullmatch(before) is not None and _NOT_TYPES.match(before) is None


def _best(found: Sequence[Definition], near: Path, hints: Collection[str]) -> list[Definition]:
    """Of definitions of one name those that an import points at, if it does, and of them the nearest."""

    def named(one: Definition) -> int:
        return 0 if one.snapshot.path is None else _named(one.snapshot.path, hints)

    most = max(map(named, found), default=0)
    return [one for one in found if named(one) == most][: limit("workspace.definitions")]


def _named(path: Path, hints: Collection[str]) -> int:
    """How many parts of a path are among the words."""
    return sum(part in hints for part in (*path.parts[:-1], path.stem))


def _far(path: Path, near: Path, hints: Collection[str]) -> int:
    """How far a file is: folders up and down, less for each part of its path that an import names."""
    shared = 0
    for one, other in zip(path.parts, near.parts, strict=False):
        if one != other:
            break
        shared += 1
    return len(path.parts) + len(near.parts) - 2 * shared - len(near.parts) * _named(path, hints)


@cache
def _found_ripgrep() -> str | None:
    return shutil.which("rg")


def _ripgrep(root: Path) -> str | None:
    """ripgrep on the PATH; one that lies in the workspace is nobody's to run."""
    program = _found_ripgrep()
    if program is None or Path(program).resolve().is_relative_to(root):
        return None
    return program
