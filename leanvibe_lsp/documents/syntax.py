"""Syntax trees, one a text. The tree of an edited text is made from the one before, and what changed is known.

What is known of a text lives as long as the text, and what was worked out about it is handed on to the next one, so
that only the changed places need a second look. Trees take twenty times the memory of their texts: those that were not
asked for lately rest, and are made anew when they are. Any thread; a `Syntax` is shared, its tree must never be edited.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from threading import Lock, RLock
from typing import Generic, TypeVar, cast
from weakref import ref

from tree_sitter import Language, Parser, Tree

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.edits import TextEdit
from leanvibe_lsp.core.text import LineIndex, Span
from leanvibe_lsp.documents.bytemap import ByteMap

_GROWN = 2  # texts that keep their trees, of those made by edits and of the others; working memory, not a limit

_SURROGATE = re.compile("[\ud800-\udfff]")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Region:
    """What stood at `old` in one text became what stands at `new` in a later one."""

    old: Span
    new: Span


@dataclass(frozen=True, slots=True)
class Earlier(Generic[_T]):
    """What was worked out about an earlier text, the edits since, and the spans of today that are not as they were.

    Outside of `changed` neither the text nor its structure is different; the spans are sorted and do not touch.
    """

    value: _T
    regions: tuple[Region, ...]
    changed: tuple[Span, ...]


class Syntax:
    """The tree of one text in one language; `data` is the text in UTF-8 that its byte offsets are of.

    `tangled` says that a query took too long on it: see `documents/queries.py`; `edited`, that the text was made by an
    edit. Of two, the one whose tree was asked for later has the larger `asked`.
    """

    def __init__(self, language: Language, tree: Tree, data: bytes, *, edited: bool = False) -> None:
        self.language = language
        self.data = data
        self.edited = edited
        self.tangled = False
        self.asked = next(_asked)
        self._tree: Tree | None = tree
        self._facts: dict[str, object] = {}
        self._earlier: dict[str, Earlier[object]] = {}
        self._lock = RLock()

    @property
    def tree(self) -> Tree:
        """The tree; made anew when it rested. Ask once where nodes are compared."""
        self.asked = next(_asked)
        if (tree := self._tree) is None:
            tree = self._tree = _tree(self.language, self.data)
            _let_rest()
        return tree

    @property
    def rests(self) -> bool:
        """Whether there is no tree at present."""
        return self._tree is None

    def rest(self) -> None:
        """Let go of the tree until it is asked for, unless something is being worked out.

        What was worked out stays, but not about broken code: how that is mended depends on what stood there before, so
        the next tree may be another one.
        """
        if not self._lock.acquire(blocking=False):
            return
        try:
            if self._tree is not None and self._tree.root_node.has_error:
                self._facts.clear()
                self._earlier.clear()
            self._tree = None
        finally:
            self._lock.release()

    @cached_property
    def bytes(self) -> ByteMap:
        """Byte offsets to code-point offsets and back."""
        return ByteMap(self.data)

    def fact(self, name: str, work_out: Callable[[Earlier[_T] | None], _T]) -> _T:
        """What `work_out` gives, remembered for this text; it is shown what it gave for an earlier one, if it did."""
        with self._lock:
            if name not in self._facts:
                self._facts[name] = work_out(cast("Earlier[_T] | None", self._earlier.get(name)))
                self._earlier.pop(name, None)
            return cast("_T", self._facts[name])

    def inherit(self, base: Syntax, tree: Tree, regions: tuple[Region, ...]) -> None:
        """Take over what is known of `base`, whose text `regions` made this one; `tree` is its tree, told of them."""
        with base._lock:
            facts, earlier = dict(base._facts), dict(base._earlier)
        if not facts and not earlier:
            return
        spans = [
            Span(self.bytes.character(one.start_byte), self.bytes.character(one.end_byte))
            for one in tree.changed_ranges(self.tree)
        ]
        spans += [region.new for region in regions]
        self._earlier = {name: Earlier(value, regions, merged(spans)) for name, value in facts.items()}
        for name in earlier.keys() - facts.keys():
            one = earlier[name]
            since = one.regions
            for region in reversed(regions):
                since = spliced(since, region.old, region.new.end - region.new.start)
            kept = [Span(moved(span.start, regions), moved(span.end, regions)) for span in one.changed]
            self._earlier[name] = Earlier(one.value, since, merged([*kept, *spans]))


@dataclass(frozen=True, slots=True)
class _Due:
    """A tree not made yet: to be made from that of `base`, whose text the regions made this one."""

    base: _Text
    regions: tuple[Region, ...]


class _Text:
    """What is known of one text. `lock` is held while it is parsed, which `asked` says has begun."""

    __slots__ = ("asked", "lock", "state")

    def __init__(self) -> None:
        self.asked = False
        self.lock = Lock()
        self.state: Syntax | _Due | None = None


# By identity: two documents may have one text, and hashing a long text takes longer than looking it up.
_texts: dict[int, tuple[ref[LineIndex], _Text]] = {}
_lock = RLock()
_asked = count()


def syntax_of(lines: LineIndex, language: Language) -> Syntax:
    """The syntax of a text; parsed once, from an earlier text's tree where `edited` knows one."""
    text = _text_of(lines)
    text.asked = True
    with text.lock:
        state = text.state
        if isinstance(state, Syntax) and state.language == language:
            return state
        base = _base(state) if isinstance(state, _Due) else None
        if base is not None and isinstance(state, _Due) and base.language == language:
            made = _reparsed(lines.text, base, state.regions)
        else:
            data = encoded(lines.text)
            made = Syntax(language, _tree(language, data), data, edited=isinstance(state, _Due))
        text.state = made
    _let_rest()
    return made


