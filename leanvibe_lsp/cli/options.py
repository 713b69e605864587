"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from leanvibe_lsp.config.settings import ENGINES

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
