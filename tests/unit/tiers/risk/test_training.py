"""Training the risk model, on a small part of the data."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from leanvibe_lsp.core.text import Span
from leanvibe_lsp.errors import ModelDamaged, UsageError
from leanvibe_lsp.tiers.risk import evaluate
from leanvibe_lsp.tiers.risk.assessment import assess
from leanvibe_lsp.tiers.risk.model import read_model, shipped, to_content
from leanvibe_lsp.tiers.rule_files import read_rules
from leanvibe_lsp.tiers.rules import LIBRARY
from leanvibe_lsp.tiers.training import risk as training
from leanvibe_lsp.tiers.training.card import data_digest, digest_of, seal
from leanvibe_lsp.tiers.training.risk import best_threshold, cross_validated, fold_of, prepared, train
from leanvibe_lsp.tiers.training.risk_data import Example, external_examples, own_examples, ruff_examples

_EVAL = Path(__file__).parents[5] / "shared" / "eval"


@pytest.fixture(scope="module", autouse=True)
def _few_rules():
    files = (*LIBRARY.glob("python/*shell*.yml"), *LIBRARY.glob("python/*sql*.yml"))
    few = tuple(rule for file in sorted(files) for rule in read_rules(file.read_text("utf-8"), source=file.name))
    assert few
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "rules_for", lambda language: few)
        yield


def _small(every=6):
    groups = sorted({one.group for one in own_examples()})[::every]
    return [one for one in own_examples() if one.group in groups]


@pytest.fixture(scope="module")
def model():
    return train(_small(), seed=3, date="2026-01-02", folds=3)


def test_the_same_rows_and_seed_make_the_same_file(model):
    """Byte for byte; the date is in it and not in the digest; another seed makes another file."""
    text = seal(to_content(model))
    assert seal(to_content(train(_small(), seed=3, date="2026-01-02", folds=3))) == text
    later = train(_small(), seed=3, date="2027-09-09", folds=3)
    assert digest_of(to_content(later)) == digest_of(to_content(model))
    assert digest_of(to_content(train(_small(), seed=4, date="2026-01-02", folds=3))) != digest_of(to_content(model))
    assert train(_small()[1:], seed=3, date="2026-01-02", folds=3).card.data != model.card.data


def test_it_learns_and_says_how_well(model):
    """Better than a coin on tasks that were not fitted; the card has what it takes to judge."""
    used = [one for one in _small() if not one.kept_aside]
    assert model.card.metrics["cross_validated.without_rules.youden"] > 0.15
    assert model.card.metrics["cross_validated.rows"] == len(used)
    assert sum(one.count for one in model.card.reliability) == len(used)
    assert [(one.name, one.licence, one.rows) for one in model.card.sources] == [("own", "Apache-2.0", len(used))]
    assert model.card.metrics["kept_aside.rows"] == len(_small()) - len(used)


def test_a_trained_file_is_read_back_and_a_changed_one_refused(model):
    """It answers as before; a number that was touched is noticed."""
    text = seal(to_content(model))
    again = read_model(text, name="x")
    code = "import os\nos.system(x)\n"
    assert assess(code, "python", model=again) == assess(code, "python", model=model)
    with pytest.raises(ModelDamaged):
        read_model(text.replace('"threshold":0.', '"threshold":0.0'), name="x")
    with pytest.raises(UsageError):
        read_model("{}", name="x")


def test_the_shipped_model_is_of_todays_rows():
    """Whoever changes the rows has to train again."""
    assert shipped().card.data == data_digest(map(training._plain, own_examples()))


def test_no_row_is_judged_by_a_model_that_saw_its_task():
    """Rows of a task have one fold; a row whose label is turned around changes nothing in its own fold's model."""
    rows = prepared(_small(6), training.Findings())
    first = cross_validated(rows, seed=1, folds=3)
    held = [one.row for one in first if fold_of(one.row.example.group, 1, 3) == 0]
    turned = [_turned(row) if row in held else row for row in rows]
    second = {one.row.example.text: one.probability for one in cross_validated(turned, seed=1, folds=3)}
    for one in first:
        if one.row in held:
            assert second[one.row.example.text] == one.probability
    assert any(second[one.row.example.text] != one.probability for one in first)


def _turned(row):
    example = row.example
    return training.Row(
        Example(example.text, example.span, not example.risky, example.kind, example.group, example.source),
        row.full, row.bare, row.by_rules,
    )  # fmt: skip


def test_the_threshold_is_where_most_is_gained():
    """By hand: everything risky lies above 0.6, everything sound below 0.5."""
    rows = prepared(_small(30), training.Findings())
    judged = [
        training.Judged(training.Row(row.example, {}, {}, False), high, high, 0.5)
        for row in rows
        for high in [0.7 if row.example.risky else 0.4]
    ]
    assert 0.4 < best_threshold(judged) <= 0.7


def test_left_out_families_are_left_out_whole():
    """A sound variant goes with the risky one of its task."""
    families = evaluate._families(_small())
    for one in _small():
        if one.risky:
            assert families[one.group]
    by_task = {one.group for one in _small() if families[one.group] == "sql"}
    assert any(not one.risky for one in _small() if one.group in by_task)


def test_too_little_data_and_a_missing_library_are_said(monkeypatch):
    """With the way out."""
    with pytest.raises(UsageError, match="Too few tasks"):
        train(_small()[:4], seed=0, date="2026-01-02")
    monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)
    with pytest.raises(UsageError, match="scikit-learn"):
        train(_small(), seed=0, date="2026-01-02")


def test_rows_of_a_folder_are_functions_and_files(tmp_path):
    """A function with an expected line in it is risky, its neighbour is not; licences are in the card."""
    risk = tmp_path / "risk"
    risk.mkdir()
    text = "def f():\n    eval(x)\n\n\nclass A:\n    def g(self):\n        pass\n"
    (risk / "ruff_fixtures.jsonl").write_text(json.dumps({"file": "flake8_bandit/S1.py", "text": text}))
    expected = {"category": "flake8_bandit", "rule": "S1", "file": "flake8_bandit/S1.py", "lines": [2], "hits": []}
    (risk / "ruff_expected.jsonl").write_text(json.dumps(expected))
    severity = {"SEVERITY": {"HIGH": 1}}
    (risk / "bandit.jsonl").write_text(json.dumps({"file": "a.py", "text": "x", "expected": severity}))
    found = external_examples(tmp_path)
    assert [(one.text[one.span.start : one.span.end].split("(")[0].strip(), one.risky) for one in found] == [
        ("x", True),
        ("def f", True),
        ("def g", False),
    ]
    assert [one.licence for one in training._sources(found)] == ["Apache-2.0", "MIT"]
    with pytest.raises(UsageError):
        external_examples(risk)


@pytest.mark.skipif(not _EVAL.is_dir(), reason="needs the labelled cases in ../shared/eval, which are not committed")
def test_the_cases_of_others_can_be_read():
    """All of them, at function granularity."""
    assert len(ruff_examples(_EVAL, ("flake8_bandit",))) > 500
    assert all(one.span != Span(0, 0) for one in external_examples(_EVAL))
