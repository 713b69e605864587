"""From what a model wrote to the code it means: the text of one fenced block. Pure.

Tolerated: words around the block, a language behind the fence, a block that only repeats what was shown, blocks that
show something else beside the one that changes it. Where it is not plain which text is meant, none is: a block that
does not end, fences that pair in more than one way, a list of differences, code for other places too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from leanvibe_lsp.errors import Incomplete

_FENCE = re.compile(r"^(?P<indent>[ \t]*)(?P<fence>`{3,}|~{3,})[ \t]*(?P<told>[^`\n]*?)[ \t]*$")
_DEEPEST = 3  # blanks before a fence, beyond which it is a line of the text in Markdown
_CLOSING = re.compile(r"\W*(?:end|fi|done|esac)?\W*")
_TOKEN = re.compile(r"\w+|[^\w\s]")
_ELSEWHERE = re.compile(r"import|from|use|using|require|include|package|load|source")
# Languages in which a fence is as likely to be the text itself.
_WORDS = frozenset({"markdown", "rst"})


@dataclass(frozen=True, slots=True)
class _Block:
    fence: str
    told: str  # what stands behind the fence
    text: str


def code_of(answer: str, region: str, language: str) -> str:
    """The code of an answer about `region`, with "\\n" at the end of its lines and none at its own end.

    Raises Incomplete where there is none, where it does not end, or where it is not plain which text is meant.
    """
    answer, region = _plain(answer), _plain(region)
    blocks = _blocks(answer)
    if not blocks:
        return _unfenced(answer, region)
    told = _chosen(blocks, region)
    fences = _fences(region)
    is_cut = any(fence.startswith(told.fence) and not _is_text(indent) for indent, fence in fences)
    if is_cut or (len(blocks) > 1 and (fences or language in _WORDS)):
        raise _unclear(
            "The fences of the answer pair in more than one way.", f"Use {_longer(fences)} around all of it."
        )
    if told.told.partition(" ")[0].lower() in ("diff", "patch") or _is_diff(told.text, region):
        raise _unclear("The answer is a list of differences.", "Write the whole new code.")
    return told.text.strip("\n").rstrip()


def fence_words(code: str) -> str:
    """What is to be said to a model of the fence around its answer, where what it writes may hold fences itself."""
    fences = _fences(_plain(code))
    return f" Fence it with {_longer(fences)}, because it holds fences itself." if fences else ""


def _fences(text: str) -> list[tuple[str, str]]:
    """The lines that are fences, each as its indentation and the fence itself."""
    return [(match["indent"], match["fence"]) for line in text.split("\n") if (match := _FENCE.match(line))]


def _longer(fences: list[tuple[str, str]]) -> str:
    return "`" * (1 + max((len(fence) for _, fence in fences), default=3))


def _is_text(indent: str, around: str = "") -> bool:
    """Whether a fence stands so far to the right of the one around it that it is a line of the text."""
    return len(indent.expandtabs(4)) > len(around.expandtabs(4)) + _DEEPEST


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _unclear(message: str, next_step: str) -> Incomplete:
    return Incomplete(message, next_step=next_step)


def _blocks(answer: str) -> list[_Block]:
    """The blocks that are not empty, or else those that are. Raises Incomplete when the last one does not end."""
    blocks: list[_Block] = []
    fence, told, indent, inside = "", "", "", list[str]()
    for line in answer.split("\n"):
        match = _FENCE.match(line)
        if not fence:
            if match:
                indent, fence, told, inside = match["indent"], match["fence"], match["told"], []
        elif match and match["fence"].startswith(fence) and not match["told"] and not _is_text(match["indent"], indent):
            blocks.append(_Block(fence, told, "\n".join(inside)))
            fence = ""
        else:
            inside.append(line)
    if fence:
        raise _unclear("The code block of the answer does not end.", "Ask for less at once.")
    return [block for block in blocks if block.text.strip()] or blocks


def _chosen(blocks: list[_Block], region: str) -> _Block:
    """The block that begins most as the region does, of those that are not the region itself."""
    if len(blocks) == 1:
        return blocks[0]
    shown = _collapsed(region)
    said = {_collapsed(block.text): block for block in reversed(blocks)}
    others = [block for block in reversed(said.values()) if _collapsed(block.text) != shown]
    if not others:
        return blocks[0]
    likeness = [_alike(block.text, region) for block in others]
    best = max(likeness)
    if not best or likeness.count(best) > 1:
        raise _unclear("It is not plain which block of the answer is the new code.", "Write one block.")
    if any(_ELSEWHERE.match(block.text.lstrip("#@ \n")) for block in others if _alike(block.text, region) < best):
        raise _unclear("The answer changes other places too.", "Change only the code that was shown.")
    return others[likeness.index(best)]


def _collapsed(text: str) -> str:
    return "".join(text.split())


def _alike(text: str, region: str) -> int:
    """How many tokens at the beginning are the same."""
    same = 0
    for one, other in zip(_TOKEN.findall(text), _TOKEN.findall(region), strict=False):
        if one != other:
            break
        same += 1
    return same


def _is_diff(text: str, region: str) -> bool:
    """Whether a text takes lines of the region away by writing "-" before them."""
    lines = [line for line in text.split("\n") if line.strip()]
    if not lines or not all(line[0] in " \t+-@\\" for line in lines):
        return False
    shown = {line.rstrip() for line in region.split("\n") if line.strip()}
    known = {line.strip() for line in shown}
    gone = [line for line in lines if line[0] == "-" and line[1:].strip() in known and line.rstrip() not in shown]
    return any(line[1:].rstrip() in shown for line in gone) or (bool(gone) and any(line[0] == "+" for line in lines))


def _unfenced(answer: str, region: str) -> str:
    """An answer that is nothing but the code: it begins as the region does, and no line leaves it."""
    lines = answer.strip("\n").rstrip().split("\n")
    shown = [line.strip() for line in region.split("\n") if line.strip()]
    if not shown or lines[0].strip() != shown[0]:
        raise _unclear("The answer holds no code block.", "Ask again.")
    first = len(lines[0]) - len(lines[0].lstrip())
    for line in lines[1:]:
        is_inside = len(line) - len(line.lstrip()) > first
        if line.strip() and not is_inside and line.strip() not in shown and not _CLOSING.fullmatch(line.strip()):
            raise _unclear("The answer has other text than code and no code block.", "Write one block.")
    return "\n".join(lines)
