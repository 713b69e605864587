"""How probable a given text is to a model on MLX: one forward pass a chunk, every next token known."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.cancel import CancelToken
from leanvibe_lsp.engine.local.arrays import compute_errors, mx

# Not an import statement: those are sorted, and MLX has to come through `arrays` first.
_cache: Any = importlib.import_module("mlx_lm.models.cache")


def token_logprobs(model: Any, ids: Sequence[int], cancel: CancelToken) -> list[float]:
    """Natural log-probability of each of `ids` but the first. Raises EngineError, Cancelled."""
    layers = _cache.make_prompt_cache(model)
    logprobs: list[float] = []
    chunk = limit("engine.prefill_chunk")
    for begin in range(0, len(ids) - 1, chunk):
        cancel.check()
        end = min(begin + chunk, len(ids) - 1)
        with compute_errors():
            logits = model(mx.array(ids[begin:end])[None], cache=layers)[0].astype(mx.float32)
            wanted = mx.array(ids[begin + 1 : end + 1])[:, None]
            found = mx.take_along_axis(logits, wanted, axis=-1)[:, 0] - mx.logsumexp(logits, axis=-1)
            logprobs += found.tolist()
            mx.clear_cache()
    return logprobs
