"""Definitions as plain values, and how they stand in each other. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from leanvibe_lsp.core.text import Span

_TYPE_KINDS = frozenset({"class", "struct", "union", "interface", "trait", "impl", "enum", "record"})
_SPACES = frozenset({"module", "namespace"})
Own = tuple[str, tuple[str, ...]]  # kind and parents of a symbol before the symbols around it are known


@dataclass(frozen=True, slots=True)
class Symbol:
    """One definition. `span` includes decorators and `export`; `header` is the part of it before the body.

    `signature` is the header on one line, without decorators; `docstring` is dedented, "" when there is none; `parents`
    are the names around it, outermost first; `line_count` counts the lines that `span` touches; `parameters` are names
    in order, and the pattern where a parameter is taken apart.
    """

    name: str
    kind: str
    span: Span
    name_span: Span
    header: Span
    signature: str
    docstring: str
    parents: tuple[str, ...]
    line_count: int
    parameters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outline:
    """What one parse says about a document's structure; `preamble` is the file's own docstring or first comment."""

    symbols: tuple[Symbol, ...] = ()
    imports: tuple[Span, ...] = ()
    preamble: Span | None = None


def nest(found: Iterable[tuple[Symbol, Own]]) -> tuple[Symbol, ...]:
    """Give every symbol the names of those around it; a function directly in a type is a method."""
    nested: list[Symbol] = []
    around: list[Symbol] = []
    for symbol, (kind, parents) in found:
        while around and (around[-1].span.end < symbol.span.end or around[-1].span.end <= symbol.span.start):
            around.pop()
        if around:
            kind = "method" if kind == "function" and around[-1].kind in _TYPE_KINDS else kind
            parents = (*around[-1].parents, around[-1].name, *parents)
        if symbol.kind != kind or symbol.parents != parents:
            symbol = replace(symbol, kind=kind, parents=parents)
        nested.append(symbol)
        around.append(symbol)
    return tuple(nested)


def outside(imports: Iterable[Span], symbols: Iterable[Symbol]) -> tuple[Span, ...]:
    """The imports outside of functions and classes."""
    spans, closed = list[Span](), 0
    closing = iter([symbol.span for symbol in symbols if symbol.kind not in _SPACES])
    current = next(closing, None)
    for span in imports:
        while current is not None and current.start <= span.start:
            closed = max(closed, current.end)
            current = next(closing, None)
        if span.start >= closed and (not spans or span.start >= spans[-1].end):
            spans.append(span)
    return tuple(spans)
