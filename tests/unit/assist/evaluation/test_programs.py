from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from leanvibe_lsp.assist.evaluation import sandbox
from leanvibe_lsp.assist.evaluation.cases import Program, own_programs
from leanvibe_lsp.assist.evaluation.programs import Effect, Outcome, effect, no_tool, outcome
from leanvibe_lsp.assist.evaluation.sandbox import cut_off, run_in_scratch
from leanvibe_lsp.config import limits

_JAVASCRIPT = Program(
    id="js",
    source="test",
    language="javascript",
    name="add",
    about="Adds.",
    text="const add = (a, b) => a - b;\n",
    right="const add = (a, b) => a + b;\n",
    tests=("console.assert(add(1, 0) === 1)\nconsole.assert(\n  add(1, 2) === 3\n)\n",),
)
_CPP = Program(
    id="cpp",
    source="test",
    language="cpp",
    name="add",
    about="Adds.",
    text="int add(int a, int b) { return a - b; }\n",
    right="int add(int a, int b) { return a + b; }\n",
    tests=(
        "#undef NDEBUG\n#include<assert.h>\nint main(){\n  assert (add(1, 0) == 1);\n  assert (add(1, 2) == 3);\n}\n",
    ),
)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests may take a second."""
    _set(monkeypatch, "evaluation.test_seconds", 1)


def _set(monkeypatch: pytest.MonkeyPatch, name: str, value: float) -> None:
    monkeypatch.setitem(limits.LIMITS, name, replace(limits.LIMITS[name], default=value))


def _python(text: str) -> sandbox.Ran:
    return run_in_scratch({"main.py": text}, (sys.executable, "-I", "-S", "main.py"))


@pytest.mark.parametrize("program", own_programs(), ids=lambda one: one.id)
def test_a_planted_bug_fails_a_test_and_its_mend_passes_all(program: Program) -> None:
    """And some test passes with the bug too, so that a fix can break something."""
    buggy, right = outcome(program, program.text), outcome(program, program.right)
    assert right.all_passed
    assert not all(buggy.passed)
    assert any(buggy.passed)
    assert effect(buggy, right) is Effect.FIXED
    assert buggy.failure


@pytest.mark.parametrize("program", [_JAVASCRIPT, _CPP], ids=lambda one: one.language)
def test_other_languages_are_tested_one_assertion_after_the_other(program: Program) -> None:
    """The first that fails is told in its own words; a text that is no program does not begin."""
    if no_tool(program.language):
        pytest.skip(no_tool(program.language))
    buggy = outcome(program, program.text)
    assert (buggy.begun, buggy.passed, buggy.finished) == (True, (True, False), True)
    assert "add(1, 2) ==" in buggy.failure
    assert outcome(program, program.right).all_passed
    broken = outcome(program, "this is no program (")
    assert (broken.begun, broken.passed) == (False, ())
    assert effect(buggy, broken) is Effect.BROKEN


@pytest.mark.parametrize(
    ("after", "what"),
    [
        (Outcome(True, (True, True), True), Effect.FIXED),
        (Outcome(True, (True, False), True), Effect.UNTOUCHED),
        (Outcome(True, (False, True), True), Effect.BROKEN),
        (Outcome(True, (True,), True), Effect.BROKEN),  # a test went missing, and with it the program's way to the end
        (Outcome(True, (True, True), False), Effect.BROKEN),  # all passed, and then it died
        (Outcome(False, (), False), Effect.BROKEN),
    ],
)
def test_effects(after: Outcome, what: Effect) -> None:
    """Of a program whose first test passes and whose second fails."""
    if after.passed == (True,):
        assert effect(Outcome(True, (True, True, False), True), after) is what
    else:
        assert effect(Outcome(True, (True, False), True), after) is what


def test_a_program_that_never_ends_is_stopped_with_all_it_started(short: None, tmp_path: Path) -> None:
    """Its children too: none is left when the result is there."""
    word = f"left-over-{tmp_path.name}"
    child = f"import time; {word!r}; time.sleep(60)"
    begin = time.monotonic()
    ran = _python(f"import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', {child!r}])\nwhile True: pass\n")
    assert ran.timed_out or ran.code != 0  # the limit of processor time may come first
    assert time.monotonic() - begin < 30
    assert not [one for one in psutil.process_iter(["cmdline"]) if word in " ".join(one.info["cmdline"] or ())]


def test_memory_and_output_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that wants more gets an error, and this process no more than it allows."""
    _set(monkeypatch, "evaluation.test_mib", 64)
    assert "MemoryError" in _python("x = bytearray(256 << 20)").errors
    _set(monkeypatch, "evaluation.test_output_kib", 1)
    ran = _python("while True: print('x' * 100)")
    assert ran.code != 0
    assert len(ran.output) <= 1024


def test_a_program_sees_neither_this_environment_nor_this_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its folder is its home, and gone afterwards."""
    monkeypatch.setenv("A_SECRET_OF_MINE", "1")
    ran = _python("import os\nprint('A_SECRET_OF_MINE' in os.environ, os.getcwd() == os.environ['HOME'], os.getcwd())")
    secret, home, folder = ran.output.split()
    assert (secret, home) == ("False", "True")
    assert not Path(folder).exists()


@pytest.mark.skipif(not cut_off(), reason="`unshare` may not be used here")
def test_a_program_has_no_network() -> None:
    """Not even this machine's own ports."""
    ran = _python("import socket\nsocket.create_connection(('127.0.0.1', 9), 1)")
    assert "unreachable" in ran.errors
