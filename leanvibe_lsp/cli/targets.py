"""What a person writes after the question: FILE, FILE:LINE, FILE:LINE-LINE."""

from __future__ import annotations

import re
from pathlib import Path

from leanvibe_lsp.assist.answer import Place
from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents.snapshot import Snapshot, read_snapshot
from leanvibe_lsp.errors import UsageError

_TARGET = re.compile(r"(?P<path>.+?):(?P<first>[0-9]{1,18})(?:-(?P<last>[0-9]{1,18}))?", re.DOTALL)


def place_of(target: str) -> Place:
    """Read the file a target names. Lines count from 1, the last one belongs to it. Raises UsageError."""
    path = Path(target)
    match = _TARGET.fullmatch(target)
    if match is None or _exists(path):
        return Place(read_snapshot(path))
    snapshot = read_snapshot(Path(match["path"]))
    first = int(match["first"])
    return Place(snapshot, lines_span(snapshot, first, int(match["last"] or first), target))


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # too long a name, a folder that may not be entered, a NUL
        return False


def lines_span(snapshot: Snapshot, first: int, last: int, target: str) -> Span:
    """The span of lines `first` to `last`, counted from 1, without the last line's end. Raises UsageError outside."""
    count = snapshot.lines.line_count
    if not 1 <= first <= last <= count:
        raise UsageError(
            f"{target}: there are no such lines, the file has {count}.",
            next_step="Lines count from 1; write FILE:FIRST-LAST.",
        )
    return Span(snapshot.lines.line_span(first - 1).start, snapshot.lines.line_span(last - 1).end)
