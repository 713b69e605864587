from __future__ import annotations

import pytest

from leanvibe_lsp.assist.analyze import analyze
from leanvibe_lsp.assist.suppress import suppression
from leanvibe_lsp.config.settings import EditorSettings
from leanvibe_lsp.core.edits import applied
from leanvibe_lsp.core.text import LineIndex, Span
from leanvibe_lsp.documents.snapshot import Snapshot


def snapshot_of(text: str, language: str = "python") -> Snapshot:
    return Snapshot("file:///project/a", None, language, 1, text, LineIndex(text))


def silenced(language: str, text: str, word: str, rule: str = "r/x") -> str | None:
    at = text.index(word)
    edit = suppression(snapshot_of(text, language), Span(at, at + len(word)), rule)
    return None if edit is None else applied(text, (edit,))


@pytest.mark.parametrize(
    ("language", "text", "word", "expected"),
    [
        ("python", "def f(x=[]):\n    pass\n", "[]", "def f(x=[]):  # leanvibe: ignore[r/x]\n    pass\n"),
        ("python", "x = 1", "x", "x = 1  # leanvibe: ignore[r/x]"),
        ("python", "x = '𝒻'  \n", "x", "x = '𝒻'  # leanvibe: ignore[r/x]\n"),
        ("javascript", "f(a == b)\r\n", "==", "f(a == b)  // leanvibe: ignore[r/x]\r\n"),
        ("css", "a { color: red }\n", "color", "a { color: red }  /* leanvibe: ignore[r/x] */\n"),
        ("html", "<a></a>\n", "a", "<a></a>  <!-- leanvibe: ignore[r/x] -->\n"),
        ("go", "package a\n\nvar x = 1\n", "x", "package a\n\nvar x = 1  // leanvibe: ignore[r/x]\n"),
        ("sql", "select 1;\n", "1", "select 1;  -- leanvibe: ignore[r/x]\n"),
    ],
)
def test_the_comment_ends_the_line(language: str, text: str, word: str, expected: str) -> None:
    """In the language's own syntax, behind all that stands there; line endings stay."""
    assert silenced(language, text, word) == expected


@pytest.mark.parametrize(
    ("language", "text", "word", "expected"),
    [
        ("python", "if a:\r\n    x = 1 + \\\r\n        2\r\n", "1", "    # leanvibe: ignore[r/x]\r\n    x = 1 + \\"),
        ("python", "q = '''a\nb''' % x\n", "q", "# leanvibe: ignore[r/x]\nq = '''a\n"),
        ("python", "x = f(a) + \\\n    f(b)\n", "b", "x = f(a) + \\\n    f(b)  # leanvibe: ignore[r/x]\n"),
        ("shellscript", "a=1 \\\n && b\n", "a=1", "# leanvibe: ignore[r/x]\na=1 \\\n"),
    ],
)
def test_where_the_line_goes_on_it_stands_above(language: str, text: str, word: str, expected: str) -> None:
    """Inside a text or behind a continuation a comment would be none, or break the code."""
    assert expected in str(silenced(language, text, word))


def test_a_rule_joins_those_that_are_ignored_already() -> None:
    """One comment for all rules of a line, and each rule once."""
    text = "# leanvibe: ignore[a]\nx = 1\ny = 2  # leanvibe: ignore[a, b] because\n"
    assert silenced("python", text, "x") == text.replace("ignore[a]\n", "ignore[a, r/x]\n")
    assert silenced("python", text, "y", "c") == text.replace("[a, b]", "[a, b, c]")
    assert silenced("python", text, "y", "b") == text
    assert silenced("python", "y = 2  # leanvibe: ignore[a]\nx = 1\n", "x") == (
        "y = 2  # leanvibe: ignore[a]\nx = 1  # leanvibe: ignore[r/x]\n"
    )


@pytest.mark.parametrize(
    ("language", "text", "word"),
    [
        ("json", '{"a": 1}\n', "a"),
        ("unheard-of", "x\n", "x"),
        ("python", "q = '''\nb\n'''\n", "b"),
        ("python", "x = f(a) + \\\n    f(b) + \\\n    1\n", "b"),
        ("shellscript", "f a \\\n  $b \\\n  c\n", "$b"),
        ("python", 'x = f"""\n{f(a)}\n"""\n', "f(a)"),
        ("python", 'x = f"""{\nf(a)\n}"""\n', "f(a)"),
        ("javascript", "x = `\n${f(a)}\n`;\n", "f(a)"),
        ("javascript", "x = `${\nf(a)\n}`;\n", "f(a)"),
        ("javascriptreact", "x = <p>\n  {f(a)}\n</p>;\n", "f(a)"),
        ("c", "#define X(a) \\\n  f(a) + \\\n  g(a)\n", "f(a)"),
    ],
)
def test_where_no_comment_can_stand_there_is_none(language: str, text: str, word: str) -> None:
    """None, and not a comment that is text."""
    assert silenced(language, text, word) is None


def test_what_is_silenced_is_found_no_more() -> None:
    """The rules take the comment for what it is, and none of it for unused."""
    text = "def f(items=[]):\n    return items\n"
    (finding,) = analyze(snapshot_of(text), EditorSettings())
    edit = suppression(snapshot_of(text), finding.span, finding.rule)
    assert edit is not None
    assert analyze(snapshot_of(applied(text, (edit,))), EditorSettings()) == ()
