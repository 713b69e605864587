"""What git ignores, without asking git: nested .gitignore files, .git/info/exclude, and the person's own excludes.

Read when a folder is first looked into; one `Ignores` serves one search and is then forgotten, so nothing gets stale.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

_EXCLUDES_FILE = re.compile(r"^\s*excludesfile\s*=\s*\"?([^\"#;\n]+)", re.IGNORECASE | re.MULTILINE)


class Ignores:
    """The ignore rules that hold below one folder."""

    def __init__(self, root: Path) -> None:
        self._top = _repository(root) or root
        self._rules: dict[Path, _Rules | None] = {}
        self._known: dict[Path, bool] = {}
        self._everywhere = [
            rules for file in (_excludes(self._top), _own_excludes()) if file is not None and (rules := _rules(file))
        ]

    def ignored(self, path: Path, *, is_folder: bool = False) -> bool:
        """Whether git leaves a file or folder out, by its own name or with a folder around it."""
        if path == self._top or not path.is_relative_to(self._top):
            return False
        if not is_folder:
            return self.ignored(path.parent, is_folder=True) or self._excluded(path, is_folder=False)
        known = self._known.get(path)
        if known is None:
            known = self._known[path] = self.ignored(path.parent, is_folder=True) or self._excluded(path, True)
        return known

    def _excluded(self, path: Path, is_folder: bool) -> bool:
        """What the nearest rule says: the deepest .gitignore counts first."""
        if path.name == ".git":
            return True
        for folder in path.parents:
            rules = self._of(folder)
            if rules is not None and (said := rules.says(path.relative_to(folder), is_folder)) is not None:
                return said
            if folder == self._top:
                break
        said_elsewhere = (rules.says(path.relative_to(self._top), is_folder) for rules in self._everywhere)
        return next((said for said in said_elsewhere if said is not None), False)

    def _of(self, folder: Path) -> _Rules | None:
        if folder not in self._rules:
            self._rules[folder] = _rules(folder / ".gitignore")
        return self._rules[folder]


@dataclass(frozen=True, slots=True)
class _Rules:
    """The rules of one file. "x/**" means all that is in the folder x and not x itself."""

    files: GitIgnoreSpec
    folders: GitIgnoreSpec

    def says(self, path: Path, is_folder: bool) -> bool | None:
        """Whether they leave a path out, or None when they say nothing of it."""
        return (
            self.folders.check_file(f"{path.as_posix()}/").include if is_folder else self.files.check_file(path).include
        )


def _rules(file: Path) -> _Rules | None:
    """The rules in a file; None where there is none, or none that can be read."""
    try:
        lines = file.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except (OSError, ValueError):
        return None
    from pathspec import GitIgnoreSpec

    def compiled(lines: list[str]) -> GitIgnoreSpec:
        try:
            return GitIgnoreSpec.from_lines(lines)
        except ValueError:  # one line is no pattern; git would pass it over
            return GitIgnoreSpec.from_lines(list(filter(_is_pattern, lines)))

    return _Rules(compiled(lines), compiled([line for line in lines if not line.rstrip().endswith("/**")]))


def _is_pattern(line: str) -> bool:
    from pathspec import GitIgnoreSpec

    try:
        GitIgnoreSpec.from_lines([line])
    except ValueError:
        return False
    return True


def _repository(root: Path) -> Path | None:
    """The folder that holds `.git`, at or above a folder."""
    return next((folder for folder in (root, *root.parents) if (folder / ".git").exists()), None)


def _excludes(top: Path) -> Path | None:
    git = top / ".git"
    try:
        if git.is_file():  # a worktree or a submodule: the file says where the rest is
            git = top / git.read_text(encoding="utf-8").removeprefix("gitdir:").strip()
            shared = git / "commondir"
            git = git / shared.read_text(encoding="utf-8").strip() if shared.is_file() else git
    except (OSError, ValueError):
        return None
    return git / "info" / "exclude"


def _own_excludes() -> Path | None:
    """`core.excludesFile` as a person's own git settings name it, or git's default place for it."""
    try:
        home = Path.home()
    except RuntimeError:  # nobody's home
        return None
    folder = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config") / "git"
    for settings in (home / ".gitconfig", folder / "config"):
        try:
            found = _EXCLUDES_FILE.search(settings.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if found is not None:
            return Path(found[1].strip()).expanduser()
    return folder / "ignore"
