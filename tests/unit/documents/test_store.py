from __future__ import annotations

import gc
import json
import weakref
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leanvibe_lsp.core.text import Encoding, LineIndex, Position
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.documents.store import Change, DocumentStore
from leanvibe_lsp.errors import UsageError
from tests.support import utf16_reference as reference

ROOT = Path(__file__).parents[3]
VISIBLE = next(
    (
        path
        for folder in (ROOT.parent, ROOT)
        if (path := folder / "shared/eval/lsp/sync_traces_visible.jsonl").is_file()
    ),
    None,
)
URI = "untitled:trace"


def _read(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


OWN = _read(ROOT / "tests/cases/sync/random.jsonl")


def _changes(version: dict) -> list[Change]:
    changes = []
    for change in version["contentChanges"]:
        ends = [Position(**change["range"][key]) for key in ("start", "end")] if "range" in change else [None, None]
        changes.append(Change(change["text"], *ends))
    return changes


def _replay(trace: dict, encoding: Encoding) -> Snapshot:
    """Replay a UTF-16 trace to a client of another encoding: each range is converted in the text it is about."""
    theirs, ours = DocumentStore(), DocumentStore()
    theirs.open(URI, "", 0, trace["open"])
    ours.open(URI, "", 0, trace["open"])
    for version in trace["changes"]:
        for change in _changes(version):
            lines = _get(theirs).lines
            ends = (
                None if end is None else lines.position(lines.offset(end, Encoding.UTF16), encoding)
                for end in (change.start, change.end)
            )
            theirs.change(URI, version["version"], [change], Encoding.UTF16)
            ours.change(URI, version["version"], [Change(change.text, *ends)], encoding)
    return _get(ours)


def _get(store: DocumentStore) -> Snapshot:
    snapshot = store.get(URI)
    assert snapshot is not None
    return snapshot


def _check(trace: dict) -> None:
    store = DocumentStore()
    store.open(URI, "", 0, trace["open"])
    for version in trace["changes"]:
        store.change(URI, version["version"], _changes(version), Encoding.UTF16)
    snapshot = _get(store)
    assert snapshot.text == trace["final"]
    assert snapshot.lines.line_count == trace["lineCount"]
    assert snapshot.version == trace["changes"][-1]["version"]
    for probe in trace["probes"]:
        position = Position(**probe["position"])
        assert snapshot.lines.client_position(probe["offset_utf16"], Encoding.UTF16) == position
        assert snapshot.lines.client_offset(position, Encoding.UTF16) == probe["offset_utf16"]
    for encoding in (Encoding.UTF8, Encoding.UTF32):
        assert _replay(trace, encoding).text == trace["final"]


@pytest.mark.skipif(VISIBLE is None, reason="../shared/eval is not here; put sync_traces_visible.jsonl there to run it")
def test_microsofts_traces_come_out_exactly() -> None:
    """300 editing sessions end as vscode-languageserver-textdocument ends them, in all three encodings."""
    assert VISIBLE is not None
    traces = _read(VISIBLE)
    assert len(traces) == 300
    for trace in traces:
        _check(trace)


@pytest.mark.parametrize("trace", OWN, ids=lambda trace: str(trace["id"]))
def test_own_traces_come_out_exactly(trace: dict) -> None:
    """Editing sessions of our own end as walking over UTF-16 code units ends them, in all three encodings."""
    _check(trace)


def test_own_traces_are_what_the_reference_makes() -> None:
    """The committed traces and the reference implementation agree, so neither has drifted."""
    for trace in OWN:
        now = reference.units(trace["open"])
        for version in trace["changes"]:
            for change in version["contentChanges"]:
                now = reference.apply(now, change)
        assert (reference.text_of(now), len(reference.lines(now))) == (trace["final"], trace["lineCount"])


_text = st.text(st.one_of(st.sampled_from("\r\n\r\nab é😀漢\u2028"), st.sampled_from("\ud83d\ude00")), max_size=20)
_place = st.builds(Position, st.integers(0, 6), st.integers(0, 25))
_change = st.one_of(st.builds(Change, _text), st.builds(Change, _text, _place, _place))


@settings(max_examples=300)
@given(_text, st.lists(_change, max_size=6), st.sampled_from(Encoding))
def test_random_edits_agree_with_the_reference(text: str, changes: list[Change], encoding: Encoding) -> None:
    """Any edits, half characters and reversed ranges included, give the text that the plain reference gives."""
    store = DocumentStore()
    first = store.open(URI, "", 0, text)
    opened, now = first.text, reference.units(text)
    for change in changes:
        raw: dict = {"text": change.text}
        if change.start and change.end:
            ends = {"start": change.start, "end": change.end}
            raw["range"] = {key: {"line": at.line, "character": at.character} for key, at in ends.items()}
        now = reference.apply(now, raw, encoding)
    snapshot = store.change(URI, 1, changes, encoding)
    assert snapshot.text == reference.text_of(now)
    assert snapshot.lines == LineIndex(snapshot.text)
    assert snapshot.lines.line_count == len(reference.lines(now))
    assert (first.text, first.version) == (opened, 0)


def test_insertion_at_the_end_of_a_line_stays_on_it() -> None:
    """The case that pygls gets wrong: a position past the end of a line is before its line ending."""
    store = DocumentStore()
    store.open(URI, "", 0, "ab\ncd\n")
    snapshot = store.change(URI, 1, [Change("X", Position(0, 3), Position(0, 3))], Encoding.UTF16)
    assert snapshot.text == "abX\ncd\n"


def test_a_change_to_a_document_that_is_not_open_is_named() -> None:
    """The error names the document, and the others keep their text."""
    store = DocumentStore()
    store.open("file:///a.py", "python", 1, "a")
    with pytest.raises(UsageError, match=r"file:///b\.py was changed but is not open"):
        store.change("file:///b.py", 2, [Change("x")], Encoding.UTF16)
    assert [(snapshot.uri, snapshot.text) for snapshot in store] == [("file:///a.py", "a")]


def test_open_get_close() -> None:
    """A document can be had from open to close, with what the client said about it; closing twice is harmless."""
    store = DocumentStore()
    opened = store.open("file:///tmp/a.py", "python", 3, "x = 1\n")
    assert store.get("file:///tmp/a.py") is opened
    assert (opened.language_id, opened.version, opened.path) == ("python", 3, Path("/tmp/a.py"))
    store.close("file:///tmp/a.py")
    store.close("file:///tmp/a.py")
    assert (store.get("file:///tmp/a.py"), len(store)) == (None, 0)


def test_close_frees_the_text() -> None:
    """After didClose nothing of the store keeps the text alive."""
    store = DocumentStore()
    text = weakref.ref(store.open(URI, "", 0, "x" * 1000).lines)
    store.close(URI)
    gc.collect()
    assert text() is None


@pytest.mark.parametrize(
    ("text", "change"),
    [
        ("a\ud83db", Change("\ude00", Position(0, 2), Position(0, 2))),
        ("a\ude00b", Change("\ud83d", Position(0, 1), Position(0, 1))),
        ("a\ud83dxx\ude00b", Change("", Position(0, 2), Position(0, 4))),
        ("", Change("a\ud83d\ude00b")),
    ],
)
def test_halves_that_an_edit_brings_together_are_one_character(text: str, change: Change) -> None:
    """A client may send a character in two halves; together they are that character again."""
    store = DocumentStore()
    store.open(URI, "", 0, text)
    assert store.change(URI, 1, [change], Encoding.UTF16).text == "a😀b"
