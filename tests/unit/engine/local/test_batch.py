"""Jobs side by side: each says what it says alone, ends on its own, and what it computed is kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.cancel import CancelToken, Deadline
from leanvibe_lsp.engine.base import BatchEngine, Chunk, Event, Finished, FinishReason, GenerationRequest, Job, Prefill
from leanvibe_lsp.engine.local import batch, generate
from leanvibe_lsp.engine.local.backend import MlxEngine
from leanvibe_lsp.engine.structured import Structure
from leanvibe_lsp.errors import Cancelled, ContextTooLarge, DeadlineExceeded, EngineError, Incomplete, UsageError
from tests.support.byte_tokenizer import byte_engine, byte_model
from tests.support.tiny_mlx import Ask, make_engine

PROMPTS = ((1, 2, 3, 4, 5, 6, 7), (9, 8, 7), (5,), tuple(range(1, 12)))


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prefill four tokens at a time."""
    for module in (generate, batch):
        monkeypatch.setattr(module, "limit", lambda name: 4 if name == "engine.prefill_chunk" else limit(name))


class Work:
    """Jobs for a batch, and what came of them."""

    def __init__(self) -> None:
        self.waiting: list[Job] = []
        self.events: list[tuple[int, Event]] = []  # of all jobs, in order, with the job's number
        self.futures: list[Future[Finished]] = []
        self.cancels: list[CancelToken] = []

    def put(
        self,
        request: GenerationRequest,
        watch: Callable[[Event], None] = lambda _event: None,
        deadline: Deadline | None = None,
    ) -> int:
        """One more job; gives its number. `watch` sees each event after it was kept."""
        number, cancel, future = len(self.futures), CancelToken(), Future[Finished]()

        def sink(event: Event) -> None:
            self.events.append((number, event))
            watch(event)

        self.futures.append(future)
        self.cancels.append(cancel)
        self.waiting.append(Job(request, sink, cancel, deadline or Deadline.never(), future))
        return number

    def take(self, count: int) -> Sequence[Job]:
        """The oldest."""
        taken, self.waiting = self.waiting[:count], self.waiting[count:]
        for job in taken:
            assert job.future.set_running_or_notify_cancel()
        return taken

    def chunks(self, number: int) -> list[Chunk]:
        """The tokens of one job."""
        return [event for owner, event in self.events if owner == number and isinstance(event, Chunk)]

    def tokens(self, number: int) -> list[int]:
        """Their ids."""
        return [chunk.token_id for chunk in self.chunks(number) if chunk.token_id is not None]


class At:
    """A pause that is wanted at some looks, and does their work then."""

    def __init__(self, work: dict[int, Callable[[], Any]]) -> None:
        self._work = work
        self._look = -1

    @property
    def wanted(self) -> bool:
        """Counts the looks."""
        self._look += 1
        return self._look in self._work

    def run(self) -> None:
        """The work of this look."""
        self._work[self._look]()


def alone(model: Any, request: GenerationRequest, **options: Any) -> tuple[list[Chunk], Finished]:
    """What a fresh engine says to one request."""
    ask = Ask(make_engine(model, **options))
    finished = ask(request)
    return ask.chunks, finished


def same(mine: list[Chunk], other: list[Chunk]) -> None:
    """The same tokens and texts; probabilities to what a pass over several rows rounds differently."""
    assert [(chunk.token_id, chunk.text) for chunk in mine] == [(chunk.token_id, chunk.text) for chunk in other]
    for one, two in zip(mine, other, strict=True):
        assert one.logprob == pytest.approx(two.logprob, abs=1e-3)
        assert [alternative.logprob for alternative in one.top] == pytest.approx(
            [alternative.logprob for alternative in two.top], abs=1e-3
        )


def test_it_is_a_batch_engine(tiny_engine: MlxEngine, sliding: Any) -> None:
    """With lanes for caches that can stand side by side; one for others, and before the model is loaded."""
    assert isinstance(tiny_engine, BatchEngine)
    assert tiny_engine.lanes == limit("engine.lanes") > 1
    assert make_engine(sliding).lanes == 1
    tiny_engine.close()
    assert tiny_engine.lanes == 1


