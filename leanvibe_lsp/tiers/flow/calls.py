"""What a call does and gives: sinks are seen here, cleaners, what hands on, and functions of the same file."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

from leanvibe_lsp.tiers.flow import program as p
from leanvibe_lsp.tiers.flow import tables
from leanvibe_lsp.tiers.flow.compose import composed, each
from leanvibe_lsp.tiers.flow.containers import CHANGES, changed, spread, taken
from leanvibe_lsp.tiers.flow.evaluate import LONG_NAME, Evaluation
from leanvibe_lsp.tiers.flow.module import Module
from leanvibe_lsp.tiers.flow.program import path_of
from leanvibe_lsp.tiers.flow.sinks import Arguments, SinkIndex, Target, matching, reaching, worst
from leanvibe_lsp.tiers.flow.spec import Sink
from leanvibe_lsp.tiers.flow.values import (
    ALL,
    CLEAN,
    UNKNOWN,
    Taint,
    Value,
    cleared,
    constant,
    container,
    named,
    tainted,
    united,
)


@dataclass(frozen=True, slots=True)
class Hit:
    """A rule, by number, and what reaches its sink: bytes of the place, how much to fear, and from where.

    `through` is the function of the file that holds the sink, when the place is only a call of it.
    """

    rule: int
    start: int
    end: int
    factor: float
    taint: Taint
    sink: str
    through: str = ""


class Calls(Evaluation):
    """Evaluation that knows calls. `hits` are kept by rule and place, the worst of each."""

    def __init__(self, module: Module, index: SinkIndex) -> None:
        super().__init__(module, index.origins)
        self.index = index
        self.hits: dict[tuple[int, int], Hit] = {}
        self.stopped = False  # the call just made never comes back

    def call(self, node: p.Call) -> Value:
        """What a call gives."""
        function = node.function
        receiver: Value | None = None
        if isinstance(function, p.Attribute):
            receiver = self.value(function.of)
            path = path_of(function)
            known = self.env.get(path) if path else None
            callee = known if known is not None else self.attribute_of(receiver, function)
        else:
            callee = self.value(function)
        name = callee.name.removeprefix("builtins.")
        positions = [self.value(one) for one in node.arguments]
        named_ones = {key: self.value(one) for key, one in node.named}
        if name.startswith(("str.", "bytes.")) and positions:  # a method, its object given as an argument
            receiver, positions = positions[0], positions[1:]
        given = Arguments(positions, named_ones, [self.value(one) for one in node.stars], receiver)
        if isinstance(callee.proof, p.Lambda):
            return self.apply(node, callee.proof, given)
        if name == "map" and len(node.arguments) > 1 and not node.stars:
            return self._mapped(node, given)
        local = self.local(name)
        if local is not None:
            return self.enter(node, local, given)
        kinds = self._sinks(node, name, given)
        result = self._result(node, name, given, bool(kinds))
        if kinds:
            result = cleared(result, kinds)
        return result

    @abstractmethod
    def local(self, name: str) -> p.Function | None:
        """The function of this file that goes by a name."""

    @abstractmethod
    def enter(self, node: p.Call, function: p.Function, given: Arguments) -> Value:
        """Walk a function of this file with what it is given."""

    @abstractmethod
    def apply(self, node: p.Call, function: p.Lambda, given: Arguments) -> Value:
        """What a lambda gives for what it is given."""

    def _mapped(self, node: p.Call, given: Arguments) -> Value:
        """What `map` gives: what its function makes of each element."""
        names = [f"{index} of map" for index in range(1, len(given.positions))]  # no program can use them
        before, self.env = self.env, dict(self.env)
        self.env |= {name: each(value) for name, value in zip(names, given.positions[1:], strict=True)}
        elements: list[p.Expression] = [p.Name(node.start, node.end, name) for name in names]
        made = self.value(p.Call(node.start, node.end, node.arguments[0], elements, [], []))
        self.env = before
        return container({UNKNOWN: made}, "map()")

    def _sinks(self, node: p.Call, name: str, given: Arguments) -> frozenset[str]:
        """The kinds of all sinks that the call is; what reaches them is remembered."""
        if name.rpartition(".")[2] not in self.index.calls:
            return frozenset()
        kinds: set[str] = set()
        for target in matching(self.index.calls, name):
            if not self._is_here(target.sink):
                continue
            kinds.add(target.spec.kind)
            found = reaching(target, given)
            if found is not None:
                place = _argument(node, found[2])
                self.hit(target, place, found[0], found[1], name)
        return frozenset(kinds)

    def _is_here(self, sink: Sink) -> bool:
        """Whether the file is one of those that a sink is looked for in."""
        if sink.imports and not self.module.uses(*sink.imports):
            return False
        return not (sink.without and self.module.mentions(*sink.without))

    def hit(self, target: Target, place: p.Node, factor: float, taint: Taint, sink: str) -> None:
        """Remember what reached a sink; of one place and rule the worst."""
        if self.quiet:
            return
        key = target.rule, place.start
        if key not in self.hits or self.hits[key].factor < factor:
            self.hits[key] = Hit(target.rule, place.start, place.end, factor, taint, sink.removeprefix("?."))

    def stored(self, target: p.Attribute | p.Subscript, value: Value) -> None:
        """Told of what is stored under a key or as an attribute."""
        if not self.index.assigned:
            return
        holder = self.value(target.of)
        if any(taint.source.group == "request" for taint in holder.taints):
            return  # what is asked may be changed before it is sent, or handed on
        base = holder.name or "?"
        name = f"{base}.{target.name}" if isinstance(target, p.Attribute) else f"{base}[]"
        key = self.value(target.key) if isinstance(target, p.Subscript) and target.key is not None else CLEAN
        for one in matching(self.index.assigned, name):
            if not self._is_here(one.sink):
                continue
            if any(word == "key" and key.const not in wanted for word, wanted in one.sink.where.entries):
                continue
            values = [value, key] if "key" in one.sink.arguments else [value]
            for candidate in values:
                if (found := worst(one.spec, candidate)) is not None:
                    self.hit(one, target, found[0], found[1], name)

    def _result(self, node: p.Call, name: str, given: Arguments, is_sink: bool) -> Value:
        last = name.rpartition(".")[2]
        if name in tables.NO_RETURN or f"*.{last}" in tables.NO_RETURN:
            self.stopped = True
            return CLEAN
        self._settle(node, name, last)
        result_name = f"{name}()" if len(name) < LONG_NAME else ""
        if (told := tables.TOLD_OFF.get(name)) is not None and given.named.get(told[0], CLEAN).const is told[1]:
            result_name = told[2]
        kinds = self._cleared_by(name, last, given)
        if kinds is not None and ALL in kinds:
            return Value((), UNKNOWN, None, result_name, proof=node)
        origin = self.origin(named(result_name), node.start, node.end)
        if origin.taints:
            return origin
        result = self._handed_on(node, name, last, given, is_sink, result_name)
        return result if kinds is None else cleared(result, kinds)

    def _cleared_by(self, name: str, last: str, given: Arguments) -> frozenset[str] | None:
        """What the result can no longer do harm by; None when the call is no cleaner."""
        if name in self.index.cleaners or f"*.{last}" in self.index.cleaners:
            return frozenset({ALL})
        kinds = tables.CLEANERS.get(name)
        if kinds is None and "." in name:
            kinds = tables.CLEANERS.get(f"*.{last}")
        if kinds is not None:
            return kinds
        if name.startswith(tables.CLEAN_MODULES):
            return frozenset({ALL})
        if name == "re.sub" and len(given.positions) > 1 and not given.positions[1].taints:
            pattern = given.positions[0].const
            if isinstance(pattern, str) and pattern.startswith("[^"):
                return frozenset({ALL})
        sets = [] if given.receiver is None else [given.receiver, *given.positions]
        if last == "intersection" and not all(one.taints for one in sets):
            return frozenset({ALL})  # what is in all of them was written by the program, too
        if last in tables.PREDICATES and name not in tables.HANDS_ON and given.receiver is not None:
            return frozenset({ALL})
        return None

    def _handed_on(
        self, node: p.Call, name: str, last: str, given: Arguments, is_sink: bool, result_name: str
    ) -> Value:
        receiver = given.receiver
        every = [*given.positions, *given.named.values(), *given.stars]
        if receiver is not None:
            if last in CHANGES:
                self._change(node, receiver, last, given)
            if (found := taken(receiver, last, given.positions)) is not None:
                return found
            if name not in tables.HANDS_ON and (found := _text_method(receiver, last, given, every)) is not None:
                return found
        if name in ("dict", "collections.OrderedDict") and given.named and not given.positions:
            taints = united(value.taints for value in every)
            return Value(taints, UNKNOWN, dict(given.named) if not given.stars else None, "dict()")
        if name in ("list", "tuple", "sorted", "reversed", "set") and given.positions:
            one = given.positions[0]
            return one._replace(name="list()") if name == "list" and one.items is not None else spread([one])
        if name in ("dict", "list", "set", "collections.OrderedDict", "configparser.ConfigParser") and not every:
            return Value((), UNKNOWN, {}, f"{name}()")
        if last in ("model_dump", "dict") and receiver is not None and receiver.items is None and receiver.taints:
            return container({UNKNOWN: tainted(receiver.taints)}, "dict()")  # a model's fields have the model's names
        if name == "str" and len(given.positions) == 1:
            return given.positions[0]._replace(name="", items=None)
        taints = united(value.taints for value in every)
        if name in tables.HANDS_ON:
            return self._joined_path(name, given, taints, result_name)
        if receiver is not None and receiver.taints:
            kept = receiver.taints if last in tables.METHODS else _weaker(receiver.taints)
            return Value(united((kept, _weaker(taints))), UNKNOWN, None, result_name)
        if is_sink or not taints:
            return Value((), UNKNOWN, None, result_name)
        if tables.SAYS_CLEAN.search(last.lower()):
            return Value((), UNKNOWN, None, result_name)
        weaker = _weaker(taints) if receiver is None else _weaker(_weaker(taints))
        return Value(weaker, UNKNOWN, None, result_name)

    def _joined_path(self, name: str, given: Arguments, taints: tuple[Taint, ...], result_name: str) -> Value:
        if name in ("os.path.join", "urllib.parse.urljoin") and given.positions:
            first = given.positions[0]
            prefix = first.const if isinstance(first.const, str) else first.prefix
            return Value(taints, UNKNOWN, None, result_name, "" if name.startswith("urllib") else prefix)
        return Value(taints, UNKNOWN, None, result_name)

    def _change(self, node: p.Call, receiver: Value, method: str, given: Arguments) -> None:
        """A container's method was called: what its variable holds is another now."""
        assert isinstance(node.function, p.Attribute)
        path = path_of(node.function.of)
        if not path:
            return
        after = changed(receiver, method, given.positions, list(given.named.items()))
        if after is not receiver and after != receiver:
            self.env[path] = self.stepped(after, path, node) if after.taints != receiver.taints else after

    def _settle(self, node: p.Call, name: str, last: str) -> None:
        """What raises on anything unexpected has settled what its argument is, once it came back."""
        if last == "relative_to" and isinstance(node.function, p.Attribute):
            path = path_of(node.function.of)
            if path in self.env:
                self.env[path] = cleared(self.env[path], frozenset({"path"}))
            return
        settles = name in ("int", "float", "uuid.UUID", "ipaddress.ip_address", "ipaddress.ip_network")
        if not settles and not tables.CHECKS.search(last):
            return
        for argument in node.arguments[:1] if settles else node.arguments:
            path = path_of(argument)
            known = self.env.get(path) if path else None
            if known is not None and known.taints:
                self.env[path] = known._replace(taints=(), items=None)


