from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents.context import Packed, pack
from leanvibe_lsp.documents.gathered import Diagnostic, Gathered, Related
from leanvibe_lsp.documents.scopes import symbols
from leanvibe_lsp.documents.snapshot import Snapshot, read_snapshot
from leanvibe_lsp.documents.store import DocumentStore
from tests.support.secrets import SECRETS, planted

CASES = Path(__file__).parents[2] / "cases" / "scopes"
PYTHON = read_snapshot(CASES / "python.py")


def words(text: str) -> int:
    return len(text.split())


def snapshot_of(text: str, language: str = "python", uri: str = "untitled:x") -> Snapshot:
    return DocumentStore().open(uri, language, 1, text)


def at(snapshot: Snapshot, text: str) -> Span:
    start = snapshot.text.index(text)
    return Span(start, start + len(text))


def seen(packed: Packed) -> list[tuple[str, int, int]]:
    return [(block.what, block.start_line + 1, block.end_line + 1) for block in packed.blocks]


def check(places: list[tuple[Snapshot, Span | None]], packed: Packed, budget: int) -> None:
    assert packed.tokens == sum(words(block.text) for block in packed.blocks)
    assert packed.tokens <= max(budget, 0)
    by_uri = {snapshot.uri: snapshot for snapshot, _ in places}
    for one, other in pairwise(packed.blocks):
        assert one.uri != other.uri or one.end_line < other.start_line
    for block in packed.blocks:
        snapshot = by_uri[block.uri]
        assert 0 <= block.start_line <= block.end_line < snapshot.lines.line_count
        lines = snapshot.lines
        if block.what != "signatures":
            literal = snapshot.text[lines.line_span(block.start_line).start : lines.line_span(block.end_line).end]
            assert block.text in literal


def test_a_small_file_is_one_block() -> None:
    """A whole file that fits is one block with its text, and nothing is said to be left out."""
    packed = pack([(PYTHON, None)], 1000, words)
    assert seen(packed) == [("whole file", 1, 35)]
    assert (packed.blocks[0].text + "\n", packed.omitted) == (PYTHON.text, ())
    assert packed.blocks[0].label == "python.py lines 1-35"


def test_a_selection_in_a_small_file_is_marked() -> None:
    """With room for everything the selection is a block of its own among the rest of the file."""
    packed = pack([(PYTHON, at(PYTHON, "import late"))], 1000, words)
    assert seen(packed) == [("rest of the file", 1, 28), ("selection", 29, 29), ("rest of the file", 30, 35)]
    assert packed.omitted == ()


def test_around_a_selection() -> None:
    """Selection, enclosing symbol and the header around it come first; what is left out is named with its lines."""
    packed = pack([(PYTHON, at(PYTHON, "import late"))], 40, words)
    whats = [what for what, _, _ in seen(packed)]
    assert whats.count("selection") == 1
    assert whats.count("enclosing method parse") == 2
    assert "signature of class Parser" in ", ".join(whats)
    assert "neighbour function `double` (line 35)" in packed.omitted
    assert "neighbour method `size` (lines 16-19)" in packed.omitted
    check([(PYTHON, None)], packed, 40)


def test_an_enclosing_symbol_that_does_not_fit() -> None:
    """Of a symbol that is too large the lines around the selection are shown, and the header."""
    body = "".join(f"    x{i} = {i}\n" for i in range(200))
    snapshot = snapshot_of(f"import os\n\ndef large(a):\n{body}\ndef other(): pass\n")
    packed = pack([(snapshot, at(snapshot, "x100 = 100"))], 30, words)
    whats = [what for what, _, _ in seen(packed)]
    assert "signature of function large" in whats
    assert whats.count("part of enclosing function large") == 2
    assert "part of the enclosing function `large` (lines 3-203)" in packed.omitted
    check([(snapshot, None)], packed, 30)


