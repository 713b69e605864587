"""The rungs on which a model answers: one on this machine, and a bigger one behind a server, where one is switched on.

The first is the very model that answers questions; it is never a server in its place.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from typing import Protocol

from leanvibe_lsp.assist.answer import Answer, AskRequest, AskSink
from leanvibe_lsp.assist.answer_cache import AnswerCache
from leanvibe_lsp.assist.ask import Build, ask
from leanvibe_lsp.config.settings import Settings
from leanvibe_lsp.core.cancel import CancelToken
from leanvibe_lsp.engine.chain import EngineChain
from leanvibe_lsp.engine.scheduler import Priority
from leanvibe_lsp.tiers.rung import Rung

NO_SERVER = "no server is switched on"


class Models(Protocol):
    """Who can be asked on the rungs of models."""

    def obstacle(self, rung: Rung) -> str:
        """Why nobody can be asked there, as far as that is known without asking; "" when somebody may."""
        ...

    def identity(self, rung: Rung) -> str | None:
        """Which weights answer there now; None where that is not known yet."""
        ...

    async def ask(self, rung: Rung, request: AskRequest, build: Build, sink: AskSink, cancel: CancelToken) -> Answer:
        """Ask there, behind all that a person waits for. Raises LeanVibeError; pulls `cancel` in the end."""
        ...


class RungModels:
    """The models of one set of services. `bigger` makes the chain of the server when it is first needed."""

    def __init__(
        self,
        settings: Settings,
        chain: EngineChain,
        bigger: Callable[[], EngineChain],
        workers: Executor,
        answers: AnswerCache,
    ) -> None:
        self._settings = settings
        self._chain = chain
        self._make_bigger = bigger
        self._workers = workers
        self._answers = answers
        self._bigger: EngineChain | None = None

    def obstacle(self, rung: Rung) -> str:
        """See `Models.obstacle`."""
        return NO_SERVER if rung is Rung.BIGGER and self._settings.remote is None else ""

    def identity(self, rung: Rung) -> str | None:
        """See `Models.identity`; of a server nobody knows."""
        ready = self._chain.first()[0].status.ready if rung is Rung.MODEL else None
        return ready.identity if ready is not None else None

    async def ask(self, rung: Rung, request: AskRequest, build: Build, sink: AskSink, cancel: CancelToken) -> Answer:
        """See `Models.ask`."""
        return await ask(
            request,
            hosts=self._bigger_chain() if rung is Rung.BIGGER else self._chain,
            workers=self._workers,
            sink=sink,
            cancel=cancel,
            answers=self._answers,
            build=build,
            priority=Priority.REVIEW,
            here=rung is Rung.MODEL,
        )

    def close(self, timeout: float) -> None:
        """Stop what is asked of the server."""
        if self._bigger is not None:
            self._bigger.close(timeout)

    def _bigger_chain(self) -> EngineChain:
        if self._bigger is None:
            self._bigger = self._make_bigger()
        return self._bigger
