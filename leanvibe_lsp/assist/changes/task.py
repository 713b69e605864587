"""One change as it goes to a model, and what its answer comes to. Plain values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from leanvibe_lsp.assist.answer import Place
from leanvibe_lsp.assist.changes.values import Check, FileChange
from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents.secrets import cover
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.engine.structured import Structure


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an answer comes to: a file's change when every check allows it, else `problem` says why not."""

    draft: str
    checks: tuple[Check, ...]
    file: FileChange | None = None
    proven: bool = False
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Task:
    """What the model is asked, and how its answer is judged. `judge` is pure and may take a while."""

    title: str
    question: str
    places: tuple[Place, ...]
    max_tokens: int
    judge: Callable[[str], Verdict]
    structure: Structure | None = None


def shown(snapshot: Snapshot, span: Span) -> str:
    """The text under the span as a model may see it: without secrets."""
    found = cover(snapshot)
    if found is None:
        return snapshot.text[span.start : span.end]
    moved = found.moved(span)
    return found.lines.text[moved.start : moved.end]


def meant(snapshot: Snapshot, written: str) -> str:
    """What a model wrote, with the secrets it was not shown where it wrote their markers."""
    found = cover(snapshot)
    return written if found is None else found.restored(written, snapshot.text)


def verdict_of(draft: str, checks: tuple[Check, ...], file: FileChange, *, proven: bool) -> Verdict:
    """The verdict when all checks were made."""
    failed = next((check for check in checks if check.failed), None)
    if failed is None:
        return Verdict(draft, checks, file, proven)
    detail = f" ({failed.detail})" if failed.detail else ""
    return Verdict(draft, checks, problem=f'the check "{failed.name}" failed{detail}')
