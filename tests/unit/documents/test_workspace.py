"""Definitions found by name in a workspace: the same with ripgrep and without, within limits, and never outside."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from leanvibe_lsp.config.limits import LIMITS, Limit
from leanvibe_lsp.documents import workspace
from leanvibe_lsp.documents.workspace import Found, find_definitions, root_of
from tests.unit.documents.test_ignoring import write

_FILES = {
    ".gitignore": "ignored/\n",
    "app.py": "from pkg.text import split\nsplit(1)\n",
    "pkg/text.py": '"""Text."""\n\ndef split(text):\n    return text\n\nclass Reader:\n    def read(self): ...\n',
    "pkg/other.py": "def split(a, b):\n    return a\n",
    "far/away/deep/more.py": "class Far:\n    pass\n",
    "ignored/text.py": "def split(ignored): ...\n",
    ".env.py": "def split(secret): ...\n",
    "notes.md": "def split(notes): ...\n",
    "lib.js": "export function render(x) { return x }\nclass V { draw(y) { render(y) } }\n",
    "ui.tsx": "export const View = (p: P) => <b/>\nexport function mount(el: Element): void {}\n",
    "lib.h": "int add(int a, int b);\n",
    "lib.cpp": "int add(int a, int b) {\n  return a + b;\n}\n",
    "big.py": "def split(big): ...\n" + "x = 1\n" * 200_000,
}


@pytest.fixture(params=["ripgrep", "by hand"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Search with ripgrep, and without it."""
    if request.param == "ripgrep":
        if shutil.which("rg") is None:
            pytest.skip("ripgrep is not installed: `apt install ripgrep`")
        by_hand = workspace._Search._listed_by_ripgrep

        def listed(*arguments: object) -> object:
            found = by_hand(*arguments)  # type: ignore[arg-type]
            assert found is not None, "ripgrep failed, and the other way would have hidden it"
            return found

        monkeypatch.setattr(workspace._Search, "_listed_by_ripgrep", listed)
    else:
        monkeypatch.setattr(workspace, "_found_ripgrep", lambda: None)
    row = LIMITS["workspace.milliseconds"]
    monkeypatch.setitem(LIMITS, row.name, Limit(row.name, 30_000, 0, 60_000, row.unit, row.help))
    return str(request.param)


def find(
    root: Path,
    *names: str,
    language: str = "python",
    hints: Mapping[str, Iterable[str]] | None = None,
    near: str = "app.py",
    passed: Iterable[Path] = (),
) -> Found:
    said = {name: frozenset(words) for name, words in (hints or {}).items()}
    return find_definitions(names, near=root / near, language=language, roots=[root], hints=said, passed=set(passed))


def seen(root: Path, found: Found) -> list[tuple[str, str, int]]:
    return [
        (
            one.snapshot.path.relative_to(root).as_posix() if one.snapshot.path else "",
            one.symbol.name,
            one.snapshot.lines.line_of(one.symbol.name_span.start) + 1,
        )
        for one in found.definitions
    ]


def test_by_name(tmp_path: Path, way: str) -> None:
    """Functions, classes and methods; not what git ignores, nor secrets, notes, huge files, or who asks."""
    root = write(tmp_path / "w", _FILES).resolve()
    found = find(root, "split", "Reader", "read", "Far", "missing")
    assert seen(root, found) == [
        ("pkg/other.py", "split", 1),
        ("pkg/text.py", "split", 3),
        ("pkg/text.py", "Reader", 6),
        ("pkg/text.py", "read", 7),
        ("far/away/deep/more.py", "Far", 1),
    ]
    assert found.cut == ""


def test_an_import_says_which(tmp_path: Path, way: str) -> None:
    """Where an import names the file, only that one is meant."""
    root = write(tmp_path / "w", _FILES).resolve()
    assert seen(root, find(root, "split", hints={"split": ("pkg", "text", "split")})) == [("pkg/text.py", "split", 3)]


def test_kindred_languages(tmp_path: Path, way: str) -> None:
    """TypeScript uses JavaScript's definitions, C++ those of headers; Python uses neither."""
    root = write(tmp_path / "w", _FILES).resolve()
    near = "ui.tsx"
    assert seen(root, find(root, "render", "draw", language="tsx", near=near)) == [
        ("lib.js", "render", 1),
        ("lib.js", "draw", 2),
    ]
    assert ("lib.cpp", "add", 1) in seen(root, find(root, "add", language="c", near="lib.h"))
    assert find(root, "render", "add").definitions == ()


