"""Requests that are in no hurry run together, where the backend is faster with several at once.

Each waits as an item of its own in the scheduler's queue, with its own cancel token and deadline. The first one that
gets its turn takes others along; their items then leave the queue.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from leanvibe_lsp.engine.base import Finished, Job, Pause
from leanvibe_lsp.engine.scheduler import Priority, Scheduler
from leanvibe_lsp.errors import EngineError, LeanVibeError

Take = Callable[[int], Sequence[Job]]
# Runs `job`, on the engine's thread, and those it takes along; `take` gives `job` first.
RunJobs = Callable[[Job, Take, Pause], None]


class Pool:
    """The requests of one priority."""

    def __init__(self, scheduler: Scheduler, priority: Priority, run: RunJobs) -> None:
        self._scheduler = scheduler
        self._priority = priority
        self._run = run
        self._lock = threading.Lock()
        self._waiting: dict[Future[Finished], tuple[Job, Future[None]]] = {}  # and the item in the queue
        self._running: list[Job] = []
        self._closed = False

    def submit(self, job: Job) -> Future[Finished]:
        """Queue a request. Raises what `Scheduler.submit` raises."""
        with self._lock:  # jobs and items in one order: an item's own job is the oldest when its turn comes
            item = self._scheduler.submit(
                lambda pause: self._drain(job, pause),
                priority=self._priority,
                cancel=job.cancel,
                deadline=job.deadline,
            )
            self._waiting[job.future] = job, item
        item.add_done_callback(lambda ended: self._item_ended(job, ended))
        return job.future

    def close(self) -> None:
        """Cancel what runs; nothing more is taken. What waits is cancelled with the scheduler."""
        with self._lock:
            self._closed = True
            running = list(self._running)
        for job in running:
            job.cancel.cancel("shutting down")

    def _drain(self, job: Job, pause: Pause) -> None:
        taken: list[Job] = []
        try:
            self._run(job, lambda count: self._take(count, taken), pause)
        except LeanVibeError as error:
            self._settle(taken, error)
            raise
        finally:
            self._settle(taken, EngineError("The engine ended without an answer.", next_step="Ask again."))

    def _take(self, count: int, taken: list[Job]) -> list[Job]:
        """Up to `count` jobs, oldest first; those that were cancelled or given up meanwhile are not among them."""
        jobs: list[Job] = []
        while len(jobs) < count and (job := self._first()) is not None:
            if not job.future.set_running_or_notify_cancel():
                continue
            try:
                job.cancel.check()
                job.deadline.check()
            except LeanVibeError as error:
                job.future.set_exception(error)
                continue
            jobs.append(job)
            taken.append(job)
            with self._lock:
                self._running.append(job)
        return jobs

    def _first(self) -> Job | None:
        with self._lock:
            if self._closed or not self._waiting:
                return None
            job, item = self._waiting.pop(next(iter(self._waiting)))
        item.cancel()  # nothing to do there any more; without effect on the item that took it
        return job

    def _forget(self, job: Job) -> bool:
        """True when the job waited until now."""
        with self._lock:
            return self._waiting.pop(job.future, None) is not None

    def _item_ended(self, job: Job, item: Future[None]) -> None:
        """A job whose item ended before anybody took it ends as its item did."""
        if not self._forget(job) or not job.future.set_running_or_notify_cancel():
            return
        error = None if item.cancelled() else item.exception()
        job.future.set_exception(error or EngineError("The engine did not take the request.", next_step="Ask again."))

    def _settle(self, taken: list[Job], error: LeanVibeError) -> None:
        """Whoever was taken has an end, whatever the engine did."""
        with self._lock:
            self._running = [job for job in self._running if job not in taken]
        for job in taken:
            if not job.future.done():
                job.future.set_exception(error)
