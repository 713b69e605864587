"""Rows to train the risk model on: ours, and those of a folder that a person names.

Ours are small programs as a language model writes them when asked, each task in risky and in sound variants, labelled
by hand. Of a folder, `risk/bandit.jsonl` gives whole files and `risk/ruff_fixtures.jsonl` with `ruff_expected.jsonl`
functions, methods and statements.
"""

from __future__ import annotations

import ast
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leanvibe_lsp.core.text import LineIndex, Span
from leanvibe_lsp.errors import UsageError

OWN = Path(__file__).parents[1] / "risk" / "data" / "snippets.jsonl"
BLIND = OWN.with_name("blind.jsonl")
LICENCES = {"own": "Apache-2.0", "PyCQA/bandit examples": "Apache-2.0", "astral-sh/ruff fixtures": "MIT"}
_BANDIT, _RUFF = "PyCQA/bandit examples", "astral-sh/ruff fixtures"
_FOLDER = "risk"


@dataclass(frozen=True, slots=True)
class Example:
    """A piece of a text and whether it deserves a look. Rows of one `group` are never parted by a split.

    `kind` is the weakness: a CWE's number for ours, the folder of the rules for ruff's.
    """

    text: str
    span: Span
    risky: bool
    kind: str
    group: str
    source: str
    kept_aside: bool = False
    language: str = "python"


def own_examples() -> tuple[Example, ...]:
    """Our rows. Raises UsageError for a bad line."""
    return tuple(_own(OWN, "own"))


def blind_examples() -> tuple[Example, ...]:
    """Programs by one who saw neither rules nor rows. Nothing is fitted on them; one false alarm there was mended."""
    return tuple(_own(BLIND, "blind"))


def _own(file: Path, source: str) -> Iterator[Example]:
    for row in _rows(file, ("text", "risky", "cwe", "why", "group", "split")):
        yield Example(
            text=row["text"],
            span=Span(0, len(row["text"])),
            risky=row["risky"],
            kind=str(row["cwe"] or ""),
            group=row["group"],
            source=source,
            kept_aside=row["split"] == "test",
        )


def external_examples(folder: Path, *, rules: tuple[str, ...] = ("flake8_bandit",)) -> tuple[Example, ...]:
    """The rows of a folder; of ruff's those of these folders of rules. Raises UsageError when it has none."""
    found = (*bandit_examples(folder), *ruff_examples(folder, rules))
    if not found:
        raise UsageError(f"There are no cases of risk in {folder}.", next_step="Name the folder above risk/ by --data.")
    return found


def bandit_examples(folder: Path) -> tuple[Example, ...]:
    """Whole files; risky are those in which something is to be found."""
    file = folder / _FOLDER / "bandit.jsonl"
    rows = _rows(file, ("file", "text", "expected")) if file.is_file() else ()
    return tuple(
        Example(
            text=row["text"],
            span=Span(0, len(row["text"])),
            risky=sum(row["expected"]["SEVERITY"].values()) > 0,
            kind="bandit",
            group=f"bandit {row['file']}",
            source=_BANDIT,
        )
        for row in rows
    )


def ruff_examples(folder: Path, rules: tuple[str, ...]) -> tuple[Example, ...]:
    """Functions, methods and statements outside of them; risky are those with a line in which something is expected."""
    texts, hits = folder / _FOLDER / "ruff_fixtures.jsonl", folder / _FOLDER / "ruff_expected.jsonl"
    if not (texts.is_file() and hits.is_file()):
        return ()
    expected: dict[str, set[int]] = defaultdict(set)
    for row in _rows(hits, ("category", "file", "lines")):
        if row["category"] in rules:
            expected[row["file"]].update(row["lines"])
    found: list[Example] = []
    for row in _rows(texts, ("file", "text")):
        name = row["file"]
        if name in expected:
            found += _pieces(row["text"], name, expected[name])
    return tuple(found)


def _pieces(text: str, name: str, expected: set[int]) -> Iterator[Example]:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return
    lines = LineIndex(text)
    for node in _units(tree.body):
        first = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", ()))])
        last = node.end_lineno or first
        if last > lines.line_count:  # a form feed ends a line to one of the two and not to the other
            continue
        span = Span(lines.line_span(first - 1).start, lines.line_span(last - 1).end)
        risky = any(first <= line <= last for line in expected)
        yield Example(text, span, risky, name.partition("/")[0], f"ruff {name}", _RUFF)


def _units(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from _units(node.body)
        else:
            yield node


def _rows(file: Path, needed: tuple[str, ...]) -> Iterator[Mapping[str, Any]]:
    try:
        lines = file.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror or error}.") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            missing = [name for name in needed if name not in row]
        except (ValueError, TypeError) as error:
            raise UsageError(f"{file}:{number} is no JSON object: {error}.", next_step="Correct the line.") from error
        if missing:
            raise UsageError(f"{file}:{number} has no {missing[0]!r}.", next_step="Correct the line.")
        yield row
