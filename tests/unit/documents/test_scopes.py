from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanvibe_lsp.documents import grammars, scopes
from leanvibe_lsp.documents.docs import comment_text, string_text
from leanvibe_lsp.documents.snapshot import Snapshot, read_snapshot
from leanvibe_lsp.documents.store import DocumentStore

CASES = Path(__file__).parents[2] / "cases" / "scopes"
SOURCES = sorted(path for path in CASES.iterdir() if path.with_name(path.name + ".json").is_file())


def snapshot_of(text: str, language: str = "python") -> Snapshot:
    return DocumentStore().open("untitled:x", language, 1, text)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_case(path: Path) -> None:
    """Every definition of a language: kind, path of names, first line, size, signature, documentation; and imports.

    `parameters` are those of every definition that has any, `around` says which one is around a piece of the text.
    """
    expected = json.loads(path.with_name(path.name + ".json").read_text(encoding="utf-8"))
    snapshot = read_snapshot(path)
    line = snapshot.lines.line_of
    found = [
        [
            symbol.kind,
            ".".join((*symbol.parents, symbol.name)),
            line(symbol.span.start) + 1,
            symbol.line_count,
            symbol.signature,
            symbol.docstring,
        ]
        for symbol in scopes.symbols(snapshot)
    ]
    preamble = scopes.outline(snapshot).preamble
    parameters = {
        ".".join((*symbol.parents, symbol.name)): list(symbol.parameters)
        for symbol in scopes.symbols(snapshot)
        if symbol.parameters
    }
    around = {
        text: ".".join(symbol.name for symbol in scopes.chain(snapshot, snapshot.text.index(text)))
        for text in expected.get("around", ())
    }
    assert found == expected["symbols"]
    assert parameters == expected.get("parameters", {})
    assert around == expected.get("around", {})
    assert [snapshot.text[span.start : span.end] for span in scopes.imports(snapshot)] == expected["imports"]
    assert (snapshot.text[preamble.start : preamble.end] if preamble else None) == expected["preamble"]
    for symbol in scopes.symbols(snapshot):
        assert symbol.name in snapshot.text[symbol.name_span.start : symbol.name_span.end]


def test_there_are_cases_for_every_language_with_a_query() -> None:
    """No query file without a case that holds it."""
    queries = {path.stem for path in (Path(scopes.__file__).parent / "queries").iterdir()}
    assert queries <= {path.stem for path in SOURCES}


@pytest.mark.parametrize(
    ("at", "name"),
    [("return a", "whole"), ("return 1", "first"), ("x = self", "second"), ("return 3", "third"), ("import os", None)],
)
def test_enclosing_in_broken_code(at: str, name: str | None) -> None:
    """The innermost definition around the cursor is found although a bracket is left open."""
    snapshot = read_snapshot(CASES / "broken.py")
    around = scopes.chain(snapshot, snapshot.text.index(at))
    assert (around[-1].name if around else None) == name


def test_the_end_of_a_definition_belongs_to_it() -> None:
    """A cursor right behind the last character is still inside, unless the next definition begins there."""
    snapshot = snapshot_of("function a(){}function b(){}", "javascript")
    names = [[symbol.name for symbol in scopes.chain(snapshot, at)] for at in (0, 13, 14, 28)]
    assert names == [["a"], ["a"], ["b"], ["b"]]


TWO = """class A:
    def go(self):
        return self.help() + "help"  # help

    def help(self):
        return helper()

class B:
    def help(self):
        return self.go

def helper(): ...
"""


@pytest.mark.parametrize(
    ("at", "after", "found"),
    [
        ("class A", 6, "A"),
        ("def go", 4, "A.go"),
        ("self.help", 5, "A.help"),
        ("self.help", 9, "A.help"),
        ('"help"', 2, None),
        ("# help", 3, None),
        ("return helper", 8, "helper"),
        ("self.go", 5, "A.go"),
        ("return helper", 2, None),
        ("    def go", 0, None),
    ],
)
def test_symbol_at(at: str, after: int, found: str | None) -> None:
    """Hover names the definition itself or the one the identifier means, nearest in scope; nothing in strings."""
    snapshot = snapshot_of(TWO)
    symbol = scopes.symbol_at(snapshot, TWO.index(at) + after)
    assert (".".join((*symbol.parents, symbol.name)) if symbol else None) == found


def test_symbol_at_takes_the_scope_that_is_around() -> None:
    """Of two methods of one name the one of the class around the cursor is meant."""
    text = TWO.replace("self.go", "self.help ")
    symbol = scopes.symbol_at(snapshot_of(text), text.index("self.help ") + 6)
    assert symbol is not None
    assert symbol.parents == ("B",)


