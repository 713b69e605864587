"""Writing small GGUF and safetensors files for tests, well-formed or broken on purpose."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

U32, I32, F32, BOOL, STRING, ARRAY, U64 = 4, 5, 6, 7, 8, 9, 10
FILL = b"\x22"  # weights that are finite and not 0 in every type


def string(text: str | bytes) -> bytes:
    """A GGUF string: length, then bytes."""
    data = text if isinstance(text, bytes) else text.encode()
    return struct.pack("<Q", len(data)) + data


def value(item: Any) -> bytes:
    """A typed metadata value; lists of str, int (I32), float (F32) and bool become arrays."""
    match item:
        case bytes():
            return item
        case bool():
            return struct.pack("<IB", BOOL, item)
        case int():
            return struct.pack("<II", U32, item)
        case float():
            return struct.pack("<If", F32, item)
        case str():
            return struct.pack("<I", STRING) + string(item)
        case list():
            if item and isinstance(item[0], str):
                return struct.pack("<IIQ", ARRAY, STRING, len(item)) + b"".join(map(string, item))
            if item and isinstance(item[0], float):
                return struct.pack(f"<IIQ{len(item)}f", ARRAY, F32, len(item), *item)
            return struct.pack(f"<IIQ{len(item)}i", ARRAY, I32, len(item), *item)
    raise TypeError(type(item))


def gguf_bytes(
    metadata: dict[str, Any] | None = None,
    tensors: dict[str, tuple[int, ...]] | None = None,
    *,
    version: int = 3,
    kind: int = 0,
    block: tuple[int, int] = (1, 4),
    offsets: dict[str, int] | None = None,
) -> bytes:
    """A whole file. `tensors` maps names to row-major shapes, all of ggml type `kind` (`block`: elements, bytes)."""
    metadata, tensors, offsets = metadata or {}, tensors or {}, offsets or {}
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(metadata))
    head += b"".join(string(key) + value(item) for key, item in metadata.items())
    at = 0
    for name, shape in tensors.items():
        count = 1
        for size in shape:
            count *= size
        head += string(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *reversed(shape))
        head += struct.pack("<IQ", kind, offsets.get(name, at))
        at += -(-(count // block[0] * block[1]) // 32) * 32
    head += b"\0" * (-len(head) % int(metadata.get("general.alignment", 32)))
    return head + FILL * at


def gguf_of(metadata: dict[str, Any], tensors: dict[str, tuple[int, tuple[int, ...], bytes]]) -> bytes:
    """A whole file with real weights. `tensors` maps names to (ggml type, row-major shape, bytes)."""
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata))
    head += b"".join(string(key) + value(item) for key, item in metadata.items())
    body = b""
    for name, (kind, shape, data) in tensors.items():
        head += string(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *reversed(shape))
        head += struct.pack("<IQ", kind, len(body))
        body += data + bytes(-len(data) % 32)
    return head + bytes(-len(head) % 32) + body


def write_gguf(path: Path, *args: Any, **options: Any) -> Path:
    """`gguf_bytes` in a file."""
    path.write_bytes(gguf_bytes(*args, **options))
    return path


def safetensors_bytes(tensors: dict[str, tuple[str, tuple[int, ...], int]]) -> bytes:
    """A whole file, its weights all alike. `tensors` maps names to (dtype, shape, bytes)."""
    header: dict[str, Any] = {"__metadata__": {"format": "mlx"}}
    at = 0
    for name, (dtype, shape, size) in tensors.items():
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + FILL * at


def llama_shapes(*, wide: int = 32, blocks: int = 2, ff: int = 64, vocab: int = 8) -> dict[str, tuple[int, ...]]:
    """The tensors of a tiny llama GGUF with 4 heads and 2 key heads."""
    shapes: dict[str, tuple[int, ...]] = {"token_embd.weight": (vocab, wide), "output_norm.weight": (wide,)}
    for block in range(blocks):
        shapes |= {
            f"blk.{block}.attn_norm.weight": (wide,),
            f"blk.{block}.attn_q.weight": (wide, wide),
            f"blk.{block}.attn_k.weight": (wide // 2, wide),
            f"blk.{block}.attn_v.weight": (wide // 2, wide),
            f"blk.{block}.attn_output.weight": (wide, wide),
            f"blk.{block}.ffn_norm.weight": (wide,),
            f"blk.{block}.ffn_gate.weight": (ff, wide),
            f"blk.{block}.ffn_up.weight": (ff, wide),
            f"blk.{block}.ffn_down.weight": (wide, ff),
        }
    return shapes


def llama_metadata(*, wide: int = 32, blocks: int = 2, ff: int = 64, vocab: int = 8) -> dict[str, Any]:
    """The metadata that fits `llama_shapes`."""
    return {
        "general.architecture": "llama",
        "llama.embedding_length": wide,
        "llama.block_count": blocks,
        "llama.feed_forward_length": ff,
        "llama.attention.head_count": 4,
        "llama.attention.head_count_kv": 2,
        "tokenizer.ggml.tokens": [f"t{number}" for number in range(vocab)],
    }
