"""SmolLM2 on MLX says to several at once what it says to each alone."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from leanvibe_lsp.core.cancel import CancelToken, Deadline
from leanvibe_lsp.engine.base import Chunk, Event, Finished, GenerationRequest, Job
from leanvibe_lsp.engine.host import EngineHost
from leanvibe_lsp.engine.local.backend import MlxEngine
from leanvibe_lsp.engine.models.registry import resolve
from leanvibe_lsp.engine.scheduler import Priority, Scheduler
from leanvibe_lsp.engine.select import Selection

pytestmark = pytest.mark.real_model

NEAR_TIE = 1e-3  # of log-probability: passes over one row and over several round differently
TEXTS = (
    "def total(prices):\n    result = 0\n    for price in prices:\n        result += price\n",
    "import os\n",
    "# A lighthouse keeper repairs radios in winter. One night\n",
    "class Stack:\n    def __init__(self):\n        self.items = []\n\n    def push(self, item):\n" * 3,
)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlxEngine]:
    """SmolLM2."""
    engine = MlxEngine(resolve("smollm2", cache=tmp_path_factory.mktemp("cache")))
    engine.load(CancelToken())
    yield engine
    engine.close()


def run(engine: MlxEngine, prompts: list[tuple[int, ...]], *, lanes: int) -> list[list[Chunk]]:
    """Each prompt's greedy answer, at most `lanes` of them at once."""
    said: list[list[Event]] = [[] for _ in prompts]
    jobs = [
        Job(
            GenerationRequest(prompt, max_tokens=24, top_logprobs=2),
            events.append,
            CancelToken(),
            Deadline.never(),
            Future[Finished](),
        )
        for prompt, events in zip(prompts, said, strict=True)
    ]
    while jobs:
        waiting, jobs = jobs[:lanes], jobs[lanes:]
        futures = [job.future for job in waiting]

        def take(count: int, waiting: list[Job] = waiting) -> list[Job]:
            return [waiting.pop(0) for _ in range(min(count, len(waiting)))]

        engine.generate_batch(take)
        assert all(future.result(0).text for future in futures)
    return [[event for event in events if isinstance(event, Chunk)] for events in said]


def test_four_at_once_say_what_each_says_alone(engine: MlxEngine) -> None:
    """Token for token; where two tokens are as likely as rounding can tell, the answers may part."""
    assert engine._state is not None
    prompts = [tuple(engine._state.files.tokenizer.encode(text)) for text in TEXTS]
    alone, together = run(engine, prompts, lanes=1), run(engine, prompts, lanes=4)
    for one, other in zip(alone, together, strict=True):
        pairs = enumerate(zip(one, other, strict=False))
        at = next((at for at, (a, b) in pairs if a.token_id != b.token_id), None)
        if at is None:
            assert len(one) == len(other)
        else:
            assert one[at].top[0].logprob - one[at].top[1].logprob < NEAR_TIE
        for a, b in zip(one[:at], other[:at], strict=True):
            assert a.logprob == pytest.approx(b.logprob, abs=NEAR_TIE)


def test_two_reviews_and_a_question_in_the_middle(engine: MlxEngine) -> None:
    """Reviews run together, the question has its turn at once, and each says what it says alone."""
    assert engine._state is not None
    files = engine._state.files
    prompts = [tuple(files.tokenizer.encode(text)) for text in TEXTS[:3]]
    alone = [[chunk.token_id for chunk in chunks] for chunks in run(engine, prompts, lanes=1)]
    host = EngineHost(
        lambda _: Selection("mlx", engine._located, ()), lambda _: MlxEngine(engine._located), Scheduler(capacity=8)
    )
    events: list[tuple[int, int | None]] = []
    futures: dict[int, Future[Finished]] = {}

    def ask(number: int, priority: Priority) -> None:
        def sink(event: Event) -> None:
            if isinstance(event, Chunk):
                events.append((number, event.token_id))
                if len(events) == 12:
                    ask(2, Priority.QUESTION)

        request = GenerationRequest(prompts[number], max_tokens=24, top_logprobs=2)
        futures[number] = host.generate(
            request, sink, priority=priority, cancel=CancelToken(), deadline=Deadline.after(200)
        )

    try:
        ask(0, Priority.REVIEW)
        ask(1, Priority.REVIEW)
        for number in range(3):
            futures[number].result(200)
    finally:
        host.close(10)
    order = [number for number, _token in events]
    said = [[token for owner, token in events if owner == number] for number in range(3)]
    assert said == alone
    question = order.index(2)
    assert order[question : question + len(said[2])] == [2] * len(said[2])
    assert {0, 1} == {*order[question + len(said[2]) :]} == {*order[:question]}
