from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanvibe_lsp.assist.evaluation.cases import Pair
from leanvibe_lsp.assist.evaluation.intent import ladder
from leanvibe_lsp.assist.evaluation.reviews import Looked, of_pairs
from leanvibe_lsp.assist.evaluation.risk_ladder import climbed, together
from leanvibe_lsp.tiers.model.schema import FINE, RISKY
from leanvibe_lsp.tiers.policy import needed_for
from leanvibe_lsp.tiers.rung import Opinion, Rung

_SURE = st.none() | st.floats(0, 1)


def _opinion(rung: Rung, verdict: str, sure: float | None) -> Opinion:
    return Opinion(rung, verdict, sure)


def test_a_sure_classifier_is_not_overruled() -> None:
    """The model is not asked, and what it would have said does not count."""
    said = ladder(_opinion(Rung.CLASSIFIER, "fix", 0.99), _opinion(Rung.MODEL, "explain", 1.0))
    assert (said.rung, said.verdict, said.confidence) == (Rung.CLASSIFIER, "fix", 0.99)


def test_a_sure_model_decides_where_the_classifier_doubts() -> None:
    """Together they are believed as far as they do not contradict."""
    said = ladder(_opinion(Rung.CLASSIFIER, "fix", 0.3), _opinion(Rung.MODEL, "fix", 0.95))
    assert (said.rung, said.verdict) == (Rung.MODEL, "fix")


@pytest.mark.parametrize("model", [None, Opinion(Rung.MODEL, "explain", None), Opinion(Rung.MODEL, "explain", 0.5)])
def test_where_nobody_is_sure_a_person_gets_the_surest_guess(model: Opinion | None) -> None:
    """It is no answer of the ladder."""
    said = ladder(_opinion(Rung.CLASSIFIER, "fix", 0.6), model)
    assert (said.rung, said.verdict, said.confidence) == (Rung.PERSON, "fix", 0.6)


@given(_SURE, _SURE, st.sampled_from([RISKY, FINE]), st.sampled_from([RISKY, FINE]))
def test_a_ladder_decides_only_what_it_is_sure_of(
    below: float | None, above: float | None, one: str, other: str
) -> None:
    """At the confidence that a review needs, and by the lowest rung that has it."""
    said = climbed([_opinion(Rung.RULES, one, below), _opinion(Rung.MODEL, other, above)])
    needed = needed_for("review")
    if said.rung is not Rung.PERSON:
        assert said.confidence is not None
        assert said.confidence >= needed
    if below is not None and below >= needed:
        assert (said.rung, said.verdict) == (Rung.RULES, one)


def test_a_failed_rung_is_passed_by() -> None:
    """What the next one says counts."""
    said = climbed([Opinion(Rung.CLASSIFIER, "", None, failure="broken"), _opinion(Rung.MODEL, FINE, 0.9)])
    assert (said.rung, said.verdict) == (Rung.MODEL, FINE)


def test_a_case_is_risky_where_a_piece_is() -> None:
    """Else a person's where one is; else fine, by the highest rung that had to say so."""
    risky, person = Opinion(Rung.RULES, RISKY, 0.9), Opinion(Rung.PERSON, RISKY, 0.4)
    fine, higher = Opinion(Rung.CLASSIFIER, FINE, 0.9), Opinion(Rung.MODEL, FINE, 0.9)
    assert together([fine, person, risky]) == risky
    assert together([fine, person]) == person
    assert together([fine, higher]) == higher


def test_remarks_are_held_against_the_buggy_lines() -> None:
    """A remark hits when a buggy line is inside of it; one on the version without the bug is a false alarm."""
    pair = Pair("p", "test", "python", "p", "a\nb\nc\n", "a\nB\nc\n", (2,))
    quiet = Pair("q", "test", "python", "q", "x\n", "y\n", (1,))
    looked = [Looked(pair, ((1, 2), (3, 3)), ((3, 3),)), Looked(quiet, (), ())]
    section = of_pairs("t", looked, seed=0)
    assert {one.name: one.value for one in section.figures} == {
        "buggy versions with a hit": 0.5,
        "buggy lines hit": 0.5,
        "precision of remarks": 0.5,
        "fixed versions flagged": 0.5,
        "Youden": 0.0,
    }
    assert section.notes[0] == "3 remarks on both versions"
