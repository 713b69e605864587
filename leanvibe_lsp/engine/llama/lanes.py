"""Several generations at once: each on a thread of its own, their events and ends handled by the engine's thread.

llama.cpp computes the next tokens of all its slots in one pass. Its server may be called from several threads.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue

from leanvibe_lsp.core.cancel import CancelToken
from leanvibe_lsp.engine.base import Event, Finished, Job, Pause, Sink
from leanvibe_lsp.errors import LeanVibeError

# A place for the job: waits for one, or gives None when there is no room for it now. And the generation there.
Place = Callable[[Job, bool], int | None]
Generate = Callable[[Job, int, Sink, CancelToken, Pause], Finished]


@dataclass(frozen=True, slots=True)
class _Rested:
    """A lane stopped at a boundary and waits."""


_News = Event | _Rested | Finished | BaseException


class _Lane:
    """A job that runs. It is the `Pause` of its generation."""

    def __init__(self, job: Job, go: threading.Event, news: SimpleQueue[tuple[_Lane, _News]]) -> None:
        self.job = job
        self.cancel = CancelToken()
        self.failure: BaseException | None = None  # of its sink
        self.resting = False  # this and `passed` belong to the engine's thread
        self.passed = 0
        self._go = go
        self._news = news
        job.cancel.on_cancel(lambda: self.cancel.cancel(job.cancel.reason))

    @property
    def wanted(self) -> bool:
        return not self._go.is_set()

    def run(self) -> None:
        self.tell(_Rested())
        self._go.wait()

    def tell(self, news: _News) -> None:
        self._news.put((self, news))


class Lanes:
    """The jobs of one call of `generate_batch`. `place` and `take` are called on the engine's thread."""

    def __init__(
        self, count: int, place: Place, generate: Generate, take: Callable[[int], Sequence[Job]], pause: Pause
    ) -> None:
        self._count = count
        self._place = place
        self._generate = generate
        self._take = take
        self._pause = pause
        self._go = threading.Event()  # cleared: rest at the next boundary, until it is set again
        self._go.set()
        self._news: SimpleQueue[tuple[_Lane, _News]] = SimpleQueue()
        self._waiting: deque[Job] = deque()
        self._running: set[_Lane] = set()

    def run(self) -> None:
        """Until `take` gives none and all have ended. Every job taken is settled then, also when this raises."""
        with ThreadPoolExecutor(self._count, thread_name_prefix="leanvibe-lane") as pool:
            try:
                while self._fill(pool):
                    self._handle(*self._news.get())
                    if self._pause.wanted:
                        self._give_way()
            except BaseException as error:
                self._give_up(error)
                raise

    def _fill(self, pool: ThreadPoolExecutor) -> bool:
        """Start what there is room for; True while something runs."""
        free = self._count - len(self._running) - len(self._waiting)
        if free > 0:
            self._waiting.extend(self._take(free))
        while self._waiting:
            job = self._waiting[0]
            try:
                job.cancel.check()
                job.deadline.check()
                # What runs beside us, and is not ours, may leave too little room for any.
                slot = self._place(job, not self._running)
            except LeanVibeError as error:
                self._waiting.popleft().future.set_exception(error)
                continue
            if slot is None:
                break
            self._waiting.popleft()
            lane = _Lane(job, self._go, self._news)
            self._running.add(lane)
            pool.submit(self._work, lane, slot)
        return bool(self._running)

    def _work(self, lane: _Lane, slot: int) -> None:
        """On a thread of the pool."""
        try:
            lane.tell(self._generate(lane.job, slot, lane.tell, lane.cancel, lane))
        except BaseException as error:  # noqa: BLE001 - it is the job's
            lane.tell(error)

    def _handle(self, lane: _Lane, news: _News) -> None:
        if isinstance(news, _Rested):
            lane.resting = not self._go.is_set()  # one that came too late goes on at once
        elif isinstance(news, Finished | BaseException):
            self._running.discard(lane)
            if lane.failure is not None or isinstance(news, BaseException):
                lane.job.future.set_exception(lane.failure or news)  # type: ignore[arg-type]
            else:
                lane.job.future.set_result(news)
        elif lane.failure is None:
            lane.passed += 1
            try:
                lane.job.sink(news)
            except BaseException as error:  # noqa: BLE001 - one job's failure is its own
                lane.failure = error
                lane.cancel.cancel("nobody listens any more")

    def _give_way(self) -> None:
        """Let all lanes rest, except those that do not (a structure goes on), and do what is urgent."""
        for lane in self._running:
            lane.resting, lane.passed = False, 0
        self._go.clear()
        # The event under way when the word came, and one after it: that lane looked, and went on.
        while any(not lane.resting and lane.passed < 2 for lane in self._running):
            self._handle(*self._news.get())
        try:
            self._pause.run()
        finally:
            self._go.set()

    def _give_up(self, error: BaseException) -> None:
        for job in self._waiting:
            job.future.set_exception(error)
        for lane in self._running:
            lane.cancel.cancel("the engine failed")
        while self._running:
            self._handle(*self._news.get())
