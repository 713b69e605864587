"""What llama.cpp is told: how to serve a model, and what to generate."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.engine.base import GenerationRequest

_SEEDS = (1 << 32) - 1  # the largest seed of 32 bits means "any" to llama.cpp


def slot_count() -> int:
    """One for each lane, and one for what is more urgent than they."""
    return limit("engine.lanes") + 1


def server_parameters(xllamacpp: Any, model: Path, window: int, socket: str | None) -> Any:
    """How to serve `model`. The slots share one KV cache of `window` tokens: a single request may fill it."""
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(model)
    # Read, not mapped: a file cut short or written over while it is mapped ends the process.
    parameters.load_mode = xllamacpp.llama_load_mode.LLAMA_LOAD_MODE_NONE
    parameters.n_ctx = window
    parameters.n_parallel = slot_count()
    parameters.kv_unified = True
    parameters.cache_idle_slots = False  # they stay where they are until their room is needed
    parameters.n_batch = parameters.n_ubatch = limit("engine.prefill_chunk")
    parameters.cache_ram_mib = limit("engine.prompt_cache_mib")
    parameters.warmup = False
    parameters.verbosity = -1
    parameters.ui = False
    parameters.endpoint_slots = parameters.endpoint_props = parameters.endpoint_metrics = False
    parameters.api_keys = [secrets.token_hex(32)]
    if socket is not None:
        parameters.hostnames = [socket]
    return parameters


def completion(
    request: GenerationRequest, *, made: Sequence[int] = (), slot: int = 0, grammar: str = ""
) -> dict[str, Any]:
    """What to generate after the prompt and the tokens `made` of the answer."""
    asked: dict[str, Any] = {
        "prompt": [*request.prompt, *made],
        "n_predict": request.max_tokens - len(made),
        "temperature": request.temperature,
        "seed": (request.seed + len(made)) % _SEEDS,
        # Ours is the whole of the sampling: no penalties, no truncation that a caller did not ask for.
        "samplers": ["temperature"] if request.temperature > 0 else ["top_k"],
        "top_k": 1,
        "n_probs": max(1, request.top_logprobs),
        "stream": True,
        "cache_prompt": True,
        "return_progress": True,
        "timings_per_token": True,
        "id_slot": slot,
    }
    if grammar:
        asked["grammar"] = grammar
    return asked
