"""Structured output and drafting of the real SmolLM2 on MLX."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from leanvibe_lsp.core.cancel import CancelToken, Deadline
from leanvibe_lsp.engine.base import Chunk, Event, Finished, GenerationRequest, Tokenizer
from leanvibe_lsp.engine.local.backend import MlxEngine
from leanvibe_lsp.engine.models.registry import resolve
from leanvibe_lsp.engine.structured import Structure
from tests.benchmarks.edit_cases import edit_cases

pytestmark = pytest.mark.real_model

_TEXT = {"type": "string", "maxLength": 60}
_SCHEMAS: dict[str, dict[str, Any]] = {
    "finding": {
        "line": {"type": "integer", "minimum": 1, "maximum": 999},
        "severity": {"enum": ["note", "warning", "error"]},
        "message": _TEXT,
    },
    "names": {"names": {"type": "array", "items": {**_TEXT, "minLength": 2}, "minItems": 2, "maxItems": 3}},
    "nested": {
        "author": {"type": "object", "properties": {"name": _TEXT}, "required": ["name"]},
        "year": {"const": 2026},
    },
    "version": {"version": {"type": "string", "pattern": "^[0-9]{1,2}\\.[0-9]{1,2}$"}, "stable": {"type": "boolean"}},
    "union": {
        "value": {"anyOf": [{"type": "null"}, {"type": "number", "minimum": 0, "maximum": 10}, {"enum": ["日本"]}]}
    },
}


class Real:
    """A loaded engine."""

    def __init__(self, engine: MlxEngine) -> None:
        self.engine = engine
        loaded = engine.load(CancelToken())
        assert loaded.tokenizer is not None
        self.tokenizer: Tokenizer = loaded.tokenizer

    def ask(self, text: str, **options: Any) -> tuple[Finished, list[int]]:
        """A greedy answer and its tokens."""
        events: list[Event] = []
        request = GenerationRequest(tuple(self.tokenizer.encode(text)), **options)
        finished = self.engine.generate(request, events.append, CancelToken(), Deadline.never())
        return finished, [event.token_id for event in events if isinstance(event, Chunk)]


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Real]:
    """SmolLM2 on MLX."""
    engine = MlxEngine(resolve("smollm2", cache=tmp_path_factory.mktemp("cache")))
    yield Real(engine)
    engine.close()


@pytest.mark.parametrize("name", _SCHEMAS)
def test_valid_json(real: Real, name: str) -> None:
    """The answer fits the schema, the same with and without guessing."""
    parts = _SCHEMAS[name]
    structure = Structure.of_schema(
        {"type": "object", "properties": parts, "required": [*parts], "additionalProperties": False}
    )
    prompt = f"A {name} as JSON:\n"
    finished, tokens = real.ask(prompt, max_tokens=200, structure=structure)
    assert set(structure.parse(finished.text)) == set(parts)
    assert real.ask(prompt, max_tokens=200, structure=structure, draft=False)[1] == tokens


def test_a_choice(real: Real) -> None:
    """The likelier of two answers, and nothing else."""
    structure = Structure.of_choices(["Berlin", "Paris"])
    assert real.ask("The capital of France is: ", max_tokens=8, structure=structure)[0].text == "Paris"


def test_an_edit_is_drafted(real: Real) -> None:
    """Of an edit that says the file again most tokens are guessed, and they are the same as without guessing."""
    prompt = edit_cases()[0].prompt()
    finished, tokens = real.ask(prompt, max_tokens=64)
    assert finished.usage.drafted_tokens > len(tokens) // 2
    assert real.ask(prompt, max_tokens=64, draft=False)[1] == tokens
