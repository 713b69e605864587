"""`leanvibe rules`: which there are, what one of them does, testing them, and beginning a new one."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leanvibe_lsp.cli.check import show as show_lines
from leanvibe_lsp.cli.output import harmless, print_json
from leanvibe_lsp.errors import LeanVibeError, UsageError

if TYPE_CHECKING:
    from leanvibe_lsp.review.catalogue import Entry

_EXAMPLES = """
[bold]Examples[/bold]

  leanvibe rules list --language python --category security

  leanvibe rules show python/mutable-default

  leanvibe rules new no-print

  leanvibe rules test
"""
_FAILED = 1
_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*(?:/[a-z0-9]+(?:-[a-z0-9]+)*)?")
_PIPE_COLUMNS = 200

app = typer.Typer(
    help="The rules that count here: the library's, and the workspace's own in .leanvibe/rules.",
    epilog=_EXAMPLES,
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@app.command("list", epilog="[bold]Example[/bold]  leanvibe rules list --language go --json")
def list_rules(
    language: Annotated[str | None, typer.Option(metavar="L", help="Only those for this language.")] = None,
    category: Annotated[str | None, typer.Option(metavar="C", help="Only those about this: security, bug, ...")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array.")] = False,
) -> None:
    """Show all rules with what they are about, how loud and how sure they are."""
    from leanvibe_lsp.tiers.finding import Category
    from leanvibe_lsp.tiers.patterns import LANGUAGES

    _check_word("language", language, sorted(LANGUAGES))
    _check_word("category", category, [str(one) for one in Category])
    found = [
        one
        for one in _entries()
        if (language is None or language in one.rule.languages) and category in (None, str(one.rule.category))
    ]
    if as_json:
        print_json([entry_json(one) for one in found])
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for title in ("rule", "severity", "sure", "about", "weakness", "what it says"):
        table.add_column(title, justify="right" if title == "sure" else "left", overflow="fold")
    for one in found:
        rule = one.rule
        weakness = f"CWE-{rule.cwe}" if rule.cwe else ""
        sure = f"{100 * rule.confidence:.0f} %"
        name = f"{rule.id}{' (own)' if one.own else ''}"
        row = (name, str(rule.severity), sure, str(rule.category), weakness, rule.message)
        table.add_row(*(escape(harmless(cell)) for cell in row))
    Console(width=None if sys.stdout.isatty() else _PIPE_COLUMNS).print(table)
    print(f"\n{len(found)} rules.")


@app.command(epilog="[bold]Example[/bold]  leanvibe rules show go/sql-concat")
def show(
    name: Annotated[str, typer.Argument(metavar="ID", help="A rule's id.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show a rule: what it says, why, how to mend it, its cases, and the rule itself."""
    every = _entries()
    entry = next((one for one in every if one.rule.id == name), None)
    if entry is None:
        from difflib import get_close_matches

        near = get_close_matches(name, [one.rule.id for one in every], 1)
        raise UsageError(
            f"There is no rule {name}.", next_step=f"Did you mean {near[0]}?" if near else "See `leanvibe rules list`."
        )
    if as_json:
        print_json(entry_json(entry))
        return
    from leanvibe_lsp.review.catalogue import whole
    from leanvibe_lsp.review.explaining import case_lines, rule_lines

    rule, text = whole(entry)
    show_lines(rule_lines(entry))
    show_lines(case_lines(rule))
    print(f"\nThe rule itself\n{harmless(text)}".rstrip())


@app.command(
    "test", epilog="[bold]Examples[/bold]  leanvibe rules test\n\nleanvibe rules test .leanvibe/rules/no-print.yml"
)
def run_tests(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="PATH...", help="Files and folders of rules; .leanvibe/rules if none is given."),
    ] = None,
) -> None:
    """Run the cases of rules: valid, invalid and fixed. Exit code 1 when one is not as it should be."""
    from leanvibe_lsp.review.cases import run_cases

    rules = cases = 0
    failures = 0
    bare: list[str] = []
    for file in _files(paths or [_folder()]):
        tested = run_cases(file)
        rules, cases = rules + tested.rules, cases + tested.cases
        failures += len(tested.failures)
        bare += tested.bare
        for failure in tested.failures:
            print(harmless(str(failure)))
    for name in bare:
        print(harmless(f"{name} has no cases: give it texts under `valid` and `invalid`."), file=sys.stderr)
    if failures:
        print(f"{failures} of {cases} cases of {rules} rules are not as they should be.", file=sys.stderr)
        raise typer.Exit(_FAILED)
    print(f"{cases} cases of {rules} rules: all as they should be.")


@app.command(epilog="[bold]Example[/bold]  leanvibe rules new no-print")
def new(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="What the rule is to be called: no-print, team/no-print.")
    ],
    language: Annotated[str, typer.Option(metavar="L", help="The language that it is about.")] = "python",
) -> None:
    """Begin a rule of the workspace's own: a file with comments and cases, to be edited."""
    from leanvibe_lsp.review.cases import template
    from leanvibe_lsp.tiers.rules import library_ids

    if _NAME.fullmatch(name) is None:
        raise UsageError(
            f"{name} is no name for a rule.",
            next_step="Take small letters, digits and hyphens: no-print, team/no-print.",
        )
    full = name if "/" in name else f"local/{name}"
    if full in library_ids():
        raise UsageError(f"{full} is a rule of the library.", next_step="Take another name.")
    text, file = template(full, language), _folder() / f"{name}.yml"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as opened:
            opened.write(text)
    except FileExistsError:
        raise UsageError(f"{file} is there already.", next_step="Take another name, or edit it.") from None
    except OSError as error:
        raise LeanVibeError(f"{file} could not be written: {error.strerror or error}.") from error
    print(f"{file} is here. Edit it, and run `leanvibe rules test`.")


def entry_json(entry: Entry) -> dict[str, Any]:
    """A rule for programs."""
    rule = entry.rule
    return {
        "id": rule.id,
        "languages": list(rule.languages),
        "severity": str(rule.severity),
        "confidence": rule.confidence,
        "category": str(rule.category),
        "cwe": rule.cwe,
        "kind": "flow" if rule.flow is not None else "structure",
        "message": rule.message,
        "note": rule.note,
        "mend": rule.mend,
        "link": rule.link,
        "fix": rule.fix is not None,
        "own": entry.own,
        "file": str(entry.file),
    }


def _entries() -> Sequence[Entry]:
    from leanvibe_lsp.review.catalogue import entries
    from leanvibe_lsp.review.workspace import root_of

    return entries(root_of(Path.cwd()))


def _folder() -> Path:
    """Where the workspace's own rules stand, as a person would write it."""
    from leanvibe_lsp.assist.rulebook import FOLDER
    from leanvibe_lsp.review.workspace import root_of

    here = Path.cwd()
    folder = root_of(here).joinpath(*FOLDER)
    return folder.relative_to(here) if folder.is_relative_to(here) else folder


def _files(paths: Sequence[Path]) -> list[Path]:
    """The files of rules at and below the paths. Raises UsageError for a path that is not there."""
    from leanvibe_lsp.assist.rulebook import ENDINGS

    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            found |= dict.fromkeys(sorted(one for one in path.rglob("*") if one.suffix.lower() in ENDINGS))
        elif path.exists():
            found[path] = None
        else:
            raise UsageError(f"{path} does not exist.", next_step="`leanvibe rules new NAME` begins a rule.")
    return list(found)


def _check_word(option: str, given: str | None, known: Sequence[str]) -> None:
    if given is not None and given not in known:
        raise UsageError(f"--{option} {given} is not known.", next_step=f"There are: {', '.join(known)}.")
