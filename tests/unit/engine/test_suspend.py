from __future__ import annotations

import sys

import pytest

from leanvibe_lsp.engine.suspend import Clocks, asleep_between, read_clocks


@pytest.mark.parametrize(
    ("before", "after", "seconds"),
    [
        (Clocks(100.0, 50.0), Clocks(160.0, 110.0), 0.0),
        (Clocks(100.0, 50.0), Clocks(3_700.0, 60.0), 3_590.0),
        (Clocks(100.0, 50.0), Clocks(100.0, 50.5), 0.0),
        (None, Clocks(1.0, 1.0), 0.0),
        (Clocks(1.0, 1.0), None, 0.0),
    ],
    ids=["awake", "slept", "read apart", "not read", "not readable"],
)
def test_sleep_is_what_one_clock_counts_and_the_other_does_not(
    before: Clocks | None, after: Clocks | None, seconds: float
) -> None:
    """Never negative; nothing is claimed where the system does not say."""
    assert asleep_between(before, after) == pytest.approx(seconds)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such clocks; run it on Linux or macOS")
def test_both_clocks_are_read_here() -> None:
    """The one that counts sleep is never behind by more than the time between the two readings."""
    clocks = read_clocks()
    assert clocks is not None
    assert clocks.with_sleep > 0
    assert clocks.without_sleep > 0


def test_a_system_without_the_clocks() -> None:
    """It cannot be told."""
    assert read_clocks("plan9") is None
