from __future__ import annotations

from typing import Any

import pytest

from leanvibe_lsp.engine.local.architecture import RopeTable, architecture_of
from leanvibe_lsp.errors import ModelFormatError

LONGROPE = {"rope_type": "longrope", "short_factor": [1.0, 2.0], "long_factor": [3.0, 4.0]}


def config(family: str, **changes: Any) -> dict[str, Any]:
    """A config with heads that are 4 wide, trained on 64 tokens."""
    sizes = {"hidden_size": 16, "num_attention_heads": 4, "num_hidden_layers": 2, "max_position_embeddings": 64}
    return {"model_type": family} | sizes | changes


def read(made: dict[str, Any], window: int = 64, tensors: tuple[str, ...] = ()) -> Any:
    return architecture_of(made, tensors=tensors, window=window)


@pytest.mark.parametrize("family", ["llama", "qwen2", "phi3"])
def test_both_layouts_are_one(family: str) -> None:
    """rope_theta beside rope_scaling, or in rope_parameters; silent about it, it is transformers' default."""
    old, new = config(family, rope_theta=500.0), config(family, rope_parameters={"rope_theta": 500.0})
    assert read(old) == read(new)
    assert read(old).arguments["rope_theta"] == 500.0
    assert read(config(family)).arguments["rope_theta"] == 10_000.0


@pytest.mark.parametrize("family", ["llama", "qwen2", "phi3"])
def test_an_output_matrix_is_used(family: str) -> None:
    """A config that does not say whether embedding and output are one leaves it to the weights, not to mlx_lm."""
    assert read(config(family)).arguments["tie_word_embeddings"]
    assert not read(config(family), tensors=("lm_head.weight",)).arguments["tie_word_embeddings"]
    said = config(family, tie_word_embeddings=True)
    assert read(said, tensors=("lm_head.weight",)).arguments["tie_word_embeddings"]


def test_longrope_follows_the_window() -> None:
    """Up to the first window the short factors, past it the long ones; the magnitude is the same."""
    made = config("phi3", original_max_position_embeddings=16, rope_scaling=LONGROPE)
    short, long = read(made, window=16).rope, read(made, window=17).rope
    assert (short.factors, long.factors) == ((1.0, 2.0), (3.0, 4.0))
    assert short.magnitude == long.magnitude == pytest.approx(1.5**0.5)  # 1 + log(64 / 16) / log(16)
    assert read(made | {"rope_scaling": LONGROPE | {"attention_factor": 2.0}}).rope.magnitude == 2.0
    assert read(made | {"max_position_embeddings": 16}).rope.magnitude == 1.0
    inner = LONGROPE | {"original_max_position_embeddings": 16}
    assert read(config("llama", rope_scaling=inner, rope_traditional=True)).rope == RopeTable(
        4, 10_000.0, (3.0, 4.0), pytest.approx(1.5**0.5), neighbours=True
    )


def test_a_sliding_window_that_is_never_left_is_none() -> None:
    """Only Phi-3's is used, and only where the window is longer."""
    assert read(config("phi3", sliding_window=24)).sliding_window == 24
    assert read(config("phi3", sliding_window=63)).sliding_window == 63
    assert read(config("phi3", sliding_window=64)).sliding_window is None
    assert read(config("mistral", sliding_window=63)).sliding_window == 63
    assert read(config("mistral", sliding_window=64)).sliding_window is None
    assert read(config("mistral3", text_config={"sliding_window": 63})).sliding_window == 63
    assert read(config("mistral", sliding_window=63, use_sliding_window=False)).sliding_window is None
    assert read(config("phi3", sliding_window=24), window=24).sliding_window is None
    assert read(config("llama", sliding_window=24)).sliding_window is None


def test_scaling_never_reaches_past_the_trained_window() -> None:
    """Dynamic scaling does nothing before it; the others keep what they were trained on."""
    assert read(config("llama", rope_scaling={"type": "dynamic", "factor": 2.0})).arguments["rope_scaling"] is None
    yarn = read(config("qwen2", rope_scaling={"type": "yarn", "factor": 2.0})).arguments["rope_scaling"]
    assert (yarn["type"], yarn["original_max_position_embeddings"]) == ("yarn", 64)


REFUSED = {
    "unknown": config("llama", rope_scaling={"rope_type": "unheard"}),
    "phi3 linear": config("phi3", rope_scaling={"type": "linear", "factor": 2.0}),
    "yarn's magnitude": config("qwen2", rope_scaling={"type": "yarn", "factor": 2.0, "attention_factor": 2.0}),
    "yarn unrounded": config("qwen2", rope_scaling={"type": "yarn", "factor": 2.0, "truncate": False}),
    "partial": config("llama", partial_rotary_factor=0.5),
    "activation": config("qwen2", hidden_act="gelu"),
    "wide heads": config("phi3", head_dim=8),
    "factors": config("phi3", rope_scaling=LONGROPE | {"long_factor": [1.0]}),
    "sliding layers": config("qwen2", use_sliding_window=True, max_window_layers=1, sliding_window=24),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_be_computed_otherwise_is_refused(name: str) -> None:
    """mlx_lm would compute these in another way, and say nothing."""
    with pytest.raises(ModelFormatError, match="MLX cannot run") as caught:
        read(REFUSED[name])
    assert caught.value.next_step


def test_sliding_layers_that_never_slide_are_fine() -> None:
    """The layers from the 29th on, or a window that is never left."""
    read(config("qwen2", use_sliding_window=True, sliding_window=24))
    read(config("qwen2", use_sliding_window=True, max_window_layers=1, sliding_window=64))


def test_other_families_are_told_the_old_layout() -> None:
    """mlx_lm's older classes look for rope_theta alone; what the config says itself stays."""
    new = {"model_type": "mistral", "rope_parameters": {"rope_theta": 500.0, "rope_type": "default"}}
    assert read(new).arguments == {"rope_theta": 500.0, "rope_scaling": None}
    assert read(new | {"rope_theta": 7.0}).arguments == {"rope_scaling": None}
    assert read({"model_type": "mamba"}).arguments == {}
    by_layer = {"full_attention": {"rope_theta": 500.0}}
    assert read({"model_type": "gemma3", "rope_parameters": by_layer}).arguments == {}
