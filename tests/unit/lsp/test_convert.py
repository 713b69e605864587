from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from lsprotocol import types

from leanvibe_lsp.core.text import Encoding, LineIndex, Position, Span
from leanvibe_lsp.documents.store import Change
from leanvibe_lsp.lsp.convert import encoding_of, to_changes, to_range, to_span


@given(st.text(alphabet="ab\n𝒻é"), st.integers(0, 30), st.integers(0, 30), st.sampled_from(Encoding))
def test_spans_survive_the_round_trip(text: str, one: int, other: int, encoding: Encoding) -> None:
    """A span that becomes a range and comes back is the same, in every encoding."""
    start, end = sorted((min(one, len(text)), min(other, len(text))))
    lines = LineIndex(text)
    assert to_span(to_range(Span(start, end), lines, encoding), lines, encoding) == Span(start, end)


def test_a_range_given_backwards_is_turned_round() -> None:
    """start and end in the wrong order mean the same range."""
    backwards = types.Range(types.Position(1, 0), types.Position(0, 1))
    assert to_span(backwards, LineIndex("ab\ncd"), Encoding.UTF16) == Span(1, 3)


def test_changes_of_both_kinds() -> None:
    """A ranged edit has both positions, a whole text none."""
    at = types.Position(0, 1)
    params = types.DidChangeTextDocumentParams(
        types.VersionedTextDocumentIdentifier(version=2, uri="file:///a"),
        [
            types.TextDocumentContentChangePartial(types.Range(at, at), "x"),
            types.TextDocumentContentChangeWholeDocument("all"),
        ],
    )
    assert to_changes(params) == [Change("x", Position(0, 1), Position(0, 1)), Change("all")]


def test_encoding_names() -> None:
    """LSP's kinds and plain strings are both understood."""
    assert encoding_of(types.PositionEncodingKind.Utf8) is Encoding.UTF8
    assert encoding_of("utf-32") is Encoding.UTF32
