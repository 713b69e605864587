from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from leanvibe_lsp.assist.evaluation.results import Figure, Report, RungUse, Section
from leanvibe_lsp.cli.eval import evaluate, show
from leanvibe_lsp.errors import UsageError

_APP = typer.Typer()
_APP.command()(evaluate)


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_json_is_one_object_with_what_was_not_run() -> None:
    """Nothing else on stdout, no bar where there is no terminal, and no model where none is wanted."""
    done = CliRunner().invoke(_APP, ["review", "--no-model-rung", "--limit", "2", "--json"])
    assert (done.exit_code, done.stderr) == (0, "")
    (report,) = json.loads(done.stdout)["reports"]
    assert set(report) == {"task", "facts", "sections", "notRun", "cost"}
    assert report["task"] == "review"
    assert "the ladder with the model: not run: --no-model-rung was given" in report["notRun"]


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """Before anything is run."""
    done = CliRunner().invoke(_APP, ["review", "--data", str(tmp_path / "gone")])
    assert isinstance(done.exception, UsageError)
    assert "is no folder" in str(done.exception)


def test_a_model_that_was_asked_for_and_is_not_there_is_an_error(tmp_path: Path) -> None:
    """It is never left out quietly."""
    done = CliRunner().invoke(_APP, ["review", "--limit", "1", "--model", str(tmp_path / "gone.gguf")])
    assert done.exception is not None
    assert "gone.gguf" in str(done.exception)


def test_tables_say_what_is_not_defined_and_not_timed(capsys: pytest.CaptureFixture[str]) -> None:
    """And nothing in a note is taken for markup."""
    nan = float("nan")
    section = Section(
        "t",
        3,
        (Figure("fixed", 0.0, 0.0, 0.0), Figure("ECE", nan), Figure("recall", 0.5, 0.25, 0.75)),
        (RungUse("rules", 3, 1.0, nan, nan),),
    )
    noted = Section("u", 0, (), notes=("[bold]as it is[/bold]",))
    show(Report("risk", (section, noted), ("x: not run",), 2.0, 1234))
    out = capsys.readouterr().out
    for part in (
        "not defined",
        "no spread seen",
        "0.250 to 0.750",
        "not timed",
        "[bold]as it is[/bold]",
        "not in it: x: not run",
        "1,234",
    ):
        assert part in out


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT to send")
def test_ctrl_c_keeps_what_was_done_and_the_next_run_goes_on(tmp_path: Path) -> None:
    """It says how; the second run computes only the rest."""
    program = "from leanvibe_lsp.cli import app, eval as one\napp.app.command('eval')(one.evaluate)\napp.main()"
    command = [sys.executable, "-c", program, "eval", "fix", "--engine", "mock", "--limit", "12", "--json"]
    environment = {**os.environ, "LEANVIBE_CACHE_DIR": str(tmp_path)}
    first = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    while first.poll() is None and not any(tmp_path.glob("evaluation/*.jsonl")):
        time.sleep(0.02)
    first.send_signal(signal.SIGINT)
    out, err = first.communicate(timeout=120)
    assert (first.returncode, out) == (130, "")
    assert "results are kept" in err
    assert "--fresh begins anew" in err
    second = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=240, check=True)
    (report,) = json.loads(second.stdout)["reports"]
    assert 0 < int(report["facts"]["results of earlier runs"]) < 12
    (section,) = report["sections"]
    assert section["cases"] == 12
    assert section["figures"]["refused"]["value"] == 1  # the mock's words are no code
