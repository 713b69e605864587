"""What git ignores, without asking git: nested .gitignore files, .git/info/exclude, and the person's own excludes.

Read when a folder is first looked into; one `Ignores` serves one search and is then forgotten, so nothing gets stale.
Of a file of rules that is too large nothing is read, and all it is about counts as ignored.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.documents.gitignore import Rule, rules, says

_EXCLUDES_FILE = re.compile(r"^\s*excludesfile\s*=\s*\"?([^\"#;\n]+)", re.IGNORECASE | re.MULTILINE)


class Ignores:
    """The ignore rules that hold below one folder."""

    def __init__(self, root: Path) -> None:
        self._top = _repository(root) or root
        self._rules: dict[Path, tuple[Rule, ...]] = {}
        self._known: dict[Path, bool] = {}
        elsewhere = (file for file in (_excludes(self._top), _own_excludes()) if file is not None)
        self._everywhere = [_rules(file, follow=True) for file in elsewhere]

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
        names = tuple(map(os.fsencode, path.relative_to(self._top).parts))
        for number, folder in enumerate(path.parents):
            said = says(self._of(folder), names[len(names) - number - 1 :], is_folder=is_folder)
            if said is not None:
                return said
            if folder == self._top:
                break
        said_elsewhere = (says(rules, names, is_folder=is_folder) for rules in self._everywhere)
        return next((said for said in said_elsewhere if said is not None), False)

    def _of(self, folder: Path) -> tuple[Rule, ...]:
        if folder not in self._rules:
            self._rules[folder] = _rules(folder / ".gitignore", follow=False)
        return self._rules[folder]


def _rules(file: Path, *, follow: bool) -> tuple[Rule, ...]:
    """The rules in a file, none where there is none; a .gitignore that is a link is none to git either."""
    data = _read(file, follow=follow)
    if data is None:
        return ()
    return rules(data if len(data) <= limit("workspace.ignore_bytes") else b"*")


def _read(file: Path, *, follow: bool) -> bytes | None:
    """What is in a regular file, one byte more than `workspace.ignore_bytes` at most; None for anything else."""
    no_wait, no_link = getattr(os, "O_NONBLOCK", 0), 0 if follow else getattr(os, "O_NOFOLLOW", 0)
    try:
        if not follow and file.is_symlink():
            return None
        with os.fdopen(os.open(file, os.O_RDONLY | getattr(os, "O_BINARY", 0) | no_wait | no_link), "rb") as opened:
            is_file = stat.S_ISREG(os.fstat(opened.fileno()).st_mode)
            return opened.read(limit("workspace.ignore_bytes") + 1) if is_file else None
    except (OSError, ValueError):
        return None


def _repository(root: Path) -> Path | None:
    """The folder that holds `.git`, at or above a folder."""
    folders = (root, *root.parents)
    return next((one for one in folders if os.path.exists(one / ".git")), None)  # noqa: PTH110 - it never raises


def _excludes(top: Path) -> Path | None:
    git = top / ".git"
    said = _read(git, follow=True)
    if said is not None:  # a worktree or a submodule: the file says where the rest is
        git = top / os.fsdecode(said.removeprefix(b"gitdir:").strip())
        shared = _read(git / "commondir", follow=True)
        git = git if shared is None else git / os.fsdecode(shared.strip())
    return git / "info" / "exclude"


def _own_excludes() -> Path | None:
    """`core.excludesFile` as a person's own git settings name it, or git's default place for it."""
    try:
        home = Path.home()
        folder = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config") / "git"
        for settings in (home / ".gitconfig", folder / "config"):
            found = _EXCLUDES_FILE.search(os.fsdecode(_read(settings, follow=True) or b""))
            if found is not None:
                return Path(found[1].strip()).expanduser()
    except RuntimeError:  # nobody's home, or that of somebody who is not there
        return None
    return folder / "ignore"
