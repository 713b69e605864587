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


_ITSELF = {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"anyOf": [{"$ref": "#/$defs/a"}]}}}


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"$ref": "http://127.0.0.1:1/leak"}, "'http://127.0.0.1:1/leak' is not in it"),
        ({"properties": {"a": {"items": {"$ref": "file:///etc/passwd"}}}}, "'file:///etc/passwd' is not in it"),
        ({"$ref": "https://json-schema.org/draft/2020-12/schema"}, "is not in it"),
        ({"$dynamicRef": "#nowhere"}, "'#nowhere' is not in it"),
        ({"$ref": "#/x", "x": {"$ref": "http://host/"}}, "'http://host/' is not in it"),
        ({"$ref": "#/x", "x": {"type": 7}}, "7 is not"),
        ({"$ref": "#/x", "x": 7}, "7 is not"),
        ({"$ref": "#"}, "itself without end"),
        ({"$id": "http://host/a", "$ref": "http://host/a"}, "itself without end"),
        (_ITSELF, "itself without end"),
    ],
)
def test_a_schema_refers_to_itself_alone(schema: Any, said: str) -> None:
    """Nothing is looked up elsewhere, on the network least of all, and what never ends is refused at once."""
    with pytest.raises(UsageError, match=said):
        Structure.of_schema(schema)


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"properties": {"n": {"$ref": "#"}}, "type": "object"}, {"n": {"n": {}}}, {"n": {"n": 1}}),
        ({"$ref": "#q", "$defs": {"a": {"$anchor": "q", "type": "integer"}}}, 3, "x"),
        ({"properties": {"$ref": {"type": "string"}}}, {"$ref": "http://host/"}, {"$ref": 3}),
        ({"const": {"$ref": "http://host/"}}, {"$ref": "http://host/"}, {}),
    ],
)
def test_what_a_schema_says_of_itself_is_held(schema: Any, good: Any, bad: Any) -> None:
    """Recursion through a property ends with the document; what only looks like a reference is none."""
    structure = Structure.of_schema(schema)
    assert structure.parse(json.dumps(good)) == good
    with pytest.raises(Incomplete, match="does not fit"):
        structure.parse(json.dumps(bad))


@pytest.mark.parametrize(
    ("step", "good", "bad"),
    [
        (0.1, ("1979.1", "0", "-0.3", "1e22", "7", "1E-1"), ("1979.15", "1e-9", "1e999", "-1e999", "NaN")),
        (0.01, ("19.99", "4.35", "1e300"), ("19.999",)),
        (3, ("9", "-3", "6.0", "3e50", "9" * 60), ("10", "4.5", "1e50", "1e999")),
        (1e-300, ("1", "2e-300"), ("1e-301",)),
        (float("inf"), (), ("1",)),
    ],
)
def test_multiples_are_those_of_the_written_numbers(step: float, good: tuple[str, ...], bad: tuple[str, ...]) -> None:
    """As a person reckons, not as binary fractions do; what is no number is no multiple and no fault."""
    structure = Structure.of_schema({"type": "number", "multipleOf": step})
    for text in good:
        assert structure.parse(text) == json.loads(text)
    for text in bad:
        with pytest.raises(Incomplete, match="is not a multiple of"):
            structure.parse(text)
    assert Structure.of_schema({"multipleOf": step}).parse('"text"') == "text"


@pytest.mark.parametrize(("schema", "text"), [(True, "{}"), (False, '{"not": {}}')])
def test_a_boolean_schema_is_written_as_the_object_it_means(schema: bool, text: str) -> None:
    """Backends and servers take objects alone: everything fits, or nothing."""
    assert Structure.of_schema(schema) == Structure(schema=text)


def test_the_last_look_uses_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also for a schema that was never checked."""
    monkeypatch.setattr("urllib.request.urlopen", lambda *_: pytest.fail("the network was used"))
    with pytest.raises(UsageError, match="no JSON schema"):
        Structure(schema='{"$ref": "http://127.0.0.1:1/leak"}').parse("1")


_SLOW = "^(a+)+$"
_TEXT = "a" * 60 + "!"


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string", "pattern": _SLOW}, _TEXT),
        ({"patternProperties": {_SLOW: {}}, "additionalProperties": False}, {_TEXT: 1}),
        ({"allOf": [{"patternProperties": {_SLOW: {}}}], "unevaluatedProperties": False}, {_TEXT: 1}),
        ({"not": {"pattern": _SLOW}}, _TEXT),
        ({"oneOf": [{"pattern": _SLOW}, {"pattern": "!$"}]}, _TEXT),
        ({"if": {"pattern": _SLOW}, "then": False}, _TEXT),
        ({"contains": {"pattern": _SLOW}, "minContains": 0, "maxContains": 0}, [_TEXT]),
    ],
)
def test_the_last_look_runs_no_regular_expression(schema: Any, value: Any) -> None:
    """Some take for ever on a text made for it; and no good document is refused because they were not run."""
    assert Structure.of_schema(schema).parse(json.dumps(value)) == value


def test_beside_a_regular_expression_the_rest_is_held() -> None:
    """Types, properties and alternatives are looked at as ever."""
    name = {"type": "string", "pattern": "^[a-z]+$"}
    schema = {"properties": {"a": {"oneOf": [name, {"type": "null"}]}}, "additionalProperties": False}
    structure = Structure.of_schema(schema)
    assert structure.parse('{"a": null}') == {"a": None}
    for wrong in ('{"a": 3}', '{"b": "x"}'):
        with pytest.raises(Incomplete, match="does not fit"):
            structure.parse(wrong)


@pytest.mark.timeout(60)
def test_the_last_look_ends() -> None:
    """A schema that doubles the work with each level is an error, as is a document nested too deeply."""
    both = [{"properties": {"a": {"$ref": "#"}}}] * 2
    with pytest.raises(UsageError, match="too involved"):
        Structure.of_schema({"allOf": both}).parse('{"a":' * 40 + "1" + "}" * 40)
    with pytest.raises(Incomplete, match="cannot be looked at"):
        Structure.of_schema({"items": {"$ref": "#"}}).parse("[" * 900 + "]" * 900)
