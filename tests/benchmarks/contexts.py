"""Prefill and decode at three lengths of context, ours against the raw library with the same prompt."""

from __future__ import annotations

from leanvibe_lsp.engine.base import GenerationRequest
from tests.benchmarks.engine_runs import Run, code_prompts, open_engine, run
from tests.benchmarks.figures import Figure
from tests.benchmarks.raw import RawRun, raw_llama, raw_mlx

LENGTHS = (128, 1_024, 3_072)
_NEW_TOKENS = 32


def measure(backend: str, rounds: int) -> list[Figure]:
    """Tokens a second; free text, so drafting has nothing to say. Each round has a prompt never seen."""
    raw, peer = {
        "llama.cpp": lambda: (raw_llama()["xllamacpp, probabilities"], "xllamacpp, probabilities"),
        "mlx": lambda: (raw_mlx()["mlx_lm.generate_step"], "mlx_lm.generate_step, OpenBLAS, fp32"),
    }[backend]()
    figures: list[Figure] = []
    with open_engine(backend) as (engine, loaded):
        for length in LENGTHS:
            prompts = code_prompts(loaded, length)
            ours: list[Run] = []
            theirs: list[RawRun] = []
            for number in range(-1, rounds):
                prompt = next(prompts)
                request = GenerationRequest(prompt, _NEW_TOKENS, top_logprobs=1)
                if number % 2:
                    theirs.append(raw(prompt, _NEW_TOKENS))
                ours.append(run(engine, request))
                if not number % 2:
                    theirs.append(raw(prompt, _NEW_TOKENS))
            figures += _figures(backend, peer, length, ours[1:], theirs[1:])
    return figures


def _figures(backend: str, peer: str, length: int, ours: list[Run], theirs: list[RawRun]) -> list[Figure]:
    for mine, other in zip(ours, theirs, strict=True):
        assert abs(len(mine.tokens) - other.tokens) <= 1, f"not the same work: {mine} and {other}"
        assert mine.usage is not None
        assert mine.usage.cached_tokens < 64, "the prompt was seen before"
    prefills = (tuple(length / one.first_seconds for one in runs) for runs in (ours, theirs))
    decodes = (tuple(one.tokens_per_second for one in runs) for runs in (ours, theirs))
    return [
        Figure(f"{backend}, prefill of {length:,} tokens", *prefills, "tok/s", peer),
        Figure(f"{backend}, decode behind {length:,} tokens", *decodes, "tok/s", peer),
    ]