def _argument(node: p.Call, where: int | str) -> p.Node:
    """The argument of a call that was meant; the call itself for its object."""
    if isinstance(where, int):
        return node.arguments[where]
    return next((value for name, value in node.named if name == where), node)


def _weaker(taints: tuple[Taint, ...]) -> tuple[Taint, ...]:
    return tuple(one._replace(unknown=one.unknown + 1) for one in taints)


def _text_method(receiver: Value, method: str, given: Arguments, every: list[Value]) -> Value | None:
    """What methods of text give: parts put together, constants; None when it is no such method."""
    if method == "format" and isinstance(receiver.const, str):
        if not any(value.taints for value in every):
            return Value(prefix=receiver.const.partition("{")[0])
        before, _, after = receiver.const.partition("{")
        return composed([constant(before), *every, constant(after.partition("}")[2])])
    if method == "join" and given.positions:
        joiner, parts = receiver, given.positions[0]
        if parts.items is None or UNKNOWN in parts.items:
            mixed = composed([tainted(united((parts.taints, joiner.taints))), joiner])
            return mixed if parts.taints or joiner.taints else None
        pieces: list[Value] = []
        for value in parts.items.values():
            pieces += [joiner, value] if pieces else [value]
        return composed(pieces) if pieces else constant("")
    if isinstance(receiver.const, str) and method in ("encode", "decode"):
        return receiver
    if isinstance(receiver.const, str) and method in ("lower", "upper", "strip", "title"):
        return constant(getattr(receiver.const, method)())
    if receiver.taints and method in ("encode", "decode", "strip", "lower", "upper", "rstrip", "lstrip"):
        return receiver._replace(name="", proof=None)
    return None
