from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanvibe_lsp.core.cancel import CancelToken
from leanvibe_lsp.engine.models import census
from leanvibe_lsp.engine.models.census import LANES, count, take_census, zero_matrices
from leanvibe_lsp.engine.models.tensor import TensorInfo


@given(st.lists(st.floats(width=16), min_size=1, max_size=40))
def test_what_is_not_finite_is_found_in_every_place(numbers: list[float]) -> None:
    """The arithmetic on long integers agrees with looking at each number."""
    found = count([struct.pack(f"<{len(numbers)}e", *numbers)], LANES["F16"])
    assert found.finite == all(map(math.isfinite, numbers))
    assert found.zero == all(number == 0 for number in numbers)


@given(st.lists(st.integers(0, (1 << 16) - 1), min_size=1, max_size=40))
def test_the_peak_is_the_largest_exponent(words: list[int]) -> None:
    """Whatever the bits, in one piece or in one for each number."""
    pieces = [struct.pack("<H", word) for word in words]
    expected = max(word >> 10 & 31 for word in words) - 15
    assert count([b"".join(pieces)], LANES["F16"]).peak == count(pieces, LANES["F16"]).peak == expected


@pytest.mark.parametrize("dtype", sorted(LANES))
@pytest.mark.parametrize("at", [0, -1])
def test_every_scale_of_every_type_is_looked_at(dtype: str, at: int) -> None:
    """An infinite scale in the first or the last block is found; the quantised numbers may be anything."""
    lanes = LANES[dtype]
    for offset in lanes.offsets:
        block = bytearray(b"\xff" * lanes.block)
        for place in lanes.offsets:
            block[place : place + lanes.width] = b"\x22" * lanes.width
        blocks = [bytearray(block) for _ in range(3)]
        assert count([b"".join(blocks)], lanes).finite
        infinity = (lanes.infinite << (lanes.width * 8 - 1 - lanes.exponent)).to_bytes(lanes.width, "little")
        blocks[at][offset : offset + lanes.width] = infinity
        assert not count([b"".join(blocks)], lanes).finite


def _census(tmp_path, layers):
    """The census of one F32 matrix a layer."""
    path = tmp_path / "weights"
    path.write_bytes(b"".join(layers))
    tensors, at = {}, 0
    for number, layer in enumerate(layers):
        tensors[f"blk.{number}.w.weight"] = TensorInfo("F32", (2, len(layer) // 8), at, len(layer))
        at += len(layer)
    return take_census([(path, tensors)], CancelToken())


def _layer(seed, scale=1.0):
    return struct.pack("<8f", *(scale * (seed + number / 8) for number in range(1, 9)))


def test_healthy_layers_are_neither_problems_nor_suspects(tmp_path):
    """Weights of one size, each its own."""
    census = _census(tmp_path, [_layer(number / 10) for number in range(6)])
    assert (census.problems, census.suspects) == ((), ())


def test_zeros_and_nan_are_problems_with_a_name(tmp_path):
    """And no suspects besides."""
    census = _census(tmp_path, [*(_layer(n / 10) for n in range(5)), bytes(32), struct.pack("<8f", *[math.nan] * 8)])
    assert [str(problem) for problem in census.problems] == [
        "blk.5.w.weight: expected trained weights, found zeros alone",
        "blk.6.w.weight: expected finite numbers, found NaN or infinity",
    ]
    assert census.suspects == ()


@pytest.mark.parametrize(("odd", "said"), [(_layer(0, 1e6), "largest scale"), (_layer(0.2), "those of blk.2.w.weight")])
def test_a_layer_unlike_its_siblings_is_a_suspect(tmp_path, odd, said):
    """Far too large, or the same as another."""
    census = _census(tmp_path, [*(_layer(number / 10) for number in range(5)), odd])
    assert census.problems == ()
    assert [suspect.subject for suspect in census.suspects] == ["blk.5.w.weight"]
    assert said in str(census.suspects[0])


def test_weights_of_another_kind_are_said_to_be_skipped(tmp_path):
    """Nothing was looked at, and a person is told; MLX's packed numbers are counted by their scales."""
    (tmp_path / "weights").write_bytes(bytes(64))
    tensors = {
        f"blk.{number}.w": TensorInfo(dtype, (1, 2), number * 8, 8)
        for number, dtype in enumerate(("IQ4_XS", "IQ4_XS", "U32", "F32"))
    }
    census = take_census([(tmp_path / "weights", tensors)], CancelToken())
    assert census.skipped == ("the weights of 2 IQ4_XS tensors",)


def _zero_matrices(tmp_path, dtype, shape, weights, name="w.weight"):
    (tmp_path / "weights").write_bytes(weights)
    tensors = {name: TensorInfo(dtype, shape, 0, len(weights))}
    return [str(problem) for problem in zero_matrices([(tmp_path / "weights", tensors)], CancelToken())]


@pytest.mark.parametrize("size", [8, 1 << 10, 1 << 19])
def test_a_matrix_of_zeros_alone_is_found_by_a_sample(tmp_path, size):
    """Of any size; one number anywhere is enough to be a matrix, and vectors and biases may be 0."""
    said = ["w.weight: expected trained weights, found zeros alone"]
    assert _zero_matrices(tmp_path, "F16", (2, size // 4), bytes(size)) == said
    for at in (0, size // 3, size - 1):
        weights = bytearray(size)
        weights[at] = 1
        assert _zero_matrices(tmp_path, "F16", (2, size // 4), weights) == []
    assert _zero_matrices(tmp_path, "F16", (size // 2,), bytes(size)) == []
    assert _zero_matrices(tmp_path, "F16", (2, size // 4), bytes(size), "w.biases") == []
    assert _zero_matrices(tmp_path, "IQ4_XS", (2, size // 4), bytes(size)) == []


def test_a_sound_matrix_is_not_read_whole(tmp_path, monkeypatch):
    """A model of gigabytes is looked at in a moment."""
    monkeypatch.setattr(census, "_pieces", None)
    assert _zero_matrices(tmp_path, "F32", (2, 1 << 18), bytes(1 << 19) + b"\x22" * ((1 << 21) - (1 << 19))) == []
