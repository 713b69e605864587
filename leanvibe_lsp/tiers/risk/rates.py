"""Recall and false alarms of what was flagged, and how far they would move with other rows. Pure."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Rates:
    """Shares, 0 to 1, of risky and of sound code that was flagged; NaN where there is none of it."""

    recall: float
    false_alarms: float

    @property
    def youden(self) -> float:
        """Recall minus false alarms: 0 is a coin, 1 is perfect."""
        return self.recall - self.false_alarms


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and the middle 95 % of what it is on resampled groups."""

    value: float
    low: float
    high: float


def rates(pairs: Iterable[tuple[bool, bool]]) -> Rates:
    """Of pairs: whether it is risky, whether it was flagged."""
    count = {True: 0, False: 0}
    flagged = {True: 0, False: 0}
    for risky, is_flagged in pairs:
        count[risky] += 1
        flagged[risky] += is_flagged
    return Rates(
        flagged[True] / count[True] if count[True] else math.nan,
        flagged[False] / count[False] if count[False] else math.nan,
    )


def interval(
    items: Sequence[T],
    group: Callable[[T], str],
    measure: Callable[[Sequence[T]], float],
    *,
    seed: int = 0,
    rounds: int = 500,
) -> Interval:
    """A measure of the items with its 95 % interval: whole groups are drawn again, with replacement."""
    groups: dict[str, list[T]] = defaultdict(list)
    for one in items:
        groups[group(one)].append(one)
    names = sorted(groups)
    drawn = random.Random(seed)
    found = []
    for _ in range(rounds):
        value = measure([one for name in drawn.choices(names, k=len(names)) for one in groups[name]])
        if not math.isnan(value):
            found.append(value)
    found.sort()
    if not found:
        return Interval(measure(items), math.nan, math.nan)
    return Interval(measure(items), found[int(0.025 * len(found))], found[min(len(found) - 1, int(0.975 * len(found)))])
