"""One line of a benchmark's table: two series measured in turn, and the ratio of each pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """`ours` and `theirs` were measured in turn, pair by pair, in `unit`."""

    name: str
    ours: tuple[float, ...]
    theirs: tuple[float, ...]
    unit: str
    peer: str

    @property
    def ratios(self) -> list[float]:
        """Ours over theirs, pair by pair."""
        return [a / b for a, b in zip(self.ours, self.theirs, strict=True)]

    def as_json(self) -> dict[str, object]:
        """Every number that was measured."""
        return {
            "name": self.name,
            "unit": self.unit,
            "peer": self.peer,
            "ours": self.ours,
            "theirs": self.theirs,
            "ratio_median": median(self.ratios) if self.theirs else None,
        }

    def line(self) -> str:
        """One row for a person."""
        ours = f"{median(self.ours):9.3f} {self.unit}"
        if not self.theirs:
            return f"{self.name:44} {ours:18}"
        low, high = min(self.ratios), max(self.ratios)
        theirs = f"{median(self.theirs):9.3f} {self.unit}"
        spread = f"{median(self.ratios):5.2f}  ({low:.2f} to {high:.2f}, {len(self.ratios)} pairs)"
        return f"{self.name:44} {ours:18} {theirs:18} {spread:32} {self.peer}"


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of the values does not exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def from_json(content: dict[str, Any]) -> Figure:
    """What `as_json` wrote."""
    return Figure(content["name"], tuple(content["ours"]), tuple(content["theirs"]), content["unit"], content["peer"])


def markdown(figures: Sequence[Figure]) -> str:
    """The README's table: medians, the ratio's median, the peer."""
    rows = ["| what | ours | peer, in the same run | ratio |", "|---|---|---|---|"]
    for figure in figures:
        ours = _amount(figure.ours, figure.unit)
        theirs = f"{_amount(figure.theirs, figure.unit)}, {figure.peer}" if figure.theirs else ""
        ratio = f"{median(figure.ratios):.2f}" if figure.theirs else ""
        rows.append(f"| {figure.name} | {ours} | {theirs} | {ratio} |")
    return "\n".join(rows) + "\n"


def _amount(values: Sequence[float], unit: str) -> str:
    value = median(values)
    return f"{value:.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"


def table(figures: Sequence[Figure]) -> str:
    """All rows under a head."""
    head = f"{'':44} {'ours':>9} {'':8} {'peer':>9} {'':8} {'ratio, median':32} peer"
    return "\n".join((head, *(figure.line() for figure in figures)))
