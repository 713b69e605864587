"""Questions about a piece of Python, made from its syntax tree, which knows the answers.

Seeded. Nothing is run but a few functions of the standard library that have no effects.
"""

from __future__ import annotations

import ast
import copy
import hashlib
import importlib
import logging
import random
import re
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from leanvibe_lsp.config.limits import limit

log = logging.getLogger(__name__)

Half = Literal["fit", "test"]

_OPTIONS = 4
_EXCEPTIONS = ("ValueError", "TypeError", "KeyError", "RuntimeError", "OSError", "IndexError", "AttributeError")
_LITERALS = ("None", "True", "False", "0", "1", "-1", "''")
EXCEPTION = re.compile(r"\b[A-Z]\w*(?:Error|Exception|Exit|Iteration|Interrupt|Warning)\b")
_DUNDER = re.compile(r"__\w+__")
# Functions of the standard library without effects, and what they are called with.
_CALLS: tuple[tuple[str, str, tuple[object, ...]], ...] = (
    ("bisect", "bisect_left", ([1, 3, 5], 3)),
    ("genericpath", "commonprefix", (["/usr/lib", "/usr/local"],)),
    ("heapq", "heappushpop", ([1, 4], 2)),
    ("html", "escape", ("a < b",)),
    ("ntpath", "isabs", ("docs/a.txt",)),
    ("posixpath", "basename", ("/tmp/a.txt",)),
    ("posixpath", "dirname", ("/tmp/a.txt",)),
    ("posixpath", "isabs", ("docs/a.txt",)),
    ("posixpath", "normcase", ("Docs",)),
    ("posixpath", "split", ("/tmp/a.txt",)),
    ("quopri", "unhex", ("1f",)),
    ("shlex", "join", (["ls", "my file"],)),
    ("shlex", "quote", ("my file",)),
    ("stat", "filemode", (0o100644,)),
    ("statistics", "median", ([3, 1, 2],)),
    ("statistics", "median_low", ([1, 3, 5, 7],)),
    ("statistics", "median_high", ([1, 3, 5, 7],)),
    ("string", "capwords", ("two words",)),
    ("textwrap", "shorten", ("one two three", 10)),
    ("calendar", "isleap", (2023,)),
    ("calendar", "leapdays", (2000, 2010)),
    ("operator", "countOf", ([1, 2, 1], 1)),
    ("operator", "indexOf", ([5, 6, 7], 6)),
)


@dataclass(frozen=True, slots=True)
class Question:
    """A question about `code`; `expected` is one of `choices`.

    `about` is the word that an answer in words would repeat for a plain yes.
    """

    source: str
    kind: str
    code: str
    text: str
    expected: str
    choices: tuple[str, ...]
    about: str = ""

    @property
    def half(self) -> Half:
        """Which side its source is on."""
        return "fit" if hashlib.sha256(self.source.encode()).digest()[0] % 2 else "test"


_Function = ast.FunctionDef | ast.AsyncFunctionDef
# What is asked, what is expected, the choices, and the word that an answer would repeat.
_Made = tuple[str, str, tuple[str, ...], str]
_Form = Callable[[_Function, random.Random], _Made | None]


def questions_about(name: str, text: str, rng: random.Random) -> list[list[Question]]:
    """Groups of questions about a few short pieces of a source: those that have the rarest kinds of questions."""
    tree = ast.parse(text)
    groups = [_about_function(name, node, _code_of(text, node, node), rng) for node in _functions(tree)]
    groups += [_about_pair(name, first, second, _code_of(text, first, second), rng) for first, second in _pairs(tree)]
    groups += [_about_class(name, node, _code_of(text, node, node), rng) for node in tree.body]
    groups += [_about_call(name, node, _code_of(text, node, node), rng) for node in _functions(tree)]
    groups = [group for group in groups if group]
    rng.shuffle(groups)
    groups.sort(key=lambda group: min(_RAREST.index(one.kind) for one in group))
    taken: list[list[Question]] = []
    seen: set[str] = set()
    for group in groups:  # a method stands in its class too: what was asked about is not asked about again
        if group[0].code not in seen and len(taken) < limit("evaluation.functions"):
            taken.append(group)
            seen.add(group[0].code)
    return taken


def _functions(tree: ast.Module) -> list[_Function]:
    return [node for node in ast.walk(tree) if isinstance(node, _Function) and not _DUNDER.fullmatch(node.name)]


def _pairs(tree: ast.Module) -> list[tuple[_Function, _Function]]:
    """Functions that follow on each other."""
    return [
        (one, other)
        for one, other in pairwise(tree.body)
        if isinstance(one, _Function) and isinstance(other, _Function) and one.name != other.name
    ]


