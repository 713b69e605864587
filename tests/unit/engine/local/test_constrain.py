from __future__ import annotations

import json
import math
import sys
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from leanvibe_lsp.engine.base import Finished, FinishReason, GenerationRequest
from leanvibe_lsp.engine.local.draft import Drafter
from leanvibe_lsp.engine.structured import Structure
from leanvibe_lsp.errors import BackendError, Incomplete, UsageError
from tests.support.byte_tokenizer import ByteTokenizer, byte_engine, byte_model
from tests.support.tiny_mlx import Ask, make_engine

SHORT = {"type": "string", "maxLength": 6}


class Finding(BaseModel, extra="forbid"):
    """What a review says."""

    line: int = Field(ge=1, le=9_999)
    severity: Literal["note", "warning", "error"]
    message: str = Field(max_length=20)
    fixed: bool | None = None


SCHEMAS = {
    "object": {"type": "object", "properties": {"name": SHORT, "on": {"type": "boolean"}}, "required": ["name", "on"],
               "additionalProperties": False},
    "nested": {
        "type": "object",
        "properties": {"in": {"type": "object", "properties": {"tags": {"const": 1}}, "required": ["tags"]}},
        "required": ["in"],
        "additionalProperties": False,
    },
    "array": {"type": "array", "items": {"enum": ["a", "b", 3, None]}, "minItems": 2, "maxItems": 4},
    "integer": {"type": "object", "properties": {"n": {"type": "integer", "minimum": -5, "maximum": 300}},
                "additionalProperties": False},
    "number": {"type": "array", "items": {"type": "number", "minimum": 0, "maximum": 1}, "maxItems": 3},
    "pattern": {"type": "array", "items": {"type": "string", "pattern": "^[a-f]{2}-[0-9]{1,3}$"}, "minItems": 1},
    "union": {"anyOf": [{"type": "array", "items": SHORT, "maxItems": 2}, {"enum": ["日本語", "é"]}]},
    "reference": {
        "$defs": {"node": {"type": "object", "properties": {"next": {"anyOf": [{"$ref": "#/$defs/leaf"}]}},
                           "additionalProperties": False},
                  "leaf": {"type": "array", "items": {"type": "boolean"}, "maxItems": 2}},
        "$ref": "#/$defs/node",
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def model() -> Any:
    """Random weights with a vocabulary of bytes."""
    return byte_model()


def ask(model: Any, structure: Structure, **options: Any) -> Finished:
    """An answer of a fresh engine to a prompt of nothing in particular."""
    return Ask(byte_engine(model))(request(structure, **options))


def request(structure: Structure, prompt: str = "Say it: ", **options: Any) -> GenerationRequest:
    """With room enough for what random weights say."""
    ids = tuple(ByteTokenizer().encode(prompt))
    return GenerationRequest(ids, structure=structure, **({"max_tokens": 1_500} | options))


@pytest.mark.parametrize("name", SCHEMAS)
@pytest.mark.parametrize("temperature", [0.0, 1.5])
def test_schemas(model: Any, name: str, temperature: float) -> None:
    """Random weights write a document that fits, on one line, at any temperature, and it ends by itself."""
    structure = Structure.of_schema(SCHEMAS[name])
    for seed in range(3):
        finished = ask(model, structure, temperature=temperature, seed=seed)
        structure.parse(finished.text)
        assert finished.reason is FinishReason.STOP
        assert "\n" not in finished.text


def test_a_pydantic_model(model: Any) -> None:
    """What comes out is an instance."""
    text = ask(model, Structure.of_model(Finding)).text
    assert Finding.model_validate_json(text).model_dump_json() == json.dumps(json.loads(text), separators=(",", ":"))


_LEAF = st.sampled_from(
    [SHORT, {"type": "boolean"}, {"type": "null"}, {"enum": ["x", 1]}, {"const": "日本"}]
) | st.tuples(st.integers(-50, 0), st.integers(1, 50)).map(
    lambda ends: {"type": "integer", "minimum": ends[0], "maximum": ends[1]}
)


def _grow(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    arrays = st.tuples(inner, st.integers(0, 1), st.integers(0, 2)).map(
        lambda one: {"type": "array", "items": one[0], "minItems": one[1], "maxItems": one[1] + one[2]}
    )
    objects = st.dictionaries(st.sampled_from(["name", "tags", "é", 'a"b']), inner, min_size=1, max_size=3).map(
        lambda parts: {"type": "object", "properties": parts, "required": [*parts], "additionalProperties": False}
    )
    return arrays | objects | st.lists(inner, min_size=1, max_size=2).map(lambda parts: {"anyOf": parts})


@settings(deadline=None, max_examples=40, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.recursive(_LEAF, _grow, max_leaves=5), st.integers(0, 2))
def test_any_schema(model: Any, schema: dict[str, Any], temperature: int) -> None:
    """Whatever the schema: the answer fits it, and guessing what the grammar forces changes nothing but the speed."""
    structure = Structure.of_schema(schema)
    mine, other = (ask(model, structure, draft=draft, temperature=float(temperature)) for draft in (True, False))
    assert mine.text == other.text
    structure.parse(mine.text)
    assert mine.usage.completion_tokens == other.usage.completion_tokens


@pytest.mark.parametrize(
    "choices",
    [("yes", "yes sir"), ("日本", "日本語", "é"), ('a"b', "a\\b", "a\nb", "a|b", ".*"), ("\x00", "\x7f", "🙂")],
)
def test_choices(model: Any, choices: tuple[str, ...]) -> None:
    """The answer is one of them as it stands, and each can be the answer."""
    said = {ask(model, Structure.of_choices(choices), temperature=8.0, seed=seed).text for seed in range(60)}
    assert said == set(choices)


def test_the_end_is_said_only_where_it_is_open(model: Any) -> None:
    """A choice that begins another ends with the model's own end; one that cannot go on ends without."""
    engine = Ask(byte_engine(model))
    texts = {}
    for seed in range(40):
        finished = engine(request(Structure.of_choices(["yes", "yes sir"]), temperature=8.0, seed=seed))
        texts[finished.text] = engine.tokens[-1]
    assert texts["yes"] == 0
    assert texts["yes sir"] != 0


def test_forced_tokens_are_one_pass(model: Any) -> None:
    """What the grammar leaves no choice in is computed together, and counted as guessed."""
    structure = Structure.of_schema(SCHEMAS["nested"])
    assert ask(model, structure).usage.drafted_tokens > 3
    assert ask(model, structure, draft=False).usage.drafted_tokens == 0


def test_a_guess_is_cut_where_the_grammar_refuses_it(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A guess out of the prompt that the structure has no place for changes nothing."""
    structure = Structure.of_schema(SCHEMAS["pattern"] | {"maxItems": 2})
    expected = ask(model, structure, draft=False).text
    for guess in ([0], [1, 2, 3], ByteTokenizer().encode('a{"')):
        monkeypatch.setattr(Drafter, "propose", lambda _self, room, guess=guess: guess[:room])
        assert ask(model, structure).text == expected


@pytest.mark.parametrize("draft", [True, False])
def test_probabilities_are_the_models_own(model: Any, draft: bool) -> None:
    """A token's probability is what the model gave it among all tokens, however few the grammar allowed."""
    from leanvibe_lsp.engine.local.arrays import mx

    engine = Ask(byte_engine(model))
    engine(request(Structure.of_schema(SCHEMAS["object"]), draft=draft, top_logprobs=2))
    so_far = ByteTokenizer().encode("Say it: ")
    for chunk in engine.chunks:
        row = model(mx.array([so_far]))[0, -1].tolist()
        total = math.log(math.fsum(map(math.exp, row)))
        assert chunk.logprob == pytest.approx(row[chunk.token_id] - total, abs=1e-3)
        assert chunk.top[0].logprob == pytest.approx(max(row) - total, abs=1e-3)
        so_far.append(chunk.token_id)


@pytest.mark.parametrize("tokens", [1, 3, 5])
def test_no_half_document(model: Any, tokens: int) -> None:
    """When the tokens run out first it is an error, and the engine goes on as ever."""
    engine = Ask(byte_engine(model))
    structure = Structure.of_schema(SCHEMAS["object"])
    with pytest.raises(Incomplete, match=f"after {tokens} tokens"):
        engine(request(structure, max_tokens=tokens))
    assert engine(request(structure)).text == ask(model, structure).text


def test_the_last_token_may_be_the_end(model: Any) -> None:
    """Exactly as many tokens as the document has are enough; one less is not."""
    structure = Structure.of_schema(SCHEMAS["nested"])
    needed = ask(model, structure).usage.completion_tokens
    assert ask(model, structure, max_tokens=needed).reason is FinishReason.STOP
    with pytest.raises(Incomplete):
        ask(model, structure, max_tokens=needed - 1)


def test_window_and_loop_are_no_end(model: Any) -> None:
    """A window that fills, or a text ended for saying the same again, is an error too."""
    prompt = tuple(ByteTokenizer().encode("x" * 60))
    small = Ask(byte_engine(model, window=64))
    with pytest.raises(Incomplete):
        small(GenerationRequest(prompt, max_tokens=500, structure=Structure.of_schema(SCHEMAS["object"])))
    again = {"type": "array", "items": {"const": "the same"}, "minItems": 30}
    with pytest.raises(Incomplete):
        ask(model, Structure.of_schema(again), stop_loops=True)


def test_stop_strings_are_refused(model: Any) -> None:
    """A structure says itself where it ends."""
    with pytest.raises(UsageError, match="no stop strings"):
        ask(model, Structure.of_choices(["yes"]), stop=("\n",))


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "array", "uniqueItems": True}, "uniqueItems"),
        ({"type": "string", "pattern": "(?=a)b"}, "look-around"),
        ({"type": "integer", "minimum": 3, "maximum": 1}, "greater than maximum"),
        ({"$ref": "https://example.com/schema.json"}, "example.com"),
    ],
)
def test_what_cannot_be_held(model: Any, schema: dict[str, Any], said: str) -> None:
    """A schema that cannot be held is refused before the prompt is computed, in llguidance's words."""
    engine = Ask(byte_engine(model))
    with pytest.raises(UsageError, match=said):
        engine(request(Structure.of_schema(schema)))
    assert engine.events == []


