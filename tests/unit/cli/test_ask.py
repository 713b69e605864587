from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from leanvibe_lsp import services
from leanvibe_lsp.assist.answer import AskRequest, TextDelta
from leanvibe_lsp.cli.app import app
from leanvibe_lsp.core.cancel import CancelToken
from leanvibe_lsp.engine.mock import NOTICE, SCRIPT
from leanvibe_lsp.errors import Cancelled, UsageError
from tests.unit.cli.conftest import Leanvibe

_ANSWER = NOTICE + "".join(SCRIPT)
_KEYS = {"answer", "tier", "model", "backend", "confidence", "citations", "omitted", "usage", "timing", "finishReason"}
_KEYS |= {"fallbacks", "remembered"}


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A small file in the folder where the command runs."""
    file = tmp_path / "code.py"
    file.write_text("def f(x):\n    return x\n", encoding="utf-8")
    return file


def test_piped_output_is_the_answer_alone(leanvibe: Leanvibe, code: Path) -> None:
    """stdout is the plain text of the answer; the facts are one line on stderr; no escape codes anywhere."""
    done = leanvibe("ask", "What is f?", "code.py", "--engine", "mock")
    assert (done.returncode, done.stdout) == (0, _ANSWER + "\n")
    assert "\x1b" not in done.stdout + done.stderr
    footer = done.stderr.strip()
    assert "\n" not in footer
    for part in ("mock", "rung: mock", "confidence", "scripted text", "cached", "first token", "tok/s"):
        assert part in footer


def test_json_is_the_documented_object(leanvibe: Leanvibe, code: Path) -> None:
    """`--json` prints one object with the keys of leanvibe/ask, and nothing else on stdout or stderr."""
    done = leanvibe("ask", "What is f?", "code.py:1", "--engine", "mock", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    body = json.loads(done.stdout)
    assert set(body) == _KEYS
    assert body["answer"] == _ANSWER
    assert set(body["confidence"]) == {"value", "method", "calibrated"}
    assert set(body["usage"]) == {"promptTokens", "cachedTokens", "completionTokens", "draftedTokens"}
    assert body["citations"][0]["uri"] == code.as_uri()


def test_the_question_from_standard_input(leanvibe: Leanvibe) -> None:
    """`-` reads it; an empty one, and one that is not UTF-8, are usage errors."""
    assert leanvibe("ask", "-", "--engine", "mock", text="Wörüm 😀?").returncode == 0
    done = leanvibe("ask", "-", "--engine", "mock", text="")
    assert done.returncode == 2
    assert "question is empty" in done.stderr


def test_verbose_says_what_was_shown(leanvibe: Leanvibe, code: Path) -> None:
    """`--verbose` names what the model saw, on stderr."""
    done = leanvibe("ask", "q", "code.py", "--engine", "mock", "-v")
    assert f"shown: whole file, {code.as_uri()} lines 1-2" in done.stderr
    assert "the question alone" in leanvibe("ask", "q", "--engine", "mock", "-v").stderr
    assert done.stdout == _ANSWER + "\n"


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["", "--engine", "mock"], 2, "question is empty"),
        (["q", "missing.py", "--engine", "mock"], 2, "missing.py does not exist"),
        (["q", "missing.py:3", "--engine", "mock"], 2, "missing.py does not exist"),
        (["q", "code.py:99", "--engine", "mock"], 2, "no such lines"),
        (["q", "code.py:0", "--engine", "mock"], 2, "no such lines"),
        (["q", "code.py:2-1", "--engine", "mock"], 2, "no such lines"),
        (["q", "code.py:1-99999999999999999", "--engine", "mock"], 2, "no such lines"),
        (["q", "code.py:" + "9" * 5_000, "--engine", "mock"], 2, "cannot be read"),
        (["q", ".", "--engine", "mock"], 2, "is a folder"),
        (["q", "", "--engine", "mock"], 2, "is a folder"),
        (["q", "/dev/null/x", "--engine", "mock"], 2, "cannot be read"),
        (["q", "\udcff.py", "--engine", "mock"], 2, "does not exist"),
        (["q", "--engine", "nonsense"], 2, "one of llama.cpp, mlx, mock"),
        (["q", "--engine", ""], 2, "non-empty"),
        (["q", "--model", ""], 2, "non-empty"),
        (["q", "--temperature", "nan", "--engine", "mock"], 2, "temperature"),
        (["q", "--model", "no-such-model"], 3, "no model called 'no-such-model'"),
        (["q", "--model", "./code.py"], 3, "No model can be loaded"),
        (["q", "--model", "./nowhere"], 3, "no file or folder"),
        (["q" * 20_000, "--engine", "mock"], 2, "window"),
        (["q", "--choice", "", "--engine", "mock"], 2, "none of them empty"),
        (["q", "--choice", "a", "--schema", "code.py", "--engine", "mock"], 2, "exclude each other"),
        (["q", "--schema", "code.py", "--engine", "mock"], 2, "code.py is no JSON schema"),
        (["q", "--schema", "missing.json", "--engine", "mock"], 2, "No such file"),
        (["q", "--choice", "a", "--engine", "mock"], 2, "scripted text"),
    ],
)
def test_what_cannot_be_served_has_a_code_and_a_next_step(
    leanvibe: Leanvibe, code: Path, arguments: list[str], status: int, says: str
) -> None:
    """Wrong paths, lines, names and numbers: the documented code, what and what next on stderr, nothing on stdout."""
    done = leanvibe("ask", *arguments)
    assert done.returncode == status
    assert says in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) >= 2


def test_a_bad_environment_variable_is_an_error(leanvibe: Leanvibe) -> None:
    """LEANVIBE_ENGINE=nonsense is never answered by something else; an option overrides it."""
    done = leanvibe("ask", "q", LEANVIBE_ENGINE="nonsense")
    assert (done.returncode, done.stdout) == (2, "")
    assert "LEANVIBE_ENGINE must be one of" in done.stderr
    assert leanvibe("ask", "q", "--engine", "mock", LEANVIBE_ENGINE="nonsense").stdout == _ANSWER + "\n"
    assert leanvibe("ask", "q", LEANVIBE_ENGINE="mock").stdout == _ANSWER + "\n"
    assert leanvibe("ask", "q", LEANVIBE_MODEL="no-such-model").returncode == 3


@pytest.mark.parametrize(
    "name", ["x:3", "C:\\work\\a.py", "späß 😀.py", "-dash.py", "a b.py", "[bold]x.py", ":smile:.py"]
)
def test_odd_file_names(leanvibe: Leanvibe, tmp_path: Path, name: str) -> None:
    """A name is a name: a colon, a space, a dash or brackets in it change nothing."""
    (tmp_path / name).write_text("one = 1\ntwo = 2\n", encoding="utf-8")
    done = leanvibe("ask", "--engine", "mock", "-v", "--", "q", name)
    assert done.returncode == 0
    assert "lines 1-2" in done.stderr
    second = leanvibe("ask", "--engine", "mock", "-v", "--", "q", f"{name}:2")
    assert second.returncode == 0
    assert "selection" in second.stderr or "whole file" in second.stderr


def test_a_terminal_of_another_encoding(leanvibe: Leanvibe, tmp_path: Path) -> None:
    """Characters the output cannot hold are escaped, not a crash."""
    (tmp_path / "späß😀.py").write_text("a = 1\n", encoding="utf-8")
    done = leanvibe("ask", "q", "späß😀.py:1", "--engine", "mock", "-v", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stdout) == (0, _ANSWER + "\n")


@pytest.mark.parametrize("closing", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(
    "arguments", ["ask q --engine mock", "ask q --engine mock --json", "ask q nowhere --engine mock"]
)
def test_closed_streams(environment: dict[str, str], closing: str, arguments: str) -> None:
    """Started with a stream closed, it still works and ends with the right code."""
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m leanvibe_lsp {arguments} {closing}"],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
    )
    assert done.returncode == (2 if "nowhere" in arguments else 0)
    assert "Traceback" not in done.stderr


def test_no_standard_input_to_read(environment: dict[str, str]) -> None:
    """`-` with standard input closed is a usage error."""
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m leanvibe_lsp ask - --engine mock <&-"],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
    )
    assert done.returncode == 2
    assert "no standard input" in done.stderr


def test_standard_input_that_is_not_utf_8(environment: dict[str, str]) -> None:
    """Bytes that are no text are a usage error, not a traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "leanvibe_lsp", "ask", "-", "--engine", "mock"],
        input=b"\xff\xfe\xfa",
        capture_output=True,
        timeout=60,
        env={**environment, "PYTHONUTF8": "0", "PYTHONIOENCODING": "utf-8:strict"},
    )
    assert done.returncode == 2
    assert b"not UTF-8" in done.stderr


