"""What holds of each file of the library, whoever reads it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from leanvibe_lsp.tiers.rules import LIBRARY

_FILES = sorted(LIBRARY.rglob("*.yml"))


def _repeated(node: yaml.Node | None) -> Iterator[str]:
    """The keys that stand twice in a mapping, with the line of the second; anchors are followed once."""
    todo, seen = [] if node is None else [node], set[int]()
    while todo:
        at = todo.pop()
        if id(at) in seen:
            continue
        seen.add(id(at))
        if isinstance(at, yaml.SequenceNode):
            todo += at.value
        elif isinstance(at, yaml.MappingNode):
            keys = [key.value for key, _ in at.value]
            for index, (key, value) in enumerate(at.value):
                if key.value in keys[:index]:
                    yield f"{key.value}, line {key.start_mark.line + 1}"
                todo += [key, value]


@pytest.mark.parametrize("file", _FILES, ids=lambda file: file.relative_to(LIBRARY).as_posix())
def test_no_key_stands_twice(file: Path) -> None:
    """YAML takes the last of two silently, and what the first one asked for is lost."""
    node = yaml.compose(file.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    assert list(_repeated(node)) == []


@pytest.mark.parametrize("file", _FILES, ids=lambda file: file.relative_to(LIBRARY).as_posix())
def test_a_file_reads_the_same_without_the_c_library(file: Path) -> None:
    """The loader in pure Python understands it, and gives what the fast one gives."""
    text = file.read_text(encoding="utf-8")
    read = yaml.load(text, Loader=yaml.SafeLoader)
    assert isinstance(read, dict)
    assert read == yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def test_a_repeated_key_is_seen() -> None:
    """Also deep inside, and only in the mapping where it stands twice."""
    node = yaml.compose("a: [{b: 1, c: {d: 1, d: 2}}, {b: 2}]\ne: 1\na: 2\n", Loader=yaml.SafeLoader)
    assert sorted(_repeated(node)) == ["a, line 3", "d, line 1"]
