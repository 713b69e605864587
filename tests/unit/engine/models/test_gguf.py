"""The GGUF reader: what it reads, and that no hostile file gets past its bounds."""

from __future__ import annotations

import contextlib
import struct
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leanvibe_lsp.config import limits
from leanvibe_lsp.engine.models.gguf import GGML_TYPES, read_gguf
from leanvibe_lsp.engine.models.registry import REGISTRY, embedded_file
from leanvibe_lsp.engine.models.tensor import TensorInfo
from leanvibe_lsp.errors import ModelFormatError
from tests.support.gguf import gguf_bytes, string, write_gguf


@pytest.mark.parametrize("version", [2, 3])
def test_metadata_comes_back_as_written(tmp_path, version):
    """Each kind of value is read with its type, in both versions."""
    written = {"a": "text", "n": 7, "f": 0.5, "b": True, "s": ["x", "", "ü"], "i": [1, -2], "g": [0.25], "e": []}
    file = read_gguf(write_gguf(tmp_path / "m", written, version=version))
    assert file.metadata == written
    assert file.version == version
    assert (file.text("a"), file.text("n"), file.number("n"), file.number("b")) == ("text", "", 7, None)


def test_tensors_have_row_major_shapes_and_absolute_offsets(tmp_path):
    """Shapes are rows first, offsets count from the start of the file, sizes follow the block."""
    path = write_gguf(tmp_path / "m", {}, {"a": (2, 64), "b": (32,)}, kind=3, block=(32, 20))
    file = read_gguf(path)
    assert file.data_offset % 32 == 0
    assert file.tensors == {
        "a": TensorInfo("Q4_1", (2, 64), file.data_offset, 80),
        "b": TensorInfo("Q4_1", (32,), file.data_offset + 96, 20),
    }


def test_the_alignment_of_the_file_is_used(tmp_path):
    """`general.alignment` moves the data; one that is no power of two is refused."""
    path = write_gguf(tmp_path / "m", {"general.alignment": 128}, {"a": (400,)})
    assert read_gguf(path).data_offset % 128 == 0
    with pytest.raises(ModelFormatError, match="alignment"):
        read_gguf(write_gguf(tmp_path / "m", {"general.alignment": 24}))


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (b"", "cut short"),
        (b"GGML" + bytes(40), "does not begin"),
        (b"GGUF" + struct.pack(">I", 3) + bytes(40), "big-endian"),
        (b"GGUF" + struct.pack("<I", 1) + bytes(40), "version 1"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1 << 60, 0), "more than it can hold"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1 << 62), "more than it can hold"),
        (gguf_bytes({"a": struct.pack("<IIQ", 9, 8, 1 << 61)}), "more than the file can hold"),
        (gguf_bytes({"a": struct.pack("<IIQ", 9, 6, 1 << 61)}), "more than the file can hold"),
        (gguf_bytes({"a": struct.pack("<IIQ", 9, 9, 1) + bytes(64)}), "array of arrays"),
        (gguf_bytes({"a": struct.pack("<IIQ", 9, 77, 1) + bytes(64)}), "unknown type 77"),
        (gguf_bytes({"a": struct.pack("<I", 77)}), "unknown type 77"),
        (gguf_bytes({"a": struct.pack("<IQ", 8, 1 << 63)}), "cut short"),
        (gguf_bytes({"a": struct.pack("<IIQQ", 9, 8, 1, 1 << 62) + bytes(8)}), "cut short"),
        (gguf_bytes({"a": struct.pack("<I", 8) + string(b"\xff")}), "not UTF-8"),
        (gguf_bytes({"a": struct.pack("<IIQ", 9, 8, 1) + string(b"\xff")}), "not UTF-8"),
        (gguf_bytes({}, {"a": (1, 1, 1, 1, 1)}), "5 dimensions"),
        (gguf_bytes({}, {"a": (8,)}, kind=99), "unknown type 99"),
        (gguf_bytes({}, {"a": (8,)}, kind=3), "multiple of Q4_1's 32"),
        (gguf_bytes({}, {"a": (8,), "b": (8,)}, offsets={"b": 0}), "overlap"),
        (gguf_bytes({}, {"a": (8,), "b": (8,)}, offsets={"b": 33}), "not aligned"),
        (gguf_bytes({}, {"a": (8,)}, offsets={"a": 1 << 62}), "cut short"),
    ],
)
def test_a_hostile_file_is_refused_by_name(tmp_path, broken, message):
    """Counts, lengths and offsets beyond the file never get as far as an allocation."""
    (tmp_path / "m").write_bytes(broken)
    with pytest.raises(ModelFormatError, match=message):
        read_gguf(tmp_path / "m")


