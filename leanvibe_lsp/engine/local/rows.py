"""Key/value states of several sessions as rows of one cache: padded on the left, where the mask hides the padding."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

from leanvibe_lsp.engine.local.arrays import compute_errors, mx, tree_flatten
from leanvibe_lsp.engine.local.kv import make_prompt_cache
from leanvibe_lsp.engine.local.runtime import device
from leanvibe_lsp.engine.models.shapes_safetensors import FAMILIES

# Not an import statement: those are sorted, and MLX has to come through `arrays` first.
_cache: Any = importlib.import_module("mlx_lm.models.cache")


def can_batch(model: Any) -> bool:
    """Whether rows at different places of their texts are right, and faster than one after the other.

    Right for our families, with caches that keep all. Faster on a GPU, and on a CPU in 32-bit floats: there SmolLM2
    decoded 10.8 tokens per second alone, 17.6 in two rows, 24.5 in four; but in 4 bits 7.5, 7.6 and 8.0.
    """
    plain = all(type(layer) is _cache.KVCache for layer in make_prompt_cache(model))
    return plain and model.args.model_type in FAMILIES and (device() != "cpu" or _computes_in_floats(model))


def _computes_in_floats(model: Any) -> bool:
    return all(array.dtype == mx.float32 for _name, array in tree_flatten(model.parameters()))


def add_row(rows: list[Any], layers: Sequence[Any]) -> list[Any]:
    """`rows` with the states in `layers` as one more row, copied. Raises EngineError."""
    with compute_errors():
        added = [_cache.BatchKVCache.merge([layer]) for layer in layers]
        for mine, other in zip(rows, added, strict=bool(rows)):
            mine.extend(other)
    return rows or added


def take_row(rows: Sequence[Any], index: int) -> list[Any]:
    """A copy of one row, as a model takes it that runs for it alone. Raises EngineError."""
    with compute_errors():
        return [layer.extract(index) for layer in rows]


def keep_rows(rows: list[Any], indices: list[int]) -> list[Any]:
    """`rows` without the others; padding that nobody needs any more goes too. Raises EngineError."""
    if not indices:
        return []
    with compute_errors():
        for layer in rows:
            layer.filter(indices)
    return rows
