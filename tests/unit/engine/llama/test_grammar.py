from __future__ import annotations

import json

import pytest

from leanvibe_lsp.engine.base import FinishReason
from leanvibe_lsp.engine.llama.grammar import check_whole, grammar_of
from leanvibe_lsp.engine.structured import Structure
from leanvibe_lsp.errors import BackendError, Incomplete, UsageError


def schema(value: object) -> Structure:
    return Structure(schema=json.dumps(value))


def test_choices_hold_nothing_but_numbers() -> None:
    """No character of a choice can be an operator of the grammar."""
    header, start = grammar_of(Structure.of_choices(['"|/', "é\n\\"])).split("\n")
    assert header == "%llguidance {}"
    assert start == r"start: /\x{22}\x{7c}\x{2f}|\x{e9}\x{a}\x{5c}/"


def test_choices_that_are_no_text() -> None:
    """Half a surrogate pair is refused."""
    with pytest.raises(UsageError, match="cannot be held"):
        grammar_of(Structure.of_choices(["fine", "\ud800"]))


@pytest.mark.parametrize("value", [{}, {"type": "object"}, {"type": "integer", "minimum": 3}, {"const": "é\u2028"}])
def test_a_schema_goes_to_llguidance_in_one_line(value: object) -> None:
    """Whatever the schema says, the grammar is two lines, and blanks are where `json.dumps` has them."""
    header, start = grammar_of(schema(value)).split("\n")
    assert header == "%llguidance {}"
    assert json.loads(start.removeprefix("start: %json "))["x-guidance"]["whitespace_flexible"] is False


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"type": "array", "items": {"type": "integer"}, "uniqueItems": True}, "uniqueItems"),
        ({"$ref": "#/$defs/nowhere"}, "nowhere"),
        ({"$ref": "https://example.org/x"}, "example.org"),
        ({"type": "string", "pattern": "^(a$"}, "cannot be held"),
        ({"type": "integer", "minimum": 5, "maximum": 1}, "greater"),
        ({"type": "string", "maxLength": 10**30}, "maxLength"),
        ({"not": {}}, "not"),
        ({"type": "array", "minItems": 1_001}, "minItems is 1001, and at most 1000"),
        ({"anyOf": [{"type": "object", "maxProperties": 10**9}]}, "maxProperties"),
        ({"type": "string", "pattern": "a?" * 200}, "a pattern has 400 characters"),
        ({"type": "string", "pattern": "(a{2,101})*"}, "repeats something 101 times"),
        ({"patternProperties": {"a{999}": {}}}, "repeats something 999 times"),
        ({"enum": ["x" * 70_000]}, "70014 characters"),
    ],
)
def test_what_cannot_be_held(value: object, said: str) -> None:
    """It is refused by name before anything is generated; llama.cpp would generate freely, or for ever."""
    with pytest.raises(UsageError, match="cannot be held") as caught:
        grammar_of(schema(value))
    assert said in str(caught.value)


def test_nesting_without_end() -> None:
    """A schema nested a thousand times is a UsageError, not the end of the process."""
    text = '{"type":"array","items":' * 1_000 + "{}" + "}" * 1_000
    with pytest.raises(UsageError, match="cannot be held"):
        grammar_of(Structure(schema=text))


def test_a_build_without_llguidance(monkeypatch: pytest.MonkeyPatch) -> None:
    """A build that would turn the schema into something weaker is an error that says so."""
    monkeypatch.setattr("xllamacpp.json_schema_to_grammar", lambda _: 'root ::= "null"')
    with pytest.raises(BackendError, match="cannot hold"):
        grammar_of(schema({"type": "null"}))


@pytest.mark.parametrize(
    ("structure", "text"),
    [
        (Structure.of_choices(["yes", "yes, but"]), "yes"),
        (Structure.of_choices(["yes", "yes, but"]), "yes, b"),
        (schema({"type": "integer"}), "12"),
        (schema({"type": "object"}), '{"a": 1'),
        (schema({"type": "object", "required": ["b"]}), '{"a": 1}'),
    ],
)
def test_an_answer_that_was_cut(structure: Structure, text: str) -> None:
    """At the token limit a text that could go on is Incomplete, also when it looks whole."""
    with pytest.raises(Incomplete):
        check_whole(structure, text, FinishReason.LENGTH)


def test_an_answer_that_is_whole() -> None:
    """What cannot go on is whole at the limit; what the model ended is whole anyway."""
    check_whole(schema({"type": "object"}), '{"a": 1}', FinishReason.LENGTH)
    check_whole(schema({"type": "boolean"}), "true", FinishReason.LENGTH)
    check_whole(Structure.of_choices(["yes", "yes, but"]), "yes, but", FinishReason.LENGTH)
    check_whole(Structure.of_choices(["yes", "yes, but"]), "yes", FinishReason.STOP)
    check_whole(schema({"type": "integer"}), "12", FinishReason.STOP)
