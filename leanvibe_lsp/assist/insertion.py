"""What of a model's text is inserted at a cursor, and where it ends. Pure; lines end in a line feed here."""

from __future__ import annotations

from dataclasses import dataclass

from leanvibe_lsp.config.limits import limit

_OPENING = {")": "(", "]": "[", "}": "{"}
_QUOTES = "\"'`"


@dataclass(frozen=True, slots=True)
class Gap:
    """The place of the cursor: all that stands before it, and all that stands after."""

    before: str
    after: str

    @property
    def line_before(self) -> str:
        """The cursor's line up to the cursor."""
        return self.before[self.before.rfind("\n") + 1 :]

    @property
    def line_after(self) -> str:
        """The rest of the cursor's line."""
        return self.after.partition("\n")[0]

    @property
    def takes_block(self) -> bool:
        """Whether the cursor is alone on its line: a whole block may go there. Else what completes the line."""
        return not self.line_before.strip() and not self.line_after.strip()

    @property
    def spare(self) -> str:
        """A blank before the cursor that the model is not shown: tokens of code begin with it."""
        return " " if self.before.endswith(" ") else ""


def end_of(text: str, gap: Gap) -> int | None:
    """Where the model's text has done its part, once that is certain; None as long as more may belong to it."""
    if not gap.takes_block:
        end = text.find("\n")
        return None if end < 0 else end
    return _end_of_block(text, gap.line_before)


def _end_of_block(text: str, indentation: str) -> int | None:
    """A block is a line, and those that follow it as deep or deeper; after an empty line only deeper ones."""
    base, at, end, lines, gap = -1, 0, 0, 0, False
    for number, line in enumerate(text.split("\n")):
        width = _width(indentation + line if number == 0 else line)
        if line.strip():
            if base < 0:
                base = width
            elif width < base or (gap and width == base) or lines == limit("completion.lines"):
                return end
            lines, gap, end = lines + 1, False, at + len(line)
        else:
            gap = lines > 0
        at += len(line) + 1
    return None


def inserted(text: str, gap: Gap, *, cut: bool) -> str:
    """What is left to insert of all that a model said; "" for nothing. `cut`: it had no room to say more."""
    if gap.spare:
        if not text.startswith(gap.spare):
            return ""
        text = text[len(gap.spare) :]
    text = text.replace("\r", "")
    end = end_of(text, gap)
    if end is None and cut:  # its last line is no whole one
        end = max(text.rfind("\n"), 0)
    text = text if end is None else text[:end]
    if gap.takes_block:
        text = _without_empty_start(text, gap.line_before)
    return trimmed(text.rstrip(), gap)


def _without_empty_start(text: str, indentation: str) -> str:
    """The block, on the cursor's own line; "" when it begins on a later line, less deep."""
    head, _, rest = text.partition("\n")
    if head.strip() or not rest:
        return text
    while not (line := rest.partition("\n"))[0].strip() and line[1]:
        rest = line[2]
    return rest[len(indentation) :] if rest.startswith(indentation) else ""


def trimmed(text: str, gap: Gap) -> str:
    """The text without what already stands after the cursor; "" when that is all it says."""
    rest = gap.line_after.rstrip()
    if rest:
        text = text[: _leaves(text, gap.line_before, rest)]
        return text[: len(text) - _overlap(text, rest)].rstrip()
    lines = (gap.line_before + text).split("\n")
    after = gap.after.partition("\n")[2].lstrip("\n").split("\n")
    for size in range(min(len(lines), len(after)), 0, -1):
        if [line.rstrip() for line in lines[-size:]] == [line.rstrip() for line in after[:size]]:
            lines = lines[:-size]
            break
    return "\n".join(lines)[len(gap.line_before) :].rstrip()


def _leaves(text: str, line_before: str, rest: str) -> int:
    """Where the text closes what was opened before the cursor and what `rest` closes; its length when it does not."""
    closing = rest.lstrip()[0]
    if closing in _QUOTES and line_before.count(closing) % 2:
        found = text.find(closing)
        return found if found >= 0 else len(text)
    opened = 0
    for at, character in enumerate(text):
        opened += character == _OPENING.get(closing)
        if character == closing and closing in _OPENING:
            opened -= 1
            if opened < 0:
                return at
    return len(text)


def _overlap(text: str, rest: str) -> int:
    """How much of the text's end stands at the beginning of `rest`: what closes something in the text is its own."""
    for size in range(min(len(text), len(rest)), 0, -1):
        if text.endswith(rest[:size]) and _is_whole(text[:-size], rest[:size]):
            return size
    return 0


def _is_whole(text: str, taken: str) -> bool:
    """Whether nothing that is opened in the text would be closed by what is taken from its end."""
    if taken[0] in _QUOTES and text.count(taken[0]) % 2:
        return False
    return all(text.count(_OPENING[one]) <= text.count(one) for one in taken if one in _OPENING)


def _width(line: str) -> int:
    """How deep a line is indented, in columns."""
    shown = line.expandtabs()
    return len(shown) - len(shown.lstrip())
