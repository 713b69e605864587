from __future__ import annotations

from pathlib import Path

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.engine.llama.estimate import estimate_bytes
from leanvibe_lsp.engine.models.formats import Format
from leanvibe_lsp.engine.models.gguf import read_gguf
from tests.support.gguf import llama_metadata, llama_shapes, write_gguf
from tests.support.tiny_mlx import located


def test_the_parts_of_the_estimate(tmp_path: Path) -> None:
    """Weights as stored, two bytes a key and value, a chunk's buffers, and the prompts that may be kept."""
    path = write_gguf(tmp_path / "m.gguf", {**llama_metadata(), "llama.context_length": 512}, llama_shapes())
    gguf = read_gguf(path)
    weights = sum(tensor.nbytes for tensor in gguf.tensors.values())
    heads, kv_heads = gguf.number("llama.attention.head_count"), gguf.number("llama.attention.head_count_kv")
    assert (heads, kv_heads) == (4, 2)
    keys_and_values = 2 * 2 * 2 * (32 // 4) * 2 * 256
    chunk = limit("engine.prefill_chunk") * 4 * (32 + 4 * 32 + 3 * 64 + 256)
    prompts = limit("engine.prompt_cache_mib") << 20
    assert estimate_bytes(located(path, Format.GGUF), 256) == weights + keys_and_values + chunk + prompts
    whole, too_much = (estimate_bytes(located(path, Format.GGUF), window) for window in (512, 1 << 20))
    assert whole == too_much
