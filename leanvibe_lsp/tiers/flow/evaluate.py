"""What an expression gives, in terms of who wrote it. Calls are in `calls`, statements in `walk`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.tiers.flow import program as p
from leanvibe_lsp.tiers.flow.compose import added, composed, each, percent, put
from leanvibe_lsp.tiers.flow.constants import folded, truth
from leanvibe_lsp.tiers.flow.module import Module
from leanvibe_lsp.tiers.flow.program import path_of
from leanvibe_lsp.tiers.flow.tables import (
    FILE_CONTENTS,
    FILE_NAMES,
    FILES,
    HANDLER_MODULES,
    HANDLER_PARTS,
    ORIGINS,
    REQUEST_PARTS,
)
from leanvibe_lsp.tiers.flow.values import (
    CLEAN,
    UNKNOWN,
    Source,
    Step,
    Taint,
    Value,
    cleared,
    constant,
    container,
    element,
    joined,
    merged_items,
    named,
    tainted,
    united,
)

LONG_NAME = 120  # characters; a dotted name that is longer is nobody's in a table

Environment = dict[str, Value]
# What any object's attributes are sources by, by their last word.
_ENDINGS: dict[str, list[tuple[str, str]]] = {}
for _name, _group in ORIGINS.items():
    if _name.startswith("*."):
        _ENDINGS.setdefault(_name.rpartition(".")[2], []).append((_name[1:], _group))


class TooMuch(Exception):
    """The code takes more steps than one function may."""


class Evaluation(ABC):
    """Expressions of one unit. `env` is what its names stand for now; it is None where the code cannot be reached."""

    def __init__(self, module: Module, origins: frozenset[str]) -> None:
        self.module = module
        self.env: Environment = {}
        self.left = int(limit("flow.steps"))
        self.origins = origins
        self.quiet = False  # what reaches a sink is not remembered
        self._globals: dict[str, Value] = {}
        self._steps: dict[tuple[int, Step | None], Step] = {}

    def value(self, node: p.Expression) -> Value:
        """What an expression gives. Raises TooMuch."""
        self.left -= 1
        if self.left < 0:
            raise TooMuch
        return self._by_type[type(node)](self, node)

    def named_value(self, name: str) -> Value:
        """What a name stands for: here, at the top level, in an import, or itself."""
        known = self.env.get(name)
        if known is None:
            known = self._globals.get(name)
            if known is None:
                self._globals[name] = named(name)  # what it is made of may name it
                known = self._globals[name] = self._global(name)
        return known

    def _global(self, name: str) -> Value:
        imports = self.module.imports
        if name in imports:
            return self.origin(named(imports[name]), 0, 0)
        statement = self.module.given(name)
        if not isinstance(statement, p.Assign):
            return named(name)
        env, quiet = self.env, self.quiet
        self.env, self.quiet = {}, True  # what is found there is told where it stands
        try:
            found = self.value(statement.value)
        finally:
            self.env, self.quiet = env, quiet
        # A number at the top level is there to be changed; a text is looked at for what it begins with.
        return found if isinstance(found.const, str) else found._replace(const=UNKNOWN)

    def origin(self, value: Value, start: int, end: int) -> Value:
        """The value, tainted when strangers write what goes by its name."""
        name = value.name
        base, _, last = name.rpartition(".")
        plain = last.removesuffix("()")
        group = ""
        if base and plain in REQUEST_PARTS and _is_request(base):
            group = "request"
        else:
            group = ORIGINS.get(name, "")
            if not group and base:
                group = next((one for end, one in _ENDINGS.get(last, ()) if f".{name}".endswith(end)), "")
            if name in HANDLER_PARTS and not self.module.uses(*HANDLER_MODULES):
                group = ""
            if not group and self.origins and (name in self.origins or f"*.{last}" in self.origins):
                group = "request"
        if not group:
            return value
        owner = base.rpartition(".")[2]
        label = f"{owner}.{last}" if owner and not owner.endswith("()") and owner != "?" else last
        harmless = frozenset({"path"}) if plain in FILES and group == "request" else frozenset()
        return value._replace(taints=(Taint(Source(group, label, start, end), harmless),))

    def _const(self, node: p.Const) -> Value:
        return CLEAN if node.value is UNKNOWN else constant(node.value)

    def _name(self, node: p.Name) -> Value:
        return self.named_value(node.id)

    def _attribute(self, node: p.Attribute) -> Value:
        if (path := path_of(node)) and (known := self.env.get(path)) is not None:
            return known
        return self.attribute_of(self.value(node.of), node)

    def attribute_of(self, of: Value, node: p.Attribute) -> Value:
        """What an attribute of a value is."""
        name = f"{of.name}.{node.name}" if of.name and len(of.name) < LONG_NAME else f"?.{node.name}"
        if of.taints:
            if of.name.startswith("pathlib.") and node.name in ("name", "stem", "suffix"):
                return cleared(tainted(of.taints), frozenset({"path"}))
            taints = tuple(weaker_parameter(one) for one in of.taints)
            if node.name in FILE_NAMES and any(one.source.label.rpartition(".")[2] in FILES for one in taints):
                taints = tuple(one._replace(cleared=one.cleared - {"path"}) for one in taints)
            found = Value(taints, UNKNOWN, None, name)
            return cleared(found, frozenset({"path"})) if node.name in FILE_CONTENTS else found
        return self.origin(named(name), node.start, node.end)

    def _subscript(self, node: p.Subscript) -> Value:
        holder = self.value(node.of)
        if node.key is None:
            if holder.items is None:
                return holder
            return Value(holder.taints, UNKNOWN, {UNKNOWN: element(holder, UNKNOWN)})
        key = self.value(node.key).const
        if isinstance(holder.const, str):
            inside = isinstance(key, int) and -len(holder.const) <= key < len(holder.const)
            return constant(holder.const[key]) if inside else CLEAN
        found = element(holder, key)
        return found if found.name or not holder.name else found._replace(name=f"{holder.name}[]")

    def _text(self, node: p.Text) -> Value:
        return composed([self.value(part) for part in node.parts])

    def _sum(self, node: p.Sum) -> Value:
        values = [self.value(part) for part in node.parts]
        if all(value.const is not UNKNOWN for value in values):
            total = values[0].const
            for value in values[1:]:
                total = folded("+", total, value.const)
            return CLEAN if total is UNKNOWN else constant(total)
        if any(value.items is not None for value in values):
            return added(values)
        return composed(values)

    def _binary(self, node: p.Binary) -> Value:
        left, right = self.value(node.left), self.value(node.right)
        if node.operator == "%" and (isinstance(left.const, str) or left.taints or right.taints):
            return percent(left, right)
        if left.const is not UNKNOWN and right.const is not UNKNOWN:
            result = folded(node.operator, left.const, right.const)
            return CLEAN if result is UNKNOWN else constant(result)
        if node.operator == "/":
            return Value(united((left.taints, right.taints)), UNKNOWN, None, left.name)
        if node.operator == "|" and left.items is not None and right.items is not None:
            return container(merged_items(left.items, right.items), left.name)
        if node.operator in ("*", "|"):
            return tainted(united((left.taints, right.taints)))
        return CLEAN

    def _collection(self, node: p.Collection) -> Value:
        items: dict[Any, Value] = {}
        if node.kind == "dict":
            for key, part in zip(node.keys, node.values, strict=True):
                value = self.value(part)
                if key is None:
                    items |= value.items if value.items is not None else {UNKNOWN: value}
                else:
                    put(items, self.value(key), value)
            return container(items, "dict()")
        values = [self.value(part) for part in node.values]
        if node.kind == "set" or any(isinstance(part, p.Other) for part in node.values):
            return container({UNKNOWN: tainted(united(value.taints for value in values))} if values else {}, "set()")
        return container(dict(enumerate(values)), f"{node.kind}()")

    def _choice(self, node: p.Choice) -> Value:
        known = truth(self.value(node.condition))
        if known is not None:
            return self.value(node.yes if known else node.no)
        before = self.env
        self.env = dict(before)
        self.assume(node.condition, True)
        yes = self.value(node.yes)
        self.env = dict(before)
        self.assume(node.condition, False)
        no = self.value(node.no)
        self.env = before
        return joined(yes, no)

    def _logic(self, node: p.Logic) -> Value:
        """What comes out of `a or b` is one of them; what holds of the first is known in the second."""
        before, self.env = self.env, dict(self.env)
        found: Value | None = None
        for part in node.parts:
            value = self.value(part)
            known = truth(value)
            if known is not None and known == (node.operator == "or"):
                found = value if found is None else joined(found, value)
                break
            if known is None or part is node.parts[-1]:
                found = value if found is None else joined(found, value)
            if part is not node.parts[-1]:
                self.assume(part, node.operator == "and")
        for name, value in self.env.items():
            if name not in before:  # given in passing, by a walrus
                before[name] = value
        self.env = before
        return (found or CLEAN)._replace(proof=node)

    def _not(self, node: p.Not) -> Value:
        known = truth(self.value(node.of))
        return Value(proof=node) if known is None else constant(not known)

    def _compare(self, node: p.Compare) -> Value:
        left = self.value(node.left)
        rights = [self.value(one) for one in node.right]
        if len(rights) == 1 and left.const is not UNKNOWN and rights[0].const is not UNKNOWN:
            result = folded(node.operators[0] if node.operators else "", left.const, rights[0].const)
            return CLEAN if result is UNKNOWN else constant(result)
        return Value(proof=node)

    def _walrus(self, node: p.Walrus) -> Value:
        value = self.value(node.value)
        self.bind(node.target, value)
        return value

    def _comprehension(self, node: p.Comprehension) -> Value:
        before, self.env = self.env, dict(self.env)
        for target, source in node.clauses:
            value = self.value(source)
            if target is None:
                self.assume(source, True)
            else:
                self.bind(target, each(value))
        if node.key is not None:
            key, value = self.value(node.key), self.value(node.value)
            if key.taints:
                found = Value(united((key.taints, value.taints)), UNKNOWN, None, "dict()")
            else:
                found = container({UNKNOWN: value}, "dict()")
        else:
            found = container({UNKNOWN: self.value(node.value)}, f"{node.kind}()")
        self.env = before
        return found

    def _lambda(self, node: p.Lambda) -> Value:
        before, self.env = self.env, dict(self.env)
        for parameter in node.parameters:
            self.env[parameter.id] = CLEAN
        found = self.value(node.body)
        self.env = before
        return Value(found.taints, proof=node)

    def _other(self, node: p.Other) -> Value:
        return tainted(united(self.value(part).taints for part in node.parts))

    def bind(self, target: p.Expression, value: Value) -> None:
        """Give a value to what stands on the left of an assignment."""
        if isinstance(target, p.Name):
            self.env[target.id] = self.stepped(value, target.id, target)
        elif isinstance(target, p.Attribute):
            self.stored(target, value)
            if path := path_of(target):
                self.env[path] = self.stepped(value, path, target)
        elif isinstance(target, p.Subscript):
            self.stored(target, value)
            self._put_into(target, value)
        elif isinstance(target, p.Collection):
            known = value.items is not None and UNKNOWN not in value.items
            for index, one in enumerate(target.values):
                self.bind(one, element(value, index if known else UNKNOWN))
        elif isinstance(target, p.Other):
            for part in target.parts:
                self.bind(part, value)

    def _put_into(self, target: p.Subscript, value: Value) -> None:
        path = path_of(target.of)
        holder = self.env.get(path) if path else None
        if holder is None:
            if path and value.taints and not isinstance(target.of, p.Attribute):
                known = self.named_value(path)
                self.env[path] = known._replace(taints=united((known.taints, value.taints)))
            return
        if holder.items is None:
            self.env[path] = holder._replace(taints=united((holder.taints, value.taints)))
            return
        items = dict(holder.items)
        put(items, CLEAN if target.key is None else self.value(target.key), value)
        self.env[path] = container(items, holder.name)

    def stepped(self, value: Value, name: str, node: p.Node) -> Value:
        """The value with the name that it got on its way."""
        if not value.taints:
            return value
        taints = tuple(one._replace(step=self._step(one.step, name, node)) for one in value.taints)
        return value._replace(taints=taints)

    def _step(self, before: Step | None, name: str, node: p.Node) -> Step:
        length = 0
        if before is not None:
            for one in before.chain():
                length += 1
                if one.start == node.start:  # once more, in a loop
                    return one
        if before is not None and length >= self._steps_kept:
            return before
        key = node.start, before
        if key not in self._steps:
            self._steps[key] = Step(name, node.start, node.end, before)
        return self._steps[key]

    _steps_kept = 32  # names on one way; what a finding shows is `flow.related`

    def _call(self, node: p.Call) -> Value:
        return self.call(node)

    @abstractmethod
    def call(self, node: p.Call) -> Value:
        """What a call gives."""

    @abstractmethod
    def stored(self, target: p.Attribute | p.Subscript, value: Value) -> None:
        """Told of what is stored under a key or as an attribute."""

    @abstractmethod
    def assume(self, condition: p.Expression, holds: bool) -> None:
        """Take into `env` what is known when a condition holds, or does not."""

    _by_type: ClassVar[Mapping[type, Callable[[Any, Any], Value]]] = {
        p.Const: _const,
        p.Name: _name,
        p.Attribute: _attribute,
        p.Subscript: _subscript,
        p.Call: _call,
        p.Text: _text,
        p.Sum: _sum,
        p.Binary: _binary,
        p.Collection: _collection,
        p.Choice: _choice,
        p.Logic: _logic,
        p.Not: _not,
        p.Compare: _compare,
        p.Walrus: _walrus,
        p.Comprehension: _comprehension,
        p.Lambda: _lambda,
        p.Other: _other,
    }


def weaker_parameter(taint: Taint) -> Taint:
    """The taint of what a parameter holds: who wrote that is known less than who wrote the parameter."""
    return taint._replace(unknown=taint.unknown + 1) if taint.source.group == "parameter" else taint


def _is_request(name: str) -> bool:
    last = name.rpartition(".")[2]
    return last in ("request", "req", "request()", "_request") and not name.startswith("urllib")
