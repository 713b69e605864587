"""The one JSON form of an answer: the result of `leanvibe/ask` and of `leanvibe ask --json`.

camelCase, as LSP writes.
"""

from __future__ import annotations

from leanvibe_lsp.assist.answer import Answer, Citation
from leanvibe_lsp.engine.models.selftest import Verdict
from leanvibe_lsp.tiers.intent.values import IntentGuess


def answer_json(answer: Answer) -> dict[str, object]:
    """Plain values only. Times are seconds; a citation's range covers whole lines, so no column unit matters."""
    return {
        "answer": answer.answer,
        "tier": answer.tier,
        "model": answer.model,
        "backend": answer.backend,
        "confidence": {
            "value": answer.confidence.value,
            "method": answer.confidence.method,
            "calibrated": answer.confidence.calibrated,
        },
        "citations": [_citation(citation) for citation in answer.citations],
        "omitted": list(answer.omitted),
        "usage": {
            "promptTokens": answer.usage.prompt_tokens,
            "cachedTokens": answer.usage.cached_tokens,
            "completionTokens": answer.usage.completion_tokens,
            "draftedTokens": answer.usage.drafted_tokens,
        },
        "timing": {
            "queuedSeconds": answer.timing.queued_seconds,
            "firstTokenSeconds": answer.timing.first_token_seconds,
            "totalSeconds": answer.timing.total_seconds,
            "tokensPerSecond": answer.timing.tokens_per_second,
        },
        "finishReason": str(answer.finish_reason),
        "fallbacks": [{"engine": one.engine, "reason": one.reason} for one in answer.fallbacks],
        "intent": _intent(answer.intent),
        "remembered": answer.remembered,
        "selftest": _selftest(answer.verdict),
    }


def _intent(guess: IntentGuess | None) -> dict[str, object] | None:
    if guess is None:
        return None
    return {"name": str(guess.intent), "confidence": guess.confidence, "method": guess.method}


def _selftest(verdict: Verdict | None) -> dict[str, object] | None:
    return None if verdict is None else {"state": str(verdict.state), "summary": verdict.summary}


def _citation(citation: Citation) -> dict[str, object]:
    return {
        "uri": citation.uri,
        "range": {
            "start": {"line": citation.start_line, "character": 0},
            "end": {"line": citation.end_line + 1, "character": 0},
        },
        "what": citation.what,
    }
