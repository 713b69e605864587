"""Inline completion (LSP 3.18, `textDocument/inlineCompletion`). Off unless the settings want it.

One request at a time for each document: a newer one, or an edit, stops it at once, and it is answered with null.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lsprotocol import types

from leanvibe_lsp.core.cancel import CancelToken
from leanvibe_lsp.core.text import Span
from leanvibe_lsp.errors import Cancelled, LeanVibeError
from leanvibe_lsp.lsp import tasks
from leanvibe_lsp.lsp.convert import to_position, to_range, to_span
from leanvibe_lsp.lsp.pacing import Pacing

if TYPE_CHECKING:
    from leanvibe_lsp.assist.complete import Completion, CompletionRequest
    from leanvibe_lsp.documents.snapshot import Snapshot
    from leanvibe_lsp.lsp.server import LeanVibeServer

_log = logging.getLogger(__name__)
_METHOD = types.TEXT_DOCUMENT_INLINE_COMPLETION


def register(ls: LeanVibeServer) -> None:
    """Serve `textDocument/inlineCompletion`."""
    completing = _Completing(ls)

    def on_inline_completion(
        params: types.InlineCompletionParams,
    ) -> Awaitable[types.InlineCompletionList | None] | None:
        """One item, or null: off, nothing to say, no model ready, a document that is not open, superseded."""
        return completing.answer(params)

    ls.feature(_METHOD)(on_inline_completion)
    ls.on_document(completing.document_changed)
    ls.on_session(lambda _: completing.announce())
    ls.on_ready(completing.settings_changed)
    ls.on_settings(completing.settings_changed)


@dataclass(slots=True)
class _Turn:
    """The request that is worked on for a document."""

    cancel: CancelToken
    work: asyncio.Task[Completion | None] | None = None
    _superseded: bool = False

    def is_superseded(self) -> bool:
        """Whether nobody wants its answer any more."""
        return self._superseded

    def supersede(self) -> None:
        """Stop it at once."""
        self._superseded = True
        self.cancel.cancel("superseded")
        if self.work is not None:
            self.work.cancel()


class _Completing:
    """The completions of one client."""

    def __init__(self, ls: LeanVibeServer) -> None:
        self._ls = ls
        self._turns: dict[str, _Turn] = {}
        self._pacing = Pacing(lambda: asyncio.get_running_loop().time())
        self._registered = False

    def announce(self) -> None:
        """To a client that cannot be told later, at once: what is off is answered with null."""
        if not self._is_dynamic():
            self._ls.protocol.fm.feature_options[_METHOD] = types.InlineCompletionOptions()

    def settings_changed(self) -> None:
        """A client that can be told later asks only after a setting wants it; from then on, null says it is off."""
        if self._is_dynamic() and not self._registered and self._is_wanted():
            self._registered = True
            registration = types.Registration(
                "leanvibe-inline-completion", _METHOD, types.InlineCompletionRegistrationOptions()
            )
            self._ls.keep(self._ls.client.register([registration]))

    def document_changed(self, uri: str) -> None:
        """What was asked of the document before is of no use."""
        self._pacing.typed()
        if (turn := self._turns.pop(uri, None)) is not None:
            turn.supersede()

    def answer(self, params: types.InlineCompletionParams) -> Awaitable[types.InlineCompletionList | None] | None:
        """Take the document as it is now; the request before this one ends here."""
        snapshot = self._ls.documents.get(params.text_document.uri)
        if snapshot is None or not self._ls.settings_for(snapshot.uri).editor.inline_completion:
            return None
        running = tasks.current()
        running.generates = True
        turn = _Turn(running.cancel)
        if (before := self._turns.pop(snapshot.uri, None)) is not None:
            before.supersede()
        self._turns[snapshot.uri] = turn
        return self._answer(params, snapshot, turn)

    async def _answer(
        self, params: types.InlineCompletionParams, snapshot: Snapshot, turn: _Turn
    ) -> types.InlineCompletionList | None:
        if turn.is_superseded():
            return None
        request = self._request(params, snapshot)
        turn.work = asyncio.get_running_loop().create_task(self._complete(request, turn.cancel))
        try:
            completion = await turn.work
        except (asyncio.CancelledError, Cancelled):
            if turn.is_superseded():
                return None
            raise
        except LeanVibeError as error:
            if request.invoked:
                raise
            _log.info("No completion: %s", error)
            return None
        finally:
            if self._turns.get(snapshot.uri) is turn:
                del self._turns[snapshot.uri]
        if completion is None or turn.is_superseded():
            return None
        if completion.seconds is not None:
            self._pacing.took(completion.seconds)
        where = to_range(request.span, snapshot.lines, self._ls.encoding)
        return types.InlineCompletionList([types.InlineCompletionItem(request.begun + completion.text, range=where)])

    async def _complete(self, request: CompletionRequest, cancel: CancelToken) -> Completion | None:
        return await self._ls.services.complete(request, cancel)

    def _request(self, params: types.InlineCompletionParams, snapshot: Snapshot) -> CompletionRequest:
        from leanvibe_lsp.assist.complete import CompletionRequest

        encoding = self._ls.encoding
        selected = params.context.selected_completion_info
        if selected is not None:
            span, begun = to_span(selected.range, snapshot.lines, encoding), selected.text
        else:
            at = snapshot.lines.offset(to_position(params.position), encoding)
            span, begun = Span(at, at), ""
        invoked = params.context.trigger_kind == types.InlineCompletionTriggerKind.Invoked
        return CompletionRequest(
            snapshot,
            span,
            begun,
            invoked=invoked,
            delay=self._pacing.delay(invoked=invoked),
            secrets=self._ls.settings_for(snapshot.uri).editor.secrets,
        )

    def _is_dynamic(self) -> bool:
        return self._ls.client.can("text_document.inline_completion.dynamic_registration")

    def _is_wanted(self) -> bool:
        places: tuple[Path | None, ...] = (None, *self._ls.roots)
        return any(self._ls.configuration.for_path(one).editor.inline_completion for one in places)
