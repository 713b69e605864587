"""A function as a small program: what of its syntax matters to where values go. Made by `lower`, walked by `walk`.

Offsets are bytes of the text. What has no place here became `Other`: whatever is in it may come out of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(slots=True, eq=False)
class Node:
    """Anything that stands somewhere."""

    start: int
    end: int


@dataclass(slots=True, eq=False)
class Const(Node):
    """A literal; UNKNOWN for one whose value does not matter."""

    value: Any


@dataclass(slots=True, eq=False)
class Name(Node):
    """A name that is read, or given a value."""

    id: str


@dataclass(slots=True, eq=False)
class Attribute(Node):
    """`of.name`."""

    of: Expression
    name: str


@dataclass(slots=True, eq=False)
class Subscript(Node):
    """`of[key]`; `key` is None for a slice."""

    of: Expression
    key: Expression | None


@dataclass(slots=True, eq=False)
class Call(Node):
    """`stars` are the arguments after * and **, of which the positions are not known."""

    function: Expression
    arguments: list[Expression]
    named: list[tuple[str, Expression]]
    stars: list[Expression]


@dataclass(slots=True, eq=False)
class Text(Node):
    """Text put together of its parts, in order: an f-string, adjacent literals."""

    parts: list[Expression]


@dataclass(slots=True, eq=False)
class Sum(Node):
    """`a + b + c`: text put together when one of them is text."""

    parts: list[Expression]


@dataclass(slots=True, eq=False)
class Binary(Node):
    """Any other operator between two values."""

    operator: str
    left: Expression
    right: Expression


@dataclass(slots=True, eq=False)
class Collection(Node):
    """`kind` is list, tuple, set or dict; `keys` are those of a dict, None for what is spread into it."""

    kind: str
    keys: list[Expression | None]
    values: list[Expression]


@dataclass(slots=True, eq=False)
class Choice(Node):
    """`yes if condition else no`."""

    condition: Expression
    yes: Expression
    no: Expression


@dataclass(slots=True, eq=False)
class Logic(Node):
    """`and` or `or` between any number of conditions."""

    operator: str
    parts: list[Expression]


@dataclass(slots=True, eq=False)
class Not(Node):
    """`not of`."""

    of: Expression


@dataclass(slots=True, eq=False)
class Compare(Node):
    """`left op right`; of a chain only what is in it."""

    left: Expression
    operators: list[str]
    right: list[Expression]


@dataclass(slots=True, eq=False)
class Walrus(Node):
    """`target := value`."""

    target: Expression
    value: Expression


@dataclass(slots=True, eq=False)
class Comprehension(Node):
    """`clauses` are pairs of target and iterable, or of None and a condition, in order. `key` is that of a dict."""

    kind: str
    key: Expression | None
    value: Expression
    clauses: list[tuple[Expression | None, Expression]]


@dataclass(slots=True, eq=False)
class Lambda(Node):
    """`lambda parameters: body`."""

    parameters: list[Parameter]
    body: Expression


@dataclass(slots=True, eq=False)
class Other(Node):
    """What is in its parts may come out of it."""

    parts: list[Expression]


@dataclass(slots=True, eq=False)
class Parameter(Node):
    """`spread` says that it takes any number; `annotation` is its text."""

    id: str
    default: Expression | None
    annotation: str
    spread: bool


@dataclass(slots=True, eq=False)
class Assign(Node):
    """`operator` is that of an augmented assignment, or empty."""

    targets: list[Expression]
    value: Expression
    operator: str


@dataclass(slots=True, eq=False)
class If(Node):
    """Arms of condition and body, in order; the last may have no condition."""

    arms: list[tuple[Expression | None, list[Statement]]]


@dataclass(slots=True, eq=False)
class Loop(Node):
    """`for target in source`, or `while source` where there is no target."""

    target: Expression | None
    source: Expression
    body: list[Statement]
    otherwise: list[Statement]


@dataclass(slots=True, eq=False)
class Try(Node):
    """`handlers` are bodies; `otherwise` runs when nothing was raised, `final` always."""

    body: list[Statement]
    handlers: list[list[Statement]]
    otherwise: list[Statement]
    final: list[Statement]


@dataclass(slots=True, eq=False)
class With(Node):
    """Pairs of what is entered and what it is called, and the body."""

    items: list[tuple[Expression, Expression | None]]
    body: list[Statement]


@dataclass(slots=True, eq=False)
class Match(Node):
    """Cases: the constants it may be (None: anything), the names bound, the guard, the body."""

    subject: Expression
    cases: list[tuple[list[Expression] | None, list[Expression], Expression | None, list[Statement]]]


@dataclass(slots=True, eq=False)
class Function(Node):
    """A definition. `decorators` are expressions; the body is lowered when it is asked for."""

    id: str
    parameters: list[Parameter]
    decorators: list[Expression]
    body: Any


@dataclass(slots=True, eq=False)
class Class(Node):
    """A class inside of a function."""

    id: str
    body: list[Statement]


@dataclass(slots=True, eq=False)
class Return(Node):
    """`return value`."""

    value: Expression | None


@dataclass(slots=True, eq=False)
class Leave(Node):
    """`raise`, `break` and `continue`, by that word."""

    how: str
    value: Expression | None


@dataclass(slots=True, eq=False)
class Do(Node):
    """An expression for what it does."""

    value: Expression


@dataclass(slots=True, eq=False)
class Delete(Node):
    """`del targets`."""

    targets: list[Expression]


@dataclass(slots=True, eq=False)
class Import(Node):
    """Names and the dotted names that they stand for."""

    names: list[tuple[str, str]]


@dataclass(slots=True, eq=False)
class Assert(Node):
    """`assert condition`."""

    condition: Expression


Expression: TypeAlias = (
    Const
    | Name
    | Attribute
    | Subscript
    | Call
    | Text
    | Sum
    | Binary
    | Collection
    | Choice
    | Logic
    | Not
    | Compare
    | Walrus
    | Comprehension
    | Lambda
    | Other
)
Statement: TypeAlias = (
    Assign | If | Loop | Try | With | Match | Function | Class | Return | Leave | Do | Delete | Import | Assert
)


def path_of(node: Expression) -> str:
    """The name that a variable, or an attribute of one, is kept under in the environment; empty for all others."""
    if isinstance(node, Name):
        return node.id
    names: list[str] = []
    at: Expression = node
    while isinstance(at, Attribute) and len(names) < 4:
        names.append(at.name)
        at = at.of
    return ".".join((at.id, *reversed(names))) if isinstance(at, Name) else ""


def variables_in(node: Expression) -> frozenset[str]:
    """The variables, and attributes of variables, that stand in an expression."""
    found: set[str] = set()
    todo: list[object] = [node]
    while todo:
        at = todo.pop()
        if isinstance(at, Name):
            found.add(at.id)
        elif isinstance(at, list | tuple):
            todo += at
        elif isinstance(at, Node):
            if isinstance(at, Attribute):
                found.add(path_of(at))
            todo += [getattr(at, name) for name in type(at).__slots__]
    return frozenset(found)
