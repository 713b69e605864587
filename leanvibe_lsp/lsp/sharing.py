"""What the server needs from the rest of the house, and one of it for all connections of a process."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from leanvibe_lsp.assist.answer import Answer, AskRequest, AskSink
from leanvibe_lsp.config.settings import Settings
from leanvibe_lsp.core.cancel import CancelToken


class Services(Protocol):
    """The use cases. Made by `leanvibe_lsp.services.create`."""

    async def ask(self, request: AskRequest, sink: AskSink, cancel: CancelToken) -> Answer:
        """Answer a question. `sink` is called on the event-loop thread. Raises LeanVibeError."""
        ...

    async def health(self) -> dict[str, object]:
        """The state of model and engine, as plain JSON values."""
        ...

    def close(self) -> None:
        """Stop the engine. Blocks for about a second at most."""
        ...


class SharedServices:
    """Services by settings, made on first use: clients that ask for the same model share one engine.

    Those of `kept`, the process' own settings, stay for the next client; those that clients chose end with the last
    session that took them. Not for several threads.
    """

    def __init__(self, create: Callable[[Settings], Services], *, kept: Settings | None = None) -> None:
        self._create = create
        self._kept = kept
        self._made: dict[Settings, Services] = {}
        self._sessions: Counter[Settings] = Counter()
        self._closing: list[threading.Thread] = []

    def take(self, settings: Settings) -> Services:
        """The services for these settings, for one session more. Raises LeanVibeError when they cannot be met."""
        if (services := self._made.get(settings)) is None:
            services = self._made[settings] = self._create(settings)
        self._sessions[settings] += 1
        return services

    def give_back(self, settings: Settings) -> None:
        """One session that took these services has ended. An engine that nobody needs stops beside this thread."""
        self._sessions[settings] -= 1
        if self._sessions[settings] or settings == self._kept:
            return
        del self._sessions[settings]
        thread = threading.Thread(target=self._made.pop(settings).close, name="leanvibe-close", daemon=True)
        thread.start()
        self._closing = [*(closing for closing in self._closing if closing.is_alive()), thread]

    def close(self) -> None:
        """Stop every engine; blocks. The services made so far are of no use after that."""
        made, self._made = self._made, {}
        for services in made.values():
            services.close()
        for thread in self._closing:
            thread.join()
