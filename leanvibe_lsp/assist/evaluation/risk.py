"""`leanvibe eval risk`: whether code deserves a reviewer's eyes, by rules, with the classifier, and by the ladder."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from leanvibe_lsp.assist.evaluation.cases import (
    BANDIT,
    GOSEC,
    RUFF_EXPECTED,
    RUFF_FIXTURES,
    missing,
    rows_of,
    sample,
)
from leanvibe_lsp.assist.evaluation.results import Answered, Flagged, Section, of_answers, of_flags
from leanvibe_lsp.assist.evaluation.risk_ladder import with_model
from leanvibe_lsp.assist.evaluation.runs import Measured, Run
from leanvibe_lsp.core.text import Span
from leanvibe_lsp.errors import LeanVibeError
from leanvibe_lsp.tiers.finding import Category, Finding
from leanvibe_lsp.tiers.risk.values import Risk
from leanvibe_lsp.tiers.rules import rules_for
from leanvibe_lsp.tiers.scan import scan
from leanvibe_lsp.tiers.training.risk_data import Example, bandit_examples, blind_examples, own_examples, ruff_examples

DATA = (BANDIT, GOSEC, RUFF_EXPECTED, RUFF_FIXTURES)
_PEERS = {
    "own": "peers on hand-labelled AI-written Python of others, quoted (recall/false alarms/Youden): "
    "semgrep .40/.12/.28, CodeQL .25/0/.25, bandit .33/.15/.19, ruff S .32/.18/.15",
    "gosec": "a peer on other cases of this kind, quoted (recall/false alarms/Youden): semgrep .36/.14/.22",
}


@dataclass(frozen=True, slots=True)
class _Seen:
    """A case, what the rules find in it and in how many seconds, and what the classifier says, where there is one."""

    case: Example
    found: tuple[Finding, ...]
    seconds: float
    risk: Risk | None = None
    took: float = 0.0


async def evaluate(run: Run) -> Measured:
    """Of our own rows those that were kept aside, and all of them out of fold; of --data all that is there."""
    not_run = missing(run.data, DATA)
    sections: list[Section] = []
    sets = _sets(run.data)
    for title, cases in sets.items():
        seen = []
        taken = sample(cases, run.most, run.seed)
        for number, case in enumerate(taken):
            run.progress(f"risk, {title}", number, len(taken))
            await asyncio.sleep(0)  # Ctrl-C is heard between two cases
            run.cancel.check()
            seen.append(_look(case))
        if seen:
            sections += _below(run, title, seen, not_run)
    sections += await _out_of_fold(run, not_run)
    sections += await with_model(run, [one for cases in sets.values() for one in cases], not_run)
    return sections, list(dict.fromkeys(not_run))


def _sets(folder: Path | None) -> dict[str, list[Example]]:
    own = [one for one in own_examples() if one.kept_aside]
    blind = list(blind_examples())
    sets = {f"own, kept aside ({len(own)} programs)": own, f"blind ({len(blind)} programs)": blind}
    if folder is not None:
        sets["bandit, files"] = list(bandit_examples(folder))
        sets["ruff S, functions and statements"] = list(ruff_examples(folder, ("flake8_bandit",)))
        sets["gosec, samples"] = [_sample_of_gosec(row) for row in rows_of(folder, GOSEC)]
    return sets


def _sample_of_gosec(row: dict[str, Any]) -> Example:
    """A sample of several files is one text: what was expected is not said by file."""
    text = "\n".join(row["files"])
    return Example(text, Span(0, len(text)), row["expected"] > 0, row["rule"], row["id"], "securego/gosec", False, "go")


def _look(case: Example) -> _Seen:
    begin = time.perf_counter()
    found = scan(case.text, case.language, rules_for(case.language))
    inside = tuple(one for one in found if case.span.start <= one.span.start < case.span.end)
    seconds = time.perf_counter() - begin
    risk = _assessed(case, found)
    return _Seen(case, inside, seconds, risk, time.perf_counter() - begin - seconds)


def _assessed(case: Example, found: Iterable[Finding]) -> Risk | None:
    from leanvibe_lsp.tiers.risk import assess

    try:
        return assess(case.text, case.language, span=case.span, findings=found)
    except (FileNotFoundError, LeanVibeError):
        return None  # told by `_below`


def _below(run: Run, title: str, seen: Sequence[_Seen], not_run: list[str]) -> list[Section]:
    """The rules; the rules or the classifier, where that was fitted on none of these."""
    peers = [words for name, words in _PEERS.items() if title.startswith(name)]

    def flags(flagged: Callable[[_Seen], bool], score: Callable[[_Seen], float], *, risk: bool) -> list[Flagged]:
        return [
            Flagged(
                f"{title} {number}",
                one.case.group,
                one.case.risky,
                flagged(one),
                score(one),
                "rules" if _by_rules(one) or not risk else "classifier",
                one.seconds + one.took if risk and not _by_rules(one) else one.seconds,
            )
            for number, one in enumerate(seen)
        ]

    sections = [of_flags(f"{title}: rules", flags(_by_rules, _surest, risk=False), seed=run.seed, notes=peers)]
    obstacle = "no trained classifier is here yet" if seen[0].risk is None else _fitted_on(seen[0].case)
    if obstacle:
        not_run.append(f"{title}: rules and classifier: not run, as {obstacle}")
        return sections
    alone = flags(_by_classifier, _probability, risk=True)
    either = flags(lambda one: _by_rules(one) or _by_classifier(one), _probability, risk=True)
    sections.append(of_flags(f"{title}: classifier", [replace(one, rung="") for one in alone], seed=run.seed))
    sections.append(of_flags(f"{title}: rules or classifier", either, seed=run.seed, notes=peers))
    return sections


def _fitted_on(case: Example) -> str:
    """Why the shipped classifier may not be asked about such cases; "" when it may."""
    from leanvibe_lsp.tiers.risk.model import shipped

    sources = [one.name for one in shipped().card.sources]
    return (
        f"the shipped classifier was fitted on {case.source}" if case.source in sources and not case.kept_aside else ""
    )


def _by_rules(one: _Seen) -> bool:
    """The truth of these cases is about security: what other rules find is no hit, and no false alarm."""
    return any(finding.category is Category.SECURITY for finding in one.found)


def _surest(one: _Seen) -> float:
    return max((finding.confidence for finding in one.found if finding.category is Category.SECURITY), default=0.0)


def _by_classifier(one: _Seen) -> bool:
    return one.risk is not None and one.risk.risky


def _probability(one: _Seen) -> float:
    return one.risk.probability if one.risk is not None else 0.0


async def _out_of_fold(run: Run, not_run: list[str]) -> list[Section]:
    """All of our own rows, each judged by a classifier that was fitted on the tasks of other folds."""
    title = "own, out of fold"
    if run.most is not None:
        not_run.append(f"{title}: not run, as --limit leaves too few rows to fit on")
        return []

    async def work(_: str) -> dict[str, Any]:
        from leanvibe_lsp.tiers.risk.evaluate import out_of_fold

        found = await asyncio.to_thread(out_of_fold, own_examples(), seed=run.seed)
        return {"rows": [[one.group, one.risky, one.by_rules, one.by_classifier, one.probability] for one in found]}

    try:
        done, failures = await run.each(f"risk, {title}", ["all"], str, work)
    except ImportError as error:
        done, failures = [], [f"{title}: not run: {error}"]
    not_run += failures
    rows = [row for _, result in done for row in result["rows"]]
    if not rows:
        return []

    def flags(flagged: Callable[[bool, bool], bool], *, scored: bool = True) -> list[Flagged]:
        return [
            Flagged(
                f"{group} {number}",
                group,
                risky,
                flagged(rules, classifier),
                probability if scored else float(flagged(rules, classifier)),
            )
            for number, (group, risky, rules, classifier, probability) in enumerate(rows)
        ]

    sure = [
        Answered(f"{group} {number}", group, (chance >= 0.5) == risky, max(chance, 1 - chance), "classifier")
        for number, (group, risky, _, _, chance) in enumerate(rows)
    ]
    notes = (_PEERS["own"], "these cases and the rules were written by the same kind of author")
    return [
        of_flags(f"{title}: rules", flags(lambda rules, _: rules, scored=False), seed=run.seed),
        of_flags(f"{title}: classifier", flags(lambda _, classifier: classifier), seed=run.seed),
        of_flags(f"{title}: rules or classifier", flags(lambda one, other: one or other), seed=run.seed, notes=notes),
        of_answers(f"{title}: risky or fine, by the classifier", sure, seed=run.seed),
    ]
