from __future__ import annotations

import json
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict

from leanvibe_lsp.engine.structured import Structure
from leanvibe_lsp.errors import Incomplete, UsageError


class Inner(BaseModel):
    """Has a name that JSON schema uses too."""

    properties: int


class Outer(BaseModel):
    """Nested, with a list."""

    kind: Literal["a", "b"]
    inner: list[Inner]


class Open(BaseModel):
    """Wants what it does not know."""

    model_config = ConfigDict(extra="allow")
    name: str


def test_a_model_is_a_closed_schema() -> None:
    """Fields a model does not have do not fit, at any depth."""
    structure = Structure.of_model(Outer)
    value: dict[str, Any] = {"kind": "a", "inner": [{"properties": 1}]}
    assert structure.parse(json.dumps(value)) == value
    for wrong in ({**value, "extra": 1}, {"kind": "a", "inner": [{"properties": 1, "extra": 2}]}, {"kind": "c"}):
        with pytest.raises(Incomplete, match="does not fit"):
            structure.parse(json.dumps(wrong))


def test_a_model_that_wants_extra_fields_gets_them() -> None:
    """`extra="allow"` is kept."""
    assert Structure.of_model(Open).parse('{"name": "n", "more": 1}') == {"name": "n", "more": 1}


def test_half_a_document_is_incomplete() -> None:
    """Every true prefix of a document is refused."""
    whole = '{"name": "n"}'
    structure = Structure.of_model(Open)
    for size in range(len(whole)):
        with pytest.raises(Incomplete):
            structure.parse(whole[:size])


def test_a_choice_is_one_of_the_texts() -> None:
    """The bare text; duplicates are one."""
    structure = Structure.of_choices(["yes", "yes sir", "yes"])
    assert structure.choices == ("yes", "yes sir")
    assert structure.parse("yes sir") == "yes sir"
    with pytest.raises(Incomplete):
        structure.parse("yes s")


@pytest.mark.parametrize("choices", [[], ["a", ""]])
def test_a_choice_needs_texts(choices: list[str]) -> None:
    """None, or an empty one, is an error of the asker."""
    with pytest.raises(UsageError):
        Structure.of_choices(choices)


@pytest.mark.parametrize("schema", [{"type": "nonsense"}, {"properties": 3}, [], 7, {"type": "string", "x": {1}}])
def test_what_is_no_schema_is_refused(schema: Any) -> None:
    """Before anything is generated, by name."""
    with pytest.raises(UsageError, match="no JSON schema"):
        Structure.of_schema(schema)