def test_without_a_home(leanvibe: Leanvibe, environment: dict[str, str]) -> None:
    """No HOME, a cache that cannot be written: a question to a present engine is answered all the same."""
    done = leanvibe("ask", "q", "--engine", "mock", HOME="", LEANVIBE_MODELS_DIR="/proc/nowhere")
    assert done.returncode == 0
    missing = leanvibe("ask", "q", "--model", "phi3", HOME="", LEANVIBE_MODELS_DIR="/proc/nowhere")
    assert missing.returncode == 3
    assert "models pull phi3" in missing.stderr


_SLOW = """
import sys
from leanvibe_lsp import services
from leanvibe_lsp.cli.app import main
from leanvibe_lsp.engine.mock import MockEngine

class Slow(MockEngine):
    def generate(self, *arguments):
        try:
            return super().generate(*arguments)
        finally:
            print("engine idle", file=sys.stderr, flush=True)

services.build_engine = lambda selection, settings: Slow(pause=3600.0)
sys.argv[1:] = ["ask", "q", "--engine", "mock"]
main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_stops_the_engine(environment: dict[str, str], number: signal.Signals) -> None:
    """Ctrl-C in the middle of an answer: 130, the engine stopped, what came stays, and that it is not all is said."""
    with subprocess.Popen(
        [sys.executable, "-c", _SLOW], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdout is not None
        first = os.read(process.stdout.fileno(), 1_000)
        assert first.decode() == NOTICE
        process.send_signal(number)
        rest, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert rest == b"\n"
    said = errors.decode()
    assert "engine idle" in said
    assert "not the whole answer" in said
    assert re.search("leanvibe: Stopped", said)
    assert "Traceback" not in said


def test_in_this_process(code: Path) -> None:
    """The same command without a process of its own: text, facts, JSON and the question from standard input."""
    runner = CliRunner()
    plain = runner.invoke(app, ["ask", "q", str(code), "--engine", "mock", "--verbose"])
    assert (plain.exit_code, plain.stdout) == (0, _ANSWER + "\n")
    assert "shown: whole file" in plain.stderr
    read = runner.invoke(app, ["ask", "-", "--engine", "mock", "--json"], input="why?")
    assert set(json.loads(read.stdout)) == _KEYS
    bad = runner.invoke(app, ["ask", "-", "--engine", "mock"], input=b"\xff")
    assert isinstance(bad.exception, UsageError)


def test_a_question_that_was_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cancelled comes out, what was shown is called incomplete, and the services are closed."""
    closed: list[bool] = []

    class Stopped(services.Services):
        async def ask(self, request: AskRequest, sink: Any, cancel: CancelToken) -> Any:
            """Say one word and stop."""
            sink(TextDelta("half", 1))
            raise Cancelled("Stopped: you interrupted it.")

        def close(self) -> None:
            """Note it."""
            closed.append(super().close() is None)

    real = services.create
    monkeypatch.setattr(services, "create", lambda settings: Stopped(settings, real(settings).chain))
    done = CliRunner().invoke(app, ["ask", "q", "--engine", "mock"])
    assert isinstance(done.exception, Cancelled)
    assert done.stdout == "half\n"
    assert "not the whole answer" in done.stderr
    assert closed == [True]
