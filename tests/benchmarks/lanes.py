"""Background work: several generations together, against one after the other."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future

from leanvibe_lsp.core.cancel import CancelToken, Deadline
from leanvibe_lsp.engine.base import BatchEngine, Finished, GenerationRequest, Job
from tests.benchmarks.engine_runs import code_prompts, open_engine
from tests.benchmarks.figures import Figure

_PROMPT = 256
_NEW_TOKENS = 64


def measure(backend: str, rounds: int) -> list[Figure]:
    """New tokens a second in total."""
    figures: list[Figure] = []
    with open_engine(backend) as (engine, loaded):
        assert isinstance(engine, BatchEngine)
        prompts = code_prompts(loaded, _PROMPT)
        for count in (2, 4):
            if count > engine.lanes:
                continue
            together: list[float] = []
            in_turn: list[float] = []
            for _ in range(rounds + 1):
                together.append(_speed(engine, [next(prompts) for _ in range(count)], at_once=count))
                in_turn.append(_speed(engine, [next(prompts) for _ in range(count)], at_once=1))
            name = f"{backend}, {count} reviews at once"
            figures.append(Figure(name, tuple(together[1:]), tuple(in_turn[1:]), "tok/s", "one after the other"))
    return figures


def _speed(engine: BatchEngine, prompts: Sequence[tuple[int, ...]], *, at_once: int) -> float:
    tokens = 0
    begin = time.perf_counter()
    for first in range(0, len(prompts), at_once):
        jobs = [_job(prompt) for prompt in prompts[first : first + at_once]]
        waiting = list(jobs)

        def take(count: int, waiting: list[Job] = waiting) -> list[Job]:
            taken, waiting[:] = waiting[:count], waiting[count:]
            return taken

        engine.generate_batch(take)
        tokens += sum(job.future.result(0).usage.completion_tokens for job in jobs)
    return tokens / (time.perf_counter() - begin)


def _job(prompt: tuple[int, ...]) -> Job:
    request = GenerationRequest(prompt, _NEW_TOKENS, top_logprobs=1, draft=False)
    return Job(request, lambda _: None, CancelToken(), Deadline.never(), Future[Finished]())
