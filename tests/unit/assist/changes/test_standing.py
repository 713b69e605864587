from __future__ import annotations

import pytest

from leanvibe_lsp.assist.answer import Place
from leanvibe_lsp.assist.changes.documenting import documenting
from leanvibe_lsp.assist.changes.mending import mended
from leanvibe_lsp.assist.changes.rewriting import rewriting
from leanvibe_lsp.assist.changes.standing import standing
from leanvibe_lsp.assist.changes.values import ChangeKind, ChangeRequest, Complaint
from leanvibe_lsp.config.settings import EditorSettings
from leanvibe_lsp.core.text import LineIndex, Span
from leanvibe_lsp.documents.snapshot import Snapshot

TEXT = """import os

limit = 3

@cache
def outer(a):
    n = a
    def inner():
        return n
    return inner

other = 4
"""


def stands(part: str, text: str = TEXT) -> str:
    snapshot = Snapshot("file:///a.py", None, "python", 1, text, LineIndex(text))
    start = text.index(part)
    span = standing(snapshot, Span(start, start + len(part)))
    return text[span.start : span.end]


@pytest.mark.parametrize("part", ["@cache", "n = a", "return n", "    def inner():\n        return n", "n = a\n"])
def test_all_of_a_routine_stands_with_the_empty_lines_around_it(part: str) -> None:
    """The outermost one: what is in it may use its names."""
    assert stands(part) == TEXT[TEXT.index("\n@cache") : TEXT.index("other")]


def test_what_is_in_no_routine_stands_alone() -> None:
    """Whole lines, to the text's ends."""
    assert stands("limit") == "\nlimit = 3\n\n"
    assert stands("other") == "\nother = 4\n"
    assert stands("x", "x = 1") == "x = 1"


def test_every_change_says_what_it_was_judged_with() -> None:
    """A rewrite and a docstring all of their routine, and a rule's own fix too."""
    text = "def f(a):\n    n = f'abc'\n    return n\n"
    snapshot = Snapshot("file:///a.py", None, "python", 1, text, LineIndex(text))
    place, whole = Place(snapshot, Span(14, 14)), Span(0, len(text))
    answer = "```python\ndef f(a):\n    n = f'xyz'\n    return n\n```"
    rewrite = rewriting(ChangeRequest(ChangeKind.REWRITE, place, "Say xyz.")).judge(answer).file
    document = (
        documenting(ChangeRequest(ChangeKind.DOCUMENT, place)).judge('{"docstring": "Give the letters back."}').file
    )
    rule, at = "python/f-string-without-placeholder", text.index("f'abc'")
    complaint = Complaint(Span(at, at + 6), "m", rule, "leanvibe", rule)
    made = mended(ChangeRequest(ChangeKind.FIX, place, complaint=complaint), EditorSettings())
    assert rewrite is not None
    assert document is not None
    assert made is not None
    assert [rewrite.region, document.region, made.files[0].region] == [whole, whole, whole]
