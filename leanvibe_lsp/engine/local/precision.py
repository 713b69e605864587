"""Which numbers a model computes in. On a GPU: those of the file. On a CPU MLX is fast in 32-bit floats alone.

Measured on SmolLM2, 2 cores, prefill and decode in tokens per second: 4 bits with 16-bit scales below 1; 4 bits with
32-bit scales 10 and 8; expanded to 32 bits with the reference BLAS 12 and 8, with OpenBLAS 330 and 18. So on a CPU all
floats become 32 bits, and with a fast BLAS quantised matrices are expanded, as long as all of it stays below
`engine.mlx_dense_mib`.
"""

from __future__ import annotations

from typing import Any

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.cancel import CancelToken
from leanvibe_lsp.engine.local.arrays import mx, nn, tree_flatten, tree_map, tree_unflatten

_FLOAT_BYTES = 4


def suit_cpu(model: Any, *, fast_blas: bool, cancel: CancelToken) -> None:
    """Rewrite `model` in place for a CPU; its values stay the same up to rounding. Raises Cancelled."""
    room = limit("engine.mlx_dense_mib") << 20
    if fast_blas and _dense_bytes(model) <= room:
        _expand(model, cancel)
    if _float_bytes(model) <= room:
        model.update(tree_map(_widen, model.parameters()))


def _leaves(model: Any) -> list[tuple[str, Any]]:
    leaves: list[tuple[str, Any]] = tree_flatten(model.leaf_modules(), is_leaf=nn.Module.is_module)
    return leaves


def _is_quantized(module: Any) -> bool:
    return isinstance(module, nn.QuantizedLinear | nn.QuantizedEmbedding)


def _dense_bytes(model: Any) -> int:
    """Bytes of all parameters as 32-bit floats, quantised matrices expanded."""
    total = 0
    for _path, module in _leaves(model):
        if _is_quantized(module):
            total += module.weight.size * 32 // module.bits * _FLOAT_BYTES
        else:
            total += sum(array.size for _name, array in tree_flatten(module.parameters())) * _FLOAT_BYTES
    return total


def _float_bytes(model: Any) -> int:
    """Bytes of the float parameters as 32-bit floats."""
    arrays = (array for _name, array in tree_flatten(model.parameters()))
    return sum(array.size * _FLOAT_BYTES for array in arrays if mx.issubdtype(array.dtype, mx.floating))


def _expand(model: Any, cancel: CancelToken) -> None:
    """Put a plain layer in the place of each quantised one, one by one: both exist only for a moment."""
    for path, module in _leaves(model):
        if not _is_quantized(module):
            continue
        cancel.check()
        model.update_modules(tree_unflatten([(path, _expanded(module))]))


def _expanded(module: Any) -> Any:
    weight = mx.dequantize(
        module.weight,
        _widen(module.scales),
        _widen(module.biases) if module.get("biases") is not None else None,
        group_size=module.group_size,
        bits=module.bits,
        mode=module.mode,
    )
    plain = nn.Linear(1, 1, bias="bias" in module) if isinstance(module, nn.QuantizedLinear) else nn.Embedding(1, 1)
    plain.weight = _widen(weight)
    if "bias" in module:
        plain.bias = module.bias
    mx.eval(plain.parameters())
    return plain


def _widen(array: Any) -> Any:
    return array.astype(mx.float32) if mx.issubdtype(array.dtype, mx.floating) else array
