"""`leanvibe check`: rules and classifier over files and folders."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leanvibe_lsp.cli.notices import notices
from leanvibe_lsp.cli.output import harmless
from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.errors import LeanVibeError, UsageError

if TYPE_CHECKING:
    from leanvibe_lsp.review.text import Line
    from leanvibe_lsp.review.values import FileReport, Report, Target, Trouble, Wanted

FORMATS = ("text", "json", "sarif", "github")
LEVELS = {"error": 3, "warning": 2, "info": 1, "never": 4}

_FOUND, _PARTLY, _INTERRUPTED = 1, 4, 130
_EXAMPLES = """
[bold]Examples[/bold]

  leanvibe check

  leanvibe check src tests/conftest.py --min-confidence 0.6

  leanvibe check . --select 'python/*' --ignore python/assert-tuple --fail-on error

  leanvibe check . --format github --output sarif=leanvibe.sarif

  leanvibe check . --fix --diff | git apply

[bold]Exit codes[/bold]  0 clean, 1 findings at or above the level of --fail-on, 2 usage, 4 not all could be checked,
130 interrupted: what was found so far is written
"""


def check(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="PATH...", help="Files and folders; this folder if none is given.", show_default=False),
    ] = None,
    format_: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help=f"On standard output: {', '.join(FORMATS)}.")
    ] = "text",
    outputs: Annotated[
        list[str] | None,
        typer.Option("--output", metavar="FORMAT=FILE", help="Write it to a file too; give it several times."),
    ] = None,
    select: Annotated[
        list[str] | None, typer.Option(metavar="GLOB", help="Only findings of rules with such an id.")
    ] = None,
    ignore: Annotated[list[str] | None, typer.Option(metavar="GLOB", help="No findings of such rules.")] = None,
    exclude: Annotated[list[str] | None, typer.Option(metavar="GLOB", help="Leave such files out of folders.")] = None,
    min_confidence: Annotated[
        float, typer.Option(min=0, max=1, metavar="P", help="Only findings as sure as that.")
    ] = 0,
    fail_on: Annotated[str, typer.Option(metavar="LEVEL", help=f"Exit code 1 from: {', '.join(LEVELS)}.")] = "warning",
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes; as many as there are processors.")] = None,
    no_classifier: Annotated[bool, typer.Option("--no-classifier", help="Rules alone.")] = False,
    fix: Annotated[bool, typer.Option("--fix", help="Make the rules' own fixes, those that prove right.")] = False,
    diff: Annotated[
        bool, typer.Option("--diff", help="With --fix: print what it would change, and write nothing.")
    ] = False,
) -> None:
    """Look for what is wrong in files and folders, without a model. What git ignores in a folder is left out."""
    targets = _outputs(outputs or ())
    _check_words(format_, fail_on, diff=diff, fix=fix)
    with notices():
        from leanvibe_lsp.review.preparing import prepare
        from leanvibe_lsp.review.runner import processors
        from leanvibe_lsp.review.values import Wanted

        ready = prepare(paths or [Path()], exclude or (), classifier=not no_classifier)
        _check_globs((*(select or ()), *(ignore or ())), tuple(ready.settings))
        wanted = Wanted(
            settings=ready.settings,
            select=tuple(select or ()),
            ignore=tuple(ignore or ()),
            least=min_confidence,
            mend=fix,
            prove=not fix and bool({"json", "sarif"} & {format_, *targets}),
        )
        report, interrupted = collect(
            ready.targets, wanted, jobs or processors(), ready.faults, ready.left_out, write=fix and not diff
        )
    code = exit_code(report, fail_on, interrupted=interrupted)
    for name, file in targets.items():
        _write(file, rendered(report, name, code))
    _print(report, format_, code, diff=diff)
    _tell(report, diff=diff)
    raise typer.Exit(code)


check.__doc__ = f"{check.__doc__}\n{_EXAMPLES}"


def collect(
    targets: Sequence[Target],
    wanted: Wanted,
    jobs: int,
    failed: tuple[Trouble, ...] = (),
    left_out: tuple[Trouble, ...] = (),
    *,
    write: bool = False,
) -> tuple[Report, bool]:
    """Look at all files, with a bar; the result, and whether a person stopped it. With `write` fixes are written."""
    from leanvibe_lsp.review.collecting import gather
    from leanvibe_lsp.review.runner import run

    reports: list[FileReport] = []
    began, interrupted = time.perf_counter(), False
    running = run(targets, wanted, jobs=jobs)
    try:
        with bar("check", len(targets)) as advance:
            for one in running:
                reports.append(_written(one) if write else one)
                advance()
    except KeyboardInterrupt:
        interrupted = True
        running.close()
    unfinished = len(targets) - len(reports)
    seconds = time.perf_counter() - began
    return gather(reports, failed=failed, left_out=left_out, unfinished=unfinished, seconds=seconds), interrupted


def exit_code(report: Report, fail_on: str, *, interrupted: bool = False) -> int:
    """What the shell is told."""
    from leanvibe_lsp.review.values import LOUDNESS

    if interrupted:
        return _INTERRUPTED
    if report.failed:
        return _PARTLY
    return _FOUND if any(LOUDNESS[one.finding.severity] >= LEVELS[fail_on] for one in report.found) else 0


def rendered(report: Report, format_: str, code: int) -> str:
    """The result in a format, for a file."""
    if format_ == "text":
        from leanvibe_lsp.review.text import lines

        return "".join(f"{plain(line)}\n" for line in lines(report))
    if format_ == "github":
        from leanvibe_lsp.review.github import commands

        return "".join(f"{harmless(line)}\n" for line in commands(report))
    import json

    return json.dumps(_content(report, format_, code), indent=2) + "\n"


def show(lines: Iterator[Line]) -> None:
    """Print lines of styled pieces; styles are drawn on a terminal only."""
    if not sys.stdout.isatty():
        for line in lines:
            print(plain(line))
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    for line in lines:
        pieces = [(harmless(text), style) for text, style in line]
        console.print(Text.assemble(*pieces), soft_wrap=True)


def plain(line: Line) -> str:
    """A line without styles."""
    return harmless("".join(text for text, _ in line)).rstrip()


@contextmanager
def bar(title: str, total: int) -> Iterator[Callable[[], None]]:
    """A bar of files and the time left, on stderr when that is a terminal and it takes a while."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield lambda: None
        return
    began, done = time.monotonic(), 0
    started: list[tuple[Callable[[int], None], Callable[[], None]]] = []

    def advance() -> None:
        nonlocal done
        done += 1
        if not started and (time.monotonic() - began) * 1000 >= limit("check.bar_milliseconds"):
            started.append(_start_bar(title, total))
        for move, _ in started:
            move(done)

    try:
        yield advance
    finally:
        for _, stop in started:
            stop()


