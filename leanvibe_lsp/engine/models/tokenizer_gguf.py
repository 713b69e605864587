"""Building the tokenizer from a GGUF's metadata: byte-level BPE ("gpt2") and SentencePiece BPE with scores ("llama").

What a `tokenizer.ggml.pre` stands for was taken from llama.cpp's vocabulary code, and is held equal to it by a test.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.engine.models.gguf import GgufFile, read_gguf
from leanvibe_lsp.engine.models.sentencepiece import (
    BYTE,
    CONTROL,
    NORMAL,
    SPACE,
    UNKNOWN,
    UNUSED,
    USER_DEFINED,
    merges_by_score,
)
from leanvibe_lsp.engine.models.tokenizer_added import SpecialToken
from leanvibe_lsp.engine.models.tokenizer_json import guarded, is_panic
from leanvibe_lsp.engine.models.vocabulary import (
    ModelTokenizer,
    Spelling,
    TokenizerFiles,
    looks_like_markup,
    stop_ids,
)
from leanvibe_lsp.errors import ModelFormatError

if TYPE_CHECKING:
    from pathlib import Path

    import tokenizers

_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_LLAMA3 = _CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_QWEN2 = _CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_DEFAULT = (r"[\p{P}\$\+<=>\^~\|]+", _GPT2, r"\p{N}+", r"[0-9][0-9][0-9]")

# Each pattern splits what the one before it left.
_PRE_TOKENIZERS = {
    "default": _DEFAULT,
    "gpt-2": (_GPT2,),
    "phi-2": (_GPT2,),
    "smollm": (r"\p{N}", _GPT2),
    "starcoder": (r"\p{N}", _GPT2),
    "refact": (r"\p{N}", _GPT2),
    "command-r": (r"\p{N}", _GPT2),
    "qwen2": (_QWEN2,),
    "deepseek-r1-qwen": (_QWEN2,),
    "llama-bpe": (_LLAMA3,),
    "llama3": (_LLAMA3,),
    "llama-v3": (_LLAMA3,),
}
# Characters are composed first (NFC), as those models' own tokenizers do.
_COMPOSED = frozenset({"qwen2"})
# A word that is a token of its own is taken whole, also where the merges would not reach it.
_WHOLE_WORDS = frozenset({"llama-bpe", "llama3", "llama-v3"})
_SPECIAL_KEYS = {
    "bos_token": "tokenizer.ggml.bos_token_id",
    "eos_token": "tokenizer.ggml.eos_token_id",
    "unk_token": "tokenizer.ggml.unknown_token_id",
    "pad_token": "tokenizer.ggml.padding_token_id",
}
_END_KEYS = ("tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id")


def tokenizer_from_gguf(path: Path) -> TokenizerFiles:
    """The tokenizer inside a GGUF file. Raises ModelFormatError for a kind that is not read, or a broken one."""
    file = read_gguf(path)
    kind = file.text("tokenizer.ggml.model")
    tokens = _strings(file, path, "tokenizer.ggml.tokens")
    types = _types(file, path, tokens)
    special, hidden, literal = _sort_specials(tokens, types)
    if kind == "gpt2":
        built = _byte_level(file, path, tokens, hidden | frozenset(special.values()))
        spelling = Spelling.BYTE_LEVEL
    elif kind == "llama":
        built = _sentencepiece(file, path, tokens, types, literal)
        spelling = Spelling.SENTENCEPIECE
    else:
        raise ModelFormatError(
            f"The tokenizer of {path} is of the kind {kind or 'none'!r}; 'gpt2' and 'llama' are read.",
            next_step="Take another model: `leanvibe models list`.",
        )
    if literal:
        built.add_tokens([_added(tokens[token_id]) for token_id in sorted(literal)])
    tokenizer = ModelTokenizer(
        guarded(built),
        [*tokens],
        spelling,
        special={
            text: SpecialToken(token_id, rstrip=_takes_space(file, kind, text)) for text, token_id in special.items()
        },
        hidden=hidden,
        literal=literal | frozenset(special.values()),
    )
    ends = {number for key in _END_KEYS if (number := file.number(key)) is not None}
    return TokenizerFiles(
        tokenizer=tokenizer,
        chat_template=file.text("tokenizer.chat_template"),
        special_text={
            name: tokens[number]
            for name, key in _SPECIAL_KEYS.items()
            if (number := file.number(key)) is not None and 0 <= number < len(tokens)
        },
        add_bos=_adds_bos(file, kind),
        stop_ids=stop_ids(tokenizer, ends),
    )


def writable_tokenizer(path: Path) -> tokenizers.Tokenizer:
    """A GGUF's byte-level tokenizer as the library has it, special tokens and all, for writing it down.

    Raises ModelFormatError for another kind: what SentencePiece does at the begin of a text and around special tokens
    can be written in several ways, and a wrong one would change every prompt without a word.
    """
    import tokenizers

    file = read_gguf(path)
    if file.text("tokenizer.ggml.model") != "gpt2":
        raise ModelFormatError(
            f"The tokenizer of {path} cannot be written as tokenizer.json.",
            next_step="Convert the model's folder from the Hugging Face hub instead.",
        )
    tokens = _strings(file, path, "tokenizer.ggml.tokens")
    built = _byte_level(file, path, tokens, frozenset())
    built.decoder = tokenizers.decoders.ByteLevel()
    for text, kind in zip(tokens, _types(file, path, tokens), strict=True):
        if kind in (CONTROL, UNKNOWN, USER_DEFINED):
            special = kind != USER_DEFINED
            built.add_tokens([tokenizers.AddedToken(text, special=special, normalized=False)])
    return built


def _takes_space(file: GgufFile, kind: str, text: str) -> bool:
    """Phi-3's tokens take the white space after them, which a GGUF cannot say; llama.cpp knows it by name, too."""
    return (
        kind == "llama"
        and file.text("general.architecture") == "phi3"
        and text not in ("<unk>", "<s>", "<|endoftext|>")
    )