def known_syntax(lines: LineIndex) -> Syntax | None:
    """The syntax of a text that was parsed already."""
    with _lock:
        known = _texts.get(id(lines))
    return known[1].state if known is not None and isinstance(known[1].state, Syntax) else None


def edited(lines: LineIndex, edit: TextEdit) -> LineIndex:
    """The text with the edit made; its tree will be made from the tree of `lines`. Cheap: nothing is parsed yet."""
    after = lines.edited(edit.span, edit.text)
    with _lock:
        known = _texts.get(id(lines))
    if known is not None:
        before, state = known[1], known[1].state
        if isinstance(state, _Due) and not before.asked:
            _text_of(after).state = _Due(state.base, spliced(state.regions, edit.span, len(edit.text)))
        else:
            _text_of(after).state = _Due(before, spliced((), edit.span, len(edit.text)))
    return after


def encoded(text: str) -> bytes:
    """The bytes that tree-sitter gets. A lone surrogate becomes U+FFFD, three bytes too: what it cannot be is UTF-8."""
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        return _SURROGATE.sub("\ufffd", text).encode("utf-8")


def spliced(regions: tuple[Region, ...], span: Span, length: int) -> tuple[Region, ...]:
    """The regions after one more edit: `span` of the text they led to is replaced by `length` characters."""
    grown = length - (span.end - span.start)
    before = [region for region in regions if region.new.end < span.start]
    touched = [region for region in regions if region.new.end >= span.start and region.new.start <= span.end]
    after = regions[len(before) + len(touched) :]
    if len(before) + len(after) >= limit("document.journal_edits"):  # scattered all over: one region will do
        before, touched, after = [], list(regions), ()
    shift = before[-1].old.end - before[-1].new.end if before else 0
    start, old_start, end, old_end = span.start, span.start + shift, span.end, span.end + shift
    if touched:
        first, last = touched[0], touched[-1]
        start, end = min(span.start, first.new.start), max(span.end, last.new.end)
        old_start, old_end = first.old.start - (first.new.start - start), last.old.end + (end - last.new.end)
    made = Region(Span(old_start, old_end), Span(start, end + grown))
    behind = [Region(one.old, Span(one.new.start + grown, one.new.end + grown)) for one in after]
    return (*before, made, *behind)


def moved(offset: int, regions: tuple[Region, ...]) -> int:
    """Where an offset of the text before the regions stands after them; inside of one, its end."""
    shift = 0
    for region in regions:
        if offset < region.old.start:
            break
        if offset <= region.old.end:
            return region.new.end
        shift = region.new.end - region.old.end
    return offset + shift


def merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    """The same places as sorted spans that do not touch."""
    found: list[Span] = []
    for span in sorted(spans, key=lambda span: span.start):
        if found and span.start <= found[-1].end:
            found[-1] = Span(found[-1].start, max(found[-1].end, span.end))
        else:
            found.append(span)
    return tuple(found)


def _text_of(lines: LineIndex) -> _Text:
    key = id(lines)
    with _lock:
        known = _texts.get(key)
        if known is None:
            known = _texts[key] = ref(lines, lambda _: _texts.pop(key, None)), _Text()
        return known[1]


def _base(due: _Due) -> Syntax | None:
    with due.base.lock:  # its parse may be under way in another thread
        return due.base.state if isinstance(due.base.state, Syntax) else None


def _let_rest() -> None:
    """A tree was made: those not asked for lately rest.

    Edited texts are looked at apart, for the next edit needs their trees: a search through other files does not cost
    them theirs.
    """
    with _lock:
        states = [text.state for _, text in _texts.values()]
    grown = [state for state in states if isinstance(state, Syntax) and not state.rests]
    grown.sort(key=lambda one: one.asked, reverse=True)
    for by_edit in (True, False):
        for one in [one for one in grown if one.edited is by_edit][_GROWN:]:
            one.rest()


def _tree(language: Language, data: bytes, old: Tree | None = None) -> Tree:
    # In one piece, although the interpreter's lock is held meanwhile: of a text that is read in pieces the library
    # (0.26.1) never lets go.
    parser = Parser(language)
    return parser.parse(data) if old is None else parser.parse(data, old)


def _reparsed(text: str, base: Syntax, regions: tuple[Region, ...]) -> Syntax:
    old, data = base.tree.copy(), base.data
    parts: list[bytes] = []
    for region in reversed(regions):  # from the end, so that what stands before keeps its place
        start, end = base.bytes.byte(region.old.start), base.bytes.byte(region.old.end)
        new = encoded(text[region.new.start : region.new.end])
        point = _point(base.data, start)
        ends = _beyond(point, base.data[start:end]), _beyond(point, new)
        old.edit(start, end, start + len(new), point, *ends)
        parts += (data[end:], new)
        data = data[:start]
    data = b"".join((data, *reversed(parts)))
    made = Syntax(base.language, _tree(base.language, data, old), data, edited=True)
    made.inherit(base, old, regions)
    return made


def _point(data: bytes, at: int) -> tuple[int, int]:
    """Row and column in tree-sitter's terms: a row ends at a line feed, a column counts bytes."""
    return data.count(b"\n", 0, at), at - data.rfind(b"\n", 0, at) - 1


def _beyond(point: tuple[int, int], data: bytes) -> tuple[int, int]:
    rows, column = _point(data, len(data))
    return point[0] + rows, column if rows else point[1] + column
