"""Which calls, assignments and answers are sinks of which rules, and whether what goes in may do harm there. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from leanvibe_lsp.tiers.flow.spec import Conditions, FlowSpec, Sink
from leanvibe_lsp.tiers.flow.values import UNKNOWN, Taint, Value, element

ANYTHING = "*"  # in a condition: whatever it is, as long as it is given
_SHELLS = ("sh", "bash", "zsh", "dash", "ksh", "cmd", "cmd.exe", "powershell", "pwsh")


@dataclass(frozen=True, slots=True)
class Target:
    """A sink of the rule with that number, and the name it is found by."""

    rule: int
    spec: FlowSpec
    sink: Sink
    pattern: str


@dataclass(frozen=True, slots=True)
class Arguments:
    """What a call was given: by position, by name, after stars, and the object whose method it is."""

    positions: Sequence[Value] = ()
    named: Mapping[str, Value] = field(default_factory=dict)
    stars: Sequence[Value] = ()
    receiver: Value | None = None


class SinkIndex:
    """The sinks of all rules, by the last word of their name. `words` are those words."""

    def __init__(self, specs: Sequence[FlowSpec]) -> None:
        self.calls: dict[str, list[Target]] = {}
        self.assigned: dict[str, list[Target]] = {}
        self.returned: list[Target] = []
        self.cleaners = frozenset(name for spec in specs for name in spec.cleaners)
        self.origins = frozenset(form for spec in specs for name in spec.origins for form in (name, f"{name}()"))
        for rule, spec in enumerate(specs):
            for sink in spec.sinks:
                for name in sink.calls:
                    self.calls.setdefault(name.rpartition(".")[2], []).append(Target(rule, spec, sink, name))
                for name in sink.assigned:
                    self.assigned.setdefault(name.rpartition(".")[2], []).append(Target(rule, spec, sink, name))
                if sink.returned:
                    self.returned.append(Target(rule, spec, sink, sink.returned))
        self.words = frozenset(word for spec in specs for sink in spec.sinks for word in sink.words())


def matching(targets: Mapping[str, list[Target]], name: str) -> Iterator[Target]:
    """The targets that a dotted name fits."""
    for target in targets.get(name.rpartition(".")[2], ()):
        pattern = target.pattern
        if pattern == name or (pattern.startswith("*.") and f".{name}".endswith(pattern[1:]) and "." in name):
            yield target


def reaching(target: Target, given: Arguments) -> tuple[float, Taint, int | str] | None:
    """How much is to be feared of a call, of what, and in which argument; None when nothing is."""
    sink = target.sink
    if not all(_is(given, name, wanted) for name, wanted in sink.where.entries) or _any(given, sink.unless):
        return None
    best: tuple[float, Taint, int | str] | None = None
    for where, value in _looked_at(sink, given):
        found = worst(target.spec, _part(value, sink.part), sink.parameters)
        if found is not None and (best is None or found[0] > best[0]):
            best = (*found, where)
    return best


def worst(spec: FlowSpec, value: Value, parameters: bool = True) -> tuple[float, Taint] | None:
    """What in a value is to be feared most by a rule, and how much (0 to 1); None when nothing is."""
    best: tuple[float, Taint] | None = None
    for taint in value.taints:
        weight = spec.sources.get(taint.source.group, 0.0)
        if not weight or spec.kind in taint.cleared:
            continue
        weight *= spec.unknown**taint.unknown
        if taint.source.group == "parameter":
            after = spec.parameter_after
            if not parameters or (after is not None and not after.match(value.prefix)):
                continue
            weight *= 1.0 if taint.mixed else spec.plain
        if weight and (best is None or weight > best[0]):
            best = weight, taint
    if best is not None and spec.harmless_after is not None and spec.harmless_after.match(value.prefix):
        return None
    return best


def _looked_at(sink: Sink, given: Arguments) -> Iterator[tuple[int | str, Value]]:
    for where in sink.arguments:
        if where == "any":
            yield from enumerate(given.positions)
            yield from given.named.items()
            yield from (("stars", value) for value in given.stars)
        elif where == "receiver":
            if given.receiver is not None:
                yield where, given.receiver
        elif where == "stars":
            yield from (("stars", value) for value in given.stars)
        elif isinstance(where, int):
            if where < len(given.positions):
                yield where, given.positions[where]
        elif where in given.named:
            yield where, given.named[where]


def _part(value: Value, part: str) -> Value:
    """What of an argument counts."""
    if value.items is None or part == "whole":
        return value
    if part == "unkeyed":
        return value.items.get("$where", Value())
    program = element(value, 0)
    shell = program.const
    if isinstance(shell, str) and shell.rpartition("/")[2] in _SHELLS and len(value.items) > 2:
        return element(value, 2)
    return program


def _any(given: Arguments, conditions: Conditions) -> bool:
    return any(_is(given, name, wanted) for name, wanted in conditions.entries)


def _is(given: Arguments, name: str, wanted: tuple[object, ...]) -> bool:
    """Whether an argument, by name or by its position in digits, is one of some constants or dotted names."""
    if name.isdecimal():
        value = given.positions[int(name)] if int(name) < len(given.positions) else None
    else:
        value = given.named.get(name)
    if value is None:
        return False
    if ANYTHING in wanted:
        return True
    for one in wanted:
        if value.const is not UNKNOWN and type(value.const) is type(one):
            if value.const == one or (isinstance(one, str) and str(value.const).partition(";")[0] == one):
                return True
        elif isinstance(one, str) and one and value.name.removesuffix("()") in (one, one.rpartition(".")[2]):
            return True
    return False
