"""`leanvibe feedback`: was the last answer right? What is marked makes the confidence of later answers hold here."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Annotated

import typer

from leanvibe_lsp.cli.output import harmless, print_json
from leanvibe_lsp.errors import LeanVibeError, UsageError

_EXAMPLES = """
[bold]Examples[/bold]

  leanvibe ask "Which exception does this raise?" src/app.py:42

  leanvibe feedback wrong

  leanvibe feedback list
"""

app = typer.Typer(
    help="Say whether the last answer was right. Kept on this machine, without a word of what was asked or said; after "
    "some marks, the confidence of such answers is fitted to them.",
    epilog=_EXAMPLES,
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@app.command("right", epilog="[bold]Example[/bold]  leanvibe feedback right")
def right() -> None:
    """The last answer of `leanvibe ask` was right."""
    _mark(right=True)


@app.command("wrong", epilog="[bold]Example[/bold]  leanvibe feedback wrong")
def wrong() -> None:
    """The last answer of `leanvibe ask` was wrong."""
    _mark(right=False)


@app.command("list", epilog="[bold]Example[/bold]  leanvibe feedback list --json")
def list_marks(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, every mark in it.")] = False,
) -> None:
    """Say what was marked, and what was fitted from it."""
    from leanvibe_lsp.assist.feedback import Feedback, feedback_path

    store = Feedback(feedback_path())
    marks = store.marks()
    groups = Counter((mark.said.task, mark.said.model, mark.said.digest) for mark in marks)
    rights = Counter((mark.said.task, mark.said.model, mark.said.digest) for mark in marks if mark.right)
    fitted = {group: store.fitted(group[0], group[2]) for group in groups}
    if as_json:
        rows = [
            {
                "task": mark.said.task,
                "model": mark.said.model,
                "digest": mark.said.digest,
                "right": mark.right,
                "time": datetime.fromtimestamp(mark.made, UTC).isoformat(timespec="seconds"),
            }
            for mark in marks
        ]
        methods = [
            {"task": task, "model": model, "method": made.method}
            for (task, model, _), made in fitted.items()
            if made is not None
        ]
        print_json({"path": str(store.path), "marks": rows, "fitted": methods})
        return
    for group, count in sorted(groups.items()):
        task, model, _ = group
        made = fitted[group]
        state = made.method if made is not None else "too few to fit anything from yet"
        print(harmless(f"{task}, {model}: {count} marked, {rights[group]} of them right; {state}"))
    print(f"{len(marks)} marks, in {store.path}" if marks else "Nothing was marked yet.")


@app.command("clear", epilog="[bold]Example[/bold]  leanvibe feedback clear")
def clear() -> None:
    """Forget all marks, and what was fitted from them."""
    from leanvibe_lsp.assist.feedback import Feedback, feedback_path

    store = Feedback(feedback_path())
    count = len(store.marks())
    try:
        store.clear()
    except OSError as error:
        raise LeanVibeError(f"{store.path} could not be cleared: {error.strerror or error}.") from error
    print(f"Forgot {count} marks.")


def _mark(*, right: bool) -> None:
    from leanvibe_lsp.assist.feedback import Feedback, feedback_path

    store = Feedback(feedback_path())
    said = store.last()
    if said is None:
        raise UsageError(
            "There is no answer to mark: none was given in a terminal, or its model says nothing of how sure it is.",
            next_step='Ask first: `leanvibe ask "..."`.',
        )
    if not store.record(said, right=right):
        raise LeanVibeError(
            f"The mark could not be kept in {store.path}.", next_step="Free some space, or make that folder writable."
        )
    print(f"Noted: {'right' if right else 'wrong'}. Marked again, the new mark counts.")