def test_each_says_what_it_says_alone(tiny_model: Any) -> None:
    """Prompts and answers of all lengths, with alternatives, stop strings and temperatures of their own."""
    stop = "".join(chunk.text for chunk in alone(tiny_model, GenerationRequest(PROMPTS[0], max_tokens=20))[0])[7:9]
    requests = [
        GenerationRequest(PROMPTS[0], max_tokens=20, stop=(stop,), top_logprobs=3),
        GenerationRequest(PROMPTS[1], max_tokens=30, temperature=0.7, seed=5, top_logprobs=5),
        GenerationRequest(PROMPTS[2], max_tokens=9, draft=False),
        GenerationRequest(PROMPTS[3], max_tokens=1),
        GenerationRequest(PROMPTS[3], max_tokens=99, temperature=1.5, seed=6),
    ]
    work = Work()
    for request in requests:
        work.put(request)
    make_engine(tiny_model).generate_batch(work.take)
    for number, request in enumerate(requests):
        chunks, finished = alone(tiny_model, request)
        mine = work.futures[number].result(0)
        same(work.chunks(number), chunks)
        assert (mine.text, mine.reason) == (finished.text, finished.reason)
        assert mine.usage.completion_tokens == len(chunks)
    assert work.futures[0].result(0).reason is FinishReason.STOP


def test_fewer_passes_than_one_after_the_other(tiny_model: Any) -> None:
    """Four answers of ten tokens take ten passes over four rows, and none over more."""
    shapes: list[tuple[int, ...]] = []

    class Counting:
        layers, args, parameters = tiny_model.layers, tiny_model.args, tiny_model.parameters

        def __call__(self, ids: Any, **kwargs: Any) -> Any:
            shapes.append(ids.shape)
            return tiny_model(ids, **kwargs)

    work = Work()
    for first in (1, 2, 3, 4):
        work.put(GenerationRequest((first,), max_tokens=10))
    make_engine(Counting()).generate_batch(work.take)
    assert shapes == [(4, 1)] * 10


