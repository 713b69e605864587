"""The parity fixtures as models in every format that is read: folders of each layout and type, and GGUF files.

Made here rather than stored, from weights and logits that `tests/fixtures/parity/make.py` wrote.
"""

from __future__ import annotations

import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from leanvibe_lsp.engine.models.gguf import GGML_TYPES
from tests.support.gguf import gguf_of
from tests.support.tiny_mlx import GGUF_NAMES

HERE = Path(__file__).parent.parent / "fixtures" / "parity"
CONTENT: dict[str, Any] = json.loads((HERE / "cases.json").read_text())
CASES: dict[str, Any] = CONTENT["cases"]
KEPT: list[int] = CONTENT["kept"]
KINDS = {name: number for number, (name, _block, _bytes) in GGML_TYPES.items()}
Array = Any

NAMES = GGUF_NAMES | {"self_attn.qkv_proj": "attn_qkv", "mlp.gate_up_proj": "ffn_up"}
WHOLE = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}


def prompt(name: str) -> list[int]:
    """The `short` or the `long` one."""
    ids: list[int] = CONTENT[name]
    return ids


@cache
def golden() -> dict[str, Array]:
    """transformers' logits by `<case>.<prompt>`."""
    from leanvibe_lsp.engine.local.arrays import mx

    return {name: np.array(array) for name, array in mx.load(str(HERE / "logits.safetensors")).items()}


@cache
def weights(case: str) -> dict[str, Array]:
    """The weights of a case as 32-bit floats, by transformers' names."""
    from leanvibe_lsp.engine.local.arrays import mx

    found: dict[str, Array] = {}
    for file in sorted((HERE / CASES[case]["weights"]).glob("*.safetensors")):
        found |= {name: np.array(array.astype(mx.float32)) for name, array in mx.load(str(file)).items()}
    if CASES[case]["config"]["tie_word_embeddings"]:
        del found["lm_head.weight"]
    return found


def old_layout(config: dict[str, Any]) -> dict[str, Any]:
    """A config as transformers 4 wrote it: what it was before `rope_parameters`."""
    old = dict(config)
    rope = old.pop("rope_parameters")
    old["rope_theta"] = rope.pop("rope_theta")
    old["partial_rotary_factor"] = rope.pop("partial_rotary_factor", 1.0)
    kind = rope.pop("rope_type")
    old["rope_scaling"] = None if kind == "default" else rope | {"type": "su" if kind == "longrope" else kind}
    return old


def config_of(case: str, **changes: Any) -> dict[str, Any]:
    """A case's config.json."""
    config: dict[str, Any] = json.loads(json.dumps(CASES[case]["config"]))
    return config | changes


