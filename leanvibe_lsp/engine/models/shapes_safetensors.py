"""Do the tensors of a safetensors folder fit its config.json? Families: llama, qwen2, phi3, and what MLX made of them.

MLX stores a quantised matrix of (rows, columns) as three tensors: `weight`, U32 of (rows, columns * bits / 32), and
`scales` and `biases` of (rows, columns / group size).
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from leanvibe_lsp.engine.models.shapes_gguf import Shapes, compare
from leanvibe_lsp.engine.models.tensor import Problem, TensorInfo

if TYPE_CHECKING:
    from pathlib import Path

FAMILIES = ("llama", "qwen2", "phi3")
_LAYERS = ("n_layer", "num_layer")  # what has "layers" in its name counts, too
_NO_LAYERS = ("max_window_layers",)  # Qwen2: from which layer on a window slides; nothing is built from it
_FLOATS = {"F16", "BF16", "F32"}
_BYTES = {"U8"}
_AFFINE = ("affine", None)
# Old checkpoints carry a table that follows from the config; no loader reads it.
_IGNORED = re.compile(r"model\.layers\.\d+\.self_attn\.rotary_emb\.inv_freq", re.ASCII)


def check_safetensors(config_file: Path, tensors: dict[str, TensorInfo]) -> tuple[list[Problem], list[str]]:
    """What is wrong with the tensors, and what was not checked."""
    try:
        config = json.loads(config_file.read_bytes())
    except (OSError, ValueError, RecursionError):
        config = None
    if not isinstance(config, dict):
        return [Problem(config_file.name, "a JSON object", "none")], []
    too_many = _too_many_layers(config, len(tensors))
    if too_many:
        return too_many, []
    family = config.get("model_type")
    if family not in FAMILIES:
        return [], [f"tensor shapes: the model type {family!r} is not known here"]
    tensors = {name: tensor for name, tensor in tensors.items() if not _IGNORED.fullmatch(name)}
    quantization = config.get("quantization") or config.get("quantization_config") or {}
    foreign = quantization.get("quant_method") if isinstance(quantization, dict) else "malformed"
    if foreign:
        return [Problem("quantization_config", "MLX's bits and group_size", str(foreign))], []
    try:
        required, optional = _expected_shapes(family, config)
        plain, problems = _unpacked(tensors, quantization)
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        return [Problem(config_file.name, "the sizes of the model", f"no usable {error}")], []
    problems += [
        Problem(name, "F16, BF16 or F32", tensors[name].dtype)
        for name in (required | optional).keys() & tensors.keys()
        if tensors[name].dtype not in _FLOATS and f"{name.removesuffix('.weight')}.scales" not in tensors
    ]
    return _without_scales(tensors) + compare(plain, required, optional) + problems, []


def _without_scales(tensors: dict[str, TensorInfo]) -> list[Problem]:
    """Biases, in MLX's sense, beside a packed matrix: its scales should be there too."""
    bases = (name.removesuffix(".biases") for name in tensors if name.endswith(".biases"))
    return [
        Problem(f"{base}.scales", "the scales of a packed matrix", "no such tensor")
        for base in bases
        if f"{base}.weight" in tensors and f"{base}.scales" not in tensors
    ]


def _too_many_layers(config: dict[str, Any], tensors: int) -> list[Problem]:
    """Every family's loader takes time and memory for each layer, whether it has weights or not."""
    return [
        Problem(key, f"at most {tensors}, the tensors in the folder", str(value))
        for part in (config, *config.values())
        if isinstance(part, dict)
        for key, value in part.items()
        if (key in _LAYERS or "layers" in key) and key not in _NO_LAYERS
        if isinstance(value, int | float) and value > tensors
    ]


