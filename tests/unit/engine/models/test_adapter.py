from __future__ import annotations

import pytest

from leanvibe_lsp.engine.models.registry import resolve
from leanvibe_lsp.errors import ModelFormatError
from tests.support.gguf import safetensors_bytes


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "adapters.safetensors"])
@pytest.mark.parametrize(
    ("config", "base"),
    [
        ('{"base_model_name_or_path": "org/model"}', " for org/model"),
        ('{"model": "org/model"}', " for org/model"),
        ('{"model": 5}', ""),
        ("[", ""),
    ],
)
def test_an_adapter_is_no_model(tmp_path, name, config, base):
    """PEFT's and mlx_lm's: given as a model it is refused, with the name of what it was made for."""
    (tmp_path / name).write_bytes(safetensors_bytes({"model.layers.0.self_attn.q_proj.lora_a": ("F16", (8, 4), 64)}))
    (tmp_path / "adapter_config.json").write_text(config)
    with pytest.raises(ModelFormatError, match=f"is an adapter{base}, not a model"):
        resolve(str(tmp_path), cache=tmp_path)
