"""What the server needs from the rest of the house, and one of it for all connections of a process."""

from __future__ import annotations

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
    """Services by settings, made on first use: clients that ask for the same model share one engine."""

    def __init__(self, create: Callable[[Settings], Services]) -> None:
        self._create = create
        self._made: dict[Settings, Services] = {}

    def get(self, settings: Settings) -> Services:
        """The services for these settings. Raises LeanVibeError when they cannot be met."""
        if (services := self._made.get(settings)) is None:
            services = self._made[settings] = self._create(settings)
        return services

    def close(self) -> None:
        """Stop every engine; blocks. The services made so far are of no use after that."""
        made, self._made = self._made, {}
        for services in made.values():
            services.close()
