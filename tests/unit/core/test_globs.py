"""All the ways to write a path, and the globs that fit them."""

from __future__ import annotations

import pytest

from leanvibe_lsp.core.globs import below, covers, paths_of


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("file:///home/a/b.py", "/home/a/b.py"),
        ("file:///home/a%2F%2Eenv", "/home/a/.env"),
        ("file:///c%3A/x/.env", "c:/x/.env"),
        ("file:///C:/x/.env", "C:/x/.env"),
        ("file://server/share/.env", "//server/share/.env"),
        ("FILE:///a/.env", "/a/.env"),
        ("untitled:Untitled-1", "Untitled-1"),
        ("git:/a/.env?ref=1", "/a/.env"),
        ("vscode-remote://ssh/a/.env", "/a/.env"),
        ("C:\\x\\.env", "C:/x/.env"),
        ("file:///a/b?c.py", "/a/b?c.py"),
    ],
)
def test_a_uri_is_a_path(uri: str, path: str) -> None:
    """Of any scheme, percent-encoded or not."""
    assert paths_of(uri)[0] == path


@pytest.mark.parametrize(
    ("glob", "path", "fits"),
    [
        ("**", "/a/b", True),
        ("*.py", "/a/b/c.py", True),
        ("*.py", "/a/b/c.PY", True),
        ("*.py", "/a/c.pyc", False),
        ("src/*.py", "/w/src/a.py", True),
        ("src/*.py", "/w/src/b/a.py", False),
        ("src/**/*.py", "/w/src/b/c/a.py", True),
        ("src/**/*.py", "/w/src/a.py", True),
        ("secret", "/w/secret/deep/a.py", True),
        ("secret/", "/w/secret/a.py", True),
        ("/w/src/**", "/w/src/a.py", True),
        ("/w/src/**", "/x/w/src/a.py", False),
        ("/w/src/**", "/w/src/../other/a.py", False),
        ("C:\\w\\**", "c:/w/a.py", True),
        ("a?c", "/abc", True),
        ("a?c", "/a/c", False),
        ("[ab].py", "/a.py", True),
        ("é.py", "/e\u0301.py", True),
    ],
)
def test_globs(glob: str, path: str, fits: bool) -> None:
    """As people who know .gitignore read them."""
    assert covers(glob, path) is fits


def test_a_glob_of_one_folder() -> None:
    """It fits there what it fits anywhere, whatever letters are in the folder's name; an absolute one stays."""
    glob = below("/w/[a]", "private/**")
    assert [covers(glob, path) for path in ("/w/[a]/x/private/k.py", "/w/a/private/k.py")] == [True, False]
    assert below("/w", "/x/*.py") == "/x/*.py"
