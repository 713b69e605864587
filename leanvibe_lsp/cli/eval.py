"""`leanvibe eval`: how good the answers are, on labelled cases."""

from __future__ import annotations

import asyncio
import math
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leanvibe_lsp.assist.evaluation.task import EvalTask
from leanvibe_lsp.cli.notices import notices
from leanvibe_lsp.cli.options import EngineOption, ModelOption
from leanvibe_lsp.cli.output import harmless, print_json
from leanvibe_lsp.config.layers import chosen
from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.errors import Cancelled, LeanVibeError, UsageError

if TYPE_CHECKING:
    from leanvibe_lsp.assist.evaluation.results import Figure, Report, RungUse, Section
    from leanvibe_lsp.assist.evaluation.runs import Run
    from leanvibe_lsp.config.settings import Settings
    from leanvibe_lsp.services import Services

EXAMPLES = """
[bold]Examples[/bold]

  leanvibe eval intent

  leanvibe eval risk --data ./eval --plots ./figures

  leanvibe eval fix --model phi3-gguf --limit 50 --json
"""


def evaluate(
    task: Annotated[EvalTask | None, typer.Argument(help="What is evaluated; without it everything.")] = None,
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Also the labelled cases in DIR/{intent,risk,review}/*.jsonl.")
    ] = None,
    most: Annotated[
        int | None, typer.Option("--limit", min=1, metavar="N", help="Take at most N cases of each set.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume/--fresh", help="Go on with what an earlier run kept, or begin anew.")
    ] = True,
    models: Annotated[
        bool, typer.Option("--model-rung/--no-model-rung", help="Whether models are asked at all.")
    ] = True,
    plots: Annotated[Path | None, typer.Option(metavar="DIR", help="Write figures there, as PNG.")] = None,
    seed: Annotated[int, typer.Option(help="Decides which cases are drawn, folds, and intervals.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object with everything.")] = False,
    model: ModelOption = None,
    engine: EngineOption = None,
) -> None:
    """Run labelled cases and say how good the answers are, how sure, how fast, and what was not run.

    Nothing is measured on what it was fitted on. A run that is stopped goes on where it was.

    [bold]Exit codes[/bold]  0 done, 2 usage, 3 no usable model, 4 the engine failed, 130 cancelled
    """
    if data is not None and not data.expanduser().is_dir():
        raise UsageError(f"{data} is no folder.", next_step="Name the folder that holds intent/, risk/ and review/.")
    if plots is not None:
        from leanvibe_lsp.assist.evaluation.plots import require

        require()
    with notices():
        settings = chosen(model, engine)
        tasks = [task] if task is not None else list(EvalTask)
        folder = data.expanduser() if data is not None else None
        forced = model is not None or engine is not None
        reports = asyncio.run(_run(tasks, _Asked(folder, most, seed, resume, models, forced), settings))
    if as_json:
        print_json({"reports": [one.to_json() for one in reports]})
    else:
        for one in reports:
            show(one)
    if plots is not None:
        _draw(reports, plots.expanduser())


@dataclass(frozen=True, slots=True)
class _Asked:
    """What was asked for on the command line."""

    data: Path | None
    most: int | None
    seed: int
    resume: bool
    models: bool
    forced: bool  # by name: a model, or an engine


async def _run(tasks: Sequence[EvalTask], asked: _Asked, settings: Settings) -> list[Report]:
    """All tasks, one after the other; Ctrl-C keeps what was done and says how to go on."""
    from leanvibe_lsp.assist.evaluation.tasks import evaluate as evaluate_task
    from leanvibe_lsp.services import create

    services = create(settings)
    reports: list[Report] = []
    try:
        with _progress() as progress:
            run = _made(asked, settings, services, progress)

            async def all_of_them() -> None:
                reports.extend([await evaluate_task(one, run) for one in tasks])

            working = asyncio.ensure_future(all_of_them())

            def interrupt() -> None:
                run.cancel.cancel("you interrupted it")
                working.cancel()

            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, interrupt)
            try:
                await working
            except (Cancelled, asyncio.CancelledError) as error:
                raise Cancelled(
                    f"Stopped: {run.cancel.reason or 'interrupted'}. {len(run.journal)} results are kept.",
                    next_step="The same command goes on from there; --fresh begins anew.",
                ) from error
    finally:
        services.close()
    return reports


def _made(asked: _Asked, settings: Settings, services: Services, progress: Callable[[str, int, int], None]) -> Run:
    """The run and its journal. A model that was asked for and is not there is an error; else its rung is left out."""
    from leanvibe_lsp.assist.answer_cache import answers_path
    from leanvibe_lsp.assist.evaluation.journal import Journal, code_digest, data_digest, journal_path, model_digest
    from leanvibe_lsp.assist.evaluation.runs import Run
    from leanvibe_lsp.assist.evaluation.tasks import DATA
    from leanvibe_lsp.engine.models.cache import models_dir
    from leanvibe_lsp.engine.select import probe_machine, select

    identity, why, name = "none", "--no-model-rung was given", "none"
    if asked.models:
        try:
            selection = select(settings, probe_machine(), models_dir())
            identity, why, name = model_digest(selection), "", selection.name
        except LeanVibeError as error:
            if asked.forced:
                raise
            why = str(error)
    parts = (code_digest(), data_digest(asked.data, DATA), identity, str(asked.seed))
    journal = Journal(journal_path(answers_path().parent, parts), fresh=not asked.resume)
    return Run(
        data=asked.data,
        most=asked.most,
        seed=asked.seed,
        journal=journal,
        progress=progress,
        models=None if why else services,
        no_models=why,
        facts={"model": name, "seed": str(asked.seed), "journal": str(journal.path)},
    )


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """A bar on stderr; nothing where that is no terminal."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield lambda step, done, total: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("begins")
        steps: list[str] = []

        def show_step(step: str, done: int, total: int) -> None:
            if steps[-1:] != [step]:
                steps.append(step)
                bar.reset(task)
            bar.update(task, description=step, completed=done, total=total)

        yield show_step


def show(report: Report) -> None:
    """Print a report as tables."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    console.print(f"\nleanvibe eval {report.task}", style="bold")
    for name, value in report.facts.items():
        console.print(f"  {name}: {harmless(value)}", markup=False, soft_wrap=True)
    for section in report.sections:
        table = Table(title=f"{section.title} ({section.cases} cases)", title_justify="left", box=box.SIMPLE_HEAD)
        table.add_column("figure")
        table.add_column("value", justify="right")
        table.add_column(f"{limit('evaluation.interval_percent')} % interval", justify="right")
        for figure in section.figures:
            table.add_row(figure.name, _value(figure.value), _interval(figure))
        console.print(table)
        if section.rungs:
            console.print(_rungs(section), markup=False)
        for note in section.notes:
            console.print(f"  {harmless(note)}", markup=False)
    for missing in report.not_run:
        console.print(f"  not in it: {harmless(missing)}", markup=False)
    console.print(f"  cost: {report.seconds:.1f} s now, {report.tokens:,} tokens in all answers")


def _rungs(section: Section) -> str:
    return "\n".join(f"  {one.rung}: {one.cases} cases ({one.share:.0%}){_latency(one)}" for one in section.rungs)


def _latency(one: RungUse) -> str:
    if math.isnan(one.p50):
        return ", not timed"
    return f", P50 {one.p50 * 1000:,.1f} ms, P95 {one.p95 * 1000:,.1f} ms"


def _value(value: float) -> str:
    return "not defined" if math.isnan(value) else f"{value:.3f}"


def _interval(figure: Figure) -> str:
    """Cases that are all alike have no spread, and that says nothing of the next one."""
    if math.isnan(figure.low):
        return ""
    return "no spread seen" if figure.low == figure.high else f"{figure.low:.3f} to {figure.high:.3f}"


def _draw(reports: Sequence[Report], folder: Path) -> None:
    from leanvibe_lsp.assist.evaluation.plots import plot

    for report in reports:
        for path in plot(report, folder):
            print(f"{path} is written", file=sys.stderr)
