"""Reports as pictures: accuracy against coverage, recall against false alarms, and whether confidence holds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from leanvibe_lsp.assist.evaluation.results import Report, Section
from leanvibe_lsp.errors import LeanVibeError, UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ALARMS = ("false alarms", "fixed versions flagged")
_MARKERS = "osD^v"  # matplotlib has ten colours; then they come again
_FOUND = ("recall", "buggy versions with a hit")


def require() -> None:
    """Raise UsageError where nothing can be drawn: before hours of work, not after them."""
    try:
        import matplotlib as _  # noqa: F401
    except ImportError as error:
        raise UsageError(
            "matplotlib is not installed, and draws the figures.",
            next_step="pip install 'leanvibe-lsp[plots]', or leave out --plots.",
        ) from error


def plot(report: Report, folder: Path) -> tuple[Path, ...]:
    """Write `<task>.png`, and `<task>-reliability.png` where there are confidences. Raises LeanVibeError."""
    from matplotlib.figure import Figure

    curves = [one for one in report.sections if one.curve]
    flags = [one for one in report.sections if _place(one) is not None]
    written: list[Path] = []
    drawn = [kind for kind, sections in ((_curves, curves), (_flags, flags)) if sections]
    if drawn:
        figure = Figure(figsize=(6.4 * len(drawn), 4.8), layout="constrained")
        for number, draw in enumerate(drawn, 1):
            draw(figure.add_subplot(1, len(drawn), number), curves if draw is _curves else flags)
        figure.suptitle(f"leanvibe eval {report.task}")
        written.append(_save(figure, folder / f"{report.task}.png"))
    with_bins = [one for one in report.sections if one.bins]
    if with_bins:
        figure = Figure(figsize=(6.4, 4.8), layout="constrained")
        _reliability(figure.add_subplot(), with_bins)
        figure.suptitle(f"leanvibe eval {report.task}")
        written.append(_save(figure, folder / f"{report.task}-reliability.png"))
    return tuple(written)


def _curves(axes: Axes, sections: Sequence[Section]) -> None:
    for one in sections:
        axes.step([at.coverage for at in one.curve], [at.accuracy for at in one.curve], where="post", label=one.title)
    axes.set(xlabel="coverage (answered, the surest first)", ylabel="accuracy", xlim=(0, 1), ylim=(0, 1.02))
    axes.legend(fontsize="x-small")


def _flags(axes: Axes, sections: Sequence[Section]) -> None:
    axes.plot([0, 1], [0, 1], color="lightgrey", linestyle="--")
    for number, one in enumerate(sections):
        alarms, found = _place(one) or (math.nan, math.nan)
        axes.scatter([alarms], [found], label=one.title, marker=_MARKERS[number // 10 % len(_MARKERS)])
    axes.set(xlabel="false alarms", ylabel="recall", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axes.legend(fontsize="x-small")


def _reliability(axes: Axes, sections: Sequence[Section]) -> None:
    axes.plot([0, 1], [0, 1], color="lightgrey", linestyle="--")
    for one in sections:
        sure, right = [each.confidence for each in one.bins], [each.accuracy for each in one.bins]
        axes.plot(sure, right, marker="o", label=one.title)
    axes.set(xlabel="confidence", ylabel="share that was right", xlim=(0, 1), ylim=(0, 1.02))
    axes.legend(fontsize="x-small")


def _place(section: Section) -> tuple[float, float] | None:
    """False alarms and recall, where both are known."""
    values = {one.name: one.value for one in section.figures}
    alarms = next((values[name] for name in _ALARMS if name in values), math.nan)
    found = next((values[name] for name in _FOUND if name in values), math.nan)
    return None if math.isnan(alarms) or math.isnan(found) else (alarms, found)


def _save(figure: Figure, path: Path) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)
    except OSError as error:
        raise LeanVibeError(f"{path} could not be written: {error.strerror or error}.") from error
    return path
