"""Two lines of a model about a definition, for a hover: never loaded for, never sent anywhere, never waited for.

Only a model that is in memory, on this machine, is asked, after all other work. What it says is not checked, and says
so where it is shown; what it was not sure of is not shown at all.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from leanvibe_lsp.assist.prompt import fenced
from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.cancel import CancelToken, Deadline
from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents.grammars import language_of
from leanvibe_lsp.documents.secrets import cover, covered, withheld
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.engine.base import Chunk, Event, Finished, FinishReason, GenerationRequest, Loaded
from leanvibe_lsp.engine.confidence import mean_token_probability
from leanvibe_lsp.engine.host import EngineHost, Ready
from leanvibe_lsp.engine.prompts import Message, count_tokens, render
from leanvibe_lsp.engine.scheduler import Priority
from leanvibe_lsp.errors import Cancelled, LeanVibeError

if TYPE_CHECKING:
    from leanvibe_lsp.assist.ask import Hosts

log = logging.getLogger(__name__)

SYSTEM = "You explain code to a programmer. Say what the code does in one or two short sentences, and nothing else."
_SENTENCE_ENDS = (".", "!", "?", "。")


@dataclass(frozen=True, slots=True)
class SummaryRequest:
    """A definition. `secrets`: globs of files that no model may see, beside the built-in ones."""

    snapshot: Snapshot
    span: Span
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Summary:
    """One or two lines, and the model that said them."""

    text: str
    model: str


class Summaries:
    """Summaries by one chain of engines, remembered by model and code. Event-loop thread only."""

    def __init__(self, hosts: Hosts, workers: Executor) -> None:
        self._hosts = hosts
        self._workers = workers
        self._known: OrderedDict[tuple[str, tuple[int, ...]], Summary | None] = OrderedDict()

    async def summary(self, request: SummaryRequest, cancel: CancelToken) -> Summary | None:
        """The summary; None where no model is in memory, for a file of secrets, and for one that is not worth showing.

        Pulled, `cancel` stops the engine; then it raises Cancelled.
        """
        host = self._hosts.first()[0]
        ready = host.status.ready
        if ready is None or ready.loaded.tokenizer is None:
            return None
        loop = asyncio.get_running_loop()
        try:
            ids = await loop.run_in_executor(self._workers, _prompt, request, ready.loaded)
            if not ids:
                return None
            key = ready.identity or ready.model, ids
            if key not in self._known:
                self._known[key] = await _generate(ids, host, ready, cancel)
            self._known.move_to_end(key)
            found = self._known[key]
            while len(self._known) > limit("summary.kept"):
                self._known.popitem(last=False)
        except Cancelled:
            raise
        except LeanVibeError as error:
            log.info("No summary: %s", error)
            return None
        finally:
            cancel.cancel("the summary is closed")
        return found


def _prompt(request: SummaryRequest, loaded: Loaded) -> tuple[int, ...]:
    """The ids of the question, without secrets; () for a file of secrets. Any thread."""
    snapshot = request.snapshot
    if withheld(snapshot, request.secrets) is not None:
        return ()
    found = cover(snapshot)
    shown = covered(snapshot, found)
    span = request.span if found is None else found.moved(request.span)
    code, room = shown.text[span.start : span.end], limit("summary.code_tokens")
    while (tokens := count_tokens(loaded, code)) > room:
        code = code[: min(len(code) - 1, len(code) * room // tokens)]
    language = language_of(snapshot.language_id, snapshot.path) or ""
    ids = render(loaded, [Message("system", SYSTEM), Message("user", fenced(code, language))])
    return ids if len(ids) + limit("summary.tokens") <= loaded.window else ()


async def _generate(ids: tuple[int, ...], host: EngineHost, ready: Ready, cancel: CancelToken) -> Summary | None:
    logprobs: list[float] = []

    def hear(event: Event) -> None:
        if isinstance(event, Chunk):
            logprobs.append(event.logprob)

    finished = await asyncio.wrap_future(
        host.generate(
            GenerationRequest(ids, limit("summary.tokens"), stop_loops=True),
            hear,
            priority=Priority.BACKGROUND,
            cancel=cancel,
            deadline=Deadline.after(limit("answer.seconds")),
            loaded=ready.loaded,
        )
    )
    text = worth_showing(finished, logprobs)
    return Summary(text, ready.model) if text else None


def worth_showing(finished: Finished, logprobs: Sequence[float]) -> str:
    """Two lines of the first paragraph; "" for what is empty, repeats itself, has no whole sentence, is a guess."""
    if finished.reason is FinishReason.LOOP or not logprobs:
        return ""
    if mean_token_probability(logprobs) * 100 < limit("summary.sure_percent"):
        return ""
    text = finished.text
    if finished.reason is FinishReason.LENGTH:
        text = text[: max(text.rfind(end) + 1 for end in _SENTENCE_ENDS)]
    for paragraph in re.split(r"\n\s*\n", text.replace("\r", "").strip()):
        lines = [" ".join(line.split()) for line in paragraph.splitlines()]
        lines = [line for line in lines if not line.startswith("```") and not line.endswith(":")]
        if lines:
            return "\n".join(_cut(line) for line in lines[:2])
    return ""


def _cut(line: str) -> str:
    """A line that is too long ends at a word."""
    if len(line) <= limit("summary.characters"):
        return line
    head = line[: limit("summary.characters")]
    return f"{head[: head.rfind(' ')] if ' ' in head else head} …"