def _start_bar(title: str, total: int) -> tuple[Callable[[int], None], Callable[[], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("files"))
    progress = Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True)
    task = progress.add_task(title, total=total)
    progress.start()
    return (lambda done: progress.update(task, completed=done)), progress.stop


def _content(report: Report, format_: str, code: int) -> dict[str, object]:
    if format_ == "json":
        from leanvibe_lsp.review.json import document

        return document(report)
    from leanvibe_lsp.review.catalogue import messages
    from leanvibe_lsp.review.sarif import log

    return log(report, messages({one.finding.rule: one.target.path for one in report.found}), exit_code=code)


def _print(report: Report, format_: str, code: int, *, diff: bool) -> None:
    if diff:
        from leanvibe_lsp.review.mending import diff as diff_of

        changes = ((one.target.within, one.mended) for one in report.mended)
        for name, mended in changes:
            if mended is not None:
                sys.stdout.write(diff_of(name, mended.before, mended.after))
    elif format_ == "text":
        from leanvibe_lsp.review.text import lines

        show(lines(report))
    else:
        sys.stdout.write(rendered(report, format_, code))


def _tell(report: Report, *, diff: bool) -> None:
    """What is no finding, on stderr."""
    from leanvibe_lsp.review.text import mended_summary, summary

    for line in (*mended_summary(report.mended, written=not diff), *summary(report)):
        print(harmless(line), file=sys.stderr)


def _written(report: FileReport) -> FileReport:
    """The report of a file whose fixes were written; or why they were not."""
    from leanvibe_lsp.review.mending import write

    if report.mended is None:
        return report
    try:
        write(report.target.path, report.mended.before, report.mended.after)
    except LeanVibeError as error:
        return replace(report, mended=None, failed=f"its fixes were not written: {error.message.rstrip('.')}")
    return report


def _outputs(given: Sequence[str]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for one in given:
        name, sign, file = one.partition("=")
        if not sign or not file or name not in FORMATS or name in found:
            raise UsageError(
                f"--output {one} is not understood.", next_step=f"Write {'|'.join(FORMATS)}=FILE, each once."
            )
        found[name] = Path(file)
    return found


def _check_words(format_: str, fail_on: str, *, diff: bool, fix: bool) -> None:
    for option, given, known in (("--format", format_, FORMATS), ("--fail-on", fail_on, tuple(LEVELS))):
        if given not in known:
            raise UsageError(f"{option} {given} is not understood.", next_step=f"Choose one of {', '.join(known)}.")
    if diff and not fix:
        raise UsageError("--diff says what --fix would change.", next_step="Give both.")


def _check_globs(globs: Sequence[str], roots: Sequence[Path]) -> None:
    """A misspelt rule would read as "nothing found"."""
    if not globs:
        return
    from difflib import get_close_matches
    from fnmatch import fnmatchcase

    from leanvibe_lsp.review.catalogue import known_ids

    known = known_ids(roots)
    for glob in globs:
        if not any(fnmatchcase(name, glob) for name in known):
            near = get_close_matches(glob, known, 1)
            step = f"Did you mean {near[0]}?" if near else "See `leanvibe rules list`."
            raise UsageError(f"No rule is called {glob}.", next_step=step)


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise LeanVibeError(f"{file} could not be written: {error.strerror or error}.") from error
