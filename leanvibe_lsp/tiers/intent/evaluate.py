"""How right the classifier is on labelled requests: predictions for `leanvibe eval intent`.

Rows are as in `intent/editor_requests.jsonl`: `id`, `text`, `location`, `intent` (a list: any of them is right). The
shipped model was fitted on no such row as long as its card names no source but `own`; then `as_shipped` is a fair
measure. `out_of_fold` fits on the other rows too and needs scikit-learn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from leanvibe_lsp.tiers.intent.classify import classify
from leanvibe_lsp.tiers.intent.values import Intent, IntentGuess, Location

Progress = Callable[[str, int, int], None]

# What the peer has no label for is, typed into code, its "unknown".
_INLINE = {
    Intent.DOCUMENT: "doc",
    Intent.REVIEW: "unknown",
    Intent.SEARCH: "unknown",
    Intent.CHAT: "unknown",
}
# In a panel the peer's label is a command, and most requests have none: those of several intents count as one.
_PANEL = {
    Intent.TESTS: ("tests",),
    Intent.SEARCH: ("github", "github.copilot-dynamic.platform"),
    Intent.GENERATE: ("new", "newNotebook", "unknown"),
    Intent.CHAT: ("vscode", "unknown"),
    Intent.EXPLAIN: ("explain", "terminalExplain", "unknown"),
    Intent.FIX: ("fix", "unknown"),
}


@dataclass(frozen=True, slots=True)
class Predicted:
    """A row and what was said of it. `labels` are all that count as right; `rung` is command, words or model."""

    id: str
    location: Location
    labels: tuple[str, ...]
    predicted: str
    confidence: float
    rung: str

    @property
    def right(self) -> bool:
        """Whether the prediction is one of the labels."""
        return self.predicted in self.labels


def as_shipped(rows: Iterable[Mapping[str, Any]]) -> list[Predicted]:
    """What the shipped classifier says of each row."""
    return [predicted(row, classify(row["text"], location=place(row))) for row in rows]


def out_of_fold(
    rows: Iterable[Mapping[str, Any]], *, seed: int = 0, folds: int = 5, progress: Progress | None = None
) -> list[Predicted]:
    """What a model of our rows and of the other folds of `rows` says of each. Raises UsageError without scikit-learn.

    Rows whose label says nothing in our intents are judged and not fitted; they come last.
    """
    from leanvibe_lsp.tiers.training.intent import cross_validated, fit
    from leanvibe_lsp.tiers.training.intent_data import external_example, own_examples

    own = [one for one in own_examples() if not one.kept_aside]
    known: dict[str, Mapping[str, Any]] = {}
    examples = []
    silent = []
    for row in rows:
        example = external_example(row)
        if example is None:
            silent.append(row)
        else:
            known[example.group] = row
            examples.append(example)
    judged = cross_validated(examples, seed=seed, folds=folds, always=own, progress=progress) if examples else []
    found = [predicted(known[one.example.group], one.guess) for one in judged]
    if silent:
        model = fit([*own, *examples], seed=seed, folds=2)
        found += (predicted(row, classify(row["text"], location=place(row), model=model)) for row in silent)
    return found


def predicted(row: Mapping[str, Any], guess: IntentGuess) -> Predicted:
    """A guess in the labels of the row's place. Of several labels that it can be, one of the row's is taken."""
    location = place(row)
    labels = tuple(row["intent"])
    if location == "inline":
        label = _INLINE.get(guess.intent, str(guess.intent))
    else:
        meant = _PANEL.get(guess.intent, ("unknown",))
        label = next((one for one in meant if one in labels), meant[-1])
    return Predicted(str(row["id"]), location, labels, label, guess.confidence, guess.method)


def place(row: Mapping[str, Any]) -> Location:
    """Where a row was typed; a panel, unless it says inline."""
    return "inline" if row.get("location") == "inline" else "panel"
