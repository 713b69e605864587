"""A structure as the grammar that llama.cpp is given: one for llguidance, which the wheels of xllamacpp are built with.

llama.cpp's own grammars end the whole process where the model has no token that may come next. What llguidance refuses,
or gives up on, llama.cpp only logs, and generates freely: so a grammar is tried here with llguidance's own package
before anything is generated, what would make it give up or take for ever later is bounded, and the answer is checked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.engine.base import FinishReason
from leanvibe_lsp.engine.structured import Structure
from leanvibe_lsp.errors import BackendError, Incomplete, UsageError

_HEADER = "%llguidance {}\nstart: "
# On one line, as `json.dumps` writes it: where any blank is allowed, small models fall into endless ones.
_STYLE = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
_COUNTS = ("minItems", "maxItems", "minProperties", "maxProperties")


def grammar_of(structure: Structure) -> str:
    """The grammar. Raises UsageError for what cannot be held, BackendError where nothing can."""
    size = len(structure.schema) + sum(map(len, structure.choices))
    if size > limit("structure.characters"):
        raise _unusable(f"it has {size} characters, and at most {limit('structure.characters')} are taken")
    _require_llguidance()
    grammar = _HEADER + (_choices(structure.choices) if structure.choices else _schema(structure.schema))
    problem = _problem(grammar)
    if problem:
        raise _unusable(problem)
    return grammar


def check_whole(structure: Structure, text: str, reason: FinishReason) -> None:
    """Raise Incomplete for a text that does not fit, or that the token limit may have cut: "yes" of "yes, but"."""
    value = structure.parse(text)
    if reason is not FinishReason.LENGTH:
        return
    if structure.choices:
        open_ended = any(choice != text and choice.startswith(text) for choice in structure.choices)
    else:
        open_ended = isinstance(value, int | float) and not isinstance(value, bool)
    if open_ended:
        raise Incomplete("The answer ended before it was certain to be whole.", next_step="Ask again with more room.")


def _choices(choices: tuple[str, ...]) -> str:
    """A regular expression: every character is written as its number, so that none is an operator."""
    return "/" + "|".join("".join(f"\\x{{{ord(char):x}}}" for char in choice) for choice in choices) + "/"


def _schema(text: str) -> str:
    try:
        schema = json.loads(text)
        _check_bounds(schema)
    except (ValueError, RecursionError) as error:
        raise _unusable(f"it is nested too deeply, or no JSON: {error}") from error
    return "%json " + json.dumps({**schema, "x-guidance": _STYLE})


def _check_bounds(schema: Any) -> None:
    for key, value in _members(schema):
        if key in _COUNTS and isinstance(value, int | float) and value > limit("structure.items"):
            raise _unusable(f"{key} is {value}, and at most {limit('structure.items')} can be held")
        if isinstance(value, str) and key == "pattern":
            _check_pattern(value)
        if isinstance(value, dict) and key == "patternProperties":
            for pattern in value:
                _check_pattern(pattern)


def _check_pattern(pattern: str) -> None:
    longest, most = limit("structure.pattern_characters"), limit("structure.pattern_repeats")
    if len(pattern) > longest:
        raise _unusable(f"a pattern has {len(pattern)} characters, and at most {longest} are taken")
    counts = [int(count) for count in re.findall(r"\d+", " ".join(re.findall(r"\{([\d,\s]*)\}", pattern)))]
    if max(counts, default=0) > most:
        raise _unusable(f"a pattern repeats something {max(counts)} times, and at most {most} are taken")


def _members(node: Any) -> Iterator[tuple[str, Any]]:
    """Every key and value of every object in a JSON document."""
    if isinstance(node, dict):
        yield from node.items()
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _members(child)


def _require_llguidance() -> None:
    import xllamacpp

    if not xllamacpp.json_schema_to_grammar({"type": "null"}).startswith("%llguidance"):
        raise BackendError(
            "This build of xllamacpp cannot hold an answer to a structure.",
            next_step="Run `pip install --force-reinstall xllamacpp` for the wheel from PyPI.",
        )


def _problem(grammar: str) -> str:
    """What llguidance says against a grammar; "" when it takes it."""
    try:
        import llguidance
    except ImportError as error:
        raise BackendError(
            f"Structured output on llama.cpp needs llguidance: {error}.", next_step="Run `pip install llguidance`."
        ) from error
    try:
        return str(llguidance.LLMatcher.validate_grammar(grammar)).partition("\n")[0]
    except ValueError as error:
        return str(error)


def _unusable(said: str) -> UsageError:
    return UsageError(f"This structure cannot be held: {said}.", next_step="Use a simpler JSON schema, or choices.")
