"""`leanvibe.el` and Eglot, in a real Emacs without a window, against the real server.

`emacs/driver.el` acts and reports; what must hold is said here.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "editors" / "emacs"
DRIVER = Path(__file__).parent / "emacs" / "driver.el"
SERVER = str(Path(sys.executable).with_name("leanvibe-lsp"))
EMACS = shutil.which("emacs")
REAL = (SERVER, "--model", "smollm2")
MOCK = (SERVER, "--engine", "mock")

SOURCE = """def f(x=[]):
    print(f"hello")
    return x
"""
LONG = "Explain this file line by line, in great detail, and then write tests for it."

Drive = Callable[..., Any]


def has_eglot() -> bool:
    """Whether Emacs is here, with Eglot: of its own since 29, else from a package."""
    if EMACS is None:
        return False
    look = "(progn (package-initialize) (require 'eglot))"
    return subprocess.run([EMACS, "--batch", "--eval", look], capture_output=True, check=False).returncode == 0


pytestmark = [
    pytest.mark.editor,
    pytest.mark.skipif(not has_eglot(), reason="no Emacs with Eglot here; `apt-get install emacs-nox elpa-eglot`"),
]


@pytest.fixture
def drive(tmp_path: Path) -> Drive:
    """Run a scenario in a fresh Emacs that sees no one's configuration; returns the facts it reports."""

    def run(scenario: str, *, cmd: tuple[str, ...] = MOCK, question: str = "") -> Any:
        source, report = tmp_path / "sums.py", tmp_path / "report.json"
        source.write_text(SOURCE, encoding="utf-8")
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "EMACS", "LEANVIBE_"))},
            "HOME": str(tmp_path),
            "LEANVIBE_SCENARIO": scenario,
            "LEANVIBE_REPORT": str(report),
            "LEANVIBE_EL": str(PACKAGE),
            "LEANVIBE_FILE": str(source),
            "LEANVIBE_CMD": json.dumps(cmd),
            "LEANVIBE_QUESTION": question,
        }
        command = [EMACS, "--batch", "--no-init-file", "-l", str(DRIVER)]
        done = subprocess.run(
            command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=280, check=False
        )
        assert report.exists(), done.stdout + done.stderr
        seen = json.loads(report.read_text(encoding="utf-8"))
        assert seen["ok"], f"{seen['trouble']}\n{done.stderr[-2000:]}\n{seen['events'][-6000:]}"
        return seen["facts"]

    return run


def test_eglot_connects_and_shows_diagnostics_and_hover(drive: Drive) -> None:
    """Flymake has what the rules find, as severe as the settings say; ElDoc has the symbol; no model is needed."""
    facts = drive("reading")
    assert facts["server"] == "leanvibe-server"
    assert facts["diagnostics"] == [
        "leanvibe [python/f-string-without-placeholder]: Nothing is filled into this f-string.",
        "leanvibe [python/mutable-default]: `[]` is made once and shared by all calls.",
    ]
    assert facts["hover"].startswith("def f(x=[])")


def test_code_actions_change_the_buffer(drive: Drive) -> None:
    """A rule's own fix, then a suppression; each ends its diagnostic."""
    facts = drive("acting")
    assert "Fix with LeanVibe: Nothing is filled into this f-string." not in facts["offered"]
    ignore = "# leanvibe: ignore[python/mutable-default]"
    assert facts["text"] == f'def f(x=[]):  {ignore}\n    print("hello")\n    return x\n'


def test_a_change_that_fails_its_checks_shows_its_draft(drive: Drive) -> None:
    """What the mock writes is no code: the buffer stays, and the draft can be read."""
    facts = drive("changing")
    assert facts["text"] == SOURCE
    assert "[mock engine" in facts["draft"]["text"]
    assert facts["draft"]["state"] == "a draft, not applied"


def test_explain_is_taken_over_from_the_code_action(drive: Drive) -> None:
    """The answer appears in its window instead of a message."""
    facts = drive("explaining")
    assert facts["text"].startswith("[mock engine")
    assert facts["state"].startswith("mock · mock · ")
    assert facts["mode"] == "leanvibe-answer-mode"


@pytest.mark.real_model
def test_an_answer_streams_into_a_buffer(drive: Drive) -> None:
    """Text grows piece by piece to the whole answer, and the header says who gave it."""
    facts = drive("asking", cmd=REAL, question="What does f do? Answer in three sentences.")
    final = facts["final"]
    assert len(facts["texts"]) > 3
    assert all(final["text"].startswith(text) for text in facts["texts"])
    assert "smollm2 · llama.cpp · model · confidence " in final["state"]


@pytest.mark.real_model
def test_cancel_stops_the_model_and_keeps_the_text(drive: Drive) -> None:
    """Stopped in the middle: the text so far stays, and the next question is answered."""
    facts = drive("stopping", cmd=REAL, question=LONG)
    assert facts["stopped"]["state"] == "stopped"
    assert facts["stopped"]["text"]
    assert facts["tokens"] == 1
