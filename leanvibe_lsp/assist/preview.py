"""What a model would be shown for a question, part by part, without asking it."""

from __future__ import annotations

from dataclasses import dataclass

from leanvibe_lsp.assist.answer import AskRequest
from leanvibe_lsp.assist.fitting import Prompt, build_prompt
from leanvibe_lsp.assist.prompt import SYSTEM, quoted
from leanvibe_lsp.documents.context import Block
from leanvibe_lsp.engine.base import Loaded
from leanvibe_lsp.engine.prompts import count_tokens, prompt_length


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the prompt, word for word, and its tokens; `block` is the code it quotes, if it quotes any."""

    title: str
    text: str
    tokens: int
    block: Block | None = None


@dataclass(frozen=True, slots=True)
class Preview:
    """All parts in the order of the prompt. `tokens` is all of it with the template's own words around the parts.

    `exact` is false for a model behind a server, whose tokenizer is not here: then all counts are estimates.
    """

    model: str
    window: int
    max_tokens: int
    tokens: int
    exact: bool
    parts: tuple[Part, ...]
    omitted: tuple[str, ...]
    prompt: Prompt


def preview(request: AskRequest, model: str, loaded: Loaded) -> Preview:
    """Write the prompt and take it apart. Raises what `build_prompt` raises."""
    prompt = build_prompt(request, loaded)

    def part(title: str, text: str, block: Block | None = None) -> Part:
        return Part(title, text, count_tokens(loaded, text), block)

    parts = (
        part("instructions", SYSTEM),
        *(part(block.what, quoted(block), block) for block in prompt.packed.blocks),
        part("question", prompt.question),
    )
    return Preview(
        model=model,
        window=loaded.window,
        max_tokens=prompt.max_tokens,
        tokens=prompt_length(loaded, prompt.messages, prompt.ids),
        exact=loaded.tokenizer is not None,
        parts=parts,
        omitted=prompt.omitted,
        prompt=prompt,
    )


def preview_json(shown: Preview) -> dict[str, object]:
    """Plain values only, camelCase; `messages` is what the model's template is filled with."""
    return {
        "model": shown.model,
        "window": shown.window,
        "maxTokens": shown.max_tokens,
        "promptTokens": shown.tokens,
        "exact": shown.exact,
        "parts": [_part(part) for part in shown.parts],
        "omitted": list(shown.omitted),
        "messages": [{"role": message.role, "content": message.content} for message in shown.prompt.messages],
    }


def _part(part: Part) -> dict[str, object]:
    said: dict[str, object] = {"what": part.title, "tokens": part.tokens, "text": part.text}
    if part.block is not None:
        start, end = part.block.start_line, part.block.end_line
        lines = {"start": {"line": start, "character": 0}, "end": {"line": end + 1, "character": 0}}
        said |= {"uri": part.block.uri, "range": lines}
    return said
