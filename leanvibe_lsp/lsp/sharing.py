"""What the server needs from the rest of the house, and one of it for all connections of a process."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from leanvibe_lsp.assist.answer import Answer, AskRequest, AskSink
from leanvibe_lsp.assist.changes.values import Change, ChangeRequest
from leanvibe_lsp.config.settings import Settings
from leanvibe_lsp.core.cancel import CancelToken

if TYPE_CHECKING:
    from leanvibe_lsp.assist.complete import Completion, CompletionRequest
    from leanvibe_lsp.assist.judged import Judged, JudgeRequest
    from leanvibe_lsp.assist.summary import Summary, SummaryRequest


class Services(Protocol):
    """The use cases. Made by `leanvibe_lsp.services.create`."""

    async def ask(self, request: AskRequest, sink: AskSink, cancel: CancelToken) -> Answer:
        """Answer a question. `sink` is called on the event-loop thread. Raises LeanVibeError."""
        ...

    async def change(self, request: ChangeRequest, sink: AskSink, cancel: CancelToken) -> Change:
        """Change code, and check the change. `sink` is called on the event-loop thread. Raises LeanVibeError."""
        ...

    async def judge(self, request: JudgeRequest, sink: AskSink, cancel: CancelToken) -> Judged:
        """Have code judged by the ladder. `sink` is called on the event-loop thread. Raises Cancelled."""
        ...

    async def complete(self, request: CompletionRequest, cancel: CancelToken) -> Completion | None:
        """What may follow at a cursor; None for nothing. Raises LeanVibeError where a person asked."""
        ...

    async def summary(self, request: SummaryRequest, cancel: CancelToken) -> Summary | None:
        """Two lines about a definition by a model that is in memory already; None where there are none."""
        ...

    @property
    def obstacle(self) -> str:
        """Why no model will answer, as a sentence, as far as that is known; "" when one may. Never waits."""
        ...

    async def health(self) -> dict[str, object]:
        """The state of model and engine, as plain JSON values."""
        ...

    def close(self) -> None:
        """Stop the engine. Blocks for about a second at most."""
        ...


class SharedServices:
    """Services by what settings say of the engine, made on first use: clients that ask for the same one share it.

    Those of `kept`, the process' own settings, stay for the next client; those that clients chose end with the last
    session that took them. Not for several threads.
    """

    def __init__(self, create: Callable[[Settings], Services], *, kept: Settings | None = None) -> None:
        self._create = create
        self._kept = None if kept is None else kept.engine_part
        self._made: dict[Settings, Services] = {}
        self._sessions: Counter[Settings] = Counter()
        self._closing: list[threading.Thread] = []

    def take(self, settings: Settings) -> Services:
        """The services for these settings, for one session more. Raises LeanVibeError when they cannot be met."""
        part = settings.engine_part
        if (services := self._made.get(part)) is None:
            services = self._made[part] = self._create(part)
        self._sessions[part] += 1
        return services

    def give_back(self, settings: Settings) -> None:
        """One session that took these services has ended. An engine that nobody needs stops beside this thread."""
        part = settings.engine_part
        self._sessions[part] -= 1
        if self._sessions[part] or part == self._kept:
            return
        del self._sessions[part]
        thread = threading.Thread(target=self._made.pop(part).close, name="leanvibe-close", daemon=True)
        thread.start()
        self._closing = [*(closing for closing in self._closing if closing.is_alive()), thread]

    def close(self) -> None:
        """Stop every engine; blocks. The services made so far are of no use after that."""
        made, self._made = self._made, {}
        for services in made.values():
            services.close()
        for thread in self._closing:
            thread.join()
