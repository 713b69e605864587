"""Text and lists put together of parts, and what a loop takes out of them. Pure."""

from __future__ import annotations

from typing import Any

from leanvibe_lsp.tiers.flow.values import CLEAN, UNKNOWN, Value, constant, container, element, joined, tainted, united

OWN_TEXT = "…"  # in a beginning: text that is not known, and the program's own


def each(value: Value) -> Value:
    """What a loop over a value gives one by one."""
    if value.name.endswith(".items()") and value.items is None:
        return Value(value.taints)
    if value.items is None:
        return tainted(value.taints)
    return element(value, UNKNOWN)


def composed(parts: list[Value]) -> Value:
    """Text put together of parts, in order."""
    if all(isinstance(part.const, str) for part in parts):
        return constant("".join(part.const for part in parts))
    taints = united(part.taints for part in parts)
    prefix = ""
    for part in parts:
        if isinstance(part.const, str):
            prefix += part.const
        elif part.taints:
            prefix += part.prefix
            break
        else:
            prefix += part.prefix or OWN_TEXT
    if not taints:
        return Value(prefix=prefix)
    around = sum(1 for part in parts if part.taints or part.const is UNKNOWN or (part.const or "")) > 1
    if around:
        taints = tuple(one if one.mixed else one._replace(mixed=True) for one in taints)
    return Value(taints, prefix=prefix)


def percent(left: Value, right: Value) -> Value:
    """`left % right`."""
    if not isinstance(left.const, str):
        return tainted(united((left.taints, right.taints)))
    values = list(right.items.values()) if right.items is not None else [right]
    if not any(value.taints for value in values):
        return Value(prefix=left.const.partition("%")[0])
    before, _, after = left.const.partition("%")
    return composed([constant(before), *values, constant(after[1:])])


def added(values: list[Value]) -> Value:
    """Lists, one behind another."""
    items: dict[Any, Value] = {}
    exact = True
    for value in values:
        if value.items is None:
            exact = False
            items[UNKNOWN] = joined(items.get(UNKNOWN, CLEAN), tainted(value.taints))
            continue
        for key, one in value.items.items():
            if exact and isinstance(key, int):
                items[len(items)] = one
            else:
                exact = False
                items[UNKNOWN] = joined(items.get(UNKNOWN, CLEAN), one)
    return container(items, "list()")


def put(items: dict[Any, Value], key: Value, value: Value) -> None:
    """Put a value under a key, or among those of which the key is not known."""
    if isinstance(key.const, str | int | bool | None):
        items[key.const] = value
    else:
        items[UNKNOWN] = joined(items[UNKNOWN], value) if UNKNOWN in items else value
