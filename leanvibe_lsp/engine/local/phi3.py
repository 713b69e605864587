"""Phi-3 as transformers computes it: mlx_lm's classes, and the sliding window that they leave out.

The window is a mask over the whole key/value cache, not a cache that forgets: so the cache can still be cut back to any
token, and one kind of cache serves all models.
"""

from __future__ import annotations

import importlib
from typing import Any

from leanvibe_lsp.engine.local.arrays import mx

# Not import statements: those are sorted, and MLX has to come through `arrays` first.
_phi3: Any = importlib.import_module("mlx_lm.models.phi3")
_base: Any = importlib.import_module("mlx_lm.models.base")

ModelArgs = _phi3.ModelArgs


class _Trunk(_phi3.Phi3Model):  # type: ignore[misc] # mlx_lm has no types
    def __init__(self, args: Any, sliding_window: int | None) -> None:
        super().__init__(args)
        self.sliding_window = sliding_window

    def __call__(self, inputs: Any, cache: Any = None) -> Any:
        hidden = self.embed_tokens(inputs)
        caches = cache or [None] * len(self.layers)
        mask = _base.create_attention_mask(hidden, caches[0], window_size=self.sliding_window)
        for layer, own in zip(self.layers, caches, strict=True):
            hidden = layer(hidden, mask, own)
        return self.norm(hidden)


class Model(_phi3.Model):  # type: ignore[misc]
    """`sliding_window`: how many tokens a token sees, itself included; None for all before it."""

    def __init__(self, args: Any, sliding_window: int | None = None) -> None:
        super().__init__(args)
        self.model = _Trunk(args, sliding_window)

    def sanitize(self, weights: dict[str, mx.array]) -> dict[str, mx.array]:
        """Leave out what is computed anyway, as mlx_lm's other models do."""
        tied = {"lm_head.weight"} if self.args.tie_word_embeddings else set()
        return {name: array for name, array in weights.items() if name not in tied and not name.endswith("inv_freq")}
