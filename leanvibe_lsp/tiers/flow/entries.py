"""Who calls a function, and so who writes its parameters: a request, an event, other code."""

from __future__ import annotations

from dataclasses import dataclass

from leanvibe_lsp.tiers.flow import program as p
from leanvibe_lsp.tiers.flow import tables
from leanvibe_lsp.tiers.flow.module import Module
from leanvibe_lsp.tiers.flow.values import CLEAN, Source, Taint, Value, named

_JSON = ("fastapi", "flask_restful", "flask_restx", "litestar", "falcon", "robyn")
_SELF = ("self", "cls")


@dataclass(frozen=True, slots=True)
class Route:
    """What is asked over the network comes to this function. `converters` are its path's, by parameter."""

    converters: dict[str, str]
    is_api: bool

    @property
    def answers_html(self) -> bool:
        """Whether a text that it returns is shown as a page."""
        return not self.is_api


def route_of(function: p.Function, module: Module) -> Route | None:
    """The route that a function answers to by its decorators; None when by none."""
    if not function.decorators:
        return None
    if not module.uses(*tables.ROUTE_MODULES) and "route" not in _words(function):
        return None
    for decorator in function.decorators:
        if not isinstance(decorator, p.Call) or not isinstance(decorator.function, p.Attribute | p.Name):
            continue
        called = decorator.function
        word = called.name if isinstance(called, p.Attribute) else called.id
        if word not in tables.ROUTES:
            continue
        converters: dict[str, str] = {}
        for argument in decorator.arguments[:1]:
            if isinstance(argument, p.Const) and isinstance(argument.value, str):
                for one in tables.ROUTE_CONVERTER.finditer(argument.value):
                    converters[one["name"]] = one["type"] or one["after"] or ""
        return Route(converters, module.uses(*_JSON))
    return None


def parameters_of(function: p.Function, module: Module, route: Route | None) -> dict[str, Value]:
    """What the parameters of a function stand for when it is called from outside."""
    values: dict[str, Value] = {}
    event = function.id.endswith(("lambda_handler", "handler")) and [one.id for one in function.parameters[:2]] == [
        "event",
        "context",
    ]
    for index, parameter in enumerate(function.parameters):
        name = parameter.id
        if name in _SELF and index == 0:
            values[name] = named(name)
        elif name in ("request", "req", "_request") or "Request" in parameter.annotation:
            values[name] = named("request")
        elif tables.HANDED_IN.search(parameter.annotation) or _is_depends(parameter):
            values[name] = named(name)
        elif tables.NARROW_TYPES.fullmatch(parameter.annotation):
            values[name] = CLEAN
        elif event and index == 0:
            values[name] = _from("request", "event", parameter)
        elif route is not None and not parameter.spread:
            values[name] = _routed(route, parameter)
        else:
            values[name] = _from("parameter", name, parameter)
    return values


def _routed(route: Route, parameter: p.Parameter) -> Value:
    name = parameter.id
    converter = route.converters.get(name)
    if converter in tables.NARROW_CONVERTERS:
        return CLEAN
    if converter is None and not route.is_api and parameter.default is None:
        return _from("parameter", name, parameter)
    value = _from("request", name, parameter)
    if converter in ("", "string", "default", "str"):
        return value._replace(taints=tuple(one._replace(cleared=tables.ONE_SEGMENT) for one in value.taints))
    return value


def _from(group: str, label: str, parameter: p.Parameter) -> Value:
    return Value((Taint(Source(group, label, parameter.start, parameter.end)),), name=label)


def _is_depends(parameter: p.Parameter) -> bool:
    default = parameter.default
    return (
        isinstance(default, p.Call)
        and isinstance(default.function, p.Name | p.Attribute)
        and (default.function.id if isinstance(default.function, p.Name) else default.function.name)
        in ("Depends", "Security")
    )


def _words(function: p.Function) -> set[str]:
    return {
        one.function.name
        for one in function.decorators
        if isinstance(one, p.Call) and isinstance(one.function, p.Attribute)
    }
