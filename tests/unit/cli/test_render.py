from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from dataclasses import replace

import pytest

from leanvibe_lsp.assist.answer import Answer, AnswerTiming, Citation, Confidence, Fallback, Restart, Stage, TextDelta
from leanvibe_lsp.cli.render import AnswerView, finished_length, show_context, show_footer
from leanvibe_lsp.engine.base import FinishReason, Usage
from leanvibe_lsp.engine.models.selftest import State, Verdict
from leanvibe_lsp.errors import EngineError


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """True."""
        return True


def answer(reason: FinishReason = FinishReason.STOP, *, citations: tuple[Citation, ...] = ()) -> Answer:
    return Answer(
        "text",
        "model",
        "smollm2",
        "llama.cpp",
        Confidence(0.876, "mean-token-probability", calibrated=False),
        citations,
        ("2 earlier messages", "[bold]:smile:[/bold]"),
        Usage(100, 40, 20),
        AnswerTiming(0.01, 0.25, 1.5, 33.4),
        reason,
    )


def test_plain_text_streams_through(capsys: pytest.CaptureFixture[str]) -> None:
    """Each delta is written as it comes, with one line ending at the end."""
    with AnswerView(quiet=False) as view:
        view.take(Stage("loading model"))
        view.take(TextDelta("a", 1))
        assert capsys.readouterr() == ("a", "")
        view.take(TextDelta("b", 2))
    assert capsys.readouterr() == ("b\n", "")


def test_a_text_that_ends_its_line_gets_no_second(capsys: pytest.CaptureFixture[str]) -> None:
    """No empty line is added."""
    with AnswerView(quiet=False) as view:
        view.take(TextDelta("a\n", 1))
    assert capsys.readouterr().out == "a\n"


def test_quiet_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """With --json the answer is printed once, by the command, not here."""
    with AnswerView(quiet=True) as view:
        view.take(Stage("loading model"))
        view.take(TextDelta("a", 1))
    view.interrupted()
    assert capsys.readouterr() == ("", "")


def test_a_restart_before_any_text_is_a_note(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing was written yet, so nothing is taken back."""
    with AnswerView(quiet=False) as view:
        view.take(Restart("smollm2 on mlx failed"))
        view.take(TextDelta("whole", 1))
    out, err = capsys.readouterr()
    assert out == "whole\n"
    assert "smollm2 on mlx failed; another engine answers" in err


def test_a_restart_after_piped_text_is_an_error() -> None:
    """A program may have read it: half of one answer and all of another must never look like one."""
    with AnswerView(quiet=False) as view:
        view.take(TextDelta("half", 1))
        with pytest.raises(EngineError, match="after a part of its answer had been written"):
            view.take(Restart("it failed"))


def test_a_restart_on_a_terminal_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """The new answer stands by itself, under a line that says why."""
    monkeypatch.setattr(sys, "stdout", out := Terminal())
    monkeypatch.setattr(sys, "stderr", err := Terminal())
    with AnswerView(quiet=False) as view:
        view.take(TextDelta("half of it", 1))
        view.take(Restart("it failed"))
        view.take(TextDelta("the whole", 1))
    assert "another engine answers now" in err.getvalue()
    assert out.getvalue().rindex("the whole") > out.getvalue().rindex("half of it")
    assert "half of it" not in out.getvalue()[out.getvalue().index("the whole") :]
    assert "half of itthe whole" not in out.getvalue()


def test_the_footer_names_what_failed_and_what_was_kept(capsys: pytest.CaptureFixture[str]) -> None:
    """Never a silent fallback, never a kept answer that looks fresh."""
    fallbacks = (Fallback("smollm2 on mlx", "MLX failed: out of memory."),)
    show_footer(replace(answer(), fallbacks=fallbacks, remembered=True))
    said = capsys.readouterr().err
    assert "smollm2 on mlx should have answered: MLX failed: out of memory." in said
    assert "the answer that was kept" in said


def test_interrupted_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """Text that is not the whole answer is called so, on stderr; without text there is nothing to say."""
    with AnswerView(quiet=False) as view:
        view.interrupted()
        assert capsys.readouterr().err == ""
        view.take(TextDelta("half", 1))
    view.interrupted()
    assert "not the whole answer" in capsys.readouterr().err


def test_a_terminal_gets_stages_and_markdown(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal, stages show on stderr until text comes, and the text is rendered as Markdown."""
    out, err = Terminal(), Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    with AnswerView(quiet=False) as view:
        view.take(Stage("loading model"))
        view.take(Stage("reading prompt", 50))
        view.take(TextDelta("some **bo", 1))
        view.take(TextDelta("ld** text", 2))
    assert "reading prompt 50 %" in err.getvalue()
    assert "bold" in out.getvalue()
    assert "**" not in out.getvalue().rpartition("\r")[2]


def test_the_footer(capsys: pytest.CaptureFixture[str]) -> None:
    """One line on stderr with every figure the README names; an answer that was cut says so."""
    show_footer(answer())
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        "smollm2 · llama.cpp · rung: model · confidence 0.88 (raw mean token probability, not calibrated) · "
        "100 + 20 tokens, 40 cached · first token 0.25 s · 33 tok/s\n"
    )
    show_footer(replace(answer(), confidence=Confidence(0.34, "calibrated: answer, smollm2, 9 cases", calibrated=True)))
    said = "confidence 0.34: about 3 in 10 like this are right (calibrated: answer, smollm2, 9 cases) · "
    assert said in capsys.readouterr().err
    show_footer(answer(FinishReason.LENGTH))
    assert "The answer was cut at its longest" in capsys.readouterr().err
    show_footer(answer(FinishReason.LOOP))
    assert "began to repeat itself" in capsys.readouterr().err


