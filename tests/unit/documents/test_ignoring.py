"""What git ignores, found without git; held against git itself where it is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leanvibe_lsp.documents.gitignore import rules, says
from leanvibe_lsp.documents.ignoring import Ignores
from leanvibe_lsp.documents.workspace import workspace_files


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home: nobody's own excludes."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("USERPROFILE", str(folder))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    return folder


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


def listed(root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in workspace_files(root, Ignores(root), enough=lambda: False)]


_TREE = {
    ".gitignore": "*.log\n!keep.log\n/build/\nnode_modules\n# comment\n\\#odd\ntrailing/ \n",
    "a.py": "",
    "a.log": "",
    "keep.log": "",
    "#odd": "",
    "build/x.py": "",
    "sub/build/y.py": "",
    "sub/.gitignore": "*.tmp\n!b.log\ndeep/**\n!deep/kept.py\n",
    "sub/b.log": "",
    "sub/c.log": "",
    "sub/d.tmp": "",
    "sub/deep/kept.py": "",
    "sub/deep/lost.py": "",
    "node_modules/m/i.js": "",
    "trailing/t.py": "",
    "ünï/ç.py": "",
}


def test_nested_rules(tmp_path: Path) -> None:
    """The deepest rule counts; an ignored folder is not looked into; `!` brings back."""
    root = write(tmp_path / "w", {**_TREE, ".git/HEAD": "", ".git/info/exclude": "ünï/\n"})
    assert listed(root) == [
        ".gitignore",
        "a.py",
        "keep.log",
        "sub/.gitignore",
        "sub/b.log",
        "sub/build/y.py",
        "sub/deep/kept.py",
    ]


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed: `apt install git`")
def test_git_says_the_same(tmp_path: Path) -> None:
    """The files are those that `git ls-files` would offer."""
    root = write(tmp_path / "w", _TREE)
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    (root / ".git" / "info" / "exclude").write_text("keep.log\n")
    command = ["git", "ls-files", "-z", "--others", "--exclude-standard"]
    said = subprocess.run(command, cwd=root, check=True, capture_output=True).stdout
    assert sorted(listed(root)) == sorted(os.fsdecode(name) for name in said.split(b"\0")[:-1])


def test_rules_above_a_root(tmp_path: Path) -> None:
    """A root inside a repository keeps the rules of the folders above it."""
    root = write(tmp_path / "w", {".git/HEAD": "", ".gitignore": "*.log\n", "in/a.py": "", "in/a.log": ""})
    assert listed(root / "in") == ["a.py"]


def test_a_worktree(tmp_path: Path) -> None:
    """Where `.git` is a file, it says where the excludes are."""
    write(tmp_path, {"main/.git/info/exclude": "*.log\n", "main/.git/worktrees/t/commondir": "../..\n"})
    gitdir = tmp_path / "main" / ".git" / "worktrees" / "t"
    root = write(tmp_path / "t", {".git": f"gitdir: {gitdir}\n", "a.py": "", "a.log": ""})
    assert listed(root) == ["a.py"]


def test_a_persons_own_excludes(tmp_path: Path, home: Path) -> None:
    """git's default place for them, and the file that a person's settings name instead."""
    root = write(tmp_path / "w", {"a.py": "", "b.py": "", "c.py": ""})
    write(home, {".config/git/ignore": "b.py\n"})
    assert listed(root) == ["a.py", "c.py"]
    write(home, {".gitconfig": "[core]\n\texcludesfile = ~/mine\n", "mine": "c.py\n"})
    assert listed(root) == ["a.py", "b.py"]


def test_what_cannot_be_read(tmp_path: Path) -> None:
    """A line that is no pattern costs itself; a .gitignore that is a folder costs nothing."""
    root = write(tmp_path / "w", {".gitignore": "!\n*.log\n", "a.py": "", "a.log": "", "sub/.gitignore/x": ""})
    assert listed(root) == [".gitignore", "a.py", "sub/.gitignore/x"]


@pytest.mark.skipif(os.name == "nt", reason="links need a right of their own on Windows")
def test_links_are_not_followed(tmp_path: Path) -> None:
    """Neither to files nor to folders, in the root or out of it."""
    write(tmp_path / "out", {"o.py": ""})
    root = write(tmp_path / "w", {"a.py": "", "in/b.py": ""})
    (root / "link").symlink_to(tmp_path / "out")
    (root / "loop").symlink_to(root)
    (root / "c.py").symlink_to(tmp_path / "out" / "o.py")
    assert listed(root) == ["a.py", "in/b.py"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has neither such links nor pipes")
def test_rules_are_read_from_files_only(tmp_path: Path, home: Path) -> None:
    """A .gitignore that is a link or a pipe is none, as to git; nothing hangs, nothing endless is read."""
    root = write(tmp_path / "w", {"link/a.py": "", "pipe/a.py": "", "real/rules": "*.py\n", ".git/HEAD": ""})
    (root / "link" / ".gitignore").symlink_to("/dev/zero")
    (root / "real" / ".gitignore").symlink_to("rules")
    os.mkfifo(root / "pipe" / ".gitignore")
    os.mkfifo(home / ".gitconfig")
    (root / ".git" / "info").mkdir()
    (root / ".git" / "info" / "exclude").symlink_to("/dev/zero")
    ignores = Ignores(root)
    assert [ignores.ignored(root / name) for name in ("link/a.py", "pipe/a.py", "real/a.py")] == [False] * 3


def test_too_many_rules(tmp_path: Path) -> None:
    """What a file of rules that is too large is about counts as ignored; what it is not about does not."""
    root = write(tmp_path / "w", {"a.py": "", "sub/a.py": "", "sub/.gitignore": "x\n" * (1 << 18)})
    assert listed(root) == ["a.py"]


def test_somebody_elses_home(tmp_path: Path, home: Path) -> None:
    """Excludes in the home of a person who does not exist are none."""
    write(home, {".gitconfig": "[core]\n\texcludesfile = ~nosuchuser/ignore\n"})
    assert listed(write(tmp_path / "w", {"a.py": ""})) == ["a.py"]


def test_a_hostile_rule() -> None:
    """Many stars do not make a name be tried in every way."""
    found = rules(b"*a" * 60 + b"b\n" + b"**/" * 60 + b"c\n")
    assert says(found, (b"a" * 250,) * 50, is_folder=False) is None


_WORDS = "build/ !build/ build/* !build/** **/build !/packages/ secrets/ !/app/ /config/* !/config/ [[:upper:]]*.py *"
_MORE = "!*/ !*.py /* !/src !src/** src/**/*.py /vendor/*/ docs/**/a.py .* !src/b/** */b b/ !b/ a?.py [!a-c]*.py [a x\\"
_NAMES = "src/a.py src/b/c.py src/b/d/e.py build/x.py build/keep/y.py top.py Upper.py docs/b/a.py .hidden/x.py "
_DEEP = "src/build/z.py vendor/lib/l.py packages/a/build/x.py app/secrets/k.py config/a/k.py app/secrets/d/k.py"


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed: `apt install git`")
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from((_WORDS + " " + _MORE).split()), min_size=1, max_size=4))
def test_git_says_the_same_of_any_rules(tmp_path: Path, lines: list[str]) -> None:
    """Whatever the rules are, what git shows is what is read."""
    root = write(tmp_path / "w", dict.fromkeys((_NAMES + _DEEP).split(), ""))
    if not (root / ".git").exists():
        subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    (root / ".gitignore").write_text("\n".join(lines) + "\n")
    command = ["git", "ls-files", "-z", "--others", "--exclude-standard"]
    said = subprocess.run(command, cwd=root, check=True, capture_output=True).stdout
    assert sorted(listed(root)) == sorted(os.fsdecode(name) for name in said.split(b"\0")[:-1])