@pytest.mark.parametrize("schema", ['{"$ref": "#"}', '{"$id": "http://host/x", "$ref": "http://host/x"}'])
def test_what_llguidance_gives_up_on(model: Any, schema: str) -> None:
    """It is the request's own fault, so the engine answers the next one."""
    engine = Ask(byte_engine(model))
    with pytest.raises(UsageError, match="cannot be held: llguidance gave up"):
        engine(request(Structure(schema=schema)))
    assert engine(request(Structure.of_choices(["yes"]))).text == "yes"


def test_half_a_surrogate_pair(model: Any) -> None:
    """No token can say it."""
    for structure in (Structure(schema='{"const": "\ud800"}'), Structure.of_choices(["\ud800"])):
        with pytest.raises(UsageError, match="cannot be held"):
            ask(model, structure)


def test_a_tokenizer_that_begins_with_a_blank(model: Any) -> None:
    """SentencePiece's own first blank is no part of what the grammar forces."""
    structure = Structure.of_schema(SCHEMAS["nested"])
    finished = Ask(byte_engine(model, blank_first=True))(request(structure))
    structure.parse(finished.text)
    assert finished.text == ask(model, structure).text


def test_no_stop_token(model: Any) -> None:
    """A model whose files name no end still ends a structure that cannot go on."""
    engine = Ask(byte_engine(model, stop_ids=frozenset()))
    assert json.loads(engine(request(Structure.of_schema(SCHEMAS["array"] | {"minItems": 4}))).text)


def test_a_vocabulary_that_cannot_write_it(tiny_model: Any) -> None:
    """A tokenizer without the letters is an error that says so, not a document of something else."""
    with pytest.raises(UsageError, match="cannot be held") as caught:
        Ask(make_engine(tiny_model))(GenerationRequest((1, 2), 20, structure=Structure.of_choices(["yes"])))
    assert "backtrace" not in str(caught.value)


def test_without_llguidance(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the command that installs it."""
    monkeypatch.setitem(sys.modules, "llguidance", None)
    with pytest.raises(BackendError, match=r"pip install 'leanvibe-lsp\[mlx\]'"):
        ask(model, Structure.of_choices(["yes"]))
