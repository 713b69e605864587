from __future__ import annotations

import random
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from leanvibe_lsp.assist.units import units_of
from leanvibe_lsp.core.text import LineIndex, Span
from leanvibe_lsp.documents.snapshot import Snapshot

TEXT = '''"""A module."""
import os

LIMIT = os.cpu_count()


@cached
def f(a):
    def inner():
        return a
    return inner


class Box:
    """A box."""

    size = 3

    def put(self, thing):
        self.thing = thing
# the end
print(f(LIMIT))
'''


def snapshot_of(text: str = TEXT) -> Snapshot:
    return Snapshot("file:///project/a.py", Path("/project/a.py"), "python", 1, text, LineIndex(text))


def named(spans: list[Span] | None = None, text: str = TEXT) -> list[tuple[str, str]]:
    """Names and first lines."""
    return [
        (unit.name, text[unit.span.start : unit.span.end].splitlines()[0])
        for unit in units_of(snapshot_of(text), spans)
    ]


def test_a_document_is_its_functions_and_what_stands_outside() -> None:
    """A function in a function belongs to it; imports, docstrings, comments and class headers are no code to judge."""
    assert named() == [
        ("line 4", "LIMIT = os.cpu_count()"),
        ("'f'", "@cached"),
        ("line 17", "    size = 3"),
        ("'Box.put'", "    def put(self, thing):"),
        ("line 22", "print(f(LIMIT))"),
    ]


def test_a_span_is_the_functions_that_it_touches() -> None:
    """A cursor in a nested one means the whole; two functions are two pieces."""
    at = TEXT.index("return a")
    assert named([Span(at, at)]) == [("'f'", "@cached")]
    assert [name for name, _ in named([Span(at, TEXT.index("self.thing"))])] == ["'f'", "line 17", "'Box.put'"]


def test_a_span_outside_is_its_own_lines() -> None:
    """Whole lines, of which a part was selected."""
    at = TEXT.index("cpu_count")
    assert named([Span(at, at + 3)]) == [("line 4", "LIMIT = os.cpu_count()")]
    assert named([Span(TEXT.index("import"), TEXT.index("import") + 3)]) == []


def test_nothing_is_nothing() -> None:
    """An empty document, and one of comments."""
    assert named(text="") == []
    assert named(text="# nothing\n\n") == []


@given(st.integers(0, 1 << 30), st.booleans())
def test_pieces_do_not_overlap_and_stay_inside(seed: int, whole: bool) -> None:
    """Whatever is cut out of the text, and wherever the spans lie."""
    draw = random.Random(seed)
    lines = TEXT.splitlines(keepends=True)
    text = "".join(line for line in lines if draw.random() < 0.8)
    ends = sorted(draw.randrange(len(text) + 1) for _ in range(2)) if text else [0, 0]
    units = units_of(snapshot_of(text), None if whole else [Span(*ends)])
    at = 0
    for unit in units:
        assert at <= unit.span.start <= unit.mark.start <= unit.mark.end <= unit.span.end <= len(text)
        assert text[unit.span.start : unit.span.end].strip()
        at = unit.span.end
