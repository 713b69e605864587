from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from leanvibe_lsp.engine.local.gguf_layout import check_readable, config_of, module_path
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


def read(file: GgufFile, **tables: list[float]) -> dict[str, Any]:
    """The config of a file; an error when it is not read."""
    check_readable(file)
    return config_of(file, {f"{name}.weight": table for name, table in tables.items()})


def with_table(file: GgufFile, *names: str) -> GgufFile:
    tables = {f"{name}.weight": TensorInfo("F32", (8,), 0, 0) for name in names}
    return replace(file, tensors=file.tensors | tables)


def with_tensor(file: GgufFile, name: str, info: TensorInfo) -> GgufFile:
    return replace(file, tensors=file.tensors | {name: info})


@pytest.mark.parametrize("family", ["llama", "qwen2", "phi3"])
def test_every_tensor_has_a_place_of_its_own(family: str) -> None:
    """All tensors of a family map to different places, and the config names mlx_lm's class."""
    file = make(family)
    places = {module_path(name, family) for name in file.tensors}
    assert len(places) == len(file.tensors)
    config = read(file)
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
        read(holed)
    with pytest.raises(ModelDamaged, match=r"blk\.0\.ffn_up\.weight"):
        read(with_tensor(file, "blk.0.ffn_up.weight", TensorInfo("F16", (64, 128), 0, 0)))


def test_untied_and_biased() -> None:
    """An output matrix and attention biases are seen in the tensors."""
    file = make("llama")
    assert not read(with_tensor(file, "output.weight", TensorInfo("Q8_0", (96, 64), 0, 0)))["tie_word_embeddings"]
    rows = {"attn_q": 64, "attn_k": 32, "attn_v": 32, "attn_output": 64}
    biases = {f"blk.{n}.{name}.bias": TensorInfo("F32", (size,), 0, 0) for n in (0, 1) for name, size in rows.items()}
    config = read(replace(file, tensors=file.tensors | biases))
    assert (config["attention_bias"], config["mlp_bias"]) == (True, False)


REFUSED = {
    "K-quant": with_tensor(make("llama"), "blk.0.attn_q.weight", TensorInfo("Q4_K", (64, 64), 0, 0)),
    "bfloat": with_tensor(make("llama"), "blk.0.attn_q.weight", TensorInfo("BF16", (64, 64), 0, 0)),
    "architecture": replace(make("llama"), metadata={"general.architecture": "mamba"}),
    "experts": make("llama", expert_count=8),
    "stretched": make("llama", rope__scaling__type="yarn"),
    "table and factor": with_table(make("llama", rope__scaling__factor=4.0), "rope_freqs"),
    "all tables": with_table(make("llama"), "rope_freqs", "rope_factors_long", "rope_factors_short"),
    "half of LongRoPE": with_table(make("phi3"), "rope_factors_short"),
    "LongRoPE without tables": make("phi3", rope__scaling__type="longrope"),
    "factor": make("llama", rope__scaling__factor="much"),
    "some biases": with_tensor(make("llama"), "blk.0.attn_q.bias", TensorInfo("F32", (64,), 0, 0)),
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
        read(REFUSED[name])


def test_stretched_positions() -> None:
    """A factor, LLaMA 3's table and LongRoPE's two become what transformers' config says for them."""
    assert read(make("llama"))["rope_scaling"] is None
    assert read(make("qwen2", rope__scaling__factor=0.0))["rope_scaling"] is None
    assert read(make("llama", rope__scaling__type="none", rope__scaling__factor=4.0))["rope_scaling"] is None
    assert read(make("qwen2", rope__scale_linear=4.0))["rope_scaling"] == {"type": "linear", "factor": 4.0}
    one, other = [1.0] * 8, [2.0] * 8
    same = read(with_table(make("llama"), "rope_freqs"), rope_freqs=one)["rope_scaling"]
    assert (same["short_factor"], same["long_factor"], same["attention_factor"]) == (one, one, 1.0)
    made = make("phi3", rope__scaling__original_context_length=128, rope__scaling__attn_factor=1.5)
    two = with_table(made, "rope_factors_long", "rope_factors_short")
    found = read(two, rope_factors_long=other, rope_factors_short=one)["rope_scaling"]
    assert (found["short_factor"], found["long_factor"], found["attention_factor"]) == (one, other, 1.5)
    assert found["original_max_position_embeddings"] == 128


def test_phi3_says_how_much_of_a_head_rotates_and_what_a_token_sees() -> None:
    """A part of the head, and no sliding window for 0."""
    config = read(make("phi3", rope__dimension_count=12, attention__sliding_window=0))
    assert (config["partial_rotary_factor"], config["sliding_window"]) == (0.75, None)
    assert read(make("phi3", attention__sliding_window=64))["sliding_window"] == 64
