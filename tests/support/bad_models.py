"""Real models, spoiled on purpose: each function writes one that must not be believed.

All are made from the embedded SmolLM2, so that the files are sound in every way but one.
"""

from __future__ import annotations

import json
import random
import struct
from collections import defaultdict
from pathlib import Path
from typing import Any

from leanvibe_lsp.engine.models.gguf import GgufFile, read_gguf
from tests.support.gguf import safetensors_bytes

_TOKENS_KEY = b"tokenizer.ggml.tokens" + struct.pack("<II", 9, 8)  # an array of strings
_Q4_1_BLOCK = 20  # bytes: scale, minimum, 32 numbers of 4 bits


def truncated(source: Path, target: Path) -> Path:
    """The first half of the file."""
    data = source.read_bytes()
    target.write_bytes(data[: len(data) // 2])
    return target


def swapped_tensors(source: Path, target: Path, first: str, second: str) -> Path:
    """Two tensors of one shape in each other's place."""
    data = bytearray(source.read_bytes())
    _swap(data, read_gguf(source), first, second)
    target.write_bytes(data)
    return target


def _swap(data: bytearray, file: GgufFile, first: str, second: str) -> None:
    a, b = (file.tensors[name] for name in (first, second))
    assert (a.shape, a.nbytes) == (b.shape, b.nbytes)
    here, there = slice(a.offset, a.offset + a.nbytes), slice(b.offset, b.offset + b.nbytes)
    data[here], data[there] = data[there], data[here]


def shuffled_layer(source: Path, target: Path, first: int, second: int) -> Path:
    """Two whole layers in each other's place."""
    data, file = _anonymous(bytearray(source.read_bytes())), read_gguf(source)
    for name in file.tensors:
        if name.startswith(f"blk.{first}."):
            _swap(data, file, name, name.replace(f"blk.{first}.", f"blk.{second}."))
    target.write_bytes(data)
    return target


def transposed(source: Path, target: Path) -> Path:
    """One projection declared the other way round: rows for columns."""
    data = _anonymous(bytearray(source.read_bytes()))
    name = b"blk.4.ffn_up.weight"
    at = data.index(struct.pack("<Q", len(name)) + name) + 8 + len(name) + 4
    data[at : at + 16] = data[at + 8 : at + 16] + data[at : at + 8]
    target.write_bytes(data)
    return target


def wrong_rope(source: Path, target: Path, base: float = 10_000.0) -> Path:
    """Positions that turn at another speed."""
    data = _anonymous(bytearray(source.read_bytes()))
    key = b"llama.rope.freq_base"
    struct.pack_into("<f", data, data.index(key) + len(key) + 4, base)
    target.write_bytes(data)
    return target


def not_a_number(source: Path, target: Path) -> Path:
    """One scale of one tensor is NaN."""
    data = _anonymous(bytearray(source.read_bytes()))
    offset = read_gguf(source).tensors["blk.5.ffn_up.weight"].offset
    struct.pack_into("<H", data, offset + 1_000 * _Q4_1_BLOCK, 0x7E00)
    target.write_bytes(data)
    return target


def damaged_scales(source: Path, target: Path) -> Path:
    """In one tensor, a bit of each hundredth scale is set: those blocks are 65,536 times too large."""
    data = _anonymous(bytearray(source.read_bytes()))
    tensor = read_gguf(source).tensors["blk.7.ffn_down.weight"]
    for at in range(tensor.offset, tensor.offset + tensor.nbytes, 100 * _Q4_1_BLOCK):
        data[at + 1] |= 0x40
    target.write_bytes(data)
    return target


def fine_tuned(source: Path, target: Path) -> Path:
    """No spoiled one: queries and values a little other than the real ones, all else the same, as LoRA leaves it."""
    data = _anonymous(bytearray(source.read_bytes()))
    dice = random.Random(20261121)
    for name, tensor in read_gguf(source).tensors.items():
        if tensor.dtype == "Q4_1" and ("attn_q" in name or "attn_v" in name):
            for at in range(tensor.offset, tensor.offset + tensor.nbytes, _Q4_1_BLOCK):
                data[at] ^= dice.getrandbits(1) << 7  # an eighth of the scale, up or down
    target.write_bytes(data)
    return target


def adapter(folder: Path, base: str = "org/another-model") -> Path:
    """A LoRA as PEFT writes it, for another model."""
    folder.mkdir()
    name = "base_model.model.model.layers.0.self_attn.q_proj"
    factors = {
        f"{name}.lora_A.weight": ("F16", (8, 4_096), 65_536),
        f"{name}.lora_B.weight": ("F16", (4_096, 8), 65_536),
    }
    (folder / "adapter_model.safetensors").write_bytes(safetensors_bytes(factors))
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": base, "r": 8}))
    return folder


def _anonymous(data: bytearray) -> bytearray:
    """Another name in the metadata: the header is no known model's, so that only the known answers can tell."""
    at = data.index(b"general.name") + len(b"general.name") + 4 + 8
    data[at : at + 1] = b"X"
    return data


def zeros(source: Path, target: Path) -> Path:
    """All 4-bit weights 0."""
    data = _anonymous(bytearray(source.read_bytes()))
    for tensor in read_gguf(source).tensors.values():
        if tensor.dtype == "Q4_1":
            data[tensor.offset : tensor.offset + tensor.nbytes] = bytes(tensor.nbytes)
    target.write_bytes(data)
    return target


def zero_tensor(source: Path, target: Path) -> Path:
    """One projection all 0: the known answers hardly change."""
    data, tensor = _anonymous(bytearray(source.read_bytes())), read_gguf(source).tensors["blk.15.attn_q.weight"]
    data[tensor.offset : tensor.offset + tensor.nbytes] = bytes(tensor.nbytes)
    target.write_bytes(data)
    return target


def turned_signs(source: Path, target: Path) -> Path:
    """One projection with the signs of its scales turned."""
    data, tensor = _anonymous(bytearray(source.read_bytes())), read_gguf(source).tensors["blk.15.attn_v.weight"]
    for at in range(tensor.offset, tensor.offset + tensor.nbytes, _Q4_1_BLOCK):
        data[at + 1] ^= 0x80
        data[at + 3] ^= 0x80
    target.write_bytes(data)
    return target


def random_weights(source: Path, target: Path) -> Path:
    """Every 4-bit weight random, with the scales of the real ones: the values look right, and mean nothing."""
    data = _anonymous(bytearray(source.read_bytes()))
    dice = random.Random(20261121)
    for tensor in read_gguf(source).tensors.values():
        if tensor.dtype != "Q4_1":
            continue
        noise = dice.randbytes(tensor.nbytes)
        for at in range(0, tensor.nbytes, _Q4_1_BLOCK):
            begin = tensor.offset + at + 4
            data[begin : begin + 16] = noise[at : at + 16]
    target.write_bytes(data)
    return target


def wrong_tokenizer(source: Path, target: Path) -> Path:
    """The words of the vocabulary in another order: token 100 is no longer what the weights learnt it to be."""
    data = _anonymous(bytearray(source.read_bytes()))
    at = data.index(_TOKENS_KEY) + len(_TOKENS_KEY)
    (count,) = struct.unpack_from("<Q", data, at)
    at += 8
    places: dict[int, list[int]] = defaultdict(list)
    for number in range(count):
        (length,) = struct.unpack_from("<Q", data, at)
        at += 8
        if number > 300:  # the special tokens and single bytes stay, or the file would not be a tokenizer at all
            places[length].append(at)
        at += length
    dice = random.Random(20261121)
    for length, offsets in places.items():
        words = [bytes(data[offset : offset + length]) for offset in offsets]
        dice.shuffle(words)
        for offset, word in zip(offsets, words, strict=True):
            data[offset : offset + length] = word
    target.write_bytes(data)
    return target


def safetensors_folder(source: Path, folder: Path, *, weights: str = "real") -> Path:
    """SmolLM2 as an MLX 4-bit folder; `weights` "real", or "random": the project's oldest enemy."""
    import mlx.core as mx
    from mlx.utils import tree_flatten

    from leanvibe_lsp.core.cancel import CancelToken
    from leanvibe_lsp.engine.local.gguf_layout import config_of
    from leanvibe_lsp.engine.local.load import load_weights
    from leanvibe_lsp.engine.models.registry import resolve

    folder.mkdir(parents=True)
    gguf = read_gguf(source)
    config = config_of(gguf, {})
    model = load_weights(resolve(str(source), cache=folder), CancelToken()).model
    arrays = dict(tree_flatten(model.parameters()))
    if weights == "random":
        mx.random.seed(20261121)
        arrays = {name: _noise(mx, array) for name, array in arrays.items()}
    else:
        arrays = {
            name: array.astype(mx.float16) if array.dtype == mx.float32 else array for name, array in arrays.items()
        }
    mx.save_safetensors(str(folder / "model.safetensors"), arrays, metadata={"format": "mlx"})
    if any(name.endswith(".scales") for name in arrays):
        config["quantization"] = {"group_size": 32, "bits": 4}
    (folder / "config.json").write_text(json.dumps(config))
    _write_tokenizer(gguf.metadata, folder)
    return folder


def _noise(mx: Any, array: Any) -> Any:
    if array.dtype == mx.uint32:
        return mx.random.randint(0, 2**31 - 1, array.shape).astype(mx.uint32)
    return (mx.random.normal(array.shape) * mx.std(array.astype(mx.float32))).astype(mx.float16)


def _write_tokenizer(metadata: dict[str, Any], folder: Path) -> None:
    """`tokenizer.json` and `tokenizer_config.json`, as a folder from the hub has them."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

    words: list[str] = metadata["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ", 1)) for merge in metadata["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE({word: number for number, word in enumerate(words)}, merges))
    digits = pre_tokenizers.Split(Regex(r"\p{N}"), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    special = [word for word, kind in zip(words, metadata["tokenizer.ggml.token_type"], strict=True) if kind == 3]
    tokenizer.add_special_tokens([AddedToken(word, special=True, normalized=False) for word in special])
    tokenizer.save(str(folder / "tokenizer.json"))
    eos = words[metadata["tokenizer.ggml.eos_token_id"]]
    template = metadata["tokenizer.chat_template"]
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": eos, "chat_template": template}))
