"""Known answers: a model is ready only after it proved that its weights are real.

Each probe is a text with one obvious next token. A trained model puts most of its probability there; random, damaged
or mismatched weights spread it over the vocabulary (1 in 49,152 each, for SmolLM2). Nothing here is measured against a
clock or another model.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.engine.base import Alternative, Loaded

# What the model says next after a prompt of token ids, most probable first.
NextToken = Callable[[tuple[int, ...]], Sequence[Alternative]]


class State(StrEnum):
    """What the known answers say about a model."""

    VERIFIED = "verified"
    DEGRADED = "degraded"
    UNVERIFIED = "unverified"


@dataclass(frozen=True, slots=True)
class Probe:
    """One known answer, and the probability the model gave it."""

    prompt: str
    expected: str
    probability: float

    @property
    def passed(self) -> bool:
        """True when a trained model could have said this: a random one is 1,000 times below."""
        return self.probability >= _PASS


@dataclass(frozen=True, slots=True)
class Verdict:
    """The probes and what they add up to; `mean` is their mean probability.

    `doubt` says what is wrong with the weights though the answers may be right; "" for nothing.
    """

    state: State
    mean: float
    probes: tuple[Probe, ...]
    doubt: str = ""

    @property
    def summary(self) -> str:
        """One line for a person."""
        passed = sum(probe.passed for probe in self.probes)
        doubt = f"; {self.doubt}" if self.doubt else ""
        return f"{self.state}: {passed} of {len(self.probes)} known answers, mean probability {self.mean:.2f}{doubt}"

    def doubted(self, doubt: str) -> Verdict:
        """The same with a reason to doubt the weights: no model that has one is verified."""
        state = State.DEGRADED if doubt and self.state is State.VERIFIED else self.state
        return replace(self, state=state, doubt=doubt)


KNOWN_ANSWERS: tuple[tuple[str, str], ...] = (
    ("def add(a, b):\n    return a +", " b"),
    ("class Point:\n    def __init__(self, x, y):\n        self.x = x\n        self.y =", " y"),
    ("a b c d e f g", " h"),
    ("#include <stdio.h>\n\nint", " main"),
    ("<html><head></head><body></body></", "html"),
    ('if __name__ == "__', "main"),
    ("The capital of France is", " Paris"),
    ("def square(x):\n    return x *", " x"),
)

# Measured on SmolLM2-135M (mean 0.89, lowest 0.77) and on 51 copies of it with two tensors swapped between layers:
# 31 came out unverified, 15 degraded, 5 verified (attention in late layers; their digest gives them away). Larger
# models give higher figures.
_PASS = 0.2
_VERIFIED_MEAN = 0.7
_DEGRADED_MEAN = 0.5
_DEGRADED_FAILURES = 2
_ROUNDING = 0.01  # a logprob may be this much above 0, in half precision


def judge(probes: Sequence[Probe]) -> Verdict:
    """Pure: the verdict over probes.

    Verified: all pass, with a high mean; degraded: weak, and still usable; else unverified.
    """
    mean = sum(probe.probability for probe in probes) / len(probes)
    failed = sum(not probe.passed for probe in probes)
    if failed == 0 and mean >= _VERIFIED_MEAN:
        state = State.VERIFIED
    elif failed <= _DEGRADED_FAILURES and mean >= _DEGRADED_MEAN:
        state = State.DEGRADED
    else:
        state = State.UNVERIFIED
    return Verdict(state, mean, tuple(probes))


def run_selftest(loaded: Loaded, next_token: NextToken) -> Verdict:
    """Ask every known answer, behind the model's begin of a text. Errors of the engine are the caller's."""
    return judge([_ask(loaded, next_token, prompt, expected) for prompt, expected in KNOWN_ANSWERS])


def prompt_ids(loaded: Loaded, text: str) -> tuple[int, ...]:
    """`text` behind the model's begin of a text, as in a conversation: Gemma, for one, is lost without it."""
    assert loaded.tokenizer is not None, "a model on this machine has its tokenizer here"
    bos = loaded.tokenizer.special(loaded.special_text.get("bos_token", "")) if loaded.add_bos else None
    begin = () if bos is None else (bos,)
    return (*begin, *loaded.tokenizer.encode(text))


def _ask(loaded: Loaded, next_token: NextToken, prompt: str, expected: str) -> Probe:
    alternatives = next_token(prompt_ids(loaded, prompt))[: limit("engine.top_alternatives")]
    logprobs = [a.logprob for a in alternatives if agrees(a.text, expected)]
    if any(math.isnan(value) or value > _ROUNDING for value in logprobs):
        return Probe(prompt, expected, 0.0)  # no probability at all: a damaged model must not pass by it
    return Probe(prompt, expected, min(1.0, math.fsum(map(math.exp, logprobs))))


def agrees(token: str, expected: str) -> bool:
    """Tokenizers cut differently: the token may begin the answer or go on after it; white space alone is neither."""
    return bool(token.strip()) and (expected.startswith(token) or token.startswith(expected))
