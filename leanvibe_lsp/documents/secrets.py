"""Secrets never enter a prompt: files that hold them by their name, and strings that look like them.

A string that is taken for one is replaced by a marker with as many line endings, so that line numbers hold. What is
found is remembered as long as the text lives. A false alarm costs the model one literal; so in doubt it is hidden.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from threading import Lock
from weakref import WeakKeyDictionary

from leanvibe_lsp.config.secret_files import secret_file
from leanvibe_lsp.core.edits import TextEdit, applied
from leanvibe_lsp.core.globs import paths_of
from leanvibe_lsp.core.text import LineIndex, Span
from leanvibe_lsp.documents.grammars import language_of
from leanvibe_lsp.documents.secret_forms import spans
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.errors import UsageError

# fmt: off
_LANGUAGES_WITHOUT_BARE_STRINGS = frozenset((
    "python", "javascript", "typescript", "tsx", "go", "rust", "java", "c", "cpp", "csharp", "ruby", "php", "kotlin",
    "scala", "swift", "lua", "objc", "haskell", "ocaml",
))
# fmt: on
_SHORTEST_ELSEWHERE = 6  # a shorter one is hidden where it is given to a name, not wherever its letters stand
_SEARCHED_ONE_BY_ONE = 16  # as many values; more are looked for in one pass
_SHORT = 512  # what that pass finds; there are few longer ones
_MARK = re.compile(r"(\[_*+secret \d{1,9}\])[\r\n]*+")
_ENDINGS = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Cover:
    """A text without its secrets. `edits` made it of the original; `values` are to be hidden in other texts too."""

    lines: LineIndex
    edits: tuple[TextEdit, ...]
    values: tuple[str, ...]
    marks: Mapping[str, str] = field(default_factory=dict)  # what stands for each secret

    @property
    def count(self) -> int:
        """How many places were hidden."""
        return len(self.edits)

    def moved(self, span: Span) -> Span:
        """Where a span of the original is now; one that touches a secret holds all of its marker."""
        start, end, grown = span.start, span.end, 0
        for edit in self.edits:
            if edit.span.start >= span.end and edit.span.start >= span.start:
                break
            at, longer = edit.span.start + grown, len(edit.text) - (edit.span.end - edit.span.start)
            if edit.span.end <= span.start:
                start += longer
            elif edit.span.start < span.start:
                start = at
            end = end + longer if edit.span.end <= span.end else at + len(edit.text)
            grown += longer
        return Span(start, max(start, end))

    def restored(self, text: str, original: str) -> str:
        """A text that a model wrote from the covered one, with each marker made what it stands for again."""
        meant = {edit.text: original[edit.span.start : edit.span.end] for edit in self.edits}
        endings = {mark.rstrip("\r\n"): mark for mark in meant}

        def put_back(found: re.Match[str]) -> str:
            mark = endings.get(found[1])
            if mark is None or not found[0].startswith(mark):
                return found[0]
            return meant[mark] + found[0][len(mark) :]

        return _MARK.sub(put_back, text)

    def hidden(self, text: str) -> str:
        """Another text with the same markers for the same secrets."""
        edits = [TextEdit(span, self._mark(text[span.start : span.end])) for span in _places(text, self.values)]
        return applied(text, edits)

    def _mark(self, value: str) -> str:
        return self.marks.get(value, "[secret]").rstrip("\r\n")


# By text, and whether its language has strings without quotes; None: there is nothing to hide.
_covers: WeakKeyDictionary[LineIndex, tuple[bool, Cover | None]] = WeakKeyDictionary()
_lock = Lock()


def withheld(snapshot: Snapshot, globs: Sequence[str] = ()) -> str | None:
    """Why no model may see this document, open or on disk, by any of its names; None when one may. Follows links."""
    names = list(paths_of(snapshot.uri))
    if snapshot.path is not None:
        names.append(snapshot.path.as_posix())
        with suppress(OSError, RuntimeError, ValueError):  # a link that leads nowhere, or round and round
            names.append(Path(snapshot.path).resolve().as_posix())
    return next((reason for name in names if (reason := secret_file(name, globs)) is not None), None)


def refuse(snapshot: Snapshot, globs: Sequence[str] = ()) -> None:
    """Raise UsageError for a document that no model may see."""
    if (reason := withheld(snapshot, globs)) is not None:
        raise UsageError(
            f"{paths_of(snapshot.uri)[0]} is not shown to a model: {reason}.",
            next_step="Copy what the question is about, without the secrets, into a file of another name.",
        )


def cover(snapshot: Snapshot, also: Iterable[str] = ()) -> Cover | None:
    """The text without secrets; None when there are none. `also`: what was found to be one elsewhere. Any thread."""
    language = language_of(snapshot.language_id, snapshot.path)
    bare_strings = language not in _LANGUAGES_WITHOUT_BARE_STRINGS
    with _lock:
        known = _covers.get(snapshot.lines)
    if known is None or known[0] != bare_strings:
        known = bare_strings, _cover(snapshot.text, (), bare_strings=bare_strings)
        with _lock:
            _covers[snapshot.lines] = known
    found = known[1]
    also = set(also).difference(() if found is None else found.values)
    return _cover(snapshot.text, also, bare_strings=bare_strings) if _places(snapshot.text, also) else found


def covered(snapshot: Snapshot, found: Cover | None) -> Snapshot:
    """The document as a model may see it; itself when there is nothing to hide."""
    return snapshot if found is None else replace(snapshot, text=found.lines.text, lines=found.lines)


def covered_text(text: str, also: Collection[str] = ()) -> str:
    """A text that is no document, without secrets."""
    found = _cover(text, also, bare_strings=True)
    return text if found is None else found.lines.text


def _cover(text: str, also: Collection[str], *, bare_strings: bool) -> Cover | None:
    own = _merged(spans(text, bare_strings=bare_strings))
    # The same value again, where no name gives it away.
    own = _merged([*own, *_places(text, filter(_telling, _values(text, own)))])
    # Numbered after its own: what a marker stands for must not depend on what is known of other texts.
    others = _outside(list(_places(text, also)), own)
    values = tuple(dict.fromkeys((*_values(text, own), *_values(text, others))))
    if not values:
        return None
    word = "secret"
    while f"[{word} " in text:
        word = f"_{word}"
    marks = {
        value: f"[{word} {number}]{''.join(_ENDINGS.findall(value))}" for number, value in enumerate(values, start=1)
    }
    edits = tuple(TextEdit(span, marks[text[span.start : span.end]]) for span in _merged([*own, *others]))
    return Cover(LineIndex(applied(text, edits)), edits, tuple(filter(_telling, values)), marks)


def _values(text: str, spans: Sequence[Span]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text[span.start : span.end] for span in spans))


def _outside(spans: Sequence[Span], taken: Sequence[Span]) -> list[Span]:
    """The parts of the spans that none of `taken` holds; both are sorted and do not overlap."""
    left: list[Span] = []
    near = 0
    for span in spans:
        at = span.start
        while near < len(taken) and taken[near].end <= at:
            near += 1
        for one in islice(taken, near, None):
            if one.start >= span.end:
                break
            if one.start > at:
                left.append(Span(at, one.start))
            at = max(at, one.end)
        if at < span.end:
            left.append(Span(at, span.end))
    return left


def _telling(value: str) -> bool:
    """Whether a secret is one wherever it stands: short ones and words are, where they mean nothing, mere text."""
    return len(value) >= _SHORTEST_ELSEWHERE and not value.isalpha()


def _places(text: str, values: Iterable[str]) -> list[Span]:
    """Where the values stand, in the order of the text; of two that overlap the first."""
    values = list(values)
    if len(values) <= _SEARCHED_ONE_BY_ONE:
        return _merged(Span(at, at + len(value)) for value in values for at in _all(text, value))
    short = sorted(value for value in values if len(value) <= _SHORT)
    found = [Span(at, at + len(value)) for value in values if len(value) > _SHORT for at in _all(text, value)]
    starts = {value[:_SHORTEST_ELSEWHERE] for value in short}
    at, end = 0, len(text) - _SHORTEST_ELSEWHERE
    while at <= end:
        longest = _longest(short, text[at : at + _SHORT]) if text[at : at + _SHORTEST_ELSEWHERE] in starts else 0
        if longest:
            found.append(Span(at, at + longest))
        at += longest or 1
    return _merged(found)


def _longest(ordered: Sequence[str], text: str) -> int:
    """The length of the longest of sorted values that the text begins with; 0 for none."""
    while text:
        # Of values that a text begins with, the longest comes last before it, unless others begin like it.
        value = ordered[bisect_right(ordered, text) - 1]
        if text.startswith(value):
            return len(value)
        alike = zip(value, text, strict=False)
        text = text[: next(at for at, (one, other) in enumerate(alike) if one != other)] if value <= text else ""
    return 0


def _all(text: str, part: str) -> Iterator[int]:
    at = text.find(part)
    while at >= 0:
        yield at
        at = text.find(part, at + len(part))


def _merged(spans: Iterable[Span]) -> list[Span]:
    """In the order of the text; those that touch the same characters become one."""
    merged: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start, span.end)):
        if merged and span.start < merged[-1].end:
            merged[-1] = Span(merged[-1].start, max(merged[-1].end, span.end))
        else:
            merged.append(span)
    return merged
