"""Code judged by the ladder: rules, classifier, the model on this machine, a bigger one, and in the end a person.

Each piece (a function, a run of lines) climbs by itself, as `tiers.policy` decides. A rung that fails is told and
passed by. What no rung is sure of is handed to a person with all that was tried, and never made into an answer.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field

from leanvibe_lsp.assist.analyze import analyze
from leanvibe_lsp.assist.answer import AskSink, Stage
from leanvibe_lsp.assist.asking_model import Calibrate, Doubt, ModelSaid, ask_model, raw
from leanvibe_lsp.assist.judged import Judged, JudgeRequest, NotLookedAt, UnitJudged
from leanvibe_lsp.assist.judged_findings import agreed_with, of_remarks, unsure
from leanvibe_lsp.assist.risks import NOT_READ, finding_of, reasons_of, risk_of
from leanvibe_lsp.assist.rungs import Models
from leanvibe_lsp.assist.units import Unit, units_of
from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.cancel import CancelToken
from leanvibe_lsp.documents.secrets import withheld
from leanvibe_lsp.documents.unparsed import unparsed
from leanvibe_lsp.errors import UsageError
from leanvibe_lsp.tiers.finding import Finding, Severity
from leanvibe_lsp.tiers.model.schema import FINE, RISKY
from leanvibe_lsp.tiers.model.votes import beside
from leanvibe_lsp.tiers.policy import Action, Decision, decide, needed_for
from leanvibe_lsp.tiers.rung import LADDER, Cost, Offer, Opinion, Rung

Key = tuple[str, str, str]  # the code, what the rungs below said of it, the weights


class Memory:
    """What models said, by the code they were shown, what they were told of it, and their weights."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Key, ModelSaid] = OrderedDict()

    def get(self, key: Key | None) -> ModelSaid | None:
        """What was said then."""
        if key is None or key not in self._kept:
            return None
        self._kept.move_to_end(key)
        return self._kept[key]

    def put(self, key: Key | None, said: ModelSaid) -> None:
        """Remember it; the least recently used go."""
        if key is None:
            return
        self._kept[key] = said
        while len(self._kept) > limit("judge.kept"):
            self._kept.popitem(last=False)


async def judge(
    request: JudgeRequest,
    *,
    models: Models,
    memory: Memory,
    workers: Executor,
    sink: AskSink,
    cancel: CancelToken,
    calibrate: Calibrate = raw,
) -> Judged:
    """Judge what the request names; `sink` hears of each step on the event loop's thread.

    Raises Cancelled: whatever else a rung cannot do is told in the result.
    """
    judging = _Judging(request, models, memory, workers, sink, cancel, calibrate)
    try:
        return await judging.run()
    finally:
        cancel.cancel("the review is over")


@dataclass(slots=True)
class _Climb:
    """One piece on its way up."""

    unit: Unit
    findings: tuple[Finding, ...]  # of the rules, in this piece
    opinions: list[Opinion] = field(default_factory=list)
    reasons: tuple[str, ...] = ()  # of the classifier
    risk: Finding | None = None
    said: ModelSaid | None = None
    said_on: Rung = Rung.MODEL
    decision: Decision | None = None
    over: str = ""  # why the budget stopped it

    @property
    def probability(self) -> float:
        """How probable a risk is by what was said so far; those with more of it climb first."""
        last = self.opinions[-1]
        sure = last.confidence if last.confidence is not None else 0.5
        return sure if last.verdict == RISKY else 1 - sure


