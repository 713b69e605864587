"""Functions of the same file walked where they are called, with what they are given there.

What is nested in the unit is walked as a part of it. Of all others only what comes back is told, and at the call what
reaches a sink inside; what they do with their own parameters is looked at where they stand.
"""

from __future__ import annotations

from abc import abstractmethod
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.tiers.flow import program as p
from leanvibe_lsp.tiers.flow.calls import Calls, Hit
from leanvibe_lsp.tiers.flow.evaluate import Environment, TooMuch
from leanvibe_lsp.tiers.flow.guards import Known, known_when
from leanvibe_lsp.tiers.flow.module import Module
from leanvibe_lsp.tiers.flow.program import path_of
from leanvibe_lsp.tiers.flow.sinks import Arguments, SinkIndex
from leanvibe_lsp.tiers.flow.values import CLEAN, UNKNOWN, Value, joined, tainted, united


class Entering(Calls):
    """Calls that are walked into; `owner` is the class of the unit, which is the bytes `spans` of the text.

    `told` are the functions of the file, by their first bytes, in which something is read that strangers write.
    """

    def __init__(
        self, module: Module, index: SinkIndex, spans: Sequence[tuple[int, int]], owner: str, told: frozenset[int]
    ) -> None:
        super().__init__(module, index)
        self.spans, self.owner, self.told = spans, owner, told
        self.deepest, self.inside = int(limit("flow.calls")), int(limit("flow.steps_inside"))
        self.nested: dict[str, p.Function] = {}
        self.nested_starts: set[int] = set()
        self.entered: list[int] = []
        self.within_call = 0
        self.html = False

    def holds(self, byte: int) -> bool:
        """Whether a place of the text is in the unit."""
        at = bisect_right(self.spans, byte, key=lambda span: span[0]) - 1
        return at >= 0 and byte < self.spans[at][1]

    @abstractmethod
    def run(self, body: list[p.Statement]) -> list[Value]:
        """The results of a body, walked for itself. Raises TooMuch."""

    def look_at(self, node: p.Expression) -> Value:
        """What an expression gives, without doing it again."""
        env, quiet, stopped = self.env, self.quiet, self.stopped
        self.env, self.quiet = dict(env), True
        value = self.value(node)
        self.env, self.quiet, self.stopped = env, quiet, stopped
        return value

    def local(self, name: str) -> p.Function | None:
        """The function of this file that goes by a name: a nested one, one of the file, a method."""
        if not name:
            return None
        if name in self.nested:
            return self.nested[name]
        first, _, rest = name.partition(".")
        if rest and first in ("self", "cls") and self.owner:
            name = f"{self.owner}.{rest}"
        elif rest:
            name = f"{first.removesuffix('()')}.{rest}"
        elif name in self.module.imports:
            return None
        return self.module.function(name)

    def called(self, node: p.Call, holds: bool) -> list[Known] | None:
        """What is known of the arguments when a function of the file answers so; None: it is not one of them."""
        callee = node.function
        name = callee.id if isinstance(callee, p.Name) else ""
        if isinstance(callee, p.Attribute) and isinstance(callee.of, p.Name) and callee.of.id in ("self", "cls"):
            name = f"self.{callee.name}"
        function = self.local(self.named_value(name).name if name in self.env else name)
        if function is None or function.start in self.entered:
            return None
        body = self.module.body(function) if function.body is not None else []
        if len(body) != 1 or not isinstance(body[0], p.Return) or body[0].value is None:
            return None
        parameters = [one for one in function.parameters if one.id not in ("self", "cls")]
        paths = {
            one.id: path
            for one, argument in zip(parameters, node.arguments, strict=False)
            if (path := path_of(argument))
        }
        self.entered.append(function.start)
        before, self.env = self.env, {**self.env, **{one: self.env.get(path, CLEAN) for one, path in paths.items()}}
        told = known_when(body[0].value, holds, self)
        self.env = before
        self.entered.pop()
        return [one._replace(path=paths[one.path]) for one in told if one.path in paths]

    def enter(self, node: p.Call, function: p.Function, given: Arguments) -> Value:
        """Walk a function of this file with what it is given, when anything can come of that."""
        every = [*given.positions, *given.named.values(), *given.stars]
        nested = function.start in self.nested_starts
        strangers = any(one.source.group != "parameter" for value in every for one in value.taints)
        written = nested or strangers or function.start in self.told
        # What a parameter of the unit's own becomes in the functions called is looked at in those alone, and no deeper.
        worth = written or (not self.entered and any(value.taints for value in every))
        if worth and len(self.entered) < self.deepest and function.start not in self.entered:
            parameters = function.parameters
            if parameters and parameters[0].id in ("self", "cls"):
                parameters = parameters[1:]
            env: Environment = dict(self.env) if nested else {}
            for index, parameter in enumerate(parameters):
                env[parameter.id] = self._argument(parameter, index, given)
            if (value := self._walked(node, function, parameters, env, nested)) is not None:
                return value
        taints = united(value.taints for value in every)
        return tainted(tuple(one._replace(unknown=one.unknown + 1) for one in taints))

    def apply(self, node: p.Call, function: p.Lambda, given: Arguments) -> Value:
        """What a lambda gives for what it is given; what it does outside of the unit is told at the call."""
        if function.start in self.entered or len(self.entered) >= self.deepest:
            return tainted(united(value.taints for value in (*given.positions, *given.named.values(), *given.stars)))
        here = self.holds(function.start)
        before, hits = self.env, self.hits
        given_by_name = {one.id: self._argument(one, index, given) for index, one in enumerate(function.parameters)}
        self.env, self.hits = {**(before if here else {}), **given_by_name}, hits if here else {}
        self.entered.append(function.start)
        value = self.value(function.body)
        self.entered.pop()
        found, self.env, self.hits = self.hits, before, hits
        if not here:
            self._seen_inside(node, "", found)
        return value

    def _walked(
        self, node: p.Call, function: p.Function, parameters: list[p.Parameter], env: Environment, nested: bool
    ) -> Value | None:
        """What a function gives back; None when it takes too long to find out."""
        before, hits, html, left = self.env, self.hits, self.html, self.left
        self.left = min(left, self.inside)
        self.env, self.html, self.hits = dict(env), False, hits if nested else {}
        depth = len(self.entered)
        self.entered.append(function.start)
        self.within_call += 1
        results: list[Value] | None = None
        with suppress(TooMuch):  # what takes too long is as one that cannot be seen
            results = self.run(self.module.body(function))
        self.within_call -= 1
        del self.entered[depth:]
        self.left = left - (min(left, self.inside) - max(self.left, 0))
        checked, found = self.env, self.hits
        self.env, self.hits, self.html = before, hits, html
        if results is None:
            return None
        if not nested:
            self._seen_inside(node, function.id, found)
        self._checked(node, parameters, env, checked)
        value = results[0] if results else CLEAN
        for other in results[1:]:
            value = joined(value, other)
        return value

    def _argument(self, parameter: p.Parameter, index: int, given: Arguments) -> Value:
        if parameter.spread:
            return tainted(tuple(one for value in given.positions[index:] for one in value.taints))
        if index < len(given.positions):
            value = given.positions[index]
        elif parameter.id in given.named:
            value = given.named[parameter.id]
        elif given.stars:
            value = tainted(given.stars[0].taints)
        else:
            return CLEAN if parameter.default is None else self.value(parameter.default)
        return self.stepped(value, parameter.id, parameter)

    def _seen_inside(self, node: p.Call, function: str, found: Mapping[Any, Hit]) -> None:
        """What a called function does with what was written here is told at the call."""
        for hit in found.values():
            source = hit.taint.source
            if self.holds(source.start) and source.group != "parameter":
                told = Hit(hit.rule, node.start, node.end, hit.factor, hit.taint, hit.sink, hit.through or function)
                key = hit.rule, node.start
                if not self.quiet and (key not in self.hits or self.hits[key].factor < told.factor):
                    self.hits[key] = told

    def _checked(self, node: p.Call, parameters: list[p.Parameter], before: Environment, after: Environment) -> None:
        """A function that came back has checked what it raises or leaves for."""
        for parameter, argument in zip(parameters, node.arguments, strict=False):
            path = path_of(argument)
            known = self.env.get(path) if path else None
            now = after.get(parameter.id)
            if known is None or now is None or not known.taints or now.taints == before[parameter.id].taints:
                continue
            if not now.taints and now.const is UNKNOWN:
                self.env[path] = known._replace(taints=(), items=None)
