"""Reviews at each save, where the settings want them: one at a time a document, and none of a text that was edited."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from leanvibe_lsp.errors import Cancelled, LeanVibeError
from leanvibe_lsp.lsp.tasks import Running

if TYPE_CHECKING:
    from leanvibe_lsp.documents.snapshot import Snapshot
    from leanvibe_lsp.lsp.server import LeanVibeServer

_log = logging.getLogger(__name__)


def follow(ls: LeanVibeServer) -> None:
    """Review what is saved from now on."""
    reviews = SavedReviews(ls)
    ls.on_saved(reviews.saved)
    ls.on_document(reviews.document_changed)


class SavedReviews:
    """The reviews under way. Event-loop thread only."""

    def __init__(self, ls: LeanVibeServer) -> None:
        self._ls = ls
        self._underway: dict[str, Running] = {}

    def saved(self, uri: str) -> None:
        """Review the document in the background, if the settings say so."""
        snapshot = self._ls.documents.get(uri)
        editor = self._ls.settings_for(uri).editor
        if snapshot is None or not editor.diagnostics or editor.model_review != "save":
            return
        self.document_changed(uri)
        running = Running(f"review {uri}", generates=True)
        self._underway[uri] = running
        running.task = self._ls.keep(self._review(uri, snapshot, running))

    def document_changed(self, uri: str) -> None:
        """What is found in a text that is there no more is of no use."""
        if (running := self._underway.pop(uri, None)) is not None:
            running.cancel.cancel("the document was edited")
            if running.task is not None:
                running.task.cancel()

    async def _review(self, uri: str, snapshot: Snapshot, running: Running) -> None:
        from leanvibe_lsp.lsp.judging import review  # not needed before

        requests = self._ls.protocol.requests
        requests.adopt(running)
        try:
            await review(self._ls, snapshot, None, running)
        except Cancelled:
            _log.info("The review of %s was stopped.", uri)
        except LeanVibeError as error:
            _log.warning("No review of %s: %s", uri, error)
        except asyncio.CancelledError:
            running.cancel.cancel("stopped")
            raise
        finally:
            requests.release(running)
            if self._underway.get(uri) is running:
                del self._underway[uri]