def _expected_shapes(family: str, config: dict[str, Any]) -> tuple[Shapes, Shapes]:
    """Shapes (rows, columns) before quantisation of the tensors that must be there, and of those that may be."""
    wide, heads = _size(config, "hidden_size"), _size(config, "num_attention_heads")
    feed_forward, vocabulary = _size(config, "intermediate_size"), _size(config, "vocab_size")
    width = config.get("head_dim") or wide // heads
    queries, keys = heads * width, (config.get("num_key_value_heads") or heads) * width
    required: Shapes = {"model.embed_tokens.weight": (vocabulary, wide), "model.norm.weight": (wide,)}
    optional: Shapes = {}
    (optional if config.get("tie_word_embeddings") else required)["lm_head.weight"] = (vocabulary, wide)
    if family == "llama" and "tie_word_embeddings" not in config:
        optional["lm_head.weight"] = required.pop("lm_head.weight")
    attention = {"q_proj": (queries, wide), "k_proj": (keys, wide), "v_proj": (keys, wide), "o_proj": (wide, queries)}
    perceptron = {"gate_proj": (feed_forward, wide), "up_proj": (feed_forward, wide), "down_proj": (wide, feed_forward)}
    if family == "phi3":
        attention = {"qkv_proj": (queries + 2 * keys, wide), "o_proj": attention["o_proj"]}
        perceptron = {"gate_up_proj": (2 * feed_forward, wide), "down_proj": perceptron["down_proj"]}
    matrices = {f"self_attn.{name}": shape for name, shape in attention.items()}
    matrices |= {f"mlp.{name}": shape for name, shape in perceptron.items()}
    biased = _biased(family, config)
    for layer in range(_size(config, "num_hidden_layers")):
        at = f"model.layers.{layer}."
        required |= {f"{at}input_layernorm.weight": (wide,), f"{at}post_attention_layernorm.weight": (wide,)}
        required |= {f"{at}{name}.weight": shape for name, shape in matrices.items()}
        required |= {f"{at}{name}.bias": matrices[name][:1] for name in biased}
    return required, optional


def _biased(family: str, config: dict[str, Any]) -> tuple[str, ...]:
    """The matrices of a layer that have a bias."""
    if family == "qwen2":
        return ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
    biased: tuple[str, ...] = ()
    if family == "llama" and config.get("attention_bias"):
        biased += ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj")
    if family == "llama" and config.get("mlp_bias"):
        biased += ("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")
    return biased


def _size(config: dict[str, Any], key: str) -> int:
    value = config[key]
    if not isinstance(value, int) or value <= 0:
        raise ValueError(key)
    return value


def _unpacked(tensors: dict[str, TensorInfo], quantization: dict[str, Any]) -> tuple[Shapes, list[Problem]]:
    """Shapes as they were before quantisation, and what is wrong with the triples."""
    shapes: Shapes = {name: tensor.shape for name, tensor in tensors.items()}
    problems: list[Problem] = []
    for name in [name for name in tensors if name.endswith(".scales")]:
        base = name.removesuffix(".scales")
        weight, scales = tensors.get(f"{base}.weight"), tensors[name]
        del shapes[name]
        if weight is None or len(weight.shape) != 2 or len(scales.shape) != 2:
            problems.append(Problem(f"{base}.weight", "the packed matrix of its scales", "none that fits"))
            continue
        # A layer may be quantised in its own way: then the config has an entry under its name.
        own = quantization.get(base)
        settings = own if isinstance(own, dict) else quantization
        bits, group, affine = int(settings["bits"]), int(settings["group_size"]), settings.get("mode") in _AFFINE
        rows, columns = weight.shape[0], weight.shape[1] * 32 // bits
        shapes[f"{base}.weight"] = (rows, columns)
        if weight.dtype != "U32":
            problems.append(Problem(f"{base}.weight", "U32, packed", weight.dtype))
        if scales.shape != (rows, columns // group):
            problems.append(Problem(name, f"{rows}x{columns // group}", "x".join(map(str, scales.shape))))
        if scales.dtype not in (_FLOATS if affine else _BYTES):
            problems.append(Problem(name, "floats" if affine else "U8", scales.dtype))
        if affine:
            problems += _biases(f"{base}.biases", shapes.pop(f"{base}.biases", None), tensors, scales)
    return shapes, problems


def _biases(
    name: str, shape: tuple[int, ...] | None, tensors: dict[str, TensorInfo], scales: TensorInfo
) -> list[Problem]:
    if shape != scales.shape:
        return [Problem(name, "the shape of its scales", str(shape))]
    return [] if tensors[name].dtype in _FLOATS else [Problem(name, "floats", tensors[name].dtype)]
