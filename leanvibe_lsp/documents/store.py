"""The open documents: our own text synchronisation.

Called from the event-loop thread only. What it hands out are frozen snapshots: a later edit makes a new one, and the
old one stays as it was. The edit semantics are those of Microsoft's vscode-languageserver-textdocument (clamping and
reversed ranges included); line endings are "\\r\\n", "\\n" and "\\r" only. Deliberately absent: reading from disk.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from weakref import ref

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.edits import TextEdit
from leanvibe_lsp.core.text import Encoding, LineIndex, Position, Span, join_surrogates
from leanvibe_lsp.documents import uris
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.errors import UsageError


@dataclass(frozen=True, slots=True)
class Change:
    """One edit of a didChange. No `start` or no `end` means that `text` is the whole document."""

    text: str
    start: Position | None = None
    end: Position | None = None


@dataclass(slots=True)
class _Entry:
    """An open document, and the edits that led to it: the text before each of them and the edit, oldest first.

    The texts are held weakly: only one that somebody still has can be asked for.
    """

    snapshot: Snapshot
    journal: deque[tuple[ref[LineIndex], TextEdit]] = field(
        default_factory=lambda: deque(maxlen=limit("document.journal_edits"))
    )


class DocumentStore:
    """Documents that a client has open, by the client's own uri string."""

    def __init__(self) -> None:
        self._open: dict[str, _Entry] = {}

    def __iter__(self) -> Iterator[Snapshot]:
        return iter(tuple(entry.snapshot for entry in self._open.values()))

    def __len__(self) -> int:
        return len(self._open)

    def open(self, uri: str, language_id: str, version: int, text: str) -> Snapshot:
        """Take a document over from the client. Opening an open one again replaces it."""
        text = join_surrogates(text)
        snapshot = Snapshot(uri, uris.to_path(uri), language_id, version, text, LineIndex(text))
        self._open[uri] = _Entry(snapshot)
        return snapshot

    def change(self, uri: str, version: int, changes: Sequence[Change], encoding: Encoding) -> Snapshot:
        """Apply the edits one after the other, each to the result of the one before, and keep the result.

        Raises UsageError for a document that is not open; the other documents are untouched.
        """
        entry = self._open.get(uri)
        if entry is None:
            raise UsageError(
                f"{uri} was changed but is not open.", next_step="Close the file in the editor and open it again."
            )
        from leanvibe_lsp.documents.syntax import edited  # tree-sitter, which the reply to initialize does not wait for

        lines = entry.snapshot.lines
        made: list[tuple[ref[LineIndex], TextEdit]] = []
        for change in changes:
            edit = _edit(lines, change, encoding)
            made.append((ref(lines), edit))
            lines = edited(lines, edit) if edit.span != whole(lines) else LineIndex(edit.text)
        entry.journal.extend(made)
        while entry.journal and entry.journal[0][0]() is None:  # nobody has that text to ask for
            entry.journal.popleft()
        entry.snapshot = replace(entry.snapshot, version=version, text=lines.text, lines=lines)
        return entry.snapshot

    def edits_since(self, snapshot: Snapshot) -> tuple[TextEdit, ...] | None:
        """The edits that made the document of today from this snapshot of it, each of the text the one before left.

        None when that is not known (any more): it was closed, opened anew, or edited more often than is remembered.
        """
        entry = self._open.get(snapshot.uri)
        if entry is None:
            return None
        if entry.snapshot.lines is snapshot.lines:
            return ()
        journal = list(entry.journal)
        at = next((number for number, (lines, _) in enumerate(journal) if lines() is snapshot.lines), None)
        return None if at is None else tuple(edit for _, edit in journal[at:])

    def close(self, uri: str) -> None:
        """Forget a document and free its text. Closing one that is not open does nothing."""
        self._open.pop(uri, None)

    def get(self, uri: str) -> Snapshot | None:
        """The document as it is now, or None when it is not open. Another spelling of a file's uri finds it too."""
        entry = self._open.get(uri)
        if entry is not None:
            return entry.snapshot
        path = uris.to_path(uri)
        return None if path is None else next((one for one in self if one.path == path), None)


def whole(lines: LineIndex) -> Span:
    """All of a text."""
    return Span(0, len(lines.text))


def _edit(lines: LineIndex, change: Change, encoding: Encoding) -> TextEdit:
    replacement = join_surrogates(change.text)
    if change.start is None or change.end is None:
        return TextEdit(whole(lines), replacement)
    start, end = sorted((lines.offset(change.start, encoding), lines.offset(change.end, encoding)))
    # An edit can bring the two halves of a character together; they become that character again.
    before = lines.text[start - 1 : start] if start else ""
    after = lines.text[end : end + 1]
    joined = join_surrogates(before + replacement + after)
    if joined != before + replacement + after:
        return TextEdit(Span(start - len(before), end + len(after)), joined)
    return TextEdit(Span(start, end), replacement)
