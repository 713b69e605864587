"""Files of settings: `leanvibe.toml`, `[tool.leanvibe]` of pyproject.toml, and the user's own. Reads, never writes."""

from __future__ import annotations

import re
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from leanvibe_lsp.config.layers import FILES, USER_FILE, WORKSPACE, Layer, Problem
from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.config.options import read_options

_PYPROJECT = "pyproject.toml"
_SECTION = ("tool", "leanvibe")
_HEADER = re.compile(r"\s*\[([^\[\]]+)\]\s*(?:#.*)?")
_KEY = re.compile(r"""\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=""", re.ASCII)
_PART = re.compile(r"""[\w-]+|"[^"]*"|'[^']*'""", re.ASCII)
# tomllib takes time by the square of a key's parts, and ours have four at most.
_LONG_KEY = re.compile(
    r"""(?:(?:[\w-]++|"(?:\\.|[^"\\\n])*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+)""" + f"{{{limit('config.key_parts')}}}",
    re.ASCII,
)
_AT_LINE = re.compile(r"\(at line (\d+), column \d+\)$")


def workspace_layers(root: Path, last_good: Mapping[Path, Layer]) -> tuple[Layer, ...]:
    """What a workspace's files say, lowest first. `last_good`: what counts on for a file that is broken now."""
    found = (root / name for name in FILES)
    return tuple(read_layer(path, WORKSPACE, last_good.get(path)) for path in found if path.is_file())


def read_layer(path: Path, name: str, last_good: Layer | None = None) -> Layer:
    """What a file says. Of one that is no TOML the last good reading counts on, with that as a problem. Never raises.

    `name` is USER_FILE or WORKSPACE; of the latter only what a workspace may say is taken.
    """
    try:
        text = _read(path)
        if (long := _long_key(text)) is not None:
            raise ValueError(f"a key has more than {limit('config.key_parts')} parts (at line {long}, column 1)")
        content: Any = tomllib.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        return _broken(path, name, error, last_good)
    for part in _SECTION if path.name == _PYPROJECT else ():
        content = content.get(part) if isinstance(content, dict) else None
    reading = read_options(content, workspace=name != USER_FILE)
    wanted = [*reading.values, *(problem.field for problem in reading.problems)]
    lines = lines_of(text, _SECTION if path.name == _PYPROJECT else ())
    found = {field: lines[near] for field in wanted if (near := _nearest(field, lines)) is not None}
    return Layer(name, reading.values, tuple(reading.problems), path, found)


def lines_of(text: str, section: tuple[str, ...] = ()) -> dict[str, int]:
    """The line, from 1, on which each table and key under `section` begins, by its name with dots.

    Reads lines, not TOML: a line inside a long text that looks like a key may be taken for one.
    """
    lines: dict[str, int] = {}
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.fullmatch(line):
            table = path = _parts(header[1])
        elif key := _KEY.match(line):
            path = (*table, *_parts(key[1]))
        else:
            continue
        if path[: len(section)] == section:
            for end in range(len(section), len(path)):
                lines.setdefault(".".join(path[len(section) : end + 1]), number)
    return lines


def _read(path: Path) -> str:
    """Raises OSError, and ValueError for what is no text file of a sane size."""
    with path.open("rb") as file:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ValueError("is no regular file")
        data = file.read(limit("config.file_bytes") + 1)
    if len(data) > limit("config.file_bytes"):
        raise ValueError(f"is larger than {limit('config.file_bytes')} bytes")
    return data.decode("utf-8-sig").replace("\r\n", "\n")


def _broken(path: Path, name: str, error: Exception, last_good: Layer | None) -> Layer:
    said = error.strerror if isinstance(error, OSError) else str(error)
    if isinstance(error, UnicodeDecodeError):
        said = "it is not UTF-8"
    at = _AT_LINE.search(said or "")
    before = last_good or Layer(name)
    problems = tuple(one for one in before.problems if one.field)  # without that of an earlier broken reading
    kept = "; what it said before still counts" if before.values or problems else ""
    problem = Problem("", f"cannot be read: {said or type(error).__name__}{kept}")
    lines = {"": int(at[1])} if at else {}
    return Layer(name, before.values, (*problems, problem), path, {**before.lines, **lines})


def _long_key(text: str) -> int | None:
    """The line, from 1, of something like a key of too many parts. A text between quotes may be taken for one."""
    for number, line in enumerate(text.split("\n"), 1):
        if line.count(".") >= limit("config.key_parts") and (found := _LONG_KEY.search(line)) is not None:
            before = line[: found.start()].rstrip()
            if not before or before[-1] in "[{,":
                return number
    return None


def _parts(key: str) -> tuple[str, ...]:
    """The parts of a key, as they are meant but for escapes."""
    return tuple(part[1:-1] if part[0] in "\"'" else part for part in _PART.findall(key))


def _nearest(field: str, lines: Mapping[str, int]) -> str | None:
    """The field itself, or the table that it stands in."""
    while field not in lines:
        if not (field := field.rpartition(".")[0]):
            return None
    return field
