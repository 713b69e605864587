"""The key/value cache of the last request, and the token ids it was computed from."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from itertools import takewhile
from typing import Any

from leanvibe_lsp.engine.local.arrays import compute_errors, mx

# Not an import statement: those are sorted, and MLX has to come through `arrays` first.
_cache: Any = importlib.import_module("mlx_lm.models.cache")

# Tokens after which mlx_lm's caches move to larger arrays.
GROWTH: int = _cache.KVCache.step


class PrefixCache:
    """`layers` is what mlx_lm's models take as `cache`; it always holds the tokens `seen`, no more and no fewer.

    Whoever feeds the model calls `append` with what was fed, or `reset` when that failed half-way.
    """

    __slots__ = ("_model", "layers", "seen")

    def __init__(self, model: Any) -> None:
        self._model = model
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.layers: list[Any] = _cache.make_prompt_cache(self._model)
        self.seen: list[int] = []

    def reuse(self, prompt: Sequence[int]) -> int:
        """Keep the longest beginning shared with `prompt`, never its last token; give its length."""
        pairs = zip(self.seen, prompt[:-1], strict=False)
        common = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        surplus = len(self.seen) - common
        if common == 0 or (surplus and not _cache.can_trim_prompt_cache(self.layers)):
            self.reset()
            return 0
        if surplus:
            _cache.trim_prompt_cache(self.layers, surplus)
            del self.seen[common:]
        return common

    def append(self, ids: Sequence[int]) -> None:
        """Note that the model has been fed `ids`."""
        self.seen.extend(ids)

    def fill(self, ids: Sequence[int]) -> None:
        """Compute the part of a prompt that nothing is predicted from. Raises EngineError."""
        with compute_errors():
            self._model(mx.array(ids)[None], cache=self.layers)
            mx.eval([layer.state for layer in self.layers])
            mx.clear_cache()
        self.append(ids)
