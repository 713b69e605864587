"""Seconds to the first token: of a prompt never seen, and of one whose beginning was seen before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from leanvibe_lsp.engine.base import GenerationRequest, Loaded
from tests.benchmarks.engine_runs import code_prompts, open_engine, run
from tests.benchmarks.figures import Figure
from tests.benchmarks.raw import raw_llama
from tests.benchmarks.server_peer import PEER, mlx_server

_PREFIX = 1_024
_QUESTION = 24


def measure(backend: str, rounds: int) -> list[Figure]:
    """Cold and warm, against the raw library with its own prompt cache."""
    series: dict[str, list[tuple[float, float]]] = {"cold": [], "beginning seen before": []}
    with open_engine(backend) as (engine, loaded), _peer(backend, loaded) as (peer, name):
        assert loaded.tokenizer is not None
        questions = [loaded.tokenizer.encode(word * _QUESTION)[:_QUESTION] for word in (" one", " two")]
        prefixes = code_prompts(loaded, _PREFIX)
        for _ in range(rounds + 1):
            prefix = next(prefixes)
            for what, question in zip(series, questions, strict=True):
                prompt = (*prefix, *question)
                mine = run(engine, GenerationRequest(prompt, 2, top_logprobs=1))
                assert mine.usage is not None
                assert (mine.usage.cached_tokens >= _PREFIX) == (what != "cold"), mine.usage
                series[what].append((mine.first_seconds, peer(prompt)))
    return [
        Figure(f"{backend}, first token of {_PREFIX + _QUESTION:,}, {what}", *zip(*pairs[1:], strict=True), "s", name)
        for what, pairs in series.items()
    ]


@contextmanager
def _peer(backend: str, loaded: Loaded) -> Iterator[tuple[Callable[[tuple[int, ...]], float], str]]:
    if backend == "mlx":
        assert loaded.tokenizer is not None
        with mlx_server(loaded.tokenizer) as first_seconds:
            yield first_seconds, PEER
        return
    raw = raw_llama()["xllamacpp, probabilities"]
    yield lambda prompt: raw(prompt, 2).first_seconds, "xllamacpp, its prompt cache"
