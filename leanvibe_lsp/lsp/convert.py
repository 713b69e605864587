"""Between LSP's values and ours. Columns in a client's units end here: inside there are code-point offsets."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from enum import Enum
from functools import lru_cache
from typing import Protocol, cast

from cattrs import Converter
from lsprotocol import types
from pygls.protocol import default_converter

from leanvibe_lsp.core.text import Encoding, LineIndex, Position, Span
from leanvibe_lsp.documents.store import Change

_log = logging.getLogger(__name__)


class WirePosition(Protocol):
    """LSP's Position, whichever library made it."""

    @property
    def line(self) -> int:
        """Zero-based."""
        ...

    @property
    def character(self) -> int:
        """In the units agreed on."""
        ...


class WireRange(Protocol):
    """LSP's Range, whichever library made it."""

    @property
    def start(self) -> WirePosition:
        """The first position in it."""
        ...

    @property
    def end(self) -> WirePosition:
        """The first position behind it."""
        ...


@lru_cache(maxsize=1)
def shared_converter() -> Converter:
    """lsprotocol's converter, built once for all connections; it holds no state of any.

    Unlike cattrs it turns nothing into a number, a text or a truth value that is none: such params are refused.
    """
    converter = cast(Converter, default_converter())  # type: ignore[no-untyped-call]
    converter.register_structure_hook(int, _whole_number)
    converter.register_structure_hook(str, _text)
    converter.register_structure_hook(bool, _truth_value)
    # A number or a name that LSP's enums do not know stays what it was, and goes back to the client as that.
    converter.register_unstructure_hook_func(_is_enum, lambda value: getattr(value, "value", value))
    return converter


def encoding_of(kind: str) -> Encoding:
    """Our name for the position encoding that was agreed on."""
    return Encoding(str(getattr(kind, "value", kind)))


def to_position(position: WirePosition) -> Position:
    """The same place, still in the client's units."""
    return Position(position.line, position.character)


def to_span(wire: WireRange, lines: LineIndex, encoding: Encoding) -> Span:
    """The range in code-point offsets, clamped into the text; one given backwards is turned round."""
    start, end = sorted(lines.offset(to_position(at), encoding) for at in (wire.start, wire.end))
    return Span(start, end)


def to_range(span: Span, lines: LineIndex, encoding: Encoding) -> types.Range:
    """The span in the client's units."""
    start, end = (lines.position(offset, encoding) for offset in (span.start, span.end))
    return types.Range(types.Position(start.line, start.character), types.Position(end.line, end.character))


def to_changes(params: types.DidChangeTextDocumentParams) -> list[Change]:
    """The edits of one didChange, in order."""
    return [
        Change(change.text, to_position(change.range.start), to_position(change.range.end))
        if isinstance(change, types.TextDocumentContentChangePartial)
        else Change(change.text)
        for change in params.content_changes
    ]


def tolerant_code_action(raw: object, converter: Converter) -> object:
    """The params of a list of code actions without the diagnostics that do not fit: each costs itself only."""
    context = raw.get("context") if isinstance(raw, Mapping) else None
    given = context.get("diagnostics") if isinstance(context, Mapping) else None
    if not isinstance(raw, Mapping) or not isinstance(context, Mapping) or not isinstance(given, list):
        return raw
    kept = [one for one in given if _fits(one, types.Diagnostic, converter)]
    if len(kept) == len(given):
        return raw
    _log.info("%d diagnostics that the client sent do not fit LSP; ignored.", len(given) - len(kept))
    return {**raw, "context": {**context, "diagnostics": kept}}


def _fits(value: object, kind: type[object], converter: Converter) -> bool:
    try:
        converter.structure(value, kind)
    except Exception:  # noqa: BLE001 - cattrs raises whatever its hooks raise
        return False
    return True


def _is_enum(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, Enum)


def _whole_number(value: object, _: type[int]) -> int:
    # Some clients write every number as a float.
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise TypeError("a whole number is needed")
    return int(value)


def _text(value: object, _: type[str]) -> str:
    if not isinstance(value, str):
        raise TypeError("a string is needed")
    return value


def _truth_value(value: object, _: type[bool]) -> bool:
    if not isinstance(value, bool):
        raise TypeError("true or false is needed")
    return value


def tolerant_initialize(raw: object, converter: Converter) -> object:
    """The params of initialize without the client capabilities that do not fit: each costs itself only."""
    given = raw.get("capabilities") if isinstance(raw, Mapping) else None
    if not isinstance(raw, Mapping) or not isinstance(given, Mapping):
        return raw
    kept = {}
    for name, value in given.items():
        if _fits({name: value}, types.ClientCapabilities, converter):
            kept[name] = value
        else:
            _log.warning("The client's capabilities under %r do not fit LSP; ignored.", name)
    return {**raw, "capabilities": kept}