def _about_function(name: str, node: _Function, code: str, rng: random.Random) -> list[Question]:
    """One question with a plain yes or no, and others."""
    if not _fits(code):
        return []
    made = {kind: form(node, rng) for kind, form in _FORMS.items()}
    found = [Question(name, kind, code, *one) for kind, one in made.items() if one is not None]
    found = [one for one in found if len(one.choices) > 1]
    answer = rng.choice(("yes", "no"))
    plain = [one for one in found if one.expected == answer]
    others = [one for one in found if one.expected not in ("yes", "no")]
    return others[:_OPTIONS] + ([rng.choice(plain)] if plain else [])


def _about_pair(name: str, first: _Function, second: _Function, code: str, rng: random.Random) -> list[Question]:
    """Which of two functions calls something."""
    if not _fits(code):
        return []
    calls = {node.name: _called(node) for node in (first, second)}
    caller = rng.choice(sorted(calls))
    other = next(one for one in calls if one != caller)
    single = sorted(calls[caller] - calls[other] - set(calls))
    if not single:
        return []
    text = f"Which function calls `{rng.choice(single)}`?"
    return [Question(name, "caller", code, text, caller, _options(caller, [other], rng))]


def _about_class(name: str, node: ast.stmt, code: str, rng: random.Random) -> list[Question]:
    """What a class inherits from."""
    if not isinstance(node, ast.ClassDef) or not _fits(code) or len(node.bases) != 1:
        return []
    base = node.bases[0]
    names = {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and one.id[0].isupper()}
    if not isinstance(base, ast.Name):
        return []
    options = _options(base.id, [*sorted(names), node.name, "object", "Exception", "dict"], rng)
    return [Question(name, "base", code, f"Which class does `{node.name}` inherit from?", base.id, options)]


def _about_call(name: str, node: _Function, code: str, rng: random.Random) -> list[Question]:
    """What a function returns on an input, found by calling it."""
    found = []
    for module, function, given in _CALLS:
        if (module, function) != (name, node.name) or not _fits(code):
            continue
        try:
            value = repr(getattr(importlib.import_module(module), function)(*copy.deepcopy(given)))
        except Exception as error:  # noqa: BLE001 - another Python may have another function of that name
            log.info("%s.%s is not asked about: %s", module, function, error)
            continue
        asked = f"{function}({', '.join(map(repr, given))})"
        inside = [repr(one) for one in given]
        options = _options(value, [*inside, *_LITERALS], rng)
        found.append(Question(name, "result", code, f"What does `{asked}` return?", value, options))
    return found


def _fits(code: str) -> bool:
    return limit("evaluation.code_least") <= len(code) <= limit("evaluation.code_most")


def _called(node: _Function) -> set[str]:
    return {one.func.id for one in _inside(node) if isinstance(one, ast.Call) and isinstance(one.func, ast.Name)}


def _code_of(text: str, first: ast.stmt, last: ast.stmt) -> str:
    """The lines from one to the other, as if they stood at the margin."""
    lines = text.splitlines(keepends=True)[first.lineno - 1 : last.end_lineno]
    return textwrap.dedent("".join(lines))


def _inside(node: _Function) -> list[ast.AST]:
    """All nodes of the body, without those of functions and classes inside it."""
    found: list[ast.AST] = []
    waiting: list[ast.AST] = list(node.body)
    while waiting:
        one = waiting.pop()
        found.append(one)
        if not isinstance(one, (*_Function.__args__, ast.Lambda, ast.ClassDef)):
            waiting += ast.iter_child_nodes(one)
    return found


def _parameters(node: _Function) -> list[str]:
    every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return [one.arg for one in every if one.arg not in ("self", "cls")]


def _defaults(node: _Function) -> dict[str, ast.expr]:
    plain = [one.arg for one in (*node.args.posonlyargs, *node.args.args)]
    given = dict(zip(plain[len(plain) - len(node.args.defaults) :], node.args.defaults, strict=True))
    named = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
    return given | {one.arg: value for one, value in named if value is not None}


def _options(expected: str, others: Iterable[str], rng: random.Random) -> tuple[str, ...]:
    """The expected one among a few others, in any order."""
    rest = [one for one in dict.fromkeys(others) if one != expected]
    picked = [expected, *rng.sample(rest, min(_OPTIONS - 1, len(rest)))]
    rng.shuffle(picked)
    return tuple(picked)


