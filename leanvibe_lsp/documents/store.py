"""The open documents: our own text synchronisation.

Called from the event-loop thread only. What it hands out are frozen snapshots: a later edit makes a new one, and the
old one stays as it was. The edit semantics are those of Microsoft's vscode-languageserver-textdocument (clamping and
reversed ranges included); line endings are "\\r\\n", "\\n" and "\\r" only. Deliberately absent: reading from disk.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

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


class DocumentStore:
    """Documents that a client has open, by the client's own uri string."""

    def __init__(self) -> None:
        self._open: dict[str, Snapshot] = {}

    def __iter__(self) -> Iterator[Snapshot]:
        return iter(tuple(self._open.values()))

    def __len__(self) -> int:
        return len(self._open)

    def open(self, uri: str, language_id: str, version: int, text: str) -> Snapshot:
        """Take a document over from the client. Opening an open one again replaces it."""
        text = join_surrogates(text)
        snapshot = Snapshot(uri, uris.to_path(uri), language_id, version, text, LineIndex(text))
        self._open[uri] = snapshot
        return snapshot

    def change(self, uri: str, version: int, changes: Sequence[Change], encoding: Encoding) -> Snapshot:
        """Apply the edits one after the other, each to the result of the one before, and keep the result.

        Raises UsageError for a document that is not open; the other documents are untouched.
        """
        snapshot = self._open.get(uri)
        if snapshot is None:
            raise UsageError(
                f"{uri} was changed but is not open.", next_step="Close the file in the editor and open it again."
            )
        lines = snapshot.lines
        for change in changes:
            lines = _applied(lines, change, encoding)
        snapshot = replace(snapshot, version=version, text=lines.text, lines=lines)
        self._open[uri] = snapshot
        return snapshot

    def close(self, uri: str) -> None:
        """Forget a document and free its text. Closing one that is not open does nothing."""
        self._open.pop(uri, None)

    def get(self, uri: str) -> Snapshot | None:
        """The document as it is now, or None when it is not open."""
        return self._open.get(uri)


def _applied(lines: LineIndex, change: Change, encoding: Encoding) -> LineIndex:
    replacement = join_surrogates(change.text)
    if change.start is None or change.end is None:
        return LineIndex(replacement)
    start, end = sorted((lines.offset(change.start, encoding), lines.offset(change.end, encoding)))
    # An edit can bring the two halves of a character together; they become that character again.
    before = lines.text[start - 1 : start] if start else ""
    after = lines.text[end : end + 1]
    joined = join_surrogates(before + replacement + after)
    if joined != before + replacement + after:
        return lines.edited(Span(start - len(before), end + len(after)), joined)
    return lines.edited(Span(start, end), replacement)
