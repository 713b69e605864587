"""The form in which a model says what it thinks of a piece of code, and its words as plain values. Pure.

What is wrong comes before the verdict: the verdict is then said in the light of what was quoted for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.engine.structured import Structure
from leanvibe_lsp.tiers.finding import Category, Severity

RISKY, FINE = "risky", "fine"
_KINDS = tuple(one for one in Category if one is not Category.CUSTOM)
_SEVERITIES = (Severity.ERROR, Severity.WARNING, Severity.INFORMATION)


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing that a model finds wrong, in its own words; `fix` says how to do it right, or is empty."""

    quote: str
    category: Category
    severity: Severity
    reason: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """All that a model said: `verdict` is RISKY or FINE."""

    verdict: str
    remarks: tuple[Remark, ...] = ()


@cache
def structure() -> Structure:
    """The structure that an answer is held to. Everything is required: servers that check a schema strictly want it."""
    text = {"type": "string", "maxLength": limit("judge.words_characters")}
    remark = {
        "quote": {"type": "string", "minLength": 1, "maxLength": limit("judge.quote_characters")},
        "kind": {"type": "string", "enum": [str(one) for one in _KINDS]},
        "severity": {"type": "string", "enum": [str(one) for one in _SEVERITIES]},
        "reason": {**text, "minLength": 1},
        "fix": text,
    }
    findings = {"type": "array", "maxItems": limit("judge.findings"), "items": _object(remark)}
    verdict = {"type": "string", "enum": [RISKY, FINE]}
    return Structure.of_schema(_object({"findings": findings, "verdict": verdict}))


def read(text: str) -> Said:
    """What an answer says. Raises Incomplete for one that does not fit the structure."""
    value = structure().parse(text)
    remarks = (
        Remark(
            one["quote"],
            Category(one["kind"]),
            Severity(one["severity"]),
            _line(one["reason"]),
            _line(one["fix"]),
        )
        for one in value["findings"]
    )
    return Said(value["verdict"], tuple(dict.fromkeys(remarks)))


def _line(words: str) -> str:
    return " ".join(words.split())


def _object(properties: dict[str, object]) -> dict[str, object]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
