"""A function walked from its first statement to its last: what is known at each place, and what reaches a sink there.

Branches are walked each with what its condition says and joined again; loops until nothing new comes out, or
`flow.passes`; functions of the same file where they are called, `flow.calls` deep.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.tiers.flow import program as p
from leanvibe_lsp.tiers.flow.compose import each
from leanvibe_lsp.tiers.flow.constants import truth
from leanvibe_lsp.tiers.flow.enter import Entering
from leanvibe_lsp.tiers.flow.entries import parameters_of, route_of
from leanvibe_lsp.tiers.flow.evaluate import Environment
from leanvibe_lsp.tiers.flow.guards import Known, known_when
from leanvibe_lsp.tiers.flow.module import Module
from leanvibe_lsp.tiers.flow.program import variables_in
from leanvibe_lsp.tiers.flow.sinks import SinkIndex, worst
from leanvibe_lsp.tiers.flow.values import (
    ALL,
    UNKNOWN,
    Taint,
    Value,
    cleared,
    element,
    joined,
    named,
    tainted,
)


class Walk(Entering):
    """The walk of one unit: statements."""

    def __init__(
        self, module: Module, index: SinkIndex, spans: Sequence[tuple[int, int]], owner: str, told: frozenset[int]
    ) -> None:
        super().__init__(module, index, spans, owner, told)
        self.passes = int(limit("flow.passes"))
        self.results: list[Value] = []
        self.reachable = True
        self._mentioned: dict[int, frozenset[str]] = {}  # by the identity of conditions, which the module keeps alive
        self._breaks: list[list[Environment]] = []

    def unit(self, function: p.Function) -> None:
        """Walk a definition as what others call from outside."""
        route = route_of(function, self.module)
        before, html = self.env, self.html
        self.env = {**before, **parameters_of(function, self.module, route)}
        self.html = route is not None and route.answers_html
        self.run(self.module.body(function))
        self.env, self.html = before, html

    def loose(self, statements: list[p.Statement]) -> None:
        """Walk the code that runs when the file is imported."""
        self.run(statements)

    def run(self, body: list[p.Statement]) -> list[Value]:
        """The results of a body, walked for itself: what it leaves unreachable is so in it alone. Raises TooMuch."""
        frame = self.results, self._breaks, self.reachable
        self.results, self._breaks, self.reachable = [], [], True
        try:
            self.block(body)
            return self.results
        finally:
            self.results, self._breaks, self.reachable = frame

    def block(self, statements: list[p.Statement]) -> None:
        """Statements, one after another, until one of them leaves."""
        for statement in statements:
            if not self.reachable:
                return
            self._by_statement[type(statement)](self, statement)

    def _assign(self, node: p.Assign) -> None:
        value = self.value(node.value)
        if node.operator and node.targets:
            old = node.targets[0]
            if node.operator == "+":
                value = self.value(p.Sum(node.start, node.end, [old, node.value]))
            else:
                value = self.value(p.Binary(node.start, node.end, node.operator, old, node.value))
        for target in node.targets:
            self.bind(target, value)
        self._leave_if_stopped()

    def _do(self, node: p.Do) -> None:
        self.value(node.value)
        self._leave_if_stopped()

    def _leave_if_stopped(self) -> None:
        if self.stopped:
            self.stopped = False
            self.reachable = False

    def _if(self, node: p.If) -> None:
        ends: list[Environment] = []
        for condition, body in node.arms:
            known = True if condition is None else truth(self.value(condition))
            self.stopped = False
            if known is False:
                continue
            after = None if known else dict(self.env)
            if condition is not None:
                self.assume(condition, True)
            self.block(body)
            if self.reachable:
                ends.append(self.env)
            if after is None:
                break
            self.env, self.reachable = after, True
            if condition is not None:
                self.assume(condition, False)
        else:
            ends.append(self.env)
        self._meet(ends)

    def _meet(self, ends: list[Environment]) -> None:
        """Go on with what is known at the end of any of several ways; with none, nothing goes on."""
        self.reachable = bool(ends)
        if ends:
            self.env = ends[0]
            for other in ends[1:]:
                self.env = self._met(self.env, other)

    def _met(self, one: Environment, other: Environment) -> Environment:
        if one is other:
            return one
        self.left -= 1 + len(other) // 8  # a chain of many branches over many names is work, too
        env = dict(one)
        for name, value in other.items():
            known = env.get(name)
            if known is None:
                env[name] = value
            elif known is not value:
                env[name] = joined(known, value)
        return env

    def _loop(self, node: p.Loop) -> None:
        exits: list[Environment] = []
        endless = node.target is None and isinstance(node.source, p.Const) and truth(self.value(node.source)) is True
        for _ in range(self.passes):
            before = dict(self.env)
            if node.target is not None:
                self.bind(node.target, each(self.value(node.source)))
            else:
                self.value(node.source)
                self.assume(node.source, True)
            self._breaks.append([])
            self.block(node.body)
            left = self._breaks.pop()
            exits += left
            env = self._met(dict(before), self.env) if self.reachable else before
            self.env, self.reachable = env, True
            if all(env[name] == value for name, value in before.items()):
                break
        if node.target is None and not endless:
            self.assume(node.source, False)
        self.reachable = not endless
        if self.reachable:
            self.block(node.otherwise)
        self._meet([*([self.env] if self.reachable else []), *exits])

    def _try(self, node: p.Try) -> None:
        before = dict(self.env)
        self.block(node.body)
        middle = dict(self.env) if self.reachable else before
        raised = self._met(dict(before), middle)
        if self.reachable:
            self.block(node.otherwise)
        ends = [self.env] if self.reachable else []
        for handler in node.handlers:
            self.env, self.reachable = dict(raised), True
            self.block(handler)
            if self.reachable:
                ends.append(self.env)
        self._meet(ends)
        if node.final:
            if ends:
                self.block(node.final)
            else:
                self.env, self.reachable = raised, True
                self.block(node.final)
                self.reachable = False

    def _with(self, node: p.With) -> None:
        for entered, target in node.items:
            value = self.value(entered)
            if target is not None:
                self.bind(target, value)
        self.block(node.body)

    def _match(self, node: p.Match) -> None:
        subject = self.value(node.subject)
        before, ends, exhausted = self.env, [], False
        for constants, bound, guard, body in node.cases:
            certain = False
            if constants is not None:
                values = [self.value(one).const for one in constants]
                if subject.const is not UNKNOWN and not subject.taints:
                    certain = subject.const in values and guard is None
                    if not certain and subject.const not in values:
                        continue
            self.env, self.reachable = dict(before), True
            for name in bound:
                self.bind(name, tainted(subject.taints))
            if constants is not None and isinstance(node.subject, p.Name):
                self.env[node.subject.id] = cleared(subject, frozenset({ALL}))
            if guard is not None:
                self.value(guard)
                self.assume(guard, True)
            self.block(body)
            if self.reachable:
                ends.append(self.env)
            if certain or (constants is None and guard is None):
                exhausted = True
                break
        self._meet(ends if exhausted else [*ends, before])

    def _function(self, node: p.Function) -> None:
        name = f"def {node.start}"
        self.nested[name] = node
        self.nested_starts.add(node.start)
        self.env[node.id] = named(name)
        self._nested_unit(node)

    def _nested_unit(self, node: p.Function) -> None:
        if len(self.entered) <= self.deepest and node.start not in self.entered:
            self.entered.append(node.start)
            self.unit(node)
            self.entered.pop()

    def _class(self, node: p.Class) -> None:
        before, self.env = self.env, dict(self.env)
        self.block(node.body)
        self.env = before
        self.env[node.id] = named(node.id)

    def _return(self, node: p.Return) -> None:
        if node.value is not None:
            value = self.value(node.value)
            self.results.append(value)
            if self.html and not self.within_call:
                self._answered(node.value, value)
        self.stopped = False
        self.reachable = False

    def _answered(self, node: p.Expression, value: Value) -> None:
        if isinstance(node, p.Collection) and node.kind == "tuple" and node.values:
            node, value = node.values[0], element(value, 0)
        if value.items is not None or value.name.endswith(("dict()", "list()")):
            return
        for target in self.index.returned:
            if (found := worst(target.spec, value)) is not None:
                self.hit(target, node, found[0], found[1], "return")

    def _leave(self, node: p.Leave) -> None:
        if node.value is not None:
            self.value(node.value)
        if node.how != "raise" and self._breaks:
            self._breaks[-1].append(self.env)
        self.stopped = False
        self.reachable = False

    def _delete(self, node: p.Delete) -> None:
        for target in node.targets:
            if isinstance(target, p.Name):
                self.env.pop(target.id, None)
            elif isinstance(target, p.Subscript) and isinstance(target.of, p.Name) and target.key is not None:
                holder, key = self.env.get(target.of.id), self.value(target.key).const
                if holder is not None and holder.items is not None and isinstance(key, str) and key in holder.items:
                    items = {name: value for name, value in holder.items.items() if name != key}
                    self.env[target.of.id] = Value(holder.taints, UNKNOWN, items, holder.name)

    def _import(self, node: p.Import) -> None:
        for name, stands_for in node.names:
            self.env[name] = self.origin(named(stands_for), node.start, node.end)

    def _assert(self, node: p.Assert) -> None:
        self.value(node.condition)
        self.assume(node.condition, True)

    def assume(self, condition: p.Expression, holds: bool) -> None:
        """Take into `env` what is known when a condition holds, or does not."""
        names = self._mentioned.get(id(condition))
        if names is None:
            names = self._mentioned[id(condition)] = variables_in(condition)
        env = self.env
        if not any((value := env.get(name)) is not None and (value.taints or value.proof) for name in names):
            return
        for known in known_when(condition, holds, self):
            self._take(known)

    def _take(self, known: Known) -> None:
        value = self.env.get(known.path)
        if value is None or not value.taints:
            return
        sources = {one.source for one in value.taints}
        steps = {one.step for one in value.taints}
        self.env[known.path] = cleared(value, known.kinds)
        for name, other in self.env.items():
            if name != known.path and other.taints:
                self.env[name] = _without(other, known, sources, steps)

    _by_statement: ClassVar[Mapping[type, Callable[[Any, Any], None]]] = {
        p.Assign: _assign,
        p.Do: _do,
        p.If: _if,
        p.Loop: _loop,
        p.Try: _try,
        p.With: _with,
        p.Match: _match,
        p.Function: _function,
        p.Class: _class,
        p.Return: _return,
        p.Leave: _leave,
        p.Delete: _delete,
        p.Import: _import,
        p.Assert: _assert,
    }


def _without(value: Value, known: Known, sources: set[Any], steps: set[Any]) -> Value:
    """The value after what it was made from is known to be harmless."""

    def is_of_it(one: Taint) -> bool:
        if one.source not in sources:
            return False
        if known.family or None in steps:
            return True
        return one.step is not None and any(step in steps for step in one.step.chain())

    taints = []
    for one in value.taints:
        if not is_of_it(one):
            taints.append(one)
        elif ALL not in known.kinds:
            taints.append(one._replace(cleared=one.cleared | known.kinds))
    return value if tuple(taints) == value.taints else value._replace(taints=tuple(taints), items=None)
