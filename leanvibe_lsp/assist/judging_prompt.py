"""The prompt of a review: the piece to judge, with line numbers, and what belongs to it, fitted into a window. Pure."""

from __future__ import annotations

from dataclasses import replace

from leanvibe_lsp.assist.answer import AskRequest
from leanvibe_lsp.assist.fitting import Prompt
from leanvibe_lsp.assist.prompt import fenced
from leanvibe_lsp.assist.units import Unit
from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.text import LineIndex, Span
from leanvibe_lsp.documents.context import Block, Packed, pack
from leanvibe_lsp.documents.secrets import cover, covered, refuse, withheld
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.engine.base import Loaded, Message, Source
from leanvibe_lsp.engine.prompts import count_tokens, prompt_length, render
from leanvibe_lsp.errors import ContextTooLarge
from leanvibe_lsp.tiers.model.prompt import SYSTEM, question
from leanvibe_lsp.tiers.model.quotes import numbered


def build_review(request: AskRequest, loaded: Loaded, unit: Unit, told: str) -> Prompt:
    """The prompt about `unit` of the request's first place; `told` is what the rungs below said.

    As `fitting.build_prompt`, no file of secrets gets past here, and no secret of another. Raises UsageError for the
    first, ContextTooLarge where the window does not hold all of the piece.
    """
    snapshot = request.places[0].snapshot
    refuse(snapshot, request.secrets)
    related = tuple(one for one in request.gathered.related if withheld(one.snapshot, request.secrets) is None)
    # What our own rungs say is told in our own words.
    others = tuple(one for one in request.gathered.diagnostics if one.source != "leanvibe")
    gathered = replace(request.gathered, related=related, diagnostics=others)
    found = cover(snapshot)
    rows = _rows(unit.span, snapshot.lines)
    asked = question(unit.name, rows[0] + 1, rows[-1] + 1, told if found is None else found.hidden(told))

    def count(text: str) -> int:
        return count_tokens(loaded, text)

    max_tokens = min(request.max_tokens or limit("judge.tokens"), loaded.window // 2)
    room = loaded.window - max_tokens
    # Numbers take room that packing does not count.
    budget = min(limit("judge.context_tokens"), room)
    while True:
        packed = pack([(snapshot, unit.span)], max(0, budget), count, gathered)
        messages = _messages(packed, asked)
        ids = render(loaded, messages)
        over = prompt_length(loaded, messages, ids) - room
        if over <= 0 or not packed.blocks:
            break
        budget = min(budget, packed.tokens) - max(1, over)
    if over > 0 or not _shows(packed, covered(snapshot, found), rows):
        raise ContextTooLarge(
            f"{unit.name} has {len(rows)} lines, which is more than the model can be shown at once.",
            next_step="Select less of it.",
        )
    sources = tuple(dict.fromkeys(Source(one.uri, one.start_line, one.end_line) for one in packed.blocks))
    return Prompt(ids, asked, tuple(messages), max_tokens, packed, packed.omitted, sources)


def text_of(prompt: Prompt) -> str:
    """What the model is shown, for a person."""
    return "\n\n".join(message.content for message in prompt.messages)


def _messages(packed: Packed, asked: str) -> list[Message]:
    return [Message("system", SYSTEM), Message("user", "\n\n".join((*map(_quoted, packed.blocks), asked)))]


def _quoted(block: Block) -> str:
    # A line of signatures stands for others, and what tools say for none.
    text = numbered(block.text, block.start_line + 1) if _is_literal(block) else block.text
    return f"{block.label} ({block.what}):\n{fenced(text, block.language)}"


def _is_literal(block: Block) -> bool:
    """Whether the text is that of its lines, one for one."""
    return "diagnostics" not in block.what and LineIndex(block.text).line_count == block.end_line - block.start_line + 1


def _shows(packed: Packed, seen: Snapshot, rows: range) -> bool:
    """Whether all that stands on these lines is shown word for word; `seen` is the document without its secrets."""
    lines = seen.lines
    shown = {
        row
        for block in packed.blocks
        if block.uri == seen.uri
        and block.text == seen.text[lines.line_span(block.start_line).start : lines.line_span(block.end_line).end]
        for row in range(block.start_line, block.end_line + 1)
    }
    return all(row in shown or not lines.line_text(row).strip() for row in rows)


def _rows(span: Span, lines: LineIndex) -> range:
    return range(lines.line_of(span.start), lines.line_of(max(span.start, span.end - 1)) + 1)
