"""The prompt for code at a cursor: fill-in-the-middle where the model has tokens for it, else what stands before. Pure.

Only this module puts special tokens into such a prompt: written in a file, they stay text.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.engine.base import Loaded, Tokenizer


@dataclass(frozen=True, slots=True)
class Family:
    """The special tokens of models that were trained to fill a gap, in the order in which the prompt has them.

    `prompt` is read as a format with {before} and {after}; `ends` are tokens behind which there is no more of the gap.
    """

    prompt: tuple[str, ...]
    ends: tuple[str, ...] = ()

    @property
    def tokens(self) -> tuple[str, ...]:
        """The special tokens that a model needs to have."""
        return tuple(part for part in self.prompt if part not in (BEFORE, AFTER))


BEFORE, AFTER = "{before}", "{after}"
# As the models' makers publish them.
# fmt: off
FAMILIES = (
    # Qwen2.5-Coder, CodeGemma, Granite 3 and 4
    Family(("<|fim_prefix|>", BEFORE, "<|fim_suffix|>", AFTER, "<|fim_middle|>"),
           ("<|fim_pad|>", "<|file_sep|>", "<|repo_name|>", "<|file_separator|>", "<|endoftext|>")),
    # StarCoder, StarCoder2, Stable Code, Granite Code
    Family(("<fim_prefix>", BEFORE, "<fim_suffix>", AFTER, "<fim_middle>"),
           ("<fim_pad>", "<file_sep>", "<filename>", "<|endoftext|>")),
    # SantaCoder
    Family(("<fim-prefix>", BEFORE, "<fim-suffix>", AFTER, "<fim-middle>"), ("<fim-pad>", "<|endoftext|>")),
    # Code Llama
    Family(("▁<PRE>", BEFORE, "▁<SUF>", AFTER, "▁<MID>"), ("▁<EOT>",)),
    # DeepSeek Coder
    Family(("<｜fim▁begin｜>", BEFORE, "<｜fim▁hole｜>", AFTER, "<｜fim▁end｜>"), ("<|EOT|>",)),
    # Codestral
    Family(("[SUFFIX]", AFTER, "[PREFIX]", BEFORE)),
)
# fmt: on


@dataclass(frozen=True, slots=True)
class Infilling:
    """The ids of a prompt, and the ids behind which what is made does not belong to the gap."""

    ids: tuple[int, ...]
    ends: frozenset[int]


def family_of(tokenizer: Tokenizer) -> Family | None:
    """The first family all of whose tokens the model has."""
    return next((one for one in FAMILIES if all(tokenizer.special(token) is not None for token in one.tokens)), None)


def infilling(loaded: Loaded, before: str, after: str) -> Infilling | None:
    """The prompt for the gap between two texts; None when there is nothing that a model could go by.

    A model behind a server has no tokenizer here, and gets no prompt.
    """
    tokenizer = loaded.tokenizer
    if tokenizer is None:
        return None
    family = family_of(tokenizer)
    if not before.strip() and (family is None or not after.strip()):
        return None

    def count(text: str) -> int:
        return len(tokenizer.encode(text))

    shown = {
        BEFORE: ending(before, min(limit("completion.before_tokens"), loaded.window // 2), count),
        AFTER: beginning(after, min(limit("completion.after_tokens"), loaded.window // 8), count),
    }
    first = loaded.special_text.get("bos_token", "") if loaded.add_bos else ""
    if family is None:
        return Infilling(tuple(tokenizer.encode_prompt([first, shown[BEFORE]])), frozenset())
    parts = [shown.get(part, part) for part in family.prompt]
    ends = (tokenizer.special(token) for token in (*family.tokens, *family.ends))
    return Infilling(
        tuple(tokenizer.encode_prompt([first + parts[0], *parts[1:]])),
        frozenset(one for one in ends if one is not None),
    )


def ending(text: str, room: int, count: Callable[[str], int]) -> str:
    """The last lines of a text that take about `room` tokens.

    What is left out ends at every n-th line of the file alone: while a person types the prompt begins with the same
    tokens, and a backend need not compute them again.
    """
    lines = text.splitlines(keepends=True)
    first, left = len(lines), room
    while first:
        left -= count(lines[first - 1][-_characters(room) :])
        if left < 0:
            break
        first -= 1
    if first == len(lines):
        return text[-_characters(room) :]
    step = limit("completion.anchor_lines")
    anchor = -(-first // step) * step
    return "".join(lines[anchor if anchor < len(lines) else first :])


def beginning(text: str, room: int, count: Callable[[str], int]) -> str:
    """The first lines of a text that take about `room` tokens."""
    kept, left = 0, room
    for line in text.splitlines(keepends=True):
        left -= count(line[: _characters(room)])
        if left < 0:
            break
        kept += len(line)
    return text[:kept]


def _characters(room: int) -> int:
    """So much of one line at most: code has 3 to 4 characters a token."""
    return 3 * room
