"""How long the engine works on after a cancel: in the middle of a long prompt, and of an answer."""

from __future__ import annotations

from collections.abc import Callable

from leanvibe_lsp.engine.base import GenerationRequest
from tests.benchmarks.engine_runs import cancel_latency, code_prompts, open_engine, run
from tests.benchmarks.figures import Figure

_PROMPT = 2_048


def measure(backend: str, rounds: int) -> list[Figure]:
    """Seconds; the peer is the time the same prompt would have taken to its first token."""
    with open_engine(backend) as (engine, loaded):
        prompts = code_prompts(loaded, _PROMPT)
        whole = run(engine, GenerationRequest(next(prompts), 2)).first_seconds
        prefill = _collected(
            2 * rounds,
            lambda index: cancel_latency(
                engine, GenerationRequest(next(prompts), 8), whole * (index % (2 * rounds) + 1) / (2 * rounds + 2)
            ),
        )
        short = next(code_prompts(loaded, 64))
        run(engine, GenerationRequest(short, 2))
        decode = _collected(
            2 * rounds,
            lambda index: cancel_latency(
                engine, GenerationRequest((*short, 100 + index), 400, draft=False, stop_loops=False), 0.3
            ),
        )
    return [
        *_figures(f"{backend}, cancel in the middle of a prompt", prefill, whole),
        *_figures(f"{backend}, cancel in the middle of an answer", decode, None),
    ]


def _collected(count: int, measure_one: Callable[[int], float | None]) -> list[float]:
    """`count` figures; what ended before it was cancelled says nothing and is tried again."""
    found: list[float] = []
    for index in range(4 * count):
        if len(found) < count and (seconds := measure_one(index)) is not None:
            found.append(seconds)
    assert len(found) == count, f"only {len(found)} of {count} could be cancelled"
    return found


def _figures(name: str, seconds: list[float], whole: float | None) -> list[Figure]:
    """P50 and P95, the first against the whole prompt."""
    ranked = sorted(seconds)
    p95 = ranked[min(len(ranked) - 1, round(0.95 * len(ranked)))]
    theirs = () if whole is None else (whole,) * len(seconds)
    peer = "" if whole is None else f"all {_PROMPT:,} tokens of it"
    return [
        Figure(f"{name}, P50", tuple(seconds), theirs, "s", peer),
        Figure(f"{name}, P95", (p95,), (), "s", ""),
    ]
