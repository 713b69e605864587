"""Key/value states of mlx_lm's models as arrays: cut out of a model's layers, and joined into layers again."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from leanvibe_lsp.engine.local.arrays import mx, tree_flatten, tree_map

# Not an import statement: those are sorted, and MLX has to come through `arrays` first.
_cache: Any = importlib.import_module("mlx_lm.models.cache")

make_prompt_cache: Any = _cache.make_prompt_cache
trim_prompt_cache: Any = _cache.trim_prompt_cache

# Tokens after which mlx_lm's caches move to larger arrays.
GROWTH: int = _cache.KVCache.step


def can_cut(layers: Sequence[Any]) -> bool:
    """Whether each layer holds one state a token, in order: not so in a rotating window or a recurrent layer."""
    return all(type(layer) in (_cache.KVCache, _cache.QuantizedKVCache) for layer in layers)


def kind_of(layers: Sequence[Any]) -> str:
    """What a cache is made of, and whether parts of it can be kept ("segments") or only all of it ("whole")."""
    names = ", ".join(sorted({type(layer).__name__ for layer in layers}))
    return f"{'segments' if can_cut(layers) else 'whole'} of {names}"


def nbytes_of(layers: Sequence[Any]) -> int:
    """Bytes of the arrays in `layers`, room to grow included."""
    return _nbytes([layer.state for layer in layers])


def token_bytes(layers: Sequence[Any]) -> int:
    """Bytes of one token in layers that can be cut and are not empty."""
    return sum(array.nbytes // array.shape[-2] for _name, array in tree_flatten([_pair(layer) for layer in layers]))


@dataclass(frozen=True, slots=True)
class Segment:
    """The states of a run of tokens. `pairs` has (keys, values) of each layer, arrays of its own that are computed.

    Shapes: (1, heads, tokens, width); of a quantised cache each is three such arrays.
    """

    pairs: list[Any]

    @property
    def nbytes(self) -> int:
        """What it takes in memory."""
        return _nbytes(self.pairs)

    def split(self, at: int) -> tuple[Segment, Segment]:
        """The first `at` tokens and the others, copied: the whole is not kept alive."""
        return _copied(self.pairs, 0, at), _copied(self.pairs, at, None)


def cut(layers: Sequence[Any], start: int, stop: int) -> Segment:
    """A copy of the states of the tokens from `start` to `stop`."""
    return _copied([_pair(layer) for layer in layers], start, stop)


def join(layers: Sequence[Any], runs: Sequence[tuple[Segment, int]], room: int) -> None:
    """Fill new `layers` with copies of the first tokens of each segment, with space for `room` more."""
    held = sum(count for _segment, count in runs)
    spare = -(held + room) % GROWTH + room

    def one(*arrays: Any) -> Any:
        pieces = [array[..., :count, :] for array, (_segment, count) in zip(arrays, runs, strict=True)]
        *outer, _tokens, width = arrays[0].shape
        return mx.concatenate([*pieces, mx.zeros((*outer, spare, width), arrays[0].dtype)], axis=-2)

    for index, layer in enumerate(layers):
        layer.keys, layer.values = tree_map(one, *(segment.pairs[index] for segment, _count in runs))
        layer.offset = held
    mx.eval([_pair(layer) for layer in layers])


def _pair(layer: Any) -> tuple[Any, Any]:
    return layer.keys, layer.values


def _copied(pairs: list[Any], start: int, stop: int | None) -> Segment:
    copies = tree_map(lambda array: mx.contiguous(array[..., start:stop, :]), pairs)
    mx.eval(copies)
    return Segment(copies)


def _nbytes(arrays: Any) -> int:
    return sum(array.nbytes for _name, array in tree_flatten(arrays) if isinstance(array, mx.array))
