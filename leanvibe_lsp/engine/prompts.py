"""From messages to token ids, by the model's own chat template. Pure, but for templates that ask for the date.

User text can never become a special token: the template is rendered around placeholders, and the tokenizer is told
which part of the text is whose. Where no message holds a special token's text, the ids are those of transformers'
`apply_chat_template`: text is encoded as if one hand had written it, and what a template trims is trimmed. (It cannot
look into a message; one of nothing but white space is kept.)
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from leanvibe_lsp.engine.base import Loaded, Message
from leanvibe_lsp.errors import ModelFormatError

__all__ = ["Message", "count_tokens", "prompt_length", "render"]
_AROUND_A_MESSAGE = 8  # tokens that say who speaks, for the estimate
_PLACEHOLDER = "\ue000{}\ue001"  # private use: no template says this
# Stand for white space around a message. They are white space to Python: a template that trims takes them away.
_SPACE_BEFORE, _SPACE_AFTER = "\x1c", "\x1d"
_PLACEHOLDERS = re.compile(f"({_SPACE_BEFORE}?)\ue000([0-9]{{1,9}})\ue001({_SPACE_AFTER}?)")


def render(loaded: Loaded, messages: Sequence[Message]) -> tuple[int, ...]:
    """Token ids of the conversation, ending where the assistant is to speak.

    () for a model behind a server, which renders for itself. Raises ModelFormatError for a bad template.
    """
    tokenizer = loaded.tokenizer
    if tokenizer is None:
        return ()
    text = _render_template(loaded, _placed(messages))
    parts: list[str] = []
    position = 0
    for match in _PLACEHOLDERS.finditer(text):
        if int(match[2]) >= len(messages):
            raise ModelFormatError("The model's chat template forges a message.", next_step="Choose another model.")
        parts += [text[position : match.start()], _content(messages[int(match[2])].content, match)]
        position = match.end()
    return tuple(tokenizer.encode_prompt([*parts, text[position:]]))


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
    return [{"role": m.role, "content": _placeholder(number, m.content)} for number, m in enumerate(messages)]


def _placeholder(number: int, content: str) -> str:
    """What stands for a message in the template; an empty one stands for itself."""
    if not content.strip():
        return _PLACEHOLDER.format(number) if content else ""
    before = "" if content == content.lstrip() else _SPACE_BEFORE
    after = "" if content == content.rstrip() else _SPACE_AFTER
    return before + _PLACEHOLDER.format(number) + after


def _content(content: str, placed: re.Match[str]) -> str:
    """The message, without the white space that the template took away."""
    if not content.strip():
        return content
    if not placed[1]:
        content = content.lstrip()
    return content if placed[3] else content.rstrip()


def _render_template(loaded: Loaded, messages: list[dict[str, str]]) -> str:
    """The template's text. One that refuses a system message gets it at the head of the first user message."""
    if not loaded.chat_template:
        raise ModelFormatError(
            "The model has no chat template, so it cannot be asked questions.",
            next_step="Choose an instruct model: `leanvibe models list`.",
        )
    from leanvibe_lsp.engine.templates import TemplateRefused, render_template

    def rendered(shown: list[dict[str, str]]) -> str:
        return render_template(
            loaded.chat_template, {"messages": shown, "add_generation_prompt": True, **loaded.special_text}
        )

    mergeable = len(messages) > 1 and messages[0]["role"] == "system"
    text = None
    try:
        text = rendered(messages)
    except TemplateRefused:
        if not mergeable:
            raise
    if mergeable and (text is None or not _holds(text, messages)):
        head, first, *rest = messages
        text = rendered([{"role": first["role"], "content": f"{head['content']}\n\n{first['content']}"}, *rest])
    if text is None or not _holds(text, messages):
        raise ModelFormatError("The model's chat template drops messages.", next_step="Choose another model.")
    return text


def _holds(text: str, messages: list[dict[str, str]]) -> bool:
    """Whether each message's placeholder is in the template's text."""
    return all(message["content"].strip() in text for message in messages)
