"""All that is shown of a document: what rules find, what the classifier hints at, the last review. Any thread."""

from __future__ import annotations

from leanvibe_lsp.assist.analyze import analyze, let_through
from leanvibe_lsp.assist.risks import risks
from leanvibe_lsp.config.settings import EditorSettings
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.tiers.finding import Finding
from leanvibe_lsp.tiers.look import in_order


def found(snapshot: Snapshot, settings: EditorSettings, reviewed: tuple[Finding, ...] = ()) -> tuple[Finding, ...]:
    """The findings, in the order of the text; `reviewed` are those of the rungs that are not asked while one types.

    A function of which a review has something to say needs no hint of the classifier.
    """
    ruled = analyze(snapshot, settings)
    hints = tuple(
        one for one in risks(snapshot, ruled, settings) if not any(one.span == other.span for other in reviewed)
    )
    more = let_through((*hints, *reviewed), snapshot, settings)
    return in_order((*ruled, *more)) if more else ruled
