"""Adapters (LoRA): telling one from a model, and whether it was made for a model. Headers only; nothing is loaded.

PEFT keeps `lora_A.weight` (rank, columns) and `lora_B.weight` (rows, rank), mlx_lm `lora_a` (columns, rank) and
`lora_b` (rank, rows).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from leanvibe_lsp.engine.models.safetensors_header import read_header
from leanvibe_lsp.engine.models.tensor import Problem
from leanvibe_lsp.errors import ModelFormatError

CONFIG = "adapter_config.json"
_WEIGHTS = ("adapters.safetensors", "adapter_model.safetensors")
_FACTOR = re.compile(r"(?:base_model\.model\.)?(?P<module>.+)\.lora_(?P<factor>[aAbB])(?:\.weight)?")

Shape = tuple[int, ...]


def adapter_weights(folder: Path) -> Path | None:
    """The adapter's one file of weights; None for a folder that holds no adapter."""
    return next((folder / name for name in _WEIGHTS if (folder / name).is_file()), None)


def adapter_base(folder: Path) -> str:
    """The model an adapter says it was trained on; "" when it does not say."""
    try:
        config = json.loads((folder / CONFIG).read_bytes())
    except (OSError, ValueError, RecursionError):
        return ""
    base: Any = config.get("base_model_name_or_path") or config.get("model") if isinstance(config, dict) else None
    return base if isinstance(base, str) else ""


def check_adapter(folder: Path, base: str, weights: Mapping[str, Shape]) -> list[Problem]:
    """What speaks against the adapter in `folder` for the model `base`, whose matrices (rows, columns) are `weights`.

    `weights` goes by mlx_lm's names ("model.layers.0.self_attn.q_proj.weight"), unpacked. Raises ModelFormatError for
    what is no adapter.
    """
    file = adapter_weights(folder)
    if file is None:
        raise ModelFormatError(
            f"{folder} holds no adapter: there is no {' and no '.join(_WEIGHTS)}.", next_step="Name its folder."
        )
    said = adapter_base(folder)
    problems = [] if said in ("", base) else [Problem(CONFIG, f"an adapter for {base}", f"one for {said}")]
    pairs: dict[str, dict[str, Shape]] = {}
    for name, tensor in read_header(file).items():
        match = _FACTOR.fullmatch(name)
        if match is None:
            problems.append(Problem(name, "a factor of LoRA", "another kind of tensor"))
            continue
        across = match["factor"].islower()  # mlx_lm keeps both factors the other way round
        pairs.setdefault(match["module"], {})[match["factor"].lower()] = tensor.shape[::-1] if across else tensor.shape
    return problems + [problem for module, pair in pairs.items() if (problem := _misfit(module, pair, weights))]


def _misfit(module: str, pair: Mapping[str, Shape], weights: Mapping[str, Shape]) -> Problem | None:
    shape, down, up = weights.get(f"{module}.weight"), pair.get("a"), pair.get("b")
    if shape is None:
        return Problem(module, "a matrix of the model", "none by that name")
    if down is None or up is None:
        return Problem(module, "two factors", "one")
    if len(down) != 2 or len(up) != 2 or down[0] != up[1]:
        return Problem(module, "two factors of one rank", f"{down} and {up}")
    if (up[0], down[1]) != shape:
        return Problem(module, f"an adapter for {shape[0]}x{shape[1]}", f"one for {up[0]}x{down[1]}")
    return None
