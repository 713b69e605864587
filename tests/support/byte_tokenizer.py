"""A tokenizer that can write any text: one token a byte, and some for what is often together."""

from __future__ import annotations

from typing import Any

from leanvibe_lsp.engine.local.backend import MlxEngine, _State
from leanvibe_lsp.engine.models.vocabulary import TokenizerFiles
from tests.support.tiny_mlx import CONFIG, make_engine, random_model

_WORDS = ('{"', '": ', '", "', '"}', " [", "yes", " sir", "name", "tags", "true", "日", "本語", "  ", "\n    ")
PIECES = (b"", *(bytes([value]) for value in range(256)), *(word.encode() for word in _WORDS))
END = 0


class ByteTokenizer:
    """Token 0 is the end. With `blank_first` a text begins with a blank of its own, as SentencePiece writes it."""

    vocabulary_size = len(PIECES)

    def __init__(self, *, blank_first: bool = False) -> None:
        self._first = " " if blank_first else ""

    def encode(self, text: str) -> list[int]:
        """The longest piece at each place."""
        data = (self._first + text).encode()
        ids: list[int] = []
        while data:
            best = max((piece for piece in PIECES if piece and data.startswith(piece)), key=len)
            ids.append(PIECES.index(best))
            data = data[len(best) :]
        return ids

    def special(self, text: str) -> int | None:
        """Only the end."""
        return END if text == "<end>" else None

    def token_bytes(self, token_id: int) -> bytes:
        """The piece."""
        return PIECES[token_id]


def byte_model() -> Any:
    """Random weights, and more logits than there are tokens, as many models have."""
    return random_model("llama", CONFIG | {"vocab_size": len(PIECES) + 3})


def byte_engine(
    model: Any, *, window: int = 2_048, blank_first: bool = False, stop_ids: frozenset[int] = frozenset({END})
) -> MlxEngine:
    """An engine of `model` that has seen nothing."""
    engine = make_engine(model, window=window)
    state = engine._state
    assert state is not None
    files = TokenizerFiles(ByteTokenizer(blank_first=blank_first), "", stop_ids=stop_ids)
    weights = type(state.weights)(model, len(PIECES) + 3, window, 0)
    engine._state = _State(weights, files, state.prefixes, window)
    return engine
