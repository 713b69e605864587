from __future__ import annotations

import json
from typing import Any

import pytest

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.text import LineIndex, Span
from leanvibe_lsp.engine.llama.grammar import grammar_of
from leanvibe_lsp.errors import Incomplete
from leanvibe_lsp.tiers.finding import Category, Finding, Severity
from leanvibe_lsp.tiers.model.prompt import question, told_by
from leanvibe_lsp.tiers.model.schema import FINE, RISKY, Remark, Said, read, structure
from leanvibe_lsp.tiers.rung import Opinion, Rung

ONE = {"quote": "a", "kind": "bug", "severity": "error", "reason": "is\n wrong", "fix": ""}


def said(*findings: dict[str, Any], verdict: str = RISKY) -> str:
    return json.dumps({"findings": findings, "verdict": verdict})


def test_words_become_values() -> None:
    """A reason is one line; the same remark twice is one."""
    remark = Remark("a", Category.BUG, Severity.ERROR, "is wrong")
    assert read(said(ONE, ONE)) == Said(RISKY, (remark,))
    assert read(said(verdict=FINE)) == Said(FINE)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "risky",
        said(verdict="maybe"),
        said({**ONE, "kind": "custom"}),
        said({**ONE, "severity": "hint"}),
        said({**ONE, "quote": ""}),
        said({**ONE, "line": 3}),
        said({key: value for key, value in ONE.items() if key != "fix"}),
        said(*[{**ONE, "reason": f"{number}"} for number in range(limit("judge.findings") + 1)]),
        said(ONE)[:-3],
    ],
)
def test_what_does_not_fit_is_no_answer(text: str) -> None:
    """Half a document, an unknown kind, a field too many or too few."""
    with pytest.raises(Incomplete):
        read(text)


def test_backends_can_hold_a_model_to_it() -> None:
    """The grammar is made without complaint."""
    assert grammar_of(structure())


def test_the_rungs_below_are_told_as_what_they_are() -> None:
    """Findings with their lines, the classifier with its reasons; nothing where there is nothing."""
    text = "a\nbad\n"
    finding = Finding("python/x", "It is bad.", Severity.WARNING, Span(2, 5), "bad", 0.8)
    opinions = [Opinion(Rung.RULES, RISKY, 0.8), Opinion(Rung.CLASSIFIER, RISKY, 0.6)]
    assert told_by([finding], opinions, ["it reads a path"], LineIndex(text)) == (
        "Rules found here:\n- line 2: It is bad. (python/x)\n"
        "A classifier finds it risky with a probability of 0.60, because of: it reads a path.\nThey may be wrong."
    )
    failed = Opinion(Rung.CLASSIFIER, "", None, failure="broken")
    assert told_by([], [Opinion(Rung.RULES, FINE, None), failed], [], LineIndex(text)) == ""
    assert question("'f'", 3, 3, "").startswith("Review 'f', line 3, ")
    assert question("'f'", 3, 5, "Said.").startswith("Said.\n\nReview 'f', lines 3 to 5, ")
