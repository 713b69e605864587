"""The risk of code, by the model that is shipped."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise

import pytest

from leanvibe_lsp.core.text import LineIndex, Span
from leanvibe_lsp.documents.grammars import grammar
from leanvibe_lsp.documents.syntax import syntax_of
from leanvibe_lsp.tiers.risk import assess
from leanvibe_lsp.tiers.risk.assessment import assess_units
from leanvibe_lsp.tiers.risk.families import FAMILIES, by_call, family_of_cwe
from leanvibe_lsp.tiers.risk.model import SHIPPED, read_model, shipped
from leanvibe_lsp.tiers.risk.wording import words_for

_OPEN = """import os
from flask import Flask, request
app = Flask(__name__)

@app.route("/admin/run", methods=["POST"])
def run():
    name = request.form["name"]
    os.system("backup " + name)
    return "started"
"""
_SOUND = """def merge(left, right):
    out = []
    for one, other in zip(left, right):
        if one < other:
            out.append(one)
        else:
            out.append(other)
    return out
"""


def test_what_runs_commands_of_strangers_is_risky_and_an_algorithm_is_not():
    """Even when no rule has said so; the reasons say what it does."""
    risk = assess(_OPEN, "python")
    assert risk.risky
    assert risk.probability > 0.8
    said = " ".join(one.words for one in risk.reasons)
    assert "command in a shell" in said
    sound = assess(_SOUND, "python")
    assert not sound.risky
    assert sound.probability < 0.2


def test_the_reasons_begin_with_those_for_the_answer():
    """Then those against it, each the heaviest first; none is said twice."""
    for text in (_OPEN, _SOUND):
        risk = assess(text, "python")
        weights = [one.weight if risk.risky else -one.weight for one in risk.reasons]
        signs = [one > 0 for one in weights]
        assert signs == sorted(signs, reverse=True)
        for one, after in pairwise(weights):
            assert (one > 0) is not (after > 0) or abs(one) >= abs(after)
        assert len({one.words for one in risk.reasons}) == len(risk.reasons)


def test_a_span_is_judged_alone():
    """The function beside it changes nothing, wherever it stands, in code points of any width."""
    text = "# é \U0001f600\n" + _SOUND + _OPEN
    sound = assess(text, "python", span=Span(text.index("def merge"), text.index("import os")))
    assert sound.probability == pytest.approx(assess(_SOUND, "python").probability, abs=0.02)
    run = assess(text, "python", span=Span(text.index("@app"), len(text)))
    assert run.risky


def test_units_are_functions_and_methods_in_order():
    """Each as it is judged by itself; nested ones belong to the outer."""
    nested = "    def first(self):\n        def inner():\n            pass\n\n    def second(self):\n        pass\n"
    text = f"{_OPEN}\n\nclass A:\n{nested}"
    units = assess_units(text, "python")
    assert [one.name for one in units] == ["run", "first", "second"]
    for one in units:
        assert one.risk == assess(text, "python", span=one.span)


def test_a_given_tree_changes_nothing():
    """It only saves parsing."""
    syntax = syntax_of(LineIndex(_OPEN), grammar("python"))
    assert assess(_OPEN, "python", syntax=syntax) == assess(_OPEN, "python")


def test_other_languages_say_that_less_was_looked_at():
    """And are called risky only by a classifier that is very sure."""
    risk = assess('func f(w http.ResponseWriter, r *http.Request) { exec.Command("sh", r.URL.Path) }', "go")
    assert risk.basis == "generic"
    assert shipped().parts["generic"].threshold >= 0.9
    assert assess("", "python").basis == "python"


def test_every_feature_of_the_shipped_model_is_a_reason_in_words():
    """Or is one that says nothing to a reader; no wording is left without a feature's form."""
    silent = {name for part in shipped().parts.values() for name in part.coefficients if not words_for(name, True)}
    assert silent == set()
    assert all(one.words for one in FAMILIES if one.calls)
    assert family_of_cwe(89) == "sql"
    assert family_of_cwe(None) == "other"
    assert {one.name for one in by_call()["os.system"]} == {"shell"}


def test_the_shipped_file_is_small_and_of_our_rows_alone():
    """Then rows of others are a fair measure of it."""
    assert SHIPPED.stat().st_size < 300_000
    model = read_model(SHIPPED.read_text(encoding="utf-8"), name="risk.json")
    assert {one.name for one in model.card.sources} == {"own"}
    assert model.card.metrics["cross_validated.ladder.youden"] > 0.35
    assert model.card.metrics["cross_validated.ece"] <= 0.1


def test_using_it_needs_no_training_library():
    """Neither numpy nor scikit-learn is imported to judge code."""
    code = (
        "import sys; from leanvibe_lsp.tiers.risk import assess; assess('import os\\nos.system(x)\\n', 'python');"
        "print(sorted({'numpy', 'sklearn', 'scipy', 'yaml', 'pydantic', 'ast_grep_py'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
