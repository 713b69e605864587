"""Chat templates in jinja2's sandbox, with what transformers gives them, and with an end.

A template comes with a model, and a model is data: it can read its variables and write text, and no more. The sandbox
has no bound for loops and sizes, so each step of a template costs: a loop's round and a macro's call what their bodies
hold, a value that is made or looked at its size. The whole may cost `template.work`, one value may have
`template.characters`. Pure but for `strftime_now`.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from datetime import datetime
from typing import Any

from jinja2 import TemplateError, nodes, pass_context
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension, LoopControlExtension
from jinja2.filters import do_format
from jinja2.parser import Parser
from jinja2.runtime import Context, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace
from jinja2.visitor import NodeTransformer

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.errors import ModelFormatError

_WIDTH = re.compile(r"[0-9]{4}|\*")  # in a format: more room than a template ever wants
_MEASURED, _CHARGED = "_measured", "_charged"  # filters of our own, put in by `_Meter`
_BODIES = (nodes.For, nodes.Macro, nodes.CallBlock)  # what runs more than once
_UNBOUNDED = ("lipsum", "pprint", "urlize")  # no chat template has a use for them
_work_left: ContextVar[int] = ContextVar("_work_left", default=0)


class TemplateRefused(ModelFormatError):
    """The template raised an error, or was ended."""


def render_template(source: str, variables: Mapping[str, Any]) -> str:
    """The text that the template writes. Raises TemplateRefused, whatever the template does."""
    token = _work_left.set(limit("template.work"))
    try:
        return "".join(_compiled(source).generate(**variables))
    except Exception as error:
        # A template is data, and can raise whatever its expressions raise.
        raise TemplateRefused(
            f"The model's chat template failed: {str(error)[:500] or type(error).__name__}.",
            next_step="Choose another model: `leanvibe models list`.",
        ) from error
    finally:
        _work_left.reset(token)


@functools.lru_cache(maxsize=16)
def _compiled(source: str) -> Any:
    if len(source) > limit("template.source_characters"):
        raise SecurityError("it is too long")
    return _environment().from_string(source)


@functools.cache
def _environment() -> _Environment:
    environment = _Environment(trim_blocks=True, lstrip_blocks=True, extensions=[LoopControlExtension, _Generation])
    environment.filters |= {"tojson": _tojson, "format": _format}
    environment.filters = {name: _guarded(made) for name, made in environment.filters.items()}
    environment.filters |= {_MEASURED: _measured, _CHARGED: _charged}
    environment.globals |= {
        "raise_exception": _raise_exception,
        "strftime_now": _strftime_now,
        "namespace": _Namespace,
    }
    for name in _UNBOUNDED:
        environment.filters.pop(name, None)
        environment.globals.pop(name, None)
    return environment


class _Environment(ImmutableSandboxedEnvironment):
    """The sandbox, which looks at each call and operator before and after."""

    intercepted_binops = frozenset(ImmutableSandboxedEnvironment.default_binop_table)

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        _Meter().visit(tree)
        return tree

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """An operator; powers have no use here."""
        if operator == "**":
            raise SecurityError("it takes powers")
        if operator == "%":
            _check_format(left)
        if operator in "*%":
            _foresee((left, right))
        return _checked(super().call_binop(context, operator, left, right))

    def call(self, context: Context, called: Any, /, *args: Any, **kwargs: Any) -> Any:
        """A function or method."""
        if not isinstance(called, Macro | type):
            owner = getattr(getattr(called, "__wrapped__", called), "__self__", None)
            _foresee((owner, *args, *kwargs.values()))
            if getattr(called, "__name__", "") in ("format", "format_map"):
                _check_format(owner)
        return _checked(super().call(context, called, *args, **kwargs))


class _Meter(NodeTransformer):
    """Puts the measuring in: around values that grow, are written or compared, and into each body that runs again."""

    def visit(self, node: nodes.Node, *args: Any, **kwargs: Any) -> nodes.Node:
        """The node, its children first."""
        if isinstance(node, _BODIES):
            weight = 1 + sum(1 for _ in node.find_all(nodes.Node))
        self.generic_visit(node)
        match node:
            case nodes.Concat() | nodes.List() | nodes.Dict() | nodes.Tuple(ctx="load"):
                return _filter(node, _MEASURED)
            case nodes.Compare():
                node.expr = _filter(node.expr, _MEASURED)
            case nodes.Operand():
                node.expr = _filter(node.expr, _MEASURED)
            case nodes.Test():
                node.node = _filter(node.node, _MEASURED)
            case nodes.Getitem() if not isinstance(node.arg, nodes.Slice | nodes.Const):
                node.arg = _filter(node.arg, _MEASURED)
            case nodes.Output():
                texts = (nodes.Const(one.data) if isinstance(one, nodes.TemplateData) else one for one in node.nodes)
                node.nodes = [_filter(one, _MEASURED) for one in texts]
            case nodes.For():
                node.iter = _filter(node.iter, _CHARGED)
                node.test = node.test and _filter(node.test, _MEASURED)
            case nodes.AssignBlock():
                node.filter = _filter(node.filter, _MEASURED)
        if isinstance(node, _BODIES):
            node.body = [nodes.ExprStmt(_filter(nodes.Const(weight), _CHARGED)), *node.body]
        return node


class _Generation(Extension):
    """`{% generation %}` marks the assistant's words for training; here they are just written."""

    tags = {"generation"}  # noqa: RUF012 - as the base class has it

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class _Namespace(Namespace):
    """Says nothing of what it holds: a chain of them could hold more than there is room for."""

    def __repr__(self) -> str:
        return "<namespace>"


