"""Do a GGUF's tensors fit its own metadata? Families: llama, qwen2, phi3 (tensor names of llama.cpp)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.engine.models.tensor import Problem

if TYPE_CHECKING:
    from leanvibe_lsp.engine.models.gguf import GgufFile

Shapes = dict[str, tuple[int, ...]]

FAMILIES = ("llama", "qwen2", "phi3")

_FLOATS = frozenset({"F32", "F16", "BF16"})
_WHOLE_OR_WIDE = frozenset({"I8", "I16", "I32", "I64", "F64"})
_LONG_ROPE = ("rope_factors_long", "rope_factors_short")
_LONGEST = (1 << 31) - 1  # llama.cpp counts tokens in 32 bits, one of them the sign
_BLOCK = re.compile(r"(?:.+\.)?blk\.(\d+)\.", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Sizes:
    embedding: int
    blocks: int
    feed_forward: int
    queries: int  # rows of the query projection: heads times their width
    keys: int
    values: int
    rotated: int  # of a head's width
    vocabulary: int


def check_gguf(file: GgufFile) -> tuple[list[Problem], list[str]]:
    """What is wrong with the tensors, and what was not checked. Blocks and window are checked for every family."""
    family = file.text("general.architecture")
    if (file.number("split.count") or 0) > 1:
        return [Problem("split.count", "one file", f"one of {file.number('split.count')} parts")], []
    # First: what follows takes time and memory for each block, and llama.cpp ends the process over these.
    fatal = _fatal(file, family)
    if fatal is not None:
        return [fatal], []
    if family not in FAMILIES or file.number(f"{family}.expert_count"):
        return [], [f"tensor shapes: the architecture {family or 'none'!r} is not known here"]
    missing = [key for key in _REQUIRED if not file.number(f"{family}.{key}")]
    if missing:
        return [Problem(f"{family}.{key}", "a number", "nothing") for key in missing], []
    sizes = _sizes(file, family)
    required, optional = expected_shapes(family, sizes)
    problems = compare({name: tensor.shape for name, tensor in file.tensors.items()}, required, optional)
    return problems + _mistyped(file), []


def _fatal(file: GgufFile, family: str) -> Problem | None:
    """A number that llama.cpp asserts on, or never comes back from."""
    blocks, there = file.number(f"{family}.block_count"), _blocks(file)
    if blocks is not None and not 0 < blocks <= there:
        expected = f"at most {there}, the blocks in the file" if blocks > 0 else "at least 1"
        return Problem(f"{family}.block_count", expected, str(blocks))
    window = file.number(f"{family}.context_length")
    if window is not None and not limit("model.window") <= window <= _LONGEST:
        return Problem(f"{family}.context_length", f"{limit('model.window')} to {_LONGEST} tokens", str(window))
    rotated = file.number(f"{family}.rope.dimension_count")
    if rotated is not None and (rotated < 2 or rotated % 2):
        return Problem(f"{family}.rope.dimension_count", "an even number, at least 2", str(rotated))
    return None


def _mistyped(file: GgufFile) -> list[Problem]:
    """Vectors are floats, for llama.cpp too; a matrix is anything but whole numbers."""
    return [
        Problem(name, "F32, F16 or BF16" if len(tensor.shape) < 2 else "floats or blocks of them", tensor.dtype)
        for name, tensor in file.tensors.items()
        if tensor.dtype not in _FLOATS and (len(tensor.shape) < 2 or tensor.dtype in _WHOLE_OR_WIDE)
    ]


def _blocks(file: GgufFile) -> int:
    return len({match[1].lstrip("0") for match in map(_BLOCK.match, file.tensors) if match is not None})


_REQUIRED = ("embedding_length", "block_count", "feed_forward_length", "attention.head_count")


def _sizes(file: GgufFile, family: str) -> _Sizes:
    def number(key: str, default: int = 0) -> int:
        found = file.number(f"{family}.{key}")
        return default if found is None else found

    embedding, heads = number("embedding_length"), number("attention.head_count")
    key_heads = number("attention.head_count_kv", heads)
    width = number("attention.key_length", embedding // heads)
    tokens = file.metadata.get("tokenizer.ggml.tokens")
    return _Sizes(
        embedding=embedding,
        blocks=number("block_count"),
        feed_forward=number("feed_forward_length"),
        queries=heads * width,
        keys=key_heads * width,
        values=key_heads * number("attention.value_length", width),
        rotated=number("rope.dimension_count", width),
        vocabulary=len(tokens) if isinstance(tokens, list) else number("vocab_size"),
    )


def expected_shapes(family: str, sizes: _Sizes) -> tuple[Shapes, Shapes]:
    """Shapes (rows, columns) of the tensors that must be there, and of those that may be."""
    wide = sizes.embedding
    required: Shapes = {"token_embd.weight": (sizes.vocabulary, wide), "output_norm.weight": (wide,)}
    optional: Shapes = {"output.weight": (sizes.vocabulary, wide)}
    tables = {"llama": ("rope_freqs", *_LONG_ROPE), "phi3": _LONG_ROPE}.get(family, ())
    optional |= {f"{table}.weight": (sizes.rotated // 2,) for table in tables}
    for block in range(sizes.blocks):
        at = f"blk.{block}."
        required |= {
            f"{at}attn_norm.weight": (wide,),
            f"{at}attn_output.weight": (wide, sizes.queries),
            f"{at}ffn_norm.weight": (wide,),
            f"{at}ffn_down.weight": (wide, sizes.feed_forward),
        }
        if family == "phi3":
            required[f"{at}attn_qkv.weight"] = (sizes.queries + sizes.keys + sizes.values, wide)
            required[f"{at}ffn_up.weight"] = (2 * sizes.feed_forward, wide)
            continue
        for part, rows in (("q", sizes.queries), ("k", sizes.keys), ("v", sizes.values)):
            required[f"{at}attn_{part}.weight"] = (rows, wide)
            (required if family == "qwen2" else optional)[f"{at}attn_{part}.bias"] = (rows,)
        required[f"{at}ffn_gate.weight"] = (sizes.feed_forward, wide)
        required[f"{at}ffn_up.weight"] = (sizes.feed_forward, wide)
        if family == "llama":
            optional |= {
                f"{at}attn_output.bias": (wide,),
                f"{at}ffn_gate.bias": (sizes.feed_forward,),
                f"{at}ffn_up.bias": (sizes.feed_forward,),
                f"{at}ffn_down.bias": (wide,),
            }
    return required, optional


def compare(found: Shapes, required: Shapes, optional: Shapes) -> list[Problem]:
    """One problem for each tensor that is missing, has another shape, or has no place."""
    problems = [Problem(name, _text(shape), "no such tensor") for name, shape in required.items() if name not in found]
    problems += [
        Problem(name, _text(shape), _text(found[name]))
        for name, shape in (required | optional).items()
        if name in found and found[name] != shape
    ]
    return problems + [
        Problem(name, "no such tensor in this family", _text(shape))
        for name, shape in found.items()
        if name not in required and name not in optional
    ]


def _text(shape: tuple[int, ...]) -> str:
    return "x".join(str(size) for size in shape)
