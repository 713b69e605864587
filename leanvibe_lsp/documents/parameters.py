"""The names of a definition's parameters, from the nodes of any grammar."""

from __future__ import annotations

from collections.abc import Iterator

from tree_sitter import Node

from leanvibe_lsp.documents.docs import children

_FIELDS = ("name", "pattern", "declarator", "left")  # where a parameter keeps what it is called
_WITHOUT_NAME = ("comment", "separator", "receiver_parameter", "attribute", "annotation", "modifiers")
_AROUND = (
    "splat",
    "rest",
    "spread",
    "typed_parameter",
    "_declarator",
    "mut_pattern",
    "ref_pattern",
    "reference_pattern",
)
_TAKEN_APART = ("_pattern", "destructured_parameter", "structured_binding_declarator")
_NAMES = ("identifier", "variable_name", "self")


def parameter_names(definition: Node, body: Node | None) -> Iterator[Node]:
    """The node of each parameter's name, in order; a pattern that takes a value apart is the name of its parameter.

    `definition` is the definition's node, `body` its body: a function kept in a variable has its parameters beside it.
    """
    found = _parameters(definition)
    if found is None and body is not None:
        found = _parameters(body.parent)
    if found is not None:
        yield from [found] if found.type == "identifier" else listed_names(found)


def listed_names(parameters: Node) -> Iterator[Node]:
    """The same for a list of parameters."""
    for child in parameters.named_children:
        yield from _names(child)


def _parameters(node: Node | None) -> Node | None:
    """The list of parameters of a definition, or the only one of `x => x`; through C's declarators."""
    while node is not None:
        found = node.child_by_field_name("parameters") or node.child_by_field_name("parameter")
        if found is None and node.type.endswith("_declaration"):  # C# has them in no field
            found = next((child for child in children(node) if child.type == "parameter_list"), None)
        if found is not None:
            return found
        inner = node.child_by_field_name("declarator")
        if inner is None and node.type.endswith("_declarator") and node.named_child_count:
            inner = node.named_child(node.named_child_count - 1)  # a reference or parentheses around it
        node = inner
    return None


def _names(node: Node) -> Iterator[Node]:
    if any(part in node.type for part in _WITHOUT_NAME):
        return
    for field in _FIELDS:
        inner = node.children_by_field_name(field)
        if inner:
            for one in inner:
                yield from _names(one)
            return
    if node.type.endswith(_NAMES):
        yield node
    elif node.type == "self_parameter":
        yield next(child for child in node.children if child.type == "self")
    elif any(part in node.type for part in _AROUND):
        if node.named_child_count:
            # `x: int` begins with its name, `*x` and `...x` and `mut x` end with it.
            yield from _names(node.named_child(0 if node.type == "typed_parameter" else node.named_child_count - 1))
    elif node.type.endswith(_TAKEN_APART):
        yield node
