from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from leanvibe_lsp.assist.answer_cache import AnswerCache, Remembered, answers_path
from leanvibe_lsp.cli.app import app
from leanvibe_lsp.engine.base import FinishReason
from leanvibe_lsp.engine.confidence import Signs

_RUNNER = CliRunner()


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AnswerCache:
    """A cache with one answer."""
    monkeypatch.setenv("LEANVIBE_CACHE_DIR", str(tmp_path / "cache"))
    cache = AnswerCache(answers_path())
    cache.put(b"key", Remembered("an answer", FinishReason.STOP, 1, 2, Signs(2, 0.5, 0.5, 0.5, 0.0)))
    return cache


def test_status_says_how_much_and_where(kept: AnswerCache) -> None:
    result = _RUNNER.invoke(app, ["cache", "status"])
    assert result.exit_code == 0
    assert result.output.startswith("1 answers, ")
    assert str(kept.path) in result.output


def test_status_as_json(kept: AnswerCache) -> None:
    found = json.loads(_RUNNER.invoke(app, ["cache", "status", "--json"]).output)
    assert found["answers"] == 1
    assert found["path"] == str(kept.path)


def test_clear_forgets_and_may_be_repeated(kept: AnswerCache) -> None:
    assert _RUNNER.invoke(app, ["cache", "clear"]).output == "Forgot 1 answers.\n"
    assert kept.get(b"key") is None
    assert _RUNNER.invoke(app, ["cache", "clear"]).output == "Forgot 0 answers.\n"


def test_a_cache_that_cannot_be_removed_says_so(kept: AnswerCache, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(AnswerCache, "_connect", refuse)
    result = _RUNNER.invoke(app, ["cache", "clear"])
    assert "Permission denied" in str(result.exception)
