"""Trees and outlines of a long file while it is edited, against parsing it anew.

The text is the standard library's own Python, file after file that parses, until there are 40,000 lines. Statements are
typed into it letter by letter, each below a line with code; as in most editors a bracket or a quote brings its other
half along.
"""

from __future__ import annotations

import re
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from time import perf_counter

from leanvibe_lsp.core.edits import TextEdit
from leanvibe_lsp.core.text import LineIndex, Span
from leanvibe_lsp.documents import grammars, scopes
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.documents.syntax import edited
from tests.benchmarks.figures import Figure

_LINES = 40_000
_STATEMENTS = 4  # a round
_STATEMENT = re.compile(r"\s+\w+ = [\w.]+\(.*\)")  # a call kept in a variable: a place where one more may stand
_TYPED = (*"total = add", "()", *"one, ", '""', *"two")


def measure(rounds: int) -> list[Figure]:
    """Edit to tree and edit to outline, each beside what the same takes for a text nothing is known of."""
    chance = Random(4)
    snapshot = _snapshot(LineIndex(_text()))
    scopes.outline(snapshot)
    trees, outlines = list[float](), list[float]()
    fresh_trees, fresh_outlines = list[float](), list[float]()
    for _ in range(rounds):
        for edit in _edits(snapshot.lines, chance):
            started = perf_counter()
            snapshot = _snapshot(edited(snapshot.lines, edit))
            grammars.parse(snapshot)
            trees.append(_milliseconds(started))
            scopes.outline(snapshot)
            outlines.append(_milliseconds(started))
        fresh_trees.append(_once(grammars.parse, snapshot.text))
        fresh_outlines.append(_once(scopes.outline, snapshot.text))
    pairs = (("edit to tree", trees, fresh_trees), ("edit to outline", outlines, fresh_outlines))
    return [
        figure
        for name, ours, theirs in pairs
        for figure in (
            Figure(
                f"40,000 lines of Python, {name}, P50", _each(ours, rounds, 0.5), tuple(theirs), "ms", "from nothing"
            ),
            Figure(f"40,000 lines of Python, {name}, P95", (_percentile(ours, 0.95),), (), "ms", ""),
        )
    ]


def _text() -> str:
    parts, lines = list[str](), 0
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        text = path.read_text(encoding="utf-8", errors="replace").rstrip() + "\n"
        tree = grammars.parse(_snapshot(LineIndex(text)))
        if tree is not None and not tree.root_node.has_error:  # an error makes the outline be read anew
            parts.append(text)
            lines += text.count("\n")
        if lines >= _LINES:
            break
    return "".join(parts)


def _snapshot(lines: LineIndex) -> Snapshot:
    return Snapshot("untitled:long.py", None, "python", 1, lines.text, lines)


def _edits(lines: LineIndex, chance: Random) -> Iterator[TextEdit]:
    below = [line for line in range(lines.line_count) if _STATEMENT.fullmatch(lines.line_text(line))]
    for line in sorted(chance.sample(below, _STATEMENTS), reverse=True):
        at, text = lines.line_span(line).end, lines.line_text(line)
        indent = "\n" + text[: len(text) - len(text.lstrip())]
        for typed in (indent, *_TYPED):
            yield TextEdit(Span(at, at), typed)
            at += len(typed) if typed == indent else 1


def _once(work: Callable[[Snapshot], object], text: str) -> float:
    snapshot = _snapshot(LineIndex(text))
    started = perf_counter()
    work(snapshot)
    return _milliseconds(started)


def _each(values: list[float], rounds: int, part: float) -> tuple[float, ...]:
    size = len(values) // rounds
    return tuple(_percentile(values[at * size : (at + 1) * size], part) for at in range(rounds))


def _percentile(values: list[float], part: float) -> float:
    return sorted(values)[min(int(part * len(values)), len(values) - 1)]


def _milliseconds(started: float) -> float:
    return (perf_counter() - started) * 1e3
