from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanvibe_lsp.core.text import Span
from leanvibe_lsp.tiers.finding import Category, Finding, Severity
from leanvibe_lsp.tiers.model.schema import FINE, RISKY, Remark, Said
from leanvibe_lsp.tiers.model.votes import Placed, Sample, beside, together, vote


def remark(category: Category = Category.BUG, reason: str = "wrong") -> Remark:
    return Remark("x", category, Severity.WARNING, reason)


def risky(confidence: float, *spans: Span, unplaced: int = 0, category: Category = Category.BUG) -> Sample:
    placed = tuple(Placed(span, remark(category)) for span in spans)
    return Sample(Said(RISKY, (remark(category),) * (len(spans) + unplaced)), placed, confidence)


def fine(confidence: float) -> Sample:
    return Sample(Said(FINE), (), confidence)


A, B = Span(0, 4), Span(10, 14)


def test_one_answer_is_as_sure_as_it_is() -> None:
    """Nothing is added for agreeing with itself."""
    assert vote([risky(0.7, A)]).confidence == 0.7
    assert vote([fine(0.9)]).verdict == FINE


def test_who_says_otherwise_takes_from_it() -> None:
    """The mean over all: two of three with 0.9, one against with 0.9."""
    found = vote([risky(0.9, A), risky(0.9, A), fine(0.9)])
    assert (found.verdict, found.confidence) == (RISKY, pytest.approx((0.9 + 0.9 + 0.1) / 3))
    assert found.agreement == pytest.approx(2 / 3)


@pytest.mark.parametrize("sample", [risky(0.9, unplaced=1), risky(0.9), Sample(Said(FINE, (remark(),)), (), 0.9)])
def test_a_verdict_that_is_not_borne_out_has_no_probability(sample: Sample) -> None:
    """A risk without a place, fine code with a fault: words that contradict themselves."""
    assert vote([sample]).confidence is None
    assert vote([sample]).verdict == sample.said.verdict


def test_no_answers_are_no_verdict() -> None:
    """Not even a wrong one."""
    assert vote([]).confidence is None
    assert vote([]).verdict == ""


SAMPLES = st.one_of(
    st.builds(fine, st.floats(0, 1)),
    st.builds(lambda sure: risky(sure, A), st.floats(0, 1)),
    st.builds(lambda sure: risky(sure, unplaced=1), st.floats(0, 1)),
)


@given(st.lists(SAMPLES, min_size=1, max_size=6))
def test_a_vote_is_a_probability_of_a_verdict_most_gave(samples: list[Sample]) -> None:
    """Within bounds; no verdict wins that fewer gave; agreement is its share."""
    found = vote(samples)
    said = [one.verdict for one in samples]
    if found.confidence is None:
        assert not any(said)
        return
    assert 0 <= found.confidence <= 1
    assert found.agreement == said.count(found.verdict) / len(samples) > 0
    assert said.count(found.verdict) >= max(said.count(RISKY), said.count(FINE))


@given(st.lists(SAMPLES, min_size=1, max_size=6), st.randoms())
def test_the_order_of_the_drawn_answers_does_not_matter(samples: list[Sample], random: st.DataObject) -> None:
    """Only the first one counts for more, where there are as many on both sides."""
    first, *others = samples
    shuffled = [*others]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = vote([first, *others]), vote([first, *shuffled])
    assert one.verdict == other.verdict or not first.verdict
    if one.verdict == other.verdict:
        assert one.confidence == pytest.approx(other.confidence)


def test_remarks_that_half_of_the_answers_make_are_kept_once() -> None:
    """Overlapping quotes of one kind are one remark, in the first one's words."""
    kept = together([risky(0.9, B, A), risky(0.9, Span(2, 6)), risky(0.9, A), fine(0.5)])
    assert [(one.span, one.votes) for one in kept] == [(A, 3)]
    assert [one.span for one in together([risky(0.9, B, A)])] == [A, B]


def test_one_answer_that_repeats_itself_has_one_vote() -> None:
    """The same remark twice in one answer is no agreement."""
    assert [one.votes for one in together([risky(0.9, A, A), fine(0.9)])] == [1]


def test_what_a_rule_found_is_not_said_twice() -> None:
    """The same kind at the same place; another kind, or another place, is news."""
    finding = Finding("python/x", "x", Severity.WARNING, A, "x", 0.8, category=Category.BUG)
    placed = (Placed(A, remark()), Placed(A, remark(Category.SECURITY)), Placed(B, remark()))
    assert beside(placed, [finding]) == (placed[1:], (finding,))
    assert beside(placed[2:], [finding]) == (placed[2:], ())
