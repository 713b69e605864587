"""How much memory a GGUF model takes on llama.cpp, reckoned from its header."""

from __future__ import annotations

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.engine.models.gguf import GgufFile, read_gguf
from leanvibe_lsp.engine.models.registry import Located

_FLOAT, _HALF = 4, 2  # bytes


def estimate_bytes(located: Located, window: int) -> int:
    """Weights, KV cache, compute buffers and the prompts that may be kept, for `window` tokens (at most the model's).

    Raises ModelFormatError for a header that cannot be read.
    """
    gguf = read_gguf(located.path)
    window = min(window, model_window(gguf))
    fixed = weight_bytes(gguf) + kv_token_bytes(gguf) * window
    return fixed + compute_bytes(gguf, window) + (limit("engine.prompt_cache_mib") << 20)


def model_window(gguf: GgufFile) -> int:
    """Tokens the model was trained for, at most `engine.window`; that when the file does not say."""
    trained = gguf.number(f"{gguf.text('general.architecture')}.context_length") or limit("engine.window")
    return min(trained, limit("engine.window"))


def weight_bytes(gguf: GgufFile) -> int:
    """The tensors as they are in the file: llama.cpp computes with them, repacked at most, never expanded."""
    return sum(tensor.nbytes for tensor in gguf.tensors.values())


def kv_token_bytes(gguf: GgufFile) -> int:
    """Bytes of 16-bit keys and values for one token: layers x heads of keys and values x (their sizes) x 2.

    0 when the file does not say, or says it layer by layer: it is a figure for a person, not a reason to fail.
    """
    prefix = gguf.text("general.architecture")
    heads = gguf.number(f"{prefix}.attention.head_count")
    kv_heads = gguf.number(f"{prefix}.attention.head_count_kv") or heads
    layers, width = gguf.number(f"{prefix}.block_count"), gguf.number(f"{prefix}.embedding_length")
    if not (heads and kv_heads and layers and width):
        return 0
    key = gguf.number(f"{prefix}.attention.key_length") or width // heads
    value = gguf.number(f"{prefix}.attention.value_length") or width // heads
    return layers * kv_heads * (key + value) * _HALF


def compute_bytes(gguf: GgufFile, window: int) -> int:
    """Buffers of one prefill chunk: its logits, and one layer with its attention mask."""
    prefix = gguf.text("general.architecture")
    chunk = limit("engine.prefill_chunk")
    width = gguf.number(f"{prefix}.embedding_length") or 0
    inner = gguf.number(f"{prefix}.feed_forward_length") or 0
    embedding = gguf.tensors.get("token_embd.weight")
    vocabulary = max(embedding.shape) if embedding is not None else 0
    layer = (4 * width + 3 * inner) * _FLOAT + window * _FLOAT
    return chunk * (vocabulary * _FLOAT + layer)