class _Judging:
    """One review on its way."""

    def __init__(
        self,
        request: JudgeRequest,
        models: Models,
        memory: Memory,
        workers: Executor,
        sink: AskSink,
        cancel: CancelToken,
        calibrate: Calibrate,
    ) -> None:
        self._request = request
        self._calibrate = calibrate
        self._models = models
        self._memory = memory
        self._workers = workers
        self._sink = sink
        self._cancel = cancel
        self._left = request.budget
        self._costs: dict[Rung, Cost] = {}
        self._asked: dict[Rung, int] = {}
        self._down: dict[Rung, str] = {}  # rungs that failed as a whole, and why
        self._needed = needed_for(request.intent)

    async def run(self) -> Judged:
        self._sink(Stage("rules and classifier"))
        climbs = await asyncio.get_running_loop().run_in_executor(self._workers, self._look)
        self._cancel.check()
        waiting = [one for one in climbs if self._goes_on(one)]
        waiting.sort(key=lambda one: -one.probability)
        for number, one in enumerate(waiting):
            percentage = round(100 * number / len(waiting))
            while self._goes_on(one):
                assert one.decision is not None, "set by _goes_on"
                rung = one.decision.rung
                self._sink(Stage(f"{rung}: {one.unit.name} ({number + 1} of {len(waiting)})", percentage))
                await self._climb(one, rung)
                self._cancel.check()
        self._sink(Stage("done", 100))
        return self._judged(climbs)

    # -- the rungs below, on a worker's thread

    def _look(self) -> list[_Climb]:
        """What the rules and the classifier say of each piece. Raises UsageError for a text that is not parsed."""
        request, begin = self._request, time.monotonic()
        if reason := unparsed(request.snapshot):
            raise UsageError(reason, next_step="Review a smaller file, or split this one.")
        secret = withheld(request.snapshot, request.secrets)
        if secret is not None:
            why = f"no model is shown this file: {secret}"
            self._down |= {Rung.MODEL: why, Rung.BIGGER: why}
        findings = analyze(request.snapshot, request.settings)
        climbs = [_Climb(unit, _inside(findings, unit)) for unit in units_of(request.snapshot, request.spans)]
        self._spend(Rung.RULES, Cost(time.monotonic() - begin))
        for one in climbs:
            self._cancel.check()
            one.opinions.append(_of_rules(one.findings))
            self._decide(one)
            if one.decision is not None and one.decision.rung is Rung.CLASSIFIER:
                self._classify(one, findings)
        return climbs

    def _classify(self, one: _Climb, findings: Sequence[Finding]) -> None:
        begin = time.monotonic()
        try:
            risk = risk_of(self._request.snapshot, one.unit, findings)
        except Exception as error:  # noqa: BLE001 - a failing classifier costs itself
            one.opinions.append(Opinion(Rung.CLASSIFIER, "", None, failure=f"it failed: {error}"))
            return
        cost = Cost(time.monotonic() - begin)
        self._spend(Rung.CLASSIFIER, cost)
        if risk is None:
            one.opinions.append(Opinion(Rung.CLASSIFIER, "", None, cost, NOT_READ))
            return
        verdict = RISKY if risk.probability >= 0.5 else FINE
        one.opinions.append(Opinion(Rung.CLASSIFIER, verdict, max(risk.probability, 1 - risk.probability), cost))
        one.reasons = reasons_of(risk)
        one.risk = finding_of(self._request.snapshot, one.unit, risk)

    # -- the decision

    def _goes_on(self, one: _Climb) -> bool:
        self._decide(one)
        return one.decision is not None and one.decision.action is Action.CLIMB

    def _decide(self, one: _Climb) -> None:
        offers = self._offers(one)
        one.decision = decide(one.opinions, offers, self._left, needed=self._needed)
        reached = max(LADDER.index(opinion.rung) for opinion in one.opinions)
        above = [offer for offer in offers if LADDER.index(offer.rung) > reached and not offer.obstacle]
        within = [offer for offer in above if offer.cost.fits(self._left)]
        if self._request.insist and within:
            verdict, confidence = one.decision.verdict, one.decision.confidence
            one.decision = Decision(Action.CLIMB, within[-1].rung, verdict, confidence, ("a person asked for it",))
        over = above and not within and one.decision.action is Action.PERSON
        one.over = "the budget of this review was used up" if over else ""

    def _offers(self, one: _Climb) -> tuple[Offer, ...]:
        request = self._request
        model = "" if request.allow_model else "models are switched off for reviews"
        bigger = "" if request.allow_bigger else "it was not allowed"
        return (
            Offer(Rung.CLASSIFIER, obstacle="" if request.settings.classifier else "it is switched off"),
            self._offer(Rung.MODEL, one, model),
            self._offer(Rung.BIGGER, one, model or bigger),
        )

    def _offer(self, rung: Rung, one: _Climb, obstacle: str) -> Offer:
        """What asking there will cost: as long as it took so far, as many tokens as the code and the answer have."""
        times = self._asked.get(rung, 0)
        seconds = self._costs[rung].seconds / times if times else 0.0
        # Three characters a token is careful for code.
        tokens = (one.unit.span.end - one.unit.span.start) // 3 + limit("judge.tokens")
        obstacle = obstacle or self._down.get(rung, "") or self._models.obstacle(rung)
        return Offer(rung, Cost(seconds, tokens), obstacle)

    def _spend(self, rung: Rung, cost: Cost) -> None:
        self._costs[rung] = self._costs.get(rung, Cost()) + cost
        self._left = Cost(self._left.seconds - cost.seconds, self._left.tokens - cost.tokens)

    # -- the rungs of models

    async def _climb(self, one: _Climb, rung: Rung) -> None:
        doubt = Doubt(one.unit, one.findings, tuple(one.opinions), one.reasons, self._needed, self._left)
        if (known := self._memory.get(self._key(doubt, rung))) is not None:
            one.said, one.said_on = known.again(one.unit), rung
            one.opinions.append(one.said.opinion(rung, Cost()))
            return
        begin = time.monotonic()
        said = await ask_model(
            self._request,
            doubt,
            rung,
            models=self._models,
            workers=self._workers,
            sink=self._sink,
            cancel=self._cancel,
            calibrate=self._calibrate,
        )
        cost = Cost(time.monotonic() - begin, said.tokens)
        self._spend(rung, cost)
        self._asked[rung] = self._asked.get(rung, 0) + 1
        if said.failure:
            one.opinions.append(Opinion(rung, "", None, cost, said.failure))
            if said.is_down:
                self._down[rung] = said.failure
            return
        one.said, one.said_on = said, rung
        one.opinions.append(said.opinion(rung, cost))
        self._memory.put(self._key(doubt, rung), said)

    def _key(self, doubt: Doubt, rung: Rung) -> Key | None:
        """Where a judgement is kept; None while nobody knows which weights will answer."""
        identity = self._models.identity(rung)
        return None if identity is None else (doubt.code(self._request.snapshot), doubt.known(), identity)

    # -- the end

    def _judged(self, climbs: Sequence[_Climb]) -> Judged:
        never = [NotLookedAt(one.unit.name, one.unit.span, one.over) for one in climbs if one.over and one.said is None]
        units = tuple(self._unit(one) for one in climbs)
        return Judged(self._request.snapshot, units, dict(self._costs), tuple(never))

    def _unit(self, one: _Climb) -> UnitJudged:
        assert one.decision is not None, "every piece is decided"
        return UnitJudged(
            name=one.unit.name,
            span=one.unit.span,
            mark=one.unit.mark,
            decision=one.decision,
            tried=tuple(one.opinions),
            findings=self._findings(one, one.decision),
            shown=one.said.shown if one.said is not None else "",
            dropped_quotes=one.said.dropped if one.said is not None else 0,
            agreement=one.said.vote.agreement if one.said is not None else None,
            remembered=one.said.remembered if one.said is not None else False,
        )

    def _findings(self, one: _Climb, decision: Decision) -> tuple[Finding, ...]:
        """The rules' own, and with them those of the rung that decided; of a person's, what nobody is sure of."""
        snapshot = self._request.snapshot
        found = list(one.findings)
        if decision.action is Action.PERSON:
            if not one.over or one.said is not None:
                found.append(unsure(snapshot, one.unit, decision, one.opinions, one.said))
        elif decision.verdict == RISKY and one.said is not None and decision.rung in (Rung.MODEL, Rung.BIGGER):
            more, agreed = beside(one.said.placed, one.findings)
            found = [agreed_with(finding, one.said.model) if finding in agreed else finding for finding in found]
            found += of_remarks(snapshot, more, one.said, one.said_on, decision)
        elif decision.verdict == RISKY and decision.rung is Rung.CLASSIFIER and one.risk is not None:
            found.append(one.risk)
        return tuple(sorted(found, key=lambda finding: (finding.span.start, finding.span.end, finding.rule)))


def _inside(findings: Sequence[Finding], unit: Unit) -> tuple[Finding, ...]:
    return tuple(one for one in findings if unit.span.start <= one.span.start < unit.span.end)


def _of_rules(findings: Sequence[Finding]) -> Opinion:
    """Rules know what they find; that they find nothing says little."""
    telling = [one for one in findings if one.severity is not Severity.HINT]
    if not telling:
        return Opinion(Rung.RULES, FINE, None)
    return Opinion(Rung.RULES, RISKY, max(one.confidence for one in telling))
