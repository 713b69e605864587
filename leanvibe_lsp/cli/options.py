"""Options that several commands share."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from leanvibe_lsp.config.settings import ENGINES, Settings, from_environment, with_options
from leanvibe_lsp.errors import UsageError

ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        metavar="NAME|PATH",
        help="A name from `leanvibe models list`, a folder, a .gguf file.",
    ),
]
EngineOption = Annotated[
    str | None,
    typer.Option(
        "--engine",
        metavar="|".join(ENGINES),
        help="Use this backend or fail; without it the hardware decides.",
    ),
]


def settings_from(model: str | None, engine: str | None) -> Settings:
    """Environment, then options. A bad option is an error; a bad environment variable is said once and not used."""
    settings, problems = from_environment()
    for problem in problems:
        print(f"leanvibe: LEANVIBE_{problem.field.upper()} {problem.message}", file=sys.stderr)
    given = {name: value for name, value in (("model", model), ("engine", engine)) if value is not None}
    settings, problems = with_options(settings, given)
    if problems:
        raise UsageError(f"--{problems[0].field} {problems[0].message}.", next_step="See `leanvibe doctor`.")
    return settings
