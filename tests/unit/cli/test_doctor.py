from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from leanvibe_lsp import services
from leanvibe_lsp.cli.app import app
from leanvibe_lsp.config.settings import Settings
from leanvibe_lsp.engine.chain import Choose, EngineChain
from leanvibe_lsp.engine.host import EngineHost
from leanvibe_lsp.engine.scheduler import Scheduler
from leanvibe_lsp.engine.select import Selection, Step
from leanvibe_lsp.services import Services
from tests.support.engines import KnowingEngine, located
from tests.unit.cli.conftest import Leanvibe


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with one healthy model."""
    selection = Selection("llama.cpp", located(name="a:smile:[bold]b"), (Step("llama.cpp", True, "x" * 200),))

    def create(settings: Settings) -> Services:
        def make(choose: Choose, name: str) -> EngineHost:
            return EngineHost(choose, lambda _: KnowingEngine(), Scheduler(capacity=2), name=name)

        return Services(settings, EngineChain(lambda: (selection,), make))

    monkeypatch.setattr(services, "create", create)


def test_a_healthy_one(planted: None) -> None:
    """Exit 0; every fact on its own line, names as they are, nothing cut to the terminal's width."""
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code == 0
    assert "status              healthy" in done.output
    assert "a:smile:[bold]b" in done.output
    assert "x" * 200 in done.output
    assert "verified: 8 of 8" in done.output
    assert done.output.count("ok   0.99") == 8
    assert "\x1b" not in done.output


def test_json(leanvibe: Leanvibe) -> None:
    """One object, with a next step for what is not right, and the exit code of the status."""
    done = leanvibe("doctor", "--json", "--engine", "mock")
    body = json.loads(done.stdout)
    assert done.returncode == 1
    assert body["status"] == "degraded"
    assert all(problem["next_step"] for problem in body["problems"])
    assert {"python", "platform", "device", "backends", "chain", "model", "digest", "selftest"} <= set(body)
    assert {"has_pretrained_weights", "inference_ready", "last_inference_ms", "memory_mb", "window"} <= set(body)


def test_broken_is_2(leanvibe: Leanvibe) -> None:
    """A model that is not there: broken, the problem and the next step, no traceback."""
    done = leanvibe("doctor", "--model", "phi3")
    assert done.returncode == 2
    assert "broken: The model phi3 is not downloaded." in done.stdout
    assert "next step: Run `leanvibe models pull phi3`." in done.stdout
    assert "Traceback" not in done.stderr


def test_in_this_process() -> None:
    """The mock: degraded in both forms, with the problem and what to do."""
    runner = CliRunner()
    shown = runner.invoke(app, ["doctor", "--engine", "mock"])
    assert shown.exit_code == 1
    assert "degraded: The mock engine answers" in shown.stdout
    assert "next step: Leave out `--engine mock`." in shown.stdout
    assert json.loads(runner.invoke(app, ["doctor", "--engine", "mock", "--json"]).stdout)["model"] == "mock"
