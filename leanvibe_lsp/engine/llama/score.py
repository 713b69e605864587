"""How probable a given text is to a model on llama.cpp.

Its server scores no prompts. But it reports the sampled token's probability from the raw logits, before any bias: so
each token of the text is forced by a bias, one request a token, and the prompt before it comes from the cache.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from leanvibe_lsp.core.cancel import CancelToken
from leanvibe_lsp.errors import EngineError

_FORCE = 10_000.0  # far above any logit


def token_logprobs(
    complete: Callable[[dict[str, Any]], dict[str, Any]], ids: Sequence[int], cancel: CancelToken
) -> list[float]:
    """Natural log-probability of each of `ids` but the first; minus infinity where damaged weights give no number.

    `complete` is the server's. Raises EngineError, Cancelled.
    """
    logprobs: list[float] = []
    for at in range(1, len(ids)):
        cancel.check()
        logprobs.append(_forced(complete, ids[:at], ids[at]))
    return logprobs


def _forced(complete: Callable[[dict[str, Any]], dict[str, Any]], prompt: Sequence[int], wanted: int) -> float:
    event = complete(
        {
            "prompt": list(prompt),
            "n_predict": 1,
            "logit_bias": [[wanted, _FORCE]],
            "samplers": ["top_k"],
            "top_k": 1,
            "n_probs": 1,
            "cache_prompt": True,
        }
    )
    if "error" in event:
        raise EngineError(f"llama.cpp refused: {event['error'].get('message', 'no reason given')}.")
    entry = event["choices"][0]["logprobs"]["content"][0]
    if entry["logprob"] is None or entry["id"] != wanted:  # null, or a NaN that no bias moves
        return float("-inf")
    return float(entry["logprob"])
