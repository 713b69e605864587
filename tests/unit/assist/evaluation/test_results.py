from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from leanvibe_lsp.assist.evaluation import plots
from leanvibe_lsp.assist.evaluation.results import Answered, Flagged, Report, of_answers, of_both, of_flags, uses
from leanvibe_lsp.assist.evaluation.statistics import Both
from leanvibe_lsp.errors import UsageError

_ANSWERS = [
    Answered("a", "g1", True, 0.9, "rules", 0.010, 0),
    Answered("b", "g2", True, 0.9, "rules", 0.020, 0),
    Answered("c", "g3", False, 0.3, "model", 2.0, 50),
    Answered("d", "g4", False, math.nan, "model", math.nan, 50),
]


def _values(section: object) -> dict[str, float]:
    return {one.name: one.value for one in section.figures}  # type: ignore[attr-defined]


def test_answers_without_a_confidence_count_for_the_accuracy_alone() -> None:
    """And that is said."""
    section = of_answers("t", _ANSWERS, seed=0, alone=0.8)
    found = _values(section)
    assert found["accuracy"] == 0.5
    assert found["coverage at accuracy 0.95"] == pytest.approx(2 / 3)
    assert found["Brier"] == pytest.approx((0.01 + 0.01 + 0.09) / 3)
    assert found["ECE"] == pytest.approx((2 * 0.1 + 0.3) / 3)
    assert (found["answered alone, from 0.80"], found["accuracy of those"]) == (0.5, 1.0)
    assert any("1 of 4 have no confidence" in note for note in section.notes)


def test_each_rung_has_its_share_and_its_latency() -> None:
    """What was not timed is no zero."""
    rules, model, person = uses([*((one.rung, one.seconds) for one in _ANSWERS), ("person", math.nan)])
    assert (rules.rung, rules.cases, rules.share, rules.p50) == ("rules", 2, 0.4, pytest.approx(0.015))
    assert (model.cases, model.p50, model.p95) == (2, 2.0, 2.0)
    assert math.isnan(person.p50)


def test_flags_have_no_accuracy() -> None:
    """Recall and false alarms, with how many are risky."""
    cases = [
        Flagged("a", "a", True, True, 0.9),
        Flagged("b", "b", True, False, 0.4),
        Flagged("c", "c", False, False, 0.1),
    ]
    section = of_flags("t", cases, seed=0)
    assert _values(section) == {"recall": 0.5, "false alarms": 0.0, "Youden": 0.5, "AUROC of score": 1.0}
    assert section.notes == ("2 risky, 1 fine",)


@pytest.mark.parametrize(
    ("right_below", "said"), [(True, "100%; at least 60% is wanted: met"), (False, "0%; at least")]
)
def test_the_share_below_the_model_is_held_against_what_is_wanted(right_below: bool, said: str) -> None:
    """Met or missed, in words."""
    section = of_both("t", [Both(0.9, right_below, True)] * 3, wanted=60)
    assert said in section.notes[0]
    assert section.notes[0].endswith("met" if right_below else "missed")


def test_json_has_null_for_what_is_not_defined() -> None:
    """NaN is no JSON."""
    report = Report("t", (of_answers("t", [], seed=0), of_flags("u", [], seed=0)), ("x: not run",), 1.0, 7)
    body = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert body["sections"][0]["figures"]["ECE"] == {"value": None, "low": None, "high": None}
    assert (body["notRun"], body["cost"]) == (["x: not run"], {"seconds": 1.0, "tokens": 7})


def test_pictures_are_drawn_of_what_there_is(tmp_path: Path) -> None:
    """A curve and a reliability diagram for answers; for flags alone one picture; for nothing none."""
    pytest.importorskip("matplotlib", reason="the extra `plots` has it")
    flags = of_flags("f", [Flagged("a", "a", True, True, 1.0), Flagged("b", "b", False, False, 0.0)], seed=0)
    both = plots.plot(Report("intent", (of_answers("t", _ANSWERS, seed=0), flags)), tmp_path)
    assert [one.name for one in both] == ["intent.png", "intent-reliability.png"]
    assert all(one.read_bytes().startswith(b"\x89PNG") for one in both)
    assert [one.name for one in plots.plot(Report("risk", (flags,)), tmp_path)] == ["risk.png"]
    assert plots.plot(Report("none", ()), tmp_path) == ()


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before any work is done."""
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(UsageError, match=r"leanvibe-lsp\[plots\]"):
        plots.require()
