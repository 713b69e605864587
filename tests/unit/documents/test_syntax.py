from __future__ import annotations

import gc
import random
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from threading import Event

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tree_sitter import Language, Node, Parser, Tree

from leanvibe_lsp.core.edits import TextEdit, applied
from leanvibe_lsp.core.text import Encoding, LineIndex, Position, Span
from leanvibe_lsp.documents import grammars, syntax
from leanvibe_lsp.documents.outlines import read
from leanvibe_lsp.documents.scopes import outline
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.documents.store import Change, DocumentStore
from leanvibe_lsp.documents.syntax import Earlier, Region, edited, encoded, merged, moved, spliced, syntax_of

CASES = Path(__file__).parents[2] / "cases" / "scopes"
SOURCES = {
    "python": (CASES / "python.py").read_text(encoding="utf-8"),
    "crlf": (CASES / "python.py").read_bytes().decode().replace("\n", "\r\n"),
    "typescript": (CASES / "typescript.ts").read_text(encoding="utf-8"),
    "go": (CASES / "go.go").read_text(encoding="utf-8"),
    "ruby": (CASES / "ruby.rb").read_text(encoding="utf-8"),
    "bash": (CASES / "bash.sh").read_text(encoding="utf-8"),
    "rust": (CASES / "rust.rs").read_text(encoding="utf-8"),
    "cpp": (CASES / "cpp.cpp").read_text(encoding="utf-8"),
    "csharp": (CASES / "broken.cs").read_text(encoding="utf-8"),
    "tsx": (CASES / "broken.tsx").read_text(encoding="utf-8"),
}
UTF16 = Encoding.UTF16
PIECES = [
    "",
    "x",
    " ",
    "\n",
    "\r\n",
    "\r",
    "(",
    "}",
    '"',
    "'''",
    "# é",
    "😀",
    "\ud83d",
    "\ude00",
    "def f():\n",
    "漢",
    ":",
]


def grammar(name: str) -> Language:
    found = grammars.grammar("python" if name == "crlf" else name)
    assert found is not None
    return found


def everything(tree: Tree) -> list[tuple[str, int, int, tuple[int, int], tuple[int, int], bool]]:
    """Every node with its places, in order."""
    found: list[tuple[str, int, int, tuple[int, int], tuple[int, int], bool]] = []
    todo: list[Node] = [tree.root_node]
    while todo:
        node = todo.pop()
        start, end = tuple(node.start_point), tuple(node.end_point)
        found.append((node.type, node.start_byte, node.end_byte, start, end, node.is_missing))
        todo += reversed(node.children)
    return found


def fresh(text: str, language: Language) -> Tree:
    return Parser(language).parse(encoded(text))


def changes(seed: random.Random, lines: LineIndex) -> TextEdit:
    start = seed.randrange(len(lines.text) + 1)
    end = min(len(lines.text), start + seed.choice([0, 0, 0, 1, 2, 9, 60]))
    return TextEdit(Span(start, end), seed.choice(PIECES))


