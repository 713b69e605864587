"""Building the tokenizer of a safetensors folder from tokenizer.json and the files beside it.

The added tokens are taken out of tokenizer.json before the library sees it: its own switch (`encode_special_tokens`)
would still find the added tokens that are not marked special, such as a template's <tool_call>, in a person's text.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

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

_SPECIAL_NAMES = ("bos_token", "eos_token", "unk_token", "pad_token")


def tokenizer_from_folder(folder: Path) -> TokenizerFiles:
    """The tokenizer of a model folder. Raises ModelFormatError when tokenizer.json is missing or cannot be used."""
    content = _tokenizer_json(folder)
    config = _optional_json(folder / "tokenizer_config.json")
    added = [entry for entry in content.get("added_tokens") or [] if isinstance(entry, dict)]
    try:
        tokenizer = _build(folder, content, added)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _broken(folder, "its tokenizer.json is malformed") from error
    texts = {name: text for name in _SPECIAL_NAMES if (text := _text_of(config.get(name)))}
    ends = _end_ids(folder)
    if (end := tokenizer.special(texts.get("eos_token", ""))) is not None:
        ends.add(end)
    return TokenizerFiles(
        tokenizer=tokenizer,
        chat_template=_chat_template(folder, config),
        special_text=texts,
        add_bos=_adds_bos(content, config, texts.get("bos_token", "")),
        stop_ids=stop_ids(tokenizer, ends),
    )


def _build(folder: Path, content: dict[str, Any], added: list[dict[str, Any]]) -> ModelTokenizer:
    import tokenizers

    model = content["model"]
    spelling = _spelling(folder, content)
    vocabulary: dict[str, int] = (
        dict(model["vocab"])
        if isinstance(model["vocab"], dict)
        else {piece: token_id for token_id, (piece, _score) in enumerate(model["vocab"])}
    )
    special = {
        str(entry["content"]): int(entry["id"])
        for entry in added
        if entry.get("special") or looks_like_markup(str(entry["content"]))
    }
    hidden = frozenset(int(entry["id"]) for entry in added if entry.get("special"))
    literal = frozenset(int(entry["id"]) for entry in added) - hidden
    plain = {**content, "added_tokens": [entry for entry in added if str(entry["content"]) not in special]}
    if isinstance(model["vocab"], dict):
        # Also out of the vocabulary: a model that takes whole words would find them there.
        kept = {
            text: token_id
            for text, token_id in vocabulary.items()
            if text not in special or text == model.get("unk_token")
        }
        plain["model"] = {**model, "vocab": kept}
    plain["post_processor"] = None
    plain["truncation"] = plain["padding"] = None
    try:
        built = tokenizers.Tokenizer.from_str(json.dumps(plain))
    except Exception as error:
        raise _broken(folder, f"its tokenizer.json is not accepted ({error})") from error
    texts = vocabulary | {str(entry["content"]): int(entry["id"]) for entry in added}
    pieces: list[str | None] = [None] * (max(texts.values(), default=-1) + 1)
    for text, token_id in texts.items():
        pieces[token_id] = text
    return ModelTokenizer(
        lambda text: built.encode(text, add_special_tokens=False).ids,
        pieces,
        spelling,
        special=special,
        hidden=hidden,
        literal=literal,
    )


def _spelling(folder: Path, content: dict[str, Any]) -> Spelling:
    """Byte-level or SentencePiece, from the steps that tokenizer.json names."""
    kinds = {kind for key in ("pre_tokenizer", "decoder", "normalizer") for kind in _step_kinds(content.get(key))}
    if "ByteLevel" in kinds:
        return Spelling.BYTE_LEVEL
    if content["model"].get("byte_fallback") or kinds & {"Metaspace", "ByteFallback"}:
        return Spelling.SENTENCEPIECE
    raise _broken(folder, f"its tokenizer ({content['model'].get('type')}) writes text in a way that is not known here")


def _step_kinds(step: Any) -> set[str]:
    if not isinstance(step, dict):
        return set()
    nested = [inner for key in ("pretokenizers", "decoders", "normalizers") for inner in step.get(key) or []]
    return {str(step.get("type"))}.union(*(_step_kinds(inner) for inner in nested))


def _adds_bos(content: dict[str, Any], config: dict[str, Any], bos: str) -> bool:
    if isinstance(said := config.get("add_bos_token"), bool):
        return said
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


def _tokenizer_json(folder: Path) -> dict[str, Any]:
    if not (folder / "tokenizer.json").is_file():
        if (folder / "tokenizer.model").is_file():
            raise _broken(folder, "it has only SentencePiece's tokenizer.model; tokenizer.json is needed")
        raise _broken(folder, "it has no tokenizer.json")
    return _optional_json(folder / "tokenizer.json")


def _optional_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; {} when there is no file."""
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise _broken(path.parent, f"its {path.name} is no JSON") from error
    if not isinstance(content, dict):
        raise _broken(path.parent, f"its {path.name} is no JSON object")
    return content


def _broken(folder: Path, what: str) -> ModelFormatError:
    return ModelFormatError(
        f"The model in {folder} cannot be used: {what}.", next_step="Take a complete folder of the model."
    )
