"""The mapping of tensors is total: whatever is wrong with any one of them is an error with its name."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leanvibe_lsp.core.cancel import CancelToken
from leanvibe_lsp.engine.local.load import load_weights
from leanvibe_lsp.engine.models.formats import Format
from leanvibe_lsp.errors import ModelDamaged, ModelError
from tests.support import parity
from tests.support.gguf import gguf_of
from tests.support.parity import KINDS, config_of, weights
from tests.support.tiny_mlx import located

FAMILIES = ["llama", "llama-biased", "qwen2", "phi3"]
FAULTS = ["missing", "extra", "misshaped", "mistyped"]
INDEX = "model.safetensors.index.json"

few = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def assert_named(name: str, path: Path, kind: Format) -> None:
    with pytest.raises(ModelError, match=re.escape(name)) as caught:
        load_weights(located(path, kind), CancelToken())
    assert caught.value.next_step


def spoiled(arrays: dict[str, Any], name: str, fault: str) -> tuple[str, dict[str, Any]]:
    """The arrays with one fault, and the name of the tensor that has it."""
    array = np.array(arrays[name])
    match fault:
        case "missing":
            return name, {other: kept for other, kept in arrays.items() if other != name}
        case "extra":
            return f"{name}.more", arrays | {f"{name}.more": array}
        case "misshaped":
            return name, arrays | {name: np.concatenate([array, array[:1]])}
        case _:
            return name, arrays | {name: array.astype(np.int32)}


@pytest.mark.parametrize("packed", [False, True], ids=["floats", "packed"])
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("case", FAMILIES)
@few
@given(data=st.data())
def test_any_tensor_of_a_folder(case: str, fault: str, packed: bool, tmp_path: Path, data: st.DataObject) -> None:
    """Whatever tensor it is, of floats or of MLX's triples."""
    arrays, config = weights(case), config_of(case)
    if packed:
        arrays, _plain = parity.pack_mlx(arrays, bits=4, group_size=32)
        config |= {"quantization": {"bits": 4, "group_size": 32}}
    name, wrong = spoiled(arrays, data.draw(st.sampled_from(sorted(arrays))), fault)
    assert_named(name, parity.write_folder(tmp_path, config, wrong), Format.SAFETENSORS)


@pytest.mark.parametrize("kind", ["F16", "Q4_1"])
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("case", [*FAMILIES, "phi3-longrope"])
@few
@given(data=st.data())
def test_any_tensor_of_a_gguf(case: str, fault: str, kind: str, tmp_path: Path, data: st.DataObject) -> None:
    """Whatever tensor it is. (Without output.weight the embedding stands for it: no fault that a reader can see.)"""
    tensors = parity.gguf_tensors(case, kind)
    name = data.draw(st.sampled_from(sorted(tensors.keys() - ({"output.weight"} if fault == "missing" else set()))))
    number, shape, content = tensors[name]
    match fault:
        case "missing":
            del tensors[name]
        case "extra":
            name = name.replace(".", ".more.", 1)
            tensors[name] = number, shape, content
        case "misshaped":
            row = len(content) // shape[0]
            tensors[name] = number, (shape[0] + 1, *shape[1:]), content + content[:row]
        case _:
            tensors[name] = KINDS["I32"], shape, bytes(4 * int(np.prod(shape)))
    path = tmp_path / "model.gguf"
    path.write_bytes(gguf_of(parity.gguf_metadata(case), tensors))
    assert_named(name, path, Format.GGUF)


@pytest.mark.parametrize("case", FAMILIES)
def test_a_vector_in_blocks(case: str, tmp_path: Path) -> None:
    """Norms and biases are never quantised: no reader would take them for numbers."""
    for name, (_number, shape, _content) in parity.gguf_tensors(case, "F16").items():
        if len(shape) == 1 and shape[0] % 32 == 0:
            blocks = KINDS["Q8_0"], shape, bytes(shape[0] // 32 * 34)
            path = tmp_path / "model.gguf"
            path.write_bytes(gguf_of(parity.gguf_metadata(case), parity.gguf_tensors(case, "F16") | {name: blocks}))
            assert_named(name, path, Format.GGUF)


@pytest.mark.parametrize("case", FAMILIES)
def test_an_index_that_lies(case: str, tmp_path: Path) -> None:
    """A shard that is missing, a tensor that is elsewhere or nowhere: each is named."""
    shard = "model-00002-of-00003.safetensors"

    def index() -> dict[str, Any]:
        parity.write_folder(tmp_path, config_of(case), weights(case), shards=3)
        content: dict[str, Any] = json.loads((tmp_path / INDEX).read_text())
        return content

    index()
    (tmp_path / shard).unlink()
    assert_named(shard, tmp_path, Format.SAFETENSORS)
    moved = index()
    name = next(name for name, place in moved["weight_map"].items() if place != shard)
    moved["weight_map"][name] = shard
    (tmp_path / INDEX).write_text(json.dumps(moved))
    assert_named(name, tmp_path, Format.SAFETENSORS)
    longer = index()
    longer["weight_map"]["model.layers.7.mlp.down_proj.weight"] = shard
    (tmp_path / INDEX).write_text(json.dumps(longer))
    assert_named("model.layers.7.mlp.down_proj.weight", tmp_path, Format.SAFETENSORS)


def test_someone_elses_quantisation(tmp_path: Path) -> None:
    """Weights packed for another program are refused by its name."""
    config = config_of("llama", quantization_config={"quant_method": "awq", "bits": 4, "group_size": 32})
    parity.write_folder(tmp_path, config, weights("llama"))
    with pytest.raises(ModelDamaged, match="awq"):
        load_weights(located(tmp_path, Format.SAFETENSORS), CancelToken())


def test_tables_that_follow_from_the_config(tmp_path: Path) -> None:
    """Old checkpoints store the rotary frequencies: nobody reads them, and they are no fault."""
    more = {"model.layers.0.self_attn.rotary_emb.inv_freq": np.ones(4, np.float32)}
    for case in FAMILIES:
        parity.write_folder(tmp_path, config_of(case), weights(case) | more)
        load_weights(located(tmp_path, Format.SAFETENSORS), CancelToken())
