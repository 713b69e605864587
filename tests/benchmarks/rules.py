"""What all rules take on a file that is looked at for the first time, part by part; and what reading them takes.

Processor time of this thread, so that a busy machine does not count. Every file of the standard library with 1,500
lines or more, cut at 2,000.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from leanvibe_lsp.tiers.combined import fitting
from leanvibe_lsp.tiers.patterns import Tree
from leanvibe_lsp.tiers.reading import Reading
from leanvibe_lsp.tiers.rule import Rule
from leanvibe_lsp.tiers.rules import rules_for
from leanvibe_lsp.tiers.scan import scan
from leanvibe_lsp.tiers.words import may_fit
from tests.benchmarks.figures import Figure, percentile

_LINES = 2_000
_ENOUGH = 1_500
_LOAD = """
import time
begin = time.perf_counter()
from leanvibe_lsp.tiers.rules import rules_for
rules_for("python")
print(time.perf_counter() - begin)
"""


def measure(rounds: int) -> list[Figure]:
    """Each file `rounds` times, the best of them; the slowest rules are printed for their authors."""
    rules = rules_for("python")
    structural = [rule for rule in rules if rule.flow is None]
    empty = Tree("", "python")
    series: dict[str, list[float]] = {}

    def note(name: str, work: Callable[[], Iterable[object]]) -> None:
        series.setdefault(name, []).append(min(_milliseconds(work) for _ in range(rounds)))

    candidates: list[float] = []
    for text in _texts():
        reading = Reading(text, "python")
        left = [rule for rule in structural if may_fit(rule.needed, reading.words)]
        candidates.append(float(len(left)))
        note("all rules, parse included", lambda text=text: scan(text, "python", rules))
        note("structural rules, parse included", lambda text=text: scan(text, "python", structural))
        note("of that: the parse", lambda text=text: Tree(text, "python").parts())
        note("of that: telling ast-grep the rules", lambda left=left: fitting(left, empty))
        note("of that: the walk, and the telling", lambda left=left, tree=reading.tree: fitting(left, tree))
    head = f"{len(rules)} rules, {_LINES:,} lines"
    figures = [Figure(f"{head}: {name}", tuple(values), (), "ms", "") for name, values in series.items()]
    whole = series["all rules, parse included"]
    figures.append(Figure(f"{head}: all rules, P95", (percentile(whole, 0.95),), (), "ms", ""))
    figures.append(Figure(f"{head}: rules whose words are there", tuple(candidates), (), "", ""))
    figures.append(Figure("reading the rules for Python, as kept", _loads(rounds), (), "ms", ""))
    _print_slowest(structural, empty, rounds)
    return figures


def _texts() -> list[str]:
    folder = Path(logging.__file__).parents[1]
    read = ((folder / file).read_text("utf-8", errors="replace") for file in sorted(folder.glob("*.py")))
    lines = (text.splitlines()[:_LINES] for text in read)
    return ["\n".join(one) + "\n" for one in lines if len(one) >= _ENOUGH]


def _milliseconds(work: Callable[[], Iterable[object]]) -> float:
    begin = time.thread_time()
    list(work())
    return (time.thread_time() - begin) * 1_000


def _loads(rounds: int) -> tuple[float, ...]:
    """In new processes; the one before them has kept what it read."""
    runs = [
        subprocess.run([sys.executable, "-c", _LOAD], env=dict(os.environ), capture_output=True, text=True, check=True)
        for _ in range(rounds)
    ]
    return tuple(float(run.stdout) * 1_000 for run in runs)


def _print_slowest(rules: Sequence[Rule], empty: Tree, rounds: int) -> None:
    """What telling ast-grep one rule takes, for the ten slowest: mostly its regular expressions."""
    told = {rule.id: min(_milliseconds(partial(rule.findings, empty)) for _ in range(rounds)) for rule in rules}
    slowest = sorted(told, key=told.__getitem__, reverse=True)[:10]
    print("slowest to tell:", ", ".join(f"{name} {told[name]:.1f} ms" for name in slowest), file=sys.stderr)
