"""What the risk of every function takes in a file that is looked at for the first time, and of one function after that.

Processor time of this thread, so that a busy machine does not count; the parse is not counted, the editor has one. The
files are those of `rules`: every one of the standard library with 1,500 lines or more, cut at 2,000.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from leanvibe_lsp.core.text import LineIndex
from leanvibe_lsp.documents.grammars import grammar
from leanvibe_lsp.documents.syntax import syntax_of
from leanvibe_lsp.tiers.risk.assessment import assess, assess_units
from leanvibe_lsp.tiers.risk.survey import survey_of
from tests.benchmarks.figures import Figure, percentile
from tests.benchmarks.rules import _texts


def measure(rounds: int) -> list[Figure]:
    """Each file `rounds` times, the best of them."""
    known = grammar("python")
    assert known is not None
    series: dict[str, list[float]] = {"reading the tree once": [], "all functions": [], "one function, then": []}
    counts: list[float] = []
    for text in _texts():
        best: dict[str, float] = {}
        for _ in range(rounds):
            syntax = syntax_of(LineIndex(text), known)
            assert syntax.tree.root_node is not None
            times = {"reading the tree once": _milliseconds(lambda syntax=syntax: survey_of(syntax, "python"))}
            units = assess_units(text, "python", syntax=syntax)
            last = units[-1].span
            times["all functions"] = times["reading the tree once"] + _milliseconds(
                lambda syntax=syntax, text=text: assess_units(text, "python", syntax=syntax)
            )
            times["one function, then"] = _milliseconds(
                lambda syntax=syntax, text=text, last=last: assess(text, "python", span=last, syntax=syntax)
            )
            best = {name: min(value, best.get(name, value)) for name, value in times.items()}
        counts.append(float(len(units)))
        for name, value in best.items():
            series[name].append(value)
    figures = [Figure(f"risk, 2,000 lines: {name}", tuple(values), (), "ms", "") for name, values in series.items()]
    figures.append(Figure("risk: all functions, P95", (percentile(series["all functions"], 0.95),), (), "ms", ""))
    figures.append(Figure("risk: functions of a file", tuple(counts), (), "", ""))
    return figures


def _milliseconds(work: Callable[[], object]) -> float:
    begin = time.thread_time()
    work()
    return (time.thread_time() - begin) * 1_000
