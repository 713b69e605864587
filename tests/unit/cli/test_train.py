"""`leanvibe train`: what it writes, prints and refuses."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from leanvibe_lsp.cli import train
from leanvibe_lsp.errors import LeanVibeError, UsageError
from leanvibe_lsp.tiers.intent.model import read_model
from leanvibe_lsp.tiers.intent.values import Intent
from leanvibe_lsp.tiers.training import intent_data


@pytest.fixture(autouse=True)
def _few_rows(monkeypatch):
    kinds = (Intent.EXPLAIN, Intent.FIX, Intent.TESTS)
    rows = tuple([one for one in intent_data.own_examples() if one.intents[0] in kinds][::8])
    monkeypatch.setattr(intent_data, "own_examples", lambda: rows)


def _run(*args):
    return CliRunner().invoke(train.app, args)


def test_it_writes_a_file_that_can_be_used_and_says_what_is_in_it(tmp_path):
    """Sources with licences, metrics, calibration, digest; progress on stderr; the same again for JSON."""
    file = tmp_path / "intent.json"
    result = _run("intent", "--output", str(file), "--date", "2026-01-02")
    assert result.exit_code == 0, result.output
    model = read_model(file.read_text(encoding="utf-8"), name=file.name)
    assert model.card.date == "2026-01-02"
    assert "rows of own (Apache-2.0)" in result.stdout
    assert f"{model.card.metrics['cross_validated.accuracy']:.3f}" in result.stdout
    assert "fold 1" in result.stderr
    first = file.read_bytes()
    result = _run("intent", "--output", str(file), "--date", "2026-01-02", "--json")
    assert json.loads(result.stdout)["metrics"] == dict(model.card.metrics)
    assert file.read_bytes() == first
    assert [one.name for one in tmp_path.iterdir()] == ["intent.json"]


def test_rows_of_a_folder_are_in_the_card(tmp_path):
    """With their own licence."""
    row = {"id": "1", "text": "mend it", "location": "inline", "intent": ["fix"]}
    (tmp_path / "editor_requests.jsonl").write_text(json.dumps(row), encoding="utf-8")
    result = _run("intent", "--data", str(tmp_path), "--output", str(tmp_path / "out.json"))
    assert result.exit_code == 0, result.output
    assert "1 rows of microsoft/vscode-copilot-chat test/intent (MIT)" in result.stdout


def test_a_wrong_date_and_a_wrong_folder_are_errors_with_a_name(tmp_path):
    """Nothing is written."""
    assert isinstance(_run("intent", "--date", "soon", "--output", str(tmp_path / "a")).exception, UsageError)
    assert isinstance(_run("intent", "--data", str(tmp_path), "--output", str(tmp_path / "a")).exception, UsageError)
    failed = _run("intent", "--output", str(tmp_path / "no" / "such" / "place.json")).exception
    assert isinstance(failed, LeanVibeError)
    assert "could not be written" in failed.message
    assert list(tmp_path.iterdir()) == []


def test_help_has_examples():
    """A command that can be copied."""
    assert "leanvibe train intent --output intent.json" in _run("intent", "--help").stdout
