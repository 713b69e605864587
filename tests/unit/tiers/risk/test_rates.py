"""Recall, false alarms and intervals."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanvibe_lsp.tiers.risk.rates import interval, rates


def test_by_hand():
    """Two of three risky ones found, one of two sound ones flagged."""
    found = rates([(True, True), (True, True), (True, False), (False, True), (False, False)])
    assert found.recall == pytest.approx(2 / 3)
    assert found.false_alarms == pytest.approx(1 / 2)
    assert found.youden == pytest.approx(1 / 6)


def test_a_share_of_nothing_is_no_number():
    """Without sound code there are no false alarms to count."""
    assert math.isnan(rates([(True, True)]).false_alarms)
    assert math.isnan(rates([]).recall)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1))
def test_flagging_everything_and_nothing_is_worth_nothing(pairs):
    """Whatever the mix: the difference is 0."""
    risky = {one for one, _ in pairs}
    if risky == {True, False}:
        assert rates((one, True) for one, _ in pairs).youden == 0
        assert rates((one, False) for one, _ in pairs).youden == 0


def test_an_interval_holds_its_value_and_draws_whole_groups():
    """Of one group nothing can vary, however many rows it has; the seed decides."""
    rows = [("a", index % 2 == 0) for index in range(20)]
    alike = interval(rows, lambda one: one[0], _share, seed=1, rounds=50)
    assert (alike.low, alike.value, alike.high) == (0.5, 0.5, 0.5)
    parted = [(str(index), index % 2 == 0) for index in range(20)]
    found = interval(parted, lambda one: one[0], _share, seed=1, rounds=200)
    assert found.low < found.value < found.high
    assert found == interval(parted, lambda one: one[0], _share, seed=1, rounds=200)


def _share(rows):
    return sum(one for _, one in rows) / len(rows)
