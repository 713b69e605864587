"""What methods of lists, dictionaries and the like put in and take out. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from leanvibe_lsp.tiers.flow.values import (
    CLEAN,
    UNKNOWN,
    Value,
    container,
    element,
    joined,
    merged_items,
    tainted,
    united,
)

_PUTS = frozenset(
    {"append", "appendleft", "add", "extend", "update", "insert", "setdefault", "set", "put", "put_nowait", "write"}
    | {"writelines", "push", "setlist"}
)
_REMOVES = frozenset({"pop", "popitem", "remove", "clear", "reverse", "sort", "discard"})
CHANGES = _PUTS | _REMOVES


def changed(holder: Value, method: str, given: Sequence[Value], named: Sequence[tuple[str, Value]]) -> Value:
    """The container after such a call."""
    added = united(value.taints for value in (*given, *(value for _, value in named)))
    if holder.name.startswith("configparser.") and method == "set" and len(given) == 3:
        items = dict(holder.items or {})
        items[_section(given)] = given[2]
        return container(items, holder.name)
    if holder.items is None:
        return holder._replace(taints=united((holder.taints, added))) if method in _PUTS else holder
    items = dict(holder.items)
    exact = UNKNOWN not in items
    key = given[0].const if given else UNKNOWN
    if method == "append" and exact and holder.name == "list()" and given:
        items[len(items)] = given[0]
    elif method == "setdefault" and isinstance(key, str | int) and len(given) > 1:
        items.setdefault(key, given[1])
    elif method == "update" and given and given[0].items is not None:
        items |= given[0].items
    elif method == "update" and not given:
        items |= dict(named)
    elif method == "extend" and exact and holder.name == "list()" and given and _is_list(given[0]):
        for value in (given[0].items or {}).values():
            items[len(items)] = value
    elif method in ("pop", "remove", "clear", "reverse") and exact and holder.name == "list()":
        items = _removed(items, method, given, key)
    elif method == "pop" and isinstance(key, str):
        items.pop(key, None)
    elif method == "clear":
        items = {}
    elif method in _PUTS:
        items[UNKNOWN] = joined(items.get(UNKNOWN, CLEAN), tainted(added))
    return container(items, holder.name)


def taken(holder: Value, method: str, given: Sequence[Value]) -> Value | None:
    """What such a call gives; None when the method takes nothing out, or nothing is known of the elements."""
    if holder.items is None:
        return None
    key: Any = given[0].const if given else UNKNOWN
    if holder.name.startswith("configparser.") and method == "get" and len(given) == 2:
        return element(holder, _section(given))
    if method in ("get", "pop", "setdefault") and (given or method == "pop"):
        if holder.name == "list()" and method == "pop" and not given:
            key = len(holder.items) - 1
        found = element(holder, key)
        return joined(found, given[1]) if len(given) > 1 else found
    if method == "values":
        return Value(holder.taints, UNKNOWN, {UNKNOWN: element(holder, UNKNOWN)})
    if method == "items":
        pair = {0: CLEAN, 1: element(holder, UNKNOWN)}
        return Value(holder.taints, UNKNOWN, {UNKNOWN: container(pair, "tuple()")})
    if method == "keys":
        return CLEAN
    if method == "copy":
        return holder
    return None


def spread(values: Sequence[Value]) -> Value:
    """All elements of several containers, their order lost."""
    found: Value = CLEAN
    for value in values:
        found = joined(found, element(value, UNKNOWN))
    return container({UNKNOWN: found}, "list()")


def merged(one: Value, other: Value) -> Value:
    """Two dictionaries as one."""
    if one.items is None or other.items is None:
        return tainted(united((one.taints, other.taints)))
    return container(merged_items(one.items, other.items), "dict()")


def _removed(items: dict[Any, Value], method: str, given: Sequence[Value], key: Any) -> dict[Any, Value]:
    values = list(items.values())
    if method == "clear":
        return {}
    if method == "reverse":
        values.reverse()
    elif method == "remove":
        at = next((i for i, value in enumerate(values) if value.const == key and key is not UNKNOWN), None)
        if at is None and given and given[0].taints:
            at = next((i for i, value in enumerate(values) if value.taints == given[0].taints), None)
        if at is not None:
            del values[at]
    elif values:
        at = key if given else -1
        if isinstance(at, int) and -len(values) <= at < len(values):
            del values[at]
        elif at is UNKNOWN:
            return {UNKNOWN: element(container(items), UNKNOWN)}
    return dict(enumerate(values))


def _is_list(value: Value) -> bool:
    return value.items is not None and UNKNOWN not in value.items and value.name in ("list()", "tuple()")


def _section(given: Sequence[Value]) -> str:
    return f"{given[0].const!r}:{given[1].const!r}"
