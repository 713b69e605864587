"""Training the intent model, on a small part of the data."""

from __future__ import annotations

import json
import sys

import pytest

from leanvibe_lsp.errors import UsageError
from leanvibe_lsp.tiers.intent import evaluate
from leanvibe_lsp.tiers.intent.classify import classify
from leanvibe_lsp.tiers.intent.model import read_model, to_content
from leanvibe_lsp.tiers.intent.values import Intent
from leanvibe_lsp.tiers.training import intent as training
from leanvibe_lsp.tiers.training.card import digest_of, seal
from leanvibe_lsp.tiers.training.intent import coverage, cross_validated, fold_of, train
from leanvibe_lsp.tiers.training.intent_data import Example, external_examples, own_examples

_KINDS = (Intent.EXPLAIN, Intent.FIX, Intent.TESTS)


def _small(every=6):
    return [one for one in own_examples() if one.intents[0] in _KINDS][::every]


@pytest.fixture(scope="module")
def model():
    return train(_small(), seed=3, date="2026-01-02", folds=3)


def test_the_same_rows_and_seed_make_the_same_file(model):
    """Byte for byte; the date is in it and not in the digest; another seed makes another file."""
    text = seal(to_content(model))
    assert seal(to_content(train(_small(), seed=3, date="2026-01-02", folds=3))) == text
    later = train(_small(), seed=3, date="2027-09-09", folds=3)
    assert later.card.date == "2027-09-09"
    assert digest_of(to_content(later)) == digest_of(to_content(model))
    assert digest_of(to_content(train(_small(), seed=4, date="2026-01-02", folds=3))) != digest_of(to_content(model))


def test_it_learns_and_says_how_well(model):
    """Better than always saying the commonest, on rows that were not fitted; the card has what it takes to judge."""
    aside = [one for one in _small() if one.kept_aside]
    right = [classify(one.text, location=one.location, model=model).intent in one.intents for one in aside]
    assert sum(right) / len(right) > 0.6
    assert model.card.metrics["kept_aside.accuracy"] == pytest.approx(sum(right) / len(right), abs=5e-5)
    used = len(_small()) - len(aside)
    assert sum(one.count for one in model.card.reliability) == model.card.metrics["cross_validated.rows"] == used
    assert [(one.name, one.licence, one.rows) for one in model.card.sources] == [("own", "Apache-2.0", used)]


def test_the_data_are_in_the_digest(model):
    """One row less is other data."""
    assert train(_small()[1:], seed=3, date="2026-01-02", folds=3).card.data != model.card.data


def test_a_trained_file_is_read_back(model):
    """It classifies as before."""
    again = read_model(seal(to_content(model)), name="x")
    for text in ("explain the parser", "why so slow", "it is broken", "cover it"):
        assert classify(text, location="inline", model=again) == classify(text, location="inline", model=model)


def test_a_group_is_never_parted(monkeypatch):
    """No guess is by a model that saw a row of the same group."""
    seen = []
    whole = training.fit

    def fit(examples, **options):
        seen.append({one.group for one in examples})
        return whole(examples, **options)

    def guess(_model, one):
        assert one.group not in seen[-1]
        return classify(one.text, location=one.location)

    monkeypatch.setattr(training, "fit", fit)
    rows = _small(12)
    monkeypatch.setattr(training, "_guess", guess)
    judged = cross_validated(rows, seed=0, folds=3)
    assert sorted(one.example.text for one in judged) == sorted(one.text for one in rows)
    assert {fold_of(one, 0, 3) for one in rows} == {0, 1, 2}


def test_without_scikit_learn_it_says_what_to_install(monkeypatch):
    """The extra's name, no traceback."""
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)
    with pytest.raises(UsageError, match="scikit-learn") as caught:
        train(_small(), seed=0, date="2026-01-02", folds=3)
    assert "leanvibe-lsp[train]" in caught.value.next_step


def test_too_little_data_is_refused():
    """One intent, or fewer groups than folds."""
    row = Example("fix", (Intent.FIX,), "inline", "g", "own")
    with pytest.raises(UsageError, match="only one intent"):
        train([Example(f"fix {n}", (Intent.FIX,), "inline", f"g{n}", "own") for n in range(9)], seed=0, date="")
    with pytest.raises(UsageError, match="too few groups of fix"):
        train([*_small(), row][-1:] + [one for one in _small() if one.intents[0] is not Intent.FIX], seed=0, date="")


def test_rows_of_a_folder_are_read_with_their_labels(tmp_path):
    """Two labels are two intents, a panel's `unknown` says nothing, `doc` is document; the licence is in the card."""
    (tmp_path / "intent").mkdir()
    rows = [
        {"id": "1", "text": "print it", "location": "inline", "intent": ["edit", "generate"]},
        {"id": "2", "text": "docs", "location": "inline", "intent": ["doc"]},
        {"id": "3", "text": "hm", "location": "panel", "intent": ["unknown"]},
        {"id": "4", "text": "hm", "location": "inline", "intent": ["unknown"]},
    ]
    file = tmp_path / "intent" / "editor_requests.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    found = external_examples(tmp_path)
    assert [one.intents for one in found] == [(Intent.EDIT, Intent.GENERATE), (Intent.DOCUMENT,), (Intent.UNKNOWN,)]
    assert external_examples(file.parent) == found
    file.write_text('{"id": "1"}\n', encoding="utf-8")
    with pytest.raises(UsageError, match=r"editor_requests.jsonl:1 has no 'text'"):
        external_examples(tmp_path)
    with pytest.raises(UsageError, match="There is no"):
        external_examples(tmp_path / "nowhere")


def test_coverage_is_the_surest_share_that_is_right_often_enough(model):
    """Nineteen right and one wrong below them is all; wrong at the top is nothing."""
    rows = cross_validated(_small(12), seed=0, folds=3)
    assert 0.0 <= coverage(rows) <= 1.0
    assert coverage([]) == 0.0
    assert coverage([one for one in rows if one.right]) == 1.0
    assert coverage([one for one in rows if not one.right]) == 0.0


def test_out_of_fold_predictions_cover_every_row(monkeypatch):
    """Those whose label says nothing too; none is fitted on itself."""
    small = _small(12)
    monkeypatch.setattr("leanvibe_lsp.tiers.training.intent_data.own_examples", lambda: tuple(small))
    rows = [
        {"id": str(n), "text": text, "location": "inline", "intent": ["fix"]}
        for n, text in enumerate(["mend it", "it is broken", "repair the parser", "crashes"])
    ]
    rows.append({"id": "p", "text": "well", "location": "panel", "intent": ["unknown"]})
    found = evaluate.out_of_fold(rows, folds=2)
    assert sorted(one.id for one in found) == sorted(row["id"] for row in rows)
    assert found[-1].id == "p"
