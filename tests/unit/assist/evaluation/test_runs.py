from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from leanvibe_lsp.assist.evaluation import confidences, fixes, intent, reviews, risk
from leanvibe_lsp.assist.evaluation.cases import INTENT, own_programs
from leanvibe_lsp.assist.evaluation.journal import Journal
from leanvibe_lsp.assist.evaluation.results import Section
from leanvibe_lsp.assist.evaluation.runs import NoModel, Run
from leanvibe_lsp.assist.judged import Judged, JudgeRequest, UnitJudged
from leanvibe_lsp.core.cancel import CancelToken
from leanvibe_lsp.core.edits import TextEdit
from leanvibe_lsp.core.text import Span
from leanvibe_lsp.errors import Busy, Cancelled, ModelNotFound
from leanvibe_lsp.tiers.model.schema import FINE, RISKY
from leanvibe_lsp.tiers.policy import Action, Decision
from leanvibe_lsp.tiers.rung import Cost, Opinion, Rung
from tests.support.fake_services import FakeServices


class Judging(FakeServices):
    """Judges whatever it is shown as `verdict`, so sure, or fails."""

    verdict, sure, failure = RISKY, 0.9, ""

    async def judge(self, request: JudgeRequest, sink: object, cancel: CancelToken) -> Judged:
        """One piece, the whole text."""
        tried = (
            Opinion(Rung.RULES, FINE, None, Cost(0.01)),
            Opinion(Rung.MODEL, self.verdict, self.sure, Cost(2.0, 30), self.failure),
        )
        span = Span(0, len(request.snapshot.text))
        decision = Decision(Action.ACCEPT, Rung.MODEL, self.verdict, self.sure, ())
        unit = UnitJudged("'f'", span, span, decision, tried, ())
        return Judged(request.snapshot, (unit,), {Rung.MODEL: Cost(2.0, 30)})


def _run(tmp_path: Path, services: FakeServices | None, *, most: int | None = 2, data: Path | None = None) -> Run:
    journal = Journal(tmp_path / "journal.jsonl")
    why = "" if services is not None else "there is none"
    return Run(data, most, 0, journal, lambda step, done, total: None, services, why)  # type: ignore[arg-type]


def _values(section: Section) -> dict[str, float]:
    return {one.name: one.value for one in section.figures}


async def test_a_case_that_is_known_is_not_computed_again(tmp_path: Path) -> None:
    """Not even by another run; one that fails costs itself, is told, and is tried the next time."""
    asked: list[str] = []

    async def work(case: str) -> dict[str, Any]:
        asked.append(case)
        if case == "b" and asked.count("b") == 1:
            raise Busy("full")
        return {"of": case, "tokens": 3}

    first = _run(tmp_path, None)
    done, failures = await first.each("s", ["a", "b"], str, work)
    assert ([case for case, _ in done], failures) == (["a"], ["s, b: full"])
    again = _run(tmp_path, None)
    done, failures = await again.each("s", ["a", "b"], str, work)
    assert ([result["of"] for _, result in done], failures) == (["a", "b"], [])
    assert asked == ["a", "b", "b"]
    assert again.tokens == 6


async def test_without_a_usable_model_nothing_more_is_tried(tmp_path: Path) -> None:
    """The next case could fare no better."""

    async def work(case: str) -> dict[str, Any]:
        raise ModelNotFound(f"no model for {case}")

    with pytest.raises(NoModel, match="no model for a"):
        await _run(tmp_path, None).each("s", ["a", "b"], str, work)


async def test_a_cancel_stops_before_the_next_case(tmp_path: Path) -> None:
    """And what was done is kept."""
    run = _run(tmp_path, None)

    async def work(case: str) -> dict[str, Any]:
        run.cancel.cancel("enough")
        return {}

    with pytest.raises(Cancelled, match="enough"):
        await run.each("s", ["a", "b"], str, work)
    assert len(Journal(run.journal.path)) == 1


def _mended(services: FakeServices, monkeypatch: pytest.MonkeyPatch, text: Sequence[str]) -> None:
    """The services' change makes this text of the program, one after the other."""
    left = list(text)

    async def change(request: Any, sink: Any, cancel: Any) -> Any:
        span = Span(0, len(request.place.snapshot.text))
        services.edits = (TextEdit(span, left.pop(0)),)
        return await FakeServices.change(services, request, sink, cancel)

    monkeypatch.setattr(services, "change", change)