def test_a_whole_file_that_does_not_fit() -> None:
    """Docstring, imports and every signature with its docstring's first line; then bodies in order."""
    functions = "".join(f'def f{i}(a):\n    """Does {i}.\n    More.\n    """\n' + "    a += 1\n" * 9 for i in range(9))
    snapshot = snapshot_of(f'"""About."""\nimport os\n{functions}')
    packed = pack([(snapshot, None)], 90, words)
    text = "\n".join(block.text for block in packed.blocks)
    assert '"""About."""\nimport os\ndef f0(a):' in text
    assert "def f8(a)  # Does 8." in text
    assert "body of function `f8` (lines 107-119)" in packed.omitted
    check([(snapshot, None)], packed, 90)


def test_other_places_get_what_is_left() -> None:
    """The first place is served first; a file without room is named."""
    other = snapshot_of("def late(): pass\n" * 50, uri="file:///b.py")
    packed = pack([(PYTHON, None), (other, None)], words(PYTHON.text), words)
    assert {block.uri for block in packed.blocks} == {PYTHON.uri}
    assert packed.omitted == ("all of b.py (no room left)",)


def test_two_places_in_one_file_do_not_overlap() -> None:
    """Two selections of one file share its blocks, in source order."""
    places = [(PYTHON, at(PYTHON, "return 2 * x")), (PYTHON, at(PYTHON, "limit = 3"))]
    packed = pack(places, 25, words)
    assert [what for what, _, _ in seen(packed)].count("selection") == 2
    check(places, packed, 25)


def test_text_without_structure() -> None:
    """Where nothing can be parsed the lines around the selection are shown, and the reason is given."""
    snapshot = snapshot_of("".join(f"line {i}\n" for i in range(100)), "plaintext", "file:///notes")
    packed = pack([(snapshot, at(snapshot, "line 50"))], 10, words)
    assert seen(packed) == [
        ("lines around the selection", 49, 50),
        ("selection", 51, 51),
        ("lines around the selection", 52, 53),
    ]
    assert packed.omitted[0] == "the structure of notes (the language is not known)"
    assert seen(pack([(snapshot, None)], 10, words)) == [("beginning of the file", 1, 5)]


def test_a_line_too_long_is_cut() -> None:
    """Of one line that does not fit the part around the selection is shown, and it is said."""
    snapshot = snapshot_of("x" * 5000 + "HERE" + "y" * 5000, "plaintext")
    packed = pack([(snapshot, at(snapshot, "HERE"))], 40, len)
    assert len(packed.blocks) == 1
    assert packed.blocks[0].text == "x" * 20 + "HERE" + "y" * 16
    assert "part of a long line in untitled:x (line 1)" in packed.omitted


def test_no_room_and_no_text() -> None:
    """No budget gives no block and says so; an empty file has nothing to show and nothing to leave out."""
    assert pack([(PYTHON, None)], 0, words) == Packed((), ("all of python.py (no room left)",), 0)
    assert pack([(snapshot_of(""), None)], 10, words) == Packed((), (), 0)
    assert pack([], 10, words) == Packed((), (), 0)


def test_many_omissions_are_summed_up() -> None:
    """Past the limit the things left out are only counted."""
    snapshot = snapshot_of("".join(f"def f{i}():\n    return {i}\n" for i in range(100)))
    packed = pack([(snapshot, None)], 20, words)
    assert len(packed.omitted) == 21
    assert packed.omitted[-1].endswith(" more")


def test_a_joined_block_that_counts_more_gives_up_the_last_piece() -> None:
    """A tokenizer for which the whole is more than its parts does not break the budget."""

    def spiteful(text: str) -> int:
        return len(text.split("\n")) ** 2

    packed = pack([(PYTHON, None)], 30, spiteful)
    assert 0 < packed.tokens == sum(spiteful(block.text) for block in packed.blocks) <= 30


def test_count_is_asked_once_for_each_text() -> None:
    """A real tokenizer costs: no text is counted twice, and there are few."""
    asked: list[str] = []

    def count(text: str) -> int:
        asked.append(text)
        return words(text)

    pack([(PYTHON, at(PYTHON, "import late"))], 60, count)
    assert len(asked) == len(set(asked)) < 40


_LINES = st.sampled_from(
    [
        "",
        "import os",
        "def f(a, b):",
        "    return a + b",
        "class A:",
        "    def m(self):",
        "        x = 1",
        "# note",
        "😀 é",
    ]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(_LINES, max_size=40), st.integers(-1, 60), st.data())
