"""What one .gitignore file says of a path, as git reads it. Pure.

A rule is about the path itself and never about what lies below: whoever asks goes through the folders from the top.
Names are bytes, as they are to git; what a rule costs grows with the length of the rule times that of the name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_CROSSING = None  # a `**` between slashes
_CLASSES = {
    b"alnum": b"0-9A-Za-z",
    b"alpha": b"A-Za-z",
    b"blank": b" \\t",
    b"cntrl": b"\\x00-\\x1f\\x7f",
    b"digit": b"0-9",
    b"graph": b"!-~",
    b"lower": b"a-z",
    b"print": b" -~",
    b"punct": b"!-/:-@\\[-`{-~",
    b"space": b" \\t-\\r",
    b"upper": b"A-Z",
    b"xdigit": b"0-9A-Fa-f",
}
_SET = re.compile(rb"\[([!^]?)((?:\]|\\.|\[:\w+:\]|[^\]\\])(?:\\.|\[:\w+:\]|[^\]\\])*)\]", re.DOTALL)
_IN_SET = re.compile(rb"\[:(?P<name>\w+):\]|(?P<low>\\.|.)(?:-(?P<high>\\.|[^\]\\]))?", re.DOTALL)
_NEVER = rb"(?!)"


@dataclass(frozen=True, slots=True)
class Rule:
    """One line. `parts` are of each name in turn, None for any number of them; `anywhere`: the last name alone."""

    parts: tuple[re.Pattern[bytes] | None, ...]
    anywhere: bool
    folders_only: bool
    ignores: bool

    def fits(self, names: tuple[bytes, ...]) -> bool:
        """Whether it is about this path, given by the names from the file's folder on."""
        if self.anywhere:
            return _fits(self.parts[0], names[-1])
        places = {0}
        for number, part in enumerate(self.parts):
            if part is _CROSSING:
                last = number == len(self.parts) - 1  # "x/**" is what is in x, and not x
                places = set(range(min(places) + last, len(names) + 1))
            else:
                places = {at + 1 for at in places if at < len(names) and _fits(part, names[at])}
            if not places:
                return False
        return len(names) in places


def rules(data: bytes) -> tuple[Rule, ...]:
    """The rules of a file, the last first, as they count."""
    lines = data.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    found = (_rule(line.removesuffix(b"\r")) for line in lines if not line.startswith(b"#"))
    return tuple(rule for rule in found if rule is not None)[::-1]


def says(found: tuple[Rule, ...], names: tuple[bytes, ...], *, is_folder: bool) -> bool | None:
    """Whether the rules leave a path out, None when none is about it."""
    fitting = (rule for rule in found if (is_folder or not rule.folders_only) and rule.fits(names))
    return next((rule.ignores for rule in fitting), None)


def _rule(line: bytes) -> Rule | None:
    text = re.sub(rb"^((?:\\.|[^\\])*?) +$", rb"\1", line, flags=re.DOTALL) if line.endswith(b" ") else line
    ignores = not text.startswith(b"!")
    text = text.removeprefix(b"!")
    folders_only = text.endswith(b"/")
    text = text.removesuffix(b"/")
    if not text:
        return None
    anywhere = b"/" not in text
    names = [text] if anywhere else text.removeprefix(b"/").split(b"/")
    crossing = [not anywhere and name == b"**" for name in names]
    parts = tuple(_CROSSING if any_ else _name(name) for name, any_ in zip(names, crossing, strict=True))
    return Rule(parts, anywhere, folders_only, ignores)


def _fits(part: re.Pattern[bytes] | None, name: bytes) -> bool:
    return part is not None and part.fullmatch(name) is not None


def _name(glob: bytes) -> re.Pattern[bytes]:
    """A glob over one name; what stands between two stars is found at its first place and never looked for again."""
    runs, at = [b""], 0
    while at < len(glob):
        sign, found = glob[at : at + 1], _SET.match(glob, at)
        if sign == b"*":
            runs += [b""] if runs[-1] or len(runs) == 1 else []
        elif sign == b"?":
            runs[-1] += b"."
        elif sign == b"[":
            runs[-1] += _set(found) if found is not None else _NEVER
            at = found.end() - 1 if found is not None else at
        else:
            at += sign == b"\\"
            runs[-1] += re.escape(glob[at : at + 1]) or _NEVER  # a lone backslash at the end
        at += 1
    first, *others = runs
    if others:
        first += b"".join(b"(?>.*?%s)" % run for run in others[:-1]) + b".*" + others[-1]
    return re.compile(first, re.DOTALL)


def _set(found: re.Match[bytes]) -> bytes:
    inside = b""
    for one in _IN_SET.finditer(found[2]):
        if one["name"] is not None:
            inside += _CLASSES.get(one["name"], b"")
            if one["name"] not in _CLASSES:
                return _NEVER
        else:
            low = one["low"][-1]
            high = low if one["high"] is None else one["high"][-1]
            inside += b"\\x%02x-\\x%02x" % (low, high) if low <= high else b""
    if not inside:
        return b"." if found[1] else _NEVER
    return b"[%s%s]" % (b"^" if found[1] else b"", inside)
