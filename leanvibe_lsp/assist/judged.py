"""What is to be judged, and what the ladder made of it. Plain values; no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.config.settings import EditorSettings
from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents.gathered import DEFAULTS, NOTHING, Gathered
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.tiers.finding import Finding
from leanvibe_lsp.tiers.policy import Action, Decision
from leanvibe_lsp.tiers.rung import Cost, Opinion, Rung

RISK = "leanvibe/risk"  # the classifier's
REVIEW = "leanvibe/review"  # a model's
UNSURE = "leanvibe/unsure"  # nobody's: a person is asked


def whole_budget() -> Cost:
    """What one review may cost when nobody says otherwise."""
    return Cost(limit("judge.seconds"), limit("judge.total_tokens"))


@dataclass(frozen=True, slots=True)
class JudgeRequest:
    """Code to judge: the functions and lines that `spans` touch, or all of the document.

    `budget` is for all of it. `gathered` is what was found around it; `secrets` are globs of files, beside the built-in
    ones, that no model may see. With `allow_bigger` a server that is switched on may be asked; without `allow_model` no
    model is. `insist`: a person was not content with the rungs below, so the highest that may be asked is.
    """

    snapshot: Snapshot
    spans: tuple[Span, ...] | None = None
    intent: str = "review"
    budget: Cost = field(default_factory=whole_budget)
    settings: EditorSettings = DEFAULTS
    gathered: Gathered = NOTHING
    secrets: tuple[str, ...] = ()
    allow_model: bool = True
    allow_bigger: bool = False
    insist: bool = False


@dataclass(frozen=True, slots=True)
class UnitJudged:
    """One function or run of lines: what each rung said of it in order, and what was decided.

    `findings` are what is shown for it, those of the rules included; `shown` is what the last model was shown, "" when
    none was asked. `dropped_quotes` counts what a model quoted and is not there.
    """

    name: str
    span: Span
    mark: Span
    decision: Decision
    tried: tuple[Opinion, ...]
    findings: tuple[Finding, ...]
    shown: str = ""
    dropped_quotes: int = 0
    agreement: float | None = None
    remembered: bool = False

    @property
    def needs_review(self) -> bool:
        """Whether a person has to look: no rung was sure enough."""
        return self.decision.action is Action.PERSON


@dataclass(frozen=True, slots=True)
class NotLookedAt:
    """A piece that the rungs below left in doubt, and why no model looked at it: the budget was over."""

    name: str
    span: Span
    reason: str


@dataclass(frozen=True, slots=True)
class Judged:
    """The end of a review: each piece in the order of the text, and what it took on each rung."""

    snapshot: Snapshot
    units: tuple[UnitJudged, ...]
    costs: Mapping[Rung, Cost]
    not_looked_at: tuple[NotLookedAt, ...] = ()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All of them, in the order of the text."""
        return tuple(finding for unit in self.units for finding in unit.findings)

    @property
    def decisions(self) -> tuple[tuple[str, Decision], ...]:
        """What was decided of each piece, by its name."""
        return tuple((unit.name, unit.decision) for unit in self.units)

    @property
    def needs_review(self) -> tuple[UnitJudged, ...]:
        """The pieces that a person has to look at."""
        return tuple(unit for unit in self.units if unit.needs_review)

    @property
    def tried(self) -> tuple[Rung, ...]:
        """The rungs that said, or failed to say, something."""
        return tuple(rung for rung in Rung if any(one.rung is rung for unit in self.units for one in unit.tried))

    @property
    def answered_on(self) -> Mapping[Rung, int]:
        """How many pieces were decided on each rung."""
        decided = [unit.decision.rung for unit in self.units]
        return {rung: decided.count(rung) for rung in Rung if rung in decided}

    @property
    def dropped_quotes(self) -> int:
        """How many quotes were not in the code."""
        return sum(unit.dropped_quotes for unit in self.units)
