"""Several generations side by side: one forward pass gives each of them its next token.

A pass reads all weights, be it for one token or for four; that is what the lanes share. A prompt is computed in a
session of its own while the others wait: lanes that decode together are through sooner. Then its states become a row
beside the others', padded on the left, where the mask hides the padding. At the end they go back into the session, and
the tree keeps them. A lane that is alone decodes as any generation does, with drafts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.engine.base import Finished, Job, Pause
from leanvibe_lsp.engine.local.answer import Answer
from leanvibe_lsp.engine.local.arrays import compute_errors, mx
from leanvibe_lsp.engine.local.draft import Drafter
from leanvibe_lsp.engine.local.generate import Decoder, Sample, Sampler, Scores, make_sampler, score
from leanvibe_lsp.engine.local.kv import GROWTH
from leanvibe_lsp.engine.local.rows import add_row, keep_rows, take_row
from leanvibe_lsp.errors import Cancelled, DeadlineExceeded, EngineError

if TYPE_CHECKING:
    from leanvibe_lsp.engine.local.backend import _State
    from leanvibe_lsp.engine.local.prefix import Session

Take = Callable[[int], Sequence[Job]]


@dataclass(eq=False, slots=True)
class _Lane:
    """One job at work."""

    job: Job
    answer: Answer
    session: Session  # its layers are empty while the lane is a row
    cached: int
    count: int  # tokens the answer may have
    top: int
    sampler: Sampler
    known: list[int]  # prompt, and answer so far
    next: Any  # the token to feed, shape (1,); the device may still work on it
    solo: Generator[Sample, None, None] | None = None  # the decode loop while the lane is alone

    @property
    def ready(self) -> bool:
        """Whether the prompt is computed."""
        return len(self.session.seen) >= len(self.job.request.prompt) - 1

    @property
    def made(self) -> int:
        """Tokens of the answer."""
        return len(self.known) - len(self.job.request.prompt)

    @property
    def drafts(self) -> bool:
        """Whether guesses are allowed."""
        return self.job.request.draft and self.job.request.temperature <= 0

    def begin(self) -> bool:
        """Say what is known of the prompt."""
        self.answer.progress(self.cached, self.cached)
        return False

    def check(self) -> bool:
        """Look at cancel and deadline."""
        self.answer.check()
        return False

    def fill(self) -> bool:
        """Compute a chunk of the prompt."""
        done = len(self.session.seen)
        self.session.fill(self.known[done : min(done + limit("engine.prefill_chunk"), len(self.known) - 1)])
        self.answer.progress(len(self.session.seen), self.cached)
        return False

    def take(self, sample: Sample) -> bool:
        """Pass a token on; True when the answer ends."""
        self.known.append(sample.token_id)
        return self.answer.take(replace(sample, top=sample.top[: self.top])) or self.made == self.count


@dataclass(frozen=True, slots=True)
class _Pass:
    """One forward pass over a token of each lane; the device may still work on the scores."""

    lanes: tuple[_Lane, ...]
    scores: Scores


class Batch:
    """One call of `generate_batch`. `alone` runs a job that has to have the device for itself."""

    def __init__(self, state: _State, lanes: int, take: Take, pause: Pause, alone: Callable[[Job], Finished]) -> None:
        self._state = state
        self._room = lanes
        self._take = take
        self._pause = pause
        self._run_alone = alone
        self._jobs: list[Job] = []
        self._alone: Job | None = None  # waits until the lanes are empty, and nobody gets in before it
        self._lanes: list[_Lane] = []
        self._rows: list[_Lane] = []  # the lanes that decode together
        self._layers: list[Any] = []  # their caches
        self._pending: _Pass | None = None
        self._passes = 0
        self._away = 0.0  # seconds given to more urgent work

    def run(self) -> None:
        """Until nothing is left to take. Raises EngineError when a pass fails, after all jobs were told."""
        try:
            while True:
                self._admit()
                if self._lanes:
                    self._round()
                elif self._alone is not None:
                    self._generate(self._alone)
                else:
                    return
        except BaseException as error:
            for job in self._jobs:
                if not job.future.done():
                    job.future.set_exception(error)
            raise

    def _admit(self) -> None:
        """Take jobs for the free lanes, the next one when the prompt of the last one is computed."""
        while self._alone is None and len(self._lanes) < self._room and all(lane.ready for lane in self._lanes):
            jobs = self._take(1)
            if not jobs:
                return
            self._jobs = [job for job in self._jobs if not job.future.done()] + [*jobs]
            for job in jobs:
                self._begin(job)

    def _begin(self, job: Job) -> None:
        request, state = job.request, self._state
        if request.structure is not None or not state.batches:
            self._alone = job
            return
        answer = Answer(state.files, request, job.sink, job.cancel, job.deadline, self._clock)
        try:
            answer.check()
            state.refuse(request.prompt, request.max_tokens)
            session = state.prefixes.begin(request.prompt)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this job's
            job.future.set_exception(error)
            return
        lane = _Lane(
            job,
            answer,
            session,
            cached=len(session.seen),
            count=state.room(request),
            top=state.top(request),
            sampler=make_sampler(request.temperature, request.seed),
            known=list(request.prompt),
            next=mx.array(request.prompt[-1:]),
        )
        self._lanes.append(lane)
        self._each([lane], _Lane.begin)

    def _generate(self, job: Job) -> None:
        try:
            finished = self._run_alone(job)
        except Exception as error:  # noqa: BLE001 - it is this job's
            job.future.set_exception(error)
        else:
            job.future.set_result(finished)
        self._alone = None

    def _round(self) -> None:
        """Up to the next boundary: a chunk of a prompt, or a token for each lane."""
        self._look()
        if coming := [lane for lane in self._lanes if not lane.ready]:
            self._each(coming[:1], _Lane.fill)
        elif len(self._lanes) == 1 and self._lanes[0].drafts:
            self._step_alone(self._lanes[0])
        elif self._lanes:
            self._step()

    def _look(self) -> None:
        """Let more urgent work have its turn, and hear who was cancelled."""
        if self._pause.wanted:
            begin = time.monotonic()
            self._pause.run()
            self._away += time.monotonic() - begin
        self._each(self._lanes, _Lane.check)
        if (job := self._alone) is not None:
            try:
                job.cancel.check()
                job.deadline.check()
            except EngineError as error:
                self._alone = None
                job.future.set_exception(error)

    def _step(self) -> None:
        """Begin the next pass, and give out the tokens of the one before."""
        done, self._pending = self._pending, None
        under_way = done.lanes if done else ()
        if any(lane.made + (lane in under_way) < lane.count for lane in self._lanes):
            self._pending = self._start()
        if done is None:
            return
        with compute_errors():
            said = dict(zip(done.lanes, done.scores.wait(), strict=True))
        self._each([lane for lane in self._lanes if lane in said], lambda lane: lane.take(said[lane]))

    def _start(self) -> _Pass:
        """Hand a pass over a token of each lane to the device."""
        for lane in self._lanes:
            if lane not in self._rows:
                self._stop_solo(lane)
                self._layers = add_row(self._layers, lane.session.layers)
                self._rows.append(lane)
                lane.session.layers = []
        with compute_errors():
            ids = mx.concatenate([lane.next for lane in self._rows])
            logits = self._state.weights.model(ids[:, None], cache=self._layers)[:, -1].astype(mx.float32)
            tokens = mx.concatenate([lane.sampler(logits[row : row + 1]) for row, lane in enumerate(self._rows)])
            total = mx.logsumexp(logits, axis=-1, keepdims=True)
            scores = score(logits, total, tokens, max(lane.top for lane in self._rows))
            for row, lane in enumerate(self._rows):
                lane.next = tokens[row : row + 1]
            self._passes += 1
            if self._passes % GROWTH == 0:  # the cache grew, and its old arrays wait to be freed
                mx.clear_cache()
        return _Pass(tuple(self._rows), scores)

    def _step_alone(self, lane: _Lane) -> None:
        if lane.solo is None:
            self._pending = None  # it knows no more than what is computed again
            self._leave_rows([one for one in self._rows if one is lane])
            lane.session.trim(len(lane.session.seen) - (len(lane.known) - 1))
            decoder = Decoder(
                self._state.weights.model,
                lane.session,
                sampler=lane.sampler,
                top=lane.top,
                drafter=Drafter(lane.known),
            )
            lane.solo = decoder.run(lane.known[-1], lane.count - lane.made)
        solo = lane.solo
        self._each([lane], lambda lane: lane.take(next(solo)))

    def _stop_solo(self, lane: _Lane) -> None:
        """Forget what was computed ahead of the last token that is known."""
        if lane.solo is not None:
            lane.solo.close()
            lane.solo = None
            lane.session.trim(len(lane.session.seen) - (len(lane.known) - 1))
            lane.next = mx.array(lane.known[-1:])

    def _each(self, lanes: Sequence[_Lane], work: Callable[[_Lane], bool]) -> None:
        """Do `work` for each; those for which it is the end, or fails, leave and tell their jobs."""
        ended: dict[_Lane, Finished | Exception] = {}
        for lane in lanes:
            try:
                if work(lane):
                    ended[lane] = lane.answer.finish()
            except Exception as error:  # noqa: BLE001 - whatever it is, it is this lane's
                ended[lane] = error
        self._leave_rows([lane for lane in ended if lane in self._rows])
        for lane, outcome in ended.items():
            self._lanes.remove(lane)
            if isinstance(outcome, Finished | Cancelled | DeadlineExceeded):
                self._state.prefixes.end(lane.session)
            if isinstance(outcome, Finished):
                lane.job.future.set_result(outcome)
            else:
                lane.job.future.set_exception(outcome)

    def _leave_rows(self, lanes: Sequence[_Lane]) -> None:
        """Give the states of these rows back to their sessions."""
        if not lanes:
            return
        for lane in lanes:
            lane.session.layers = take_row(self._layers, self._rows.index(lane))
            held = lane.session.layers[0].offset
            lane.session.append(lane.known[len(lane.session.seen) : held])
        kept = [lane for lane in self._rows if lane not in lanes]
        self._layers = keep_rows(self._layers, [self._rows.index(lane) for lane in kept])
        self._rows = kept

    def _clock(self) -> float:
        """Seconds of the batch's own."""
        return time.monotonic() - self._away
