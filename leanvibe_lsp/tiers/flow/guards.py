"""What is known of a value once a condition about it holds. Pure but for what it asks of the code around it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from leanvibe_lsp.tiers.flow import program as p
from leanvibe_lsp.tiers.flow.program import path_of
from leanvibe_lsp.tiers.flow.tables import NARROW, SAYS_BAD, SAYS_SAFE
from leanvibe_lsp.tiers.flow.values import ALL, UNKNOWN, Value

EVERYTHING = frozenset({ALL})
_PLACE = frozenset({"url", "redirect"})
_PATH = frozenset({"path"})
_UNDONE = ("lower", "upper", "strip", "casefold", "lstrip", "rstrip", "encode", "decode")
_MATCHERS = ("match", "fullmatch", "search")
_OPEN_END = re.compile(r"(?<!\\)\.[*+]|\\S[*+]")
_TYPES_OF_TEXT = ("str", "bytes", "list", "dict", "tuple", "object", "Iterable", "Sequence", "Mapping")


class Known(NamedTuple):
    """The variable `path` is harmless by `kinds`; `family`: so is all else that came from its source."""

    path: str
    kinds: frozenset[str]
    family: bool = False


class Around(Protocol):
    """What a condition is asked about: values and, for a function of the file, what holds when it says yes."""

    def look_at(self, node: p.Expression) -> Value:
        """What an expression gives, without doing it again."""

    def called(self, node: p.Call, holds: bool) -> list[Known] | None:
        """What is known of the arguments when a function of the file answers so; None: it is not one of them."""


def known_when(condition: p.Expression, holds: bool, around: Around, names: int = 2) -> list[Known]:
    """What is known when the condition holds, or does not; `names` are followed to the conditions they stand for."""
    if isinstance(condition, p.Not):
        return known_when(condition.of, not holds, around, names)
    if isinstance(condition, p.Logic):
        parts = [known_when(part, holds, around, names) for part in condition.parts]
        if (condition.operator == "and") == holds:
            return [one for part in parts for one in part]
        return [one for one in parts[0] if all(any(_at_least(other, one) for other in part) for part in parts[1:])]
    if isinstance(condition, p.Compare):
        return _compared(condition, holds, around)
    if isinstance(condition, p.Call):
        return _asked(condition, holds, around, names)
    if isinstance(condition, p.Walrus):
        return known_when(condition.value, holds, around, names)
    if isinstance(condition, p.Name) and names:
        proof = around.look_at(condition).proof
        return [] if proof is None else known_when(proof, holds, around, names - 1)
    return []


def _at_least(one: Known, other: Known) -> bool:
    return one.path == other.path and (ALL in one.kinds or other.kinds <= one.kinds)


def _compared(node: p.Compare, holds: bool, around: Around) -> list[Known]:
    if any(sign in ("<", ">", "<=", ">=") for sign in node.operators):
        exact = [path for one in (node.left, *node.right) if (path := _exact(one))]
        return [Known(path, EVERYTHING) for path in exact] if len(exact) < 1 + len(node.right) else []
    if len(node.right) != 1 or not node.operators:
        return []
    sign, left, right = node.operators[0], node.left, node.right[0]
    negative = sign in ("!=", "not in", "is not")
    if sign in ("in", "not in"):
        if isinstance(right, p.Attribute) and right.name == "parents":
            return [] if holds == negative else [Known(path, _PATH, family=True) for path in _inside(right.of)]
        if around.look_at(right).taints:
            return [] if holds != negative else _without(left, right, around)
        if holds == negative:
            return []
        return _equal(left, around)
    if sign in ("==", "!=") and holds != negative:
        if not around.look_at(right).taints:
            return _equal(left, around)
        if not around.look_at(left).taints:
            return _equal(right, around)
    return []


def _equal(node: p.Expression, around: Around) -> list[Known]:
    """It is one of what the program itself wrote."""
    if path := _exact(node):
        return [Known(path, EVERYTHING)]
    if isinstance(node, p.Attribute) and node.name in ("scheme", "suffix", "content_type", "mimetype", "method"):
        return []
    kinds = _PLACE
    if isinstance(node, p.Call) and _last(node.function) in ("commonpath", "commonprefix", "dirname", "parent"):
        kinds = _PATH
    if isinstance(node, p.Attribute) and node.name in ("parent", "parents"):
        kinds = _PATH
    return [Known(path, kinds, family=True) for path in _inside(node)]


def _without(left: p.Expression, right: p.Expression, around: Around) -> list[Known]:
    """A text that does not hold another."""
    path = _exact(right)
    text = around.look_at(left).const
    if not path or not isinstance(text, str):
        return []
    kinds: set[str] = set()
    if ".." in text or text in ("/", "\\"):
        kinds |= _PATH
    if "\n" in text or "\r" in text:
        kinds |= {"header", "log"}
    if text == "<":
        kinds.add("html")
    if text in ("//", "://"):
        kinds |= _PLACE
    if text in ("'", '"'):
        kinds |= {"xpath"}
    return [Known(path, frozenset(kinds))] if kinds else []


def _asked(node: p.Call, holds: bool, around: Around, names: int) -> list[Known]:
    function = node.function
    last = _last(function)
    if isinstance(function, p.Attribute):
        found = _method(node, function, last, holds, around)
        if found is not None:
            return found
    if last == "isinstance" and len(node.arguments) == 2 and holds:
        types = node.arguments[1]
        named = types.values if isinstance(types, p.Collection) else [types]
        path = _exact(node.arguments[0])
        return [Known(path, EVERYTHING)] if path and not any(_last(one) in _TYPES_OF_TEXT for one in named) else []
    if last == "bool" and node.arguments:
        return known_when(node.arguments[0], holds, around, names)
    if last in ("any", "all") and node.arguments and isinstance(node.arguments[0], p.Comprehension):
        return _every(node.arguments[0], last, holds)
    told = around.called(node, holds)
    if told is not None:
        return told
    bad = SAYS_BAD.search(last) is not None
    if bad != holds and (bad or SAYS_SAFE.search(last)):
        about = [path for argument in node.arguments[:2] if (path := _exact(argument))]
        if isinstance(function, p.Attribute) and not about:
            about = [path for path in [_exact(function.of)] if path]
        kinds = frozenset(_PLACE | {"html", "pickle"}) if "file" in last or "ext" in last else EVERYTHING
        return [Known(path, kinds) for path in about]
    return []


def _method(node: p.Call, function: p.Attribute, last: str, holds: bool, around: Around) -> list[Known] | None:
    """What a method says of its object, or of its argument; None when nobody knows the method."""
    if last in NARROW:
        path = _exact(function.of)
        return [Known(path, EVERYTHING)] if path and holds else []
    if last == "is_relative_to":
        path = _exact(function.of)
        return [Known(path, _PATH, family=True)] if path and holds else []
    if last in ("startswith", "endswith") and node.arguments:
        if not holds:
            return []
        return _begins(function, around.look_at(node.arguments[0]), last, around)
    if last in _MATCHERS and node.arguments:
        return _matched(node, function, last, around) if holds else []
    return None


def _begins(function: p.Attribute, with_what: Value, last: str, around: Around) -> list[Known]:
    if with_what.taints:
        return []
    path, text = _exact(function.of), with_what.const
    if not path:
        inner = function.of
        resolved = isinstance(inner, p.Call) and _last(inner.function) in ("realpath", "abspath", "resolve", "str")
        if resolved:
            return [Known(one, _PATH, family=True) for one in _inside(inner)]
        return [Known(one, _PLACE, family=True) for one in _inside(inner)]
    if last == "endswith":
        return [Known(path, _PLACE, family=True)] if isinstance(function.of, p.Attribute) else []
    kinds = set(_PLACE)
    if text is UNKNOWN or (isinstance(text, str) and text.startswith("/")):
        taints = around.look_at(function.of).taints
        if all("unresolved" in one.cleared for one in taints):
            kinds |= _PATH
    return [Known(path, frozenset(kinds))]


def _matched(node: p.Call, function: p.Attribute, last: str, around: Around) -> list[Known]:
    """A regular expression that fits; one that ends with anything says little."""
    pattern: object = UNKNOWN
    subjects: Sequence[p.Expression] = node.arguments[:1]
    if len(node.arguments) > 1:
        pattern, subjects = around.look_at(node.arguments[0]).const, node.arguments[1:2]
    kinds = EVERYTHING
    if isinstance(pattern, str):
        ended = last == "fullmatch" or pattern.endswith(("$", "\\Z"))
        if _OPEN_END.search(pattern) or not ended or (last == "search" and not pattern.startswith(("^", "\\A"))):
            kinds = _PLACE
    return [Known(path, kinds) for one in subjects if (path := _exact(one))]


def _every(node: p.Comprehension, last: str, holds: bool) -> list[Known]:
    """`all(c in ALLOWED for c in text)` holds, or `any(c in BAD for c in text)` does not."""
    if (last == "all") != holds:
        return []
    about: list[str] = []
    if isinstance(node.value, p.Compare):
        about += [path for one in node.value.right if (path := _exact(one))]
    about += [path for target, source in node.clauses if target is not None and (path := _exact(source))]
    return [Known(path, EVERYTHING) for path in about]


def _exact(node: p.Expression) -> str:
    """The variable that an expression is, letters' case and blanks aside; empty when it is something else."""
    while isinstance(node, p.Call) and isinstance(node.function, p.Attribute) and node.function.name in _UNDONE:
        node = node.function.of
    if isinstance(node, p.Call) and _last(node.function) in ("str", "len") and len(node.arguments) == 1:
        return path_of(node.arguments[0]) if _last(node.function) == "str" else ""
    if isinstance(node, p.Walrus):
        return path_of(node.target)
    return path_of(node)


def _inside(node: p.Expression) -> list[str]:
    """The variables that an expression asks something of."""
    found: list[str] = []
    todo: list[p.Expression] = [node]
    while todo and len(found) < 8:
        at = todo.pop()
        path = path_of(at)
        if path:
            found.append(path)
            root = path.partition(".")[0]
            if root != path:
                found.append(root)
        elif isinstance(at, p.Attribute | p.Subscript):
            todo.append(at.of)
        elif isinstance(at, p.Call):
            todo += at.arguments
            if isinstance(at.function, p.Attribute):
                todo.append(at.function.of)
        elif isinstance(at, p.Collection):
            todo += at.values
    return found


def _last(node: p.Expression) -> str:
    if isinstance(node, p.Attribute):
        return node.name
    return node.id if isinstance(node, p.Name) else ""
