"""A census of the weights in a file, without a backend: what no trained tensor looks like.

Every byte that says how large a number is gets looked at: a float itself, or the scale of a block of quantised numbers.
Python is slow at single numbers and fast at long integers, so a piece of a file is taken as one integer, and each test
is an addition that carries into a lane's top bit. 2 GB take about as long as their sha256.
"""

from __future__ import annotations

import statistics
import struct
import zlib
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.engine.models.tensor import Problem, TensorInfo

if TYPE_CHECKING:
    from leanvibe_lsp.core.cancel import CancelToken


@dataclass(frozen=True, slots=True)
class _Lanes:
    """Where floats of `width` bytes, with `exponent` bits, are: at `offsets` in each block of `block` bytes."""

    block: int
    offsets: tuple[int, ...]
    width: int
    exponent: int

    @property
    def infinite(self) -> int:
        """The exponent of what is no finite number."""
        return (1 << self.exponent) - 1


# ggml-common.h's blocks: where their scales (and minima) are. Types that are not here have scales of another kind.
_F16, _BF16, _F32 = _Lanes(2, (0,), 2, 5), _Lanes(2, (0,), 2, 8), _Lanes(4, (0,), 4, 8)
LANES = {
    "F32": _F32,
    "F16": _F16,
    "BF16": _BF16,
    "Q4_0": _Lanes(18, (0,), 2, 5),
    "Q4_1": _Lanes(20, (0, 2), 2, 5),
    "Q5_0": _Lanes(22, (0,), 2, 5),
    "Q5_1": _Lanes(24, (0, 2), 2, 5),
    "Q8_0": _Lanes(34, (0,), 2, 5),
    "Q2_K": _Lanes(84, (80, 82), 2, 5),
    "Q3_K": _Lanes(110, (108,), 2, 5),
    "Q4_K": _Lanes(144, (0, 2), 2, 5),
    "Q5_K": _Lanes(176, (0, 2), 2, 5),
    "Q6_K": _Lanes(210, (208,), 2, 5),
}


@dataclass(frozen=True, slots=True)
class Count:
    """One tensor: the largest power of two in its floats, whether all are 0, a checksum, and their usual size.

    `typical` is the median magnitude of a sample.
    """

    peak: int
    finite: bool
    zero: bool
    checksum: int
    typical: float


@dataclass(frozen=True, slots=True)
class Census:
    """`problems` no model has; `suspects` a model may have, and name the place when it does not work.

    `skipped` says which weights were not counted.
    """

    problems: tuple[Problem, ...] = ()
    suspects: tuple[Problem, ...] = ()
    skipped: tuple[str, ...] = ()


def take_census(files: Iterable[tuple[Path, Mapping[str, TensorInfo]]], cancel: CancelToken) -> Census:
    """Count every tensor of `files` whose type is known. Raises Cancelled, OSError."""
    counts: dict[str, Count] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    unknown: Counter[str] = Counter()
    for path, tensors in files:
        with path.open("rb") as file:
            for name, tensor in tensors.items():
                lanes = LANES.get(tensor.dtype)
                if lanes is None:
                    unknown[tensor.dtype] += tensor.dtype != _PACKED
                elif tensor.nbytes:
                    file.seek(tensor.offset)
                    counts[name] = count(_pieces(file.read, tensor.nbytes, lanes, cancel), lanes)
                    shapes[name] = tensor.shape
    skipped = tuple(f"the weights of {count} {dtype} tensors" for dtype, count in unknown.items() if count)
    return Census(tuple(_problems(counts, shapes)), tuple(_suspects(counts, shapes)), skipped)


def zero_matrices(files: Iterable[tuple[Path, Mapping[str, TensorInfo]]], cancel: CancelToken) -> list[Problem]:
    """Matrices of zeros alone, as `take_census` names them, in a moment: a sound one is hardly looked at.

    Raises Cancelled, OSError.
    """
    found = []
    for path, tensors in files:
        with path.open("rb") as file:
            for name, tensor in tensors.items():
                lanes = LANES.get(tensor.dtype)
                if lanes is None or not tensor.nbytes or not _needs_weights(name, tensor.shape):
                    continue
                cancel.check()
                if all(_is_zero(int.from_bytes(glance, "little"), lanes) for glance in _glances(file, tensor, lanes)):
                    file.seek(tensor.offset)
                    if count(_pieces(file.read, tensor.nbytes, lanes, cancel), lanes).zero:
                        found.append(_zeros(name))
    return found


