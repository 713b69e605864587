"""The ladder on cases of risk: every rung is asked about each, and where the ladder would have stopped follows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from leanvibe_lsp.assist.evaluation.cases import document, sample
from leanvibe_lsp.assist.evaluation.results import Flagged, Section, of_both, of_flags
from leanvibe_lsp.assist.evaluation.runs import NoModel, Run, unheard
from leanvibe_lsp.assist.evaluation.statistics import Both
from leanvibe_lsp.assist.judged import Judged, JudgeRequest
from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.documents.gathered import DEFAULTS
from leanvibe_lsp.errors import LeanVibeError
from leanvibe_lsp.tiers.model.schema import RISKY
from leanvibe_lsp.tiers.policy import Action, decide, needed_for
from leanvibe_lsp.tiers.rung import LADDER, Cost, Offer, Opinion, Rung
from leanvibe_lsp.tiers.training.risk_data import Example

_FREE = Cost(math.inf, 1 << 62)  # what an evaluation may cost is the business of who starts it


def climbed(opinions: Sequence[Opinion]) -> Opinion:
    """What the ladder makes of what its rungs said, in order: it stops at the first that is sure enough. Pure."""
    needed = needed_for("review")
    for count in range(1, len(opinions) + 1):
        offers = [Offer(one.rung) for one in opinions[count:]]
        decision = decide(opinions[:count], offers, _FREE, needed=needed)
        if decision.action is not Action.CLIMB:
            return Opinion(decision.rung, decision.verdict, decision.confidence)
    return Opinion(Rung.PERSON, "", None)


def together(pieces: Sequence[Opinion]) -> Opinion:
    """A case of several pieces: risky where one is, a person's where one is and none is risky. Pure."""
    risky = [one for one in pieces if one.verdict == RISKY and one.rung is not Rung.PERSON]
    unsure = [one for one in pieces if one.rung is Rung.PERSON]
    fine = sorted(pieces, key=lambda one: LADDER.index(one.rung))
    return (risky or unsure or fine[::-1])[0]


async def with_model(run: Run, cases: Sequence[Example], not_run: list[str]) -> list[Section]:
    """All rungs asked about a few cases of all sets; what the ladder would have asked follows from that."""
    taken = sample(enumerate(cases), run.for_models(), run.seed)

    async def work(numbered: tuple[int, Example]) -> dict[str, Any]:
        case = numbered[1]
        request = JudgeRequest(
            document(case.text, case.language),
            spans=(case.span,),
            settings=replace(DEFAULTS, classifier=True),
            insist=True,
        )
        return pieces_of(await run.require().judge(request, unheard, run.child()))

    def key(numbered: tuple[int, Example]) -> str:
        return f"{numbered[1].group} {numbered[1].span.start} {numbered[0]}"

    try:
        done, failures = await run.each("risk, ladder", taken, key, work)
    except NoModel as error:
        not_run.append(f"the ladder with the model: not run: {error}")
        return []
    not_run += failures
    left = len(cases) - len(taken)
    if left:
        not_run.append(f"the ladder with the model on {left} of {len(cases)} cases: not run; --limit N takes N of them")
    return _ladder_sections(run, [(case, result) for (_, case), result in done if result["pieces"]]) if done else []


def pieces_of(judged: Judged) -> dict[str, Any]:
    """What each rung said of each piece. Raises LeanVibeError where the model said nothing."""
    tried = [one for unit in judged.units for one in unit.tried]
    failed = [one.failure for one in tried if one.rung is Rung.MODEL and one.failure]
    if failed:
        raise LeanVibeError(f"the model gave no answer: {failed[0]}")
    if judged.not_looked_at:
        raise LeanVibeError(f"the model was not asked about all of it: {judged.not_looked_at[0].reason}")
    pieces = [
        [[str(one.rung), one.verdict, one.confidence, one.cost.seconds, one.failure] for one in unit.tried]
        for unit in judged.units
    ]
    model = judged.costs.get(Rung.MODEL, Cost())
    return {"pieces": pieces, "seconds": model.seconds, "tokens": model.tokens, "dropped": judged.dropped_quotes}


def _opinions(piece: Sequence[Sequence[Any]]) -> list[Opinion]:
    return [
        Opinion(Rung(rung), verdict, sure, Cost(seconds), failure) for rung, verdict, sure, seconds, failure in piece
    ]


def _ladder_sections(run: Run, done: Sequence[tuple[Example, dict[str, Any]]]) -> list[Section]:
    flags: list[Flagged] = []
    alone: list[Flagged] = []
    both: list[Both] = []
    for number, (case, result) in enumerate(done):
        pieces = [_opinions(piece) for piece in result["pieces"]]
        said = together([climbed(one) for one in pieces])
        below = together([climbed([one for one in piece if one.rung is not Rung.MODEL]) for piece in pieces])
        risky_below = any(one.verdict == RISKY and one.rung is not Rung.MODEL for piece in pieces for one in piece)
        model = any(one.verdict == RISKY and one.rung is Rung.MODEL for piece in pieces for one in piece)
        reached = said.rung in (Rung.MODEL, Rung.BIGGER, Rung.PERSON)
        seconds = sum(one.cost.seconds for piece in pieces for one in piece if reached or one.rung is not Rung.MODEL)
        name = f"{case.group} {number}"
        person = said.rung is Rung.PERSON
        flagged = said.verdict == RISKY and not person
        flags.append(
            Flagged(name, case.group, case.risky, flagged, 0.5 if person else float(flagged), str(said.rung), seconds)
        )
        alone.append(Flagged(name, case.group, case.risky, model, float(model), "model", float(result["seconds"])))
        sure = below.confidence if below.confidence is not None else 0.0
        both.append(Both(sure, risky_below == case.risky, model == case.risky))
    decided = [one for one in flags if one.rung != Rung.PERSON]
    asked = [replace(one, flagged=one.flagged or one.rung == Rung.PERSON) for one in flags]
    dropped = sum(int(result["dropped"]) for _, result in done)
    quotes = f"{dropped} quotes of the model were not in the code and were dropped"
    nobody = f"{len(flags) - len(decided)} of {len(flags)} were handed to a person"
    return [
        of_flags("model alone, some of all sets", alone, seed=run.seed, notes=(quotes,)),
        of_flags("ladder, what it decided itself", decided, seed=run.seed, notes=(nobody,)),
        of_flags("ladder, a person's cases counted as flagged", asked, seed=run.seed),
        of_both("rungs below at the model's error", both, wanted=limit("evaluation.below_percent")),
    ]
