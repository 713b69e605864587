"""JSON schemas from outside: what is refused, and the last look at a document. Nothing is fetched, nothing hangs."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from graphlib import CycleError, TopologicalSorter
from typing import Any

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.errors import UsageError

_REFERENCES = ("$ref", "$dynamicRef")
# Keywords whose schemas look at the very value that theirs looks at.
_BESIDE = ("not", "if", "then", "else")
_BESIDE_LISTS = ("allOf", "anyOf", "oneOf")
# Without regular expressions more may seem to fit than does: where that could refuse a good document, it is not asked.
_UNSEEN = ("pattern", "patternProperties", "not", "if", "contains", "unevaluatedItems", "unevaluatedProperties")


def check_schema(schema: Any) -> None:
    """Raise UsageError for what is no JSON schema, refers to anything outside itself, or to itself without end."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError
    from referencing import Registry, exceptions
    from referencing.jsonschema import DRAFT202012

    try:
        Draft202012Validator.check_schema(schema)
        root = DRAFT202012.create_resource(schema)
        waiting = [(root, Registry().resolver_with_root(root))]
        beside: dict[int, list[int]] = {}
        while waiting:
            resource, resolver = waiting.pop()
            part = resource.contents
            if not isinstance(part, Mapping) or id(part) in beside:
                continue
            beside[id(part)] = [id(one) for one in _beside(part)]
            for name in _REFERENCES:
                if name in part:
                    found = resolver.lookup(part[name])
                    Draft202012Validator.check_schema(found.contents)  # it may stand where no schema is looked for
                    beside[id(part)].append(id(found.contents))
                    waiting.append((DRAFT202012.create_resource(found.contents), found.resolver))
            waiting += [(one, resolver.in_subresource(one)) for one in resource.subresources()]
        TopologicalSorter(beside).prepare()
    except CycleError as error:
        raise no_schema("it refers to itself without end") from error
    except exceptions.Unresolvable as error:
        raise no_schema(f"{part[name]!r} is not in it, and a reference is looked up nowhere else") from error
    except (SchemaError, TypeError, ValueError, RecursionError) as error:
        said = error.message if isinstance(error, SchemaError) else str(error)
        raise no_schema(said) from error


def problem_of(schema: Any, value: Any) -> str | None:
    """Why `value` does not fit, or None. Raises UsageError for a schema that cannot be used.

    Regular expressions are not run, because some take for ever on a text made for it: a schema that has any is looked
    at without `pattern`, `patternProperties` and what depends on how those come out. Backends hold the tokens to them.
    """
    from jsonschema import Draft202012Validator, validators
    from referencing import Registry, exceptions

    steps = itertools.count(1)
    checks = {
        name: _bounded(check, steps)
        for name, check in {**Draft202012Validator.VALIDATORS, "multipleOf": _multiple_of}.items()
    }
    if '"pattern' in json.dumps(schema):
        checks |= dict.fromkeys(_UNSEEN, lambda *_: ())
        checks |= {"oneOf": checks["anyOf"], "additionalProperties": _where_no_pattern(checks["additionalProperties"])}
    look = validators.extend(Draft202012Validator, checks)
    try:
        problem = next(look(schema, registry=Registry()).iter_errors(value), None)
    except exceptions.Unresolvable as error:
        raise no_schema(str(error)) from error
    except (RecursionError, ArithmeticError) as error:
        return f"it cannot be looked at: {error}"
    return None if problem is None else str(problem.message)


def no_schema(said: str) -> UsageError:
    """The error that says why something is no JSON schema."""
    return UsageError(f"That is no JSON schema: {said}.", next_step="See https://json-schema.org.")


def _beside(part: Mapping[str, Any]) -> Iterator[Any]:
    yield from (part[name] for name in _BESIDE if name in part)
    yield from itertools.chain.from_iterable(part.get(name, ()) for name in _BESIDE_LISTS)
    yield from part.get("dependentSchemas", {}).values()


def _multiple_of(validator: Any, step: Any, value: Any, _schema: Any) -> Iterator[Any]:
    """The check of `multipleOf`, with the numbers as they are written: 1979.1 is a multiple of 0.1."""
    from jsonschema import ValidationError

    if not validator.is_type(value, "number"):
        return
    infinite = any(isinstance(one, float) and not math.isfinite(one) for one in (value, step))
    if infinite or Fraction(str(value)) % Fraction(str(step)):
        yield ValidationError(f"{value} is not a multiple of {step}")


_Check = Callable[[Any, Any, Any, Any], Any]


def _bounded(check: _Check, steps: Iterator[int]) -> _Check:
    def one(validator: Any, wanted: Any, value: Any, schema: Any) -> Any:
        if next(steps) > limit("structure.steps"):
            raise UsageError("The schema is too involved to be checked.", next_step="Use a simpler JSON schema.")
        return check(validator, wanted, value, schema)

    return one


def _where_no_pattern(check: _Check) -> _Check:
    def one(validator: Any, wanted: Any, value: Any, schema: Any) -> Any:
        return () if "patternProperties" in schema else check(validator, wanted, value, schema)

    return one
