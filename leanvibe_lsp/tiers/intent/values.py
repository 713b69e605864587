"""What a request can want, and a guess at it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Location = Literal["inline", "panel"]
Method = Literal["command", "words", "model"]


class Intent(StrEnum):
    """What a request wants to have done."""

    EXPLAIN = "explain"  # tell what code, an error or a term means; why, how it works
    GENERATE = "generate"  # write code that is not there yet
    EDIT = "edit"  # change code that is there, which is not said to be wrong
    DOCUMENT = "document"  # write comments or documentation
    TESTS = "tests"  # write tests
    FIX = "fix"  # mend what is wrong: errors, failures, unwanted behaviour
    REVIEW = "review"  # judge code: is it right, safe, good; without changing it
    SEARCH = "search"  # find places in the project or its history: uses, files, issues, commits
    CHAT = "chat"  # talk that is about no code at hand: greetings, the assistant, the editor, opinions
    UNKNOWN = "unknown"  # nothing that could be acted on: fragments, noise, other subjects


class Verdict(StrEnum):
    """Whether a guess is good enough to act on."""

    ALONE = "alone"
    DOUBT = "doubt"


@dataclass(frozen=True, slots=True)
class IntentGuess:
    """What a request wants, most likely.

    `confidence` is the calibrated probability that `intent` is right; `alternatives` are the others with theirs, the
    likeliest first. `method` says what decided; `reasons` are the words that did.
    """

    intent: Intent
    confidence: float
    method: Method
    alternatives: tuple[tuple[Intent, float], ...] = ()
    reasons: tuple[str, ...] = ()
