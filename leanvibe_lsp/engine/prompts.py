"""From messages to token ids, by the model's own chat template. Pure.

User text can never become a special token: the template is rendered around placeholders, only the template's own text
is looked up for special tokens, and each message is encoded as plain text and put in its place. Templates run in
jinja2's sandbox: they come with a model, and a model is data.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from leanvibe_lsp.engine.base import Loaded, Message, Tokenizer
from leanvibe_lsp.errors import ModelFormatError

_AROUND_A_MESSAGE = 8  # tokens that say who speaks, for the estimate
_PLACEHOLDER = "\ue000{}\ue001"  # private use: no template says this
_PLACEHOLDERS = re.compile("\ue000([0-9]{1,9})\ue001")
# Wide on purpose (<s>, <|user|>, </think>, [/INST], DeepSeek's full-width bars): the tokenizer says which exist.
__all__ = ["Message", "count_tokens", "prompt_length", "render"]
_SPECIAL_LOOKING = re.compile(r"<[^<>\s]{1,60}>|\[[^\[\]\s]{1,40}\]")


def render(loaded: Loaded, messages: Sequence[Message]) -> tuple[int, ...]:
    """Token ids of the conversation, ending where the assistant is to speak.

    () for a model behind a server, which renders for itself. Raises ModelFormatError for a bad template.
    """
    tokenizer = loaded.tokenizer
    if tokenizer is None:
        return ()
    text = _render_template(loaded, _placed(messages))
    ids: list[int] = []
    bos = tokenizer.special(loaded.special_text.get("bos_token", "")) if loaded.add_bos else None
    position = 0
    for match in _PLACEHOLDERS.finditer(text):
        if int(match[1]) >= len(messages):
            raise ModelFormatError("The model's chat template forges a message.", next_step="Choose another model.")
        ids += _encode_template_text(tokenizer, text[position : match.start()])
        ids += tokenizer.encode(messages[int(match[1])].content)
        position = match.end()
    ids += _encode_template_text(tokenizer, text[position:])
    if bos is not None and ids[:1] != [bos]:
        ids.insert(0, bos)
    return tuple(ids)


def count_tokens(loaded: Loaded, text: str) -> int:
    """How many tokens `text` has; of a model behind a server a careful estimate."""
    return len(loaded.tokenizer.encode(text)) if loaded.tokenizer is not None else _estimate(text)


def prompt_length(loaded: Loaded, messages: Sequence[Message], ids: Sequence[int]) -> int:
    """Tokens of the whole prompt that was rendered as `ids`; of a model behind a server an estimate."""
    if loaded.tokenizer is not None:
        return len(ids)
    return sum(_estimate(message.content) + _AROUND_A_MESSAGE for message in messages)


def _estimate(text: str) -> int:
    """Code has 3 to 4 bytes a token in the vocabularies of today."""
    return -(-len(text.encode(errors="replace")) // 3)


def _placed(messages: Sequence[Message]) -> list[dict[str, str]]:
    return [{"role": m.role, "content": _PLACEHOLDER.format(i)} for i, m in enumerate(messages)]


def _render_template(loaded: Loaded, messages: list[dict[str, str]]) -> str:
    """The template's text. One that refuses a system message gets it at the head of the first user message."""
    if not loaded.chat_template:
        raise ModelFormatError(
            "The model has no chat template, so it cannot be asked questions.",
            next_step="Choose an instruct model: `leanvibe models list`.",
        )
    mergeable = len(messages) > 1 and messages[0]["role"] == "system"
    missing = messages
    try:
        rendered = _jinja(loaded, messages)
        missing = [m for m in messages if m["content"] not in rendered]
    except _TemplateRefused:
        if not mergeable:
            raise
    if missing and mergeable:
        head, first, *rest = messages
        messages = [{"role": first["role"], "content": f"{head['content']}\n\n{first['content']}"}, *rest]
        rendered = _jinja(loaded, messages)
        missing = [m for m in messages if m["content"] not in rendered]
    if missing:
        raise ModelFormatError("The model's chat template drops messages.", next_step="Choose another model.")
    return rendered


class _TemplateRefused(ModelFormatError):
    """The template raised an error."""


def _jinja(loaded: Loaded, messages: list[dict[str, str]]) -> str:
    from jinja2 import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def raise_exception(message: str) -> None:
        raise TemplateError(message)

    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.globals["raise_exception"] = raise_exception
    try:
        return environment.from_string(loaded.chat_template).render(
            messages=messages, add_generation_prompt=True, **loaded.special_text
        )
    except Exception as error:
        # A template is data, and can raise whatever its expressions raise.
        raise _TemplateRefused(
            f"The model's chat template failed: {error}",
            next_step="Choose another model: `leanvibe models list`.",
        ) from error


def _encode_template_text(tokenizer: Tokenizer, text: str) -> list[int]:
    """Ids of text that the template itself wrote: special tokens are looked up here, and nowhere else."""
    ids: list[int] = []
    position = 0
    for match in _SPECIAL_LOOKING.finditer(text):
        special = tokenizer.special(match[0])
        if special is None:
            continue
        ids += _encode_plain(tokenizer, text[position : match.start()])
        ids.append(special)
        position = match.end()
    return ids + _encode_plain(tokenizer, text[position:])


def _encode_plain(tokenizer: Tokenizer, text: str) -> list[int]:
    return tokenizer.encode(text) if text else []
