"""From syntax to `program`: statements. Expressions are in `expressions`.

What is nested deeper than `flow.depth`, and what is broken, is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from tree_sitter import Node as Tree

from leanvibe_lsp.tiers.flow import program as p
from leanvibe_lsp.tiers.flow.expressions import Expressions, literals
from leanvibe_lsp.tiers.flow.values import UNKNOWN


class Lowering(Expressions):
    """Lowers nodes of one text; `data` is the text in UTF-8."""

    def block(self, nodes: list[Tree], depth: int = 0) -> list[p.Statement]:
        """The statements among nodes, in order."""
        found: list[p.Statement] = []
        if depth > self.depth:
            return found
        for node in nodes:
            kind = node.type
            if kind == "expression_statement":
                found += (self._effect(child, depth) for child in node.named_children)
            elif (lower := self._by_kind.get(kind)) is not None:
                found += lower(self, node, depth + 1)
        return found

    def function(self, node: Tree, decorators: list[p.Expression], depth: int = 0) -> p.Function:
        """A definition, its body not looked at yet."""
        name, parameters, body = (node.child_by_field_name(field) for field in ("name", "parameters", "body"))
        return p.Function(
            node.start_byte,
            node.end_byte,
            self.text(name) if name is not None else "",
            self.parameters(parameters, depth) if parameters is not None else [],
            decorators,
            body,
        )

    def _effect(self, node: Tree, depth: int) -> p.Statement:
        kind = node.type
        if kind in ("assignment", "augmented_assignment"):
            return self._assignment(node, depth)
        return p.Do(node.start_byte, node.end_byte, self.expression(node, depth))

    def _assignment(self, node: Tree, depth: int) -> p.Statement:
        targets: list[p.Expression] = []
        at: Tree | None = node
        operator = ""
        while at is not None and at.type in ("assignment", "augmented_assignment"):
            left = at.child_by_field_name("left")
            if left is not None:
                targets.append(self.expression(left, depth))
            if at.type == "augmented_assignment":
                operator = self.field(at, "operator").removesuffix("=")
            at = at.child_by_field_name("right")
        value = p.Const(node.end_byte, node.end_byte, UNKNOWN) if at is None else self.expression(at, depth)
        return p.Assign(node.start_byte, node.end_byte, targets, value, operator)

    def _body(self, node: Tree | None, depth: int) -> list[p.Statement]:
        return [] if node is None else self.block(node.named_children, depth)

    def _if(self, node: Tree, depth: int) -> list[p.Statement]:
        arms: list[tuple[p.Expression | None, list[p.Statement]]] = []
        for part in (node, *node.children_by_field_name("alternative")):
            if part.type == "else_clause":
                arms.append((None, self._body(part.child_by_field_name("body"), depth)))
            elif (condition := part.child_by_field_name("condition")) is not None:
                body = self._body(part.child_by_field_name("consequence"), depth)
                arms.append((self.expression(condition, depth), body))
        return [p.If(node.start_byte, node.end_byte, arms)]

    def _loop(self, node: Tree, depth: int) -> list[p.Statement]:
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        source = right if node.type == "for_statement" else node.child_by_field_name("condition")
        if source is None:
            return []
        otherwise = node.child_by_field_name("alternative")
        return [
            p.Loop(
                node.start_byte,
                node.end_byte,
                self.expression(left, depth) if left is not None else None,
                self.expression(source, depth),
                self._body(node.child_by_field_name("body"), depth),
                [] if otherwise is None else self._body(otherwise.child_by_field_name("body"), depth),
            )
        ]

    def _try(self, node: Tree, depth: int) -> list[p.Statement]:
        made = p.Try(node.start_byte, node.end_byte, self._body(node.child_by_field_name("body"), depth), [], [], [])
        for part in node.named_children:
            last = part.named_children[-1] if part.named_child_count else None
            if part.type in ("except_clause", "except_group_clause"):
                made.handlers.append(self._body(last if last is not None and last.type == "block" else None, depth))
            elif part.type == "else_clause":
                made.otherwise = self._body(part.child_by_field_name("body"), depth)
            elif part.type == "finally_clause":
                made.final = self._body(last, depth)
        return [made]

    def _with(self, node: Tree, depth: int) -> list[p.Statement]:
        items: list[tuple[p.Expression, p.Expression | None]] = []
        for clause in node.named_children:
            if clause.type != "with_clause":
                continue
            for item in clause.named_children:
                value = item.child_by_field_name("value")
                if value is None:
                    continue
                if value.type == "as_pattern" and value.named_child_count > 1:
                    entered, alias = value.named_children[0], value.named_children[-1]
                    target = alias.named_children[0] if alias.named_child_count else None
                    items.append(
                        (self.expression(entered, depth), None if target is None else self.expression(target, depth))
                    )
                else:
                    items.append((self.expression(value, depth), None))
        return [p.With(node.start_byte, node.end_byte, items, self._body(node.child_by_field_name("body"), depth))]

    def _match(self, node: Tree, depth: int) -> list[p.Statement]:
        subject, body = node.child_by_field_name("subject"), node.child_by_field_name("body")
        if subject is None or body is None:
            return []
        made = p.Match(node.start_byte, node.end_byte, self.expression(subject, depth), [])
        for case in body.named_children:
            if case.type != "case_clause":
                continue
            constants: list[p.Expression] | None = []
            bound: list[p.Expression] = []
            for pattern in case.named_children:
                if pattern.type == "case_pattern":
                    values, names = self._pattern(pattern, depth)
                    bound += names
                    constants = None if constants is None or values is None else constants + values
            guard = case.child_by_field_name("guard")
            condition = None
            if guard is not None and guard.named_child_count:
                condition = self.expression(guard.named_children[0], depth)
            statements = self._body(case.child_by_field_name("consequence"), depth)
            made.cases.append((constants, bound, condition, statements))
        return [made]

    def _pattern(self, pattern: Tree, depth: int) -> tuple[list[p.Expression] | None, list[p.Expression]]:
        """The constants that a pattern stands for, None when it is more than those, and the names it binds."""
        constants = literals(pattern)
        if constants is not None:
            return [self.expression(one, depth) for one in constants], []
        bound: list[p.Expression] = []
        todo = [pattern]
        while todo:
            node = todo.pop()
            if node.type == "dotted_name" and node.named_child_count == 1:
                bound.append(p.Name(node.start_byte, node.end_byte, self.text(node)))
            elif node.type == "splat_pattern" and node.named_child_count:
                one = node.named_children[0]
                bound.append(p.Name(one.start_byte, one.end_byte, self.text(one)))
            elif node.type == "as_pattern" and node.named_child_count:
                one = node.named_children[-1]
                bound.append(p.Name(one.start_byte, one.end_byte, self.text(one)))
                todo += node.named_children[:-1]
            elif node.type == "class_pattern":
                todo += node.named_children[1:]
            elif node.type != "string":
                todo += node.named_children
        return None, bound

    def _definition(self, node: Tree, depth: int) -> list[p.Statement]:
        decorators: list[p.Expression] = []
        at: Tree | None = node
        if node.type == "decorated_definition":
            decorators = self.decorators(node, depth)
            at = node.child_by_field_name("definition")
        if at is None:
            return []
        if at.type == "function_definition":
            return [self.function(at, decorators, depth)]
        name = self.field(at, "name")
        return [p.Class(at.start_byte, at.end_byte, name, self._body(at.child_by_field_name("body"), depth))]

    def decorators(self, node: Tree, depth: int = 0) -> list[p.Expression]:
        """What stands behind each @ of a decorated definition."""
        return [
            self.expression(one.named_children[0], depth)
            for one in node.named_children
            if one.type == "decorator" and one.named_child_count
        ]

    def _return(self, node: Tree, depth: int) -> list[p.Statement]:
        child = node.named_children[0] if node.named_child_count else None
        return [p.Return(node.start_byte, node.end_byte, None if child is None else self.expression(child, depth))]

    def _leave(self, node: Tree, depth: int) -> list[p.Statement]:
        how = node.type.removesuffix("_statement")
        child = node.named_children[0] if node.named_child_count else None
        return [p.Leave(node.start_byte, node.end_byte, how, None if child is None else self.expression(child, depth))]

    def _delete(self, node: Tree, depth: int) -> list[p.Statement]:
        targets: list[p.Expression] = []
        for child in node.named_children:
            parts = child.named_children if child.type == "expression_list" else [child]
            targets += (self.expression(part, depth) for part in parts)
        return [p.Delete(node.start_byte, node.end_byte, targets)]

    def _import(self, node: Tree, depth: int) -> list[p.Statement]:
        return [p.Import(node.start_byte, node.end_byte, self.imported(node))]

    def imported(self, node: Tree) -> list[tuple[str, str]]:
        """The names an import gives, and the dotted names they stand for."""
        module = ""
        if (origin := node.child_by_field_name("module_name")) is not None:
            module = self.text(origin) + "."
        names: list[tuple[str, str]] = []
        for one in node.children_by_field_name("name"):
            if one.type == "aliased_import":
                names.append((self.field(one, "alias"), module + self.field(one, "name")))
            else:
                name = self.text(one)
                names.append((name, module + name) if module else (name.partition(".")[0],) * 2)
        return names

    def _assert(self, node: Tree, depth: int) -> list[p.Statement]:
        if not node.named_child_count:
            return []
        return [p.Assert(node.start_byte, node.end_byte, self.expression(node.named_children[0], depth))]

    _by_kind: ClassVar[Mapping[str, Callable[[Any, Tree, int], list[p.Statement]]]] = {
        "if_statement": _if,
        "for_statement": _loop,
        "while_statement": _loop,
        "try_statement": _try,
        "with_statement": _with,
        "match_statement": _match,
        "function_definition": _definition,
        "decorated_definition": _definition,
        "class_definition": _definition,
        "return_statement": _return,
        "raise_statement": _leave,
        "break_statement": _leave,
        "continue_statement": _leave,
        "delete_statement": _delete,
        "import_statement": _import,
        "import_from_statement": _import,
        "assert_statement": _assert,
    }