def test_a_name_given_twice_is_refused(tmp_path):
    """Two values or tensors by one name: nobody can say which is meant."""
    once = struct.pack("<I", 4) + bytes(4)
    head = b"GGUF" + struct.pack("<IQQ", 3, 0, 2) + 2 * (string("a") + once)
    (tmp_path / "m").write_bytes(head)
    with pytest.raises(ModelFormatError, match="comes twice"):
        read_gguf(tmp_path / "m")
    tensor = string("t") + struct.pack("<IQIQ", 1, 8, 0, 0)
    (tmp_path / "m").write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 2, 0) + 2 * tensor + bytes(64))
    with pytest.raises(ModelFormatError, match="comes twice"):
        read_gguf(tmp_path / "m")


def test_a_header_beyond_the_limit_is_not_read(tmp_path, monkeypatch):
    """A file whose front never ends costs no more memory than the limit."""
    row = limits.Limit("model.header_bytes", 1000, 0, 2000, "bytes", "")
    monkeypatch.setitem(limits.LIMITS, "model.header_bytes", row)
    with pytest.raises(ModelFormatError, match="longer than 1,000 bytes"):
        read_gguf(write_gguf(tmp_path / "m", {"a": ["x" * 50] * 50}))


@pytest.mark.parametrize(
    "broken",
    [
        gguf_bytes({"a": struct.pack("<IIQ", 9, 6, 101) + bytes(404)}),
        gguf_bytes({"a": struct.pack("<IIQ", 9, 8, 101) + bytes(808)}),
        gguf_bytes({name: struct.pack("<IIQ", 9, 0, 60) + bytes(60) for name in "ab"}),
        gguf_bytes({}, {f"t{number}": (1,) for number in range(101)}),
    ],
)
def test_what_takes_more_memory_than_bytes_is_counted(tmp_path, broken, monkeypatch):
    """Tensors, values and items of lists: each becomes an object, many times as large as in the file."""
    row = limits.Limit("model.header_items", 100, 0, 2000, "items", "")
    monkeypatch.setitem(limits.LIMITS, "model.header_items", row)
    (tmp_path / "m").write_bytes(broken)
    with pytest.raises(ModelFormatError, match="more than 100 tensors, values and items"):
        read_gguf(tmp_path / "m")


@pytest.mark.parametrize("alignment", [1 << 17, 1 << 40, 1 << 62])
def test_weights_cannot_be_aligned_past_all_memory(tmp_path, alignment):
    """Also in a file without any: what is read up to them would be as long."""
    value = string("general.alignment") + struct.pack("<IQ", 10, alignment)
    (tmp_path / "m").write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + value + bytes(64))
    with pytest.raises(ModelFormatError, match=r"the alignment is .* too much"):
        read_gguf(tmp_path / "m")


def test_what_cannot_be_opened_is_an_error_with_a_name(tmp_path):
    """The operating system's error is mapped."""
    with pytest.raises(ModelFormatError, match="cannot be read"):
        read_gguf(tmp_path / "nothing")


SOUND = gguf_bytes({"a": "text", "s": ["x", "y"], "n": 3}, {"t": (8,), "u": (2, 4)})


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_damage_gets_past_the_error_tree(tmp_path, data):
    """Whatever bytes change or are cut: either it is read, or it is a ModelFormatError."""
    content = bytearray(SOUND[: data.draw(st.integers(0, len(SOUND)))])
    for at, byte in data.draw(st.dictionaries(st.integers(0, len(SOUND)), st.integers(0, 255), max_size=6)).items():
        if at < len(content):
            content[at] = byte
    (tmp_path / "m").write_bytes(content)
    with contextlib.suppress(ModelFormatError):
        read_gguf(tmp_path / "m")


def test_types_are_consistent():
    """Whole blocks only, and no name twice."""
    names = [name for name, _, _ in GGML_TYPES.values()]
    assert len(set(names)) == len(names)
    assert all(block in (1, 32, 64, 128, 256) and size > 0 for _, block, size in GGML_TYPES.values())


@pytest.mark.real_model
def test_the_embedded_model_is_read_whole():
    """Known facts of SmolLM2, and the last tensor ends where the file ends."""
    path = embedded_file(REGISTRY["smollm2"].source)
    begin = time.perf_counter()
    file = read_gguf(path)
    print(f"read_gguf: {time.perf_counter() - begin:.3f} s")
    assert file.text("general.architecture") == "llama"
    assert len(file.metadata["tokenizer.ggml.tokens"]) == 49_152
    assert len(file.tensors) == 272
    assert file.tensors["blk.0.attn_k.weight"].shape == (192, 576)
    assert max(tensor.offset + tensor.nbytes for tensor in file.tensors.values()) == path.stat().st_size
