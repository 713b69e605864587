"""The labelled cases: our own small set, and folders of others as `leanvibe eval --data` names them. Reads files.

Of a folder only the files that are there are used; who asks is told which are not.
"""

from __future__ import annotations

import difflib
import json
import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from leanvibe_lsp.core.text import LineIndex
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.errors import UsageError

T = TypeVar("T")

INTENT = "intent/editor_requests.jsonl"
BANDIT, GOSEC = "risk/bandit.jsonl", "risk/gosec.jsonl"
RUFF_EXPECTED, RUFF_FIXTURES = "risk/ruff_expected.jsonl", "risk/ruff_fixtures.jsonl"
QUIXBUGS, FRESH = "review/quixbugs_java.jsonl", "review/fresh_fixes.jsonl"
PACKS = {"javascript": "review/humanevalpack_js.jsonl", "cpp": "review/humanevalpack_cpp.jsonl"}
_OWN = Path(__file__).parent / "data" / "programs.jsonl"
_ENDINGS = {
    "python": ".py", "javascript": ".js", "cpp": ".cpp", "java": ".java", "go": ".go", "rust": ".rs",
    "typescript": ".ts",
}  # fmt: skip
_HUNK = re.compile(r"^@@ .*?@@.*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Program:
    """A program with a planted bug. `right` is all of it without the bug; `tests` are code of its language.

    In Python each of `tests` is an expression that has to be true; in others there is one text with all of them.
    """

    id: str
    source: str
    language: str
    name: str
    about: str
    text: str
    right: str
    tests: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """A text with a bug and the same without it. `buggy_lines` count from 1; `group`: pairs of one are no two cases."""

    id: str
    source: str
    language: str
    group: str
    buggy: str
    fixed: str
    buggy_lines: tuple[int, ...]


def rows_of(folder: Path, name: str) -> list[dict[str, Any]]:
    """The rows of a JSONL file; none for a file that is not there. Raises UsageError for what is no such file."""
    file = folder / name
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read: {error}.", next_step="Check the folder given with --data.") from error
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
        except ValueError as error:
            raise UsageError(f"{file}:{number} is no JSON: {error}.", next_step="Mend or remove the line.") from error
        if not isinstance(row, dict):
            raise UsageError(f"{file}:{number} is no JSON object.", next_step="Mend or remove the line.")
        rows.append(row)
    return rows


def sample(cases: Iterable[T], most: int | None, seed: int) -> list[T]:
    """So many of the cases, drawn by the seed and in their own order; all of them for None."""
    known = list(cases)
    if most is None or most >= len(known):
        return known
    return [known[index] for index in sorted(random.Random(seed).sample(range(len(known)), most))]


def document(text: str, language: str, name: str = "example") -> Snapshot:
    """A text as an editor would have it open."""
    file = f"{name}{_ENDINGS.get(language, '')}"
    return Snapshot(f"untitled:{file}", None, language, None, text, LineIndex(text))


def own_programs() -> list[Program]:
    """Ours, in Python."""
    found = []
    for line in _OWN.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        right = row["text"].replace(row["buggy"], row["right"], 1)
        tests = tuple(row["checks"])
        found.append(Program(row["id"], "own", "python", row["name"], row["about"], row["text"], right, tests))
    return found


def packed_programs(rows: Iterable[Mapping[str, Any]], language: str) -> list[Program]:
    """Rows of HumanEvalPack."""
    return [
        Program(
            id=row["task_id"],
            source=f"humanevalpack {language}",
            language=language,
            name=row["entry_point"],
            about=row["docstring"].strip(),
            text=row["declaration"] + row["buggy_solution"],
            right=row["declaration"] + row["canonical_solution"],
            tests=(row["test"],),
        )
        for row in rows
    ]


def pair_of(program: Program) -> Pair:
    """A program with and without its bug."""
    lines = changed_lines(program.text, program.right)
    return Pair(program.id, program.source, program.language, program.id, program.text, program.right, lines)


def quixbugs_pairs(rows: Iterable[Mapping[str, Any]]) -> list[Pair]:
    """Rows of QuixBugs."""
    return [
        Pair(row["id"], "quixbugs java", row["lang"], row["id"], row["buggy"], row["fixed"], tuple(row["buggy_lines"]))
        for row in rows
    ]


def fresh_pairs(rows: Iterable[Mapping[str, Any]]) -> list[Pair]:
    """The hunks of real fixes: what a hunk shows is all there is, so that other code of the file is not known."""
    found = []
    for row in rows:
        for number, (before, after) in enumerate(hunks(row["fix_diff"])):
            lines = changed_lines(before, after)
            if lines:
                name = f"{row['id']}#{number}"
                found.append(Pair(name, "fresh fixes", row["lang"], row["id"], before, after, lines))
    return found


def hunks(diff: str) -> Iterator[tuple[str, str]]:
    """The text before and after, of each hunk of a unified diff of code."""
    for part in re.split(r"^diff --git .*$", diff, flags=re.MULTILINE):
        for body in _HUNK.split(part)[1:]:
            lines = [line for line in body.splitlines()[1:] if not line.startswith("\\")]
            before = "".join(f"{line[1:]}\n" for line in lines if not line.startswith("+"))
            after = "".join(f"{line[1:]}\n" for line in lines if not line.startswith("-"))
            yield before, after


def changed_lines(before: str, after: str) -> tuple[int, ...]:
    """The lines of `before`, from 1, that are not in `after`; where lines were only added, the line above them."""
    old, new = before.splitlines(), after.splitlines()
    found: set[int] = set()
    for tag, start, end, _, _ in difflib.SequenceMatcher(a=old, b=new, autojunk=False).get_opcodes():
        if tag in ("replace", "delete"):
            found.update(range(start + 1, end + 1))
        elif tag == "insert":
            found.add(max(1, start))
    return tuple(sorted(found))


def missing(folder: Path | None, names: Sequence[str]) -> list[str]:
    """What is not run for want of data, in sentences."""
    if folder is None:
        return [f"{PurePosixPath(name).name}: not run, as no folder was given with --data" for name in names]
    return [f"{name}: not run, as it is not in {folder}" for name in names if not (folder / name).is_file()]