def write_folder(
    folder: Path, config: dict[str, Any], arrays: dict[str, Array], *, dtype: str = "float32", shards: int = 1
) -> Path:
    """A folder as transformers or mlx_lm write it. `arrays` that are no floats keep their type."""
    from leanvibe_lsp.engine.local.arrays import mx

    folder.mkdir(exist_ok=True)
    typed = {
        name: array.astype(getattr(mx, dtype)) if mx.issubdtype(array.dtype, mx.floating) else array
        for name, array in ((name, mx.array(array)) for name, array in arrays.items())
    }
    names = sorted(typed)
    placed = {name: f"model-{1 + index % shards:05d}-of-{shards:05d}.safetensors" for index, name in enumerate(names)}
    if shards > 1:
        (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": placed}))
    else:
        placed = dict.fromkeys(names, "model.safetensors")
    for file in set(placed.values()):
        mx.save_safetensors(str(folder / file), {name: typed[name] for name in names if placed[name] == file})
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def pack_mlx(arrays: dict[str, Array], *, bits: int, group_size: int) -> tuple[dict[str, Array], dict[str, Array]]:
    """MLX's triples for each matrix, and the matrices that they stand for."""
    from leanvibe_lsp.engine.local.arrays import mx

    packed: dict[str, Array] = {}
    plain: dict[str, Array] = {}
    how = {"bits": bits, "group_size": group_size}
    for name, array in arrays.items():
        base = name.removesuffix(".weight")
        if array.ndim == 1:
            packed[name] = plain[name] = array
            continue
        triple = mx.quantize(mx.array(array), **how)
        packed[name], packed[f"{base}.scales"], packed[f"{base}.biases"] = triple
        plain[name] = np.array(mx.dequantize(*triple, **how))
    return packed, plain


def encode(kind: str, array: Array) -> bytes:
    """A matrix in one of ggml's types; its blocks are 32 wide (ggml-quants.c, quantize_row_*_ref)."""
    if kind in ("F32", "F16"):
        return bytes(array.astype(np.float32 if kind == "F32" else np.float16).tobytes())
    blocks = array.astype(np.float32).reshape(-1, 32)
    if kind == "Q8_0":
        scale = np.abs(blocks).max(axis=1, keepdims=True) / 127
        numbers = np.round(blocks * _inverse(scale)).astype(np.int8)
        return _join(scale.astype(np.float16), numbers)
    if kind == "Q4_0":
        largest = np.take_along_axis(blocks, np.abs(blocks).argmax(axis=1)[:, None], axis=1)
        scale = largest / -8
        numbers = np.minimum(15, blocks * _inverse(scale) + 8.5).astype(np.uint8)
        return _join(scale.astype(np.float16), _nibbles(numbers))
    assert kind == "Q4_1"
    low, high = blocks.min(axis=1, keepdims=True), blocks.max(axis=1, keepdims=True)
    scale = (high - low) / 15
    numbers = np.minimum(15, (blocks - low) * _inverse(scale) + 0.5).astype(np.uint8)
    return _join(scale.astype(np.float16), low.astype(np.float16), _nibbles(numbers))


def decode(kind: str, data: bytes, shape: tuple[int, ...]) -> Array:
    """The numbers that `encode` wrote, as 32-bit floats (ggml-quants.c, dequantize_row_*)."""
    if kind in ("F32", "F16"):
        return np.frombuffer(data, np.float32 if kind == "F32" else np.float16).astype(np.float32).reshape(shape)
    blocks = np.frombuffer(data, np.uint8).reshape(-1, GGML_TYPES[KINDS[kind]][2])
    scale = blocks[:, :2].copy().view(np.float16).astype(np.float32)
    if kind == "Q8_0":
        return (blocks[:, 2:].view(np.int8) * scale).reshape(shape)
    nibbles = blocks[:, -16:]
    numbers = np.concatenate([nibbles & 15, nibbles >> 4], axis=1).astype(np.float32)
    offset = -8 * scale if kind == "Q4_0" else blocks[:, 2:4].copy().view(np.float16).astype(np.float32)
    return (numbers * scale + offset).reshape(shape)


def _inverse(scale: Array) -> Array:
    return np.divide(1, scale, out=np.zeros_like(scale), where=scale != 0)


def _nibbles(numbers: Array) -> Array:
    return numbers[:, :16] | numbers[:, 16:] << 4


def _join(*parts: Array) -> bytes:
    return bytes(np.concatenate([part.view(np.uint8) for part in parts], axis=1).tobytes())


def gguf_tensors(case: str, kind: str) -> dict[str, tuple[int, tuple[int, ...], bytes]]:
    """A case's tensors as llama.cpp's converter writes them: its names, LLaMA's q and k permuted, vectors F32."""
    config = CASES[case]["config"]
    tensors: dict[str, tuple[int, tuple[int, ...], bytes]] = {}
    for name, array in weights(case).items():
        base, _dot, part = name.rpartition(".")
        own = WHOLE.get(base, "")
        if not own:
            _model, _layers, block, middle = base.split(".", 3)
            own = f"blk.{block}.{NAMES[middle]}"
        heads = {"attn_q": "num_attention_heads", "attn_k": "num_key_value_heads"}.get(own.rpartition(".")[2])
        if config["model_type"] == "llama" and heads:
            array = array.reshape(config[heads], 2, -1, *array.shape[1:]).swapaxes(1, 2).reshape(array.shape)
        own_kind = kind if array.ndim == 2 else "F32"
        tensors[f"{own}.{part}"] = (KINDS[own_kind], array.shape, encode(own_kind, array))
    return tensors | _rope_tables(config)


def _rope_tables(config: dict[str, Any]) -> dict[str, tuple[int, tuple[int, ...], bytes]]:
    rope, tables = config["rope_parameters"], {}
    if rope["rope_type"] == "longrope":
        tables = {"rope_factors_long.weight": rope["long_factor"], "rope_factors_short.weight": rope["short_factor"]}
    if rope["rope_type"] == "llama3":
        tables = {"rope_freqs.weight": _llama3(rope, config["head_dim"])}
    return {name: (0, (len(table),), encode("F32", np.array(table))) for name, table in tables.items()}


def _llama3(rope: dict[str, Any], width: int) -> list[float]:
    """How much longer each wavelength becomes: not below a length, in full above another, in between in between."""
    table = []
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    for index in range(0, width, 2):
        turns = rope["original_max_position_embeddings"] / (2 * math.pi * rope["rope_theta"] ** (index / width))
        share = min(1.0, max(0.0, (turns - low) / (high - low)))
        table.append(1 / ((1 - share) / rope["factor"] + share))
    return table


def gguf_metadata(case: str) -> dict[str, Any]:
    """A case's metadata as llama.cpp's converter writes it, and a tokenizer of single letters."""
    config = CASES[case]["config"]
    family, rope = config["model_type"], config["rope_parameters"]
    width = config["hidden_size"] // config["num_attention_heads"]
    own: dict[str, Any] = {
        "embedding_length": config["hidden_size"],
        "block_count": config["num_hidden_layers"],
        "feed_forward_length": config["intermediate_size"],
        "attention.head_count": config["num_attention_heads"],
        "attention.head_count_kv": config["num_key_value_heads"],
        "attention.layer_norm_rms_epsilon": config["rms_norm_eps"],
        "context_length": config["max_position_embeddings"],
        "rope.freq_base": float(rope["rope_theta"]),
        "rope.dimension_count": int(width * rope.get("partial_rotary_factor", 1.0)),
    }
    if rope["rope_type"] == "linear":
        own |= {"rope.scaling.type": "linear", "rope.scaling.factor": rope["factor"]}
    if rope["rope_type"] == "longrope":
        stretch = config["max_position_embeddings"] / config["original_max_position_embeddings"]
        magnitude = math.sqrt(1 + math.log(stretch) / math.log(config["original_max_position_embeddings"]))
        own["rope.scaling.attn_factor"] = magnitude
    if family == "phi3":
        own["rope.scaling.original_context_length"] = config["original_max_position_embeddings"]
        own["attention.sliding_window"] = config["sliding_window"] or 0
    letters = [chr(code) for code in range(33, 33 + config["vocab_size"] - 2)]
    return {
        "general.architecture": family,
        **{f"{family}.{key}": value for key, value in own.items()},
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": ["<end>", *letters, "!!"],
        "tokenizer.ggml.token_type": [3] + [1] * (config["vocab_size"] - 1),
        "tokenizer.ggml.merges": ["! !"],
        "tokenizer.ggml.eos_token_id": 0,
        "tokenizer.ggml.add_bos_token": False,
    }


def write_case_gguf(path: Path, case: str, kind: str) -> Path:
    """A case as a GGUF file, its matrices of one type."""
    path.write_bytes(gguf_of(gguf_metadata(case), gguf_tensors(case, kind)))
    return path


def rounded(case: str, kind: str) -> dict[str, Array]:
    """A case's weights as they are after `encode`, by transformers' names."""
    return {
        name: decode(kind, encode(kind, array), array.shape) if array.ndim == 2 else array
        for name, array in weights(case).items()
    }


def distance(found: Array, expected: Array) -> float:
    """The largest difference in a row of logits, relative to the largest logit of that row; the worst row."""
    assert found.shape == expected.shape
    return float((np.abs(found - expected).max(axis=-1) / np.abs(expected).max(axis=-1)).max())
