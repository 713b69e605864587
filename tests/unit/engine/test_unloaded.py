"""What is known of a model before its weights are read is what its engine says afterwards."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.cancel import CancelToken
from leanvibe_lsp.engine.llama import LlamaEngine
from leanvibe_lsp.engine.mock import MockEngine
from leanvibe_lsp.engine.models.formats import Format
from leanvibe_lsp.engine.models.registry import LocalPath, Located, ModelSpec, resolve
from leanvibe_lsp.engine.select import Selection
from leanvibe_lsp.engine.unloaded import _window, facts_without_weights
from leanvibe_lsp.errors import ModelFormatError


def test_the_mock_and_a_server() -> None:
    """The mock is as it is; a server is not asked."""
    mock = facts_without_weights(Selection("mock", None, ()))
    assert mock.window == MockEngine().load(CancelToken()).window
    remote = facts_without_weights(Selection("remote", None, ()))
    assert (remote.window, remote.tokenizer) == (limit("remote.window"), None)


@pytest.mark.real_model
def test_a_real_model(tmp_path: Path) -> None:
    """Window, template and ids of SmolLM2 are those of the engine that loaded it."""
    located = resolve("smollm2", cache=tmp_path)
    early = facts_without_weights(Selection("llama.cpp", located, ()))
    engine = LlamaEngine(located)
    loaded = engine.load(CancelToken())
    engine.close()
    assert early.tokenizer is not None
    assert loaded.tokenizer is not None
    assert early.tokenizer.encode("def f(): 😀") == loaded.tokenizer.encode("def f(): 😀")
    same = replace(loaded, tokenizer=early.tokenizer, memory_bytes=0, device="")
    assert early == same


def test_the_window_of_a_folder(tmp_path: Path) -> None:
    """As its config says, at most ours; a config that cannot be read is an error."""
    located = Located("m", tmp_path, Format.SAFETENSORS, ModelSpec("m", LocalPath(tmp_path), ""), None)
    for said, window in ((128, 128), (1 << 20, limit("engine.window")), (None, limit("engine.window"))):
        (tmp_path / "config.json").write_text(json.dumps({"max_position_embeddings": said}))
        assert _window(located) == window
    (tmp_path / "config.json").write_text("[")
    with pytest.raises(ModelFormatError, match=r"config\.json cannot be read"):
        _window(located)
