"""MLX, imported in the right order. The other modules of this package take `mx` and `nn` from here.

Imported on first use only: by `backend.MlxEngine.load`, never at the start of the program.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from leanvibe_lsp.engine.local.runtime import prefer_fast_blas
from leanvibe_lsp.errors import EngineError

BLAS = prefer_fast_blas()

import mlx.core  # noqa: E402 - OpenBLAS comes first
import mlx.nn  # noqa: E402
from mlx.utils import tree_flatten, tree_map, tree_unflatten  # noqa: E402

# MLX's annotations are partial: half of them would have to be cast.
mx: Any = mlx.core
nn: Any = mlx.nn

__all__ = ["BLAS", "LIBRARY_ERRORS", "compute_errors", "mx", "nn", "tree_flatten", "tree_map", "tree_unflatten"]

# MLX's C++ exceptions arrive as RuntimeError, ValueError, MemoryError;
# mlx_lm adds what a malformed config makes of its code.
LIBRARY_ERRORS = (
    RuntimeError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    MemoryError,
    OSError,
    ImportError,
)


@contextmanager
def compute_errors() -> Iterator[None]:
    """Map what MLX raises while it computes to EngineError."""
    try:
        yield
    except LIBRARY_ERRORS as error:
        raise EngineError(f"MLX failed: {error}.", next_step="Ask again; `leanvibe doctor` tests the model.") from error
