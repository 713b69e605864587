"""The tokenizer of a safetensors folder: tokenizer.json or SentencePiece's tokenizer.model, and the files beside it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.engine.models import sentencepiece, tokenizer_json
from leanvibe_lsp.engine.models.vocabulary import TokenizerFiles, looks_like_markup, stop_ids
from leanvibe_lsp.errors import ModelFormatError

if TYPE_CHECKING:
    from pathlib import Path

_SPECIAL_NAMES = ("bos_token", "eos_token", "unk_token", "pad_token")
_NO_FLAGS = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}


@dataclass(frozen=True, slots=True)
class _Description:
    """A tokenizer.json, the same for text that does not begin a prompt, and what the file beside it may overrule."""

    content: dict[str, Any]
    later: dict[str, Any]
    special_text: dict[str, str]
    adds_bos: bool


def tokenizer_from_folder(folder: Path) -> TokenizerFiles:
    """The tokenizer of a model folder. Raises ModelFormatError when its files are missing or cannot be used."""
    config = _optional_json(folder / "tokenizer_config.json")
    texts = {name: text for name in _SPECIAL_NAMES if (text := _text_of(config.get(name)))}
    try:
        described = _described(folder, config, texts)
        tokenizer = tokenizer_json.build(described.content, described.later)
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, RecursionError) as error:
        raise _broken(folder, f"its tokenizer is malformed ({error})") from error
    texts = described.special_text | texts
    ends = _end_ids(folder)
    if (end := tokenizer.special(texts.get("eos_token", ""))) is not None:
        ends.add(end)
    said = config.get("add_bos_token")
    return TokenizerFiles(
        tokenizer=tokenizer,
        chat_template=_chat_template(folder, config),
        special_text=texts,
        add_bos=said if isinstance(said, bool) else described.adds_bos,
        stop_ids=stop_ids(tokenizer, ends),
    )


def _described(folder: Path, config: dict[str, Any], texts: dict[str, str]) -> _Description:
    if (folder / "tokenizer.json").is_file():
        content = _optional_json(folder / "tokenizer.json")
        later = content | {"pre_tokenizer": tokenizer_json.without_first_prefix(content.get("pre_tokenizer"))}
        return _Description(content, later, {}, _adds_bos(content, texts.get("bos_token", "")))
    if not (folder / "tokenizer.model").is_file():
        raise _broken(folder, "it has no tokenizer.json and no tokenizer.model")
    model = _sentencepiece(folder)
    content = sentencepiece.tokenizer_json(model)
    added = {entry["id"]: entry for entry in content["added_tokens"]} | _added_beside(folder, config)
    content["added_tokens"] = [added[token_id] for token_id in sorted(added)]
    later = content
    if config.get("legacy") is False:  # the prefix space only where the prompt begins
        steps = [step for step in content["normalizer"]["normalizers"] if step["type"] != "Prepend"]
        later = content | {"normalizer": {"type": "Sequence", "normalizers": steps}}
    named = {"bos_token": model.bos_id, "eos_token": model.eos_id, "unk_token": model.unk_id}
    special_text = {name: model.pieces[at].text for name, at in named.items() if 0 <= at < len(model.pieces)}
    return _Description(content, later, special_text, adds_bos=True)


def _added_beside(folder: Path, config: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """The tokens that were added to a tokenizer.model, by id: with their flags where the files have them."""
    plain = {
        int(token_id): _NO_FLAGS | {"id": int(token_id), "content": text, "special": looks_like_markup(text)}
        for text, token_id in _optional_json(folder / "added_tokens.json").items()
    }
    flagged = {
        int(token_id): _NO_FLAGS | entry | {"id": int(token_id)}
        for token_id, entry in (config.get("added_tokens_decoder") or {}).items()
    }
    return plain | flagged


def _sentencepiece(folder: Path) -> sentencepiece.SentencePieceModel:
    file = folder / "tokenizer.model"
    try:
        return sentencepiece.parse(_bytes(file))
    except (OSError, ValueError) as error:
        raise _broken(folder, f"its tokenizer.model cannot be read: {error}") from error


def _adds_bos(content: dict[str, Any], bos: str) -> bool:
    """Whether the post-processor writes `bos` before a text."""
    processor = content.get("post_processor") or {}
    for step in (processor, *(processor.get("processors") or [])):
        begin = (step.get("single") or [{}])[0]
        if isinstance(begin, dict) and bos and begin.get("SpecialToken", {}).get("id") == bos:
            return True
    return False


def _end_ids(folder: Path) -> set[int]:
    found: set[int] = set()
    for name in ("config.json", "generation_config.json"):
        value = _optional_json(folder / name).get("eos_token_id")
        for number in value if isinstance(value, list) else [value]:
            if isinstance(number, int):
                found.add(number)
    return found


def _chat_template(folder: Path, config: dict[str, Any]) -> str:
    file = folder / "chat_template.jinja"
    if file.is_file():
        try:
            return file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise _broken(folder, "its chat_template.jinja cannot be read") from error
    for source in (config, _optional_json(folder / "chat_template.json")):
        value = source.get("chat_template")
        if isinstance(value, str):
            return value
        if isinstance(value, list):
            named = {entry.get("name"): entry.get("template") for entry in value if isinstance(entry, dict)}
            if isinstance(default := named.get("default"), str):
                return default
    return ""


def _text_of(value: Any) -> str:
    text = value.get("content") if isinstance(value, dict) else value
    return text if isinstance(text, str) else ""


def _optional_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; {} when there is no file."""
    if not path.is_file():
        return {}
    try:
        data = _bytes(path)
    except (OSError, ValueError) as error:
        raise _broken(path.parent, f"its {path.name} cannot be read: {error}") from error
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _broken(path.parent, f"its {path.name} is no JSON") from error
    if not isinstance(content, dict):
        raise _broken(path.parent, f"its {path.name} is no JSON object")
    return content


def _bytes(file: Path) -> bytes:
    """All of a file. Raises OSError, ValueError for one that is too large."""
    if file.stat().st_size > limit("tokenizer.bytes"):
        raise ValueError("it is too large")
    return file.read_bytes()


def _broken(folder: Path, what: str) -> ModelFormatError:
    return ModelFormatError(
        f"The model in {folder} cannot be used: {what}.", next_step="Take a complete folder of the model."
    )
