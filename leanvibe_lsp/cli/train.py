"""`leanvibe train`: the small classifiers, made anew from data that can be read."""

from __future__ import annotations

import datetime
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leanvibe_lsp.cli.output import print_json
from leanvibe_lsp.errors import LeanVibeError, UsageError

if TYPE_CHECKING:
    from leanvibe_lsp.tiers.training.card import Card

_EXAMPLES = """
[bold]Examples[/bold]

  leanvibe train intent --output intent.json

  leanvibe train intent --data ./eval --seed 7 --json

  leanvibe train risk --output risk.json
"""

app = typer.Typer(
    help="Fit the small classifiers anew. Needs scikit-learn: pip install 'leanvibe-lsp\\[train]'.",
    epilog=_EXAMPLES,
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@app.command("intent", epilog=_EXAMPLES)
def intent(
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Also fit the rows in DIR/intent/editor_requests.jsonl.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides which groups of rows are judged together.")] = 0,
    output: Annotated[Path, typer.Option(metavar="FILE", help="The new file.")] = Path("intent.json"),
    date: Annotated[
        str | None, typer.Option(metavar="YYYY-MM-DD", help="Date in its card; today if not given.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the card as one JSON object.")] = False,
) -> None:
    """Fit the model that tells what a request wants; the same data and seed make the same file."""
    from leanvibe_lsp.tiers.intent.model import to_content
    from leanvibe_lsp.tiers.training.card import digest_of, seal
    from leanvibe_lsp.tiers.training.intent import train
    from leanvibe_lsp.tiers.training.intent_data import external_examples, own_examples

    examples = (*own_examples(), *(external_examples(data.expanduser()) if data is not None else ()))
    with progress_bar("train intent") as show:
        model = train(examples, seed=seed, date=_day(date), progress=show)
    content = to_content(model)
    _write(output.expanduser(), seal(content))
    if as_json:
        print_json({"path": str(output), "digest": digest_of(content), **model.card.to_json()})
    else:
        _show(model.card, output, digest_of(content))


@app.command("risk", epilog=_EXAMPLES)
def risk(
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Also fit the cases of bandit and ruff in DIR/risk.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides which tasks are judged together.")] = 0,
    output: Annotated[Path, typer.Option(metavar="FILE", help="The new file.")] = Path("risk.json"),
    date: Annotated[
        str | None, typer.Option(metavar="YYYY-MM-DD", help="Date in its card; today if not given.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the card as one JSON object.")] = False,
) -> None:
    """Fit the model that tells which code deserves a look; the same data, rules and seed make the same file."""
    from leanvibe_lsp.tiers.risk.model import to_content
    from leanvibe_lsp.tiers.training.card import digest_of, seal
    from leanvibe_lsp.tiers.training.risk import train
    from leanvibe_lsp.tiers.training.risk_data import external_examples, own_examples

    examples = (*own_examples(), *(external_examples(data.expanduser()) if data is not None else ()))
    with progress_bar("train risk") as show:
        model = train(examples, seed=seed, date=_day(date), progress=show)
    content = to_content(model)
    _write(output.expanduser(), seal(content))
    if as_json:
        print_json({"path": str(output), "digest": digest_of(content), **model.card.to_json()})
    else:
        _show(model.card, output, digest_of(content))


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[str, int, int], None]]:
    """A bar of steps on stderr; a plain line for each step when stderr is no terminal."""
    if not sys.stderr.isatty():
        yield lambda step, done, total: print(f"{title}: {step} of {total}", file=sys.stderr)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(title)
        yield lambda step, done, total: progress.update(
            task, description=f"{title}: {step}", completed=done, total=total
        )


def _day(given: str | None) -> str:
    if given is None:
        return datetime.datetime.now(datetime.UTC).date().isoformat()
    try:
        return datetime.date.fromisoformat(given).isoformat()
    except ValueError:
        raise UsageError(f"{given!r} is no date.", next_step="Write it as 2026-11-21.") from None


def _write(file: Path, text: str) -> None:
    """A whole file or none."""
    part = file.with_name(file.name + ".part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(file)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise LeanVibeError(f"{file} could not be written: {error.strerror or error}.") from error


def _show(card: Card, file: Path, digest: str) -> None:
    for source in card.sources:
        print(f"{source.rows:>8,} rows of {source.name} ({source.licence})")
    for name, value in card.metrics.items():
        print(f"{name:44}{value:>8,.3f}" if value != int(value) or value <= 1 else f"{name:44}{value:>8,.0f}")
    for one in card.reliability:
        print(f"said {one.low:.1f} to {one.high:.1f}   right {one.accuracy:.2f}   of {one.count}")
    print(f"{file} is here: {file.stat().st_size / 1e3:,.0f} kB, digest {digest[:16]}")
