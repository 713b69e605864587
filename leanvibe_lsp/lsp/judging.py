"""Reviewing through LSP: a document and a place in, the ladder climbed with progress, diagnostics and a summary out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leanvibe_lsp.assist.judged import Judged, JudgeRequest
from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents.gathered import NOTHING, Gathered
from leanvibe_lsp.errors import UsageError
from leanvibe_lsp.lsp.progress import AnswerStream, WorkDone

if TYPE_CHECKING:
    from leanvibe_lsp.config.settings import EditorSettings
    from leanvibe_lsp.documents.snapshot import Snapshot
    from leanvibe_lsp.lsp.server import LeanVibeServer
    from leanvibe_lsp.lsp.tasks import ProgressToken, Running


async def review(
    ls: LeanVibeServer,
    snapshot: Snapshot,
    span: Span | None,
    running: Running,
    token: ProgressToken | None = None,
    *,
    bigger: bool = False,
    insist: bool = False,
) -> tuple[Judged, int]:
    """Judge what the span touches, or all of the document, and show what was found.

    Gives the review, and of how many pieces it is of no use because they were edited meanwhile. Raises LeanVibeError.
    """
    settings = ls.settings_for(snapshot.uri).editor
    async with WorkDone(
        ls.client, ls.protocol.requests, running, token, title="LeanVibe review", stage="reading context"
    ) as work:
        request = JudgeRequest(
            snapshot,
            None if span is None else (span,),
            settings=settings,
            gathered=await _gathered(ls, snapshot, span, settings),
            secrets=settings.secrets,
            allow_model=settings.model_review != "off",
            allow_bigger=bigger,
            insist=insist or bigger,
        )
        judged = await ls.services.judge(request, AnswerStream(ls.client, work, None).take, running.cancel)
    stale = ls.reviews.take(judged)
    ls.findings_changed()
    return judged, stale


async def _gathered(ls: LeanVibeServer, snapshot: Snapshot, span: Span | None, settings: EditorSettings) -> Gathered:
    """What the code uses and does not define; of a whole file that would be half a workspace."""
    if span is None:
        return NOTHING
    from leanvibe_lsp.assist.answer import Place
    from leanvibe_lsp.lsp.asking import gathered

    try:
        return await gathered(ls, (Place(snapshot, span),), settings, ())
    except UsageError:  # no model may see the file, which the review itself says
        return NOTHING
