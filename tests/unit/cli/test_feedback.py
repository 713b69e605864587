"""`leanvibe feedback`: marks of the last answer."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from leanvibe_lsp.assist.feedback import Feedback, Said, feedback_path
from leanvibe_lsp.cli.feedback import app
from leanvibe_lsp.config.limits import LIMITS
from leanvibe_lsp.engine.confidence import Signs
from leanvibe_lsp.errors import LeanVibeError, UsageError

_RUNNER = CliRunner()
_SIGNS = Signs(12, 0.6, 0.2, 0.7, 0.25)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Feedback:
    """A store with a last answer."""
    monkeypatch.setenv("LEANVIBE_DATA_DIR", str(tmp_path / "data"))
    store = Feedback(feedback_path())
    store.remember(Said("answer", "tiny", "abc", _SIGNS))
    return store


def test_the_last_answer_is_marked_once(store: Feedback) -> None:
    """Marked again, the new mark counts."""
    assert _RUNNER.invoke(app, ["right"]).output.startswith("Noted: right.")
    assert _RUNNER.invoke(app, ["wrong"]).output.startswith("Noted: wrong.")
    assert [mark.right for mark in store.marks()] == [False]


def test_without_an_answer_there_is_nothing_to_mark(store: Feedback) -> None:
    """The error says what to do first."""
    store.clear()
    error = _RUNNER.invoke(app, ["right"]).exception
    assert isinstance(error, UsageError)
    assert "leanvibe ask" in (error.next_step or "")


def test_the_list_says_what_was_marked_and_what_became_of_it(store: Feedback, monkeypatch: pytest.MonkeyPatch) -> None:
    """By task and model; as JSON every mark."""
    assert _RUNNER.invoke(app, ["list"]).output == "Nothing was marked yet.\n"
    monkeypatch.setitem(LIMITS, "feedback.refit", replace(LIMITS["feedback.refit"], default=40))
    for number in range(39):
        store.record(Said("answer", "tiny", "abc", replace(_SIGNS, mean=0.5)), right=number < 9)
    said = _RUNNER.invoke(app, ["list"]).output
    assert "answer, tiny: 39 marked, 9 of them right; too few to fit anything from yet\n" in said
    store.record(Said("answer", "tiny", "abc", _SIGNS), right=True)
    assert "calibrated: answer, tiny, 0 cases and 40 of your own" in _RUNNER.invoke(app, ["list"]).output
    found = json.loads(_RUNNER.invoke(app, ["list", "--json"]).output)
    assert len(found["marks"]) == 40
    assert set(found["marks"][0]) == {"task", "model", "digest", "right", "time"}
    assert found["fitted"][0]["method"].startswith("calibrated: answer")


def test_clear_forgets_and_may_be_repeated(store: Feedback) -> None:
    _RUNNER.invoke(app, ["right"])
    assert _RUNNER.invoke(app, ["clear"]).output == "Forgot 1 marks.\n"
    assert _RUNNER.invoke(app, ["clear"]).output == "Forgot 0 marks.\n"
    assert store.last() is None


def test_a_mark_that_cannot_be_kept_is_an_error(store: Feedback, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Feedback, "record", lambda *_, **__: False)
    error = _RUNNER.invoke(app, ["right"]).exception
    assert isinstance(error, LeanVibeError)
    assert "could not be kept" in error.message
