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


_GO = "package m\n\n{}func f() {{}}\n"
_JS = "{}function f() {{}}\n"
_SH = "{}f() {{\n  :\n}}\n"
_RB = "{}def f\nend\n"
_RS = "{}fn f() {{}}\n"
_CS = "class A\n{{\n{}    int f() {{ return 1; }}\n}}\n"
_SUMMARY = "    /// <summary>\n    /// Say it.\n    /// </summary>\n"


@pytest.mark.parametrize(
    ("language", "code", "before", "after"),
    [
        ("go", _GO, "// Old.\n//\n//go:noinline\n", "// Say it.\n//\n//go:noinline\n"),
        ("go", _GO, "//nolint:gocyclo // why\n", "// Say it.\n//nolint:gocyclo // why\n"),
        ("shellscript", _SH, "#!/bin/bash\n# Old.\n", "#!/bin/bash\n# Say it.\n"),
        ("shellscript", _SH, "#!/bin/bash\n", "#!/bin/bash\n# Say it.\n"),
        ("shellscript", _SH, "# Old.\n# shellcheck disable=SC1\n", "# Say it.\n# shellcheck disable=SC1\n"),
        ("ruby", _RB, "# frozen_string_literal: true\n", "# frozen_string_literal: true\n# Say it.\n"),
        ("ruby", _RB, "# encoding: utf-8\n# Old.\n", "# encoding: utf-8\n# Say it.\n"),
        ("ruby", _RB, "# Old.\n# :nodoc:\n", "# Say it.\n# :nodoc:\n"),
        ("ruby", _RB, "# rubocop:disable X\n", "# Say it.\n# rubocop:disable X\n"),
        ("ruby", _RB, "# ---- helpers ----\n", "# ---- helpers ----\n# Say it.\n"),
        ("typescript", _JS, "// Copyright X\n// @ts-expect-error why\n",
         "// Copyright X\n/** Say it. */\n// @ts-expect-error why\n"),
        ("javascript", _JS, "// Copyright X, MIT\n// All rights\n",
         "// Copyright X, MIT\n// All rights\n/** Say it. */\n"),
        ("javascript", _JS, "/* @license MIT\n * x\n */\n", "/* @license MIT\n * x\n */\n/** Say it. */\n"),
        ("javascript", _JS, "/* eslint-disable */\n", "/** Say it. */\n/* eslint-disable */\n"),
        ("javascript", _JS, "/* Old. */\n// eslint-disable-next-line\n",
         "/** Say it. */\n// eslint-disable-next-line\n"),
        ("javascript", _JS, "/**\n * Old.\n * Words.\n * @param {A} a the a\n *   {@link b}\n */\n",
         "/**\n * Say it.\n *\n * @param {A} a the a\n *   {@link b}\n */\n"),
        ("javascript", _JS, "/**\n * Old.\n *\n * Words.\n */\n", "/** Say it. */\n"),
        ("javascript", _JS, "// Old.\n// TODO: mend\n", "// Say it.\n//\n// TODO: mend\n"),
        ("rust", _RS, "/// Old.\n/// # Safety\n/// Never.\n#[inline]\n",
         "/// Say it.\n///\n/// # Safety\n/// Never.\n#[inline]\n"),
        ("rust", _RS, "#[inline]\n", "/// Say it.\n#[inline]\n"),
        ("csharp", _CS, "    /// <summary>Old</summary>\n    /// <param name=\"a\">b</param>\n",
         _SUMMARY + "    /// <param name=\"a\">b</param>\n"),
        ("csharp", _CS, "    #region X\n", "    #region X\n" + _SUMMARY),
        ("c", "{}int f() {{ return 1; }}\n", "#define X 1\n", "#define X 1\n/** Say it. */\n"),
    ],
)  # fmt: skip
def test_what_is_no_words_stays(language: str, code: str, before: str, after: str) -> None:
    """Directives, first lines, whose the file is, tags and headings: only the words above those are replaced."""
    assert written(code.format(before), "Say it.", language) == code.format(after)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""Old.\n\n    Args:\n        a: é.\n\n    >>> f(1)\n    2\n    """',
         '"""Say it.\n\n    Args:\n        a: é.\n\n    >>> f(1)\n    2\n    """'),
        ('"""Old.\n\n    More.\n\n    Parameters\n    ----------\n    a : int\n    """',
         '"""Say it.\n\n    Parameters\n    ----------\n    a : int\n    """'),
        ("'''Old.\n    :param a: b'''", "'''Say it.\n\n    :param a: b'''"),
        ("f'old {a}'", "\"\"\"Say it.\"\"\"\n    f'old {a}'"),
        ('r"""Old."""', '"""Say it."""'),
    ],
)  # fmt: skip
def test_sections_of_a_docstring_stay(old: str, new: str) -> None:
    """Arguments, fields, doctests; and a statement that is no docstring."""
    assert written(f"def f(a):\n    {old}\n    return a\n", "Say it.") == f"def f(a):\n    {new}\n    return a\n"


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("python", 'def f(a):\n    r"""Old.\n\n    Args:\n        a: \\d\n    """\n'),
        ("python", 'def f(a):\n    """:param a: b"""\n'),
        ("javascript", "/** @deprecated */\nfunction f() {}\n"),
        ("javascript", "/* Old.\nTODO: x\n*/\nfunction f() {}\n"),
    ],
)
def test_where_only_sections_are_nothing_is_replaced(language: str, text: str) -> None:
    """There are no words to take the place of."""
    with pytest.raises(UsageError, match="is to stay"):
        written(text, "Say it.", language)


def test_words_cannot_end_the_comment() -> None:
    """A "*/" of the model is none."""
    assert written("function f() {}\n", "A */ x() /* b", "javascript") == "/** A * / x() /* b */\nfunction f() {}\n"


def test_what_cannot_be_documented_is_said() -> None:
    """A definition in the middle of a line has no place above it."""
    with pytest.raises(UsageError, match="its own line"):
        written("class A { f() {} }\n", "Say it.", "javascript")
