from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.lsp.pacing import Pacing, delay

SECONDS = st.floats(0, 100, allow_nan=False)
MOST = limit("completion.wait_milliseconds") / 1000


@given(gaps=st.lists(SECONDS), since=SECONDS, latency=st.none() | SECONDS)
def test_it_never_waits_longer_than_its_bounds(gaps: list[float], since: float, latency: float | None) -> None:
    """Not below 0, not above the limit, not longer than the model takes."""
    wait = delay(gaps, since, latency)
    assert 0 <= wait <= MOST
    assert latency is None or wait <= latency


@given(moves=st.lists(SECONDS), took=st.lists(SECONDS))
def test_a_person_who_asks_waits_for_nothing(moves: list[float], took: list[float]) -> None:
    """Whatever the rhythm: none."""
    now = [0.0]
    pacing = Pacing(lambda: now[0])
    for move in moves:
        now[0] += move
        pacing.typed()
    for seconds in took:
        pacing.took(seconds)
    assert pacing.delay(invoked=True) == 0
    assert 0 <= pacing.delay(invoked=False) <= MOST


def test_it_adapts_to_rhythm_and_latency() -> None:
    """Half as long again as a usual gap; less for a fast model; nothing after a pause."""
    now = [0.0]
    pacing = Pacing(lambda: now[0])
    assert pacing.delay(invoked=False) == 0
    for _ in range(5):
        now[0] += 0.125
        pacing.typed()
    assert pacing.delay(invoked=False) == 0.1875
    pacing.took(0.0625)
    assert pacing.delay(invoked=False) == 0.0625
    now[0] += 0.1875
    assert pacing.delay(invoked=False) == 0


def test_a_pause_is_no_part_of_the_rhythm() -> None:
    """A person who thinks is not a person who types slowly."""
    now = [0.0]
    pacing = Pacing(lambda: now[0])
    for gap in (0.0, 0.125, 30.0, 30.0, 30.0):
        now[0] += gap
        pacing.typed()
    assert pacing.delay(invoked=False) == 0.1875
