"""The raw libraries, called as their own examples call them, with the prompt the product builds."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from leanvibe_lsp.core.cancel import CancelToken
from leanvibe_lsp.engine.models.registry import resolve


@dataclass(frozen=True, slots=True)
class RawRun:
    """Seconds to the first token, tokens a second after it, and how many tokens there were."""

    first_seconds: float
    tokens_per_second: float
    tokens: int


Generate = Callable[[tuple[int, ...], int], RawRun]


def smollm2() -> Path:
    """The embedded model's file."""
    return resolve("smollm2", cache=Path("/nonexistent")).path


def raw_llama() -> dict[str, Generate]:
    """xllamacpp with its own defaults, greedy: asked for token probabilities, as the product does, and not."""
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(smollm2())
    parameters.n_ctx = 4096
    parameters.n_parallel = 1
    parameters.verbosity = -1
    server = xllamacpp.Server(parameters)

    def generate(prompt: tuple[int, ...], max_tokens: int, *, probabilities: int) -> RawRun:
        stamps: list[float] = []

        def on_event(event: dict[str, Any]) -> bool:
            if event["choices"][0]["finish_reason"] is None:
                stamps.append(time.perf_counter())
            return False

        request = {"prompt": list(prompt), "n_predict": max_tokens, "temperature": 0, "stream": True}
        begin = time.perf_counter()
        server.handle_completions({**request, "n_probs": probabilities}, on_event)
        return _run(begin, stamps)

    return {
        "xllamacpp, probabilities": partial(generate, probabilities=1),
        "xllamacpp, none": partial(generate, probabilities=0),
    }


def raw_mlx() -> dict[str, Generate]:
    """mlx_lm's own generation loop on the same weights, greedy."""
    from leanvibe_lsp.engine.local.load import load_weights
    from leanvibe_lsp.engine.models.tokenizer import load_tokenizer

    located = resolve("smollm2", cache=Path("/nonexistent"))
    model = load_weights(located, CancelToken()).model
    stops = load_tokenizer(located).stop_ids

    import mlx.core as mx
    from mlx_lm.generate import generate_step

    def generate(prompt: tuple[int, ...], max_tokens: int) -> RawRun:
        stamps: list[float] = []
        begin = time.perf_counter()
        for token, _ in generate_step(mx.array(prompt), model, max_tokens=max_tokens):
            stamps.append(time.perf_counter())
            if int(token) in stops:
                break
        return _run(begin, stamps)

    return {"mlx_lm.generate_step": generate}


def _run(begin: float, stamps: list[float]) -> RawRun:
    return RawRun(stamps[0] - begin, (len(stamps) - 1) / (stamps[-1] - stamps[0]), len(stamps))
