"""`leanvibe models`: which models there are, getting one, proving it, throwing it away."""

from __future__ import annotations

import json
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leanvibe_lsp.core.cancel import CancelToken
from leanvibe_lsp.engine.models import cache as store
from leanvibe_lsp.engine.models.registry import (
    REGISTRY,
    Embedded,
    HubRepo,
    LocalPath,
    Located,
    ModelSpec,
    State,
    resolve,
    spec_of,
    state_of,
)
from leanvibe_lsp.engine.select import choose_model, probe_machine
from leanvibe_lsp.errors import LeanVibeError, ModelNotFound, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from leanvibe_lsp.engine.models.fetch import PullProgress
    from leanvibe_lsp.engine.models.verify import FileReport, VerifyProgress

_EXAMPLES = """
[bold]Examples[/bold]

  leanvibe models list

  leanvibe models pull phi3-gguf

  leanvibe models pull Qwen/Qwen2.5-Coder-1.5B-Instruct

  leanvibe models verify smollm2

  llama-cli -m "$(leanvibe models path phi3-gguf)"

[bold]Names[/bold]  a name from the list, org/repo\\[@revision]\\[:file.gguf] on the hub, a .gguf file, a folder
"""

app = typer.Typer(
    help="List, download, prove and remove models. Only [bold]pull[/bold] ever downloads.",
    epilog=_EXAMPLES,
    no_args_is_help=True,
    rich_markup_mode="rich",
)

_UNHEALTHY = 3  # the exit code of ModelError: there is no model that may be used
_REDRAW_SECONDS = 1.0
_PIPE_COLUMNS = 200

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="A name, org/repo, a .gguf file or a folder.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@app.command("list", epilog="[bold]Example[/bold]  leanvibe models list --json")
def list_models(
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array.")] = False,
) -> None:
    """Show the models that have a name, and those that were downloaded."""
    rows = _rows()
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for title in ("name", "kind", "size", "status", "what it is"):
        table.add_column(title, justify="right" if title == "size" else "left", overflow="fold")
    for row in rows:
        mark = " (default)" if row["default"] else ""
        size = "" if row["size"] is None else f"{row['size'] / 1e6:,.0f} MB"
        table.add_row(f"{row['name']}{mark}", row["kind"], size, row["status"], row["description"])
    Console(width=None if sys.stdout.isatty() else _PIPE_COLUMNS).print(table)
    print(f"\nDownloads live in {store.models_dir()}")


def _rows() -> list[dict[str, Any]]:
    cache = store.models_dir()
    default = _default()
    pulled = {manifest.name: manifest for manifest in store.manifests(cache)}
    specs = [*REGISTRY.values(), *(spec_of(name) for name in pulled if name not in REGISTRY)]
    return [
        {
            "name": spec.name,
            "kind": _kind(spec),
            "size": pulled[spec.name].size if spec.name in pulled else spec.size,
            "status": str(state_of(spec, cache)),
            "default": spec.name == default,
            "licence": spec.licence or None,
            "revision": pulled[spec.name].revision if spec.name in pulled else None,
            "description": spec.description,
        }
        for spec in specs
    ]


def _default() -> str | None:
    """The model that answers when nobody names one; None when no model is here."""
    try:
        return choose_model(None, probe_machine(), store.models_dir())[0].name
    except LeanVibeError:
        return None


def _kind(spec: ModelSpec) -> str:
    match spec.source:
        case Embedded():
            return "package"
        case HubRepo():
            return "hub"
        case LocalPath():
            return "local"


@app.command(
    epilog="[bold]Examples[/bold]  leanvibe models pull phi3-gguf\n\nleanvibe models pull org/repo\\[@revision] --yes"
)
def pull(name: NameArgument, yes: YesOption = False) -> None:
    """Download a model into the cache. Stopped in the middle, the same command goes on from there."""
    from leanvibe_lsp.engine.models.fetch import pull as pull_files

    spec, cache = spec_of(name), store.models_dir()
    if not isinstance(spec.source, HubRepo):
        located = resolve(name, cache=cache)
        print(f"{name} is already here: {located.path}")
        return
    if state_of(spec, cache) is State.HERE:
        print(f"{name} is already here: {resolve(name, cache=cache).path}")
        return
    size = "" if spec.size is None else f", {spec.size / 1e6:,.0f} MB"
    licence = f", licence {spec.licence}" if spec.licence else ""
    question = f"Download {spec.source.repo} from the Hugging Face hub{size}{licence}?"
    if not yes and sys.stdin.isatty() and not typer.confirm(question, default=True, err=True):
        raise typer.Exit(0)
    with progress_bar(f"pull {name}") as show:

        def on_progress(progress: PullProgress) -> None:
            show(progress.file, progress.done, progress.total)

        located = pull_files(spec, cache=cache, progress=on_progress, cancel=CancelToken())
    print(f"{name} is here: {located.path}")


