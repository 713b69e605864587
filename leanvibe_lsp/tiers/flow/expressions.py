"""From syntax to `program`: expressions."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from tree_sitter import Node as Tree

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.tiers.flow import program as p
from leanvibe_lsp.tiers.flow.values import UNKNOWN

_ESCAPE = re.compile(r"\\(\n|[\\'\"abfnrtv])")
_ESCAPED = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\n": ""}
_LITERALS = ("string", "integer", "true", "false", "none", "concatenated_string")
_COLLECTIONS = {
    "list": "list",
    "tuple": "tuple",
    "expression_list": "tuple",
    "pattern_list": "tuple",
    "tuple_pattern": "tuple",
    "list_pattern": "tuple",
    "set": "set",
}
_COMPREHENSIONS = {
    "list_comprehension": "list",
    "set_comprehension": "set",
    "dictionary_comprehension": "dict",
    "generator_expression": "list",
}


class Expressions:
    """Lowers expressions of one text; `data` is the text in UTF-8."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.depth = int(limit("flow.depth"))

    def text(self, node: Tree) -> str:
        """The text of a node."""
        return self.data[node.start_byte : node.end_byte].decode("utf-8", "replace")

    def field(self, node: Tree, name: str) -> str:
        """The text of a node's field; empty when it has none."""
        child = node.child_by_field_name(name)
        return "" if child is None else self.text(child)

    def expression(self, node: Tree, depth: int) -> p.Expression:
        """What an expression is; nothing known of it where it is nested too deep."""
        if depth > self.depth:
            return p.Const(node.start_byte, node.end_byte, UNKNOWN)
        kind = node.type
        if kind == "identifier":
            return p.Name(node.start_byte, node.end_byte, self.text(node))
        if (lower := self._by_expression.get(kind)) is not None:
            return lower(self, node, depth + 1)
        if kind in _COLLECTIONS:
            values = [self.expression(child, depth + 1) for child in node.named_children if child.type != "comment"]
            return p.Collection(node.start_byte, node.end_byte, _COLLECTIONS[kind], [], values)
        if kind in _COMPREHENSIONS:
            return self._comprehension(node, depth + 1)
        return self._other(node, depth + 1)

    def parameters(self, node: Tree, depth: int) -> list[p.Parameter]:
        """The parameters of a function or a lambda."""
        found = []
        for child in node.named_children:
            kind = child.type
            spread = kind in ("list_splat_pattern", "dictionary_splat_pattern")
            name = child.child_by_field_name("name")
            if kind == "identifier":
                name = child
            elif name is None and child.named_child_count:
                name = child.named_children[0]
                if name.type in ("list_splat_pattern", "dictionary_splat_pattern") and name.named_child_count:
                    name, spread = name.named_children[0], True
            if name is None or name.type != "identifier":
                continue
            default = child.child_by_field_name("value")
            value = None if default is None else self.expression(default, depth + 1)
            annotation = self.field(child, "type")
            found.append(p.Parameter(name.start_byte, name.end_byte, self.text(name), value, annotation, spread))
        return found

    def _other(self, node: Tree, depth: int) -> p.Expression:
        parts = [self.expression(child, depth) for child in node.named_children]
        if len(parts) == 1:
            return parts[0]
        return p.Other(node.start_byte, node.end_byte, parts)

    def _nothing(self, node: Tree, depth: int) -> p.Expression:
        return p.Const(node.start_byte, node.end_byte, UNKNOWN)

    def _true(self, node: Tree, depth: int) -> p.Expression:
        return p.Const(node.start_byte, node.end_byte, True)

    def _false(self, node: Tree, depth: int) -> p.Expression:
        return p.Const(node.start_byte, node.end_byte, False)

    def _none(self, node: Tree, depth: int) -> p.Expression:
        return p.Const(node.start_byte, node.end_byte, None)

    def _integer(self, node: Tree, depth: int) -> p.Expression:
        text = self.text(node)
        value = int(text) if text.isdecimal() and len(text) < 18 and (text[0] != "0" or len(text) == 1) else UNKNOWN
        return p.Const(node.start_byte, node.end_byte, value)

    def _unary(self, node: Tree, depth: int) -> p.Expression:
        of = self._other(node, depth)
        value = of.value if isinstance(of, p.Const) and self.field(node, "operator") == "-" else UNKNOWN
        return p.Const(node.start_byte, node.end_byte, -value if type(value) is int else UNKNOWN)

    def _string(self, node: Tree, depth: int) -> p.Expression:
        """A literal, or an f-string as its parts."""
        parts: list[p.Expression] = []
        raw = False
        for child in node.children:
            kind = child.type
            if kind == "string_start":
                raw = "r" in self.text(child).lower()
            elif kind == "string_content":
                text = self.text(child)
                value = text if raw or "\\" not in text else _ESCAPE.sub(_unescaped, text)
                parts.append(p.Const(child.start_byte, child.end_byte, value))
            elif kind == "interpolation" and (inner := child.child_by_field_name("expression")) is not None:
                parts.append(self.expression(inner, depth))
        if not parts:
            return p.Const(node.start_byte, node.end_byte, "")
        if len(parts) == 1 and isinstance(parts[0], p.Const):
            return p.Const(node.start_byte, node.end_byte, parts[0].value)
        return p.Text(node.start_byte, node.end_byte, parts)

    def _strings(self, node: Tree, depth: int) -> p.Expression:
        return p.Text(node.start_byte, node.end_byte, [self._string(child, depth) for child in node.named_children])

    def _attribute(self, node: Tree, depth: int) -> p.Expression:
        of, name = node.child_by_field_name("object"), node.child_by_field_name("attribute")
        if of is None or name is None:
            return self._nothing(node, depth)
        return p.Attribute(node.start_byte, node.end_byte, self.expression(of, depth), self.text(name))

    def _subscript(self, node: Tree, depth: int) -> p.Expression:
        of, keys = node.child_by_field_name("value"), node.children_by_field_name("subscript")
        if of is None:
            return self._nothing(node, depth)
        whole = len(keys) != 1 or keys[0].type == "slice"
        key = None if whole else self.expression(keys[0], depth)
        return p.Subscript(node.start_byte, node.end_byte, self.expression(of, depth), key)

    def _call(self, node: Tree, depth: int) -> p.Expression:
        function, given = node.child_by_field_name("function"), node.child_by_field_name("arguments")
        if function is None:
            return self._nothing(node, depth)
        made = p.Call(node.start_byte, node.end_byte, self.expression(function, depth), [], [], [])
        if given is None:
            return made
        if given.type == "generator_expression":
            made.arguments.append(self.expression(given, depth))
            return made
        for child in given.named_children:
            kind = child.type
            if kind == "keyword_argument":
                value = child.child_by_field_name("value")
                if value is not None:
                    made.named.append((self.field(child, "name"), self.expression(value, depth)))
            elif kind in ("list_splat", "dictionary_splat"):
                made.stars.append(self._other(child, depth))
            elif kind != "comment":
                made.arguments.append(self.expression(child, depth))
        return made

    def _binary(self, node: Tree, depth: int) -> p.Expression:
        """A chain of + as one sum, however long."""
        operator = self.field(node, "operator")
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        if left is None or right is None:
            return self._other(node, depth)
        if operator != "+":
            made = self.expression(left, depth), self.expression(right, depth)
            return p.Binary(node.start_byte, node.end_byte, operator, *made)
        parts = [right]
        while left.type == "binary_operator" and self.field(left, "operator") == "+":
            first, second = left.child_by_field_name("left"), left.child_by_field_name("right")
            if first is None or second is None:
                break
            parts.append(second)
            left = first
        parts.append(left)
        return p.Sum(node.start_byte, node.end_byte, [self.expression(part, depth) for part in reversed(parts)])

    def _logic(self, node: Tree, depth: int) -> p.Expression:
        operator, parts, left = self.field(node, "operator"), [], node
        while left.type == "boolean_operator" and self.field(left, "operator") == operator:
            first, second = left.child_by_field_name("left"), left.child_by_field_name("right")
            if first is None or second is None:
                break
            parts.append(second)
            left = first
        parts.append(left)
        if left is node:
            return self._other(node, depth)
        made = [self.expression(part, depth) for part in reversed(parts)]
        return p.Logic(node.start_byte, node.end_byte, operator, made)

    def _not(self, node: Tree, depth: int) -> p.Expression:
        return p.Not(node.start_byte, node.end_byte, self._other(node, depth))

    def _compare(self, node: Tree, depth: int) -> p.Expression:
        operands = [self.expression(child, depth) for child in node.named_children if child.type != "comment"]
        operators = [child.type for child in node.children_by_field_name("operators")]
        if len(operands) < 2:
            return self._other(node, depth)
        return p.Compare(node.start_byte, node.end_byte, operands[0], operators, operands[1:])

    def _choice(self, node: Tree, depth: int) -> p.Expression:
        parts = [self.expression(child, depth) for child in node.named_children if child.type != "comment"]
        if len(parts) != 3:
            return p.Other(node.start_byte, node.end_byte, parts)
        yes, condition, no = parts
        return p.Choice(node.start_byte, node.end_byte, condition, yes, no)

    def _walrus(self, node: Tree, depth: int) -> p.Expression:
        name, value = node.child_by_field_name("name"), node.child_by_field_name("value")
        if name is None or value is None:
            return self._nothing(node, depth)
        made = self.expression(name, depth), self.expression(value, depth)
        return p.Walrus(node.start_byte, node.end_byte, *made)

    def _dictionary(self, node: Tree, depth: int) -> p.Expression:
        made = p.Collection(node.start_byte, node.end_byte, "dict", [], [])
        for child in node.named_children:
            if child.type == "pair":
                key, value = child.child_by_field_name("key"), child.child_by_field_name("value")
                if key is not None and value is not None:
                    made.keys.append(self.expression(key, depth))
                    made.values.append(self.expression(value, depth))
            elif child.type == "dictionary_splat":
                made.keys.append(None)
                made.values.append(self._other(child, depth))
        return made

    def _comprehension(self, node: Tree, depth: int) -> p.Expression:
        key: p.Expression | None = None
        value: p.Expression = p.Const(node.start_byte, node.end_byte, UNKNOWN)
        body = node.child_by_field_name("body")
        if body is not None and body.type == "pair":
            first, second = body.child_by_field_name("key"), body.child_by_field_name("value")
            if first is not None and second is not None:
                key, value = self.expression(first, depth), self.expression(second, depth)
        elif body is not None:
            value = self.expression(body, depth)
        clauses: list[tuple[p.Expression | None, p.Expression]] = []
        for child in node.named_children:
            if child.type == "for_in_clause":
                target, source = child.child_by_field_name("left"), child.child_by_field_name("right")
                if target is not None and source is not None:
                    clauses.append((self.expression(target, depth), self.expression(source, depth)))
            elif child.type == "if_clause" and child.named_child_count:
                clauses.append((None, self.expression(child.named_children[0], depth)))
        return p.Comprehension(node.start_byte, node.end_byte, _COMPREHENSIONS[node.type], key, value, clauses)

    def _lambda(self, node: Tree, depth: int) -> p.Expression:
        parameters, body = node.child_by_field_name("parameters"), node.child_by_field_name("body")
        if body is None:
            return self._nothing(node, depth)
        names = [] if parameters is None else self.parameters(parameters, depth)
        return p.Lambda(node.start_byte, node.end_byte, names, self.expression(body, depth))

    _by_expression: ClassVar[Mapping[str, Callable[[Any, Tree, int], p.Expression]]] = {
        "string": _string,
        "concatenated_string": _strings,
        "integer": _integer,
        "float": _nothing,
        "true": _true,
        "false": _false,
        "none": _none,
        "ellipsis": _nothing,
        "comment": _nothing,
        "slice": _nothing,
        "attribute": _attribute,
        "subscript": _subscript,
        "call": _call,
        "binary_operator": _binary,
        "boolean_operator": _logic,
        "not_operator": _not,
        "unary_operator": _unary,
        "comparison_operator": _compare,
        "conditional_expression": _choice,
        "named_expression": _walrus,
        "dictionary": _dictionary,
        "lambda": _lambda,
    }


def literals(pattern: Tree) -> list[Tree] | None:
    """The literals that the pattern of a case is made of; None when it is more than that."""
    found: list[Tree] = []
    todo = [pattern]
    while todo:
        node = todo.pop()
        if node.type in _LITERALS:
            found.append(node)
        elif node.type in ("case_pattern", "union_pattern") and node.named_child_count:
            todo += node.named_children
        else:
            return None
    return found


def _unescaped(escape: re.Match[str]) -> str:
    return _ESCAPED.get(escape[1], escape[1])
