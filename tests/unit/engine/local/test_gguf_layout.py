from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from leanvibe_lsp.engine.local.gguf_layout import config_of, module_path
from leanvibe_lsp.engine.models.gguf import GgufFile
from leanvibe_lsp.engine.models.shapes_gguf import _sizes, expected_shapes
from leanvibe_lsp.engine.models.tensor import TensorInfo
from leanvibe_lsp.errors import ModelDamaged, ModelFormatError

WHOLE = {
    "embedding_length": 64,
    "block_count": 2,
    "feed_forward_length": 128,
    "attention.head_count": 4,
    "attention.head_count_kv": 2,
    "attention.layer_norm_rms_epsilon": 1e-5,
    "context_length": 512,
}


def make(family: str, *, without: tuple[str, ...] = (), **changes: Any) -> GgufFile:
    """A whole file of `family`; `changes` are metadata with "__" for "."."""
    metadata: dict[str, Any] = {"general.architecture": family, "tokenizer.ggml.tokens": ["a"] * 96}
    metadata |= {f"{family}.{key}": value for key, value in WHOLE.items() if key not in without}
    metadata |= {f"{family}.{key.replace('__', '.')}": value for key, value in changes.items()}
    file = GgufFile(3, metadata, {}, 0, 32)
    required, _optional = expected_shapes(family, _sizes(file, family))
    tensors = {name: TensorInfo("Q4_1" if len(shape) == 2 else "F32", shape, 0, 0) for name, shape in required.items()}
    return replace(file, tensors=tensors)


def with_tensor(file: GgufFile, name: str, info: TensorInfo) -> GgufFile:
    return replace(file, tensors=file.tensors | {name: info})


@pytest.mark.parametrize("family", ["llama", "qwen2", "phi3"])
def test_every_tensor_has_a_place_of_its_own(family: str) -> None:
    """All tensors of a family map to different places, and the config names mlx_lm's class."""
    file = make(family)
    places = {module_path(name, family) for name in file.tensors}
    assert len(places) == len(file.tensors)
    config = config_of(file)
    assert config["model_type"] == family
    assert config["rope_traditional"] == (family == "llama")
    assert config["tie_word_embeddings"]


def test_names() -> None:
    """The names llama.cpp and mlx_lm use for the same thing."""
    assert module_path("blk.11.attn_q.weight", "llama") == "model.layers.11.self_attn.q_proj.weight"
    assert module_path("blk.0.ffn_up.scales", "llama") == "model.layers.0.mlp.up_proj.scales"
    assert module_path("blk.0.ffn_up.biases", "phi3") == "model.layers.0.mlp.gate_up_proj.biases"
    assert module_path("blk.3.attn_k.bias", "qwen2") == "model.layers.3.self_attn.k_proj.bias"
    assert module_path("token_embd.weight", "llama") == "model.embed_tokens.weight"
    assert module_path("output.weight", "llama") == "lm_head.weight"


@pytest.mark.parametrize(
    "name", ["blk.0.ffn_gate_inp.weight", "blk.0.attn_q.surprise", "extra.weight", "blk.x.attn_q.weight", "", "blk.0."]
)
def test_an_extra_tensor_is_named(name: str) -> None:
    """A tensor without a place is an error that names it, never left out."""
    with pytest.raises(ModelDamaged, match="no llama model has"):
        module_path(name, "llama")


def test_missing_and_misshaped_tensors_are_named() -> None:
    """A hole or a wrong shape is named before MLX sees the file."""
    file = make("llama")
    holed = replace(file, tensors={name: t for name, t in file.tensors.items() if name != "blk.1.attn_v.weight"})
    with pytest.raises(ModelDamaged, match=r"blk\.1\.attn_v\.weight"):
        config_of(holed)
    with pytest.raises(ModelDamaged, match=r"blk\.0\.ffn_up\.weight"):
        config_of(with_tensor(file, "blk.0.ffn_up.weight", TensorInfo("F16", (64, 128), 0, 0)))


def test_untied_and_biased() -> None:
    """An output matrix and attention biases are seen in the tensors."""
    file = make("llama")
    assert not config_of(with_tensor(file, "output.weight", TensorInfo("Q8_0", (96, 64), 0, 0)))["tie_word_embeddings"]
    assert config_of(with_tensor(file, "blk.0.attn_q.bias", TensorInfo("F32", (64,), 0, 0)))["attention_bias"]


REFUSED = {
    "K-quant": with_tensor(make("llama"), "blk.0.attn_q.weight", TensorInfo("Q4_K", (64, 64), 0, 0)),
    "bfloat": with_tensor(make("llama"), "blk.0.attn_q.weight", TensorInfo("BF16", (64, 64), 0, 0)),
    "architecture": replace(make("llama"), metadata={"general.architecture": "mamba"}),
    "experts": make("llama", expert_count=8),
    "stretched": make("llama", rope__scaling__type="yarn"),
    "rope table": with_tensor(make("llama"), "rope_freqs.weight", TensorInfo("F32", (8,), 0, 0)),
    "part of a head": make("llama", rope__dimension_count=8),
    "wide heads": make("qwen2", attention__key_length=32),
    "other values": make("llama", attention__value_length=8),
    "epsilon": make("llama", without=("attention.layer_norm_rms_epsilon",)),
    "context": make("llama", without=("context_length",)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_be_computed_otherwise_is_refused(name: str) -> None:
    """What MLX cannot read, or would silently compute in another way, is refused with the way out."""
    with pytest.raises(ModelFormatError, match=r"llama\.cpp"):
        config_of(REFUSED[name])
