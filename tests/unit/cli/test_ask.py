from __future__ import annotations

import json
import logging
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from leanvibe_lsp import services
from leanvibe_lsp.assist.answer import Answer, AskRequest, AskSink, TextDelta
from leanvibe_lsp.cli.app import app
from leanvibe_lsp.core.cancel import CancelToken
from leanvibe_lsp.engine.mock import NOTICE, SCRIPT
from leanvibe_lsp.errors import Cancelled, Incomplete, UsageError
from tests.unit.cli.conftest import Leanvibe

_ANSWER = NOTICE + "".join(SCRIPT)
_KEYS = {"answer", "tier", "model", "backend", "confidence", "citations", "omitted", "usage", "timing", "finishReason"}
_KEYS |= {"fallbacks", "intent", "remembered", "selftest"}


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


def test_a_bad_field_of_the_folders_settings_costs_itself(leanvibe: Leanvibe, code: Path) -> None:
    """The question is answered; the field is told once, with file and line; an option that is wrong is an error."""
    file = code.parent / "leanvibe.toml"
    file.write_text("[diagnostics]\nenabeld = true\n")
    done = leanvibe("ask", "What is f?", "code.py", "--engine", "mock", "--json")
    assert (done.returncode, json.loads(done.stdout)["answer"]) == (0, _ANSWER)
    assert done.stderr.startswith(f"leanvibe: {file}:2: diagnostics.enabeld: there is no such setting; did you mean")
    assert done.stderr.count("enabeld") == 1
    assert leanvibe("ask", "What is f?", "--engine", "nonsense").returncode == 2


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
        (["q", "--engine", ""], 2, "one of llama.cpp, mlx, mock"),
        (["q", "--model", ""], 2, "not an empty text"),
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


def _speaking(monkeypatch: pytest.MonkeyPatch, speak: Callable[[AskSink], None], whole: str) -> None:
    """Have the services say what `speak` tells the sink, and answer `whole`."""

    class Speaking(services.Services):
        async def ask(self, request: AskRequest, sink: AskSink, cancel: CancelToken) -> Answer:
            """What was planted."""
            speak(sink)
            return replace(await super().ask(replace(request, structure=None), lambda _: None, cancel), answer=whole)

    real = services.create
    monkeypatch.setattr(services, "create", lambda settings: Speaking(settings, real(settings).chain))


@pytest.mark.parametrize("arguments", [["--schema", "schema.json"], ["--choice", '{"n": 1}']])
def test_a_structured_answer_is_written_whole_or_not_at_all(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: list[str]
) -> None:
    """A program that reads stdout never finds half a document, also when the engine fails in the middle."""
    (tmp_path / "schema.json").write_text('{"type": "object"}', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    command = ["ask", "q", "--engine", "mock", *arguments]

    def half(sink: AskSink) -> None:
        sink(TextDelta('{"n"', 1))
        raise Incomplete("The answer ended before its JSON document was whole.")

    _speaking(monkeypatch, lambda sink: sink(TextDelta('{"n": 1}', 3)), '{"n": 1}')
    done = CliRunner().invoke(app, command)
    assert (done.exit_code, done.stdout) == (0, '{"n": 1}\n')
    _speaking(monkeypatch, half, "")
    done = CliRunner().invoke(app, command)
    assert isinstance(done.exception, Incomplete)
    assert done.stdout == ""


def test_what_is_logged_stands_behind_the_answer_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in the middle of its text; a fault with what was raised, and no traceback."""
    log = logging.getLogger("leanvibe_lsp.planted")

    def speak(sink: AskSink) -> None:
        sink(TextDelta("one ", 1))
        for _ in range(2):
            log.warning("the cache %s cannot be used", "of\x1b[2J answers")
        try:
            raise ValueError("planted")
        except ValueError:
            log.exception("it did not close")
        log.info("not for a person")
        sink(TextDelta("two", 2))

    _speaking(monkeypatch, speak, "one two")
    done = CliRunner().invoke(app, ["ask", "q", "--engine", "mock"])
    assert done.stdout == "one two\n"
    lines = [line for line in done.output.splitlines() if "\x1b" not in line]
    assert lines[:3] == [
        "one two",
        "leanvibe: the cache of\ufffd[2J answers cannot be used",
        "leanvibe: it did not close: ValueError: planted",
    ]
    assert "Traceback" not in done.output


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """Two files of which one uses the other, and a secret in each."""
    (tmp_path / "app.py").write_text('from helpers import greet\n\n\ndef main():\n    greet("hunter2x")\n')
    (tmp_path / "helpers.py").write_text('PASSWORD = "hunter2x"\n\n\ndef greet(name):\n    return name\n')
    return tmp_path


def test_show_context_prints_the_prompt_and_asks_nobody(leanvibe: Leanvibe, workspace: Path) -> None:
    """Each part with file and lines, what it is and its tokens; what was hidden is said; no answer."""
    done = leanvibe("ask", "Why?", "app.py:5", "--engine", "mock", "--show-context")
    assert (done.returncode, done.stderr) == (0, "")
    titles = [line for line in done.stdout.splitlines() if line.startswith("── ")]
    assert all(re.search(r" · [1-9]\d* tokens$", title) for title in titles)
    assert [title.rpartition(" · ")[0] for title in titles] == [
        "── instructions",
        f"── {workspace}/app.py:1-4 · rest of the file",
        f"── {workspace}/app.py:5-5 · selection",
        f"── {workspace}/helpers.py:4-5 · definition of greet",
        "── question",
    ]
    assert 'greet("[secret 1]")' in done.stdout
    assert "hunter2x" not in done.stdout
    assert "left out: 1 secret-looking string in app.py" in done.stdout
    assert NOTICE not in done.stdout


def test_show_context_as_json(leanvibe: Leanvibe, workspace: Path) -> None:
    """One object: the parts with their places, what was left out, and the very messages."""
    done = leanvibe("ask", "Why?", "app.py:5", "--engine", "mock", "--show-context", "--json")
    body = json.loads(done.stdout)
    assert set(body) == {"model", "window", "maxTokens", "promptTokens", "exact", "parts", "omitted", "messages"}
    assert [part["what"] for part in body["parts"]] == [
        "instructions",
        "rest of the file",
        "selection",
        "definition of greet",
        "question",
    ]
    assert body["parts"][3]["uri"] == (workspace / "helpers.py").as_uri()
    assert [message["role"] for message in body["messages"]] == ["system", "user"]


def test_a_file_of_secrets_is_refused(leanvibe: Leanvibe, workspace: Path) -> None:
    """By its name or through a link; the error says why and what to do instead."""
    (workspace / ".env").write_text("KEY=abc\n")
    (workspace / "plain.txt").symlink_to(workspace / ".env")
    for name in (".env", "plain.txt"):
        done = leanvibe("ask", "q", name, "--engine", "mock")
        assert (done.returncode, done.stdout) == (2, "")
        assert "is not shown to a model: files like '.env*' hold secrets" in done.stderr
        assert "into a file of another name" in done.stderr


def test_the_answer_cites_what_was_found(leanvibe: Leanvibe, workspace: Path) -> None:
    """Asking uses the same gathering: of the repository around the folder, or of the folder."""
    done = leanvibe("ask", "Why?", "app.py:5", "--engine", "mock", "--json")
    assert [one["what"] for one in json.loads(done.stdout)["citations"]] == [
        "rest of the file",
        "selection",
        "definition of greet",
    ]
