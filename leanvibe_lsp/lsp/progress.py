"""What a client sees while it waits: partial results and a progress bar. Event-loop thread only.

`AnswerStream` chooses how an answer is shown while it comes: in pieces, else as the newest text of a progress bar, else
not before it is whole. The answer is the same in all of them. `PartialResults` sends pieces whose concatenation is the
answer. `WorkDone` sends begin, reports and an end on every path out, also a cancel or an error.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from types import TracebackType
from typing import Protocol
from uuid import uuid4

from leanvibe_lsp.assist.answer import AskEvent, Restart, Stage, TextDelta
from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.errors import Cancelled
from leanvibe_lsp.lsp.client import Client
from leanvibe_lsp.lsp.tasks import ProgressToken, Running, RunningRequests


class Timer(Protocol):
    """Something that will be called later, unless it is cancelled."""

    def cancel(self) -> None:
        """It will not be called."""
        ...


CallLater = Callable[[float, Callable[[], None]], Timer]


class PartialResults:
    """Coalesces text so that `send` is called at most `per_second` times in any second, the last call included.

    Texts joined are the answer; after `{"restart": reason}` they begin anew. (One that still waits at the end goes out
    beside the last call.)
    """

    def __init__(
        self,
        send: Callable[[str | dict[str, str]], None],
        *,
        per_second: int,
        clock: Callable[[], float] = time.monotonic,
        call_later: CallLater | None = None,
    ) -> None:
        self._send = send
        self._clock = clock
        self._call_later = call_later or asyncio.get_running_loop().call_later
        self._interval = 1 / (per_second - 1)  # one a second is kept for the flush at the end, which does not wait
        self._next_at = clock()
        self._pending: list[str] = []
        self._restart = ""  # why, until it is told
        self._sent_length = 0
        self._timer: Timer | None = None
        self._open = True

    def add(self, text: str) -> None:
        """More of the answer. Sent now or with what follows; ignored once closed."""
        if not self._open or not text:
            return
        self._pending.append(text)
        self._soon()

    def restart(self, reason: str) -> None:
        """The text so far is no part of the answer: told in its turn, and before any text that follows."""
        if not self._open:
            return
        self._pending.clear()
        self._restart = reason
        self._sent_length = 0
        self._soon()

    def finish(self, answer: str) -> None:
        """Send what is left of `answer`, and close."""
        if not self._open:
            return
        self.close()
        if self._restart:
            self._send({"restart": self._restart})
        rest = answer[self._sent_length :]
        if rest:
            self._send(rest)

    def close(self) -> None:
        """Send nothing any more; what is pending is dropped."""
        self._open = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _soon(self) -> None:
        if self._timer is None:
            self._send_when_due()

    def _send_when_due(self) -> None:
        self._timer = None
        wait = self._next_at - self._clock()
        if wait > 0:
            self._timer = self._call_later(wait, self._send_when_due)
            return
        self._next_at = self._clock() + self._interval
        if self._restart:
            self._send({"restart": self._restart})
            self._restart = ""
            if self._pending:
                self._send_when_due()
            return
        text = "".join(self._pending)
        self._pending.clear()
        self._sent_length += len(text)
        self._send(text)


class WorkDone:
    """A progress bar for one request, as an async context manager.

    The token is the client's, or is created here when the client can show a bar. Creating never holds up the request:
    the bar appears when the client agreed, with the stage that is then current.
    """

    def __init__(
        self,
        client: Client,
        requests: RunningRequests,
        running: Running,
        token: ProgressToken | None,
        *,
        title: str,
        stage: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._requests = requests
        self._running = running
        self._token = token
        self._title = title
        self._clock = clock
        self._last: dict[str, object] = {"message": stage}
        self._began = False
        self._end_message: str | None = None
        self._next_report_at = 0.0

    async def __aenter__(self) -> WorkDone:
        if self._token is not None:
            self._begin(self._token)
        elif self._client.can("window.work_done_progress"):
            _keep(asyncio.create_task(self._create()))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._end_message = "done"
        elif isinstance(error, asyncio.CancelledError | Cancelled):
            self._end_message = "cancelled"
        else:
            self._end_message = "failed"
        self._end()

    def stage(self, title: str, percentage: int | None = None) -> None:
        """The work entered another stage."""
        self._last = {"message": title} if percentage is None else {"message": title, "percentage": percentage}
        self._report()

    def tokens(self, count: int) -> None:
        """`count` tokens were made so far; told at most `stream.reports_per_second` times a second."""
        self._often(f"{count} token{'' if count == 1 else 's'}")

    def newest(self, text: str) -> None:
        """`text` is the newest of what was made so far; told as often as `tokens`."""
        self._often(text)

    def _often(self, message: str) -> None:
        now = self._clock()
        if now < self._next_report_at:
            return
        self._next_report_at = now + 1 / limit("stream.reports_per_second")
        self._last = {"message": message}
        self._report()

    async def _create(self) -> None:
        token = str(uuid4())
        if await self._client.create_progress(token):
            self._token = token
            self._begin(token)
            self._end()

    def _begin(self, token: ProgressToken) -> None:
        self._requests.bind_progress(self._running, token)
        self._began = True
        self._client.progress(token, {"kind": "begin", "title": self._title, "cancellable": True, **self._last})

    def _report(self) -> None:
        if self._began and self._end_message is None and self._token is not None:
            self._client.progress(self._token, {"kind": "report", "cancellable": True, **self._last})

    def _end(self) -> None:
        if self._began and self._end_message is not None and self._token is not None:
            self._client.progress(self._token, {"kind": "end", "message": self._end_message})


class AnswerStream:
    """One answer on its way to the client: what the engine says of it goes in, what the client can show goes out.

    With a `token` of the client's for partial results it is pieces; without, the progress bar has the newest text.
    """

    def __init__(self, client: Client, work: WorkDone, token: ProgressToken | None) -> None:
        self._work = work
        self._newest = ""
        self._partial = None
        if token is not None:
            per_second = limit("stream.updates_per_second")
            self._partial = PartialResults(lambda value: client.progress(token, value), per_second=per_second)

    def take(self, event: AskEvent) -> None:
        """An event of the engine's."""
        match event:
            case Stage(title, percentage):
                self._work.stage(title, percentage)
            case TextDelta(text, count) if self._partial is not None:
                self._work.tokens(count)
                self._partial.add(text)
            case TextDelta(text):
                # One line, cut in front: a bar has no more room, and the newest is what moves.
                self._newest = f"{self._newest}{text}"[-limit("stream.report_characters") :]
                self._work.newest(" ".join(self._newest.split()))
            case Restart(reason) if self._partial is not None:
                self._partial.restart(reason)
            case Restart(reason):
                self._newest = ""
                self._work.stage(reason)

    def finish(self, answer: str) -> None:
        """Send what is left of the answer."""
        if self._partial is not None:
            self._partial.finish(answer)

    def close(self) -> None:
        """Send nothing any more."""
        if self._partial is not None:
            self._partial.close()


_background: set[asyncio.Task[None]] = set()


def _keep(task: asyncio.Task[None]) -> None:
    """The event loop holds tasks weakly; hold this one until it is done."""
    _background.add(task)
    task.add_done_callback(_background.discard)
