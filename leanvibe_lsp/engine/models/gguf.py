"""Reading the front of a GGUF file (version 2 and 3, little-endian): metadata and tensor table, never the weights.

The file is hostile until proven: each count and length is compared with what the file can hold before anything is
allocated, and at most `model.header_bytes` are read. Nothing is memory-mapped, since a file cut short meanwhile would
then kill the process. Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, BinaryIO

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.engine.models.tensor import TensorInfo
from leanvibe_lsp.errors import ModelFormatError

if TYPE_CHECKING:
    from pathlib import Path

MAGIC = b"GGUF"
VERSIONS = (2, 3)

Scalar = int | float | bool | str
Value = Scalar | list[int] | list[float] | list[bool] | list[str]

# ggml type number -> name, elements in a block, bytes of a block (ggml-common.h).
GGML_TYPES = {
    0: ("F32", 1, 4),
    1: ("F16", 1, 2),
    2: ("Q4_0", 32, 18),
    3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24),
    8: ("Q8_0", 32, 34),
    9: ("Q8_1", 32, 36),
    10: ("Q2_K", 256, 84),
    11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176),
    14: ("Q6_K", 256, 210),
    15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66),
    17: ("IQ2_XS", 256, 74),
    18: ("IQ3_XXS", 256, 98),
    19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18),
    21: ("IQ3_S", 256, 110),
    22: ("IQ2_S", 256, 82),
    23: ("IQ4_XS", 256, 136),
    24: ("I8", 1, 1),
    25: ("I16", 1, 2),
    26: ("I32", 1, 4),
    27: ("I64", 1, 8),
    28: ("F64", 1, 8),
    29: ("IQ1_M", 256, 56),
    30: ("BF16", 1, 2),
    34: ("TQ1_0", 256, 54),
    35: ("TQ2_0", 256, 66),
    39: ("MXFP4", 32, 17),
    40: ("NVFP4", 64, 36),
    41: ("Q1_0", 128, 18),
}

_SCALARS = {
    0: struct.Struct("<B"),
    1: struct.Struct("<b"),
    2: struct.Struct("<H"),
    3: struct.Struct("<h"),
    4: struct.Struct("<I"),
    5: struct.Struct("<i"),
    6: struct.Struct("<f"),
    7: struct.Struct("<?"),
    10: struct.Struct("<Q"),
    11: struct.Struct("<q"),
    12: struct.Struct("<d"),
}
_U32, _U64 = _SCALARS[4], _SCALARS[10]
_STRING, _ARRAY = 8, 9
_MAX_DIMENSIONS = 4  # GGML_MAX_DIMS
_READ_AHEAD = 1 << 20


@dataclass(frozen=True, slots=True)
class GgufFile:
    """The front of one file. Offsets count from the start of the file; `data_offset` is where weights begin."""

    version: int
    metadata: dict[str, Value]
    tensors: dict[str, TensorInfo]
    data_offset: int
    alignment: int

    def text(self, key: str) -> str:
        """A string of the metadata; "" when it is missing or something else."""
        value = self.metadata.get(key)
        return value if isinstance(value, str) else ""

    def number(self, key: str) -> int | None:
        """A whole number of the metadata, or None."""
        value = self.metadata.get(key)
        return value if isinstance(value, int) and not isinstance(value, bool) else None


def read_gguf(path: Path) -> GgufFile:
    """Metadata and tensors of `path`. Raises ModelFormatError for what is no GGUF, is broken, or cut short."""
    try:
        with path.open("rb") as file:
            return _Reader(file, path).read()
    except OSError as error:
        raise ModelFormatError(f"{path} cannot be read: {error.strerror or error}.") from error


class _Reader:
    """A cursor over the front of the file that never steps past its end."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file = file
        self._path = path
        self._size = path.stat().st_size
        self._limit = limit("model.header_bytes")
        self._items = limit("model.header_items")
        self._buffer = bytearray()
        self._at = 0

    def read(self) -> GgufFile:
        """The whole front, checked."""
        version, tensor_count, value_count = self._preamble()
        metadata: dict[str, Value] = {}
        for _ in range(value_count):
            key = self._string("a metadata key")
            if key in metadata:
                raise self._broken(f"the metadata key {key!r} comes twice")
            metadata[key] = self._value(key, self._unpack(_U32))
        entries = [self._entry() for _ in range(tensor_count)]
        alignment = metadata.get("general.alignment", 32)
        if not isinstance(alignment, int) or alignment <= 0 or alignment & (alignment - 1):
            raise self._broken(f"the alignment is {alignment!r}, not a power of two")
        if alignment > limit("model.alignment"):
            raise self._broken(f"the alignment is {alignment:,}, which is too much")
        data_offset = -(-self._at // alignment) * alignment
        tensors: dict[str, TensorInfo] = {}
        for name, type_number, shape, offset in entries:
            if name in tensors:
                raise self._broken(f"the tensor {name!r} comes twice")
            if offset % alignment:
                raise self._broken(f"the tensor {name!r} is not aligned to {alignment} bytes")
            tensors[name] = self._tensor(name, type_number, shape, data_offset + offset)
        self._check_extent(tensors)
        return GgufFile(version, metadata, tensors, data_offset, alignment)

    def _preamble(self) -> tuple[int, int, int]:
        if bytes(self._take(len(MAGIC))) != MAGIC:
            raise self._broken("it does not begin with GGUF")
        version = self._unpack(_U32)
        if version not in VERSIONS:
            kind = "it is big-endian" if version & 0xFFFF == 0 and version else f"it is version {version}"
            raise self._broken(f"{kind}; versions 2 and 3, little-endian, are accepted")
        tensor_count, value_count = self._unpack(_U64), self._unpack(_U64)
        # The shortest entries: name length, type and offset; key length, type and one byte.
        if tensor_count * 24 + value_count * 13 > self._size:
            raise self._broken(f"it claims {tensor_count:,} tensors and {value_count:,} values, more than it can hold")
        self._take_items(tensor_count + value_count)
        return version, tensor_count, value_count

    def _entry(self) -> tuple[str, int, tuple[int, ...], int]:
        name = self._string("a tensor's name")
        dimensions = self._unpack(_U32)
        if dimensions > _MAX_DIMENSIONS:
            raise self._broken(f"the tensor {name!r} has {dimensions} dimensions")
        shape = tuple(self._unpack(_U64) for _ in range(dimensions))[::-1]
        return name, self._unpack(_U32), shape, self._unpack(_U64)

    def _tensor(self, name: str, type_number: int, shape: tuple[int, ...], offset: int) -> TensorInfo:
        if type_number not in GGML_TYPES:
            raise self._broken(f"the tensor {name!r} has the unknown type {type_number}")
        dtype, block, block_bytes = GGML_TYPES[type_number]
        row = shape[-1] if shape else 1
        if row % block:
            raise self._broken(f"the tensor {name!r} has rows of {row}, not a multiple of {dtype}'s {block}")
        return TensorInfo(dtype, shape, offset, prod(shape) // block * block_bytes)

    def _check_extent(self, tensors: dict[str, TensorInfo]) -> None:
        end, previous = 0, ""
        for name, tensor in sorted(tensors.items(), key=lambda item: (item[1].offset, item[1].nbytes)):
            if tensor.offset < end:
                raise self._broken(f"the tensors {previous!r} and {name!r} overlap")
            end, previous = tensor.offset + tensor.nbytes, name
        if end > self._size:
            raise ModelFormatError(
                f"{self._path} is cut short: it has {self._size:,} bytes, its tensors need {end:,}.",
                next_step="Download it again.",
            )

    def _value(self, key: str, kind: int) -> Value:
        if kind == _STRING:
            return self._string(key)
        if kind == _ARRAY:
            return self._array(key)
        if kind not in _SCALARS:
            raise self._broken(f"the value of {key!r} has the unknown type {kind}")
        scalar: Scalar = self._unpack(_SCALARS[kind])
        return scalar

    def _array(self, key: str) -> Value:
        kind, count = self._unpack(_U32), self._unpack(_U64)
        if kind == _ARRAY:
            raise self._broken(f"the value of {key!r} is an array of arrays")
        if kind != _STRING and kind not in _SCALARS:
            raise self._broken(f"the value of {key!r} has the unknown type {kind}")
        item = _U64.size if kind == _STRING else _SCALARS[kind].size
        if count * item > self._size - self._at:
            raise self._broken(f"{key!r} claims {count:,} items, more than the file can hold")
        self._take_items(count)
        if kind == _STRING:
            return self._strings(key, count)
        code = _SCALARS[kind].format[1:]
        return list(struct.unpack(f"<{count}{code}", self._take(count * item)))

    def _take_items(self, count: int) -> None:
        """Python takes many times the bytes of the file for each."""
        self._items -= count
        if self._items < 0:
            raise self._broken(f"it has more than {limit('model.header_items'):,} tensors, values and items of lists")

    def _strings(self, key: str, count: int) -> list[str]:
        # Called for vocabularies of 200,000 entries: one loop over local names, no call per string.
        found: list[str] = []
        buffer, at, have, length_of = self._buffer, self._at, len(self._buffer), _U64.unpack_from
        try:
            for _ in range(count):
                start = at + 8
                if start > have:
                    have = self._fill(start)
                at = start + length_of(buffer, at)[0]
                if at > have:
                    have = self._fill(at)
                found.append(buffer[start:at].decode())
        except UnicodeDecodeError as error:
            raise self._broken(f"{key!r} holds a string that is not UTF-8") from error
        self._at = at
        return found

    def _string(self, what: str) -> str:
        try:
            return self._take(self._unpack(_U64)).decode()
        except UnicodeDecodeError as error:
            raise self._broken(f"{what} is not UTF-8") from error

    def _unpack(self, form: struct.Struct) -> int:
        # Typed as int for its many callers; `_value` alone asks for other scalars.
        number: int = form.unpack(self._take(form.size))[0]
        return number

    def _take(self, count: int) -> bytearray:
        end = self._at + count
        if end > len(self._buffer):
            self._fill(end)
        piece = self._buffer[self._at : end]
        self._at = end
        return piece

    def _fill(self, end: int) -> int:
        if end > self._size:
            raise ModelFormatError(
                f"{self._path} is cut short: its header goes on past its {self._size:,} bytes.",
                next_step="Download it again.",
            )
        if end > self._limit:
            raise self._broken(f"its header is longer than {self._limit:,} bytes")
        have = len(self._buffer)
        self._buffer += self._file.read(min(max(end - have, _READ_AHEAD), self._limit - have))
        if len(self._buffer) < end:
            raise self._broken("it shrank while it was read")
        return len(self._buffer)

    def _broken(self, what: str) -> ModelFormatError:
        return ModelFormatError(
            f"{self._path} is not a usable GGUF file: {what}.",
            next_step="Download it again, or take another file of the model.",
        )
