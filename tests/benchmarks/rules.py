"""What all rules take on a file that is looked at for the first time, part by part, and after an edit.

Processor time of this thread, so that a busy machine does not count. Every file of the standard library with 1,500
lines or more, cut at 2,000; and 40,000 lines of it as one file.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from leanvibe_lsp.assist.analyze import analyze
from leanvibe_lsp.config.settings import EditorSettings
from leanvibe_lsp.core.text import Encoding, LineIndex, Position
from leanvibe_lsp.documents.grammars import grammar
from leanvibe_lsp.documents.store import Change, DocumentStore
from leanvibe_lsp.documents.syntax import syntax_of
from leanvibe_lsp.tiers.look import look, rule_set
from leanvibe_lsp.tiers.matching.places import Places
from leanvibe_lsp.tiers.matching.plan import plan_of
from leanvibe_lsp.tiers.matching.scene import Scene
from leanvibe_lsp.tiers.reading import Reading
from leanvibe_lsp.tiers.rule import Rule
from leanvibe_lsp.tiers.rules import rules_for
from leanvibe_lsp.tiers.words import Vocabulary
from tests.benchmarks.diagnostics import place, text_of
from tests.benchmarks.figures import Figure, percentile

_T = TypeVar("_T")
_LINES = 2_000
_ENOUGH = 1_500
_LARGE = 40_000
_URI = "file:///project/a.py"
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
    parts: dict[str, list[float]] = {}
    texts = _texts()
    for text in texts:
        best: dict[str, float] = {}
        for _ in range(rounds):
            for name, taken in _parts(text, rules):
                best[name] = min(taken, best.get(name, taken))
        for name, taken in best.items():
            parts.setdefault(name, []).append(taken)
    head = f"{len(rules)} rules, {_LINES:,} lines"
    figures = [Figure(f"{head}: {name}", tuple(values), (), "ms", "") for name, values in parts.items()]
    figures.append(Figure(f"{head}: all, P95", (percentile(parts["all, parse included"], 0.95),), (), "ms", ""))
    figures += _live(text_of(_LINES), head, rounds)
    figures += _live(text_of(_LARGE), f"{len(rules)} rules, {_LARGE:,} lines", 1)
    figures.append(Figure("reading the rules for Python, as kept", _loads(rounds), (), "ms", ""))
    _print_slowest(texts, rules)
    return figures


def _parts(text: str, rules: Sequence[Rule]) -> Iterator[tuple[str, float]]:
    known = grammar("python")
    assert known is not None
    lines, both = LineIndex(text), rule_set(tuple(rules))
    plan = plan_of(both.structural, "python")
    assert plan.wanted is not None
    parsed, parse = _timed(lambda: syntax_of(lines, known))
    root, size = parsed.tree.root_node, len(parsed.data)
    _, index = _timed(lambda: Places(root, Vocabulary(parsed.data), plan.wanted, 0, size))  # type: ignore[arg-type]
    alone, along = rule_set(both.structural), rule_set(both.flow)
    _, structural = _timed(lambda: look(Reading(text, "python"), parsed, alone, None))
    _, flow = _timed(lambda: look(Reading(text, "python"), parsed, along, None))
    yield "all, parse included", parse + structural + flow
    yield "of that: the parse", parse
    yield "of that: the structural rules", structural
    yield "of those: words and queries", index
    yield "of that: the flow rules", flow


def _live(text: str, head: str, rounds: int) -> Iterator[Figure]:
    """A document opened and edited, its tree included."""
    settings, opened, edited = EditorSettings(), [], []
    for _ in range(rounds):
        store = DocumentStore()
        opened.append(_timed(lambda store=store: analyze(store.open(_URI, "python", 1, text), settings))[1])
        line, indent = place(text)
        change = Change(f"{indent}ok = 1 is 'a'\n", Position(line, 0), Position(line, 0))
        for version in range(2, 12):
            snapshot = store.change(_URI, version, [change], Encoding.UTF16)
            edited.append(_timed(lambda snapshot=snapshot: analyze(snapshot, settings))[1])
    yield Figure(f"{head}: opened", tuple(opened), (), "ms", "")
    yield Figure(f"{head}: after an edit", tuple(edited), (), "ms", "")
    yield Figure(f"{head}: after an edit, P95", (percentile(edited, 0.95),), (), "ms", "")


def _texts() -> list[str]:
    folder = Path(logging.__file__).parents[1]
    read = ((folder / file).read_text("utf-8", errors="replace") for file in sorted(folder.glob("*.py")))
    lines = (text.splitlines()[:_LINES] for text in read)
    return ["\n".join(one) + "\n" for one in lines if len(one) >= _ENOUGH]


def _timed(work: Callable[[], _T]) -> tuple[_T, float]:
    """What it gives, and milliseconds of this thread's processor time."""
    begin = time.thread_time()
    given = work()
    return given, (time.thread_time() - begin) * 1_000


def _loads(rounds: int) -> tuple[float, ...]:
    """In new processes; the one before them has kept what it read."""
    runs = [
        subprocess.run([sys.executable, "-c", _LOAD], env=dict(os.environ), capture_output=True, text=True, check=True)
        for _ in range(rounds)
    ]
    return tuple(float(run.stdout) * 1_000 for run in runs)


def _print_slowest(texts: Sequence[str], rules: Sequence[Rule]) -> None:
    """What the nodes that a rule is shown take, for the ten slowest."""
    known = grammar("python")
    assert known is not None
    plan = plan_of(rule_set(tuple(rules)).structural, "python")
    assert plan.wanted is not None
    taken = dict.fromkeys((rule.id for rule, _ in plan.ours), 0.0)
    for text in texts:
        parsed = syntax_of(LineIndex(text), known)
        places = Places(parsed.tree.root_node, Vocabulary(parsed.data), plan.wanted, 0, len(parsed.data))
        scene = Scene()
        for rule, how in plan.ours:
            begin = time.thread_time()
            for node in places.candidates(how.ways):
                how.bound(node, scene)
            taken[rule.id] += (time.thread_time() - begin) * 1_000
    slowest = sorted(taken, key=taken.__getitem__, reverse=True)[:10]
    print("slowest:", ", ".join(f"{name} {taken[name] / len(texts):.2f} ms" for name in slowest), file=sys.stderr)
