"""What holding an answer to a schema costs the decode."""

from __future__ import annotations

from dataclasses import replace

from leanvibe_lsp.engine.base import GenerationRequest
from leanvibe_lsp.engine.prompts import Message, render
from leanvibe_lsp.engine.structured import Structure
from leanvibe_lsp.errors import Incomplete
from tests.benchmarks.engine_runs import open_engine, run
from tests.benchmarks.figures import Figure

_SCHEMA = {
    "type": "object",
    "properties": {
        "names": {"type": "array", "items": {"type": "string", "minLength": 3}, "minItems": 12, "maxItems": 12},
        "count": {"type": "integer", "minimum": 0, "maximum": 99},
    },
    "required": ["names", "count"],
    "additionalProperties": False,
}
_TOKENS = 400


def measure(backend: str, rounds: int) -> list[Figure]:
    """Tokens a second with the schema and without it, on the same prompt."""
    held: list[float] = []
    free: list[float] = []
    structure = Structure.of_schema(_SCHEMA)
    with open_engine(backend) as (engine, loaded):
        for number in range(-1, rounds):
            question = f"List twelve names of rivers as JSON, and their count. Round {number}."
            prompt = render(loaded, [Message("user", question)])
            request = GenerationRequest(prompt, _TOKENS, top_logprobs=1, draft=False, structure=structure)
            try:
                mine = run(engine, request)
            except Incomplete:
                continue  # a small model may list for ever; a longer round says nothing about the speed
            other = run(engine, replace(request, structure=None, max_tokens=len(mine.tokens)))
            held.append(mine.tokens_per_second)
            free.append(other.tokens_per_second)
    return [Figure(f"{backend}, decode held to a JSON schema", tuple(held), tuple(free), "tok/s", "free text")]
