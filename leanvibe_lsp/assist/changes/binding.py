"""How each language declares a local name, and where such a declaration holds. Pure; by the grammars' own names."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from tree_sitter import Node

_JS = {"variable_declarator": "name", "for_in_statement": "left"}
_C = {"init_declarator": "declarator", "declaration": "declarator", "for_range_loop": "declarator"}
# Language -> what declares -> the field with the names.
_BINDERS: dict[str, dict[str, str]] = {
    "python": {
        "assignment": "left",
        "for_statement": "left",
        "for_in_clause": "left",
        "named_expression": "name",
        "as_pattern": "alias",
    },
    "javascript": _JS,
    "typescript": _JS,
    "tsx": _JS,
    "go": {"short_var_declaration": "left", "var_spec": "name", "range_clause": "left"},
    "rust": {"let_declaration": "pattern", "for_expression": "pattern"},
    "java": {"variable_declarator": "name", "enhanced_for_statement": "name"},
    "csharp": {"variable_declarator": "name", "foreach_statement": "left"},
    "c": _C,
    "cpp": _C,
    "ruby": {"assignment": "left", "operator_assignment": "left"},
    "php": {"assignment_expression": "left", "foreach_statement": ""},
    "bash": {"variable_assignment": "name", "declaration_command": ""},
}
_THROUGH = frozenset(
    {
        "pattern_list",
        "tuple_pattern",
        "list_pattern",
        "list_splat_pattern",
        "as_pattern_target",
        "object_pattern",
        "array_pattern",
        "pair_pattern",
        "rest_pattern",
        "assignment_pattern",
        "expression_list",
        "slice_pattern",
        "ref_pattern",
        "mut_pattern",
        "tuple_struct_pattern",
        "reference_pattern",
        "pointer_declarator",
        "array_declarator",
        "reference_declarator",
        "left_assignment_list",
        "rest_assignment",
        "destructured_left_assignment",
        "list_literal",
        "pair",
        "variable_name",
    }
)
_NOT_BOUND = frozenset({"right", "type", "key", "size", "value", "default_value"})
_WRAPPERS = frozenset(
    {
        "lexical_declaration",
        "variable_declaration",
        "local_variable_declaration",
        "local_declaration_statement",
        "var_declaration",
        "var_spec_list",
        "for_clause",
    }
)
_CLASSES = frozenset(
    {
        "class_definition",
        "class_declaration",
        "class_body",
        "declaration_list",
        "field_declaration_list",
        "class",
        "module",
        "field_declaration",
        "singleton_class",
        "class_specifier",
        "struct_specifier",
    }
)
# Where a name is bound anywhere in a function, it is that function's everywhere.
_FUNCTIONS = {
    "python": frozenset(
        {
            "function_definition",
            "lambda",
            "list_comprehension",
            "set_comprehension",
            "dictionary_comprehension",
            "generator_expression",
            "class_definition",
        }
    ),
    "php": frozenset(
        {
            "function_definition",
            "method_declaration",
            "anonymous_function",
            "anonymous_function_creation_expression",
            "arrow_function",
            "class_declaration",
        }
    ),
    # From the first time on.
    "ruby": frozenset(
        {"method", "singleton_method", "block", "do_block", "lambda", "class", "module", "singleton_class"}
    ),
    "bash": frozenset({"function_definition", "subshell", "command_substitution"}),
}
_OWN_INITIALIZER = frozenset({"javascript", "typescript", "tsx", "c", "cpp"})


@dataclass(frozen=True, slots=True)
class Holds:
    """A declaration holds in these bytes, but not in `besides`; a foreign one is not of a local name."""

    start: int
    end: int
    besides: tuple[int, int] = (0, 0)
    is_foreign: bool = False


_FOREIGN = Holds(0, 0, is_foreign=True)


def binds(node: Node, language: str) -> Holds | None:
    """Where the declaration holds that the name stands in; None when it stands in none."""
    inner, outer = node, node.parent
    while outer is not None and outer.type in _THROUGH:
        if _field(outer, inner) in _NOT_BOUND and outer.type != "pair_pattern":
            return None
        inner, outer = outer, outer.parent
    if outer is None or not _is_binder(outer, inner, language):
        return None
    if language == "rust" and node.text is not None and not node.text[:1].islower():
        return None
    if language in _FUNCTIONS:
        return _in_function(node, outer, language)
    return _in_block(outer, language)


def holds(one: Holds, node: Node) -> bool:
    """Whether the declaration is in force where the name stands."""
    start, end = one.besides
    return one.start <= node.start_byte and node.end_byte <= one.end and not start <= node.start_byte < end


def has_ancestor(node: Node, kinds: Set[str]) -> Node | None:
    """The innermost node around it of one of the kinds."""
    around = node.parent
    while around is not None and around.type not in kinds:
        around = around.parent
    return around


def _field(parent: Node, child: Node) -> str:
    return parent.field_name_for_child(parent.children.index(child)) or ""


def _is_binder(outer: Node, inner: Node, language: str) -> bool:
    field = _BINDERS.get(language, {}).get(outer.type)
    if field is None:
        return False
    if outer.type == "foreach_statement" and language == "php":
        return inner != outer.named_child(0) and _field(outer, inner) != "body"
    if language == "bash":
        command = outer if outer.type == "declaration_command" else outer.parent
        return command is not None and _is_local_command(command)
    if outer.type == "for_in_statement" and outer.child_by_field_name("kind") is None:
        return False
    if outer.type == "range_clause" and not any(child.type == ":=" for child in outer.children):
        return False
    if outer.type == "declaration" and any(child.type == "storage_class_specifier" for child in outer.children):
        return False
    return _field(outer, inner) == field


def _is_local_command(command: Node) -> bool:
    if command.type != "declaration_command" or command.children[0].type not in ("local", "declare", "typeset"):
        return False
    options = [child.text or b"" for child in command.children if child.type == "word"]
    return not any(option.startswith((b"-", b"+")) and set(b"gxn") & set(option) for option in options)


def _in_function(node: Node, outer: Node, language: str) -> Holds:
    around = has_ancestor(node, _FUNCTIONS[language])
    if around is None or around.type in _CLASSES:
        return _FOREIGN
    body = around.child_by_field_name("body") if around.type in ("function_definition", "lambda") else None
    scope = body or around
    besides = (0, 0)
    if outer.type == "for_in_clause" and (source := outer.child_by_field_name("right")) is not None:
        besides = source.start_byte, source.end_byte
    start = scope.start_byte if language in ("python", "php") else node.start_byte
    return Holds(start, scope.end_byte, besides)


def _in_block(outer: Node, language: str) -> Holds:
    loop = outer.parent if outer.type == "range_clause" else outer
    body = loop.child_by_field_name("body") if loop is not None else None
    if body is not None:
        return Holds(body.start_byte, body.end_byte)
    statement = outer
    while statement.parent is not None and (statement.type in _WRAPPERS or statement.parent.type in _WRAPPERS):
        statement = statement.parent
    if outer.type == "init_declarator" and statement.parent is not None:
        statement = statement.parent
    scope = statement.parent
    if scope is None or scope.type in _CLASSES or statement.type in _CLASSES:
        return _FOREIGN
    start = outer.start_byte if language in _OWN_INITIALIZER else outer.end_byte
    return Holds(start, scope.end_byte)
