"""What a structured answer has to look like: a JSON schema, or one of a few texts. Pure.

Backends hold the tokens to it while they generate; `parse` is the last look, for servers that only promise.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from leanvibe_lsp.engine.schemas import check_schema, no_schema, problem_of
from leanvibe_lsp.errors import Incomplete, UsageError

if TYPE_CHECKING:
    from pydantic import BaseModel


@dataclass(frozen=True, slots=True)
class Structure:
    """Either `schema`, a JSON schema as canonical JSON text, or `choices`, of which the answer is exactly one."""

    schema: str = ""
    choices: tuple[str, ...] = ()

    @classmethod
    def of_schema(cls, schema: Mapping[str, Any] | bool) -> Structure:
        """A JSON document that fits `schema`, which may refer to itself alone. Raises UsageError for no JSON schema."""
        if isinstance(schema, bool):  # the same as an object: backends and servers take nothing else
            schema = {} if schema else {"not": {}}
        try:
            text = json.dumps(schema, sort_keys=False, ensure_ascii=False)
            check_schema(json.loads(text))
        except (TypeError, ValueError, RecursionError) as error:
            raise no_schema(str(error)) from error
        return cls(schema=text)

    @classmethod
    def of_model(cls, model: type[BaseModel]) -> Structure:
        """A JSON document that `model` accepts. Fields it does not have are not said, unless it wants extra ones."""
        return cls.of_schema(_closed(model.model_json_schema()))

    @classmethod
    def of_choices(cls, choices: Sequence[str]) -> Structure:
        """One of these texts, as it is. Raises UsageError for no choices or an empty one."""
        if not choices or not all(choices):
            raise UsageError(
                "A choice needs at least one text, and none of them empty.", next_step="Name the texts to choose from."
            )
        return cls(choices=tuple(dict.fromkeys(choices)))

    def parse(self, text: str) -> Any:
        """The value of a whole answer: the choice, or the JSON document. Raises Incomplete when it does not fit.

        Regular expressions in the schema are not run here; see `schemas.problem_of`.
        """
        if self.choices:
            if text not in self.choices:
                raise Incomplete("The answer is none of the choices.", next_step="Ask again with more room.")
            return text
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise Incomplete(
                "The answer ended before its JSON document was whole.", next_step="Ask again with more room."
            ) from error
        problem = problem_of(json.loads(self.schema), value)
        if problem is not None:
            raise Incomplete(
                f"The answer does not fit its schema: {problem}.", next_step="Ask again, or with more room."
            )
        return value


def _closed(schema: Any) -> Any:
    """The schema with every object that names its properties closed: an open one invites a model to go on for ever."""
    if isinstance(schema, list):
        return [_closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(value) for name, value in schema.items()}
    return {"additionalProperties": False} | closed if isinstance(closed.get("properties"), dict) else closed
