"""What the store remembers of the edits that led to a document."""

from __future__ import annotations

import gc

from hypothesis import given, settings
from hypothesis import strategies as st

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.edits import TextEdit, applied
from leanvibe_lsp.core.text import Encoding, Position, Span
from leanvibe_lsp.documents.store import Change, DocumentStore

_URI = "untitled:x"


def _insert(text: str, line: int, character: int) -> Change:
    return Change(text, Position(line, character), Position(line, character))


def _change(store: DocumentStore, version: int, *changes: Change) -> None:
    store.change(_URI, version, changes, Encoding.UTF16)


def test_the_edits_since_a_snapshot_lead_to_the_text_of_today() -> None:
    """One edit for each change of each notification, each of the text the one before left."""
    store = DocumentStore()
    first = store.open(_URI, "python", 1, "ab\r\ncd")
    assert store.edits_since(first) == ()
    _change(store, 2, _insert("X", 0, 1), _insert("Y", 1, 9))
    second = store.get(_URI)
    _change(store, 3, Change("new"))
    assert store.edits_since(first) == (
        TextEdit(Span(1, 1), "X"),
        TextEdit(Span(7, 7), "Y"),
        TextEdit(Span(0, 8), "new"),
    )
    assert second is not None
    assert store.edits_since(second) == (TextEdit(Span(0, 8), "new"),)


def test_halves_of_a_character_that_meet_are_one_edit() -> None:
    """An edit that completes a surrogate pair is remembered as the replacement that it is."""
    store = DocumentStore()
    first = store.open(_URI, "", 1, "a\ud83d")
    _change(store, 2, _insert("\ude00", 0, 2))
    edits = store.edits_since(first)
    assert edits == (TextEdit(Span(1, 2), "😀"),)


def test_what_is_not_known_is_none() -> None:
    """Closed, opened anew, edited too often, or another store's: no edits are better than wrong ones."""
    store = DocumentStore()
    first = store.open(_URI, "python", 1, "ab")
    assert DocumentStore().edits_since(first) is None
    for version in range(limit("document.journal_edits") + 1):
        _change(store, version + 2, _insert("x", 0, 0))
    assert store.edits_since(first) is None
    last = store.get(_URI)
    assert last is not None
    assert store.edits_since(last) == ()
    store.open(_URI, "python", 1, last.text)
    assert store.edits_since(last) is None
    store.close(_URI)
    assert store.edits_since(last) is None


def test_texts_nobody_holds_are_let_go() -> None:
    """The journal keeps edits, not the texts between them; a snapshot somebody holds is still found."""
    store = DocumentStore()
    first = store.open(_URI, "python", 1, "ab")
    _change(store, 2, _insert("x", 0, 0))
    _change(store, 3, _insert("y", 0, 0))
    gc.collect()
    entry = store._open[_URI]
    assert [lines() is not None for lines, _ in entry.journal] == [True, False]
    assert len(store.edits_since(first) or ()) == 2


_PLACES = st.tuples(st.integers(0, 4), st.integers(0, 6))
_CHANGES = st.one_of(
    st.builds(Change, st.text("ab\r\n😀\ud83d\ude00", max_size=5)),
    st.builds(
        lambda text, start, end: Change(text, Position(*start), Position(*end)),
        st.text("ab\r\n😀\ud83d\ude00", max_size=5),
        _PLACES,
        _PLACES,
    ),
)


@given(st.text("ab\r\n😀", max_size=12), st.lists(st.lists(_CHANGES, min_size=1, max_size=3), max_size=5))
@settings(max_examples=300, deadline=None)
def test_the_edits_applied_in_turn_are_the_document(text: str, notifications: list[list[Change]]) -> None:
    """From every earlier snapshot, whatever a client sends."""
    store = DocumentStore()
    snapshots = [store.open(_URI, "", 0, text)]
    for version, changes in enumerate(notifications, 1):
        snapshots.append(store.change(_URI, version, changes, Encoding.UTF16))
    for snapshot in snapshots:
        edits = store.edits_since(snapshot)
        assert edits is not None
        reached = snapshot.text
        for one in edits:
            reached = applied(reached, (one,))
        assert reached == snapshots[-1].text


def test_edits_that_nobody_can_ask_for_are_forgotten() -> None:
    """Of the edits before the oldest text that somebody still has, nothing is kept; of those since, everything."""
    store = DocumentStore()
    store.open(_URI, "python", 1, "ab")
    for version in range(2, 12):
        _change(store, version, _insert("x", 0, 0))
    held = store.get(_URI)
    assert held is not None
    for version in range(12, 20):
        _change(store, version, _insert("y", 0, 0))
    assert store.edits_since(held) == (TextEdit(Span(0, 0), "y"),) * 8
    assert len(store._open[_URI].journal) == 8
    _change(store, 20)  # no edit at all
    assert store.edits_since(held) == (TextEdit(Span(0, 0), "y"),) * 8
