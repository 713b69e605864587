"""How an answer looks in a terminal: stages on stderr while it is awaited, Markdown as it streams, one line of facts.

Piped output is the plain text of the answer on stdout, and nothing else there.
"""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING

from leanvibe_lsp.assist.answer import Answer, AskEvent, Confidence, Restart, Stage
from leanvibe_lsp.cli.output import harmless
from leanvibe_lsp.documents.uris import to_path
from leanvibe_lsp.engine.base import FinishReason
from leanvibe_lsp.engine.models.selftest import State
from leanvibe_lsp.errors import EngineError

if TYPE_CHECKING:
    from rich.live import Live
    from rich.status import Status

    from leanvibe_lsp.assist.preview import Preview
    from leanvibe_lsp.documents.context import Block


_ENDINGS = {
    FinishReason.LENGTH: "The answer was cut at its longest; ask for more with --max-tokens.",
    FinishReason.LOOP: "The model began to repeat itself and was stopped; do not trust the end of this answer.",
}


class AnswerView:
    """Shows an answer while it comes. Use as a context manager; `take` is the sink."""

    def __init__(self, *, quiet: bool) -> None:
        # A stream is None when the process was started with it closed (`>&-`).
        self._quiet = quiet or sys.stdout is None
        self._markdown = not self._quiet and sys.stdout.isatty()
        self._text = ""
        self._printed = 0  # characters of the text that stand on the terminal for good
        self._status: Status | None = None
        self._live: Live | None = None

    def __enter__(self) -> AnswerView:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop_status()
        if self._live is not None:
            self._live.stop()
        elif self._text and not self._quiet:
            sys.stdout.write("\n" if not self._text.endswith("\n") else "")
            sys.stdout.flush()

    def take(self, event: AskEvent) -> None:
        """Show one event."""
        if isinstance(event, Stage):
            self._show_stage(event)
        elif isinstance(event, Restart):
            self._begin_anew(event.reason)
        elif not self._quiet:
            self._stop_status()
            self._show_text(event.text)

    def interrupted(self) -> None:
        """Say that the text above is not the whole answer."""
        if self._text and not self._quiet:
            print("(stopped; this is not the whole answer)", file=sys.stderr)

    def _begin_anew(self, reason: str) -> None:
        """Say that the text so far counts for nothing. Raises EngineError where a program may have read it already."""
        if self._text and not self._quiet and not self._markdown:
            raise EngineError(f"{reason}, after a part of its answer had been written.", next_step="Ask again.")
        if self._live is not None:
            self._live.stop()
            self._live = None
        self._text, self._printed = "", 0
        _stderr(f"({reason}; another engine answers now, from the beginning)")

    def _show_stage(self, stage: Stage) -> None:
        if sys.stderr is None or not sys.stderr.isatty():
            return
        text = stage.title if stage.percentage is None else f"{stage.title} {stage.percentage} %"
        if self._status is None:
            from rich.console import Console

            self._status = Console(stderr=True).status(text)
            self._status.start()
        else:
            self._status.update(text)

    def _stop_status(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None

    def _show_text(self, text: str) -> None:
        if not self._markdown:
            self._text += text
            sys.stdout.write(text)
            sys.stdout.flush()
            return
        self._text += harmless(text)
        from rich.live import Live
        from rich.markdown import Markdown

        if self._live is None:
            # A live area taller than the terminal cannot be drawn over, and would be repeated in the scrollback: what
            # is finished is printed for good, and of the rest only what fits is shown until it is finished too.
            self._live = Live(refresh_per_second=12, vertical_overflow="ellipsis")
            self._live.start()
        shown = self._printed + finished_length(self._text[self._printed :])
        if shown > self._printed:
            self._live.update("")
            self._live.console.print(Markdown(self._text[self._printed : shown]))
            self._live.console.print()
            self._printed = shown
        self._live.update(Markdown(self._text[shown:]))


def finished_length(text: str) -> int:
    """How much of the beginning of a Markdown text is whole blocks that no further text can change.

    A block ends at a blank line outside a fence when the next line is neither indented nor an item of a list.
    """
    at, finished, fenced, blank = 0, 0, False, False
    for line in text.splitlines(keepends=True):
        if not fenced and blank and line.strip() and line[0] not in " \t-*+>0123456789":
            finished = at
        if line.lstrip().startswith(("```", "~~~")):
            fenced = not fenced
        blank = not line.strip()
        at += len(line)
    return finished


def show_footer(answer: Answer) -> None:
    """One line on stderr: model, backend, rung, confidence, tokens, speeds."""
    usage, timing = answer.usage, answer.timing
    parts = (
        answer.model,
        answer.backend,
        f"rung: {answer.tier}",
        _sureness(answer.confidence),
        f"{usage.prompt_tokens} + {usage.completion_tokens} tokens, {usage.cached_tokens} cached",
        f"first token {timing.first_token_seconds:.2f} s",
        f"{timing.tokens_per_second:.0f} tok/s",
    )
    _stderr(" · ".join(parts))
    if answer.verdict is not None and answer.verdict.state is not State.VERIFIED:
        _stderr(f"The model is {answer.verdict.summary}. See `leanvibe models verify {answer.model}`.")
    if answer.remembered:
        _stderr(
            "The very same thing was asked before: this is the answer that was kept. `leanvibe cache clear` forgets it."
        )
    for one in answer.fallbacks:
        _stderr(f"{one.engine} should have answered: {one.reason}")
    if answer.finish_reason in _ENDINGS:
        _stderr(_ENDINGS[answer.finish_reason])


def _sureness(confidence: Confidence) -> str:
    """In words: what a probability means, or that there is none."""
    if confidence.calibrated:
        in_ten = round(10 * confidence.value)
        share = {0: "hardly any", 10: "nearly all"}.get(in_ten, f"about {in_ten} in 10")
        return f"confidence {confidence.value:.2f}: {share} like this are right ({confidence.method})"
    if confidence.method != "mean-token-probability":
        return f"confidence {confidence.method}"
    return f"confidence {confidence.value:.2f} (raw mean token probability, not calibrated)"


def show_context(answer: Answer) -> None:
    """What the model was shown, and what was left out."""
    for citation in answer.citations:
        _stderr(f"shown: {citation.what}, {citation.uri} lines {citation.start_line + 1}-{citation.end_line + 1}")
    for omitted in answer.omitted:
        _stderr(f"left out: {omitted}")
    if not answer.citations:
        _stderr("shown: the question alone")


def show_preview(shown: Preview) -> None:
    """Every part of the prompt as the model would see it, on stdout; titles and what was left out beside them."""
    about = "" if shown.exact else ", estimated: the server's tokenizer is not here"
    rest = f"{shown.tokens:,} of {shown.window:,} tokens{about}; up to {shown.max_tokens:,} for the answer"
    _stdout(f"{shown.model}: {rest}")
    for part in shown.parts:
        where = f"{_where(part.block)} · " if part.block is not None else ""
        _stdout(f"\n── {where}{part.title} · {part.tokens:,} tokens")
        _stdout(part.text)
    _stdout("")
    for omitted in shown.omitted:
        _stdout(f"left out: {omitted}")


def _where(block: Block) -> str:
    """FILE:FIRST-LAST, as a target is written."""
    path = to_path(block.uri)
    return f"{block.uri if path is None else path}:{block.start_line + 1}-{block.end_line + 1}"


def _stdout(text: str) -> None:
    if sys.stdout is not None:
        print(harmless(text))


def _stderr(line: str) -> None:
    if sys.stderr is None:
        return
    from rich.console import Console

    Console(stderr=True, highlight=False, soft_wrap=True, emoji=False).print(harmless(line), style="dim", markup=False)
