from __future__ import annotations

import random
from collections import Counter
from time import thread_time

from leanvibe_lsp.core.edits import TextEdit, applied
from leanvibe_lsp.core.rebase import rebased
from leanvibe_lsp.core.text import Encoding, Span
from leanvibe_lsp.documents.store import Change, DocumentStore

_PIECES = ("a", "b", "foo", " ", "\r\n", "\n", "👩‍💻", "é", "    ", "def f():\r\n", "}")
_URI = "untitled:x"


def edit(start: int, end: int, text: str) -> TextEdit:
    return TextEdit(Span(start, end), text)


def _text(draw: random.Random, most: int) -> str:
    return "".join(draw.choice(_PIECES) for _ in range(draw.randrange(most)))


def _span(draw: random.Random, length: int, most: int) -> Span:
    start = draw.randrange(length + 1)
    return Span(start, min(length, start + draw.randrange(most)))


def _pending(draw: random.Random, length: int) -> tuple[TextEdit, ...]:
    """One to three edits side by side."""
    at = draw.randrange(length + 1)
    edits: list[TextEdit] = []
    for _ in range(draw.randrange(1, 4)):
        end = min(length, at + draw.randrange(8))
        edits.append(edit(at, end, _text(draw, 5)))
        at = min(length, end + draw.randrange(1, 6))
    return tuple(edits)


def _typed(store: DocumentStore, draw: random.Random, marks: list[int | None]) -> None:
    """One didChange of one or two edits, by ranges or as a whole; `marks` has the same done to it."""
    snapshot = store.get(_URI)
    assert snapshot is not None
    lines = snapshot.lines
    changes: list[Change] = []
    for _ in range(draw.randrange(1, 3)):
        span, text = _span(draw, len(lines.text), 6), _text(draw, 4)
        changed = lines.edited(span, text)
        if draw.random() < 0.15:
            changes.append(Change(changed.text))
        else:
            ends = [lines.position(at, Encoding.UTF16) for at in (span.start, span.end)]
            changes.append(Change(text, *ends))
            # A position never stands inside a line ending: the client means the place before it.
            span = Span(*(lines.offset(end, Encoding.UTF16) for end in ends))
            changed = lines.edited(span, text)
        _mark(marks, lines.text[span.start : span.end], text, span.start)
        lines = changed
    store.change(_URI, (snapshot.version or 0) + 1, changes, Encoding.UTF16)


def _mark(marks: list[int | None], old: str, new: str, at: int) -> None:
    """Replace `old` by `new`; what both begin and end with was not touched."""
    head = _shared(old, new)
    tail = _shared(old[head:][::-1], new[head:][::-1])
    marks[at + head : at + len(old) - tail] = [None] * (len(new) - head - tail)


def _shared(one: str, other: str) -> int:
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def test_2000_interleavings_never_corrupt_a_buffer() -> None:
    """Refused, or exactly the replacement that was meant, at the place its text has moved to; often carried."""
    draw, seen = random.Random(2_000), Counter[str]()
    for _ in range(2_000):
        store = DocumentStore()
        before = store.open(_URI, "python", 1, _text(draw, 60))
        pending = _pending(draw, len(before.text))
        marks: list[int | None] = list(range(len(before.text)))
        for _ in range(draw.randrange(6)):
            _typed(store, draw, marks)
        now, since = store.get(_URI), store.edits_since(before)
        assert now is not None
        assert since is not None
        assert len(marks) == len(now.text)
        carried = rebased(before.text, pending, since)
        if carried is None:
            seen["refused"] += 1
            assert since
            continue
        seen["moved" if carried != pending else "stayed"] += 1
        _check(before.text, pending, marks, now.text, carried)
    assert seen["moved"] > 300
    assert seen["stayed"] > 300


def _check(
    before: str,
    pending: tuple[TextEdit, ...],
    marks: list[int | None],
    now: str,
    carried: tuple[TextEdit, ...],
) -> None:
    start, end = pending[0].span.start, pending[-1].span.end
    to_start, to_end = carried[0].span.start, carried[-1].span.end
    assert now[to_start:to_end] == before[start:end]
    assert [one.text for one in carried] == [one.text for one in pending]
    # What stands there is what stood there, but for what was taken away and written again.
    assert all(mark in (None, at) for mark, at in zip(marks[to_start:to_end], range(start, end), strict=True))
    merged = applied(now, carried)
    inner = applied(before[start:end], [edit(o.span.start - start, o.span.end - start, o.text) for o in pending])
    assert merged == now[:to_start] + inner + now[to_end:]
    if start == end and 0 < start < len(before):  # an insertion stays between its neighbours
        assert marks[to_start - 1 : to_start + 1] == [start - 1, start]


def test_a_change_that_touches_is_refused() -> None:
    """Right before, right behind and inside are refused; one character further away it is carried."""
    pending = (edit(4, 7, "NEW"),)
    for change in (edit(4, 4, "x"), edit(7, 7, "x"), edit(5, 6, ""), edit(0, 4, ""), edit(0, 9, "z")):
        assert rebased("abc def ghi", pending, (change,)) is None
    assert rebased("abc def ghi", pending, (edit(3, 3, "xy"),)) == (edit(6, 9, "NEW"),)
    assert rebased("abc def ghi", pending, (edit(8, 8, "xy"),)) == pending
    assert rebased("abc def ghi", pending, (edit(0, 3, ""), edit(0, 0, "two"))) == pending


