"""The known answers, asked of a server that completes plain text and reports probabilities."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.engine.models.selftest import KNOWN_ANSWERS, Probe, Verdict, agrees, judge
from leanvibe_lsp.engine.remote.chat import logprob_of, token_text
from leanvibe_lsp.engine.remote.server import Refused
from leanvibe_lsp.engine.remote.wire import Call

Ask = Callable[[Call], Any]


def prove(ask: Ask, model: str) -> Verdict | None:
    """The verdict; None when the server does not complete plain text, or says nothing of probabilities.

    Raises RemoteError for a server that fails otherwise.
    """
    count = limit("remote.proof_alternatives")
    # As OpenAI had it (vLLM, llama.cpp), and as mlx_lm.server has it.
    for fields in ({"logprobs": count}, {"logprobs": True, "top_logprobs": count}):
        probes = [
            probe for prompt, expected in KNOWN_ANSWERS if (probe := _probe(ask, model, fields, prompt, expected))
        ]
        if len(probes) == len(KNOWN_ANSWERS):
            return judge(probes)
    return None


def _probe(ask: Ask, model: str, fields: dict[str, Any], prompt: str, expected: str) -> Probe | None:
    body = {"model": model, "prompt": prompt, "max_tokens": 1, "temperature": 0, **fields}
    try:
        reply = ask(Call("/completions", json.dumps(body).encode()))
    except Refused as error:
        if error.status in (400, 404, 405, 422, 501):
            return None
        raise
    top = alternatives(reply)
    if not top:
        return None
    logprobs = [logprob for text, logprob in top if agrees(text, expected)]
    if any(map(math.isnan, logprobs)):
        return Probe(prompt, expected, 0.0)
    return Probe(prompt, expected, min(1.0, math.fsum(map(math.exp, logprobs))))


def alternatives(reply: Any) -> list[tuple[str, float]]:
    """What could come next and its logprob, from either form of a completion; [] when it does not say."""
    try:
        logprobs = reply["choices"][0]["logprobs"]
        if "content" in logprobs:
            return [(token_text(one), logprob_of(one)) for one in logprobs["content"][0]["top_logprobs"]]
        return [(text, logprob_of({"logprob": value})) for text, value in logprobs["top_logprobs"][0].items()]
    except (KeyError, IndexError, TypeError, AttributeError):
        return []
