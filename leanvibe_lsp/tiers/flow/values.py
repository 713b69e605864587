"""What is known of a value while code is walked: who wrote it, what it certainly is, and by what name it is called.

Values are never changed. `CLEAN` is the one of which nothing is known and nothing feared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from leanvibe_lsp.config.limits import limit

ALL = "*"  # among the cleared: harmless whatever is done with it


class _Unknown:
    __slots__ = ()

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = _Unknown()


class Source(NamedTuple):
    """Where a stranger writes: its group, how it is called in a message, and its bytes in the unit."""

    group: str
    label: str
    start: int
    end: int


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """A name that the value was given on its way; `before` is the step ahead of it. One and the same only as itself."""

    name: str
    start: int
    end: int
    before: Step | None

    def chain(self) -> Iterator[Step]:
        """This step and those ahead of it."""
        at: Step | None = self
        while at is not None:
            yield at
            at = at.before


class Taint(NamedTuple):
    """That a source is in a value.

    `cleared` are the kinds it can no longer do harm by, `unknown` how many unknown calls it went through, `mixed` says
    that other text was put around it, `step` is the last name it was given.
    """

    source: Source
    cleared: frozenset[str] = frozenset()
    unknown: int = 0
    mixed: bool = False
    step: Step | None = None


class Value(NamedTuple):
    """`const` is the constant it is, or UNKNOWN. `name` is the dotted name it goes by, "()" for what a call gives.

    `items` are the elements that are known, by key or index, those of unknown key under `UNKNOWN`; None: not known to
    be a container, or nothing known of its elements. `prefix` is the constant text that it begins with. `proof` is the
    condition whose result it is.
    """

    taints: tuple[Taint, ...] = ()
    const: Any = UNKNOWN
    items: Mapping[Any, Value] | None = None
    name: str = ""
    prefix: str = ""
    proof: Any = None


CLEAN: Final = Value()


def constant(value: object) -> Value:
    """A value that is known."""
    return Value((), value)


def named(name: str) -> Value:
    """Something that goes by a dotted name."""
    return Value((), UNKNOWN, None, name)


def tainted(taints: tuple[Taint, ...]) -> Value:
    """A value of which only the sources are known."""
    return Value(taints) if taints else CLEAN


def united(groups: Iterable[tuple[Taint, ...]]) -> tuple[Taint, ...]:
    """All that is in any, each once; of too many, the first."""
    found: tuple[Taint, ...] = ()
    for taints in groups:
        if not taints or taints is found:
            continue
        if not found:
            found = taints
            continue
        for taint in taints:
            if not any(_covers(one, taint) for one in found):
                found = (*(one for one in found if not _covers(taint, one)), taint)
    most = int(limit("flow.sources"))
    return found if len(found) <= most else found[:most]


def _covers(one: Taint, other: Taint) -> bool:
    """True when `other` says nothing that `one` does not."""
    return (
        one.source == other.source
        and one.cleared <= other.cleared
        and one.unknown <= other.unknown
        and (one.mixed or not other.mixed)
    )


def joined(one: Value, other: Value) -> Value:
    """What may be one or the other."""
    if one is other or one == other:
        return one
    const = one.const if type(one.const) is type(other.const) and one.const == other.const else UNKNOWN
    items = None
    if one.items is not None and other.items is not None:
        items = merged_items(one.items, other.items)
    name = one.name or other.name
    prefix = one.prefix if one.prefix == other.prefix or not other.taints else other.prefix if not one.taints else ""
    return Value(united((one.taints, other.taints)), const, items, name, prefix, None)


def merged_items(one: Mapping[Any, Value], other: Mapping[Any, Value]) -> Mapping[Any, Value]:
    """The elements of a container that may be one or the other."""
    if one is other:
        return one
    items = dict(one)
    for key, value in other.items():
        items[key] = joined(items[key], value) if key in items else value
    return items


def container(items: Mapping[Any, Value], name: str = "") -> Value:
    """A container with these elements; of too many, only what is in them."""
    taints = united(value.taints for value in items.values())
    if len(items) > limit("flow.elements"):
        return Value(taints, UNKNOWN, None, name)
    return Value(taints, UNKNOWN, items, name)


def element(holder: Value, key: object) -> Value:
    """What stands under a key; UNKNOWN: under any."""
    if holder.items is None:
        return tainted(holder.taints)
    if key is not UNKNOWN and _hashable(key):
        if isinstance(key, int) and key < 0 and UNKNOWN not in holder.items:
            key += len(holder.items)
        known, rest = holder.items.get(key), holder.items.get(UNKNOWN)
        if known is not None:
            return known if rest is None else joined(known, rest)
        return CLEAN if rest is None else rest
    values = iter(holder.items.values())
    found = next(values, CLEAN)
    for value in values:
        found = joined(found, value)
    return found


def cleared(value: Value, kinds: frozenset[str]) -> Value:
    """The value, harmless by these kinds."""
    if not value.taints:
        return value
    if ALL in kinds:
        return value._replace(taints=(), items=None)
    taints = tuple(one._replace(cleared=one.cleared | kinds) for one in value.taints)
    items = None if value.items is None else {key: cleared(one, kinds) for key, one in value.items.items()}
    return value._replace(taints=taints, items=items)


def _hashable(key: object) -> bool:
    return isinstance(key, str | int | float | bytes | bool | None)