def _filter(node: nodes.Node | None, name: str) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None)


@pass_context  # so that nothing is computed while the template is compiled
def _measured(context: Context, value: Any) -> Any:
    return _checked(value)


@pass_context
def _charged(context: Context, value: Any) -> Any:
    """A loop's values, or a body's weight. The values may be many: they were there before."""
    _spend(value if isinstance(value, int) else _size(value, {}))
    return value


def _guarded(made: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(made)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        _foresee((*args, *kwargs.values()))
        return _checked(made(*args, **kwargs))

    return guarded


def _check_format(form: Any) -> None:
    if isinstance(form, str) and _WIDTH.search(form):
        raise SecurityError("it formats with a huge width")


def _foresee(operands: Iterable[Any]) -> None:
    """Refuse what could make a huge value, before it is made: at most the product of what goes in."""
    product = 1
    for one in operands:
        product *= max(1, abs(one) if isinstance(one, int) else _size(one, {}))
    _spend(1)
    if product > limit("template.product"):
        raise SecurityError("it makes a huge value")


def _checked(value: Any) -> Any:
    size = _size(value, {})
    _spend(size)
    if size > limit("template.characters"):
        raise SecurityError("it makes a huge value")
    return value


def _spend(work: int) -> None:
    left = _work_left.get() - work
    _work_left.set(left)
    if left < 0:
        raise SecurityError("it does not come to an end")


def _size(value: Any, known: dict[int, int]) -> int:
    """Characters, digits and members, a member that is there twice counted twice (and looked at once)."""
    if isinstance(value, str | bytes):
        return 1 + len(value)
    if isinstance(value, int):
        return 1 + value.bit_length() // 3
    if not isinstance(value, list | tuple | set | dict):
        return 1 + len(value) if isinstance(value, range) else 1
    if id(value) not in known:
        members: Iterable[Any] = [*value, *value.values()] if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_size(one, known) for one in members)
    return known[id(value)]


def _tojson(
    value: Any, ensure_ascii: bool = False, indent: Any = None, separators: Any = None, sort_keys: bool = False
) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _format(form: str, *values: Any, **named: Any) -> str:
    _check_format(form)
    return do_format(form, *values, **named)


def _strftime_now(form: str) -> str:
    _check_format(form)
    return datetime.now().strftime(form)


def _raise_exception(message: str) -> None:
    raise TemplateError(message)
