"""What a flow rule asks for: from which sources into which sinks, and what makes the way harmless. Pure.

A rule file holds it under `flow:`, in place of ast-grep's `rule:`:

    flow:
      kind: command                     # what is at stake; sanitizers are known by it
      sources: {request: 1, input: 0.8, parameter: 0.4}    # how much each weighs in the confidence
      sinks:
        - call: [subprocess.run, "*.run_command"]   # dotted names as imported; "*." any object
          argument: [0, args]           # positions, names, `receiver`, `any`; the first one by default
          where: {shell: true}          # only calls that say so; `unless` is the contrary; "*" is anything
          imports: [subprocess]         # only in files that import one of these
          without: [SafeLoader]         # only in files whose top level (imports, constants) holds none of these
          part: program                 # of a list, only what is run; `unkeyed`: all but a dictionary written out
          parameters: false             # plain parameters are no source here
        - assign: "*.headers[]"         # what is stored under a key, or as an attribute
        - returned: html                # what a route handler answers with
      cleaners: [mylib.safe_name]       # calls of one's own whose result is harmless
      origins: [mylib.get_upload]       # calls or attributes of one's own that strangers write
      unknown: 0.7                      # times the confidence, for each call on the way that is not known
      plain: 0.6                        # the same for a parameter that goes in as it is, without text around it
      parameter_after: '.'              # a parameter counts only behind such a beginning
      harmless_after: '^https?://[^/]+/'   # nothing can happen behind it; … is the program's own text
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from leanvibe_lsp.errors import UsageError

# How far what comes from there is to be believed to be a stranger's. Absent: asked for by name only.
DEFAULT_SOURCES = {"request": 1.0, "network": 0.9, "input": 0.7, "argv": 0.5, "environment": 0.35}
SOURCES = frozenset((*DEFAULT_SOURCES, "archive", "model", "parameter"))
PARTS = ("whole", "program", "unkeyed")
RETURNED = ("html",)

_KEYS = ("kind", "sources", "sinks", "cleaners", "origins", "unknown", "plain", "parameter_after", "harmless_after")
_SINK_KEYS = ("call", "assign", "returned", "argument", "where", "unless", "imports", "without", "part", "parameters")
_DOTTED = re.compile(r"(\*\.)?[^\W\d]\w*(\(\)|\[\])?(\.[^\W\d]\w*(\(\)|\[\])?)*")
_WORD = re.compile(r"[^\W\d]\w*")

Constant = str | int | bool | None


@dataclass(frozen=True, slots=True)
class Conditions:
    """What other arguments of a call must be: by name, one of some constants or dotted names."""

    entries: tuple[tuple[str, tuple[Constant, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class Sink:
    """A place where harm is done. Exactly one of `calls`, `assigned` and `returned` is given."""

    calls: tuple[str, ...] = ()
    assigned: tuple[str, ...] = ()
    returned: str = ""
    arguments: tuple[int | str, ...] = (0,)
    where: Conditions = Conditions()
    unless: Conditions = Conditions()
    imports: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    part: str = "whole"
    parameters: bool = True

    def words(self) -> Iterator[str]:
        """The words of which one stands in every text that has such a place; () where there is none."""
        for name in (*self.calls, *self.assigned):
            yield _WORD.findall(name)[-1]


@dataclass(frozen=True, slots=True)
class FlowSpec:
    """A flow rule, read. `sources` are groups and their weights.

    `harmless_after` is None where no beginning helps, `parameter_after` where any is as good for a parameter.
    """

    kind: str
    sources: Mapping[str, float]
    sinks: tuple[Sink, ...]
    cleaners: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    unknown: float = 0.7
    plain: float = 0.6
    parameter_after: re.Pattern[str] | None = None
    harmless_after: re.Pattern[str] | None = None


def read_flow(given: object) -> FlowSpec:
    """The specification in a rule file's `flow:`. Raises UsageError, which names the field and what is wrong."""
    mapping = _mapping(given, "flow", _KEYS)
    kind = mapping.get("kind")
    if not isinstance(kind, str) or not kind:
        raise UsageError("flow.kind: a word for what is at stake is needed, as `command`")
    sinks = mapping.get("sinks")
    if not isinstance(sinks, list) or not sinks:
        raise UsageError("flow.sinks: a list of at least one sink is needed")
    return FlowSpec(
        kind=kind,
        sources=_sources(mapping.get("sources")),
        sinks=tuple(_sink(one, f"flow.sinks.{number}") for number, one in enumerate(sinks)),
        cleaners=_names(mapping.get("cleaners"), "flow.cleaners"),
        origins=_names(mapping.get("origins"), "flow.origins"),
        unknown=_weight(mapping.get("unknown", 0.7), "flow.unknown"),
        plain=_weight(mapping.get("plain", 0.6), "flow.plain"),
        parameter_after=_expression(mapping.get("parameter_after"), "flow.parameter_after"),
        harmless_after=_expression(mapping.get("harmless_after"), "flow.harmless_after"),
    )


