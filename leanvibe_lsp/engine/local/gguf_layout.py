"""How a GGUF file becomes one of mlx_lm's models: its metadata as a config, its tensors' names as module paths.

The mapping is total: what is not named here is an error. Pure; no MLX. Names: llama.cpp's gguf-py/gguf/constants.py.
"""

from __future__ import annotations

import re
from typing import Any

from leanvibe_lsp.engine.models.gguf import GgufFile
from leanvibe_lsp.engine.models.shapes_gguf import FAMILIES, check_gguf
from leanvibe_lsp.errors import ModelDamaged, ModelFormatError

# What MLX reads as it is; the K-quants and the rest it would have to expand to 16 bits.
READABLE = frozenset({"F32", "F16", "Q4_0", "Q4_1", "Q8_0"})

_WHOLE = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
_ATTENTION_AND_MLP = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
}
_FUSED = {"attn_qkv": "self_attn.qkv_proj", "ffn_up": "mlp.gate_up_proj"}
_SHARED = {
    "attn_output": "self_attn.o_proj",
    "ffn_down": "mlp.down_proj",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
}
_BLOCK = re.compile(r"blk\.(\d+)\.([a-z_]+)\.(\w+)", re.ASCII)
# `scales` and `biases` are what MLX makes of a quantised weight when it reads the file.
_PARTS = frozenset({"weight", "bias", "scales", "biases"})
# Rotary embeddings stretched by a table: mlx_lm takes the table from a config, which a GGUF does not have.
_ROPE_TABLES = ("rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight")

_NEXT_STEP = "Use the llama.cpp backend: `--engine llama.cpp`."


def config_of(file: GgufFile) -> dict[str, Any]:
    """The config mlx_lm's model class takes.

    Raises ModelFormatError for a kind of file that MLX does not run, ModelDamaged for tensors that do not fit.
    """
    family = _family(file)
    problems, _skipped = check_gguf(file)
    if problems:
        raise ModelDamaged(
            f"The tensors do not fit the metadata: {problems[0]}.", next_step="Download the model again."
        )
    for name, tensor in file.tensors.items():
        if tensor.dtype not in READABLE:
            raise _refused(f"its tensor {name} is {tensor.dtype}, and MLX reads {', '.join(sorted(READABLE))}")
    heads = _number(file, f"{family}.attention.head_count")
    hidden = _number(file, f"{family}.embedding_length")
    width = _number(file, f"{family}.attention.key_length", hidden // heads)
    _refuse_unknown_shapes(file, family, width, hidden // heads)
    return {
        "model_type": family,
        "hidden_size": hidden,
        "num_hidden_layers": _number(file, f"{family}.block_count"),
        "intermediate_size": _number(file, f"{family}.feed_forward_length"),
        "num_attention_heads": heads,
        "num_key_value_heads": _number(file, f"{family}.attention.head_count_kv", heads),
        "head_dim": width,
        "rms_norm_eps": _real(file, f"{family}.attention.layer_norm_rms_epsilon"),
        "vocab_size": file.tensors["token_embd.weight"].shape[0],
        "max_position_embeddings": _number(file, f"{family}.context_length"),
        "rope_theta": _real(file, f"{family}.rope.freq_base", 10_000.0),
        # The converter permutes q and k of LLaMA's family: neighbours rotate together there.
        "rope_traditional": family == "llama",
        "attention_bias": "blk.0.attn_q.bias" in file.tensors,
        "tie_word_embeddings": "output.weight" not in file.tensors,
    }


def module_path(name: str, family: str) -> str:
    """Where mlx_lm keeps the tensor `name`: "blk.3.attn_q.weight" -> "model.layers.3.self_attn.q_proj.weight".

    Raises ModelDamaged for a name that has no place.
    """
    block = _BLOCK.fullmatch(name)
    if block is not None:
        own = _FUSED if family == "phi3" else _ATTENTION_AND_MLP
        module = own.get(block[2]) or _SHARED.get(block[2])
        if module is not None and block[3] in _PARTS:
            return f"model.layers.{block[1]}.{module}.{block[3]}"
    base, _dot, part = name.rpartition(".")
    if base in _WHOLE and part in _PARTS:
        return f"{_WHOLE[base]}.{part}"
    raise ModelDamaged(
        f"The file has a tensor that no {family} model has: {name}.", next_step="Download the model again."
    )


def _family(file: GgufFile) -> str:
    family = file.text("general.architecture")
    if family not in FAMILIES:
        raise _refused(f"its architecture is {family or 'not given'}, and MLX runs {', '.join(FAMILIES)} from GGUF")
    if file.metadata.get(f"{family}.expert_count"):
        raise _refused("it is a mixture of experts")
    return family


def _refuse_unknown_shapes(file: GgufFile, family: str, width: int, plain_width: int) -> None:
    """Refuse what the model class would silently compute in another way."""
    scaling = file.text(f"{family}.rope.scaling.type") or "none"
    if scaling != "none":
        raise _refused(f"it stretches its positions ({scaling})")
    for name in _ROPE_TABLES:
        if name in file.tensors:
            raise _refused(f"it stretches its positions by a table ({name})")
    rotated = _number(file, f"{family}.rope.dimension_count", width)
    if rotated != width or _number(file, f"{family}.attention.value_length", width) != width:
        raise _refused(f"its heads are {width} wide, and rotate {rotated}")
    if family != "llama" and width != plain_width:
        raise _refused(f"its heads are {width} wide, and mlx_lm takes them to be {plain_width}")


def _number(file: GgufFile, key: str, default: int | None = None) -> int:
    if key not in file.metadata and default is not None:
        return default
    value = file.number(key)
    if value is None or value <= 0:
        raise _refused(f"its {key} is {file.metadata.get(key, 'not given')!r}")
    return value


def _real(file: GgufFile, key: str, default: float | None = None) -> float:
    value = file.metadata.get(key, default)
    if not isinstance(value, int | float) or not value > 0:
        raise _refused(f"its {key} is {value!r}")
    return float(value)


def _refused(what: str) -> ModelFormatError:
    return ModelFormatError(f"MLX cannot run this GGUF file: {what}.", next_step=_NEXT_STEP)
