"""From what a model wrote to the code it means: one fenced block, laid onto the lines it is to replace. Pure.

Tolerated: words around the block, a language behind the fence, code that stands too far left or right, tabs for blanks,
the file's other lines written again, a block that only repeats what was shown before the one that changes it. A block
that does not end was cut, and half of a change is none.
"""

from __future__ import annotations

import re
import textwrap

from leanvibe_lsp.errors import Incomplete

_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})[ \t]*([^`\n]*)$")


def code_of(answer: str, region: str) -> str:
    """The code of an answer, with "\\n" at the end of its lines and none at its own end.

    Of several blocks the first that is not `region` itself. Raises Incomplete when there is none, or it does not end.
    """
    blocks, is_open = _blocks(_plain(answer))
    if is_open:
        raise Incomplete("The code block of the answer does not end.", next_step="Ask for less at once.")
    if not blocks:
        whole = _plain(answer).strip("\n")
        first, shown = whole.partition("\n")[0].strip(), _plain(region).strip().partition("\n")[0].strip()
        if not first or first != shown:
            raise Incomplete("The answer holds no code block.", next_step="Ask again.")
        blocks = [whole]
    told = next((block for block in blocks if block.strip() != _plain(region).strip()), blocks[0])
    return told.strip("\n").rstrip()


def laid(code: str, before: str, region: str, after: str) -> str:
    """The code as it stands in place of `region`, which has `before` and `after` around it: its lines, no more.

    Its first line gets the indentation of the region's, the others move with it; line endings are the document's.
    """
    code = _without_rest(code, before, _plain(region), after)
    code = _indented(code, _plain(region))
    newline = "\r\n" if "\r\n" in (region if "\n" in region else before + after) else "\n"
    return code.replace("\n", newline)


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _blocks(answer: str) -> tuple[list[str], bool]:
    """The blocks, and whether a last one does not end."""
    blocks: list[str] = []
    fence, inside = "", list[str]()
    for line in answer.split("\n"):
        match = _FENCE.match(line)
        if not fence:
            if match:
                fence, inside = match[1], []
        elif match and match[1].startswith(fence) and not match[2].strip():
            blocks.append("\n".join(inside))
            fence = ""
        else:
            inside.append(line)
    return [block for block in blocks if block.strip()] or blocks, bool(fence)


def _without_rest(code: str, before: str, region: str, after: str) -> str:
    """The code without the lines around the region, where the model wrote those again."""
    lines = code.split("\n")
    around = {line.strip() for line in _plain(before).split("\n")}
    first = region.strip().partition("\n")[0].strip()
    at = next((number for number, line in enumerate(lines) if line.strip() == first), 0)
    head = lines[:at]
    if not any(line.strip() for line in head) or not all(line.strip() in around for line in head):
        return code
    lines = lines[at:]
    rest = [line.strip() for line in _plain(after).split("\n") if line.strip()]
    said = [(number, line.strip()) for number, line in enumerate(lines) if line.strip()]
    if rest and [line for _, line in said[-len(rest) :]] == rest and len(said) > len(rest):
        lines = lines[: said[-len(rest)][0]]
    return "\n".join(lines).rstrip()


def _indented(code: str, region: str) -> str:
    shown = [line for line in region.split("\n") if line.strip()]
    code = _in_the_regions_blanks(code, shown)
    wanted = _blanks(shown[0]) if shown else ""
    first, *rest = code.split("\n")
    if _blanks(first) == wanted or not code.strip():
        return code
    deep = _least(rest)
    if not _blanks(first) and deep and deep == _least(shown[1:]):
        return "\n".join((wanted + first, *rest))  # only the first line lost its blanks
    body = textwrap.dedent(code)
    return "\n".join(wanted + line if line.strip() else line for line in body.split("\n"))


def _blanks(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" \t"))]


def _least(lines: list[str]) -> str:
    """The indentation that all of these lines have at least."""
    return min((_blanks(line) for line in lines if line.strip()), key=len, default="")


def _in_the_regions_blanks(code: str, shown: list[str]) -> str:
    """Tabs where the region has tabs, and blanks where it has blanks, at the beginning of lines."""
    lines = code.split("\n")
    indents = [_blanks(line) for line in lines if line.strip()]
    theirs, ours = set("".join(indents)), set("".join(map(_blanks, shown)))
    if len(ours) != 1 or len(theirs) != 1 or ours == theirs:
        return code
    if theirs == {" "}:
        unit = min(len(one) for one in indents if one)
        return "\n".join(_swapped(line, " " * unit, "\t") for line in lines)
    return "\n".join(_swapped(line, "\t", "    ") for line in lines)


def _swapped(line: str, one: str, other: str) -> str:
    blanks = _blanks(line)
    return other * (len(blanks) // len(one)) + " " * (len(blanks) % len(one)) + line[len(blanks) :]
