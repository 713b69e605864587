"""Recall and false alarms of what was flagged. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rates:
    """Shares, 0 to 1, of risky and of sound code that was flagged; NaN where there is none of it."""

    recall: float
    false_alarms: float

    @property
    def youden(self) -> float:
        """Recall minus false alarms: 0 is a coin, 1 is perfect."""
        return self.recall - self.false_alarms


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
