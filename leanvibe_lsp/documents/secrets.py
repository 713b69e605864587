"""Secrets never enter a prompt: files that hold them by their name, and strings that look like them.

A string that is taken for one is replaced by a marker with as many line endings, so that line numbers hold. What is
found is remembered as long as the text lives. A false alarm costs the model one literal; so in doubt it is hidden.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from weakref import WeakKeyDictionary

from leanvibe_lsp.config.secret_files import secret_file
from leanvibe_lsp.core.edits import TextEdit, applied
from leanvibe_lsp.core.globs import paths_of
from leanvibe_lsp.core.text import LineIndex, Span
from leanvibe_lsp.documents.grammars import language_of
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.errors import UsageError

# How a secret begins, and all of it from there; where there is a group, that is the secret. Formats are those their
# makers publish.
_KINDS = tuple(
    (start, re.compile(pattern))
    for starts, pattern in (
        (
            "-----BEGIN",
            r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----(?:(?:[^-]|-(?!----)){0,20000}+-----END[A-Z0-9 ]*-----"
            r"|(?:[^A-Za-z0-9+/=\r\n]{0,8}[A-Za-z0-9+/=]{16,}+[^\w\r\n]{0,8}(?:\r\n|\r|\n)?)*+)",
        ),
        ("AKIA ASIA ABIA ACCA", r"(?<![A-Z0-9])A...[A-Z0-9]{16}(?![A-Z0-9])"),
        ("ghp_ gho_ ghu_ ghs_ ghr_", r"gh[pousr]_[A-Za-z0-9]{30,255}"),
        ("github_pat_", r"github_pat_\w{22,255}"),
        ("glpat- gldt- glrt-", r"gl..?t-[\w-]{20,}"),
        ("xox xapp-", r"(?:xox[a-z]|xapp)-[\w-]{10,}"),
        ("hooks.slack.com/services/", r"hooks\.slack\.com/services/([\w/+-]{20,})"),
        ("sk-", r"(?<![\w-])sk-[\w-]{20,}"),
        ("sk_live_ rk_live_ sk_test_ rk_test_", r"[sr]k_(?:live|test)_\w{10,}"),
        ("whsec_", r"whsec_[\w+/=]{16,}"),
        ("AIza", r"AIza[\w-]{35}"),
        ("ya29.", r"ya29\.[\w-]{20,}"),
        ("GOCSPX-", r"GOCSPX-[\w-]{20,}"),
        ("npm_", r"npm_[A-Za-z0-9]{30,}"),
        ("pypi-", r"pypi-[\w-]{40,}"),
        ("hf_ gsk_", r"(?<!\w)\w+_[A-Za-z0-9]{30,}"),
        ("SG.", r"SG\.[\w-]{16,}\.[\w-]{16,}"),
        ("AccountKey= SharedAccessKey=", r"\w+=([\w+/=]{20,})"),
        ("dop_v1_ doo_v1_ dor_v1_", r"do[opr]_v1_[a-f0-9]{32,}"),
        ("shpat_ shpss_ shpca_ shppa_", r"shp.._[a-fA-F0-9]{32}"),
        ("hvs. hvb. hvr.", r"hv[sbr]\.[\w-]{24,}"),
        ("AGE-SECRET-KEY-", r"AGE-SECRET-KEY-1[A-Z0-9]{20,}"),
        ("dapi", r"(?<!\w)dapi[0-9a-f]{32}"),
        ("eyJ", r"(?<![\w-])eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?"),
        ("://", r"://[^\s:/@'\"]{0,200}:([^\s:/@'\"{}$<>]{4,200})@[\w\[]"),
        ("earer asic", r"(?:earer|asic)[ ]([\w.~+/=-]{16,})"),
    )
    for start in starts.split()
)
# The ends of names that are given secrets, in lower case.
_WORDS = ("password", "passwd", "passphrase", "pwd", "secret", "token", "key", "credential", "auth")
# Behind such a word: the rest of the name, a type, what assigns or compares, and a literal or a bare word.
_ASSIGNED = re.compile(
    r"""(?:s|_?\d+|_?(?:value|hex|base64|b64|str|string|bytes|id|key|hash))?["'\]\)]{0,3}
        (?:[ \t]*:[ \t]*[A-Za-z_][\w\[\]., |<>?]{0,40}?(?==|[ \t]+=))?
        [ \t]*(?::=|=>|[=!]=+|=|:|,)[ \t]*
        (?:[rbuf]{0,2}(?P<quote>\"{1,3}|'{1,3}|`)(?P<literal>(?:\\.|(?!(?P=quote))[^\\\r\n]){6,4096}+)(?P=quote)
          |(?P<bare>[^\s"'`,;&(){}\[\]<>$]{8,4096}+)(?![(\[{<$]))""",
    re.VERBOSE,
)
_KEY = re.compile(r"(?:api|access|private|secret|auth|account|signing|encryption|master|client|shared|session)[_-]?$")
_WORDY = re.compile(r"[\W_]*[A-Za-z]+(?:[\W_]+[A-Za-z]+)*[\W_]*")  # words, with anything between
_PLACEHOLDER = re.compile(r"\$\{|\{\{|\{\w*\}|<[^>]+>|%[(s]|\.\.\.|^(.)\1*$")
_EXPRESSION = re.compile(r"[A-Za-z_]\w*(?:(?:\.|::|->)\w+)*")
_RANDOM = re.compile(r"[\w+/=.~-]{16,}")
# fmt: off
_LANGUAGES_WITHOUT_BARE_STRINGS = frozenset((
    "python", "javascript", "typescript", "tsx", "go", "rust", "java", "c", "cpp", "csharp", "ruby", "php", "kotlin",
    "scala", "swift", "lua", "objc", "haskell", "ocaml",
))
# fmt: on
_SHORTEST_ELSEWHERE = 6  # a shorter one is hidden where it is given to a name, not wherever its letters stand
_ENDINGS = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Cover:
    """A text without its secrets. `edits` made it of the original; `values` are to be hidden in other texts too."""

    lines: LineIndex
    edits: tuple[TextEdit, ...]
    values: tuple[str, ...]

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
        for edit in sorted(self.edits, key=lambda edit: -len(edit.text)):
            text = text.replace(edit.text, original[edit.span.start : edit.span.end])
        return text


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


def cover(snapshot: Snapshot, also: Collection[str] = ()) -> Cover | None:
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
    also = [value for value in also if value in snapshot.text and (found is None or value not in found.values)]
    return _cover(snapshot.text, also, bare_strings=bare_strings) if also else found


def covered(snapshot: Snapshot, found: Cover | None) -> Snapshot:
    """The document as a model may see it; itself when there is nothing to hide."""
    return snapshot if found is None else replace(snapshot, text=found.lines.text, lines=found.lines)


def covered_text(text: str, also: Collection[str] = ()) -> str:
    """A text that is no document, without secrets."""
    found = _cover(text, also, bare_strings=True)
    return text if found is None else found.lines.text


def _cover(text: str, also: Collection[str], *, bare_strings: bool) -> Cover | None:
    own = _merged(_spans(text, bare_strings=bare_strings))
    # The same value again, where no name gives it away.
    own = _merged([*own, *(span for value in _values(text, own) if _telling(value) for span in _places(text, value))])
    # Numbered after its own: what a marker stands for must not depend on what is known of other texts.
    others = _outside(_merged([span for value in also for span in _places(text, value)]), own)
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
    return Cover(LineIndex(applied(text, edits)), edits, tuple(filter(_telling, values)))


def _values(text: str, spans: Sequence[Span]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text[span.start : span.end] for span in spans))


def _outside(spans: Sequence[Span], taken: Sequence[Span]) -> list[Span]:
    """The parts of the spans that none of `taken` holds; both are sorted and do not overlap."""
    left: list[Span] = []
    for span in spans:
        at = span.start
        for one in taken:
            if one.end > at and one.start < span.end:
                if one.start > at:
                    left.append(Span(at, one.start))
                at = one.end
        if at < span.end:
            left.append(Span(at, span.end))
    return left


def _spans(text: str, *, bare_strings: bool) -> Iterator[Span]:
    for start, pattern in _KINDS:
        for at in _all(text, start):
            if (match := pattern.match(text, at)) is not None:
                yield Span(*match.span(pattern.groups))
    lowered = text.lower()
    if len(lowered) != len(text):  # a letter that is two in lower case
        lowered = text.translate({upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)})
    for word in _WORDS:
        for at in _all(lowered, word):
            match = _ASSIGNED.match(text, at + len(word))
            if match is None or (word == "key" and not _KEY.search(lowered, max(0, at - 12), at)):
                continue
            if (literal := match["literal"]) is not None:
                if _is_secret(literal):
                    yield Span(*match.span("literal"))
            elif _is_secret(match["bare"]) and _is_string(match["bare"], bare_strings=bare_strings):
                yield Span(*match.span("bare"))


def _is_secret(value: str) -> bool:
    """Whether a string that is given to a name of secrets is one, and no sentence, word or placeholder."""
    if any(map(str.isspace, value)) or _PLACEHOLDER.search(value):
        return False
    if _WORDY.fullmatch(value):
        return value.isalpha() and len(value) >= 20 and _bits(value) > 4
    return sum(map(str.isalnum, value)) >= 4


def _is_string(bare: str, *, bare_strings: bool) -> bool:
    """Whether characters without quotes are a string and no part of a program."""
    if bare.replace("_", "").replace(".", "").isdigit():
        return False
    if bare_strings:
        return True
    if _EXPRESSION.fullmatch(bare):
        return sum(map(str.isdigit, bare)) >= 3 and _bits(bare) > 3
    return _RANDOM.fullmatch(bare) is not None and _bits(bare) > 3.5


def _bits(value: str) -> float:
    """Shannon's entropy of the characters, in bits each."""
    return -sum(count / len(value) * math.log2(count / len(value)) for count in Counter(value).values())


def _all(text: str, part: str) -> Iterator[int]:
    at = text.find(part)
    while at >= 0:
        yield at
        at = text.find(part, at + len(part))


def _telling(value: str) -> bool:
    """Whether a secret is one wherever it stands: short ones and words are, where they mean nothing, mere text."""
    return len(value) >= _SHORTEST_ELSEWHERE and not value.isalpha()


def _places(text: str, value: str) -> Iterator[Span]:
    return (Span(at, at + len(value)) for at in _all(text, value))


def _merged(spans: Iterable[Span]) -> list[Span]:
    """In the order of the text; those that touch the same characters become one."""
    merged: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start, span.end)):
        if merged and span.start < merged[-1].end:
            merged[-1] = Span(merged[-1].start, max(merged[-1].end, span.end))
        else:
            merged.append(span)
    return merged
