"""Building a tokenizer from what a tokenizer.json says.

The added tokens are taken out before the library sees it: its own switch (`encode_special_tokens`) would still find
the added tokens that are not marked special, such as a template's <tool_call>, in a person's text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.engine.models.tokenizer_added import SpecialToken
from leanvibe_lsp.engine.models.tokenizer_growth import check_growth
from leanvibe_lsp.engine.models.vocabulary import ModelTokenizer, Spelling, looks_like_markup
from leanvibe_lsp.errors import ModelFormatError

if TYPE_CHECKING:
    import tokenizers


def build(content: dict[str, Any], later: dict[str, Any]) -> ModelTokenizer:
    """A tokenizer from a whole tokenizer.json; `later` is the one for text that does not begin a prompt.

    Raises ValueError for a kind that is not read, and KeyError, TypeError, ValueError or AttributeError for a
    malformed one.
    """
    check_growth(content)
    spelling = _spelling(content)
    added = [entry for entry in content.get("added_tokens") or [] if isinstance(entry, dict)]
    vocabulary = content["model"]["vocab"]
    special = {
        str(entry["content"]): SpecialToken(
            int(entry["id"]), *(entry.get(flag) is True for flag in ("lstrip", "rstrip", "single_word"))
        )
        for entry in added
        if entry.get("special") or looks_like_markup(str(entry["content"]))
    }
    hidden = frozenset(int(entry["id"]) for entry in added if entry.get("special"))
    literal = frozenset(int(entry["id"]) for entry in added) - hidden
    texts = (
        dict(vocabulary)
        if isinstance(vocabulary, dict)
        else {piece: token_id for token_id, (piece, _score) in enumerate(vocabulary)}
    )
    texts |= {str(entry["content"]): int(entry["id"]) for entry in added}
    if not all(0 <= token_id < limit("tokenizer.tokens") for token_id in texts.values()):
        raise ValueError(f"a token's id is not from 0 to {limit('tokenizer.tokens') - 1:,}")
    pieces: list[str | None] = [None] * (max(texts.values(), default=-1) + 1)
    for text, token_id in texts.items():
        pieces[token_id] = text
    encode = _encoder(content, special)
    return ModelTokenizer(
        encode,
        pieces,
        spelling,
        special=special,
        hidden=hidden,
        literal=literal,
        encode_later=encode if later == content else _encoder(later, special),
    )


def _encoder(content: dict[str, Any], special: Mapping[str, SpecialToken]) -> Callable[[str], list[int]]:
    """Ids of plain text by the library, built without the special tokens."""
    import tokenizers

    model = content["model"]
    added = [entry for entry in content.get("added_tokens") or [] if entry["content"] not in special]
    literal = {str(entry["content"]): int(entry["id"]) for entry in added}  # the library would number them itself
    vocabulary = model["vocab"]
    # Special ones also out of the vocabulary: a model that takes whole words would find them there.
    if isinstance(vocabulary, dict):
        unknown = model.get("unk_token")
        kept: Any = {text: at for text, at in vocabulary.items() if text not in special or text == unknown} | literal
    else:
        # A list's places are ids. No piece with a space in it is ever found: the steps before write none.
        by_id = dict(enumerate((f" {text}" if text in special else text, score) for text, score in vocabulary))
        by_id |= {at: (text, 0.0) for text, at in literal.items()}
        kept = [by_id.get(at, (f" {at}", 0.0)) for at in range(max(by_id, default=-1) + 1)]
    plain = {**content, "added_tokens": added, "model": {**model, "vocab": kept}}
    plain["post_processor"] = plain["truncation"] = plain["padding"] = None
    try:
        built = tokenizers.Tokenizer.from_str(json.dumps(plain))
    except BaseException as error:
        if isinstance(error, Exception) or is_panic(error):
            raise ValueError(f"it is not accepted ({error})") from error
        raise
    return guarded(built)


def guarded(built: tokenizers.Tokenizer) -> Callable[[str], list[int]]:
    """Ids of plain text; a failure inside the library is a ModelFormatError."""

    def encode(text: str) -> list[int]:
        try:
            return built.encode(text, add_special_tokens=False).ids
        except BaseException as error:
            if not is_panic(error):
                raise
            raise ModelFormatError(
                "The model's tokenizer is damaged: it fails on a text.", next_step="Take a complete copy of the model."
            ) from error

    return encode


def is_panic(error: BaseException) -> bool:
    """A failure inside the library, which is no Exception and has no name to import."""
    return type(error).__name__ == "PanicException"


def without_first_prefix(step: Any) -> Any:
    """A pre-tokenizer without the prefix space that some put only at the beginning of a prompt."""
    if not isinstance(step, dict):
        return step
    if step.get("type") == "Metaspace" and step.get("prepend_scheme") == "first":
        return {**step, "prepend_scheme": "never"}
    if isinstance(nested := step.get("pretokenizers"), list):
        return {**step, "pretokenizers": [without_first_prefix(inner) for inner in nested]}
    return step


def _spelling(content: dict[str, Any]) -> Spelling:
    """Byte-level or SentencePiece, from the steps that tokenizer.json names."""
    kinds = {kind for key in ("pre_tokenizer", "decoder", "normalizer") for kind in _step_kinds(content.get(key))}
    if "ByteLevel" in kinds:
        return Spelling.BYTE_LEVEL
    if content["model"].get("byte_fallback") or kinds & {"Metaspace", "ByteFallback"}:
        return Spelling.SENTENCEPIECE
    raise ValueError(f"{content['model'].get('type')} writes text in a way that is not known here")


def _step_kinds(step: Any) -> set[str]:
    if not isinstance(step, dict):
        return set()
    nested = [inner for key in ("pretokenizers", "decoders", "normalizers") for inner in step.get(key) or []]
    return {str(step.get("type"))}.union(*(_step_kinds(inner) for inner in nested))
