from __future__ import annotations

import io
import json
import subprocess
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanvibe_lsp.cli.output import harmless, leave, print_json


@given(st.text())
def test_nothing_moves_a_terminal(text: str) -> None:
    """No control character but tab and newline is left, and everything else is as it was."""
    found = harmless(text)
    assert len(found) == len(text)
    assert not [c for c in found if unicodedata.category(c) == "Cc" and c not in "\t\n"]
    assert all(a == b for a, b in zip(found, text, strict=True) if unicodedata.category(b) != "Cc")


def test_escape_sequences_are_disarmed() -> None:
    """Setting the clipboard or clearing the screen needs the escape character, which is gone."""
    assert harmless("a\x1b]52;c;eA==\x07b\x9b2J\tc\n") == "a\ufffd]52;c;eA==\ufffdb\ufffd2J\tc\n"


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "ascii"])
def test_json_is_json_in_every_encoding(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is printed parses to what was given, whatever the terminal can show."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding, errors="backslashreplace"))
    print_json({"answer": "\U0001f600 é"})
    sys.stdout.flush()
    assert json.loads(raw.getvalue().decode(encoding)) == {"answer": "\U0001f600 é"}


def test_leaving_gives_the_code() -> None:
    """With no engine at work, leaving is exiting."""
    with pytest.raises(SystemExit) as ending:
        leave(3)
    assert ending.value.code == 3


def test_leaving_does_not_wait_for_an_engine_that_cannot_stop() -> None:
    """While the engine's thread is stuck in a library, the process ends at once, with its code and its output."""
    code = (
        "import threading; from leanvibe_lsp.cli.output import leave, THREAD_NAME\n"
        "threading.Thread(target=threading.Event().wait, name=THREAD_NAME).start()\n"
        "print('said', end=''); leave(130)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (130, "said")


@pytest.mark.parametrize("library", ["mlx.core", "xllamacpp"])
def test_leaving_does_not_end_the_interpreter_around_a_librarys_threads(library: str) -> None:
    """A thread that Python counts as ended may still run a library's destructors, which want the interpreter."""
    code = (
        "import atexit, sys; from leanvibe_lsp.cli.output import leave\n"
        f"atexit.register(print, 'ended'); sys.modules['{library}'] = sys\n"
        "print('said', end=''); leave(3)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (3, "said")
