"""What MLX runs on here: the device, and the BLAS behind it on a CPU. Importing this module imports no MLX.

MLX's Linux wheel is linked against netlib's reference BLAS. Where OpenBLAS was loaded into the process before MLX, its
symbols win, and a forward pass is many times faster; nothing depends on it.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import os
import sys
from enum import StrEnum
from typing import Any

from leanvibe_lsp.errors import BackendError

# Debian's and Fedora's soname; what `apt-get install libopenblas0-pthread` provides.
_OPENBLAS = "libopenblas.so.0"


class Blas(StrEnum):
    """Who multiplies matrices on the CPU."""

    ACCELERATE = "Accelerate"
    OPENBLAS = "OpenBLAS"
    REFERENCE = "netlib's reference BLAS"


_blas: Blas | None = None


def prefer_fast_blas() -> Blas:
    """Load OpenBLAS ahead of MLX where there is one; say what MLX uses. Comes before the first `import mlx.core`."""
    global _blas
    if _blas is None:
        _blas = _choose_blas()
    return _blas


def _choose_blas() -> Blas:
    if sys.platform == "darwin":
        return Blas.ACCELERATE
    if "mlx.core" in sys.modules:  # too late: MLX's symbols are bound
        return Blas.REFERENCE
    try:
        ctypes.CDLL(_OPENBLAS, mode=ctypes.RTLD_GLOBAL)
    except OSError:
        return Blas.REFERENCE
    return Blas.OPENBLAS


def device() -> str:
    """ "metal", "cuda" or "cpu": where MLX computes. Raises BackendError when MLX cannot be imported."""
    mx = _mlx()
    if mx.default_device().type == mx.DeviceType.cpu:
        return "cpu"
    return "metal" if mx.metal.is_available() else "cuda"


def runtime_facts() -> dict[str, str]:
    """Versions, device, and on a CPU the BLAS and how to get a faster one: for `doctor`. Imports MLX; never raises."""
    facts = {"mlx": _version("mlx"), "mlx-lm": _version("mlx-lm")}
    try:
        facts["device"] = device()
    except BackendError as error:
        return facts | {"problem": str(error)}
    if facts["device"] == "cpu":
        blas = prefer_fast_blas()
        facts["blas"] = str(blas)
        facts["threads"] = str(os.cpu_count() or 1)
        if blas is Blas.REFERENCE:
            facts["advice"] = "Install OpenBLAS for many times the speed: `apt-get install libopenblas0-pthread`."
    return facts


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _mlx() -> Any:
    try:
        from leanvibe_lsp.engine.local.arrays import mx
    except (Exception, SystemExit) as error:
        raise BackendError(
            f"MLX cannot run here: {error}.", next_step="Run `pip install 'leanvibe-lsp[mlx]'`."
        ) from error
    return mx
