"""When an answer is good enough, when a higher rung is asked, and when a person is. Pure.

Doubt climbs, not only failure: an answer is accepted at the confidence that its kind of request needs, and every
decision says why.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.tiers.rung import LADDER, Cost, Offer, Opinion, Rung


class Action(StrEnum):
    """What is done next."""

    ACCEPT = "accept"
    CLIMB = "climb"
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class Decision:
    """What is done next, and why.

    `rung` is the one whose verdict is accepted, the one to ask, or PERSON. `verdict` and `confidence` are what is
    believed so far: to a person they are shown as what was tried, never as an answer.
    """

    action: Action
    rung: Rung
    verdict: str
    confidence: float | None
    reasons: tuple[str, ...]


def decide(opinions: Sequence[Opinion], offers: Sequence[Offer], budget: Cost, *, needed: float) -> Decision:
    """What to do with the opinions so far, in the order in which they were given.

    `offers` are the rungs that may still be asked, `budget` is what the request may still cost, `needed` the confidence
    at which it is answered (0 to 1).
    """
    verdict, confidence = believed(opinions)
    answered = [opinion for opinion in opinions if not opinion.failure]
    reasons = _doubts(answered, verdict, confidence, needed) + _failures(opinions)
    if answered and confidence is not None and confidence >= needed:
        why = f"{confidence:.2f} is at least the {needed:.2f} that is needed"
        return Decision(Action.ACCEPT, answered[-1].rung, verdict, confidence, (why,))
    reached = max((LADDER.index(opinion.rung) for opinion in opinions), default=-1)
    for offer in sorted(offers, key=lambda offer: LADDER.index(offer.rung)):
        if LADDER.index(offer.rung) <= reached or offer.rung is Rung.PERSON:
            continue
        obstacle = offer.obstacle or _over(offer.cost, budget)
        if not obstacle:
            return Decision(Action.CLIMB, offer.rung, verdict, confidence, reasons or ("nothing was asked yet",))
        reasons = (*reasons, f"{offer.rung}: {obstacle}")
    return Decision(Action.PERSON, Rung.PERSON, verdict, confidence, reasons or ("there is nobody to ask",))


def believed(opinions: Sequence[Opinion]) -> tuple[str, float | None]:
    """The verdict of the last rung that gave one, and how sure it is in the light of the others.

    Rungs see the same code, so that they agree proves nothing more: the surest of them counts. Who contradicts takes
    from it, as much as two independent witnesses would, and never adds.
    """
    answered = [opinion for opinion in opinions if not opinion.failure]
    if not answered:
        return "", None
    verdict = answered[-1].verdict
    for_it = [one.confidence for one in answered if one.verdict == verdict and one.confidence is not None]
    if not for_it:
        return verdict, None
    sure = max(for_it)
    for other in answered:
        if other.verdict != verdict and other.confidence is not None:
            sure = min(sure, _against(sure, other.confidence))
    return verdict, sure


def needed_for(intent: str) -> float:
    """The confidence (0 to 1) at which a request of this intent is answered; of an unknown one, the strictest."""
    percent = {
        "explain": limit("accept.explain"),
        "generate": limit("accept.generate"),
        "edit": limit("accept.edit"),
        "document": limit("accept.document"),
        "tests": limit("accept.tests"),
        "fix": limit("accept.fix"),
        "review": limit("accept.review"),
        "search": limit("accept.search"),
        "chat": limit("accept.chat"),
        "unknown": limit("accept.unknown"),
        "intent": limit("intent.alone_percent"),
    }
    return percent.get(intent, max(percent.values())) / 100


def _against(sure: float, other: float) -> float:
    """How probable the first of two contradicting verdicts is, when just one of them can be right."""
    for_it, against = sure * (1 - other), other * (1 - sure)
    return for_it / (for_it + against) if for_it + against > 0 else 0.5


def _over(cost: Cost, budget: Cost) -> str:
    if cost.seconds > budget.seconds:
        return f"would take {cost.seconds:.1f} s, and {max(0.0, budget.seconds):.1f} s are left"
    if cost.tokens > budget.tokens:
        return f"would take {cost.tokens} tokens, and {max(0, budget.tokens)} are left"
    return ""


def _doubts(answered: Sequence[Opinion], verdict: str, confidence: float | None, needed: float) -> tuple[str, ...]:
    if not answered:
        return ()
    last = answered[-1]
    others = [one.rung for one in answered if one.verdict != verdict]
    contradicted = (f"{', '.join(others)} said otherwise",) if others else ()
    if confidence is None:
        return (f"{last.rung} cannot say how sure it is", *contradicted)
    return (f"{last.rung} is {confidence:.2f} sure, and {needed:.2f} is needed", *contradicted)


def _failures(opinions: Sequence[Opinion]) -> tuple[str, ...]:
    return tuple(f"{opinion.rung}: {opinion.failure}" for opinion in opinions if opinion.failure)
