"""`leanvibe doctor`: is everything right, and what to do where it is not."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

from leanvibe_lsp.cli.notices import notices
from leanvibe_lsp.cli.options import EngineOption, ModelOption
from leanvibe_lsp.cli.output import print_json
from leanvibe_lsp.config.layers import chosen
from leanvibe_lsp.config.settings import Settings

if TYPE_CHECKING:
    from leanvibe_lsp.assist.doctor import Report


def doctor(
    model: ModelOption = None,
    engine: EngineOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object, as leanvibe/health returns it.")
    ] = False,
) -> None:
    """Load the model, prove it by known answers, time it, and say what is not right.

    [bold]Examples[/bold]

      leanvibe doctor

      leanvibe doctor --model ./my-model --json

    [bold]Exit codes[/bold]  0 healthy, 1 degraded, 2 broken
    """
    with notices():
        report = asyncio.run(_examine(chosen(model, engine)))
    if as_json:
        print_json(report.as_json())
    else:
        _show(report)
    raise typer.Exit(report.exit_code)


async def _examine(settings: Settings) -> Report:
    from leanvibe_lsp.services import create

    services = create(settings)
    try:
        with _status("loading and proving the model"):
            return await services.examine(load=True)
    finally:
        services.close()


def _status(text: str) -> AbstractContextManager[object]:
    """A spinner on stderr where a person looks; nothing elsewhere."""
    if sys.stderr is None or not sys.stderr.isatty():
        return nullcontext()
    from rich.console import Console

    return Console(stderr=True).status(text)


def _show(report: Report) -> None:
    for name, value in _facts(report):
        print(f"{name:<20}{value}")
    print("\nWhy this backend and model")
    for step in report.chain:
        print(f"  {'->' if step.chosen else ' -'} {step.candidate}: {step.reason}")
    if len(report.fallbacks) > 1:
        print("\nWho answers, and who when it fails")
        for step in report.fallbacks:
            print(f"  {'->' if step.chosen else ' -'} {step.candidate}: {step.reason}")
    if report.runtime:
        print("\nWhat MLX runs on")
        for name, value in report.runtime.items():
            print(f"  {name:<10}{value}")
    if report.selftest is not None:
        print("\nKnown answers")
        for probe in report.selftest.probes:
            mark = "ok  " if probe.passed else "FAIL"
            print(f"  {mark} {probe.probability:.3f}  {probe.prompt[-30:]!r} -> {probe.expected!r}")
    for problem in report.problems:
        print(f"\n{problem.severity}: {problem.what}")
        if problem.next_step:
            print(f"  next step: {problem.next_step}")


def _facts(report: Report) -> list[tuple[str, str]]:
    def figure(value: float | None, unit: str) -> str:
        return "-" if value is None else f"{value:,.0f} {unit}"

    installed = ", ".join(f"{name} {version or 'not installed'}" for name, version in report.backends.items())
    return [
        ("status", report.status),
        ("leanvibe", f"{report.version}, Python {report.python}, {report.platform}"),
        ("backends", installed),
        ("backend", f"{report.backend or '-'} on {report.device or '-'}"),
        ("model", report.model or "-"),
        ("path", report.model_path or "-"),
        ("digest", f"sha256:{report.digest}" if report.digest else "not recorded"),
        ("self-test", report.selftest.summary if report.selftest is not None else "not run"),
        ("pretrained weights", "yes" if report.has_pretrained_weights else "NOT PROVEN"),
        ("engine thread", f"{report.responds.state} ({report.responds.milliseconds:,.0f} ms)"),
        ("inference ready", "yes" if report.inference_ready else "no"),
        ("last inference", figure(report.last_inference_ms, "ms")),
        ("speed", figure(report.tokens_per_second, "tokens/s")),
        ("memory", figure(report.memory_mb, "MB")),
        ("prompt cache", figure(report.cache_mb, "MB")),
        ("window", figure(report.window, "tokens")),
    ]
