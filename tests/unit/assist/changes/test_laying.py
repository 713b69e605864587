from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leanvibe_lsp.assist.changes.laying import laid
from leanvibe_lsp.core.text import LineIndex, Span
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.errors import Incomplete


def lay(code: str, region: str, before: str = "", after: str = "", language: str = "python", exact: bool = True) -> str:
    text = before + region + after
    snapshot = Snapshot("untitled:x", Path("/x"), language, 1, text, LineIndex(text))
    return laid(code, snapshot, Span(len(before), len(before) + len(region)), exact=exact)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("    def f(self):\n        return 2", "    def f(self):\n        return 2"),
        ("def f(self):\n    return 2", "    def f(self):\n        return 2"),
        ("def f(self):\n        return 2", "    def f(self):\n        return 2"),
        ("        def f(self):\n            return 2", "    def f(self):\n        return 2"),
        ("def f(self):\n\treturn 2", "    def f(self):\n        return 2"),
        ("import os\n\nclass A:\n    def f(self):\n        return 2", "    def f(self):\n        return 2"),
        ("import os\n\nclass A:\n    def f(self):\n        return 2\n\n    def g(self):\n        pass",
         "    def f(self):\n        return 2"),
        ("def f(self):\n    return 2\n\ndef h():\n    pass",
         "    def f(self):\n        return 2\n\n    def h():\n        pass"),
    ],
)  # fmt: skip
def test_code_is_laid_onto_its_lines(code: str, text: str) -> None:
    """Too far left or right, its first line alone, tabs, the rest of the file around it; new code stays."""
    after = "\n\n    def g(self):\n        pass\n"
    assert lay(code, "    def f(self):\n        return 1", "import os\n\nclass A:\n", after) == text


def test_the_documents_blanks_and_line_endings_are_kept() -> None:
    """Tabs where it has tabs, "\\r\\n" where it has those."""
    assert lay("if a:\n    c()", "\tif a:\r\n\t\tb()", "def f():\r\n", "\r\n") == "\tif a:\r\n\t\tc()"
    assert lay("a\nb", "one", "x\r\n", "\r\n") == "a\r\nb"


_SQL = "    def q(self):\n        s = '''\nSELECT 1\n   \n  FROM t\n'''\n        return s + ''"
_GO = 'func f() string {\n\tq := `a\n    b`\n\treturn q + ""\n}'
_BASH = "\tif a; then\n\t\tcat <<EOF\n    a: 1\nEOF\n\t\ttrue\n\tfi"


@pytest.mark.parametrize(
    ("language", "region", "code", "text"),
    [
        ("python", _SQL, "def q(self):\n    s = '''\nSELECT 1\n   \n  FROM t\n'''\n    return s",
         _SQL.removesuffix(" + ''")),
        ("python", _SQL, "def q(self):\n    s = '''\n    SELECT 1\n\n      FROM t\n    '''\n    return s",
         _SQL.removesuffix(" + ''")),
        ("python", "    def q(self):\n        return 1",
         'def q(self):\n    """Say.\n\n    More.\n    """\n    return 1',
         '    def q(self):\n        """Say.\n\n        More.\n        """\n        return 1'),
        ("go", _GO, "func f() string {\n    q := `a\n    b`\n    return q\n}", _GO.replace(' + ""', "")),
        ("shellscript", _BASH, "if a; then\n    cat <<EOF\n    a: 1\nEOF\nfi", _BASH.replace("\t\ttrue\n", "")),
        ("javascript", "  const a = `\nx\n  y`;\n  f(a);", "const a = `\nx\n  y`;\ng(a);",
         "  const a = `\nx\n  y`;\n  g(a);"),
        ("python", "    x = '''é\n   b'''\n    f(x)", "    x = '''é\n b'''\n    g(x)",
         "    x = '''é\n   b'''\n    g(x)"),
    ],
)  # fmt: skip
def test_what_stands_in_strings_does_not_move(language: str, region: str, code: str, text: str) -> None:
    """Nor do their blanks change; a docstring moves with its function."""
    assert lay(code, region, language=language) == text


@pytest.mark.parametrize(
    ("language", "string"),
    [
        ("rust", 'let s = "a\n  b\n";'),
        ("rust", 'let s = r#"a\n  b"#;'),
        ("java", 'String s = """\n  a\n    b\n  """;'),
        ("csharp", 'var s = @"a\n  b";'),
        ("csharp", 'var s = $@"a\n  {b}";'),
        ("csharp", 'var s = """\n  a\n    b\n  """;'),
        ("cpp", 'auto s = R"(a\n  b)";'),
        ("ruby", "s = <<~EOS\n  a\n    b\nEOS"),
        ("ruby", "s = <<EOS\n  a\n#{b}\nEOS"),
        ("ruby", "s = 'a\n  b'"),
        ("shellscript", "s='a\n  b'"),
        ("shellscript", 's="a\n  $b"'),
        ("shellscript", "cat <<'EOS'\n  a\nEOS"),
        ("javascript", "s = tag`a\n  ${b}\n  c`;"),
        ("typescript", "const s: string = `a\n  b`;"),
        ("python", "s = rf'''a\n  {b}\n'''"),
        ("python", "s = ('a' '''\n  b''' 'c')"),
    ],
)
def test_every_languages_strings_are_known(language: str, string: str) -> None:
    """Code that is laid further to the right leaves them as they are."""
    region = f"        {string}\n        f(s);"
    assert lay(f"{string}\ng(s);", region, language=language) == f"        {string}\n        g(s);"


def test_phps_strings_are_known() -> None:
    """In a file of it, which its grammar needs to be one."""
    string = "$s = <<<EOS\n  a\n    b\nEOS;\n        $t = 'c\n  d';"
    draft = string.replace("        $t", "$t")
    region = f"        {string}\n        f($s);"
    assert lay(f"{draft}\ng($s);", region, "<?php\n", "\n", "php") == f"        {string}\n        g($s);"


def test_a_new_string_does_not_move() -> None:
    """Where the draft stands elsewhere it cannot be known what it would hold."""
    with pytest.raises(Incomplete, match="string of several lines"):
        lay("def q(self):\n    s = '''\n    SELECT 2\n    '''\n    return s", _SQL)
    code = _SQL.replace("SELECT 1", "SELECT 2")
    assert lay(code, _SQL) == code


def test_blanks_that_a_person_wants_changed_are() -> None:
    """A rewrite may be about them."""
    region = "x = '''\na\n'''"
    assert lay("x = '''\n  a\n'''", region, exact=False) == "x = '''\n  a\n'''"
    assert lay("x = '''\n  a\n'''", region) == region


_PARTS = st.sampled_from(["a", "é", "'", "'''", '"', "`", "\n", "\t", "    ", ":", "f(", ")"])


@given(st.lists(_PARTS, max_size=25).map("".join), st.lists(_PARTS, max_size=12).map("".join))
@settings(max_examples=200, deadline=None)
def test_any_code_is_laid_or_refused(code: str, region: str) -> None:
    """No draft breaks the laying of it, and no line gets lost but those that are around the region."""
    try:
        text = lay(code, region)
    except Incomplete:
        return
    assert text.count("\n") == code.count("\n")
    assert text.split() == code.split()
