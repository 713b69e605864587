"""Reading SentencePiece's tokenizer.model: a protocol buffer, read by hand and distrusted throughout.

Field numbers are those of sentencepiece_model.proto. `tokenizer_json` gives the same tokenizer in the form of a
tokenizer.json, so that there is one way to build it.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from leanvibe_lsp.config.limits import limit

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
SPACE = "\u2581"  # its visible space
_UNIGRAM, _BPE = 1, 2
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_NEVER = -1e6  # the score of a piece that only the byte fallback may give
_NO_FLAGS = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}


@dataclass(frozen=True, slots=True)
class Piece:
    """An entry of the vocabulary."""

    text: str
    score: float
    kind: int


@dataclass(frozen=True, slots=True)
class SentencePieceModel:
    """What matters of the file. The ids are -1 where the model has none; `charsmap` rewrites characters."""

    pieces: tuple[Piece, ...]
    unigram: bool
    byte_fallback: bool = False
    unk_id: int = 0
    bos_id: int = 1
    eos_id: int = 2
    charsmap: bytes = field(default=b"", repr=False)
    prefix_space: bool = True
    one_space_for_many: bool = True


def parse(data: bytes) -> SentencePieceModel:
    """Read a whole file. Raises ValueError that says what is wrong with it."""
    pieces: list[Piece] = []
    trainer: dict[int, int | bytes] = {}
    normalizer: dict[int, int | bytes] = {}
    for number, value in _fields(data):
        if number == 1:
            pieces.append(_piece(_message(value)))
        elif number == 2:
            trainer |= _fields(_message(value))
        elif number == 3:
            normalizer |= _fields(_message(value))
    kind = _number(trainer, 3, _UNIGRAM)
    if kind not in (_UNIGRAM, _BPE):
        raise ValueError(f"it is of the kind {kind}; unigram (1) and BPE (2) are read")
    if not pieces:
        raise ValueError("it has no vocabulary")
    if len(pieces) > limit("tokenizer.tokens"):
        raise ValueError(f"it has {len(pieces):,} tokens")
    if len({piece.text for piece in pieces}) < len(pieces):
        raise ValueError("its vocabulary says a piece twice")
    unk_id = _number(trainer, 40, 0)
    if not 0 <= unk_id < len(pieces):
        raise ValueError("its unknown token is not in its vocabulary")
    if _number(trainer, 24, 0) or not _number(normalizer, 5, 1):
        raise ValueError("it writes spaces in a way that is not known here")
    return SentencePieceModel(
        pieces=tuple(pieces),
        unigram=kind == _UNIGRAM,
        byte_fallback=bool(_number(trainer, 35, 0)),
        unk_id=unk_id,
        bos_id=_number(trainer, 41, 1),
        eos_id=_number(trainer, 42, 2),
        charsmap=_message(normalizer.get(2, b"")),
        prefix_space=bool(_number(normalizer, 3, 1)),
        one_space_for_many=bool(_number(normalizer, 4, 1)),
    )


def tokenizer_json(model: SentencePieceModel) -> dict[str, Any]:
    """The same tokenizer as a tokenizer.json would have it. Control and unknown pieces are special added tokens."""
    added = [
        {"id": index, "content": piece.text, "special": piece.kind != USER_DEFINED, **_NO_FLAGS}
        for index, piece in enumerate(model.pieces)
        if piece.kind in (UNKNOWN, CONTROL, USER_DEFINED, UNUSED)
    ]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": {"type": "Sequence", "normalizers": list(_normalizers(model))},
        "pre_tokenizer": None,
        "post_processor": None,
        "decoder": None,
        "model": _unigram(model) if model.unigram else _bpe(model),
    }


def merges_by_score(scores: Mapping[str, float]) -> list[tuple[str, str]]:
    """SentencePiece joins the neighbours whose joint token scores best: as merges, all splits by score.

    Raises ValueError for a vocabulary that would take too long, which no real one does.
    """
    if max(map(len, scores), default=0) > limit("tokenizer.piece_characters"):
        raise ValueError("one of its tokens is too long")
    if sum(map(len, scores)) > limit("tokenizer.splits"):
        raise ValueError("its tokens are too long together")
    found = [
        (-score, text[:cut], text[cut:])
        for text, score in scores.items()
        for cut in range(1, len(text))
        if text[:cut] in scores and text[cut:] in scores
    ]
    found.sort(key=lambda merge: merge[0])
    return [(left, right) for _score, left, right in found]


def _bpe(model: SentencePieceModel) -> dict[str, Any]:
    return {
        "type": "BPE",
        "unk_token": model.pieces[model.unk_id].text,
        "fuse_unk": True,
        "byte_fallback": model.byte_fallback,
        "vocab": {piece.text: index for index, piece in enumerate(model.pieces)},
        "merges": merges_by_score({piece.text: piece.score for piece in model.pieces if piece.kind == NORMAL}),
    }


def _unigram(model: SentencePieceModel) -> dict[str, Any]:
    return {
        "type": "Unigram",
        "unk_id": model.unk_id,
        "byte_fallback": model.byte_fallback,
        # So that a text that reads <0x0A> does not become that byte.
        "vocab": [(piece.text, _NEVER if piece.kind == BYTE else piece.score) for piece in model.pieces],
    }


def _normalizers(model: SentencePieceModel) -> Iterator[dict[str, Any]]:
    if model.charsmap:
        yield {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(model.charsmap).decode()}
    if model.one_space_for_many:
        yield _replace("Regex", "^ +", "")
        yield _replace("Regex", " {2,}", " ")
    if model.prefix_space:
        yield {"type": "Prepend", "prepend": SPACE}
    yield _replace("String", " ", SPACE)
    if model.one_space_for_many:
        yield _replace("Regex", f"{SPACE}+$", "")


def _replace(kind: str, pattern: str, content: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": {kind: pattern}, "content": content}


def _piece(data: bytes) -> Piece:
    fields = dict(_fields(data))
    score = fields.get(2, b"\0\0\0\0")
    if not isinstance(score, bytes) or len(score) != 4:
        raise ValueError("a piece's score is no number of 32 bits")
    (number,) = struct.unpack("<f", score)
    if number != number or abs(number) == float("inf"):
        raise ValueError("a piece's score is not finite")
    text = _message(fields.get(1, b"")).decode()
    if not text:
        raise ValueError("a piece is empty")
    return Piece(text, number, _number(fields, 3, NORMAL))


def _message(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ValueError("a number stands where bytes belong")
    return value


def _number(fields: Mapping[int, int | bytes], key: int, default: int) -> int:
    """A varint field; a negative one is written as 64 bits."""
    value = fields.get(key, default)
    if isinstance(value, bytes):
        raise ValueError("bytes stand where a number belongs")
    return value - (1 << 64) if value >= 1 << 63 else value


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field; a fixed-width one as its bytes. Raises ValueError where the file is cut."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        wire = key & 7
        if wire == _VARINT:
            number, at = _varint(data, at)
            yield key >> 3, number
            continue
        if wire == _BYTES:
            size, at = _varint(data, at)
        elif wire in (_FIXED64, _FIXED32):
            size = 8 if wire == _FIXED64 else 4
        else:
            raise ValueError("it is no protocol buffer")
        if size > len(data) - at:
            raise ValueError("it is cut short")
        yield key >> 3, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 64, 7):
        if at >= len(data):
            raise ValueError("it is cut short")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("it is no protocol buffer")
