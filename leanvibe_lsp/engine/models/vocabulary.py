"""A tokenizer as the engines see it, whatever files it was built from.

`encode` gives no special token, whatever the text says: the library's tokenizer was built without them. They have ids
only through `special` and in the template's parts of `encode_prompt`, so that nothing a person or a file writes can
end a turn or open another.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from leanvibe_lsp.engine.models.sentencepiece import SPACE
from leanvibe_lsp.engine.models.tokenizer_added import SpecialToken, SpecialTokens

if TYPE_CHECKING:
    from leanvibe_lsp.engine.base import Tokenizer

_BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_HALF = re.compile("[\ud800-\udfff]")
_MARKUP = re.compile(r"<.*>|\[[A-Z_/]+\]|<\|.*", re.DOTALL)

# Ends of a turn or of a text, by the names that model families gave them. They count only where the model has them as
# special.
STOP_TEXTS = (
    "</s>",
    "<|endoftext|>",
    "<|im_end|>",
    "<|end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end_of_text|>",
    "<end_of_turn>",
)


@dataclass(frozen=True, slots=True)
class TokenizerFiles:
    """A tokenizer and what belongs to it. `special_text` maps "bos_token", "eos_token", ... to their text."""

    tokenizer: Tokenizer
    chat_template: str  # Jinja source; "" when the files have none
    special_text: dict[str, str] = field(default_factory=dict)
    add_bos: bool = False
    stop_ids: frozenset[int] = frozenset()


class Spelling(Enum):
    """How a vocabulary writes bytes down."""

    BYTE_LEVEL = "byte-level"  # GPT-2: each byte is one printable character
    SENTENCEPIECE = "sentencepiece"  # UTF-8 text, visible spaces, <0xNN> for single bytes


def _byte_level_alphabet() -> dict[str, int]:
    # GPT-2 keeps the printable characters of Latin-1 and moves the other 68 bytes, in order, to U+0100 and on.
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    moved = {chr(0x100 + index): byte for index, byte in enumerate(others)}
    return {chr(byte): byte for byte in printable} | moved


BYTE_OF = _byte_level_alphabet()


def looks_like_markup(text: str) -> bool:
    """True for <|user|>, <tool_call>, [INST]: what a template may write and a person's text must not."""
    return len(text) > 2 and _MARKUP.fullmatch(text) is not None


class ModelTokenizer:
    """Implements `engine.base.Tokenizer`.

    `pieces` holds the vocabulary's own text per id (None for a gap), `special` the tokens that only a template may
    write, `hidden` the ids that stand for no text, `literal` those whose piece is meant as it stands. `encode_later`
    is for text that does not begin the prompt, where that makes a difference.
    """

    __slots__ = ("_encode", "_encode_later", "_hidden", "_literal", "_pieces", "_special", "_spelling")

    def __init__(
        self,
        encode: Callable[[str], list[int]],
        pieces: list[str | None],
        spelling: Spelling,
        *,
        special: Mapping[str, SpecialToken],
        hidden: frozenset[int],
        literal: frozenset[int],
        encode_later: Callable[[str], list[int]] | None = None,
    ) -> None:
        self._encode = encode
        self._encode_later = encode_later or encode
        self._pieces = pieces
        self._spelling = spelling
        self._special = SpecialTokens(special)
        self._hidden = hidden
        self._literal = literal

    @property
    def vocabulary_size(self) -> int:
        """Ids run from 0 to this, exclusive. The model's embedding may have more rows."""
        return len(self._pieces)

    def encode(self, text: str) -> list[int]:
        """Ids of plain text. Half a surrogate pair, which no tokenizer can take, counts as U+FFFD."""
        return self._encode(_whole(text)) if text else []

    def encode_prompt(self, parts: Sequence[str]) -> list[int]:
        """Ids of a prompt in parts, a template's and messages' in turn: special tokens only in the template's."""
        ids: list[int] = []
        for number, run in enumerate(self._special.split([_whole(part) for part in parts])):
            if isinstance(run, int):
                ids.append(run)
            else:
                ids += self._encode_later(run) if number else self._encode(run)
        return ids

    def special(self, text: str) -> int | None:
        """The id of the special token written like `text`, or None."""
        return self._special.id_of(text)

    def token_bytes(self, token_id: int) -> bytes:
        """The bytes a token stands for; b"" for a special token and for an id without one."""
        if token_id in self._hidden or not 0 <= token_id < len(self._pieces):
            return b""
        piece = self._pieces[token_id]
        if piece is None:
            return b""
        if token_id in self._literal:
            return piece.encode()
        if self._spelling is Spelling.SENTENCEPIECE:
            byte = _BYTE_TOKEN.fullmatch(piece)
            return bytes([int(byte[1], 16)]) if byte else piece.replace(SPACE, " ").encode()
        return b"".join(bytes([BYTE_OF[char]]) if char in BYTE_OF else char.encode() for char in piece)


def _whole(text: str) -> str:
    """Without halves of surrogate pairs, which no tokenizer takes."""
    return text if text.isascii() else _HALF.sub("\ufffd", text)


def stop_ids(tokenizer: Tokenizer, named: set[int]) -> frozenset[int]:
    """The ids the files name as ends, and the special tokens that are ends by their text."""
    by_text = {tokenizer.special(text) for text in STOP_TEXTS}
    return frozenset(found for found in named | by_text if found is not None and 0 <= found < tokenizer.vocabulary_size)
