"""`leanvibe eval fix`: programs with a planted bug; the fix that is offered is applied, and their tests are run.

The very fix that an editor would get: of a rule, where one knows the bug and how to mend it, else of the model, by
`assist.changes` with all its checks. The model is told one test that fails, as a person would.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from typing import Any

from leanvibe_lsp.assist.analyze import analyze
from leanvibe_lsp.assist.answer import Place
from leanvibe_lsp.assist.changes.run import fix_of
from leanvibe_lsp.assist.changes.values import ChangeKind, ChangeRequest, Complaint
from leanvibe_lsp.assist.evaluation import statistics
from leanvibe_lsp.assist.evaluation.cases import (
    PACKS,
    Program,
    document,
    missing,
    own_programs,
    packed_programs,
    rows_of,
    sample,
)
from leanvibe_lsp.assist.evaluation.programs import Effect, Outcome, effect, no_tool, outcome
from leanvibe_lsp.assist.evaluation.results import Section, uses, with_intervals
from leanvibe_lsp.assist.evaluation.runs import Measured, NoModel, Run, unheard
from leanvibe_lsp.assist.evaluation.sandbox import cut_off
from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.edits import applied
from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents.gathered import DEFAULTS
from leanvibe_lsp.documents.scopes import symbols
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.errors import UsageError
from leanvibe_lsp.tiers.calibration import brier, expected_calibration_error, reliability
from leanvibe_lsp.tiers.finding import Category, Finding, Severity

DATA = tuple(PACKS.values())


async def evaluate(run: Run) -> Measured:
    """A table for each set of programs."""
    not_run = missing(run.data, DATA)
    sets = {"own, python": own_programs()}
    if run.data is not None:
        sets |= {f"humanevalpack, {one}": packed_programs(rows_of(run.data, name), one) for one, name in PACKS.items()}
    sections: list[Section] = []
    for title, programs in sets.items():
        if not programs:
            continue
        obstacle = no_tool(programs[0].language)
        if obstacle:
            not_run.append(f"{title}: not run, as {obstacle}")
            continue
        try:
            sections += await _of_set(run, title, programs, not_run)
        except NoModel as error:
            not_run.append(f"{title}: not run: {error}")
    if not cut_off():
        not_run.append("the tests ran with the network there is: `unshare` may not be used here")
    return sections, not_run


async def _of_set(run: Run, title: str, programs: Sequence[Program], not_run: list[str]) -> list[Section]:
    taken = sample(programs, run.for_models(), run.seed)
    if len(taken) < len(programs):
        left = len(programs) - len(taken)
        not_run.append(f"{title}: {left} of {len(programs)} programs not run; --limit N takes N of them")

    async def work(program: Program) -> dict[str, Any]:
        return await _fix(run, program)

    done, failures = await run.each(f"fix, {title}", taken, lambda one: one.id, work)
    not_run += failures
    results = [result for _, result in done if result["effect"]]
    unfit = len(done) - len(results)
    if unfit:
        not_run.append(f"{title}: {unfit} programs not counted: here their tests fail without the bug, or pass with it")
    return [_section(run, title, results)] if results else []


async def _fix(run: Run, program: Program) -> dict[str, Any]:
    """What came of one program; `effect` is "" where its tests do not tell."""
    right = await asyncio.to_thread(outcome, program, program.right)
    before = await asyncio.to_thread(outcome, program, program.text)
    if not right.all_passed or before.all_passed:
        return {"effect": "", "id": program.id}
    snapshot = document(program.text, program.language, program.name)
    begin = time.monotonic()
    by_rule = await asyncio.to_thread(_by_rule, snapshot)
    if by_rule is not None:
        made = await asyncio.to_thread(effect_of, program, before, by_rule[0])
        seconds = time.monotonic() - begin
        return _result(program, made, "rules", by_rule[1], calibrated=True, seconds=seconds)
    request = _request(program, snapshot, before)
    try:
        change = await run.require().change(request, unheard, run.child())
    except UsageError as error:  # what cannot be asked for is refused, and no failure of the evaluation
        return _result(program, Effect.REFUSED, "model", math.nan, calibrated=False, refusal=str(error))
    seconds, sure = time.monotonic() - begin, change.answer.confidence
    made = Effect.REFUSED
    if change.files:
        text = applied(snapshot.text, change.files[0].edits)
        made = await asyncio.to_thread(effect_of, program, before, text)
    usage = change.answer.usage
    return _result(
        program,
        made,
        "model",
        sure.value,
        calibrated=sure.calibrated,
        seconds=math.nan if change.answer.remembered else seconds,
        tokens=usage.prompt_tokens + usage.completion_tokens,
        refusal=change.refusal,
        attempts=change.attempts,
    )


def effect_of(program: Program, before: Outcome, text: str) -> Effect:
    """What a new text of the program does to its tests; one that says the same changes nothing."""
    return Effect.UNTOUCHED if text == program.text else effect(before, outcome(program, text))


def _by_rule(snapshot: Snapshot) -> tuple[str, float] | None:
    """The text with the surest fix of a rule about bugs, and how sure that is; None where there is none."""
    for finding in _bugs(snapshot):
        change = fix_of(finding, snapshot)
        if change is not None:
            return applied(snapshot.text, change.edits), finding.confidence
    return None


def _bugs(snapshot: Snapshot) -> list[Finding]:
    found = analyze(snapshot, DEFAULTS)
    bugs = [one for one in found if one.category is Category.BUG and one.severity is not Severity.HINT]
    return sorted(bugs, key=lambda one: -one.confidence)


def _request(program: Program, snapshot: Snapshot, before: Outcome) -> ChangeRequest:
    """What a rule complains of is fixed; else the model is told what the code is for, and which test fails."""
    bugs = _bugs(snapshot)
    if bugs:
        complaint = Complaint(bugs[0].span, bugs[0].message, rule=bugs[0].rule)
        return ChangeRequest(ChangeKind.FIX, Place(snapshot, bugs[0].span), complaint=complaint)
    found = [one.span for one in symbols(snapshot) if one.name == program.name]
    span = found[0] if found else Span(0, len(snapshot.text))
    most = limit("evaluation.told_characters")
    about, failing = program.about[:most], before.failure[:most]
    wish = f"Mend the bug in `{program.name}`. What it is for: {about}\nThis test fails: {failing}"
    return ChangeRequest(ChangeKind.REWRITE, Place(snapshot, span), instruction=wish)


def _result(
    program: Program,
    made: Effect,
    rung: str,
    confidence: float,
    *,
    calibrated: bool,
    seconds: float = math.nan,
    tokens: int = 0,
    refusal: str = "",
    attempts: int = 1,
) -> dict[str, Any]:
    return {
        "id": program.id,
        "effect": str(made),
        "rung": rung,
        "confidence": None if math.isnan(confidence) else confidence,
        "calibrated": calibrated,
        "seconds": None if math.isnan(seconds) else seconds,
        "tokens": tokens,
        "refusal": refusal,
        "attempts": attempts,
    }


def _section(run: Run, title: str, results: Sequence[dict[str, Any]]) -> Section:
    """Shares of each effect, and how the model's confidence tells what is mended from what is not."""
    names = (*map(str, Effect), "AUROC of the model's confidence", "ECE of it", "Brier of it")

    def measure(drawn: Sequence[dict[str, Any]]) -> Sequence[float]:
        shares = [statistics.share(one["effect"] == made for one in drawn) for made in Effect]
        sure, fixed = _offered(drawn)
        error = expected_calibration_error(sure, fixed, bins=limit("evaluation.bins"))
        return (*shares, statistics.auroc(sure, fixed), error, brier(sure, fixed))

    sure, fixed = _offered(results)
    offered = [one for one in results if one["effect"] != Effect.REFUSED]
    raw = sum(not one["calibrated"] for one in offered)
    tries = sum(int(one["attempts"]) for one in results)
    notes = [f"fixes that were offered: {len(offered)}, after {tries} tries"]
    if raw:
        notes.append(f"the confidence of {raw} of them is raw: no calibration for fixes by these weights is here")
    return Section(
        title,
        len(results),
        with_intervals(names, results, measure, group=lambda one: str(one["id"]), seed=run.seed),
        rungs=uses((one["rung"], math.nan if one["seconds"] is None else one["seconds"]) for one in results),
        curve=statistics.coverage_curve(sure, fixed),
        bins=reliability(sure, fixed, bins=limit("evaluation.bins")),
        notes=tuple(notes),
    )


def _offered(results: Sequence[dict[str, Any]]) -> tuple[list[float], list[bool]]:
    """The model's own: how sure each is, and whether it mends the bug."""
    offered = (one for one in results if one["effect"] != Effect.REFUSED and one["rung"] == "model")
    known = [one for one in offered if one["confidence"] is not None]
    return [float(one["confidence"]) for one in known], [one["effect"] == Effect.FIXED for one in known]