def test_the_budget_holds(lines: list[str], budget: int, data: st.DataObject) -> None:
    """Random files, selections and budgets: never over, never overlapping, always in order."""
    text = data.draw(st.sampled_from(["\n", "\r\n"])).join(lines)
    snapshot = snapshot_of(text)
    start = data.draw(st.integers(0, len(text)))
    span = data.draw(st.sampled_from([None, Span(start, start), Span(start, min(len(text), start + 30))]))
    places = [(snapshot, span), (PYTHON, None)]
    check(places, pack(places, budget, words), budget)


@settings(max_examples=60, deadline=None)
@given(st.lists(_LINES, max_size=30), st.integers(0, 40), st.integers(0, 10_000))
def test_a_larger_budget_shows_no_less(lines: list[str], budget: int, place: int) -> None:
    """One more token of room never gives fewer tokens of context."""
    text = "\n".join(lines)
    snapshot = snapshot_of(text)
    for span in (None, Span(place % (len(text) + 1), place % (len(text) + 1))):
        less, more = (pack([(snapshot, span)], room, words).tokens for room in (budget, budget + 1))
        assert less <= more


_HELPERS = snapshot_of(
    'import re\n\nclass Text:\n    """A text."""\n\n    def words(self): ...\n\n'
    'def helper(a):\n    """Helps."""\n    return a\n',
    uri="file:///w/helpers.py",
)
_MAIN = snapshot_of(
    "from helpers import helper\n"
    + "".join(f"\ndef filler{i}(a):\n    return [a, a, a, a, a, a, {i}]\n" for i in range(9))
    + "\ndef main(x):\n    return filler0(helper(x))\n\ndef late(y):\n    return main(y)\n",
    uri="file:///w/main.py",
)


def related(snapshot: Snapshot, name: str) -> Related:
    found = next(symbol for symbol in symbols(snapshot) if symbol.name == name)
    return Related(snapshot, found, f"definition of {name}")


def test_what_it_uses_comes_before_what_stands_nearby() -> None:
    """Callers, definitions in the file and in others; of neighbours only what is left."""
    gathered = Gathered((related(_HELPERS, "helper"),))
    packed = pack([(_MAIN, at(_MAIN, "return filler0(helper(x))"))], 60, words, gathered)
    whats = " ".join(what for what, _, _ in seen(packed))
    assert "caller of main" in whats
    assert "definition of filler0" in whats
    assert [(block.uri, block.what) for block in packed.blocks][-1] == ("file:///w/helpers.py", "definition of helper")
    assert "neighbour function `filler1` (lines 6-7)" in packed.omitted
    check([(_MAIN, None), (_HELPERS, None)], packed, 60)


def test_a_definition_without_room_is_a_line_or_a_sentence() -> None:
    """First its signature, with those inside it; with no room at all it is named."""
    gathered = Gathered((related(_HELPERS, "Text"),))
    place = [(_MAIN, at(_MAIN, "return filler0(helper(x))"))]
    packed = pack(place, 28, words, gathered)
    assert packed.blocks[-1].text == "class Text  # A text.\n    def words(self)"
    assert "definition of Text in helpers.py (lines 3-6)" in packed.omitted
    assert "definition of Text in helpers.py (lines 3-6)" in pack(place, 1, words, gathered).omitted


def test_a_large_file_leaves_a_third_for_definitions() -> None:
    """The file of the place does not starve them, though all of it would fit."""
    size = words(_MAIN.text)
    packed = pack([(_MAIN, at(_MAIN, "return main"))], size, words, Gathered((related(_HELPERS, "helper"),)))
    assert "definition of helper" in [block.what for block in packed.blocks]