def test_the_context(capsys: pytest.CaptureFixture[str]) -> None:
    """What was shown and what was left out, lines counted from 1, names as they are."""
    show_context(answer(citations=(Citation("file:///a:smile:.py", 0, 4, "[b]imports[/b]"),)))
    assert capsys.readouterr().err == (
        "shown: [b]imports[/b], file:///a:smile:.py lines 1-5\n"
        "left out: 2 earlier messages\n"
        "left out: [bold]:smile:[/bold]\n"
    )
    show_context(answer())
    assert "shown: the question alone" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("finished", "open_"),
    [
        ("", "one paragraph"),
        ("", "one paragraph\n\n"),
        ("one\n\n", "two"),
        ("one\n\ntwo\n\n", "three\nmore"),
        ("", "```\na\n\nb"),
        ("```\na\n\nb\n```\n\n", "after"),
        ("", "- a\n\n- b\n\n  more of b"),
        ("", "1. a\n\n2. b"),
        ("one\n\n", "```py\nx\n\ny"),
    ],
)
def test_what_is_finished(finished: str, open_: str) -> None:
    """Blocks are finished when a new one has begun; an open fence or list is not."""
    assert finished_length(finished + open_) == len(finished)


_TALL = """
import sys
from leanvibe_lsp import services
from leanvibe_lsp.cli.app import main
from leanvibe_lsp.engine.mock import MockEngine
services.build_engine = lambda selection, _: MockEngine(tuple(f"row{i:03}x\\n\\n" for i in range(60)), pause=0.02)
sys.argv[1:] = ["ask", "q", "--engine", "mock"]
main()
"""


def _screen(stream: str, height: int) -> list[str]:
    """All rows a terminal of `height` rows ends with, its scrollback included: it moves up only on the screen."""
    rows, row = [""], 0
    for piece in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", stream):
        if piece == "\n":
            row += 1
            rows += [""] * (row + 1 - len(rows))
        elif piece.startswith("\x1b") and piece.endswith("A"):
            row = max(row - int(piece[2:-1] or 1), len(rows) - height, 0)
        elif piece.startswith("\x1b") and piece.endswith("K"):
            rows[row] = ""
        elif piece != "\r" and not piece.startswith("\x1b"):
            rows[row] = piece
    return rows


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal; run on Linux or macOS")
def test_an_answer_taller_than_the_terminal_is_shown_once() -> None:
    """Streamed into a real terminal of 12 rows, each of 60 paragraphs stands there once, in order."""
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 12, 80, 0, 0))
    stream = b""
    with subprocess.Popen([sys.executable, "-c", _TALL], stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        try:
            while data := os.read(ours, 1 << 16):
                stream += data
        except OSError:  # Linux says that the other side is gone
            pass
    os.close(ours)
    assert process.returncode == 0
    found = re.findall(r"row(\d+)x", "\n".join(_screen(stream.decode(), 12)))
    assert found == [f"{number:03}" for number in range(60)]


def test_a_model_that_is_not_verified_is_said_to_be_so(capsys: pytest.CaptureFixture[str]) -> None:
    """Beside the answer, with how to find out more; nothing is said of a verified one, or where nobody can know."""
    doubt = "w: expected trained weights, found zeros alone"
    for verdict in (None, Verdict(State.VERIFIED, 0.9, ())):
        show_footer(replace(answer(), verdict=verdict))
    assert "verif" not in capsys.readouterr().err
    show_footer(replace(answer(), verdict=Verdict(State.VERIFIED, 0.9, ()).doubted(doubt)))
    said = f"The model is degraded: 0 of 0 known answers, mean probability 0.90; {doubt}."
    assert f"{said} See `leanvibe models verify smollm2`." in capsys.readouterr().err
