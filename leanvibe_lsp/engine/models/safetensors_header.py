"""Reading the headers of safetensors files, one or in shards, without the weights.

A file is: u64 little-endian length, that much JSON {name: {dtype, shape, data_offsets}}, then the bytes. Offsets count
from the end of the JSON. Format: https://huggingface.co/docs/safetensors
"""

from __future__ import annotations

import json
import struct
from math import prod
from typing import TYPE_CHECKING, Any

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.engine.models.tensor import Problem, TensorInfo
from leanvibe_lsp.errors import ModelFormatError

if TYPE_CHECKING:
    from pathlib import Path

INDEX = "model.safetensors.index.json"

DTYPE_BYTES = {
    "BOOL": 1,
    "U8": 1,
    "I8": 1,
    "F8_E4M3": 1,
    "F8_E5M2": 1,
    "U16": 2,
    "I16": 2,
    "F16": 2,
    "BF16": 2,
    "U32": 4,
    "I32": 4,
    "F32": 4,
    "U64": 8,
    "I64": 8,
    "F64": 8,
}


def read_header(path: Path) -> dict[str, TensorInfo]:
    """The tensors of one file. Raises ModelFormatError when the header is none, or the file is shorter than it says."""
    size, data_offset, header = _read_json(path)
    tensors = {
        name: _tensor(path, name, entry, data_offset) for name, entry in header.items() if name != "__metadata__"
    }
    end, previous = data_offset, ""
    for name, tensor in sorted(tensors.items(), key=lambda item: (item[1].offset, item[1].nbytes)):
        if tensor.offset < end and tensor.nbytes:
            raise _broken(
                path,
                f"the tensors {previous!r} and {name!r} overlap" if previous else f"{name!r} has a bad offset",
            )
        end, previous = tensor.offset + tensor.nbytes, name
    if end > size:
        raise ModelFormatError(
            f"{path} is cut short: it has {size:,} bytes, its tensors need {end:,}.",
            next_step="Download it again.",
        )
    return tensors


def read_folder(folder: Path) -> tuple[dict[str, TensorInfo], list[Problem]]:
    """All tensors of a folder, and what is wrong with its shards. Follows the index where there is one."""
    index = folder / INDEX
    problems: list[Problem] = []
    if not index.is_file():
        # Without an index, these are taken: it is what mlx_lm loads too.
        placed: dict[str, str] = {}
        shards = sorted(path.name for path in folder.glob("model*.safetensors"))
    else:
        placed = _weight_map(index)
        shards = sorted(set(placed.values()))
        # mlx_lm loads these too, and their tensors would replace the ones checked here.
        problems += [
            Problem(path.name, "only the weights that the index names", "a file that it does not name")
            for path in sorted(folder.glob("model*.safetensors"))
            if path.name not in shards
        ]
    tensors: dict[str, TensorInfo] = {}
    homes: dict[str, str] = {}
    broken: set[str] = set()
    for shard in shards:
        if "/" in shard or "\\" in shard or not (folder / shard).is_file():
            problems.append(Problem(shard, "a shard named by the index", "no such file"))
            broken.add(shard)
            continue
        try:
            found = read_header(folder / shard)
        except ModelFormatError as error:
            problems.append(Problem(shard, "a whole safetensors file", error.message.rstrip(".")))
            broken.add(shard)
            continue
        problems += [
            Problem(name, "one place", f"it in {homes[name]} and in {shard}")
            for name in sorted(found.keys() & homes.keys())
        ]
        tensors |= found
        homes |= dict.fromkeys(found, shard)
    for name, shard in sorted(placed.items()):
        if shard not in broken and homes.get(name) != shard:
            problems.append(Problem(name, f"it in {shard}", f"it in {homes[name]}" if name in homes else "nothing"))
    return tensors, problems


def _weight_map(index: Path) -> dict[str, str]:
    try:
        content = json.loads(index.read_bytes())
        placed = content["weight_map"]
        if not isinstance(placed, dict) or not all(isinstance(value, str) for value in placed.values()):
            raise TypeError("weight_map")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise _broken(index, "it has no readable weight_map") from error
    return placed


def _read_json(path: Path) -> tuple[int, int, dict[str, Any]]:
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            front = file.read(8)
            if len(front) < 8:
                raise _broken(path, f"it has {size} bytes")
            (length,) = struct.unpack("<Q", front)
            if length > limit("model.header_bytes"):
                raise _broken(path, f"it claims a header of {length:,} bytes")
            if length > size - 8:
                raise _broken(path, f"it is cut short: a header of {length:,} bytes in a file of {size:,}")
            header = json.loads(file.read(length))
    except OSError as error:
        raise ModelFormatError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:
        raise _broken(path, "its header is no JSON") from error
    if not isinstance(header, dict):
        raise _broken(path, "its header is no JSON object")
    return size, 8 + length, header


def _tensor(path: Path, name: str, entry: Any, data_offset: int) -> TensorInfo:
    try:
        dtype, shape, (begin, end) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
        whole = isinstance(dtype, str) and all(type(number) is int and number >= 0 for number in (*shape, begin, end))
    except (KeyError, TypeError, ValueError) as error:
        raise _broken(path, f"the entry of {name!r} is malformed") from error
    if not whole:
        raise _broken(path, f"the entry of {name!r} is malformed")
    if dtype not in DTYPE_BYTES:
        raise _broken(path, f"{name!r} has the unknown dtype {dtype!r}")
    needed = prod(shape) * DTYPE_BYTES[dtype]
    if end - begin != needed:
        raise _broken(path, f"{name!r} should have {needed:,} bytes ({dtype} {list(shape)}), and has {end - begin:,}")
    return TensorInfo(dtype, shape, data_offset + begin, needed)


def _broken(path: Path, what: str) -> ModelFormatError:
    return ModelFormatError(f"{path} is not a usable safetensors file: {what}.", next_step="Download it again.")