@app.command(epilog="[bold]Examples[/bold]  leanvibe models verify\n\nleanvibe models verify ./my-model.gguf")
def verify(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="The default model when left out.")] = None,
) -> None:
    """Prove a model: digests, tensors, weights, known answers, perplexity. Exit code 3 when it may not be used."""
    from leanvibe_lsp.engine.models.verify import verify_files

    located, _ = choose_model(name, probe_machine(), store.models_dir())
    with progress_bar(f"verify {located.name}") as show:

        def on_progress(progress: VerifyProgress) -> None:
            show(progress.file, progress.done, progress.total)

        report = verify_files(located, progress=on_progress, cancel=CancelToken())
    _show_files(located, report)
    if not report.ok:
        print("self-test         not run, since the files are damaged")
        raise typer.Exit(_UNHEALTHY)
    if not _run_it(located):
        raise typer.Exit(_UNHEALTHY)


def _show_files(located: Located, report: FileReport) -> None:
    print(f"model             {located.name} ({located.format})")
    print(f"path              {located.path}")
    for digest in report.digests:
        judged = "nobody recorded one" if digest.expected is None else "as recorded"
        judged = judged if digest.expected in (None, digest.sha256) else "WRONG"
        print(f"sha256            {digest.sha256}  {digest.file}  ({judged})")
    for skipped in report.skipped:
        print(f"not checked       {skipped}")
    for suspect in report.suspects:
        print(f"suspect           {suspect}")
    for problem in report.problems:
        print(f"PROBLEM           {problem}")
    print(f"files             {'good' if report.ok else f'{len(report.problems)} problems'}")


def _run_it(located: Located) -> bool:
    from leanvibe_lsp.services import prove_model

    proof = prove_model(located)
    for probe in proof.verdict.probes:
        mark = "ok" if probe.passed else "MISSED"
        print(f"known answer      {mark:7}{probe.probability:6.3f}  {probe.prompt[-40:]!r} -> {probe.expected!r}")
    print(f"self-test         {proof.verdict.summary}")
    print(f"perplexity        {proof.perplexity.summary}")
    return proof.ok


@app.command(epilog="[bold]Example[/bold]  leanvibe models remove phi3-gguf --yes")
def remove(name: NameArgument, yes: YesOption = False) -> None:
    """Delete a download, also an unfinished one. Files outside the cache are never touched."""
    spec, cache = spec_of(name), store.models_dir()
    if isinstance(spec.source, Embedded):
        raise UsageError(
            f"{name} belongs to the package {spec.source.distribution}.",
            next_step=f"To remove it, uninstall the package: `uv pip uninstall {spec.source.distribution}`.",
        )
    if isinstance(spec.source, LocalPath):
        raise UsageError(f"{spec.source.path} is a file of yours, not a download.", next_step="Remove it by hand.")
    if state_of(spec, cache) is State.ABSENT:
        raise ModelNotFound(f"{name} is not in {cache}.", next_step="See `leanvibe models list`.")
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError("Nobody can be asked here.", next_step=f"Run `leanvibe models remove {name} --yes`.")
        typer.confirm(f"Delete {store.folder_of(cache, name)}?", abort=True, err=True)
    print(f"{name} is removed; {store.remove(cache, name) / 1e6:,.0f} MB are free again.")


@app.command(epilog='[bold]Example[/bold]  llama-cli -m "$(leanvibe models path phi3-gguf)"')
def path(name: NameArgument) -> None:
    """Print where a model's file or folder is, and nothing else."""
    print(resolve(name, cache=store.models_dir()).path)


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar on stderr; plain lines, about one a second, when stderr is no terminal."""
    if not sys.stderr.isatty():
        yield _plain_bar(title)
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(title)
        yield lambda file, done, total: progress.update(
            task, description=f"{title}: {file}", completed=done, total=total
        )


def _plain_bar(title: str) -> Callable[[str, int, int], None]:
    last = float("-inf")

    def show(file: str, done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if done >= total or now - last >= _REDRAW_SECONDS:
            last = now
            percent = 100 * done // total if total else 100
            print(f"{title}: {file} {percent}% of {total / 1e6:,.0f} MB", file=sys.stderr)

    return show
