"""Does a model fit into memory? Reckoned from its headers, before anything is loaded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.engine.models.formats import Format
from leanvibe_lsp.engine.models.gguf import GgufFile, read_gguf
from leanvibe_lsp.engine.models.registry import Located
from leanvibe_lsp.engine.models.safetensors_header import read_folder
from leanvibe_lsp.engine.models.tensor import TensorInfo
from leanvibe_lsp.engine.select import Machine, Selection
from leanvibe_lsp.errors import ModelError

_WIDE, _HALF = 4, 2  # bytes of a float
_GGML_BLOCK = 32  # numbers that share a scale and a bias, in the types of GGUF that MLX reads
_MLX_BITS = {"Q4_0": 4, "Q4_1": 4, "Q8_0": 8}


@dataclass(frozen=True, slots=True)
class Budget:
    """Bytes: what all models of this program may take (0: what the system has), and how things stand."""

    cap: int
    available: int
    reserve: int  # to be left to the system
    held: int  # by other models of this program
    coming: int = 0  # the part of `held` that is not loaded yet

    @property
    def room(self) -> int:
        """What one more model may take. What is loaded is no longer available: it counts once."""
        return max(0, self.cap - self.held if self.cap else self.available - self.reserve - self.coming)


@dataclass(frozen=True, slots=True)
class Weights:
    """What a file's headers say, in numbers, and `packed` in bytes. `numbers` are the model's own, without scales."""

    numbers: int
    floats: int  # stored as floats: norms, scales, biases, and all of a model that is not quantised
    packed: int

    def held(self, *, expand: bool, dense: int) -> tuple[int, int]:
        """Bytes in memory and bytes of one float, by the rules of `engine.local.precision`.

        `expand`: this is a CPU with a fast BLAS. `dense`: bytes that may be spent on 32-bit floats; 0 on a GPU.
        """
        if expand and self.numbers * _WIDE <= dense:
            return self.numbers * _WIDE, _WIDE
        wide = self.floats * _WIDE <= dense
        return self.packed + self.floats * (_WIDE if wide else _HALF), _WIDE if wide else _HALF


@dataclass(frozen=True, slots=True)
class Attention:
    """What the size of a KV cache depends on. `window` in tokens, the model's own."""

    layers: int
    heads: int  # of keys and values
    width: int
    window: int

    def cache_bytes(self, window: int, float_bytes: int) -> int:
        """Keys and values of every layer for a whole window."""
        return 2 * self.layers * self.heads * self.width * min(self.window, window) * float_bytes


def refuse_too_large(name: str, needed: int, budget: Budget) -> None:
    """Raise ModelError, with the numbers, for a model that does not fit."""
    if needed <= budget.room:
        return
    bound = (
        f"engine.memory_mib allows {_mib(budget.cap)}, of which {_mib(budget.held)} are taken"
        if budget.cap
        else f"{_mib(budget.available)} are available, of which {_mib(budget.reserve)} stay with the system"
        + (f" and {_mib(budget.coming)} are for a model that is being loaded" if budget.coming else "")
    )
    raise ModelError(
        f"{name} needs about {_mib(needed)} of memory, and there is room for {_mib(budget.room)}: {bound}.",
        next_step="Choose a smaller model (`leanvibe models list`), or close other programs.",
    )


def current_budget(held: int, coming: int = 0) -> Budget:
    """The limits, and the memory that is available now."""
    import psutil

    return Budget(
        cap=limit("engine.memory_mib") << 20,
        available=psutil.virtual_memory().available,
        reserve=limit("engine.memory_reserve_mib") << 20,
        held=held,
        coming=coming,
    )


def estimate(selection: Selection, machine: Machine) -> int:
    """Bytes the model will take: weights as they are held, and the KV cache of a whole window. 0 when not held here.

    Raises ModelFormatError for headers that cannot be read.
    """
    located = selection.located
    if located is None:
        return 0
    if selection.backend == "mlx":
        return _mlx_bytes(located, machine)
    from leanvibe_lsp.engine.llama.estimate import estimate_bytes

    return estimate_bytes(located, limit("engine.window"))


