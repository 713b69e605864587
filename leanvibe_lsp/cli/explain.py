"""`leanvibe explain`: why a finding is wrong, how sure that is, how to mend it, how to silence it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leanvibe_lsp.cli.check import bar, show
from leanvibe_lsp.cli.notices import notices
from leanvibe_lsp.cli.output import print_json
from leanvibe_lsp.errors import UsageError

if TYPE_CHECKING:
    from leanvibe_lsp.documents.snapshot import Snapshot
    from leanvibe_lsp.review.catalogue import Entry
    from leanvibe_lsp.review.values import Found


def explain(
    what: Annotated[
        str, typer.Argument(metavar="FINDING", help="A rule's id, FILE:LINE, or an id that check printed.")
    ],
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="PATH...", help="Where to look for such an id; this folder if none is given."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON array.")] = False,
) -> None:
    """Say all that is known of a finding or a rule. No model is asked.

    [bold]Examples[/bold]

      leanvibe explain python/mutable-default

      leanvibe explain src/app.py:42

      leanvibe explain 0dbcfc065871bef9 src

    [bold]Exit codes[/bold]  0 explained, 2 there is no such finding
    """
    with notices():
        entry = _rule(what)
        found = () if entry is not None else _findings(what, paths or [Path()])
    if as_json:
        from leanvibe_lsp.cli.rules import entry_json
        from leanvibe_lsp.review.json import finding

        print_json([entry_json(entry)] if entry is not None else [finding(one) for one, _ in found])
    elif entry is not None:
        from leanvibe_lsp.review.explaining import rule_lines

        show(rule_lines(entry))
    else:
        _show(found)


def _show(found: Sequence[tuple[Found, Snapshot]]) -> None:
    from leanvibe_lsp.review.explaining import finding_lines

    for number, (one, snapshot) in enumerate(found):
        if number:
            show(iter([(), ()]))
        show(finding_lines(one, snapshot))


def _rule(name: str) -> Entry | None:
    from leanvibe_lsp.review.catalogue import entries
    from leanvibe_lsp.review.workspace import root_of

    if "/" not in name or Path(name).exists():
        return None
    return next((one for one in entries(root_of(Path.cwd())) if one.rule.id == name), None)


def _findings(what: str, paths: Sequence[Path]) -> tuple[tuple[Found, Snapshot], ...]:
    """Each finding that is meant, with the text it was found in. Raises UsageError when there is none."""
    from leanvibe_lsp.tiers.fingerprint import FORM

    if FORM.fullmatch(what):
        return _by_fingerprint(what, paths)
    file, _, line = what.rpartition(":")
    if not file or not line.isdecimal():
        raise UsageError(
            f"There is no rule {what}.",
            next_step="Name a rule (`leanvibe rules list`), FILE:LINE, or an id from check.",
        )
    return _by_line(Path(file), int(line))


def _by_line(path: Path, line: int) -> tuple[tuple[Found, Snapshot], ...]:
    from leanvibe_lsp.documents.snapshot import read_snapshot
    from leanvibe_lsp.review.look import findings_of
    from leanvibe_lsp.review.preparing import prepare
    from leanvibe_lsp.review.values import Wanted

    ready = prepare([path])
    if not ready.targets or path.is_dir():
        raise UsageError(f"{path} is no file that there are rules for.", next_step="Name a source file.")
    target = ready.targets[0]
    snapshot = read_snapshot(target.path)
    every = findings_of(target, snapshot, Wanted(ready.settings))
    found = [one for one in every if one.region.line <= line <= one.region.end_line]
    if not found:
        near = min(every, key=lambda one: abs(one.region.line - line), default=None)
        step = (
            f"The nearest finding is on line {near.region.line}." if near is not None else "The file has no findings."
        )
        raise UsageError(f"Nothing is found on line {line} of {path}.", next_step=step)
    return tuple((one, snapshot) for one in found)


def _by_fingerprint(name: str, paths: Sequence[Path]) -> tuple[tuple[Found, Snapshot], ...]:
    """The findings of the first file in which there is such a one."""
    from leanvibe_lsp.documents.snapshot import read_snapshot
    from leanvibe_lsp.review.preparing import prepare
    from leanvibe_lsp.review.runner import processors, run
    from leanvibe_lsp.review.values import Wanted

    ready = prepare(paths)
    running = run(ready.targets, Wanted(ready.settings), jobs=processors())
    found: tuple[Found, ...] = ()
    with bar("looking", len(ready.targets)) as advance:
        for report in running:
            advance()
            if found := tuple(one for one in report.found if one.fingerprint == name):
                running.close()
                break
    if not found:
        raise UsageError(
            f"No finding here has the id {name}.",
            next_step="Name the files that were checked; it may be mended already.",
        )
    return tuple((one, read_snapshot(one.target.path)) for one in found)
