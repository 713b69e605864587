"""One run of evaluations: which cases, what is known of them already, how far it is, and who answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from leanvibe_lsp.assist.answer import Answer, AskRequest, AskSink
from leanvibe_lsp.assist.changes.values import Change, ChangeRequest
from leanvibe_lsp.assist.evaluation.journal import Journal
from leanvibe_lsp.assist.evaluation.results import Section
from leanvibe_lsp.assist.judged import Judged, JudgeRequest
from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.cancel import CancelToken
from leanvibe_lsp.errors import BackendError, Cancelled, LeanVibeError, ModelError

T = TypeVar("T")

# (what is done, cases done, of how many)
Progress = Callable[[str, int, int], None]
# The tables of a task, and in sentences what is not in them.
Measured = tuple[list[Section], list[str]]


class Models(Protocol):
    """What the evaluations ask of the services: the very doors that editors and the terminal use."""

    async def ask(self, request: AskRequest, sink: AskSink, cancel: CancelToken) -> Answer:
        """See `services.Services.ask`."""
        ...

    async def change(self, request: ChangeRequest, sink: AskSink, cancel: CancelToken) -> Change:
        """See `services.Services.change`."""
        ...

    async def judge(self, request: JudgeRequest, sink: AskSink, cancel: CancelToken) -> Judged:
        """See `services.Services.judge`."""
        ...


class NoModel(Exception):
    """No model can be asked, for the reason it says: what needs one is not run."""


@dataclass(slots=True)
class Run:
    """What all tasks of one command share. `most` is how many cases of a set are taken, None for the usual number."""

    data: Path | None
    most: int | None
    seed: int
    journal: Journal
    progress: Progress
    models: Models | None
    no_models: str  # why there are none
    facts: Mapping[str, str] = field(default_factory=dict)  # what a report says of itself
    cancel: CancelToken = field(default_factory=CancelToken)
    tokens: int = 0

    def for_models(self) -> int:
        """How many cases of a set a model is asked about."""
        return self.most if self.most is not None else limit("evaluation.model_cases")

    def require(self) -> Models:
        """Who answers. Raises NoModel."""
        if self.models is None:
            raise NoModel(self.no_models)
        return self.models

    async def each(
        self, section: str, cases: Sequence[T], key: Callable[[T], str], work: Callable[[T], Awaitable[dict[str, Any]]]
    ) -> tuple[list[tuple[T, dict[str, Any]]], list[str]]:
        """What `work` makes of each case, computed or as the journal has it; and why some have nothing.

        A case that fails costs itself and is tried again next time. Raises NoModel where no other case could do better.
        """
        found: list[tuple[T, dict[str, Any]]] = []
        failures: list[str] = []
        for number, case in enumerate(cases):
            self.progress(section, number, len(cases))
            result = self.journal.get(section, key(case))
            if result is None:
                self.cancel.check()
                try:
                    result = await work(case)
                except Cancelled:
                    raise
                except (ModelError, BackendError) as error:
                    raise NoModel(str(error)) from error
                except LeanVibeError as error:
                    failures.append(f"{section}, {key(case)}: {error}")
                    continue
                self.journal.put(section, key(case), result)
            self.tokens += int(result.get("tokens", 0))
            found.append((case, result))
            await asyncio.sleep(0)  # Ctrl-C is heard between two cases
        self.progress(section, len(cases), len(cases))
        return found, failures

    def child(self) -> CancelToken:
        """A token of one request: who answers pulls it in the end, and others follow."""
        child = CancelToken()
        self.cancel.on_cancel(lambda: child.cancel(self.cancel.reason))
        return child


def unheard(event: object) -> None:
    """A sink for what nobody waits to read."""