def test_open_files_are_passed_over(tmp_path: Path, way: str) -> None:
    """Their text on disk is not the text of now."""
    root = write(tmp_path / "w", _FILES).resolve()
    assert seen(root, find(root, "split", passed=[root / "pkg" / "text.py"])) == [("pkg/other.py", "split", 1)]


def test_odd_names(tmp_path: Path, way: str) -> None:
    """File names with spaces, line ends or other alphabets, and a name that looks like an option or a pattern."""
    root = write(tmp_path / "w", {"ä b.py": "def größe(): ...\n", "-x.py": "def größe(a): ...\n"}).resolve()
    assert len(find(root, "größe").definitions) == 2
    assert find(root, "--help", "a.*", "(").definitions == ()


@pytest.mark.skipif(os.name == "nt", reason="links need a right of their own on Windows")
def test_never_out_of_the_root(tmp_path: Path, way: str) -> None:
    """No link is followed out; a file outside of all roots, or a session without roots, has no workspace."""
    root = write(tmp_path / "w", {"app.py": ""}).resolve()
    out = write(tmp_path / "out", {"o.py": "def outside(): ...\n", "p.py": ""}).resolve()
    (root / "link").symlink_to(out)
    (root / "o.py").symlink_to(out / "o.py")
    assert find(root, "outside") == Found()
    none = find_definitions(["outside"], near=out / "p.py", language="python", roots=[root], hints={})
    assert none == Found()
    assert find_definitions(["outside"], near=out / "p.py", language="python", roots=[], hints={}) == Found()


def test_the_innermost_root(tmp_path: Path) -> None:
    """Of nested roots it is the nearer one; a name that only begins like a root is not in it."""
    root = write(tmp_path / "w", {"in/a.py": "", "a.py": ""}).resolve()
    roots = [root, root / "in"]
    assert root_of(root / "in" / "a.py", roots) == root / "in"
    assert root_of(root / "a.py", roots) == root
    assert root_of(tmp_path / "w2" / "a.py", roots) is None


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("workspace.milliseconds", 0, "the search of w ended after 0 ms"),
        ("workspace.parsed_files", 1, "only the 1 likeliest of 2 files were read"),
    ],
)
def test_a_limit_is_said(
    tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch, name: str, value: int, says: str
) -> None:
    """A search that ends early says why."""
    root = write(tmp_path / "w", {"a.py": "def f(): ...\n", "b.py": "def f(): ...\n"}).resolve()
    row = LIMITS[name]
    monkeypatch.setitem(LIMITS, name, Limit(name, value, 0, row.maximum, row.unit, row.help))
    assert find(root, "f", near="c.py").cut == says


def test_bytes_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more is read than the table allows, and it is said."""
    monkeypatch.setattr(workspace, "_found_ripgrep", lambda: None)
    row = LIMITS["workspace.read_bytes"]
    monkeypatch.setitem(LIMITS, row.name, Limit(row.name, 20, 1, 100, row.unit, row.help))
    root = write(tmp_path / "w", {"a.py": "def f(): ...\n", "b.py": "def f(): ...\n"}).resolve()
    found = find(root, "f", near="c.py")
    assert (seen(root, found), found.cut) == ([("a.py", "f", 1)], "the search of w ended after 20 bytes")


def test_a_program_in_the_workspace_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An `rg` that a repository brings along is not ripgrep."""
    root = write(tmp_path / "w", {"rg": "#!/bin/sh\n"}).resolve()
    monkeypatch.setattr(workspace, "_found_ripgrep", lambda: str(root / "rg"))
    assert workspace._ripgrep(root) is None


def test_the_time_is_up_within_a_file_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line with a hundred thousand mentions is left when the time is, and none looks back to the line's start."""
    root = write(tmp_path / "w", {"data.py": "x = [" + "foo, " * 100_000 + "]\n", "a.py": ""}).resolve()
    monkeypatch.setattr(workspace, "_found_ripgrep", lambda: None)
    ticks = iter(range(1_000_000))
    monkeypatch.setattr(workspace, "monotonic", lambda: next(ticks) / 1_000)
    looked: list[bytes] = []
    types = workspace._KEYWORD

    class Counting:
        def search(self, before: bytes) -> object:
            looked.append(before)
            return types.search(before)

    monkeypatch.setattr(workspace, "_KEYWORD", Counting())
    found = find(root, "foo", near="a.py")
    assert found.cut == "the search of w ended after 500 ms"
    assert 400 < len(looked) <= 500
    assert max(map(len, looked)) <= 400
