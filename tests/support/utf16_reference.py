"""The edit semantics of LSP in the plainest way: a list of UTF-16 code units, every position found by walking.

Written from the specification and from the observed answers of vscode-languageserver-textdocument, with nothing
shared with the product. A column inside a surrogate pair means the pair's start. Lone halves that come together are
one character.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

ATOMS = [
    "a",
    "b",
    "x1",
    " ",
    "\t",
    "()",
    "é",
    "İ",
    "ß",
    "漢",
    "字",
    "م",
    "😀",
    "👩‍👩‍👧",
    "𝒳",
    "\u2028",
    "\u2029",
    "\x85",
    "\ufeff",
]
ENDINGS = ["\n", "\r\n", "\r"]


def units(text: str) -> list[int]:
    """The code units of a text."""
    data = text.encode("utf-16-le", "surrogatepass")
    return [data[i] | data[i + 1] << 8 for i in range(0, len(data), 2)]


def text_of(code_units: list[int]) -> str:
    """The text of code units; a lone half stays what it is."""
    return b"".join(unit.to_bytes(2, "little") for unit in code_units).decode("utf-16-le", "surrogatepass")


def lines(code_units: list[int]) -> list[tuple[int, int]]:
    """For each line where it starts and where its line ending starts."""
    found, start, i = [], 0, 0
    while i < len(code_units):
        if code_units[i] in (10, 13):
            found.append((start, i))
            if code_units[i] == 13 and i + 1 < len(code_units) and code_units[i + 1] == 10:
                i += 1
            start = i + 1
        i += 1
    return [*found, (start, len(code_units))]


def offset(code_units: list[int], line: int, character: int, encoding: str = "utf-16") -> int:
    """The code unit at a position, clamped; never inside a pair."""
    rows = lines(code_units)
    if line >= len(rows):
        return len(code_units)
    start, end = rows[line]
    at, column = start, 0
    while at < end:
        step = 2 if _pair(code_units, at) else 1
        width = _width(code_units, at, step, encoding)
        if column + width > character:
            break
        at, column = at + step, column + width
    return at


def position(code_units: list[int], at: int, encoding: str = "utf-16") -> tuple[int, int]:
    """The position of a code unit, before the line ending."""
    rows = lines(code_units)
    line = max(i for i, (start, _) in enumerate(rows) if start <= at)
    start, end = rows[line]
    column, i = 0, start
    while i < min(at, end):
        step = 2 if _pair(code_units, i) else 1
        column, i = column + _width(code_units, i, step, encoding), i + step
    return line, column


def apply(code_units: list[int], change: dict, encoding: str = "utf-16") -> list[int]:
    """One content change."""
    if "range" not in change:
        return units(change["text"])
    ends = [change["range"][key] for key in ("start", "end")]
    low, high = sorted(offset(code_units, end["line"], end["character"], encoding) for end in ends)
    return code_units[:low] + units(change["text"]) + code_units[high:]


def _pair(code_units: list[int], at: int) -> bool:
    return 0xD800 <= code_units[at] < 0xDC00 and at + 1 < len(code_units) and 0xDC00 <= code_units[at + 1] < 0xE000


def _width(code_units: list[int], at: int, step: int, encoding: str) -> int:
    if encoding == "utf-16":
        return step
    if encoding == "utf-32":
        return 1
    return 4 if step == 2 else 1 if code_units[at] < 0x80 else 2 if code_units[at] < 0x800 else 3


def random_text(rng: random.Random, most: int = 30) -> str:
    """Text with every kind of character that counts differently somewhere."""
    pool = ATOMS + ENDINGS * 3
    return "".join(rng.choice(pool) for _ in range(rng.randint(0, most)))


def trace(rng: random.Random, number: int) -> dict:
    """A random editing session in the format of sync_traces_visible.jsonl."""
    opened = random_text(rng)
    now, versions = units(opened), []
    for version in range(1, rng.randint(2, 6)):
        changes = []
        for _ in range(rng.randint(1, 3)):
            change: dict = {"text": random_text(rng, 5)}
            if rng.random() < 0.95:
                change["range"] = {key: _anywhere(rng, now) for key in ("start", "end")}
            now = apply(now, change)
            changes.append(change)
        versions.append({"version": version, "contentChanges": changes})
    probes = []
    for _ in range(6):
        line, character = position(now, rng.randint(0, len(now)))
        at = offset(now, line, character)
        line, character = position(now, at)
        probes.append({"offset_utf16": at, "position": {"line": line, "character": character}})
    return {
        "id": number,
        "open": opened,
        "changes": versions,
        "final": text_of(now),
        "lineCount": len(lines(now)),
        "probes": probes,
    }


def _anywhere(rng: random.Random, code_units: list[int]) -> dict[str, int]:
    rows = lines(code_units)
    line = rng.randint(0, len(rows))
    width = rows[line][1] - rows[line][0] if line < len(rows) else 3
    return {"line": line, "character": rng.randint(0, width + 3)}


if __name__ == "__main__":
    out = Path(__file__).parents[1] / "cases" / "sync" / "random.jsonl"
    source = random.Random(20261121)
    out.write_text("".join(json.dumps(trace(source, number)) + "\n" for number in range(60)), encoding="utf-8")
