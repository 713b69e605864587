"""What a file says at its top level: what names stand for, and which functions it has. Looked at when asked."""

from __future__ import annotations

from collections.abc import Mapping

from tree_sitter import Node

from leanvibe_lsp.documents.syntax import Syntax
from leanvibe_lsp.tiers.flow import program as p
from leanvibe_lsp.tiers.flow.lower import Lowering

_IMPORTS = ("import_statement", "import_from_statement")


class Module:
    """`functions` are the definitions by name, those of a class as `Class.name`; `loose` is all other code."""

    def __init__(self, syntax: Syntax) -> None:
        self.lowering = Lowering(syntax.data)
        self.functions: dict[str, Node] = {}
        self.loose: list[Node] = []
        self._globals: dict[str, Node] = {}
        self._lowered: dict[str, p.Function] = {}
        self._bodies: dict[int, list[p.Statement]] = {}
        self._imports: dict[str, str] | None = None
        for node in syntax.tree.root_node.named_children:
            self._top(node)

    def _top(self, node: Node) -> None:
        definition = _definition(node)
        if definition is None:
            if node.type != "comment":
                self.loose.append(node)
            return
        name = self.lowering.field(definition, "name")
        if definition.type == "function_definition":
            self.functions[name] = node
            return
        body = definition.child_by_field_name("body")
        for child in body.named_children if body is not None else []:
            inner = _definition(child)
            if inner is not None and inner.type == "function_definition":
                self.functions[f"{name}.{self.lowering.field(inner, 'name')}"] = child

    @property
    def imports(self) -> dict[str, str]:
        """The names that imports give, anywhere at the top level, and the dotted names they stand for."""
        if self._imports is None:
            self._imports = {}
            todo = list(reversed(self.loose))
            while todo:
                node = todo.pop()
                if node.type in _IMPORTS:
                    self._imports |= self.lowering.imported(node)
                elif node.type in ("try_statement", "if_statement", "block", "else_clause", "except_clause"):
                    todo += reversed(node.named_children)
                elif node.type == "expression_statement" and node.named_child_count:
                    self._remember(node)
        return self._imports

    def _remember(self, node: Node) -> None:
        inner = node.named_children[0]
        left = inner.child_by_field_name("left") if inner.type == "assignment" else None
        if left is not None and left.type == "identifier":
            self._globals.setdefault(self.lowering.text(left), node)

    @property
    def variables(self) -> Mapping[str, Node]:
        """The names that are assigned at the top level, and where they are first."""
        assert self.imports is not None  # they are collected together
        return self._globals

    def given(self, name: str) -> p.Statement | None:
        """The first assignment to a name at the top level."""
        if name in self.imports or name not in self._globals:
            return None
        statement = self.lowering.block([self._globals[name]])
        return statement[0] if statement else None

    def start(self, name: str) -> int:
        """The first byte of a definition, without its decorators."""
        definition = _definition(self.functions[name])
        return -1 if definition is None else definition.start_byte

    def function(self, name: str) -> p.Function | None:
        """The definition by that name."""
        if name not in self.functions:
            return None
        if name not in self._lowered:
            node = self.functions[name]
            decorators = self.lowering.decorators(node) if node.type == "decorated_definition" else []
            definition = _definition(node)
            if definition is None:
                return None
            self._lowered[name] = self.lowering.function(definition, decorators)
        return self._lowered[name]

    def body(self, function: p.Function) -> list[p.Statement]:
        """The statements of a function's body, lowered once."""
        if function.start not in self._bodies:
            nodes = [] if function.body is None else function.body.named_children
            self._bodies[function.start] = self.lowering.block(nodes)
        return self._bodies[function.start]

    def uses(self, *modules: str) -> bool:
        """Whether the file imports one of these modules, or something of one."""
        return any(name.partition(".")[0] in modules for name in self.imports.values())

    def mentions(self, *words: str) -> bool:
        """Whether one of these stands in the code of the top level: what a unit depends on is there or in itself."""
        data, wanted = self.lowering.data, [word.encode() for word in words]
        return any(word in data[node.start_byte : node.end_byte] for node in self.loose for word in wanted)


def _definition(node: Node) -> Node | None:
    """The function or class that a node defines."""
    at = node.child_by_field_name("definition") if node.type == "decorated_definition" else node
    return at if at is not None and at.type in ("function_definition", "class_definition") else None
