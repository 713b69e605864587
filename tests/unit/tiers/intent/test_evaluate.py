"""Predictions in the peer's labels."""

from __future__ import annotations

import pytest

from leanvibe_lsp.tiers.intent.evaluate import as_shipped, predicted
from leanvibe_lsp.tiers.intent.values import Intent, IntentGuess


def _row(location, *labels, text="sort this"):
    return {"id": "a/1", "text": text, "location": location, "intent": list(labels)}


@pytest.mark.parametrize(
    ("location", "labels", "intent", "right"),
    [
        ("inline", ("doc",), Intent.DOCUMENT, True),
        ("inline", ("edit", "generate"), Intent.GENERATE, True),
        ("inline", ("unknown",), Intent.CHAT, True),
        ("inline", ("explain",), Intent.REVIEW, False),
        ("panel", ("unknown",), Intent.EXPLAIN, True),
        ("panel", ("unknown",), Intent.TESTS, False),
        ("panel", ("unknown",), Intent.SEARCH, False),
        ("panel", ("newNotebook",), Intent.GENERATE, True),
        ("panel", ("vscode",), Intent.CHAT, True),
        ("panel", ("vscode",), Intent.EXPLAIN, False),
        (None, ("tests",), Intent.TESTS, True),
    ],
)
def test_intents_are_judged_by_the_labels_of_their_place(location, labels, intent, right):
    """Typed into code there are seven labels; in a panel the label is a command, and none is `unknown`."""
    found = predicted(_row(location, *labels), IntentGuess(intent, 0.5, "model"))
    assert found.right is right
    assert (found.labels, found.confidence, found.rung) == (labels, 0.5, "model")


def test_a_shipped_prediction_keeps_the_row():
    """Its id and place, and the rung that decided."""
    (found,) = as_shipped([_row("inline", "fix", text="/fix it")])
    assert (found.id, found.location, found.predicted, found.rung, found.right) == (
        "a/1",
        "inline",
        "fix",
        "command",
        True,
    )
