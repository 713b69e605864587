"""Rows to train the intent model on: ours, and those of a folder that a person names."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leanvibe_lsp.errors import UsageError
from leanvibe_lsp.tiers.intent.values import Intent, Location

OWN = Path(__file__).parents[1] / "intent" / "data" / "requests.jsonl"
OWN_LICENCE = "Apache-2.0"
EXTERNAL = Path("intent") / "editor_requests.jsonl"
EXTERNAL_NAME = "microsoft/vscode-copilot-chat test/intent"
EXTERNAL_LICENCE = "MIT"

# What the peer's labels mean in ours, by place. In its panel "unknown" is "no special command", which says nothing of
# what is wanted: such rows are not used. Questions about the editor itself are talk; those about issues, commits and
# pull requests look something up.
_LABELS: Mapping[Location, Mapping[str, Intent]] = {
    "inline": {
        "explain": Intent.EXPLAIN,
        "generate": Intent.GENERATE,
        "edit": Intent.EDIT,
        "doc": Intent.DOCUMENT,
        "tests": Intent.TESTS,
        "fix": Intent.FIX,
        "unknown": Intent.UNKNOWN,
    },
    "panel": {
        "explain": Intent.EXPLAIN,
        "terminalExplain": Intent.EXPLAIN,
        "tests": Intent.TESTS,
        "fix": Intent.FIX,
        "new": Intent.GENERATE,
        "newNotebook": Intent.GENERATE,
        "vscode": Intent.CHAT,
        "github": Intent.SEARCH,
        "github.copilot-dynamic.platform": Intent.SEARCH,
    },
}


@dataclass(frozen=True, slots=True)
class Example:
    """A request and what it wants: one intent, or any of several. Rows of one `group` are never parted by a split."""

    text: str
    intents: tuple[Intent, ...]
    location: Location
    group: str
    source: str
    has_selection: bool | None = None
    kept_aside: bool = False


def own_examples(file: Path = OWN) -> tuple[Example, ...]:
    """Our rows. Raises UsageError for a row that is none."""
    return tuple(
        Example(
            text=row["text"],
            intents=(Intent(row["intent"]),),
            location="panel" if row.get("location") == "panel" else "inline",
            group=row["group"],
            source="own",
            has_selection=row.get("has_selection"),
            kept_aside=row["split"] == "test",
        )
        for row in _rows(file, ("text", "intent", "group", "split"))
    )


def external_examples(folder: Path) -> tuple[Example, ...]:
    """The peer's rows in a folder (or its parent) whose label says something in ours. Raises UsageError for none."""
    found = [path for path in (folder / EXTERNAL, folder / EXTERNAL.name) if path.is_file()]
    if not found:
        raise UsageError(f"There is no {EXTERNAL} in {folder}.", next_step="Name the folder that holds it by --data.")
    rows = _rows(found[0], ("id", "text", "intent"))
    return tuple(example for row in rows if (example := external_example(row)) is not None)


def external_example(row: Mapping[str, Any]) -> Example | None:
    """A row of the peer's in our labels; None for one whose label says nothing in them."""
    location: Location = "inline" if row.get("location") == "inline" else "panel"
    labels = _LABELS[location]
    intents = tuple(dict.fromkeys(labels[label] for label in row["intent"] if label in labels))
    if not intents:
        return None
    return Example(row["text"], intents, location, f"peer {row['id']}", EXTERNAL_NAME)


def _rows(file: Path, needed: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror or error}.") from error
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            missing = [name for name in needed if name not in row]
        except (ValueError, TypeError) as error:
            raise UsageError(f"{file}:{number} is no JSON object: {error}.", next_step="Correct the line.") from error
        if missing:
            raise UsageError(f"{file}:{number} has no {missing[0]!r}.", next_step="Correct the line.")
        yield row