def _adds_bos(file: GgufFile, kind: str) -> bool:
    said = file.metadata.get("tokenizer.ggml.add_bos_token")
    if isinstance(said, bool):
        return said
    return kind == "llama" or file.text("tokenizer.ggml.pre") in _WHOLE_WORDS


def _strings(file: GgufFile, path: Path, key: str) -> list[str]:
    value = file.metadata.get(key)
    if isinstance(value, list) and value and isinstance(value[0], str):
        if len(value) > limit("tokenizer.tokens"):
            raise ModelFormatError(f"{path} has a {key} of {len(value):,} items, which is too much.")
        return [str(item) for item in value]
    raise ModelFormatError(
        f"{path} has no {key}: it holds weights without a tokenizer.", next_step="Take a complete file."
    )


def _types(file: GgufFile, path: Path, tokens: list[str]) -> list[int]:
    value = file.metadata.get("tokenizer.ggml.token_type")
    if value is None:
        named = {file.number(key) for key in (*_SPECIAL_KEYS.values(), *_END_KEYS)}
        return [CONTROL if token_id in named else NORMAL for token_id in range(len(tokens))]
    if not isinstance(value, list) or len(value) != len(tokens):
        raise ModelFormatError(f"{path} has {len(tokens)} tokens and another number of token types.")
    if not all(type(item) is int for item in value):
        raise ModelFormatError(f"{path} has token types that are no whole numbers.", next_step="Take a complete file.")
    return [int(item) for item in value]