def _mlx_bytes(located: Located, machine: Machine) -> int:
    from leanvibe_lsp.engine.local.runtime import Blas, prefer_fast_blas

    on_cpu = not machine.apple_silicon and not (machine.nvidia and machine.mlx_cuda)
    if located.format is Format.GGUF:
        file = read_gguf(located.path)
        weights, attention = gguf_weights(file.tensors), gguf_attention(file)
    else:
        tensors, _problems = read_folder(located.path)
        config = _read_config(located)
        weights, attention = safetensors_weights(tensors, config), config_attention(config)
    held, float_bytes = weights.held(
        expand=on_cpu and prefer_fast_blas() is not Blas.REFERENCE,
        dense=limit("engine.mlx_dense_mib") << 20 if on_cpu else 0,
    )
    return held + attention.cache_bytes(limit("engine.window"), float_bytes)


def gguf_weights(tensors: Mapping[str, TensorInfo]) -> Weights:
    """Pure: what MLX makes of a GGUF file; each block of a quantised tensor gets a scale and a bias."""
    numbers = floats = packed = 0
    for tensor in tensors.values():
        count = prod(tensor.shape)
        numbers += count
        if tensor.dtype in _MLX_BITS:
            packed += count * _MLX_BITS[tensor.dtype] // 8
            floats += 2 * count // _GGML_BLOCK
        else:
            floats += count
    return Weights(numbers, floats, packed)


def safetensors_weights(tensors: Mapping[str, TensorInfo], config: Mapping[str, Any]) -> Weights:
    """Pure: the tensors of a folder. A tensor with `scales` beside it is packed, at the config's `bits` a number."""
    numbers = floats = packed = 0
    for name, tensor in tensors.items():
        base, _, part = name.rpartition(".")
        count = prod(tensor.shape)
        if f"{base}.scales" not in tensors:
            numbers += count
            floats += count
        elif part == "weight":
            packed += tensor.nbytes
            numbers += tensor.nbytes * 8 // _bits(base, config)
        else:
            floats += count
    return Weights(numbers, floats, packed)


def _bits(base: str, config: Mapping[str, Any]) -> int:
    """Bits of one number; a layer quantised in its own way has an entry under its name. 4 where nothing is said."""
    settings = config.get("quantization") or config.get("quantization_config")
    settings = settings if isinstance(settings, dict) else {}
    own = settings.get(base)
    bits = (own if isinstance(own, dict) else settings).get("bits")
    return bits if isinstance(bits, int) and 1 <= bits <= 8 else 4


def gguf_attention(file: GgufFile) -> Attention:
    """Pure: from the metadata; what is missing there counts as 0, and the loader says so."""
    family = file.text("general.architecture")
    heads = file.number(f"{family}.attention.head_count") or 0
    return Attention(
        layers=file.number(f"{family}.block_count") or 0,
        heads=file.number(f"{family}.attention.head_count_kv") or heads,
        width=file.number(f"{family}.attention.key_length")
        or (file.number(f"{family}.embedding_length") or 0) // max(1, heads),
        window=file.number(f"{family}.context_length") or 0,
    )


def config_attention(config: Mapping[str, Any]) -> Attention:
    """Pure: from a config.json; what is missing there counts as 0, and the loader says so."""
    heads = _whole(config, "num_attention_heads")
    return Attention(
        layers=_whole(config, "num_hidden_layers"),
        heads=_whole(config, "num_key_value_heads") or heads,
        width=_whole(config, "head_dim") or _whole(config, "hidden_size") // max(1, heads),
        window=_whole(config, "max_position_embeddings"),
    )


def _whole(config: Mapping[str, Any], key: str) -> int:
    value = config.get(key)
    return value if isinstance(value, int) and value > 0 else 0


def _read_config(located: Located) -> dict[str, Any]:
    try:
        config = json.loads((located.path / "config.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}  # the loader says what is wrong with it
    return config if isinstance(config, dict) else {}


def _mib(count: int) -> str:
    return f"{count / (1 << 20):,.0f} MiB"
