from __future__ import annotations

from pathlib import Path

import pytest

from leanvibe_lsp.assist.changes.docstrings import documented
from leanvibe_lsp.core.edits import applied
from leanvibe_lsp.core.text import LineIndex
from leanvibe_lsp.documents.scopes import symbols
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.errors import UsageError


def written(text: str, said: str, language: str = "python", name: str = "f") -> str:
    """The text with `name` documented."""
    snapshot = Snapshot("untitled:x", Path("/x"), language, 1, text, LineIndex(text))
    symbol = next(one for one in symbols(snapshot) if one.name == name)
    return applied(text, (documented(snapshot, symbol, said),))


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("def f(a):\n    return a\n", 'def f(a):\n    """Say it."""\n    return a\n'),
        ("def f(a): return a\n", 'def f(a):\n    """Say it."""\n    return a\n'),
        ("def f(a):\r\n\treturn a\r\n", 'def f(a):\r\n\t"""Say it."""\r\n\treturn a\r\n'),
        ('def f(a):\n    """Old\n    words."""\n    return a\n', 'def f(a):\n    """Say it."""\n    return a\n'),
        ("class f:\n  @x\n  def g(self):\n    '''é'''\n",
         "class f:\n  '''Say it.'''\n  @x\n  def g(self):\n    '''é'''\n"),
        ("@d(':')\ndef f(a: int = {1: 2}) -> int:  # c\n    return a\n",
         '@d(\':\')\ndef f(a: int = {1: 2}) -> int:  # c\n    """Say it."""\n    return a\n'),
    ],
)  # fmt: skip
def test_python_docstrings(text: str, after: str) -> None:
    """As the first statement, in its indentation and the file's quotes and line endings; an old one goes."""
    assert written(text, "Say it.") == after


def test_long_docstrings_are_wrapped() -> None:
    """The quotes end on a line of their own, no line is too wide, and a blank line stays blank."""
    after = written("def f(a):\n    return a\n", "word " * 30 + "\n\nMore.")
    lines = after.split("\n")
    assert lines[1].startswith('    """word word')
    assert lines[3:7] == ["", "    More.", '    """', "    return a"]
    assert max(map(len, lines)) <= 88


@pytest.mark.parametrize(
    ("said", "literal"),
    [
        (r"A \n in it.", r'"""A \\n in it."""'),
        ('Says """.', '"""Says \'."""'),
        ('Says "it"', '"""Says "it\\""""'),
    ],
)
def test_words_cannot_end_the_string(said: str, literal: str) -> None:
    """Backslashes and quotes of the model stay words."""
    after = written("def f(a):\n    return a\n", said)
    assert after == f"def f(a):\n    {literal}\n    return a\n"
    compile(after, "x", "exec")


@pytest.mark.parametrize(
    ("language", "text", "after"),
    [
        ("javascript", "class A {\n  f() {}\n}\n", "class A {\n  /** Say it. */\n  f() {}\n}\n"),
        ("javascript", "// Old.\nfunction f() {}\n", "// Say it.\nfunction f() {}\n"),
        ("typescript", "export function f() {}\n", "/** Say it. */\nexport function f() {}\n"),
        ("go", "package m\n\nfunc f() {}\n", "package m\n\n// Say it.\nfunc f() {}\n"),
        ("rust", "fn f() {}\n", "/// Say it.\nfn f() {}\n"),
        ("rust", "/// One.\nfn g() {}\n\n// Two.\n// More.\nfn f() {}\n",
         "/// One.\nfn g() {}\n\n/// Say it.\nfn f() {}\n"),
        ("csharp", "class A {\n    int f() { return 1; }\n}\n",
         "class A {\n    /// <summary>\n    /// Say it.\n    /// </summary>\n    int f() { return 1; }\n}\n"),
        ("ruby", "def f\nend\n", "# Say it.\ndef f\nend\n"),
        ("java", "class A {\n    /**\n     * Old.\n     */\n    int f() { return 1; }\n}\n",
         "class A {\n    /** Say it. */\n    int f() { return 1; }\n}\n"),
    ],
)  # fmt: skip
def test_comments_above(language: str, text: str, after: str) -> None:
    """Each language's own form, or the one that the file uses; an old comment is replaced."""
    assert written(text, "Say it.", language) == after


def test_words_cannot_end_the_comment() -> None:
    """A "*/" of the model is none."""
    assert written("function f() {}\n", "A */ x() /* b", "javascript") == "/** A * / x() /* b */\nfunction f() {}\n"


def test_what_cannot_be_documented_is_said() -> None:
    """A definition in the middle of a line has no place above it."""
    with pytest.raises(UsageError, match="its own line"):
        written("class A { f() {} }\n", "Say it.", "javascript")
