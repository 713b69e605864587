"""What code uses and what uses it, for every core language."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents.related import Wanted, fits, kin, module_name, used_names, wanted
from leanvibe_lsp.documents.scopes import chain
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.documents.store import DocumentStore

_USES = {
    "python": ("class A(B):\n  def f(x: T) -> R:\n    g(1); a.h(2)\n", ["B", "T", "R", "g", ".h"]),
    "javascript": ("f(); a.g(); new H(); class A extends B {}", ["f", ".g", "H", "B"]),
    "typescript": ("f(); a.g(); new H(); let x: T", ["f", ".g", "H", "T"]),
    "typescriptreact": ("f(); let x: T", ["f", "T"]),
    "go": ("package a\nfunc f(x T) { g(); a.H() }", ["T", "g", ".H"]),
    "rust": ("fn f(x: T) { g(); a.h(); b::c(); m!(); }", ["T", "g", ".h", "c", "m"]),
    "java": ("class A extends B { void f() { a.h(); new C(); } }", ["B", ".h", "C"]),
    "c": ("int f(T x) { g(); a->h(); }", ["T", "g", ".h"]),
    "cpp": ("int f(T x) { g(); a->h(); n::k(); t<int>(); }", ["T", "g", ".h", "k", "t"]),
    "csharp": ("class A { void F() { g(); a.h(); new C(); } }", ["g", ".h", "C"]),
    "ruby": ("def f\n  g(1)\n  C.h\nend", [".g", "C", ".h"]),
    "php": ("<?php f(); $a->g(); A::h(); new C();", ["f", ".g", ".h", "C"]),
    "shellscript": ("f() { g 1; }\n", ["g"]),
}
_CODE = """import os
from pkg.text import split as cut, join
import pkg.paths

def outer(x):
    return inner(cut(x)) + join(x) + pkg.paths.real(x) + len(x) + unknown(x)

def inner(x):
    return x

def other(y):
    # outer in a comment
    return outer(y) + "outer"
"""


def snapshot_of(text: str, language: str = "python") -> Snapshot:
    return DocumentStore().open("untitled:x", language, 1, text)


@pytest.mark.parametrize("language", _USES)
def test_names_in_use(language: str) -> None:
    """Calls, types, bases and constructors in order of their first use; members are marked with a point here."""
    text, names = _USES[language]
    found = used_names(snapshot_of(text, language), Span(0, len(text)))
    assert [f".{name}" if member else name for name, member in found] == names


def test_only_in_the_span() -> None:
    """What stands elsewhere is not used here; a text that cannot be parsed uses nothing."""
    start = _CODE.index("return inner")
    assert [name for name, _ in used_names(snapshot_of(_CODE), Span(start, start + 12))] == ["inner"]
    assert used_names(snapshot_of("f()", "plaintext"), Span(0, 3)) == ()


def test_what_is_wanted() -> None:
    """Not what the file defines nor Python's own; what an import names comes first, members last."""
    start = _CODE.index("def outer")
    found = wanted(snapshot_of(_CODE), Span(start, _CODE.index("def inner")))
    assert [(one.name, one.member) for one in found] == [
        ("cut", False),
        ("join", False),
        ("unknown", False),
        ("real", True),
    ]
    assert {"pkg", "text"} <= found[0].hints
    assert {"paths", "text", "os"} <= found[3].hints


def test_the_kin_of_a_place() -> None:
    """What it uses in its file, then what uses it; a comment or a string is no use."""
    snapshot = snapshot_of(_CODE)
    start = _CODE.index("return inner")
    found = kin(snapshot, chain(snapshot, start), Span(start, start))
    assert [(symbol.name, what) for symbol, what in found.items()] == [
        ("inner", "definition of inner"),
        ("other", "caller of outer"),
    ]


def test_what_may_be_meant() -> None:
    """A plain name is no method elsewhere; a member only where an import names the module, or beside."""
    snapshot = snapshot_of("class A:\n    def f(self): ...\n\ndef g(): ...\n")
    method, function = (chain(snapshot, snapshot.text.index(name))[-1] for name in ("f(self", "g()"))
    here, there = PurePosixPath("/w/a/x.py"), PurePosixPath("/w/b/y.py")
    plain, member = Wanted("f", False, frozenset()), Wanted("f", True, frozenset({"y"}))
    assert [fits(plain, one, there, here) for one in (method, function)] == [False, True]
    assert [fits(member, method, path, here) for path in (there, PurePosixPath("/w/b/z.py"), None)] == [
        True,
        False,
        False,
    ]
    assert fits(member, method, PurePosixPath("/w/a/z.py"), here)


@pytest.mark.parametrize(
    ("path", "name"), [("/w/a/b.py", "b"), ("/w/a/__init__.py", "a"), ("/w/a/index.ts", "a"), ("/w/a/b.go", "a")]
)
def test_what_an_import_calls_a_file(path: str, name: str) -> None:
    """Its own name, or its folder's where the folder is the module."""
    assert module_name(PurePosixPath(path)) == name