def _sources(given: object) -> Mapping[str, float]:
    if given is None:
        return dict(DEFAULT_SOURCES)
    if isinstance(given, list):
        given = {name: DEFAULT_SOURCES.get(name, 0.5) if isinstance(name, str) else 0 for name in map(_hashable, given)}
    mapping = _mapping(given, "flow.sources", sorted(SOURCES))
    return {name: _weight(value, f"flow.sources.{name}") for name, value in mapping.items()}


def _sink(given: object, where: str) -> Sink:
    mapping = _mapping(given, where, _SINK_KEYS)
    if sum(name in mapping for name in ("call", "assign", "returned")) != 1:
        raise UsageError(f"{where}: exactly one of call, assign and returned is needed")
    if "returned" in mapping and mapping["returned"] not in RETURNED:
        raise UsageError(f"{where}.returned: there is {', '.join(RETURNED)}")
    part = mapping.get("part", "whole")
    if part not in PARTS:
        raise UsageError(f"{where}.part: there are {', '.join(PARTS)}")
    parameters = mapping.get("parameters", True)
    if not isinstance(parameters, bool):
        raise UsageError(f"{where}.parameters: true or false is needed")
    arguments = mapping.get("argument", 0)
    arguments = arguments if isinstance(arguments, list) else [arguments]
    if not arguments or not all(isinstance(one, int | str) and not isinstance(one, bool) for one in arguments):
        raise UsageError(f"{where}.argument: positions (from 0) and names are understood")
    return Sink(
        calls=_names(mapping.get("call"), f"{where}.call"),
        assigned=_names(mapping.get("assign"), f"{where}.assign"),
        returned=mapping.get("returned", ""),
        arguments=tuple(arguments),
        where=_conditions(mapping.get("where"), f"{where}.where"),
        unless=_conditions(mapping.get("unless"), f"{where}.unless"),
        imports=_names(mapping.get("imports"), f"{where}.imports"),
        without=_names(mapping.get("without"), f"{where}.without"),
        part=part,
        parameters=parameters,
    )


def _conditions(given: object, where: str) -> Conditions:
    if given is None:
        return Conditions()
    entries = []
    for name, wanted in _mapping(given, where, None).items():
        values = wanted if isinstance(wanted, list) else [wanted]
        if not all(value is None or isinstance(value, str | int | bool) for value in values):
            raise UsageError(f"{where}.{name}: constants and dotted names are understood")
        entries.append((name, tuple(values)))
    return Conditions(tuple(entries))


def _names(given: object, where: str) -> tuple[str, ...]:
    names = [] if given is None else given if isinstance(given, list) else [given]
    for name in names:
        if not isinstance(name, str) or not _DOTTED.fullmatch(name):
            raise UsageError(f"{where}: {name!r} is no dotted name, as `module.function` or `*.method`")
    return tuple(names)


def _weight(given: object, where: str) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 <= given <= 1:
        raise UsageError(f"{where}: a number from 0 to 1 is needed")
    return float(given)


def _expression(given: object, where: str) -> re.Pattern[str] | None:
    if given is None:
        return None
    if not isinstance(given, str):
        raise UsageError(f"{where}: a regular expression is needed")
    try:
        return re.compile(given)
    except re.error as error:
        raise UsageError(f"{where}: {error}") from None


def _mapping(given: object, where: str, keys: Any) -> Mapping[str, Any]:
    if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
        raise UsageError(f"{where}: names with values are needed")
    if keys is not None and (unknown := [name for name in given if name not in keys]):
        raise UsageError(f"{where}: there is no {unknown[0]!r}; there are: {', '.join(keys)}")
    return given


def _hashable(given: object) -> object:
    return given if isinstance(given, str) else repr(given)
