"""A tiny LLaMA with seeded random weights: as a model, a folder, a GGUF file and an engine."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leanvibe_lsp.core.cancel import CancelToken, Deadline
from leanvibe_lsp.engine.base import NO_PAUSE, Chunk, Event, Finished, GenerationRequest, Pause
from leanvibe_lsp.engine.local.backend import MlxEngine, _State
from leanvibe_lsp.engine.models.formats import Format
from leanvibe_lsp.engine.models.registry import LocalPath, Located, ModelSpec
from leanvibe_lsp.engine.models.vocabulary import TokenizerFiles

if TYPE_CHECKING:
    from leanvibe_lsp.engine.local.prefix import Session

VOCABULARY = 48
CONFIG: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "intermediate_size": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-5,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": 64,
    "rope_theta": 10_000.0,
    "tie_word_embeddings": True,
}


class LetterTokenizer:
    """Token 0 is special; the others are one byte each, from "!" on; the last two are the halves of "é"."""

    vocabulary_size = VOCABULARY

    def encode(self, text: str) -> list[int]:
        """One token a character."""
        return [ord(char) - 32 for char in text]

    def special(self, text: str) -> int | None:
        """Only the end."""
        return 0 if text == "<end>" else None

    def token_bytes(self, token_id: int) -> bytes:
        """One byte, or none for the end."""
        if token_id == 0:
            return b""
        if token_id >= VOCABULARY - 2:
            return "é".encode()[token_id - VOCABULARY :][:1]
        return bytes([32 + token_id])


def random_model(family: str, config: dict[str, Any]) -> Any:
    """A model of mlx_lm's `family` with seeded weights of enough spread that greedy choices are far apart."""
    from leanvibe_lsp.engine.local.arrays import mx, tree_flatten, tree_unflatten

    classes = importlib.import_module(f"mlx_lm.models.{family}")
    model = classes.Model(classes.ModelArgs.from_dict(config | {"model_type": family}))
    key = mx.random.key(7)
    weights = []
    for name, array in tree_flatten(model.parameters()):
        key, now = mx.random.split(key)
        weights.append((name, mx.ones(array.shape) if "norm" in name else mx.random.normal(array.shape, key=now) * 0.3))
    model.update(tree_unflatten(weights))
    mx.eval(model.parameters())
    return model


def located(path: Path, kind: Format) -> Located:
    return Located("tiny", path, kind, ModelSpec("tiny", LocalPath(path), "for a test"), None)


def make_engine(
    model: Any, *, window: int = 64, stop_ids: frozenset[int] = frozenset(), room: int = 1 << 30
) -> MlxEngine:
    """An engine that has seen no prompt and keeps `room` bytes of them; it loads nothing."""
    from leanvibe_lsp.engine.local.kv import kind_of, make_prompt_cache
    from leanvibe_lsp.engine.local.load import Weights
    from leanvibe_lsp.engine.local.prefix import CacheKey, PrefixTree

    class Watched(PrefixTree):
        """Looks at each session that ends."""

        def end(self, session: Session) -> None:
            """The layers hold what the session says."""
            assert {layer.offset for layer in session.layers} == {len(session.seen)}
            super().end(session)

    key = CacheKey("tiny", "", "", kind_of(make_prompt_cache(model)))
    engine = MlxEngine(located(Path("tiny"), Format.SAFETENSORS))
    files = TokenizerFiles(LetterTokenizer(), "", stop_ids=stop_ids)
    engine._state = _State(Weights(model, VOCABULARY, window, 0), files, Watched(model, key, room), window)
    return engine


class Ask:
    """Run requests on an engine and keep the events."""

    def __init__(self, engine: MlxEngine) -> None:
        self.engine = engine
        self.events: list[Event] = []

    def __call__(
        self,
        request: GenerationRequest,
        cancel: CancelToken | None = None,
        deadline: Deadline | None = None,
        watch: Callable[[Event], None] = lambda _event: None,
        pause: Pause = NO_PAUSE,
    ) -> Finished:
        """Run one request; `watch` sees each event after it was kept."""
        self.events = []

        def sink(event: Event) -> None:
            self.events.append(event)
            watch(event)

        return self.engine.generate(request, sink, cancel or CancelToken(), deadline or Deadline.never(), pause)

    @property
    def chunks(self) -> list[Chunk]:
        """The tokens' events."""
        return [event for event in self.events if isinstance(event, Chunk)]

    @property
    def tokens(self) -> list[int]:
        """The tokens' ids."""
        return [chunk.token_id for chunk in self.chunks]


def tokenizer_json() -> dict[str, Any]:
    """A tokenizers file with single letters."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    letters = [chr(code) for code in range(33, 33 + VOCABULARY - 1)]
    vocabulary = {"<end>": 0} | {letter: index for index, letter in enumerate(letters, start=1)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<end>"])
    content: dict[str, Any] = json.loads(tokenizer.to_str())
    return content


GGUF_NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


def gguf_arrays(model: Any) -> dict[str, Any]:
    """Arrays of `tiny_model` by GGUF's names, q and k permuted as llama.cpp's converter does for LLaMA."""
    from mlx.utils import tree_flatten

    arrays: dict[str, Any] = {}
    for name, array in tree_flatten(model.parameters()):
        match name.split("."):
            case ["model", "layers", block, *middle, part]:
                own = GGUF_NAMES[".".join(middle)]
                heads = {"attn_q": 4, "attn_k": 2}.get(own)
                if heads:
                    rows, columns = array.shape
                    array = array.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)
                arrays[f"blk.{block}.{own}.{part}"] = array
            case ["model", "embed_tokens", part]:
                arrays[f"token_embd.{part}"] = array
            case ["model", "norm", part]:
                arrays[f"output_norm.{part}"] = array
    return arrays


def gguf_metadata() -> dict[str, Any]:
    """Metadata for `tiny_model`, in the types MLX writes."""
    from leanvibe_lsp.engine.local.arrays import mx

    letters = [chr(code) for code in range(33, 33 + VOCABULARY - 2)]
    return {
        "general.architecture": "llama",
        "llama.embedding_length": mx.array(32, mx.uint32),
        "llama.block_count": mx.array(2, mx.uint32),
        "llama.feed_forward_length": mx.array(64, mx.uint32),
        "llama.attention.head_count": mx.array(4, mx.uint32),
        "llama.attention.head_count_kv": mx.array(2, mx.uint32),
        "llama.attention.layer_norm_rms_epsilon": mx.array(1e-5, mx.float32),
        "llama.context_length": mx.array(64, mx.uint32),
        "llama.rope.freq_base": mx.array(10_000.0, mx.float32),
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": ["<end>", *letters, "!!"],
        "tokenizer.ggml.token_type": mx.array([3] + [1] * (VOCABULARY - 1), mx.int32),
        "tokenizer.ggml.merges": ["! !"],
        "tokenizer.ggml.eos_token_id": mx.array(0, mx.uint32),
    }


def save_gguf(path: Path, arrays: dict[str, Any], metadata: dict[str, Any]) -> Path:
    from leanvibe_lsp.engine.local.arrays import mx

    mx.save_gguf(str(path), arrays, metadata)
    return path
