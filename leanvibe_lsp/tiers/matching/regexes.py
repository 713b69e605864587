"""Rust's regular expressions in Python's writing.

The two mean the same by most of what they write. What one of them does not know, or knows as something else, is not
supported: ast-grep has the rule then. Of a trusted rule alone: what Rust searches in linear time may take Python for
ever.
"""

from __future__ import annotations

import re
import warnings

from leanvibe_lsp.tiers.matching.unsupported import Unsupported

_ESCAPES = frozenset("dDwWsSbBAtnrfva")  # that both know outside of brackets
_GROUP = re.compile(r"\(\?(?:(?P<plain>:|P<\w+>)|<(?P<name>\w+)>|(?P<on>[isx]*)(?:-(?P<off>[isu]+))?(?P<end>[:)]))")
_COUNT = re.compile(r"\{\d+(?:,\d*)?\}")
_SPACE = re.compile(r"(?<!\\)[\s#]")
_ESCAPE = re.compile(r"\\(?:x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|x\{(?P<code>[0-9A-Fa-f]{1,6})\}|.)", re.DOTALL)


def translated(regex: str) -> str:
    """The same expression as Python's `re` reads it. Raises Unsupported."""
    parts: list[str] = []
    at, spaced, depth, closing = 0, False, 0, ""
    while at < len(regex):
        letter = regex[at]
        if letter == "\\":
            part, at = _escape(regex, at, bracket=False)
        elif letter == "[":
            part, at = _bracket(regex, at)
            if spaced and _SPACE.search(part):  # Rust passes over it there too
                raise Unsupported(regex)
        elif letter == "(" and regex.startswith("(?", at):
            rest = parts[-1:] == ["|"] and not depth  # flags from here on are those of the last branches
            part, at = _group(regex, at, rest=rest)
            spaced = spaced or "x" in part.partition("-")[0]
            if part.endswith(")") and parts:
                part, closing = f"{part[:-1]}:", f"{closing})"
            elif not part.endswith(")"):
                depth += 1
        elif letter in "()":
            part, at = letter, at + 1
            depth += 1 if letter == "(" else -1
        elif letter == "{":
            found = _COUNT.match(regex, at)
            if found is None:
                raise Unsupported(regex)
            part, at = found[0], found.end()
        elif letter == "$":
            part, at = r"\Z", at + 1  # Python's own also stands before a last line feed
        else:
            part, at = letter, at + 1
        # To Python that is a possessive one.
        if part[-1] in "*+?}" and part[0] != "\\" and regex.startswith("+", at):
            raise Unsupported(regex)
        parts.append(part)
    return "".join([*parts, closing])


def compiled(regex: str) -> re.Pattern[str]:
    """The expression, to be searched for. Raises Unsupported."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return re.compile(translated(regex))
    except (re.error, OverflowError, RecursionError):
        raise Unsupported(regex) from None


def _escape(regex: str, at: int, *, bracket: bool) -> tuple[str, int]:
    found = _ESCAPE.match(regex, at)
    if found is None:
        raise Unsupported(regex)
    letter, end = found[0][1:], found.end()
    if code := found["code"]:
        return f"\\U{int(code, 16):08x}", end
    if letter == "z" and not bracket:
        return r"\Z", end
    if len(letter) == 1 and letter.isascii():
        if letter in "<>" or (letter == "b" and regex.startswith("{", end)):
            raise Unsupported(regex)
        if letter in _ESCAPES or not letter.isalnum():
            return found[0], end
    elif len(letter) > 1:
        return found[0], end
    raise Unsupported(regex)


def _bracket(regex: str, at: int) -> tuple[str, int]:
    """A class of characters. Those within those, and differences of them, are Rust's alone."""
    start, at = at, at + 1
    parts = ["["]
    if regex.startswith("^", at):
        parts.append("^")
        at += 1
    first = at
    while at < len(regex):
        letter = regex[at]
        if letter == "]" and at > first:
            return "".join([*parts, "]"]), at + 1
        if letter == "\\":
            part, at = _escape(regex, at, bracket=True)
            parts.append(part)
            continue
        if letter == "[" or regex[at : at + 2] in ("&&", "--", "~~"):
            break
        parts.append(letter)
        at += 1
    raise Unsupported(regex[start:])


def _group(regex: str, at: int, *, rest: bool) -> tuple[str, int]:
    found = _GROUP.match(regex, at)
    # Flags for what follows stand at the beginning in Python, and are not taken back there.
    if found is None or (found["end"] == ")" and ((at and not rest) or (found["off"] or "u") != "u")):
        raise Unsupported(regex)
    if name := found["name"]:
        return f"(?P<{name}>", found.end()
    if found["plain"]:
        return found[0], found.end()
    off = found["off"] or ""
    on = found["on"] + ("a" if "u" in off else "")  # without Unicode: ASCII
    off = off.replace("u", "")
    return "".join(("(?", on, "-" if off else "", off, found["end"])), found.end()
