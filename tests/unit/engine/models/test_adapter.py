from __future__ import annotations

import json

import pytest

from leanvibe_lsp.engine.models.adapter import check_adapter
from leanvibe_lsp.engine.models.registry import resolve
from leanvibe_lsp.errors import ModelFormatError
from tests.support.gguf import safetensors_bytes

WEIGHTS = {"model.layers.0.self_attn.q_proj.weight": (16, 8)}
MODULE = "model.layers.0.self_attn.q_proj"


def _adapter(folder, factors, *, base="org/model", name="adapter_model.safetensors"):
    folder.mkdir(exist_ok=True)
    tensors = {key: ("F16", shape, 2 * shape[0] * shape[1]) for key, shape in factors.items()}
    (folder / name).write_bytes(safetensors_bytes(tensors))
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": base}))
    return folder


def test_adapters_of_both_kinds_that_fit_have_no_problems(tmp_path):
    """PEFT's names and shapes, and mlx_lm's."""
    peft = {f"base_model.model.{MODULE}.lora_A.weight": (4, 8), f"base_model.model.{MODULE}.lora_B.weight": (16, 4)}
    mlx = {f"{MODULE}.lora_a": (8, 4), f"{MODULE}.lora_b": (4, 16)}
    assert check_adapter(_adapter(tmp_path / "peft", peft), "org/model", WEIGHTS) == []
    assert check_adapter(_adapter(tmp_path / "m", mlx, name="adapters.safetensors"), "org/model", WEIGHTS) == []


@pytest.mark.parametrize(
    ("factors", "said"),
    [
        ({f"{MODULE}.lora_a": (9, 4), f"{MODULE}.lora_b": (4, 16)}, "expected an adapter for 16x8, found one for 16x9"),
        ({f"{MODULE}.lora_a": (8, 4), f"{MODULE}.lora_b": (5, 16)}, "two factors of one rank"),
        ({f"{MODULE}.lora_a": (8, 4)}, "expected two factors, found one"),
        ({"model.layers.9.x.lora_a": (8, 4), "model.layers.9.x.lora_b": (4, 8)}, "expected a matrix of the model"),
        ({f"{MODULE}.magnitude": (1, 16)}, "expected a factor of LoRA"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, factors, said):
    """One line for each, with the module."""
    problems = check_adapter(_adapter(tmp_path / "a", factors), "org/model", WEIGHTS)
    assert len(problems) == 1
    assert said in str(problems[0])


def test_an_adapter_for_another_model_is_named(tmp_path):
    """Also when its shapes fit."""
    mlx = {f"{MODULE}.lora_a": (8, 4), f"{MODULE}.lora_b": (4, 16)}
    problems = check_adapter(_adapter(tmp_path / "a", mlx, base="org/other"), "org/model", WEIGHTS)
    assert [str(problem) for problem in problems] == [
        "adapter_config.json: expected an adapter for org/model, found one for org/other"
    ]


def test_an_adapter_is_no_model(tmp_path):
    """Given as a model it is refused, with the name of what it was made for."""
    folder = _adapter(tmp_path / "a", {f"{MODULE}.lora_a": (8, 4)})
    with pytest.raises(ModelFormatError, match="is an adapter for org/model, not a model"):
        resolve(str(folder), cache=tmp_path)
    with pytest.raises(ModelFormatError, match="holds no adapter"):
        check_adapter(tmp_path, "org/model", WEIGHTS)
