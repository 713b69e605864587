"""`leanvibe eval review`: programs with and without a bug; are the buggy lines flagged, and the others left alone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from leanvibe_lsp.assist.evaluation import statistics
from leanvibe_lsp.assist.evaluation.cases import (
    FRESH,
    PACKS,
    QUIXBUGS,
    Pair,
    document,
    fresh_pairs,
    missing,
    own_programs,
    packed_programs,
    pair_of,
    quixbugs_pairs,
    rows_of,
    sample,
)
from leanvibe_lsp.assist.evaluation.results import Section, with_intervals
from leanvibe_lsp.assist.evaluation.risk_ladder import pieces_of
from leanvibe_lsp.assist.evaluation.runs import Measured, NoModel, Run, unheard
from leanvibe_lsp.assist.judged import REVIEW, UNSURE, JudgeRequest
from leanvibe_lsp.core.text import LineIndex, Span
from leanvibe_lsp.documents.gathered import DEFAULTS
from leanvibe_lsp.tiers.finding import Severity
from leanvibe_lsp.tiers.rules import rules_for
from leanvibe_lsp.tiers.scan import scan

DATA = (QUIXBUGS, *PACKS.values(), FRESH)
_HARD = "ruff and pylint together flag none of the 40 of QuixBugs and 11 of 164 of HumanEvalPack, quoted"

Lines = tuple[int, int]  # first and last, from 1


@dataclass(frozen=True, slots=True)
class Looked:
    """A pair and the lines that were pointed at, in the buggy version and in the other."""

    pair: Pair
    buggy: tuple[Lines, ...]
    fixed: tuple[Lines, ...]

    @property
    def hits(self) -> tuple[bool, ...]:
        """Whether each remark on the buggy version points at a buggy line."""
        return tuple(any(first <= one <= last for one in self.pair.buggy_lines) for first, last in self.buggy)


async def evaluate(run: Run) -> Measured:
    """The rules on all pairs, all rungs on a few."""
    not_run = missing(run.data, DATA)
    sets = {"own, python": [pair_of(one) for one in own_programs()]}
    if run.data is not None:
        sets["quixbugs, java"] = quixbugs_pairs(rows_of(run.data, QUIXBUGS))
        for language, name in PACKS.items():
            sets[f"humanevalpack, {language}"] = [
                pair_of(one) for one in packed_programs(rows_of(run.data, name), language)
            ]
        sets["fresh fixes, hunks"] = fresh_pairs(rows_of(run.data, FRESH))
    sections: list[Section] = []
    for title, pairs in sets.items():
        looked = []
        taken = sample(pairs, run.most, run.seed)
        for number, pair in enumerate(taken):
            run.progress(f"review, {title}", number, len(taken))
            await asyncio.sleep(0)  # Ctrl-C is heard between two cases
            run.cancel.check()
            looked.append(Looked(pair, *(_by_rules(text, pair.language) for text in (pair.buggy, pair.fixed))))
        if looked:
            quoted = (_HARD,) if title.startswith(("quixbugs", "humanevalpack")) else ()
            sections.append(of_pairs(f"{title}: rules", looked, seed=run.seed, notes=quoted))
    sections += await _with_model(run, [one for pairs in sets.values() for one in pairs], not_run)
    return sections, not_run


def of_pairs(title: str, looked: Sequence[Looked], *, seed: int, notes: Sequence[str] = ()) -> Section:
    """Precision and recall by line, and what is said of versions without the bug. Pure."""
    names = ("buggy versions with a hit", "buggy lines hit", "precision of remarks", "fixed versions flagged", "Youden")

    def measure(drawn: Sequence[Looked]) -> Sequence[float]:
        found = statistics.share(any(one.hits) for one in drawn)
        alarms = statistics.share(bool(one.fixed) for one in drawn)
        hit = statistics.share(
            any(first <= line <= last for first, last in one.buggy) for one in drawn for line in one.pair.buggy_lines
        )
        return found, hit, statistics.share(hit for one in drawn for hit in one.hits), alarms, found - alarms

    remarks = sum(len(one.buggy) + len(one.fixed) for one in looked)
    figures = with_intervals(names, looked, measure, group=lambda one: one.pair.group, seed=seed)
    return Section(title, len(looked), figures, notes=(f"{remarks} remarks on both versions", *notes))


def _by_rules(text: str, language: str) -> tuple[Lines, ...]:
    lines = LineIndex(text)
    found = scan(text, language, rules_for(language))
    return tuple(_lines(one.span, lines) for one in found if one.severity is not Severity.HINT)


def _lines(span: Span, lines: LineIndex) -> Lines:
    return lines.line_of(span.start) + 1, lines.line_of(max(span.start, span.end - 1)) + 1


async def _with_model(run: Run, pairs: Sequence[Pair], not_run: list[str]) -> list[Section]:
    taken = sample(pairs, run.for_models(), run.seed)

    async def work(pair: Pair) -> dict[str, Any]:
        first = await _judged(run, pair, pair.buggy)
        other = await _judged(run, pair, pair.fixed)
        seconds, tokens = (first[one] + other[one] for one in ("seconds", "tokens"))
        return {"buggy": first, "fixed": other, "seconds": seconds, "tokens": tokens}

    try:
        done, failures = await run.each("review, ladder", taken, lambda one: one.id, work)
    except NoModel as error:
        not_run.append(f"the ladder with the model: not run: {error}")
        return []
    not_run += failures
    if len(taken) < len(pairs):
        left = len(pairs) - len(taken)
        not_run.append(f"the ladder with the model on {left} of {len(pairs)} pairs: not run; --limit N takes N of them")
    if not done:
        return []
    asked = "asked about every function; a person's rows are no remarks of the ladder"
    sections = []
    for title, key, notes in (("model alone", "model", ()), ("ladder", "ladder", (asked,))):
        looked = [Looked(pair, *(_remarks(result[one][key]) for one in ("buggy", "fixed"))) for pair, result in done]
        sections.append(of_pairs(f"{title}, some of all sets", looked, seed=run.seed, notes=notes))
    return sections


def _remarks(kept: Sequence[Sequence[int]]) -> tuple[Lines, ...]:
    return tuple((first, last) for first, last in kept)


async def _judged(run: Run, pair: Pair, text: str) -> dict[str, Any]:
    """The lines that the model points at, and those that the ladder as a whole vouches for."""
    settings = replace(DEFAULTS, classifier=True)
    request = JudgeRequest(document(text, pair.language), settings=settings, insist=True)
    judged = await run.require().judge(request, unheard, run.child())
    told = pieces_of(judged)
    lines = judged.snapshot.lines
    shown = [one for one in judged.findings if one.severity is not Severity.HINT]
    pointed = [one.span for one in shown if one.rule == REVIEW]
    pointed += [other.span for one in shown if one.rule == UNSURE for other in one.related]
    vouched = [one.span for one in shown if one.rule != UNSURE]
    return {
        "model": [_lines(span, lines) for span in pointed],
        "ladder": [_lines(span, lines) for span in vouched],
        "seconds": told["seconds"],
        "tokens": told["tokens"],
    }
