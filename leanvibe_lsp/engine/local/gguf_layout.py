"""How a GGUF file becomes one of mlx_lm's models: its metadata as a config, its tensors' names as module paths.

The mapping is total: what is not named here is an error. Pure; no MLX. Names: llama.cpp's gguf-py/gguf/constants.py;
what they mean: llama.cpp's src/llama-model.cpp.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
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
# Factors of the wavelengths of rotary positions: for LLaMA 3.1 and up, and for LongRoPE.
_FREQUENCIES, _LONG, _SHORT = "rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight"
ROPE_TABLES = frozenset({_FREQUENCIES, _LONG, _SHORT})

_NEXT_STEP = "Use the llama.cpp backend: `--engine llama.cpp`."


def check_readable(file: GgufFile) -> None:
    """Is it a file that MLX computes right? Looks at the header alone.

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
    _refuse_unknown_heads(file, family)
    _refuse_unknown_rope(file, family)
    if family == "llama":
        _refuse_some_biases(file)


def config_of(file: GgufFile, tables: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """The config.json of a readable file, in transformers' old layout; `tables` are the values of its `ROPE_TABLES`.

    Raises ModelFormatError for a number that is missing.
    """
    family = _family(file)
    hidden = _number(file, f"{family}.embedding_length")
    width, rotated = _widths(file, family)
    config = {
        "model_type": family,
        "hidden_size": hidden,
        "num_hidden_layers": _number(file, f"{family}.block_count"),
        "intermediate_size": _number(file, f"{family}.feed_forward_length"),
        "num_attention_heads": _number(file, f"{family}.attention.head_count"),
        "num_key_value_heads": _key_heads(file, family),
        "head_dim": width,
        "rms_norm_eps": _real(file, f"{family}.attention.layer_norm_rms_epsilon"),
        "vocab_size": file.tensors["token_embd.weight"].shape[0],
        "max_position_embeddings": _number(file, f"{family}.context_length"),
        "rope_theta": _real(file, f"{family}.rope.freq_base", 10_000.0),
        "rope_scaling": _rope_scaling(file, family, tables),
        # The converter permutes q and k of LLaMA's family: neighbours rotate together there.
        "rope_traditional": family == "llama",
        "attention_bias": "blk.0.attn_q.bias" in file.tensors,
        "mlp_bias": "blk.0.ffn_up.bias" in file.tensors,
        "tie_word_embeddings": "output.weight" not in file.tensors,
    }
    if family == "phi3":
        config["partial_rotary_factor"] = rotated / width
        config["sliding_window"] = file.number("phi3.attention.sliding_window") or None  # 0 is none
    return config


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


def _key_heads(file: GgufFile, family: str) -> int:
    return _number(file, f"{family}.attention.head_count_kv", _number(file, f"{family}.attention.head_count"))


def _widths(file: GgufFile, family: str) -> tuple[int, int]:
    """How wide a head is, and how much of it rotates."""
    plain = _plain_width(file, family)
    width = _number(file, f"{family}.attention.key_length", plain)
    return width, _number(file, f"{family}.rope.dimension_count", width)


def _plain_width(file: GgufFile, family: str) -> int:
    return _number(file, f"{family}.embedding_length") // _number(file, f"{family}.attention.head_count")


def _refuse_unknown_heads(file: GgufFile, family: str) -> None:
    """Refuse what the model class would silently compute in another way."""
    width, rotated = _widths(file, family)
    # A config has the part that rotates as a fraction, and mlx_lm rounds down.
    fits = rotated == width or (family == "phi3" and rotated < width and int(width * (rotated / width)) == rotated)
    if not fits or _number(file, f"{family}.attention.value_length", width) != width:
        raise _refused(f"its heads are {width} wide, and rotate {rotated}")
    if family != "llama" and width != (plain := _plain_width(file, family)):
        raise _refused(f"its heads are {width} wide, and mlx_lm takes them to be {plain}")


def _refuse_unknown_rope(file: GgufFile, family: str) -> None:
    kind, tables = _rope_kind(file, family), ROPE_TABLES & file.tensors.keys()
    if kind not in ("none", "linear", "longrope"):
        raise _refused(f"it stretches its positions ({kind})")
    long = {_LONG, _SHORT}
    if (kind == "longrope" or tables & long) and (missing := long - tables):
        raise _refused(f"it stretches its positions by two tables, and there is no {min(missing)}")
    if _FREQUENCIES in tables and tables & long:
        raise _refused(f"it stretches its positions by {_FREQUENCIES}, and by two tables more")
    if tables and _stretch(file, family) != 1.0:
        raise _refused(f"it stretches its positions by a factor and by a table ({min(tables)})")


def _refuse_some_biases(file: GgufFile) -> None:
    """llama.cpp takes each bias for itself; mlx_lm's LLaMA has all of attention, and all of the MLP, or none."""
    for group in (("attn_q", "attn_k", "attn_v", "attn_output"), ("ffn_gate", "ffn_up", "ffn_down")):
        names = [f"blk.{block}.{part}.bias" for block in range(_number(file, "llama.block_count")) for part in group]
        missing = [name for name in names if name not in file.tensors]
        if missing and len(missing) < len(names):
            raise _refused(f"some of its matrices have a bias, and there is no {missing[0]}")


def _rope_kind(file: GgufFile, family: str) -> str:
    return file.text(f"{family}.rope.scaling.type") or "linear"  # llama.cpp's default


def _stretch(file: GgufFile, family: str) -> float:
    """The factor of all wavelengths alike; 1 for none."""
    if _rope_kind(file, family) != "linear":
        return 1.0
    old = file.metadata.get(f"{family}.rope.scale_linear", 1.0)
    factor = file.metadata.get(f"{family}.rope.scaling.factor", old)
    if not isinstance(factor, int | float) or not factor >= 0:
        raise _refused(f"its {family}.rope.scaling.factor is {factor!r}")
    return float(factor) or 1.0  # llama.cpp takes 0 as none


def _rope_scaling(file: GgufFile, family: str, tables: Mapping[str, Sequence[float]]) -> dict[str, Any] | None:
    """What stretches the positions. transformers has no name for a table that every window uses: LongRoPE is one."""
    if not tables:
        stretch = _stretch(file, family)
        return None if stretch == 1.0 else {"type": "linear", "factor": stretch}
    trained = _number(file, f"{family}.context_length")
    return {
        "type": "longrope",
        "short_factor": list(tables.get(_SHORT, tables.get(_FREQUENCIES, ()))),
        "long_factor": list(tables.get(_LONG, tables.get(_FREQUENCIES, ()))),
        "original_max_position_embeddings": _number(file, f"{family}.rope.scaling.original_context_length", trained),
        "attention_factor": _real(file, f"{family}.rope.scaling.attn_factor", 1.0),
    }


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
