from __future__ import annotations

import re
from pathlib import Path

import pytest

import leanvibe_lsp
from leanvibe_lsp.config import limits
from leanvibe_lsp.config.limits import LIMITS, Limit, limit

_SOURCE = Path(leanvibe_lsp.__file__).parent


def test_names_are_unique() -> None:
    """A name means one row."""
    assert len(LIMITS) == len(limits._ROWS)


@pytest.mark.parametrize("row", LIMITS.values(), ids=LIMITS)
def test_every_row_is_whole(row: Limit) -> None:
    """A row has its default inside its range, a unit, a sentence of help, and a name of the house's form."""
    assert row.minimum <= row.default <= row.maximum
    assert row.unit
    assert row.help.endswith(".")
    assert re.fullmatch(r"[a-z]+\.[a-z_]+", row.name)


def test_the_value_in_force_is_a_whole_number() -> None:
    """`limit` gives the default as an int; a name that is not there is a KeyError."""
    assert limit("engine.queue") == LIMITS["engine.queue"].default
    assert isinstance(limit("engine.queue"), int)
    with pytest.raises(KeyError):
        limit("no.such")


def test_every_limit_that_is_used_exists_and_every_row_is_used() -> None:
    """The table and the source agree: no misspelt name, no row that nothing reads."""
    used: set[str] = set()
    for file in _SOURCE.rglob("*.py"):
        used |= set(re.findall(r"\blimit\(\s*\"([^\"]+)\"", file.read_text(encoding="utf-8")))
    assert used == set(LIMITS)
