"""Rotary positions by a table. See `architecture.RopeTable`."""

from __future__ import annotations

from typing import Any

from leanvibe_lsp.engine.local.architecture import RopeTable
from leanvibe_lsp.engine.local.arrays import mx


class TableRope:
    """Called as mlx_lm's attention calls its `rope`; it has no parameters."""

    def __init__(self, table: RopeTable) -> None:
        self._table = table
        exponents = mx.arange(0, table.dims, 2, dtype=mx.float32) / table.dims
        self._wavelengths = mx.array(table.factors, dtype=mx.float32) * table.base**exponents
        mx.eval(self._wavelengths)

    def __call__(self, x: Any, offset: Any = 0) -> Any:
        """Rotate `x` (batch, heads, tokens, width), whose first token is at position `offset`."""
        table = self._table
        if table.magnitude != 1.0:
            x = x.at[..., : table.dims].multiply(table.magnitude)
        return mx.fast.rope(
            x,
            table.dims,
            traditional=table.neighbours,
            base=None,
            scale=1.0,
            offset=offset,
            freqs=self._wavelengths,
        )
