"""The words around a question: what the model is told, in an order that keeps the stable part first. Pure.

Stable first means: the instructions never change, the code changes less often than the question. A backend that keeps
the state of a prompt's beginning then has little to compute again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from leanvibe_lsp.assist.answer import Turn
from leanvibe_lsp.documents.context import Block
from leanvibe_lsp.engine.prompts import Message

SYSTEM = (
    "You are a careful programmer who answers questions about code. Answer from the code you are shown. "
    "Be brief. If the code does not show it, say so."
)


def messages(question: str, blocks: Sequence[Block], history: Sequence[Turn]) -> list[Message]:
    """The conversation: instructions, earlier turns, then the code and the question."""
    turns = [Message(turn.role, turn.content) for turn in history]
    return _alternating([Message("system", SYSTEM), *turns, Message("user", _body(question, blocks))])


def _alternating(messages: Sequence[Message]) -> list[Message]:
    """Join neighbours of one role: a question that failed leaves two in a row, which many templates refuse."""
    merged: list[Message] = []
    for message in messages:
        if merged and merged[-1].role == message.role:
            message = Message(message.role, f"{merged.pop().content}\n\n{message.content}")
        merged.append(message)
    return merged


def newest_turns(history: Sequence[Turn], budget: int, count: Callable[[str], int]) -> tuple[tuple[Turn, ...], int]:
    """The newest turns within `budget` tokens, oldest first, beginning with the user's; and how many were left out."""
    kept: list[Turn] = []
    for turn in reversed(history):
        budget -= count(turn.content)
        if budget < 0:
            break
        kept.append(turn)
    while kept and kept[-1].role != "user":
        kept.pop()
    return tuple(reversed(kept)), len(history) - len(kept)


def _body(question: str, blocks: Sequence[Block]) -> str:
    return "\n\n".join((*map(quoted, blocks), question))


def quoted(block: Block) -> str:
    """A block as the model is shown it."""
    return f"{block.label} ({block.what}):\n{fenced(block.text, block.language)}"


def fenced(text: str, language: str = "") -> str:
    """`text` in a Markdown code fence that says its language and that nothing inside can close."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"
