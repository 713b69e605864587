from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from leanvibe_lsp.engine.memory import (
    Attention,
    Budget,
    Weights,
    config_attention,
    estimate,
    gguf_attention,
    gguf_weights,
    refuse_too_large,
    safetensors_weights,
)
from leanvibe_lsp.engine.models.formats import Format
from leanvibe_lsp.engine.models.gguf import read_gguf
from leanvibe_lsp.engine.models.tensor import TensorInfo
from leanvibe_lsp.engine.select import Machine, Selection
from leanvibe_lsp.errors import ModelError
from tests.support.engines import located
from tests.support.gguf import safetensors_bytes, write_gguf

MIB = 1 << 20
APPLE = Machine("Darwin", "arm64", False, "0.32", None, None)


def test_what_is_held_counts_once() -> None:
    """With a cap, other models take from it; without one, they are already missing from what is available."""
    assert Budget(cap=10, available=3, reserve=1, held=4).room == 6
    assert Budget(cap=0, available=8, reserve=1, held=4).room == 7
    assert Budget(cap=4, available=8, reserve=1, held=9).room == 0


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        (Budget(2_048 * MIB, 9_000 * MIB, 0, 1_024 * MIB), "allows 2,048 MiB, of which 1,024 MiB are taken"),
        (Budget(0, 1_536 * MIB, 512 * MIB, 0), "1,536 MiB are available, of which 512 MiB stay with the system"),
    ],
)
def test_a_refusal_has_the_numbers(budget: Budget, said: str) -> None:
    """Needed, room, and where the room comes from; what fits to the byte is taken."""
    refuse_too_large("big on mlx", budget.room, budget)
    with pytest.raises(ModelError) as caught:
        refuse_too_large("big on mlx", 1_025 * MIB, budget)
    assert "big on mlx needs about 1,025 MiB of memory, and there is room for 1,024 MiB" in caught.value.message
    assert said in caught.value.message
    assert "smaller model" in caught.value.next_step


@pytest.mark.parametrize(
    ("expand", "dense", "expected"),
    [
        (True, 4_000, (4_000, 4)),  # all as 32-bit floats
        (True, 3_999, (500 + 400, 4)),  # the packed stay packed, the floats are widened
        (False, 4_000, (500 + 400, 4)),
        (False, 399, (500 + 200, 2)),  # as they are in the file
        (False, 0, (500 + 200, 2)),
    ],
)
def test_weights_as_they_are_held(expand: bool, dense: int, expected: tuple[int, int]) -> None:
    """The rules of the precision on a CPU, at their edges."""
    assert Weights(numbers=1_000, floats=100, packed=500).held(expand=expand, dense=dense) == expected


def test_the_cache_of_a_window() -> None:
    """Keys and values, every layer, and never more than the model's own window."""
    attention = Attention(layers=2, heads=3, width=8, window=100)
    assert attention.cache_bytes(50, 4) == 2 * 2 * 3 * 8 * 50 * 4
    assert attention.cache_bytes(1_000, 2) == 2 * 2 * 3 * 8 * 100 * 2


def test_a_gguf_by_its_headers(tmp_path: Path) -> None:
    """Packed tensors at their bits, with a scale and a bias for each 32 numbers; the others as floats."""
    metadata = {
        "general.architecture": "llama",
        "llama.block_count": 2,
        "llama.attention.head_count": 4,
        "llama.attention.head_count_kv": 2,
        "llama.embedding_length": 64,
        "llama.context_length": 128,
    }
    path = write_gguf(tmp_path / "m.gguf", metadata, {"a": (64, 64)}, kind=2, block=(32, 18))
    file = read_gguf(path)
    assert gguf_weights(file.tensors) == Weights(numbers=4_096, floats=2 * 4_096 // 32, packed=2_048)
    assert gguf_attention(file) == Attention(layers=2, heads=2, width=16, window=128)
    needed = estimate(Selection("mlx", replace(located(), path=path), ()), APPLE)
    assert needed == 2_048 + 256 * 2 + 2 * 2 * 2 * 16 * 128 * 2


def test_a_folder_by_its_headers(tmp_path: Path) -> None:
    """Packed matrices by the config's bits, a layer's own before the others'; scales and biases are floats."""
    packed = {"q.weight": ("U32", (8, 8), 256), "q.scales": ("F16", (8, 1), 16), "q.biases": ("F16", (8, 1), 16)}
    files = packed | {"norm.weight": ("F16", (64,), 128)}
    tensors = {name: TensorInfo(kind, shape, 0, count) for name, (kind, shape, count) in files.items()}
    config = {"quantization": {"bits": 4, "group_size": 64}}
    assert safetensors_weights(tensors, config) == Weights(numbers=512 + 64, floats=16 + 64, packed=256)
    own = {"quantization": {"bits": 4, "group_size": 64, "q": {"bits": 8, "group_size": 64}}}
    assert safetensors_weights(tensors, own).numbers == 256 + 64
    sizes = {"num_hidden_layers": 2, "num_attention_heads": 4, "hidden_size": 64, "max_position_embeddings": 128}
    assert config_attention(sizes) == Attention(layers=2, heads=4, width=16, window=128)
    (tmp_path / "config.json").write_text(json.dumps(config | sizes), encoding="utf-8")
    (tmp_path / "model.safetensors").write_bytes(safetensors_bytes(files))
    here = replace(located(Format.SAFETENSORS), path=tmp_path)
    assert estimate(Selection("mlx", here, ()), APPLE) == 256 + 80 * 2 + 2 * 2 * 4 * 16 * 128 * 2


def test_what_is_not_here_takes_nothing() -> None:
    """A server's model, and the mock."""
    assert estimate(Selection("remote", None, ()), APPLE) == 0
