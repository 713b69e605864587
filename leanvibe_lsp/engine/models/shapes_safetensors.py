"""Do the tensors of a safetensors folder fit its config.json? Families: llama, qwen2, phi3, and what MLX made of them.

MLX stores a quantised matrix of (rows, columns) as three tensors: `weight`, U32 of (rows, columns * bits / 32), and
`scales` and `biases` of (rows, columns / group size).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from leanvibe_lsp.engine.models.shapes_gguf import Shapes, compare
from leanvibe_lsp.engine.models.tensor import Problem, TensorInfo

if TYPE_CHECKING:
    from pathlib import Path

FAMILIES = ("llama", "qwen2", "phi3")
_FLOATS = {"F16", "BF16", "F32"}


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
    try:
        required, optional = _expected_shapes(family, config)
        plain, problems = _unpacked(tensors, config.get("quantization") or config.get("quantization_config") or {})
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        return [Problem(config_file.name, "the sizes of the model", f"no usable {error}")], []
    problems += [
        Problem(name, "F16, BF16 or F32", tensors[name].dtype)
        for name in (required | optional).keys() & tensors.keys()
        if tensors[name].dtype not in _FLOATS and f"{name.removesuffix('.weight')}.scales" not in tensors
    ]
    return problems + compare(plain, required, optional), []


def _too_many_layers(config: dict[str, Any], tensors: int) -> list[Problem]:
    """Every family's loader takes time and memory for each layer, whether it has weights or not."""
    return [
        Problem("num_hidden_layers", f"at most {tensors}, the tensors in the folder", str(part["num_hidden_layers"]))
        for part in (config, config.get("text_config"))
        if isinstance(part, dict)
        and isinstance(part.get("num_hidden_layers"), int | float)
        and part["num_hidden_layers"] > tensors
    ]


def _expected_shapes(family: str, config: dict[str, Any]) -> tuple[Shapes, Shapes]:
    wide, heads = _size(config, "hidden_size"), _size(config, "num_attention_heads")
    feed_forward, vocabulary = _size(config, "intermediate_size"), _size(config, "vocab_size")
    width = config.get("head_dim") or wide // heads
    queries, keys = heads * width, (config.get("num_key_value_heads") or heads) * width
    required: Shapes = {"model.embed_tokens.weight": (vocabulary, wide), "model.norm.weight": (wide,)}
    optional: Shapes = {}
    (optional if config.get("tie_word_embeddings") else required)["lm_head.weight"] = (vocabulary, wide)
    if family == "llama" and "tie_word_embeddings" not in config:
        optional["lm_head.weight"] = required.pop("lm_head.weight")
    for layer in range(_size(config, "num_hidden_layers")):
        at = f"model.layers.{layer}."
        required |= {
            f"{at}input_layernorm.weight": (wide,),
            f"{at}post_attention_layernorm.weight": (wide,),
            f"{at}self_attn.o_proj.weight": (wide, queries),
            f"{at}mlp.down_proj.weight": (wide, feed_forward),
        }
        if family == "phi3":
            required[f"{at}self_attn.qkv_proj.weight"] = (queries + 2 * keys, wide)
            required[f"{at}mlp.gate_up_proj.weight"] = (2 * feed_forward, wide)
            continue
        for part, rows in (("q", queries), ("k", keys), ("v", keys)):
            required[f"{at}self_attn.{part}_proj.weight"] = (rows, wide)
            (required if family == "qwen2" else optional)[f"{at}self_attn.{part}_proj.bias"] = (rows,)
        required[f"{at}mlp.gate_proj.weight"] = (feed_forward, wide)
        required[f"{at}mlp.up_proj.weight"] = (feed_forward, wide)
    return required, optional


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
        weight, biases = tensors.get(f"{base}.weight"), tensors.get(f"{base}.biases")
        if weight is None or len(weight.shape) != 2 or len(tensors[name].shape) != 2:
            problems.append(Problem(f"{base}.weight", "the packed matrix of its scales", "none that fits"))
            continue
        # A layer may be quantised in its own way: then the config has an entry under its name.
        own = quantization.get(base)
        settings = own if isinstance(own, dict) else quantization
        bits, group = int(settings["bits"]), int(settings["group_size"])
        rows, columns = weight.shape[0], weight.shape[1] * 32 // bits
        shapes[f"{base}.weight"] = (rows, columns)
        if weight.dtype != "U32":
            problems.append(Problem(f"{base}.weight", "U32, packed", weight.dtype))
        if tensors[name].shape != (rows, columns // group):
            problems.append(Problem(name, f"{rows}x{columns // group}", "x".join(map(str, tensors[name].shape))))
        if settings.get("mode", "affine") == "affine" and (biases is None or biases.shape != tensors[name].shape):
            problems.append(Problem(f"{base}.biases", "the shape of its scales", str(biases and biases.shape)))
    return shapes, problems
