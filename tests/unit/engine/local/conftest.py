from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from leanvibe_lsp.engine.local.backend import MlxEngine
from tests.support.tiny_mlx import CONFIG, Ask, make_engine, random_model, tokenizer_json


@pytest.fixture(scope="session")
def tiny_model() -> Any:
    """A LLaMA of 2 layers with random weights."""
    return random_model("llama", CONFIG)


@pytest.fixture(scope="session")
def sliding() -> Any:
    """A LLaMA of 2 layers, one of which sees eight tokens."""
    return random_model("llama", CONFIG | {"layer_types": ["full_attention", "sliding_attention"], "sliding_window": 8})


@pytest.fixture
def tiny_engine(tiny_model: Any) -> MlxEngine:
    """A fresh engine over `tiny_model`."""
    return make_engine(tiny_model)


@pytest.fixture
def ask(tiny_engine: MlxEngine) -> Ask:
    """Requests to a fresh tiny engine."""
    return Ask(tiny_engine)


@pytest.fixture
def folder(tiny_model: Any, tmp_path: Path) -> Path:
    """`tiny_model` as a safetensors folder."""
    from mlx.utils import tree_flatten

    from leanvibe_lsp.engine.local.arrays import mx

    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer_json()))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<end>"}))
    mx.save_safetensors(str(tmp_path / "model.safetensors"), dict(tree_flatten(tiny_model.parameters())))
    return tmp_path
