"""`leanvibe cache`: the answers kept on this machine, how much they take, and throwing them away."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from leanvibe_lsp.cli.output import print_json
from leanvibe_lsp.errors import LeanVibeError

_EXAMPLES = """
[bold]Examples[/bold]

  leanvibe cache status

  leanvibe cache clear
"""

app = typer.Typer(
    help="Answers that were computed before are kept on this machine, so that asking the very same thing again costs "
    "nothing.",
    epilog=_EXAMPLES,
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@app.command("status", epilog="[bold]Example[/bold]  leanvibe cache status --json")
def status(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """Say how much is kept, and where."""
    from leanvibe_lsp.assist.answer_cache import AnswerCache, answers_path

    found = AnswerCache(answers_path()).status()
    if as_json:
        print_json({**asdict(found), "path": str(found.path)})
    else:
        print(f"{found.answers} answers, {found.bytes / 1e6:.1f} MB, in {found.path}")


@app.command("clear", epilog="[bold]Example[/bold]  leanvibe cache clear")
def clear() -> None:
    """Forget all answers."""
    from leanvibe_lsp.assist.answer_cache import AnswerCache, answers_path

    cache = AnswerCache(answers_path())
    found = cache.status()
    try:
        cache.clear()
    except OSError as error:
        raise LeanVibeError(f"{found.path} could not be cleared: {error.strerror or error}.") from error
    print(f"Forgot {found.answers} answers.")
