"""How much longer a tokenizer.json may make a text before it is split into tokens.

The library ends the process when it runs out of memory, which no exception tells. Twenty-six steps that write "aa" for
each "a" are enough for that, and are a few lines of JSON.
"""

from __future__ import annotations

import base64
import struct
from math import prod
from typing import Any

from leanvibe_lsp.config.limits import limit

# Bytes out for a byte in, at most: UAX #15 for the normal forms; a step that writes a byte as one character, and one
# that writes a space before each piece, may double a text.
_FACTORS = {
    "NFC": 3,
    "NFD": 4,
    "NFKC": 18,
    "NFKD": 18,
    "ByteLevel": 2,
    "Metaspace": 2,
    "Lowercase": 2,
    "BertNormalizer": 4,
}


def check_growth(content: dict[str, Any]) -> None:
    """Raises ValueError for steps that may multiply a text by more than `tokenizer.growth`; others for malformed ones.

    Each step multiplies what the one before it made.
    """
    growth = _growth(content.get("normalizer")) * _growth(content.get("pre_tokenizer"))
    if growth > limit("tokenizer.growth"):
        raise ValueError(f"its steps may make a text {growth:,} times as long")


def _growth(step: Any) -> int:
    if not isinstance(step, dict):
        return 1
    nested = [inner for key in ("normalizers", "pretokenizers") for inner in step.get(key) or []]
    return prod(map(_growth, nested)) * _own_growth(step)


def _own_growth(step: dict[str, Any]) -> int:
    match step.get("type"):
        case "Replace":
            return _replaced(step["pattern"].get("String"), len(step["content"]))
        case "Precompiled":
            return _longest_rewrite(base64.b64decode(step["precompiled_charsmap"]))
    return _FACTORS.get(str(step.get("type")), 1)


def _replaced(pattern: str | None, length: int) -> int:
    """A regular expression may match between any two characters, and so leaves them there."""
    return max(1, -(-length // len(pattern))) if pattern else length + 1


def _longest_rewrite(charsmap: bytes) -> int:
    """What SentencePiece's table writes for a character at most: after a trie, texts that each end in a zero byte."""
    (trie,) = struct.unpack_from("<I", charsmap) if len(charsmap) >= 4 else (0,)
    return max(1, *map(len, charsmap[4 + trie :].split(b"\0")))
