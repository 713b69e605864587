from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from leanvibe_lsp import __version__
from leanvibe_lsp.cli import app as module
from leanvibe_lsp.errors import BackendError, Cancelled, EngineError, LeanVibeError, ModelNotFound, UsageError
from tests.unit.cli.conftest import Leanvibe


def test_version(leanvibe: Leanvibe) -> None:
    """`--version` prints name and version."""
    done = leanvibe("--version")
    assert (done.returncode, done.stdout) == (0, f"leanvibe {__version__}\n")


@pytest.mark.parametrize(
    "command",
    [
        ["ask"],
        ["doctor"],
        ["serve"],
        ["models"],
        *(["models", n] for n in ("list", "pull", "verify", "remove", "path")),
    ],
)
def test_help_has_examples(command: list[str]) -> None:
    """Every command's help exits 0 and shows how it is called."""
    done = CliRunner().invoke(module.app, [*command, "--help"])
    assert done.exit_code == 0
    assert "Examples" in done.output or "Example" in done.output
    assert f"leanvibe {command[0]}" in done.output or "$(leanvibe models path" in done.output


def test_help_lists_exit_codes() -> None:
    """The documented exit codes are where a person looks."""
    for arguments in (["--help"], ["ask", "-h"]):
        done = CliRunner().invoke(module.app, arguments)
        assert done.exit_code == 0
        for code in ("2 usage", "3 no usable model", "4 the engine failed", "130"):
            assert code in " ".join(done.output.split())


def test_no_command_is_a_usage_error(leanvibe: Leanvibe) -> None:
    """Called bare, it shows its help and says by the code that nothing was done."""
    done = leanvibe()
    assert done.returncode == 2
    assert "Usage" in done.stdout + done.stderr


def test_ctrl_c_says_that_it_stopped(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever command it ends: one line on stderr, and 130."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("leanvibe_lsp.cli.convert.resolve", interrupted)
    monkeypatch.setattr(sys, "argv", ["leanvibe", "models", "convert", "smollm2", "nowhere"])
    with pytest.raises(SystemExit) as caught:
        module.main()
    assert caught.value.code == 130
    assert capsys.readouterr() == ("", "leanvibe: Stopped: you interrupted it.\n")


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["ask"], ["ask", "q", "--no-such"], ["ask", "q", "--max-tokens", "0"]]
)
def test_a_wrong_command_line_is_2(leanvibe: Leanvibe, arguments: list[str]) -> None:
    """Misspelt commands and options are usage errors on stderr, without a traceback."""
    done = leanvibe(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("u"), 2),
        (ModelNotFound("m"), 3),
        (BackendError("b"), 3),
        (EngineError("e"), 4),
        (Cancelled("c"), 130),
    ],
)
def test_errors_become_exit_codes(
    error: LeanVibeError, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each error of the tree has its code; the message and the next step go to stderr."""
    error.next_step = "Do this."

    def fail() -> None:
        raise error

    monkeypatch.setattr(module, "app", fail)
    with pytest.raises(SystemExit) as end:
        module.main()
    assert end.value.code == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"leanvibe: {error.message}\n  Do this.\n"


def test_an_interrupt_outside_a_command_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C before a command handles it is 130 too."""

    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "app", interrupted)
    with pytest.raises(SystemExit) as end:
        module.main()
    assert end.value.code == 130


def test_a_reader_that_went_away(environment: dict[str, str]) -> None:
    """`leanvibe ask ... | head -0` ends quietly: no traceback, the shell's own code for a broken pipe."""
    done = subprocess.run(
        ["bash", "-c", f'{sys.executable} -m leanvibe_lsp ask q --engine mock | exec true; echo "${{PIPESTATUS[0]}}"'],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
    )
    assert done.stdout.strip() in {"141", "0"}  # 0 when all was written before the reader left
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_a_broken_pipe_is_141() -> None:
    """A command that meets a closed pipe ends with 141, its output discarded."""
    code = (
        "import sys\nfrom leanvibe_lsp.cli import app, ask\n"
        "async def gone(*_, **__):\n    print('x' * 100_000)\n    raise BrokenPipeError('gone')\n"
        "ask._run = gone\nsys.argv[1:] = ['ask', 'q']\napp.main()"
    )
    done = subprocess.run(
        ["bash", "-c", f'python -c "{code}" | exec true; exit ${{PIPESTATUS[0]}}'],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 141
    assert done.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full; run on Linux")
@pytest.mark.parametrize("arguments", ["ask q --engine mock", "ask q --engine mock --json", "--version"])
def test_a_full_disk(environment: dict[str, str], arguments: str) -> None:
    """Output that cannot be written is one line and exit code 4, not a traceback."""
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m leanvibe_lsp {arguments} > /dev/full"],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
    )
    assert done.returncode == 4
    assert done.stderr == "leanvibe: [Errno 28] No space left on device\n"