def test_spans_are_code_points() -> None:
    """Characters of two, three and four bytes before and inside a definition do not shift its spans."""
    text = "x = 'é漢😀' * 400\n" * 200 + "def größe(): return '😀'\nclass 漢字: pass\n"
    found = scopes.symbols(snapshot_of(text))
    assert [text[symbol.name_span.start : symbol.name_span.end] for symbol in found] == ["größe", "漢字"]
    assert text[found[0].span.start : found[0].span.end] == "def größe(): return '😀'"


def test_what_cannot_be_parsed_has_no_symbols() -> None:
    """An unknown language, a grammar without a query and lone surrogates give an answer, never an error."""
    assert scopes.symbols(snapshot_of("def f(): pass", "nonsense")) == ()
    assert scopes.symbols(snapshot_of("{}", "json")) == ()
    assert scopes.symbol_at(snapshot_of("{}", "json"), 1) is None
    assert [symbol.name for symbol in scopes.symbols(snapshot_of("x = '\ud800'\ndef f(): pass\n"))] == ["f"]


def test_a_lone_surrogate_where_a_query_compares_text() -> None:
    """Half a character as a command's name, which a query looks at, is no error."""
    assert scopes.imports(snapshot_of("\ude00}\n", "bash")) == ()
    assert grammars.encoded("a\ud800é") == "a\ufffdé".encode()


def test_an_outline_is_read_once_a_text() -> None:
    """The same text gives the same objects; nothing is parsed twice."""
    snapshot = snapshot_of(TWO)
    assert scopes.outline(snapshot) is scopes.outline(snapshot)


@given(st.text(st.one_of(st.sampled_from("def class(){}:,.=\"'#/*\n\r\t  éa😀"), st.characters()), max_size=80))
@pytest.mark.parametrize("language", ["python", "javascript", "cpp", "ruby"])
def test_any_text_gives_spans_inside_it(language: str, text: str) -> None:
    """Whatever the text, spans lie in it, names lie in spans, parents come first."""
    snapshot = snapshot_of(text, language)
    for symbol in scopes.symbols(snapshot):
        assert 0 <= symbol.span.start <= symbol.name_span.start <= symbol.name_span.end <= len(snapshot.text)
        assert symbol.span.start <= symbol.header.end <= symbol.span.end
        assert scopes.chain(snapshot, symbol.span.start)
        assert "\n" not in symbol.signature
    for offset in range(len(snapshot.text) + 1):
        scopes.symbol_at(snapshot, offset)


def test_a_very_long_header_is_cut() -> None:
    """A signature is never longer than its limit."""
    symbol = scopes.symbols(snapshot_of(f"def f({', '.join(f'a{i}' for i in range(500))}): pass"))[0]
    assert len(symbol.signature) == 400


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("/**\n * A.\n *\n *   b\n */", "A.\n\n  b"),
        ("/* one */", "one"),
        ("/*\n  two\n  lines */", "two\nlines"),
        ("/// A.\n///\n/// - b", "A.\n\n- b"),
        ("# A\n#B", "A\nB"),
        ("-- sql", "sql"),
        ("/*! x */", "x"),
        ("  // in\r\n  // here", "in\nhere"),
    ],
)
def test_comment_text(text: str, plain: str) -> None:
    """Comments lose their marks and keep their indentation."""
    assert comment_text(text) == plain


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ('"""A.\n\n    B.\n      c\n    """', "A.\n\nB.\n  c"),
        ("'x'", "x"),
        ("r'''y\n'''", "y"),
        ('"""no end', "no end"),
    ],
)
def test_string_text(text: str, plain: str) -> None:
    """A docstring loses quotes, prefix and indentation."""
    assert string_text(text) == plain


@pytest.mark.performance
def test_speed_of_symbols() -> None:
    """Prints how long a Python file of 2,000 lines takes from text to symbols."""
    body = "    def method_{0}(self, a: int, b: str = 'x') -> bool:\n        '''Doc.'''\n" + "        a = a + 1\n" * 8
    text = "class A:\n" + "".join(body.format(i) for i in range(200))
    scopes.symbols(snapshot_of("x = 1"))
    started = time.perf_counter()
    found = scopes.symbols(snapshot_of(text))
    print(f"{text.count(chr(10))} lines, {len(found)} symbols: {(time.perf_counter() - started) * 1e3:.1f} ms")
    assert len(found) == 201