def _glances(file: BinaryIO, tensor: TensorInfo, lanes: _Lanes) -> Iterator[bytes]:
    """A few blocks here and there."""
    blocks = min(_blocks(lanes), max(1, limit("census.glance_bytes") // lanes.block))
    last, times = max(0, tensor.nbytes // lanes.block - blocks), limit("census.glances")
    for number in range(times):
        file.seek(tensor.offset + last * number // (times - 1) * lanes.block)
        yield file.read(min(blocks * lanes.block, tensor.nbytes))


def _pieces(read: Callable[[int], bytes], nbytes: int, lanes: _Lanes, cancel: CancelToken) -> Iterator[bytes]:
    """Whole blocks, at most `_blocks` of them at once."""
    size = _blocks(lanes) * lanes.block
    while nbytes > 0 and (piece := read(min(size, nbytes))):
        cancel.check()
        yield piece
        nbytes -= len(piece)


def _blocks(lanes: _Lanes) -> int:
    return max(1, limit("census.piece_bytes") // lanes.block)


def count(pieces: Iterable[bytes], lanes: _Lanes) -> Count:
    """Pure: the count of a tensor that comes in pieces of whole blocks, of at most `census.piece_bytes`."""
    peak, zero, checksum = 0, True, 0
    sample: list[float] = []
    for piece in pieces:
        checksum = zlib.crc32(piece, checksum)
        value = int.from_bytes(piece, "little")
        zero = zero and _is_zero(value, lanes)
        if peak < lanes.infinite and _reaches(value, peak + 1, lanes):
            above = range(peak + 2, lanes.infinite + 1)
            peak += 1 + bisect_left(above, True, key=lambda exponent: not _reaches(value, exponent, lanes))
        sample += _sample(piece, lanes)
    typical = statistics.median(sample) if sample else 0.0
    return Count(peak - lanes.infinite // 2, peak < lanes.infinite, zero, checksum, typical)


def _is_zero(value: int, lanes: _Lanes) -> bool:
    """True when all floats are 0, of either sign."""
    return not value & _mask(lanes, (1 << (lanes.width * 8 - 1)) - 1)


def _reaches(value: int, exponent: int, lanes: _Lanes) -> bool:
    """True when a float has at least this exponent: the sum with what is missing carries into the sign's place."""
    sign = lanes.width * 8 - 1
    exponents = value & _mask(lanes, lanes.infinite << (sign - lanes.exponent))
    missing = _mask(lanes, 1 << (sign - lanes.exponent)) * ((1 << lanes.exponent) - exponent)
    return bool((exponents + missing) & _mask(lanes, 1 << sign))


@cache
def _mask(lanes: _Lanes, word: int) -> int:
    """`word` in the place of each float of the longest piece, 0 elsewhere."""
    block = bytearray(lanes.block)
    for offset in lanes.offsets:
        block[offset : offset + lanes.width] = word.to_bytes(lanes.width, "little")
    return int.from_bytes(bytes(block) * _blocks(lanes), "little")


def _sample(piece: bytes, lanes: _Lanes) -> list[float]:
    """Magnitudes of floats spread over a piece."""
    step = max(1, len(piece) // lanes.block // limit("census.sample")) * lanes.block
    found = []
    for at in range(lanes.offsets[0], len(piece), step):
        word = piece[at : at + lanes.width]
        if lanes is _BF16:
            word = b"\0\0" + word
        value = abs(struct.unpack("<e" if len(word) == 2 else "<f", word)[0])
        if value < float("inf"):
            found.append(value)
    return found


def _problems(counts: Mapping[str, Count], shapes: Mapping[str, tuple[int, ...]]) -> Iterator[Problem]:
    for name, one in counts.items():
        if not one.finite:
            yield Problem(name, "finite numbers", "NaN or infinity")
        elif one.zero and _needs_weights(name, shapes[name]):
            yield _zeros(name)


def _needs_weights(name: str, shape: tuple[int, ...]) -> bool:
    return len(shape) > 1 and not name.endswith(".biases")


def _zeros(name: str) -> Problem:
    return Problem(name, "trained weights", "zeros alone")


def _suspects(counts: Mapping[str, Count], shapes: Mapping[str, tuple[int, ...]]) -> Iterator[Problem]:
    """Matrices unlike the same matrix of the other layers."""
    families: dict[str, list[str]] = defaultdict(list)
    for name, one in counts.items():
        if one.finite and not one.zero and len(shapes[name]) > 1:
            families[role(name)].append(name)
    for names in families.values():
        if len(names) < _SIBLINGS:
            continue
        peak = statistics.median(counts[name].peak for name in names)
        typical = statistics.median(counts[name].typical for name in names)
        first: dict[int, str] = {}
        for name in names:
            one = counts[name]
            if abs(one.peak - peak) > limit("census.peak_doublings"):
                yield Problem(name, f"a largest scale about 2^{peak:.0f}", f"2^{one.peak}")
            elif not typical / limit("census.factor") <= one.typical <= typical * limit("census.factor"):
                yield Problem(name, f"a usual scale about {typical:.2g}", f"{one.typical:.2g}")
            if (twin := first.setdefault(one.checksum, name)) != name:
                yield Problem(name, "weights of its own", f"those of {twin}")


_PACKED = "U32"  # MLX's quantised numbers: any bits will do, and their scales are tensors of their own
_SIBLINGS = 4  # fewer layers have no usual size


def role(name: str) -> str:
    """A tensor's name without its layer: "blk.*.attn_q.weight"."""
    return ".".join("*" if part.isdigit() else part for part in name.split("."))
