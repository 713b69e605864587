"""The `leanvibe` command: puts the commands together and maps errors to messages and exit codes."""

from __future__ import annotations

import io
import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from leanvibe_lsp import __version__
from leanvibe_lsp.cli import (
    ask,
    cache,
    check,
    config,
    convert,
    doctor,
    eval,
    explain,
    feedback,
    models,
    receipts,
    rules,
    serve,
    train,
)
from leanvibe_lsp.cli.output import leave
from leanvibe_lsp.errors import Cancelled, LeanVibeError

_BROKEN_PIPE = 128 + 13  # what a shell shows for SIGPIPE


class _Commands(TyperGroup):
    """Ends quietly when the reader of a pipe went away (`| head -1`): 141, as the shell's own commands do.

    Ctrl-C becomes an error with a name, before Typer ends the program without a word.
    """

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        try:
            result = super().invoke(ctx)
            if sys.stdout is not None:
                sys.stdout.flush()
            return result
        except BrokenPipeError:
            _discard_output()
            raise typer.Exit(_BROKEN_PIPE) from None
        except KeyboardInterrupt:
            raise Cancelled("Stopped: you interrupted it.") from None


app = typer.Typer(
    name="leanvibe",
    cls=_Commands,
    help="A local model and rules for code: in the terminal, and in any editor that speaks LSP. "
    "Nothing leaves this machine unless you switch a server on.",
    epilog="Exit codes: 0 done, 2 usage, 3 no usable model, 4 the engine failed, 130 cancelled; "
    "`doctor`: 1 degraded, 2 broken; `check`: 1 findings, 4 partly run.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("ask")(ask.ask)
app.command("check")(check.check)
app.command("explain")(explain.explain)
app.command("doctor")(doctor.doctor)
app.command("receipts")(receipts.receipts)
app.command("serve")(serve.serve)
models.app.command("convert", epilog=convert.EXAMPLES)(convert.convert)
app.command("eval", epilog=eval.EXAMPLES)(eval.evaluate)
app.add_typer(rules.app, name="rules")
app.add_typer(feedback.app, name="feedback")
app.add_typer(train.app, name="train")
app.add_typer(models.app, name="models")
app.add_typer(cache.app, name="cache")
app.add_typer(config.app, name="config")


def _version(value: bool) -> None:
    if value:
        print(f"leanvibe {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    pass


def _discard_output() -> None:
    """What is still buffered goes nowhere, so that the interpreter's own flush at exit does not complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main() -> None:
    """Run the command line; never shows a traceback for an error that has a name."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # an answer may hold what the terminal's encoding does not
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except SystemExit as ending:
        leave(ending.code)
    except LeanVibeError as error:
        leave(report(error))
    except KeyboardInterrupt:
        leave(130)
    except OSError as error:  # the output cannot be written: a full disk
        _discard_output()
        print(f"leanvibe: {error}", file=sys.stderr)
        leave(LeanVibeError.exit_code)


def report(error: LeanVibeError) -> int:
    """Say on stderr what happened and what to do; returns the exit code."""
    print(f"leanvibe: {error.message}", file=sys.stderr)
    if error.next_step:
        print(f"  {error.next_step}", file=sys.stderr)
    return error.exit_code