@given(st.sampled_from(sorted(SOURCES)), st.integers(0, 1 << 30), st.lists(st.integers(1, 4), min_size=1, max_size=5))
def test_an_incremental_tree_is_the_fresh_one(name: str, seed: int, batches: list[int]) -> None:
    """After any edits, several between two parses too, each node of the tree is one of a fresh parse."""
    language, chance, lines = grammar(name), random.Random(seed), LineIndex(SOURCES[name])
    syntax_of(lines, language)
    for batch in batches:
        for _ in range(batch):
            lines = edited(lines, changes(chance, lines))
        got, want = syntax_of(lines, language), fresh(lines.text, language)
        assert got.data == encoded(lines.text)
        # How broken code is mended depends on what could be used again; whether it is broken does not.
        assert got.tree.root_node.has_error == want.root_node.has_error
        if not want.root_node.has_error:
            assert everything(got.tree) == everything(want)
        assert got.tree.root_node.end_byte == want.root_node.end_byte


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_whole_code_stays_exact_through_broken_code(name: str) -> None:
    """Text that is typed letter by letter, broken in between, leaves exactly the tree of the whole text."""
    language, lines = grammar(name), LineIndex(SOURCES[name])
    syntax_of(lines, language)
    original = lines.text
    at = original.index("\n", len(original) // 2) + 1
    for offset, letter in enumerate('f("é😀", [1, {'):
        lines = edited(lines, TextEdit(Span(at + offset, at + offset), letter))
        syntax_of(lines, language)
    lines = edited(lines, TextEdit(Span(at, at + 13), ""))
    assert lines.text == original
    assert everything(syntax_of(lines, language).tree) == everything(fresh(original, language))


def test_the_store_hands_edits_to_the_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    """A change of an open document is parsed with the old tree, and a snapshot keeps the tree of its own text."""
    with_old: list[bool] = []
    parse = syntax._tree

    def seen(language: Language, data: bytes, old: Tree | None = None) -> Tree:
        with_old.append(old is not None)
        return parse(language, data, old)

    monkeypatch.setattr(syntax, "_tree", seen)
    store = DocumentStore()
    first = store.open("untitled:a", "python", 1, "x = 'é😀'\n" * 50)
    before = grammars.parse(first)
    at = Position(7, 7)
    second = store.change("untitled:a", 2, [Change("y", at, at), Change("z = 1\n", *[Position(1, 0)] * 2)], UTF16)
    after = grammars.parse(second)
    assert before is not None
    assert after is not None
    assert before is grammars.parse(first)
    assert after is grammars.parse(second)
    assert everything(before) == everything(fresh(first.text, grammar("python")))
    assert everything(after) == everything(fresh(second.text, grammar("python")))
    assert with_old == [False, True]


def test_a_closed_document_takes_its_tree_along() -> None:
    """Nothing is kept of a text that nobody has any more."""
    gc.collect()
    before = set(syntax._texts)
    store = DocumentStore()
    grammars.parse(store.open("untitled:a", "python", 1, "x = 1\n"))
    at = Position(0, 0)
    grammars.parse(store.change("untitled:a", 2, [Change("y", at, at)], UTF16))
    assert len(set(syntax._texts) - before) == 1
    store.close("untitled:a")
    assert set(syntax._texts) <= before


def test_an_edit_while_the_text_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text edited while a thread still parses it is parsed from that tree when it is there."""
    begun, go_on = Event(), Event()
    with_old: list[bool] = []
    parse = syntax._tree

    def slow(language: Language, data: bytes, old: Tree | None = None) -> Tree:
        with_old.append(old is not None)
        begun.set()
        assert go_on.wait(10)
        return parse(language, data, old)

    monkeypatch.setattr(syntax, "_tree", slow)
    language, lines = grammar("python"), LineIndex("x = 1\n" * 9)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(syntax_of, lines, language)
        assert begun.wait(10)
        later = edited(edited(lines, TextEdit(Span(0, 1), "yy")), TextEdit(Span(20, 20), "😀"))
        second = pool.submit(syntax_of, later, language)
        go_on.set()
        assert everything(first.result().tree) == everything(fresh(lines.text, language))
        assert everything(second.result().tree) == everything(fresh(later.text, language))
    assert with_old == [False, True]


def test_threads_share_one_tree() -> None:
    """Many threads that ask for one text get the same tree, and walking it in all of them is no trouble."""
    language, lines = grammar("python"), LineIndex(SOURCES["python"] * 20)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: syntax_of(lines, language), range(16)))
        walked = list(pool.map(lambda one: everything(one.tree), found))
    assert all(one is found[0] for one in found)
    assert all(one == walked[0] for one in walked)


def test_another_language_is_another_tree() -> None:
    """A text asked for in two languages is never answered with the tree of the other."""
    lines = LineIndex("x = 1\n")
    assert syntax_of(lines, grammar("python")).tree.root_node.type == "module"
    assert syntax_of(lines, grammar("go")).tree.root_node.type == "source_file"
    after = edited(lines, TextEdit(Span(0, 0), "y"))
    assert syntax_of(after, grammar("python")).tree.root_node.type == "module"


def test_what_was_worked_out_is_handed_on() -> None:
    """The next text is shown what was worked out before and which spans changed since, also over several texts."""
    language = grammar("python")
    lines = LineIndex("a = 1\nb = 2\nc = 3\n# é\n")
    syntax_of(lines, language).fact("kept", lambda earlier: "first")
    once = edited(lines, TextEdit(Span(4, 5), "11"))
    syntax_of(once, language)
    twice = edited(once, TextEdit(Span(20, 20), "x"))
    shown: list[Earlier[str] | None] = []

    def work_out(earlier: Earlier[str] | None) -> str:
        shown.append(earlier)
        return "second"

    assert syntax_of(twice, language).fact("kept", work_out) == "second"
    assert syntax_of(twice, language).fact("kept", work_out) == "second"
    regions = (Region(Span(4, 5), Span(4, 6)), Region(Span(19, 19), Span(20, 21)))
    assert shown == [Earlier("first", regions, (Span(4, 6), Span(20, 21)))]


def test_a_changed_structure_is_a_changed_span() -> None:
    """A quote that turns code behind it into a string changes that code's span too."""
    language, lines = grammar("python"), LineIndex('a = 1\nb = f()\nc = """x"""\n')
    syntax_of(lines, language).fact("kept", lambda _: 1)
    after = edited(lines, TextEdit(Span(4, 4), '"""'))
    shown: list[Earlier[int] | None] = []
    syntax_of(after, language).fact("kept", lambda earlier: shown.append(earlier) or 2)
    assert shown[0] is not None
    assert any(span.start <= 9 and span.end >= 16 for span in shown[0].changed)


_spans = st.tuples(st.integers(0, 60), st.integers(0, 9)).map(lambda pair: Span(pair[0], pair[0] + pair[1]))


@given(st.text("abcdef", min_size=1, max_size=60), st.lists(st.tuples(_spans, st.text("XYZ", max_size=4)), max_size=12))
def test_regions_say_what_edits_did(text: str, edits: list[tuple[Span, str]]) -> None:
    """Edits made one after the other are the regions' edits made at once, and regions are sorted and apart."""
    regions: tuple[Region, ...] = ()
    now = text
    for span, replacement in edits:
        span = Span(min(span.start, len(now)), min(span.end, len(now)))
        regions = spliced(regions, span, len(replacement))
        now = now[: span.start] + replacement + now[span.end :]
    assert applied(text, [TextEdit(one.old, now[one.new.start : one.new.end]) for one in regions]) == now
    for one, other in pairwise(regions):
        assert one.old.end < other.old.start
        assert one.new.end < other.new.start
    for offset in range(len(text) + 1):
        if not any(one.old.start <= offset <= one.old.end for one in regions):
            assert text[offset : offset + 1] in (now[moved(offset, regions) :][:1], "")


def test_edits_all_over_the_text_are_one_region() -> None:
    """More places than an open document remembers edits become one, from the first to the last."""
    regions: tuple[Region, ...] = ()
    for at in range(300):
        regions = spliced(regions, Span(at * 10, at * 10), 1)
    assert len(regions) <= 257
    assert regions[-1] == Region(Span(2691, 2691), Span(2990, 2991))


def test_merged() -> None:
    """Spans that touch become one."""
    assert merged([Span(5, 6), Span(0, 2), Span(2, 3), Span(1, 1)]) == (Span(0, 3), Span(5, 6))


@given(st.sampled_from(sorted(SOURCES)), st.integers(0, 1 << 30), st.lists(st.integers(1, 3), min_size=1, max_size=6))
def test_an_outline_read_again_in_part_is_the_whole_one(name: str, seed: int, batches: list[int]) -> None:
    """After any edits the outline made from the one before, its tree rested or not, is the one read from the tree."""
    chance, lines = random.Random(seed), LineIndex(SOURCES[name])
    language = "python" if name == "crlf" else name
    for batch in batches:
        snapshot = Snapshot("untitled:a", None, language, 1, lines.text, lines)
        found = grammars.syntax(snapshot)
        assert found is not None
        assert outline(snapshot) == read(snapshot, language, found, None).outline
        if chance.random() < 0.5:
            found.rest()
            assert outline(snapshot) == read(snapshot, language, found, None).outline
        for _ in range(batch):
            lines = edited(lines, changes(chance, lines))


def test_only_the_latest_trees_are_kept() -> None:
    """Of many texts a few keep their trees, those asked for last; what was worked out of the others is still known."""
    language, texts = grammar("python"), [LineIndex(f"x = {number}\n") for number in range(20)]
    for lines in texts:
        syntax_of(lines, language).fact("kept", lambda _: len(texts))
    known = [syntax_of(lines, language) for lines in texts]
    assert [one.rests for one in known] == [True] * 18 + [False] * 2
    assert [one.fact("kept", lambda _: 0) for one in known] == [20] * 20
    assert known[0].tree.root_node.end_byte == 6
    assert [one.rests for one in known] == [False] + [True] * 18 + [False]


@given(st.sampled_from(sorted(SOURCES)))
def test_a_tree_that_rested_is_the_tree_of_its_text(name: str) -> None:
    """What is made anew is what a fresh parse gives."""
    language, lines = grammar(name), LineIndex(SOURCES[name])
    known = syntax_of(lines, language)
    known.rest()
    assert known.rests
    assert everything(known.tree) == everything(fresh(lines.text, language))
    assert known.tree is known.tree


def test_a_search_does_not_cost_an_edited_text_its_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    """After an edit and a look at many other files, the next edit is parsed from the tree that was there."""
    language, lines = grammar("python"), LineIndex("x = 1\n" * 50)
    syntax_of(lines, language)
    lines = edited(lines, TextEdit(Span(0, 1), "y"))
    before = syntax_of(lines, language)
    others = [LineIndex(f"z = {number}\n") for number in range(30)]
    for other in others:
        syntax_of(other, language)
    assert not before.rests
    with_old: list[bool] = []
    parse = syntax._tree

    def seen(language: Language, data: bytes, old: Tree | None = None) -> Tree:
        with_old.append(old is not None)
        return parse(language, data, old)

    monkeypatch.setattr(syntax, "_tree", seen)
    syntax_of(edited(lines, TextEdit(Span(0, 1), "z")), language)
    assert with_old == [True]


def test_of_broken_code_nothing_outlives_the_tree() -> None:
    """How broken code is mended may differ the next time: what was worked out from one tree is not said of another."""
    language = grammar("python")
    for text, expected in (("def f(:\n", "new"), ("def f(): pass\n", "old")):
        known = syntax_of(LineIndex(text), language)
        known.fact("kept", lambda _: "old")
        known.rest()
        assert known.fact("kept", lambda _: "new") == expected


def test_a_tree_at_work_is_kept() -> None:
    """While something is worked out from a tree, no other thread takes it away."""
    lines = LineIndex("x = 1\n")
    known = syntax_of(lines, grammar("python"))

    def work_out(_: Earlier[bool] | None) -> bool:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(known.rest).result(10)
        return known.rests

    assert known.fact("rests", work_out) is False
    known.rest()
    assert known.rests


def test_nothing_of_a_text_stays_behind() -> None:
    """When its last snapshot is gone, so is all that was made of a text."""
    text = "def f(x):\n    return x + 1\n" * 4_000
    tracemalloc.start()
    try:
        for number in range(4):
            store = DocumentStore()
            store.open("file:///a.py", "python", 1, text)
            later = store.change("file:///a.py", 2, [Change("y", Position(number, 0), Position(number, 0))], UTF16)
            assert grammars.parse(later) is not None
            del store, later
        gc.collect()
        kept = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert kept < len(text)


def test_broken_code_is_read_anew() -> None:
    """What an edit makes of broken code around it is found once, as a fresh look at the same tree finds it."""
    lines = LineIndex("class A\n<<E\n\n")
    for text in ("", "=end\n"):
        lines = edited(lines, TextEdit(Span(len(lines.text), len(lines.text)), text))
        snapshot = Snapshot("untitled:a", None, "ruby", 1, lines.text, lines)
        found = grammars.syntax(snapshot)
        assert found is not None
        assert outline(snapshot) == read(snapshot, "ruby", found, None).outline
        assert [symbol.name for symbol in outline(snapshot).symbols] == ["A"]
