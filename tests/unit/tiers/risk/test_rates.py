"""Recall and false alarms."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanvibe_lsp.tiers.risk.rates import rates


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
