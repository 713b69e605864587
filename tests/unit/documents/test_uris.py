from __future__ import annotations

import sys
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanvibe_lsp.documents import uris
from leanvibe_lsp.documents.snapshot import read_regular_file
from leanvibe_lsp.documents.store import DocumentStore
from leanvibe_lsp.errors import UsageError

_name = st.text(
    st.characters(exclude_characters="/\\\0:", exclude_categories=["Cs"]) | st.sampled_from(" %#?&+é漢😀;[]@"),
    min_size=1,
).filter(lambda name: name not in (".", ".."))
_bytes_name = st.binary(min_size=1, max_size=8).filter(
    lambda name: not set(b"/\0") & set(name) and name not in (b".", b"..")
)


@given(st.lists(_name, min_size=1, max_size=4))
def test_posix_round_trip(names: list[str]) -> None:
    """Every POSIX path survives the way to a URI and back, whatever its characters."""
    path = PurePosixPath("/", *names)
    uri = uris.from_pure_path(path)
    assert uri.isascii()
    assert uris.to_pure_path(uri, windows=False) == path


@given(_bytes_name)
def test_posix_names_that_are_not_utf8_survive(name: bytes) -> None:
    """A file name is bytes on POSIX; those that are no UTF-8 come back too."""
    path = PurePosixPath("/", name.decode("utf-8", "surrogateescape"))
    assert uris.to_pure_path(uris.from_pure_path(path), windows=False) == path


@pytest.mark.parametrize("windows", [True, False])
@given(st.integers(0xD800, 0xDFFF), _name)
def test_half_a_character_is_in_no_path(windows: bool, half: int, name: str) -> None:
    """A client can write one with JSON's escapes; but for those that stand for a byte it is no file's name."""
    path = uris.to_pure_path(f"file:///tmp/{chr(half)}{name}", windows=windows)
    assert (path is None) is not (0xDC80 <= half <= 0xDCFF)


@given(st.sampled_from(["c:/", "Z:/", "//server/share/"]), st.lists(_name, max_size=4))
def test_windows_round_trip(anchor: str, names: list[str]) -> None:
    """Drive letters and UNC paths survive the way to a URI and back."""
    path = PureWindowsPath(anchor, *names)
    assert uris.to_pure_path(uris.from_pure_path(path), windows=True) == path


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("file:///c%3A/x%20y.py", "c:/x y.py"),
        ("file:///C:/x.py", "C:/x.py"),
        ("file://server/share/x.py", "//server/share/x.py"),
        ("file://localhost/c:/x", "c:/x"),
        ("FILE:///c:/x#1?2", "c:/x#1?2"),
    ],
)
def test_windows_uris(uri: str, path: str) -> None:
    """What VS Code and others send for Windows files is understood."""
    assert uris.to_pure_path(uri, windows=True) == PureWindowsPath(path)


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("file:///a%20b/%C3%A9.py", "/a b/é.py"),
        ("file://localhost/x", "/x"),
        ("file:/x", "/x"),
        ("file:///c%3A/x", "/c:/x"),
        ("file:///100%", "/100%"),
    ],
)
def test_posix_uris(uri: str, path: str) -> None:
    """Percent-encoding is undone, and a stray percent sign is a percent sign."""
    assert uris.to_pure_path(uri, windows=False) == PurePosixPath(path)


@pytest.mark.parametrize(
    "uri",
    [
        "untitled:Untitled-1",
        "vscode-notebook-cell:/x#1",
        "file://host/x",
        "file://[x",
        "file:///a%00b",
        "file:",
        "",
        "x",
    ],
)
def test_no_path(uri: str) -> None:
    """A document that is no file of this machine has no path, and nothing raises."""
    assert uris.to_pure_path(uri, windows=False) is None


def test_real_paths(tmp_path: Path) -> None:
    """The functions of this machine give each other back, and a relative path has no URI of its own."""
    assert uris.to_path(uris.from_path(tmp_path / "ä b.py")) == tmp_path / "ä b.py"
    assert uris.to_path("untitled:1") is None
    with pytest.raises(ValueError, match="relative"):
        uris.from_pure_path(PurePosixPath("a.py"))


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("file:///a/b/../c", "/a/c"),
        ("file:///a/%2e%2E/c", "/c"),
        ("file:///../a/./b", "/a/b"),
        ("file:///a..b", "/a..b"),
    ],
)
def test_dot_segments(uri: str, path: str) -> None:
    """A path never climbs out of where it seems to be."""
    assert uris.to_pure_path(uri, windows=False) == PurePosixPath(path)
    assert uris.to_pure_path(uri.replace("file:///", "file:///c%3A/"), windows=True) == PureWindowsPath("c:" + path)


@pytest.mark.parametrize(
    ("uri", "other"),
    [
        ("file:///c%3A/x", "file:///C:/x"),
        ("file:///c:/X%20y", "FILE:///C:/x y"),
        ("file://SERVER/share/x", "file://server/share/x"),
    ],
)
def test_spellings_of_a_windows_file(uri: str, other: str) -> None:
    """Drive letters, case and percent signs make no other file of it there."""
    assert uris.to_pure_path(uri, windows=True) == uris.to_pure_path(other, windows=True)


@pytest.mark.skipif(sys.platform == "win32", reason="the rules of POSIX paths")
def test_the_store_knows_a_file_by_any_spelling() -> None:
    """A request that spells an open file's uri in its own way gets the open text; two spellings opened stay two."""
    store = DocumentStore()
    opened = store.open("file:///a%20b/x.py", "python", 1, "one")
    assert store.get("file://localhost/a b/x.py") is opened
    assert store.get("file:///a%20b/X.py") is None
    assert store.get("untitled:1") is None
    other = store.open("file:///a b/x.py", "python", 1, "two")
    assert store.get("file:///a%20b/x.py") is opened
    assert store.get("file:///a b/x.py") is other
    untitled = store.open("untitled:1", "python", 1, "three")
    assert store.get("untitled:1") is untitled
    assert store.get("untitled:2") is None


@pytest.mark.parametrize(
    ("uri", "cell"),
    [
        ("vscode-notebook-cell:/a/b.ipynb#W0sZmlsZQ%3D%3D", True),
        ("VSCODE-NOTEBOOK-CELL:/a#1", True),
        ("file:///vscode-notebook-cell", False),
        ("untitled:1", False),
        ("", False),
    ],
)
def test_notebook_cells(uri: str, cell: bool) -> None:
    """A cell is known by its scheme."""
    assert uris.is_notebook_cell(uri) == cell


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_links(tmp_path: Path) -> None:
    """A link is read as the file it leads to, under its own name; one that leads nowhere or to itself says so."""
    (tmp_path / "file.py").write_text("x = 1\n")
    for name, target in (("link.py", "file.py"), ("gone.py", "nothing.py"), ("loop.py", "loop.py")):
        (tmp_path / name).symlink_to(tmp_path / target)
    found = read_regular_file(tmp_path / "link.py")
    assert (found.uri, found.text) == (uris.from_path(tmp_path / "link.py"), "x = 1\n")
    for name in ("gone.py", "loop.py"):
        with pytest.raises(UsageError, match=name):
            read_regular_file(tmp_path / name)