async def test_fixes_are_applied_and_their_effect_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One mends, one breaks, one changes nothing, by running the tests; the model was told what fails."""
    programs = [one for one in own_programs() if one.name in ("median", "gcd", "fibonacci")]
    monkeypatch.setattr(fixes, "own_programs", lambda: programs)
    services = FakeServices(["draft"])
    _mended(services, monkeypatch, [programs[0].right, "def gcd(:", programs[2].text])
    sections, not_run = await fixes.evaluate(_run(tmp_path, services, most=None))
    found = _values(sections[0])
    assert [found[name] for name in ("fixed", "broken", "untouched", "refused")] == [1 / 3, 1 / 3, 1 / 3, 0]
    assert "median([4, 1, 3, 2]) == 2.5" in services.changes[0].instruction
    assert any("raw" in note for note in sections[0].notes)
    assert any("humanevalpack_js.jsonl: not run" in one for one in not_run)


async def test_a_refused_fix_is_neither_good_nor_bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not count for how confidence tells them apart."""
    monkeypatch.setattr(fixes, "own_programs", lambda: [one for one in own_programs() if one.name == "gcd"])
    services = FakeServices(["draft"])
    services.refusal = "no"
    sections, _ = await fixes.evaluate(_run(tmp_path, services, most=None))
    assert _values(sections[0])["refused"] == 1
    assert sections[0].notes[0].startswith("fixes that were offered: 0,")


async def test_a_rules_own_fix_needs_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a rule knows how to mend the bug, that is what is tested, on its rung."""
    program = replace(
        own_programs()[0], text="def f(x):\n    return x is 1000\n", right="def f(x):\n    return x == 1000\n"
    )
    program = replace(program, name="f", tests=("f(int('1000'))", "not f(2)"))
    monkeypatch.setattr(fixes, "own_programs", lambda: [program])
    sections, _ = await fixes.evaluate(_run(tmp_path, None))
    assert _values(sections[0])["fixed"] == 1
    assert [one.rung for one in sections[0].rungs] == ["rules"]


async def test_intent_asks_the_model_only_in_words_it_can_choose(tmp_path: Path) -> None:
    """Its choice is held against the row's label, alone and in the ladder."""
    (tmp_path / "intent").mkdir()
    rows = [
        {"id": "1", "text": "/tests", "location": "inline", "intent": ["tests"]},
        {"id": "2", "text": "hm", "location": "inline", "intent": ["explain"]},
    ]
    (tmp_path / INTENT).write_text("".join(json.dumps(row) + "\n" for row in rows))
    services = FakeServices(["explain"])
    sections, not_run = await intent.evaluate(_run(tmp_path, services, most=2, data=tmp_path))
    by_title = {one.title: one for one in sections}
    assert _values(by_title["model alone, inline requests, ten choices"])["accuracy"] == 0.5
    assert _values(by_title["classifier alone, inline requests"])["accuracy"] >= 0.5
    assert {len(one.structure.choices) for one in services.requests if one.structure} == {10}
    assert not_run == ["classifier out of fold: not run, as --limit leaves too few rows to fit on"]


async def test_confidence_is_measured_on_held_out_questions_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of the half that calibrations are fitted on is asked."""
    asked: list[str] = []
    real = confidences.request_of

    def request_of(question: Any, task: Any) -> Any:
        asked.append(question.half)
        return real(question, task)

    monkeypatch.setattr(confidences, "request_of", request_of)
    sections, _ = await confidences.evaluate(_run(tmp_path, FakeServices(["yes"]), most=3))
    assert set(asked) == {"test"}
    assert [(one.title, one.cases) for one in sections] == [
        ("answers in free text, held-out sources", 3),
        ("choices, held-out sources", 3),
    ]


async def test_a_model_that_flags_everything_finds_all_and_leaves_nothing_alone(tmp_path: Path) -> None:
    """Recall 1, false alarms 1: the report shows both."""
    sections, not_run = await risk.evaluate(_run(tmp_path, Judging(), most=8))
    model = next(one for one in sections if one.title.startswith("model alone"))
    assert (_values(model)["recall"], _values(model)["false alarms"]) == (1, 1)
    ladder = next(one for one in sections if one.title.startswith("ladder, what it decided"))
    assert [one.rung for one in ladder.rungs] == ["model"]
    assert any("the ladder with the model on" in one for one in not_run)


async def test_a_model_that_fails_is_told_and_no_answer_is_made_up(tmp_path: Path) -> None:
    """Neither of it nor of the ladder."""
    services = Judging()
    services.failure = "it was busy"
    sections, not_run = await risk.evaluate(_run(tmp_path, services, most=1))
    assert not [one for one in sections if "model" in one.title or one.title.startswith("ladder")]
    assert any("it was busy" in one for one in not_run)


async def test_reviews_without_a_model_are_those_of_the_rules(tmp_path: Path) -> None:
    """What is left out is said."""
    sections, not_run = await reviews.evaluate(_run(tmp_path, None, most=3))
    assert [one.title for one in sections] == ["own, python: rules"]
    assert "the ladder with the model: not run: there is none" in not_run
