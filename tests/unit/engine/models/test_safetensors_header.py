"""Safetensors headers: what they say, and each way they can be wrong."""

from __future__ import annotations

import json
import struct

import pytest

from leanvibe_lsp.engine.models.safetensors_header import INDEX, read_folder, read_header
from leanvibe_lsp.engine.models.tensor import Problem, TensorInfo
from leanvibe_lsp.errors import ModelFormatError
from tests.support.gguf import safetensors_bytes


def _raw(header: object, data: int = 0) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(data)


def test_tensors_come_with_absolute_offsets(tmp_path):
    """The data begins behind the header; __metadata__ is no tensor."""
    path = tmp_path / "m"
    path.write_bytes(safetensors_bytes({"a": ("F16", (2, 3), 12), "b": ("U32", (1,), 4), "empty": ("F32", (0,), 0)}))
    begin = path.stat().st_size - 16
    assert read_header(path) == {
        "a": TensorInfo("F16", (2, 3), begin, 12),
        "b": TensorInfo("U32", (1,), begin + 12, 4),
        "empty": TensorInfo("F32", (0,), begin + 16, 0),
    }


def _entry(**change: object) -> dict[str, object]:
    return {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **change}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has 0 bytes"),
        (b"\x01\x02", "has 2 bytes"),
        (struct.pack("<Q", 1 << 60), "claims a header"),
        (struct.pack("<Q", 1000) + b"{}", "cut short"),
        (_raw(b"{nonsense"), "no JSON"),
        (_raw(b"[" * 100_000), "no JSON"),
        (_raw([1]), "no JSON object"),
        (_raw({"a": {}}), "malformed"),
        (_raw({"a": 5}), "malformed"),
        (_raw(_entry(dtype=["F32"]), 8), "malformed"),
        (_raw(_entry(shape=[-2]), 8), "malformed"),
        (_raw(_entry(shape=["2"]), 8), "malformed"),
        (_raw(_entry(shape=[True, 2]), 8), "malformed"),
        (_raw(_entry(data_offsets=[0]), 8), "malformed"),
        (_raw(_entry(dtype="F7"), 8), "unknown dtype 'F7'"),
        (_raw(_entry(shape=[3]), 8), "should have 12 bytes"),
        (_raw(_entry(), 7), "cut short"),
        (_raw({**_entry(), "b": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}, 8), "'a' and 'b' overlap"),
    ],
)
def test_each_defect_is_named(tmp_path, content, message):
    """A header that lies is an error that says where."""
    (tmp_path / "m").write_bytes(content)
    with pytest.raises(ModelFormatError, match=message):
        read_header(tmp_path / "m")


def test_a_missing_file_is_an_error_with_a_name(tmp_path):
    """The operating system's error is mapped."""
    with pytest.raises(ModelFormatError, match="cannot be read"):
        read_header(tmp_path / "m")


def _shards(folder, weight_map):
    (folder / "model-1.safetensors").write_bytes(safetensors_bytes({"a": ("F32", (2,), 8)}))
    (folder / "model-2.safetensors").write_bytes(safetensors_bytes({"b": ("F32", (2,), 8)}))
    (folder / INDEX).write_text(json.dumps({"weight_map": weight_map}))


def test_whole_shards_are_put_together(tmp_path):
    """All tensors of all shards, and no problem."""
    _shards(tmp_path, {"a": "model-1.safetensors", "b": "model-2.safetensors"})
    tensors, problems = read_folder(tmp_path)
    assert sorted(tensors) == ["a", "b"]
    assert problems == []


def test_each_thing_that_is_wrong_with_shards_is_one_problem(tmp_path):
    """A missing shard, a tensor elsewhere, a missing tensor, a shard outside the folder, a cut one."""
    (tmp_path / "model-3.safetensors").write_bytes(safetensors_bytes({"d": ("F32", (2,), 8)})[:-1])
    _shards(
        tmp_path,
        {
            "a": "model-2.safetensors",
            "b": "model-2.safetensors",
            "c": "model-1.safetensors",
            "d": "model-3.safetensors",
            "e": "model-4.safetensors",
            "f": "../model-1.safetensors",
        },
    )
    _tensors, problems = read_folder(tmp_path)
    named = {problem.subject: problem for problem in problems}
    assert sorted(named) == ["../model-1.safetensors", "a", "c", "model-3.safetensors", "model-4.safetensors"]
    assert named["a"] == Problem("a", "it in model-2.safetensors", "it in model-1.safetensors")
    assert named["c"].found == "nothing"
    assert named["model-4.safetensors"].found == "no such file"
    assert "cut short" in named["model-3.safetensors"].found


def test_weights_that_the_index_does_not_name_are_a_problem(tmp_path):
    """mlx_lm would load them over the others; weights by another name are not loaded, and no matter."""
    _shards(tmp_path, {"a": "model-1.safetensors", "b": "model-2.safetensors"})
    for name in ("model-extra.safetensors", "adapter.safetensors"):
        (tmp_path / name).write_bytes(safetensors_bytes({"a": ("F32", (2,), 8)}))
    _tensors, problems = read_folder(tmp_path)
    assert [problem.subject for problem in problems] == ["model-extra.safetensors"]


def test_a_tensor_in_two_shards_is_a_problem(tmp_path):
    """Which one would be loaded depends on the loader."""
    for number in (1, 2):
        (tmp_path / f"model-{number}.safetensors").write_bytes(safetensors_bytes({"a": ("F32", (2,), 8)}))
    _tensors, problems = read_folder(tmp_path)
    assert [problem.subject for problem in problems] == ["a"]


@pytest.mark.parametrize("index", ["", "{}", '{"weight_map": [1]}', '{"weight_map": {"a": 1}}'])
def test_a_broken_index_is_an_error(tmp_path, index):
    """An index that cannot be followed is not skipped."""
    (tmp_path / INDEX).write_text(index)
    with pytest.raises(ModelFormatError, match="weight_map"):
        read_folder(tmp_path)