def _raises(node: _Function, rng: random.Random) -> _Made | None:
    names = set()
    for one in _inside(node):
        if isinstance(one, ast.Raise):
            raised = one.exc.func if isinstance(one.exc, ast.Call) else one.exc
            names.add(raised.id if isinstance(raised, ast.Name) else "")
    if len(names) != 1 or not EXCEPTION.fullmatch(name := names.pop()):
        return None
    return f"Which exception does `{node.name}` raise?", name, _options(name, _EXCEPTIONS, rng), ""


def _has_default(node: _Function, rng: random.Random) -> _Made | None:
    defaults, names = _defaults(node), _parameters(node)
    if len(defaults) != 1 or len(names) < 2:
        return None
    name = next(iter(defaults))
    return f"Which argument of `{node.name}` has a default value?", name, _options(name, names, rng), ""


def _default_value(node: _Function, rng: random.Random) -> _Made | None:
    plain = {name: value.value for name, value in _defaults(node).items() if isinstance(value, ast.Constant)}
    if not plain:
        return None
    name = rng.choice(sorted(plain))
    value = repr(plain[name])
    return f"What is the default value of `{name}` in `{node.name}`?", value, _options(value, _LITERALS, rng), ""


def _how_many(node: _Function, rng: random.Random) -> _Made | None:
    if node.args.vararg or node.args.kwarg or len(_parameters(node)) != len(node.args.args) + len(node.args.kwonlyargs):
        return None  # what counts as a parameter is a matter of taste there
    number = len(_parameters(node))
    return f"How many parameters does `{node.name}` have?", str(number), _options(str(number), "01234", rng), ""


def _calls(node: _Function, rng: random.Random) -> _Made | None:
    """Which of several functions is called with a certain argument's name."""
    called: dict[str, set[str]] = {}
    for one in _inside(node):
        if isinstance(one, ast.Call) and isinstance(one.func, ast.Name):
            for given in one.args:
                if isinstance(given, ast.Name):
                    called.setdefault(given.id, set()).add(one.func.id)
    single = sorted(name for name, functions in called.items() if len(functions) == 1)
    every = {function for functions in called.values() for function in functions}
    if not single or len(every) < 2:
        return None
    name = rng.choice(single)
    expected = next(iter(called[name]))
    if expected == name:
        return None
    options = _options(expected, sorted(every), rng)
    return f"Which function does `{node.name}` call with `{name}` as an argument?", expected, options, ""


def _takes(node: _Function, rng: random.Random) -> _Made | None:
    names = _parameters(node)
    local = {one.id for one in _inside(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}
    yes = rng.random() < 0.5
    pool = names if yes else sorted(local - set(names))
    if not pool or node.args.vararg or node.args.kwarg:
        return None
    name = rng.choice(pool)
    return f"Does `{node.name}` take an argument called `{name}`?", "yes" if yes else "no", ("yes", "no"), name


def _loops(node: _Function, rng: random.Random) -> _Made | None:
    inside = _inside(node)
    if any(isinstance(one, (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.Lambda)) for one in inside):
        return None  # is that a loop?
    found = any(isinstance(one, (ast.For, ast.While, ast.AsyncFor)) for one in inside)
    return f"Is there a loop in `{node.name}`?", "yes" if found else "no", ("yes", "no"), "loop"


def _may_raise(node: _Function, rng: random.Random) -> _Made | None:
    found = any(isinstance(one, ast.Raise) for one in _inside(node))
    return f"Is there a raise statement in `{node.name}`?", "yes" if found else "no", ("yes", "no"), "raise"


def _returned(node: _Function, rng: random.Random) -> _Made | None:
    """A function of which every return gives the same plain value, or none at all."""
    values = [one.value for one in _inside(node) if isinstance(one, ast.Return)]
    generates = any(isinstance(one, (ast.Yield, ast.YieldFrom)) for one in _inside(node))
    plain = {repr(one.value) for one in values if isinstance(one, ast.Constant)}
    if generates or len(plain) != 1 or len(values) != 1:
        return None
    value = plain.pop()
    return f"Which constant does `{node.name}` return?", value, _options(value, _LITERALS, rng), ""


_FORMS: dict[str, _Form] = {
    "raises": _raises,
    "has default": _has_default,
    "default value": _default_value,
    "how many": _how_many,
    "calls": _calls,
    "takes": _takes,
    "loops": _loops,
    "may raise": _may_raise,
    "returns": _returned,
}
_RAREST = (
    "result", "returns", "raises", "has default", "default value", "base", "caller", "calls", "how many", "takes",
    "may raise", "loops",
)  # fmt: skip