def test_diagnostics_at_the_place() -> None:
    """Only those on its lines and its enclosing symbol's, last, on a line each, with who says it."""
    said = tuple(
        Diagnostic(at(_MAIN, text), message, code, source)
        for text, message, code, source in [
            ("main(x)", "first\nline", "E1", "ruff"),
            ("helper(x)", "second", "", ""),
            ("filler1", "elsewhere", "", ""),
        ]
    )
    packed = pack([(_MAIN, at(_MAIN, "filler0(helper"))], 500, words, Gathered(diagnostics=said))
    last = packed.blocks[-1]
    assert (last.what, last.label) == ("diagnostics", "main.py lines 30-31")
    assert last.text == "line 30: first line (ruff E1)\nline 31: second"
    assert packed.tokens == sum(words(block.text) for block in packed.blocks)
    assert "diagnostics" not in [what for what, _, _ in seen(pack([(_MAIN, None)], 8, words, Gathered((), said)))]


def test_secrets_are_counted_and_never_shown() -> None:
    """Wherever they stand: in the file, in a definition elsewhere, in what a tool says about them."""
    first = snapshot_of(
        'password = "hunter2x"\n\ndef login():\n    return send("hunter2x")\n', uri="file:///w/config.py"
    )
    other = snapshot_of('def send(a):\n    check("hunter2x", token="abc123def456")\n', uri="file:///w/send.py")
    gathered = Gathered(
        (related(other, "send"),),
        (Diagnostic(at(first, "send"), "Hardcoded password: 'hunter2x'"),),
        ("not all of it",),
    )
    packed = pack([(first, at(first, "send"))], 200, words, gathered)
    text = "\n".join(block.text for block in packed.blocks)
    assert "hunter2x" not in text
    assert "abc123def456" not in text
    assert text.count("[secret 1]") == 4
    assert packed.omitted[:2] == ("2 secret-looking strings in config.py", "2 secret-looking strings in send.py")
    assert packed.omitted[-1] == "not all of it"


_PLANTED = st.sampled_from([(secret, line) for secret in SECRETS for line in planted(secret)])


@settings(max_examples=150, deadline=None)
@given(st.lists(_LINES, max_size=20), st.lists(_PLANTED, min_size=1, max_size=3), st.integers(0, 120), st.data())
def test_a_planted_secret_is_in_no_prompt(
    lines: list[str], plants: list[tuple[str, str]], budget: int, data: st.DataObject
) -> None:
    """Whatever the place, the budget, and where it is planted: neither it nor half of it is shown."""
    for _, line in plants:
        lines = [*lines]
        lines.insert(data.draw(st.integers(0, len(lines))), line)
    snapshot = snapshot_of("\n".join(lines), uri="file:///w/x.py")
    start = data.draw(st.integers(0, len(snapshot.text)))
    span = data.draw(st.sampled_from([None, Span(start, start), Span(start, min(len(snapshot.text), start + 30))]))
    related_ = tuple(Related(snapshot, one, f"definition of {one.name}") for one in symbols(snapshot))
    said = (Diagnostic(Span(start, start), f"found {plants[0][0]}"),)
    count = data.draw(st.sampled_from([words, len]))
    for places in ([(snapshot, span)], [(PYTHON, None), (snapshot, span)]):
        packed = pack(places, budget, count, Gathered(related_, said))
        assert packed.tokens == sum(count(block.text) for block in packed.blocks) <= budget
        text = "\n".join(block.text for block in packed.blocks)
        for secret, _ in plants:
            assert secret[: max(6, len(secret) // 2)] not in text


@pytest.mark.performance
def test_speed_of_packing() -> None:
    """Prints what packing 10,000 lines around a cursor costs without the tokenizer."""
    snapshot = snapshot_of("".join(f"def f{i}(a):\n    '''Doc.'''\n    return {i}\n\n\n" for i in range(2000)))
    started = time.perf_counter()
    packed = pack([(snapshot, Span(90_000, 90_000))], 3000, words)
    print(f"{packed.tokens} tokens in {(time.perf_counter() - started) * 1e3:.0f} ms")
    assert packed.blocks


@pytest.mark.parametrize("place", [None, Span(5, 5)])
def test_code_as_deep_as_it_likes(place: Span | None) -> None:
    """A thousand definitions in each other are shown, as far as there is room, and what is missing is said."""
    text = "\n".join(" " * depth + f"def f{depth}():" for depth in range(1_000)) + "\n"
    packed = pack([(snapshot_of(text), place)], 200, lambda part: len(part) // 4 + 1)
    assert packed.blocks
    assert packed.omitted