def test_the_lines_between_two_edits_belong_to_them() -> None:
    """Edits that were checked together are refused when something between them changed."""
    assert rebased("a b c d e", (edit(0, 1, "x"), edit(8, 9, "y")), (edit(4, 5, "z"),)) is None


def test_the_whole_document_sent_again_counts_for_what_differs() -> None:
    """A client that sends everything with every key is served like one that sends ranges."""
    pending = (edit(4, 7, "NEW"),)
    assert rebased("abc def ghi", pending, (edit(0, 11, "abc def ghi"),)) == pending
    assert rebased("abc def ghi", pending, (edit(0, 11, "a-c def ghi"),)) == pending
    assert rebased("abc def ghi", pending, (edit(0, 11, "-abc def ghi"),)) == (edit(5, 8, "NEW"),)
    assert rebased("abc def ghi", pending, (edit(0, 11, "abc d-f ghi"),)) is None


def test_one_more_of_the_same_lines_is_refused() -> None:
    """Which of two equal lines is new cannot be told, and the edit is about one of them."""
    assert rebased("a\nT\nb\n", (edit(2, 3, "U"),), (edit(0, 6, "a\nT\nT\nb\n"),)) is None


def test_one_less_of_the_same_characters_is_refused() -> None:
    """Which of three equal characters went cannot be told, and the edit is about the first."""
    assert rebased("aaa", (edit(0, 1, "b"),), (edit(0, 3, "aa"),)) is None
    assert rebased("abab", (edit(3, 4, "c"),), (edit(0, 4, "ab"),)) is None


def test_what_the_edits_were_judged_in_belongs_to_them() -> None:
    """A change in the region is refused though it is far from the edits; one behind it moves nothing."""
    text = "def f(a):\n    n = a\n    go()\n    return a\n\n\nx = 1\n"
    pending, region = (edit(14, 24, ""),), Span(0, text.index("x = 1"))
    typed = edit(text.index("    return"), text.index("    return"), "    print(n)\n")
    assert rebased(text, pending, (typed,)) == pending
    assert rebased(text, pending, (typed,), region) is None
    assert rebased(text, pending, (edit(len(text), len(text), "y = 2\n"),), region) == pending
    assert rebased("\n" + text, (edit(15, 25, ""),), (edit(0, 0, "#"),), Span(2, 30)) == (edit(16, 26, ""),)


def test_what_was_typed_and_taken_back_is_no_change() -> None:
    """By keys, by an undo of what was deleted, and by a client that sends everything."""
    pending, text = (edit(4, 7, "NEW"),), "abc def ghi"
    for there, back in (
        (edit(5, 5, "x"), edit(5, 6, "")),
        (edit(5, 6, ""), edit(5, 5, "e")),
        (edit(7, 7, "x"), edit(7, 8, "")),
        (edit(0, 11, "abc dxef ghi"), edit(0, 12, text)),
        (edit(5, 5, "x"), edit(0, 12, text)),
    ):
        assert rebased(text, pending, (there,)) is None
        assert rebased(text, pending, (there, back)) == pending
    between = (edit(5, 5, "x"), edit(0, 0, "--"), edit(7, 8, ""))
    assert rebased(text, pending, between) == (edit(6, 9, "NEW"),)


def test_empty_lines_around_the_region_are_no_part_of_it() -> None:
    """One more or one less is passed over; words on them, and an indent of what follows, are not."""
    text = "import os\n\n\ndef f(a):\n    return a\n\n\nx = 1\n"
    start, end = text.index("def"), text.index("x = 1")
    pending, region = (edit(start + 4, start + 5, "g"),), Span(text.index("\n\n\n") + 1, end)
    behind = text.index("return a\n") + len("return a\n")
    moved = (edit(start + 5, start + 6, "g"),)
    assert rebased(text, pending, (edit(start - 1, start - 1, "\n"),), region) == moved
    assert rebased(text, pending, (edit(start, start, "\n"),), region) == moved
    assert rebased(text, pending, (edit(start - 1, start, ""),), region) == (edit(start + 3, start + 4, "g"),)
    for change in (edit(behind, behind, "\n"), edit(behind, behind + 1, ""), edit(behind, behind, "    \n")):
        assert rebased(text, pending, (change,), region) == pending
    for change in (
        edit(start - 1, start - 1, "@cache"),
        edit(start, start, " "),
        edit(behind, behind, "    go()\n"),
        edit(end, end, "    "),
        edit(behind - 1, end, ""),
    ):
        assert rebased(text, pending, (change,), region) is None
    assert rebased(text, (edit(behind, behind, "y = 1\n"),), (edit(behind, behind, "\n"),), region) is None


def test_a_line_that_goes_on_is_not_parted_from_what_follows() -> None:
    """An empty line behind a backslash belongs to the line before it."""
    text = "def f():\n    a = 1 + \\\n\nx = 1\n"
    region = Span(0, text.index("x = 1"))
    assert rebased(text, (edit(4, 5, "g"),), (edit(region.end - 1, region.end, ""),), region) is None


def test_a_large_text_is_not_copied_for_each_key() -> None:
    """A thousand keys, or two hundred whole documents, far from the edits cost the event loop next to nothing."""
    text = "x = 1  # some line of code\n" * 40_000
    pending = (edit(500_000, 500_005, "zzzzz"),)
    keys = [edit(len(text) - 10 + number, len(text) - 10 + number, "a") for number in range(1_000)]
    wholes = [edit(0, len(text) + number, f"{text}{'a' * (number + 1)}") for number in range(50)]
    for since in (keys, wholes):
        began = thread_time()
        assert rebased(text, pending, since) == pending
        assert thread_time() - began < 0.05
