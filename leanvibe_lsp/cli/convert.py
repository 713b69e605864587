"""`leanvibe models convert`: a model as a folder for MLX, in fewer bits if wanted."""

from __future__ import annotations

import re
from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leanvibe_lsp.cli.models import progress_bar
from leanvibe_lsp.core.cancel import CancelToken
from leanvibe_lsp.engine.models import cache as store
from leanvibe_lsp.engine.models.registry import resolve
from leanvibe_lsp.errors import UsageError

if TYPE_CHECKING:
    from leanvibe_lsp.engine.local.convert import Conversion, WriteProgress

EXAMPLES = """
[bold]Examples[/bold]

  leanvibe models convert ./Phi-3-mini-4k-instruct ./phi3-4bit --quantize 4

  leanvibe models convert Qwen/Qwen2.5-Coder-1.5B-Instruct ~/models/qwen-8bit --quantize 8 --group-size 32

  leanvibe models convert smollm2 ./smollm2-mlx

  leanvibe ask "What does this do?" main.py --model ./phi3-4bit
"""


class Bits(StrEnum):
    """Bits of a quantised weight."""

    FOUR = "4"
    EIGHT = "8"


class GroupSize(StrEnum):
    """Weights that share a scale."""

    SMALL = "32"
    MEDIUM = "64"
    LARGE = "128"


class Dtype(StrEnum):
    """Type of the floats."""

    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"
    FLOAT32 = "float32"


def convert(
    source: Annotated[str, typer.Argument(metavar="SRC", help="A name, org/repo, a .gguf file or a folder.")],
    target: Annotated[Path, typer.Argument(metavar="DST", help="The new folder.")],
    quantize: Annotated[Bits | None, typer.Option(help="Bits of a weight; without it the precision stays.")] = None,
    group_size: Annotated[GroupSize | None, typer.Option(help="Weights that share a scale; 64 if not given.")] = None,
    dtype: Annotated[Dtype | None, typer.Option(help="Type of the floats; without it that of the source.")] = None,
    dequantize: Annotated[bool, typer.Option("--dequantize", help="Expand a quantised source first.")] = False,
) -> None:
    """Write a model as a folder for MLX; it proves itself before and after, and there is a whole result or none."""
    from leanvibe_lsp.engine.local.convert import Recipe
    from leanvibe_lsp.services import convert_model

    if group_size is not None and quantize is None:
        raise UsageError("--group-size says how to quantise.", next_step="Add --quantize 4 or 8.")
    recipe = Recipe(
        bits=None if quantize is None else int(quantize.value),
        group_size=int((group_size or GroupSize.MEDIUM).value),
        dtype=None if dtype is None else dtype.value,
        dequantize=dequantize,
    )
    located = resolve(source, cache=store.models_dir())
    target = target.expanduser().absolute()
    with progress_bar(f"convert {located.name}") as show:

        def on_progress(progress: WriteProgress) -> None:
            show(progress.tensor, progress.done, progress.total)

        done = convert_model(located, target, recipe, progress=on_progress, cancel=CancelToken())
    _show(done, target)


def _show(done: Conversion, target: Path) -> None:
    for title, proof in (("before", done.before), ("after", done.after)):
        print(f"{title:18}{proof.verdict.summary}")
        print(f"{'':18}perplexity {proof.perplexity.value:.2f}")
    change = done.after.perplexity.value / done.before.perplexity.value - 1
    print(f"change            perplexity {change:+.1%}")
    for kind, count in Counter(re.sub(r"\.\d+\.", ".*.", path) for path in done.kept).items():
        print(f"full precision    {count} x {kind}: not divisible by the group size, or kept by the model's own rule")
    print(f"{target} is here: {done.size / 1e6:,.0f} MB")
