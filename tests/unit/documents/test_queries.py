"""Queries in parts: all that one in one piece finds, and an end on texts on which that would take for ever."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from time import thread_time

import pytest
from tree_sitter import QueryCursor

from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents import grammars, queries
from leanvibe_lsp.documents.outlines import query_of
from leanvibe_lsp.documents.related import used_names, wanted
from leanvibe_lsp.documents.scopes import outline, symbols
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.documents.store import DocumentStore

CASES = Path(__file__).parents[2] / "cases" / "scopes"
TOO_LONG = "its structure takes longer than 1,000 ms to read"
LOOSE = "x = " + "\n".join("(" * 100 for _ in range(500))
NESTED = "\n".join(f"function f{number}() {{" for number in range(20_000)) + "\n" + "}\n" * 20_000


def snapshot_of(text: str, language: str = "python") -> Snapshot:
    return DocumentStore().open("untitled:x", language, 1, text)


def seconds(text: str) -> float:
    """What the outline of a Python text takes; a few tries, for a machine that does other things too."""
    taken = []
    for _ in range(3):
        snapshot = snapshot_of(text)
        assert grammars.parse(snapshot) is not None
        began = thread_time()
        assert symbols(snapshot)
        taken.append(thread_time() - began)
    return min(taken)


def test_parts_find_what_the_whole_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every match, however small the parts are; some more than once."""
    monkeypatch.setattr(queries, "_LEAST", 16)
    monkeypatch.setattr(queries, "_BRIEF", 0.0)
    snapshot = snapshot_of((CASES / "python.py").read_text(encoding="utf-8"))
    parsed, query = grammars.syntax(snapshot), query_of("python")
    assert parsed is not None
    assert query is not None

    def plain(found: object) -> set[object]:
        return {
            (number, *((name, node.id) for name, nodes in sorted(captures.items()) for node in nodes))
            for number, captures in found  # type: ignore[attr-defined]
        }

    whole = plain(QueryCursor(query).matches(parsed.tree.root_node))
    assert plain(queries.matches(query, parsed, [Span(0, len(snapshot.text))])) == whole


def test_loose_tokens_are_asked_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of tokens of broken code side by side: no query runs, there is no structure, and it says why."""
    asked: list[object] = []
    monkeypatch.setattr(queries, "QueryCursor", asked.append)
    snapshot = snapshot_of(LOOSE)
    assert (symbols(snapshot), used_names(snapshot, Span(0, len(LOOSE)))) == ((), ())
    assert (asked, grammars.obstacle(snapshot)) == ([], TOO_LONG)


def test_a_deadline_ends_a_query(monkeypatch: pytest.MonkeyPatch) -> None:
    """When its time is up no further part is asked for; an edited text gets its chance anew."""
    ticks = count()
    monkeypatch.setattr(queries, "thread_time", lambda: next(ticks) / 10)
    parts: list[QueryCursor] = []
    cursor = queries.QueryCursor
    monkeypatch.setattr(queries, "QueryCursor", lambda query: parts.append(cursor(query)) or parts[-1])
    snapshot = snapshot_of("def f():\n    return 1\n" * 5_000)
    assert (symbols(snapshot), grammars.obstacle(snapshot), len(parts)) == ((), TOO_LONG, 5)
    assert (used_names(snapshot, Span(0, 9)), len(parts)) == ((), 5)
    assert len(symbols(snapshot_of("def f():\n    return 1\n"))) == 1


def test_deep_definitions_end() -> None:
    """Twenty thousand functions in each other take about as long as the limit says, not minutes."""
    snapshot = snapshot_of(NESTED, "javascript")
    assert grammars.parse(snapshot) is not None
    began = thread_time()
    assert outline(snapshot).symbols == ()
    assert thread_time() - began < 5
    assert grammars.obstacle(snapshot) == TOO_LONG


def test_what_no_query_reads_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parsing cannot be stopped, so a language of which nothing is asked is not parsed."""
    monkeypatch.setattr("leanvibe_lsp.documents.syntax._tree", lambda *_: pytest.fail("parsed"))
    snapshot = snapshot_of("<div>\n" * 60_000, "html")
    assert (symbols(snapshot), used_names(snapshot, Span(0, 9)), wanted(snapshot, Span(0, 9))) == ((), (), ())


@pytest.mark.parametrize("text", ["# x\n" * 4_000 + "def f(): pass\n", "# x\ndef f(): pass\n" * 500])
def test_comments_cost_as_much_as_they_are_long(text: str) -> None:
    """Twice the comments above a definition, or twice the definitions with one, take no more than about twice."""
    assert seconds(text + text) < 4 * seconds(text) + 0.05


def test_documentation_has_an_end() -> None:
    """Of a wall of comments the last lines are the documentation."""
    text = "".join(f"# {number}\n" for number in range(1_000)) + "def f(): pass\n"
    assert symbols(snapshot_of(text))[0].docstring.split("\n") == [str(number) for number in range(800, 1_000)]


def test_imports_times_names() -> None:
    """As many imports as names cost their sum, and no more names are looked for than are looked up."""

    def took(number: int) -> float:
        lines = (f"import a{one}\ndef f{one}(): g{one}(a{one}.b{one}())\n" for one in range(number))
        snapshot = snapshot_of("".join(lines))
        symbols(snapshot)
        taken = []
        for _ in range(3):
            began = thread_time()
            assert len(wanted(snapshot, Span(0, len(snapshot.text)))) == 12
            taken.append(thread_time() - began)
        return min(taken)

    assert took(2_000) < 4 * took(1_000) + 0.05
