"""The definitions of a document: what they are called, where they stand, what they look like from outside.

Broken code gives what tree-sitter could still recognise. Deliberately absent: variables, and anything that needs more
than this file.
"""

from __future__ import annotations

import re

from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents.grammars import language_of, syntax
from leanvibe_lsp.documents.outlines import Reading, query_of, read
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.documents.symbols import Outline as Outline
from leanvibe_lsp.documents.symbols import Symbol as Symbol
from leanvibe_lsp.documents.syntax import Earlier

_WORD = re.compile(r"[\w$]+")
_IDENTIFIERS = ("identifier", "constant", "word", "name")


def outline(snapshot: Snapshot) -> Outline:
    """The structure of the document; empty when it cannot be parsed (`grammars.obstacle` says why). Any thread."""
    language = language_of(snapshot.language_id, snapshot.path)
    if language is None or query_of(language) is None:
        return Outline()
    found = syntax(snapshot)
    if found is None:
        return Outline()

    def work_out(earlier: Earlier[Reading] | None) -> Reading:
        return read(snapshot, language, found, earlier)

    return found.fact("outline", work_out).outline


def symbols(snapshot: Snapshot) -> tuple[Symbol, ...]:
    """Every definition in the order of the text; one that contains others comes before them."""
    return outline(snapshot).symbols


def imports(snapshot: Snapshot) -> tuple[Span, ...]:
    """The import statements outside functions and classes, in the order of the text."""
    return outline(snapshot).imports


def chain(snapshot: Snapshot, offset: int) -> tuple[Symbol, ...]:
    """All definitions around a code-point offset, outermost first.

    The very end of one belongs to it, unless another begins there.
    """
    found = [symbol for symbol in symbols(snapshot) if symbol.span.start <= offset <= symbol.span.end]
    return tuple(symbol for symbol in found if offset < symbol.span.end or not _begins_at(found, offset))


def symbol_at(snapshot: Snapshot, offset: int) -> Symbol | None:
    """The definition whose name is under the cursor: itself, or the one of this file that the identifier there names.

    Of several with that name the one nearest in scope. None on anything else, and in comments and strings.
    """
    word = _word_at(snapshot.text, offset)
    if word is None:
        return None
    name = snapshot.text[word.start : word.end]
    named = [symbol for symbol in symbols(snapshot) if _bare(symbol.name) == _bare(name)]
    for symbol in named:
        if symbol.name_span.start <= word.start and word.end <= symbol.name_span.end:
            return symbol
    if not named or not _is_identifier(snapshot, word):
        return None
    here = tuple(symbol.name for symbol in chain(snapshot, word.start))
    return max(named, key=lambda symbol: _shared(symbol.parents, here))


def _begins_at(found: list[Symbol], offset: int) -> bool:
    return any(symbol.span.start == offset for symbol in found)


def _word_at(text: str, offset: int) -> Span | None:
    """The word that touches the offset."""
    start = max(0, min(offset, len(text)))
    while start > 0 and _WORD.match(text[start - 1]):
        start -= 1
    found = _WORD.match(text, start)
    return Span(start, found.end()) if found and found.end() >= offset else None


def _bare(name: str) -> str:
    """The name without the marks that belong to it in its language only: `#x`, `~X`, `x?`."""
    return name.strip("#~?!=@")


def _is_identifier(snapshot: Snapshot, word: Span) -> bool:
    found = syntax(snapshot)
    if found is None:
        return False
    start, end = found.bytes.byte(word.start), found.bytes.byte(word.end)
    node = found.tree.root_node.descendant_for_byte_range(start, end)
    return node is not None and node.type.endswith(_IDENTIFIERS)


def _shared(parents: tuple[str, ...], here: tuple[str, ...]) -> int:
    """How many names two paths share from the outside; less for a symbol whose scope is not around here."""
    same = 0
    for one, other in zip(parents, here, strict=False):
        if one != other:
            break
        same += 1
    return same if same == len(parents) else same - len(parents)
