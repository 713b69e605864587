"""The parity fixtures through the engines themselves: what comes out of `generate` is what transformers computed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from leanvibe_lsp.core.cancel import CancelToken, Deadline
from leanvibe_lsp.engine.base import Chunk, Engine, Event, GenerationRequest
from leanvibe_lsp.engine.llama import LlamaEngine
from leanvibe_lsp.engine.local.backend import MlxEngine
from leanvibe_lsp.engine.models.formats import Format
from tests.support import parity
from tests.support.parity import golden, prompt
from tests.support.tiny_mlx import located

# llama.cpp has no YaRN in this form of file, and leaves out Phi-3's sliding window.
CASES = [case for case in parity.CASES if case not in ("qwen2-yarn", "phi3-sliding", "phi3-partial")]
TOP = 20


def alternatives(engine: Engine, ids: list[int]) -> dict[int, float]:
    """The likeliest next tokens after `ids`, with their log-probabilities."""
    events: list[Event] = []
    request = GenerationRequest(tuple(ids), max_tokens=1, top_logprobs=TOP)
    engine.generate(request, events.append, CancelToken(), Deadline.never())
    (chunk,) = (event for event in events if isinstance(event, Chunk))
    return {one.token_id: one.logprob for one in chunk.top}


def furthest(found: dict[int, float], case: str) -> float:
    """The largest difference of a log-probability after the long prompt from transformers', among the likeliest."""
    row = golden()[f"{case}.long"][-1].astype(np.float64)
    expected = row - np.log(np.exp(row - row.max()).sum()) - row.max()
    assert len(found) == TOP
    return float(max(abs(logprob - expected[token_id]) for token_id, logprob in found.items()))


# Dynamic scaling begins past the trained window.
TWINS = {"llama": {"llama-dynamic"}, "llama-dynamic": {"llama"}}

# Nats. MLX on a CPU computes in 32 bits; llama.cpp keeps keys and values in 16, and rounds activations to 8 for Q8_0.
BOUNDS = {("mlx", "F16"): 1e-3, ("llama.cpp", "F16"): 0.05, ("llama.cpp", "Q8_0"): 1.0}


def answer(backend: str, case: str, kind: str, folder: Path) -> dict[int, float]:
    """What a backend says after the long prompt to a file of one case."""
    where = located(parity.write_case_gguf(folder / "model.gguf", case, kind), Format.GGUF)
    engine: Engine = MlxEngine(where) if backend == "mlx" else LlamaEngine(where)
    engine.load(CancelToken())
    try:
        return alternatives(engine, prompt("long"))
    finally:
        engine.close()


@pytest.mark.parametrize(("backend", "kind"), BOUNDS)
@pytest.mark.parametrize("case", CASES)
def test_engines_agree_with_transformers(case: str, backend: str, kind: str, tmp_path: Path) -> None:
    """Each backend reads the same file, and each computes what transformers did, and not what another case is."""
    found, bound = answer(backend, case, kind, tmp_path), BOUNDS[backend, kind]
    near = {other for other in parity.CASES if furthest(found, other) < bound}
    assert near == {case} | TWINS.get(case, set())


def test_llama_cpp_leaves_out_the_sliding_window(tmp_path: Path) -> None:
    """Past Phi-3's sliding window llama.cpp sees more than transformers and MLX do: it says so, and this is it."""
    found = answer("llama.cpp", "phi3-sliding", "F16", tmp_path)
    assert furthest(found, "phi3") < BOUNDS["llama.cpp", "F16"] < furthest(found, "phi3-sliding")
