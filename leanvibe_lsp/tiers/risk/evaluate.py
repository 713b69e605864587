"""How right rules and classifier are on labelled code: predictions for `leanvibe eval risk`.

`as_shipped` is a fair measure on rows that the shipped model was not fitted on: those kept aside of ours, and all of
others as long as its card names no source but `own`. `out_of_fold` fits on the other rows and needs scikit-learn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from leanvibe_lsp.tiers.finding import Category
from leanvibe_lsp.tiers.risk.assessment import assess
from leanvibe_lsp.tiers.risk.families import family_of_cwe
from leanvibe_lsp.tiers.risk.features import in_span
from leanvibe_lsp.tiers.risk.rates import Rates, rates
from leanvibe_lsp.tiers.rules import rules_for
from leanvibe_lsp.tiers.scan import scan
from leanvibe_lsp.tiers.training.risk import Findings, Judged, Progress, cross_validated, fit, fold_of, judge, prepared
from leanvibe_lsp.tiers.training.risk_data import Example

_DEALT = 8  # parts of the tasks that belong to no family
_APART = 7  # folds for each family, so that hardly two share one


@dataclass(frozen=True, slots=True)
class Predicted:
    """A row and what was said of it.

    `by_rules`: a security rule found something. `probability` is the classifier's, with what the rules found; `alone`
    without that. `by_classifier` and `alone_flagged` are those at the threshold of the training rows.
    """

    group: str
    source: str
    kind: str
    risky: bool
    by_rules: bool
    probability: float
    by_classifier: bool
    alone: float
    alone_flagged: bool

    @property
    def flagged(self) -> bool:
        """What the ladder says up to the classifier."""
        return self.by_rules or self.by_classifier


def as_shipped(examples: Sequence[Example]) -> list[Predicted]:
    """What the library's rules and the shipped model say of each row."""
    found = []
    for one in examples:
        findings = in_span(scan(one.text, one.language, rules_for(one.language)), one.span.start, one.span.end)
        full = assess(one.text, one.language, span=one.span, findings=findings)
        bare = assess(one.text, one.language, span=one.span)
        by_rules = any(finding.category is Category.SECURITY for finding in findings)
        found.append(
            Predicted(
                one.group, one.source, one.kind, one.risky, by_rules, full.probability, full.risky,
                bare.probability, bare.risky,
            )
        )  # fmt: skip
    return found


def out_of_fold(
    examples: Sequence[Example],
    *,
    always: Sequence[Example] = (),
    seed: int = 0,
    folds: int = 5,
    by_family: bool = False,
    progress: Progress | None = None,
) -> list[Predicted]:
    """What a model of the other folds and of `always` says of each row. Raises UsageError without scikit-learn.

    Folds part tasks, or, `by_family`, whole families of weaknesses: then a sound variant goes with the risky one of
    its task. What is left out, nothing of its kind was fitted.
    """
    known = Findings()
    families = _families(examples)
    judged = cross_validated(
        prepared(examples, known),
        seed=seed,
        folds=len(set(families.values())) * _APART if by_family else folds,
        always=prepared(always, known),
        group=(lambda one: families[one.group]) if by_family else None,
        progress=progress,
    )
    return [_predicted(one) for one in judged]


def transferred(fitted: Sequence[Example], examples: Sequence[Example], *, seed: int = 0) -> list[Predicted]:
    """What a model of some rows says of others, of other authors. Raises UsageError without scikit-learn."""
    known = Findings()
    linear = fit(prepared(fitted, known), seed=seed, folds=5)
    return [_predicted(judge(linear, row)) for row in prepared(examples, known)]


def measured(found: Sequence[Predicted]) -> dict[str, Rates]:
    """Recall and false alarms of the rules, of the classifier with and without them, and of the ladder."""
    sayings: dict[str, Callable[[Predicted], bool]] = {
        "rules": lambda one: one.by_rules,
        "classifier": lambda one: one.by_classifier,
        "without rules": lambda one: one.alone_flagged,
        "ladder": lambda one: one.flagged,
    }
    return {name: rates((one.risky, says(one)) for one in found) for name, says in sayings.items()}


def _families(examples: Sequence[Example]) -> dict[str, str]:
    """The family of each task: that of its first risky row; tasks without one are dealt out."""
    found: dict[str, str] = {}
    for one in examples:
        if one.risky and one.kind.isdigit():
            found.setdefault(one.group, family_of_cwe(int(one.kind)))
    return {one.group: found.get(one.group, f"none {fold_of(one.group, 0, _DEALT)}") for one in examples}


def _predicted(one: Judged) -> Predicted:
    example = one.row.example
    return Predicted(
        example.group, example.source, example.kind, example.risky, one.row.by_rules, one.probability,
        one.probability >= one.threshold, one.bare, one.bare >= one.threshold,
    )  # fmt: skip
