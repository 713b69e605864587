"""Where in a file of tests a new one belongs, read from its syntax tree; an error where no place is known. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tree_sitter import Node

from leanvibe_lsp.errors import Incomplete

CLASSES = frozenset({"class_definition", "class_declaration", "class"})
_BODIES = frozenset({"block", "class_body", "declaration_list", "body_statement", "do_block"})
_CALLS = re.compile(r"(?:await )?([\w$]+)")
_JS_TESTS = frozenset({"describe", "suite", "it", "test", "context", "xit", "xdescribe", "specify", "fit", "bench"})
_JS_GROUPS = frozenset({"describe", "suite"})
_JS_OTHERS = ("declaration", "export_statement")
_GROUPS = frozenset({"describe", "feature", "shared_examples", "shared_context"})
_EXAMPLES = frozenset({"it", "specify", "example", "context", "scenario", "xit", "test", "should"})


def unfit(reason: str) -> Incomplete:
    """The error for tests that have no place in the file."""
    return Incomplete(f"The tests do not fit into the file: {reason}.", next_step="Write only new tests.")


def tests_module(root: Node) -> Node | None:
    """The body of the module of tests of a file of Rust."""
    for node in root.named_children:
        if node.type == "mod_item" and name_of(node) in ("tests", "test"):
            return node.child_by_field_name("body")
    return None


def is_aside(node: Node) -> bool:
    """Comments, attributes and strings that are statements: a docstring, a directive."""
    inner = node.named_children[0] if node.type == "expression_statement" and node.named_child_count == 1 else None
    return "comment" in node.type or node.type == "attribute_item" or (inner is not None and inner.type == "string")


def words(node: Node | None) -> str:
    """The node's text on one line; "" for none."""
    return "" if node is None else " ".join((node.text or b"").decode("utf-8", "replace").split())


def name_of(node: Node) -> str:
    """What a definition is called, through what stands around it; "" for what is none."""
    inner = node.child_by_field_name("definition") or node.child_by_field_name("declaration")
    if inner is not None:
        return name_of(inner)
    if node.type in (
        "lexical_declaration",
        "variable_declaration",
        "local_variable_declaration",
        "expression_statement",
        "field_declaration",
    ):
        found = [name_of(child) or words(child.child_by_field_name("left")) for child in node.named_children]
        return next(filter(None, found), "")
    return words(node.child_by_field_name("name"))


def place_of(node: Node, root: Node, language: str, framework: str) -> Node | None:
    """The body that a statement of a draft belongs into; None for the end of the file. Raises Incomplete."""
    said = words(node)
    called = (_CALLS.match(said.removeprefix("RSpec.")) or [""])[0]
    if language == "python":
        return _place_of_python(node, said, root, framework)
    if language == "ruby":
        is_test = re.match(r"def test_|test\b", said) is not None if framework == "minitest" else called in _EXAMPLES
        if node.type in ("class", "module", "assignment") or called in _GROUPS or said.startswith("RSpec.context"):
            return None
        is_other = node.type == "method" and framework == "minitest"
        return (last_class(root, framework) if is_test or is_other else None) or no_place(node)
    if language in ("java", "php"):
        return (None if node.type in CLASSES else last_class(root, framework)) or no_place(node)
    if language == "javascript" and node.type == "expression_statement":
        return _group_of_javascript(called, root) if called in _JS_TESTS else no_place(node)
    if language == "javascript" and not any(part in node.type for part in _JS_OTHERS):
        return no_place(node)
    return None


def _group_of_javascript(called: str, root: Node) -> Node | None:
    """The body of the last group, for a test in a file whose tests are all in groups."""
    calls = [node.named_children[0] for node in root.named_children if node.type == "expression_statement"]
    named = [((_CALLS.match(words(call)) or [""])[0], call) for call in calls]
    groups = [call for name, call in named if name in _JS_GROUPS]
    if called in _JS_GROUPS or not groups or any(name in _JS_TESTS - _JS_GROUPS for name, _ in named):
        return None
    given = groups[-1].child_by_field_name("arguments")
    last = given.named_children[-1] if given is not None and given.named_children else None
    return (last.child_by_field_name("body") if last is not None else None) or no_place(root)


def _place_of_python(node: Node, said: str, root: Node, framework: str) -> Node | None:
    inner = node.child_by_field_name("definition") or node
    is_test = inner.type == "function_definition"
    if is_test and re.match(r"\(\s*(?:self|cls)\b", words(inner.child_by_field_name("parameters"))):
        return last_class(root, framework) or no_place(node)
    is_known = inner.type in ("function_definition", "class_definition") or re.match(r"\w+(?:: [^=]+)? = ", said)
    if not is_known or "autouse" in said or (framework == "unittest" and is_test and name_of(node).startswith("test")):
        return no_place(node)
    return None


def no_place(node: Node) -> Node:
    """Raises Incomplete: no place is known for the node."""
    raise unfit(f"it is not known where `{words(node).partition('{')[0][:60].strip()}` belongs")


def _outer(root: Node) -> Iterator[Node]:
    """The file's statements, and those in its modules and name spaces."""
    for node in root.named_children:
        yield node
        if node.type in ("module", "namespace_definition") and (body := body_of(node)) is not None:
            yield from _outer(body)


def class_called(root: Node, name: str) -> Node | None:
    """The body of the file's last class of that name."""
    found = [node for node in _outer(root) if node.type in CLASSES and name_of(node) == name]
    return body_of(found[-1]) if found else None


def last_class(root: Node, framework: str) -> Node | None:
    """The body of the last class or group that has tests in it."""
    holds = {
        "rspec": re.compile(r"(?:RSpec\.)?(?:describe|context|feature)\b"),
        "unittest": re.compile(r"class \w+\([^()]*TestCase\b"),
        "pytest": re.compile(r"class Test\w*"),
        "minitest": re.compile(r"class [\w:]+ < [\w:]*Test(?:Case)?\b"),
        "phpunit": re.compile(r".*(?:extends \w*TestCase\b|function test|#\[Test\]|@test\b)"),
        "junit 4": re.compile(r".*@Test\b"),
        "junit 5": re.compile(r".*@(?:Parameterized|Repeated)?Test\b"),
    }.get(framework, re.compile(r""))
    kinds = frozenset({"call"}) if framework == "rspec" else CLASSES
    found = [node for node in _outer(root) if node.type in kinds and holds.match(words(node))]
    return body_of(found[-1]) if found else None


def body_of(node: Node) -> Node | None:
    """Where the members of a class, a module or a group stand."""
    found = node.child_by_field_name("body") or node.child_by_field_name("block")
    if found is None:
        found = next((child for child in node.named_children if child.type in _BODIES), None)
    if found is not None and found.type == "do_block":
        return found.child_by_field_name("body") or next(
            (child for child in found.named_children if child.type == "body_statement"), None
        )
    return found