def _sort_specials(tokens: list[str], types: list[int]) -> tuple[dict[str, int], frozenset[int], frozenset[int]]:
    """Special ids by text, ids that stand for no text, ids that are matched in plain text as they are."""
    special: dict[str, int] = {}
    hidden, literal = set(), set()
    for token_id, (text, kind) in enumerate(zip(tokens, types, strict=True)):
        if kind in (CONTROL, UNKNOWN, UNUSED):
            special[text] = token_id
            hidden.add(token_id)
        elif kind == USER_DEFINED and looks_like_markup(text):
            special[text] = token_id
        elif kind == USER_DEFINED and text:
            literal.add(token_id)
    return special, frozenset(hidden), frozenset(literal)


def _byte_level(file: GgufFile, path: Path, tokens: list[str], left_out: frozenset[int]) -> tokenizers.Tokenizer:
    import tokenizers

    pre = file.text("tokenizer.ggml.pre") or "default"
    patterns = _PRE_TOKENIZERS.get(pre)
    if patterns is None:
        raise ModelFormatError(
            f"{path} splits text as {pre!r} does, which is not known here; known are {', '.join(_PRE_TOKENIZERS)}.",
            next_step="Take another model: `leanvibe models list`.",
        )
    vocabulary = {text: token_id for token_id, text in enumerate(tokens) if token_id not in left_out}
    merges = [tuple(merge.split(" ")) for merge in _strings(file, path, "tokenizer.ggml.merges")]
    built = _bpe(path, vocabulary, merges, ignore_merges=pre in _WHOLE_WORDS)
    if pre in _COMPOSED:
        built.normalizer = tokenizers.normalizers.NFC()
    splits = [tokenizers.pre_tokenizers.Split(tokenizers.Regex(pattern), "isolated") for pattern in patterns]
    alphabet = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    built.pre_tokenizer = tokenizers.pre_tokenizers.Sequence([*splits, alphabet])
    return built


def _sentencepiece(
    file: GgufFile, path: Path, tokens: list[str], types: list[int], literal: frozenset[int]
) -> tokenizers.Tokenizer:
    import tokenizers

    scores = file.metadata.get("tokenizer.ggml.scores")
    if not isinstance(scores, list) or len(scores) != len(tokens):
        raise ModelFormatError(f"{path} has {len(tokens)} tokens and another number of scores.")
    if not all(isinstance(score, int | float) and math.isfinite(score) for score in scores):
        raise ModelFormatError(f"{path} has scores that are no numbers.", next_step="Take a complete file.")
    vocabulary = {
        text: token_id
        for token_id, (text, kind) in enumerate(zip(tokens, types, strict=True))
        if kind in (NORMAL, BYTE, UNKNOWN) or token_id in literal
    }
    try:
        merges = merges_by_score(
            {text: float(scores[token_id]) for text, token_id in vocabulary.items() if types[token_id] == NORMAL}
        )
    except ValueError as error:
        raise ModelFormatError(f"The tokenizer of {path} cannot be used: {error}.") from error
    unknown = next((text for text, kind in zip(tokens, types, strict=True) if kind == UNKNOWN), None)
    built = _bpe(path, vocabulary, merges, byte_fallback=True, unk_token=unknown, fuse_unk=True)
    steps: list[tokenizers.normalizers.Normalizer] = [tokenizers.normalizers.Replace(" ", SPACE)]
    if file.metadata.get("tokenizer.ggml.add_space_prefix") is not False:
        steps.insert(0, tokenizers.normalizers.Prepend(SPACE))
    built.normalizer = tokenizers.normalizers.Sequence(steps)
    return built


def _bpe(path: Path, vocabulary: dict[str, int], merges: list[Any], **options: Any) -> tokenizers.Tokenizer:
    import tokenizers

    try:
        return tokenizers.Tokenizer(tokenizers.models.BPE(vocabulary, merges, **options))
    except BaseException as error:
        if not isinstance(error, Exception) and not is_panic(error):
            raise
        raise ModelFormatError(
            f"The tokenizer of {path} is broken: {error}.", next_step="Download it again."
        ) from error


def _added(text: str) -> tokenizers.AddedToken:
    import tokenizers

    return tokenizers.AddedToken(text, normalized=False, special=False)