def test_a_free_lane_is_filled_in_the_middle(tiny_model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The third of two lanes begins when the first is through, and while the second goes on."""
    monkeypatch.setattr("leanvibe_lsp.engine.local.backend.limit", lambda n: 2 if n == "engine.lanes" else limit(n))
    work = Work()
    for prompt, count in zip(PROMPTS, (2, 12, 4), strict=False):
        work.put(GenerationRequest(prompt, max_tokens=count))
    make_engine(tiny_model).generate_batch(work.take)
    order = [number for number, event in work.events if isinstance(event, Chunk)]
    last = {number: at for at, number in enumerate(order)}
    assert last[0] < order.index(2) < last[2] < last[1]
    for number, prompt in enumerate(PROMPTS[:3]):
        request = GenerationRequest(prompt, max_tokens=len(work.tokens(number)))
        same(work.chunks(number), alone(tiny_model, request)[0])


def test_what_was_computed_is_reused(tiny_model: Any) -> None:
    """By a later job of the batch and by a later question; a cancelled one leaves what it had, too."""
    engine, work = make_engine(tiny_model), Work()
    first = work.put(GenerationRequest(PROMPTS[3], max_tokens=4))
    stopped = work.put(GenerationRequest(PROMPTS[0], max_tokens=30), watch=lambda _: cancel_after(work, 1, tokens=3))
    engine.generate_batch(work.take)
    assert work.futures[first].result(0).usage.cached_tokens == 0
    assert isinstance(work.futures[stopped].exception(0), Cancelled)
    turn = (*PROMPTS[3], *work.tokens(first))
    again = work.put(GenerationRequest((*turn, 1), max_tokens=2))
    engine.generate_batch(work.take)
    assert work.futures[again].result(0).usage.cached_tokens == len(turn) - 1
    went = (*PROMPTS[0], *work.tokens(stopped))
    assert Ask(engine)(GenerationRequest((*went, 1), max_tokens=1)).usage.cached_tokens >= len(went) - 1


def cancel_after(work: Work, number: int, *, tokens: int) -> None:
    """Cancel a job at its own event."""
    if len(work.chunks(number)) == tokens:
        work.cancels[number].cancel()


def test_ones_end_is_its_own(tiny_model: Any) -> None:
    """A cancel, a deadline, a broken listener, a prompt that cannot be asked: the others say what they say alone."""
    work = Work()
    past = Deadline.after(3_600)

    def let_it_pass(_event: Event) -> None:
        if len(work.chunks(1)) == 2:
            object.__setattr__(past, "at", 0.0)

    def break_down(_event: Event) -> None:
        raise ZeroDivisionError

    work.put(GenerationRequest(PROMPTS[0], max_tokens=30), watch=lambda _: cancel_after(work, 0, tokens=3))
    work.put(GenerationRequest(PROMPTS[1], max_tokens=30), watch=let_it_pass, deadline=past)
    work.put(GenerationRequest(PROMPTS[3], max_tokens=30), watch=break_down)
    work.put(GenerationRequest((), max_tokens=30))
    work.put(GenerationRequest((1,) * 64, max_tokens=30))
    work.put(GenerationRequest((3, 999), max_tokens=30))
    fine = [work.put(GenerationRequest(prompt, max_tokens=20)) for prompt in PROMPTS]
    make_engine(tiny_model).generate_batch(work.take)
    kinds = (Cancelled, DeadlineExceeded, ZeroDivisionError, UsageError, ContextTooLarge, UsageError)
    assert [type(future.exception(0)) for future in work.futures[:6]] == [*kinds]
    assert [len(work.chunks(number)) for number in range(6)] == [3, 2, 0, 0, 0, 0]
    for number, prompt in zip(fine, PROMPTS, strict=True):
        same(work.chunks(number), alone(tiny_model, GenerationRequest(prompt, max_tokens=20))[0])


def test_a_cancel_is_heard_in_the_prompt(tiny_model: Any) -> None:
    """Of the one whose prompt is computed, and of one that decodes meanwhile: within a chunk."""
    work = Work()
    work.put(GenerationRequest(PROMPTS[0], max_tokens=30))

    def watch(event: Event) -> None:
        if isinstance(event, Prefill) and event.done == 4:
            work.cancels[0].cancel()
        if isinstance(event, Prefill) and event.done == 8:
            assert isinstance(work.futures[0].exception(0), Cancelled)
            work.cancels[1].cancel()

    engine = make_engine(tiny_model)
    work.put(GenerationRequest(PROMPTS[3], max_tokens=5), watch=watch)
    engine.generate_batch(work.take)
    assert isinstance(work.futures[1].exception(0), Cancelled)
    assert Ask(engine)(GenerationRequest(PROMPTS[3], max_tokens=1)).usage.cached_tokens == 8


def test_more_urgent_work_has_its_turn(tiny_model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """In prompts and between tokens; its time is not the batch's, and a cancel that came meanwhile is heard."""
    now = 100.0

    class Clock:
        @staticmethod
        def monotonic() -> float:
            return now

    monkeypatch.setattr(batch, "time", Clock)
    engine, work = make_engine(tiny_model), Work()
    urgent = Ask(engine)
    said: list[list[int]] = []

    def ask() -> None:
        nonlocal now
        now += 50.0
        urgent(GenerationRequest((*PROMPTS[0][:5], 40), max_tokens=5))
        said.append(urgent.tokens)

    for prompt in PROMPTS[:3]:
        work.put(GenerationRequest(prompt, max_tokens=12))
    engine.generate_batch(work.take, At({1: ask, 4: ask, 6: ask, 9: work.cancels[1].cancel}))
    assert said == [urgent_alone(tiny_model)] * 3
    for number in (0, 2):
        same(work.chunks(number), alone(tiny_model, GenerationRequest(PROMPTS[number], max_tokens=12))[0])
        timing = work.futures[number].result(0).timing
        assert (timing.prefill_seconds, timing.decode_seconds) == (0.0, 0.0)
    assert isinstance(work.futures[1].exception(0), Cancelled)


def urgent_alone(model: Any) -> list[int | None]:
    """What the urgent one says on a fresh engine."""
    return [chunk.token_id for chunk in alone(model, GenerationRequest((*PROMPTS[0][:5], 40), max_tokens=5))[0]]


def test_what_cannot_run_together_runs_alone(sliding: Any) -> None:
    """A cache that forgets, and structured answers: when the lanes are empty, and as ever."""
    work = Work()
    for prompt in PROMPTS:
        work.put(GenerationRequest(prompt, max_tokens=20))
    make_engine(sliding).generate_batch(work.take)
    for number, prompt in enumerate(PROMPTS):
        same(work.chunks(number), alone(sliding, GenerationRequest(prompt, max_tokens=20))[0])
    work = Work()
    plain = GenerationRequest((50, 60, 70), max_tokens=20)
    choice = Structure.of_choices(["yes", "no"])
    for request in (
        plain,
        GenerationRequest((1, 2, 3), max_tokens=30, structure=choice),
        GenerationRequest((1, 2, 3), max_tokens=1, structure=Structure.of_choices(["a longer text"])),
        plain,
    ):
        work.put(request)
    byte_engine(byte_model()).generate_batch(work.take)
    assert work.futures[1].result(0).text in choice.choices
    assert isinstance(work.futures[2].exception(0), Incomplete)
    assert work.tokens(0) == work.tokens(3)
    order = [number for number, _event in work.events]
    assert order == sorted(order), "nobody gets in before the one that waits for empty lanes"


def test_one_that_waits_for_empty_lanes_can_be_cancelled() -> None:
    """It is told at the next token of the others, not after them."""
    work = Work()
    told: list[bool] = []

    def watch(_event: Event) -> None:
        if len(work.chunks(0)) == 3:
            work.cancels[1].cancel()
        told.append(work.futures[1].done())

    work.put(GenerationRequest((50, 60, 70), max_tokens=12), watch=watch)
    work.put(GenerationRequest((1, 2), max_tokens=30, structure=Structure.of_choices(["yes", "no"])))
    byte_engine(byte_model(), stop_ids=frozenset()).generate_batch(work.take)
    assert isinstance(work.futures[1].exception(0), Cancelled)
    assert told.index(True) < len(told) - 5


@pytest.mark.parametrize("passes", [0, 1, 4])
def test_when_the_device_fails_everybody_is_told(tiny_model: Any, passes: int) -> None:
    """In the first pass and in a later one: each job has the error, the call raises it, and nothing is kept of it."""

    class Failing:
        layers, args, parameters = tiny_model.layers, tiny_model.args, tiny_model.parameters
        left = passes

        def __call__(self, ids: Any, **kwargs: Any) -> Any:
            if len(ids) > 1:
                if not self.left:
                    raise RuntimeError("out of memory")
                self.left -= 1
            return tiny_model(ids, **kwargs)

    work = Work()
    for prompt in PROMPTS[:2]:
        work.put(GenerationRequest(prompt, max_tokens=12))
    engine = make_engine(Failing())
    with pytest.raises(EngineError, match="out of memory"):
        engine.generate_batch(work.take)
    assert [type(future.exception(0)) for future in work.futures] == [EngineError] * 2
    assert engine.cache_bytes == 0


def test_a_failure_in_one_prompt_is_its_own(tiny_model: Any) -> None:
    """The states of a chunk that failed are not kept."""

    class Failing:
        layers, args, parameters = tiny_model.layers, tiny_model.args, tiny_model.parameters

        def __call__(self, ids: Any, **kwargs: Any) -> Any:
            logits = tiny_model(ids, **kwargs)
            if ids.shape[1] > 1 and ids[0, 0].item() == 9:
                raise RuntimeError("out of memory")
            return logits

    work = Work()
    for prompt in PROMPTS[:2]:
        work.put(GenerationRequest(prompt, max_tokens=12))
    make_engine(Failing()).generate_batch(work.take)
    same(work.chunks(0), alone(tiny_model, GenerationRequest(PROMPTS[0], max_tokens=12))[0])
    assert isinstance(work.futures[1].exception(0), EngineError)


def test_a_lane_alone_drafts(tiny_model: Any) -> None:
    """Before others come and after they went; in between it does not, and the answer is what it is without."""
    prompt = (1, 2, 1, 0, 2, 2, 3, 3, 1, 0, 1, 3, 3, 2, 0, 1, 0, 2, 3, 1)
    request = GenerationRequest(prompt, max_tokens=150)
    chunks, _ = alone(tiny_model, GenerationRequest(prompt, max_tokens=150, draft=False), window=256)
    work = Work()

    def watch(_event: Event) -> None:
        if len(work.chunks(0)) == 50:
            work.put(GenerationRequest(PROMPTS[0], max_tokens=20))

    work.put(request, watch=watch)
    make_engine(tiny_model, window=256).generate_batch(work.take)
    same(work.chunks(0), chunks)
    same(work.chunks(1), alone(tiny_model, GenerationRequest(PROMPTS[0], max_tokens=20))[0])
    assert work.futures[0].result(0).usage.drafted_tokens > 0


FEW = st.lists(st.integers(0, 3), min_size=1, max_size=40).map(tuple)  # few letters: prefixes and drafts are shared


@dataclass(frozen=True)
class Plan:
    """One job: what it asks, when it comes (so many events of all jobs before it), at which own event it is stopped."""

    request: GenerationRequest
    comes: int
    cancel_at: int | None


PLANS = st.builds(
    Plan,
    st.builds(
        GenerationRequest,
        prompt=FEW,
        max_tokens=st.integers(1, 30),
        temperature=st.sampled_from([0.0, 0.0, 0.8]),
        seed=st.integers(0, 3),
        top_logprobs=st.integers(0, 4),
        draft=st.booleans(),
    ),
    st.integers(0, 60),
    st.none() | st.integers(0, 20),
)


@settings(deadline=None, derandomize=True, max_examples=80)
@given(
    st.lists(PLANS, min_size=1, max_size=7),
    st.dictionaries(st.integers(0, 40), st.tuples(FEW, st.integers(1, 5)), max_size=3),
    st.sampled_from([0, 20, 1_000]),
)
def test_company_changes_nothing(
    tiny_model: Any, plans: list[Plan], pauses: dict[int, tuple[tuple[int, ...], int]], room: int
) -> None:
    """Whoever comes, goes or is more urgent meanwhile: each says what a fresh engine says, up to its cancel."""
    engine, work = make_engine(tiny_model, room=room * 256), Work()
    later = sorted(plans, key=lambda plan: plan.comes)
    order: list[Plan] = []

    def arrive() -> None:
        while later and later[0].comes <= len(work.events):
            put(later.pop(0))

    def put(plan: Plan) -> None:
        number = len(order)
        order.append(plan)

        def watch(_event: Event) -> None:
            if sum(owner == number for owner, _ in work.events) - 1 == plan.cancel_at:
                work.cancels[number].cancel()
            arrive()

        work.put(plan.request, watch=watch)

    def urgent(prompt: tuple[int, ...], count: int) -> None:
        ask = Ask(engine)
        ask(GenerationRequest(prompt, max_tokens=count))
        same(ask.chunks, alone(tiny_model, GenerationRequest(prompt, max_tokens=count))[0])

    while later:
        put(later.pop(0))
        arrive()
        engine.generate_batch(work.take, At({at: partial(urgent, *asked) for at, asked in pauses.items()}))
    assert len(work.futures) == len(plans)
    for number, plan in enumerate(order):
        chunks, finished = alone(tiny_model, plan.request)
        mine = work.chunks(number)
        error = work.futures[number].exception(0)
        if error is not None:
            assert isinstance(error, Cancelled)
            assert sum(owner == number for owner, _ in work.events) - 1 == plan.cancel_at
            same(mine, chunks[: len(mine)])
        else:
            same(mine, chunks)
            assert work.futures[number].result(0).text == finished.text
        begun = next(event for owner, event in work.events if owner == number)
        assert isinstance(begun, Prefill)
        if error is None:
            assert work.futures[number].result(0).usage.cached_tokens == begun.cached <= len(plan.request.prompt) - 1
