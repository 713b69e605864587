"""Where in a text strings are that look like secrets: by the form their makers publish, or by the name they have.

Linear in the text, whatever it is: every repeat is bounded, and the search goes on behind what was found.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice

from leanvibe_lsp.core.text import Span

# Lines of a key in base64, in a file or in strings of a program; there may be headers before them.
_END = r"(?:\r\n|\r|\n)"
_AROUND = r"(?:\\[nr]|[^\w\r\n]){0,16}+"
_INDENT = r"[^A-Za-z0-9+/=\r\n]{0,200}+"
_KEY_LINES = (
    rf"{_AROUND}{_END}?(?:[^\w\r\n]{{0,200}}+[\w-]{{3,40}}+:[ ][^\r\n]{{0,200}}+{_END}){{0,4}}+{_END}?"
    rf"{_INDENT}(?=[A-Za-z0-9+/=]{{24}})(?:[A-Za-z0-9+/=]{{1,20000}}+{_AROUND}"
    rf"(?:{_END}{_INDENT}(?=[A-Za-z0-9+/]{{16}}|[A-Za-z0-9+/]{{1,64}}=))?){{1,1000}}+"
)
# How a secret begins, and all of it from there; where there is a group, that is the secret.
# A beginning in lower case is looked for in any case.
_KINDS = tuple(
    (start, re.compile(pattern))
    for starts, pattern in (
        (
            "-----begin ,---- begin ",
            r"(?i:-{4,5}[ ]?BEGIN[ ][A-Z0-9 ]{0,40}PRIVATE[ ]KEY[A-Z ]{0,20}-{4,5})"
            rf"(?:(?:[^-]|-(?!---)){{0,20000}}+(?i:-{{4,5}}[ ]?END[A-Z0-9 ]{{0,60}}-{{4,5}})|{_KEY_LINES})",
        ),
        ("private-lines: ", rf"(?i:private-lines:)[ ]\d{{1,4}}{_KEY_LINES}"),
        ("AKIA,ASIA,ABIA,ACCA", r"(?<![A-Z0-9])A[KSBC][IC]A[A-Z0-9]{16}(?![A-Z0-9])"),
        ("gh", r"gh[pousr]_[A-Za-z0-9]{30,255}"),
        ("github_pat_", r"github_pat_\w{22,255}"),
        ("glpat-,gldt-,glrt-", r"gl(?:pa|d|r)t-[\w-]{20,255}"),
        ("xox,xapp-", r"(?:xox[a-z]|xapp)-[\w-]{10,512}"),
        ("hooks.slack.com/services/", r"hooks\.slack\.com/services/([\w/+-]{20,255})"),
        ("/api/webhooks/", r"/api/webhooks/\d{8,24}/([\w-]{20,255})"),
        ("sk-", r"(?<![\w-])sk-[\w-]{20,512}"),
        ("k_live_,k_test_", r"(?<=[sr])k_(?:live|test)_\w{10,255}"),
        ("whsec_", r"whsec_[\w+/=]{16,255}"),
        ("AIza", r"AIza[\w-]{35}"),
        ("ya29.", r"ya29\.[\w-]{20,2048}"),
        ("GOCSPX-", r"GOCSPX-[\w-]{20,255}"),
        ("npm_", r"npm_[A-Za-z0-9]{30,255}"),
        ("pypi-", r"pypi-[\w-]{40,512}"),
        ("hf_,gsk_", r"(?<!\w)(?:hf|gsk)_[A-Za-z0-9]{30,255}"),
        ("SG.", r"SG\.[\w-]{16,128}\.[\w-]{16,128}"),
        ("sig=", r"(?<=[?&])sig=([\w%+/=-]{20,512})"),
        ("_v1_", r"(?<=do[opr])_v1_[a-f0-9]{32,128}"),
        ("shp", r"shp(?:at|ss|[cp]a)_[a-fA-F0-9]{32}"),
        ("hv", r"hv[sbr]\.[\w-]{24,512}"),
        ("AGE-SECRET-KEY-", r"AGE-SECRET-KEY-1[A-Z0-9]{20,128}"),
        ("dapi", r"(?<!\w)dapi[0-9a-f]{32}"),
        ("eyJ", r"(?<![\w-])eyJ[\w-]{8,8192}+\.[\w-]{8,8192}+(?:\.[\w-]{0,8192}+)?"),
        ("://", r"://[^\s:/@'\"]{0,200}:([^\s:/@'\"{}$<>]{4,200})@[\w\[]"),
        ("earer ,asic ", r"(?i:earer|asic)[ ]([\w.~+/=-]{16,4096})"),
    )
    for start in starts.split(",")
)
# The same, where what stands there may as well be a word or a variable.
_SPOKEN = tuple(
    (start, re.compile(pattern))
    for start, pattern in (
        (" -u ", r"[ ]-u[ ]{1,4}['\"]?[\w.@-]{1,80}:([^\s'\"]{6,200})"),
        ("--user ", r"--user[ ]{1,4}['\"]?[\w.@-]{1,80}:([^\s'\"]{6,200})"),
        ("identified ", r"(?i:identified[ ](?:with[ ]\S{1,40}[ ])?by[ ](?:password[ ])?)['\"]([^'\"\r\n]{6,200})['\"]"),
    )
)
# The ends of names that are given secrets, in lower case.
_WORDS = ("pass", "pwd", "secret", "token", "key", "credential", "auth")
_QUOTED = (
    r"""(?P<quote>\"{3}|'{3}|["'`])(?:(?<=\"{3}|'{3})(?:\r\n|\r|\n)[ \t]{0,80})?"""
    r"""(?P<literal>(?:\\.|(?!(?P=quote))[^\\\r\n]){6,4096}+)"""
)
# Behind such a word: the rest of the name, a type, and what gives, compares or names the value.
_GIVEN = re.compile(
    r"""(?i:s(?![a-z])|_?\d{1,4}|_?(?:value|hex|base64|b64|base|str|string|bytes|id|key|hash|pem|raw|text|default))?
        (?:["'\]\)]|\\["']){0,3}
        (?:[ \t]*:[ \t]*[A-Za-z_&*][\w\[\]., |<>?&'*]{0,40}?(?==|[ \t]{1,8}=)
          |[ \t]{1,8}[A-Za-z_\[*][\w.\[\]*]{0,40}(?=[ \t]{1,8}=[ \t]))?
        (?:[ \t]{0,8}[,{]?[ \t]{0,8}
            (?:(?:\r\n|\r|\n)[ \t]{0,40}
              (?:\w{1,20}[ \t]{0,20}=[^\r\n{}]{0,120}(?:\r\n|\r|\n)[ \t]{0,40}){0,3})?
            ["']?(?i:value|default)["']?[ \t]{0,8}[:=][ \t]{0,8}
          |[ \t]{0,40}(?P<sign>:=|=>|(?:\|\||\?\?|[+|])=|\|\||\?\?|[=!]=+|=|:|,|(?<=[ \t])or(?=[ \t]))[ \t]{0,40}
          |(?P<call>\([ \t]{0,8})|(?P<element>>)|(?P<space>[ \t]{1,8}))""",
    re.VERBOSE,
)
_DIRECT = re.compile(
    rf"""(?:[rbufRBUFL@$]{{0,2}}"""
    rf"""{_QUOTED}(?:(?P=quote)|(?=\\?(?:[\r\n]|\Z)))
        |(?P<bare>[^\s"'`,;&(){{}}\[\]<>$]{{8,128}}+)(?![(\[{{<$]))""",
    re.VERBOSE,
)
_BARE_REST = re.compile(r"[^\s\"'`,;&(){}\[\]<>$]{1,4096}+")
_BLOCK = re.compile(
    r"(?:[|>][+-]?\d?)?[ \t]{0,8}(?:\r\n|\r|\n)[ \t]{1,80}(?P<bare>[^\s\"'`,;&(){}\[\]<>$]{8,4096}+)(?=\s|\Z)"
)
_ELEMENT = re.compile(r"(?P<bare>[^<>\s]{6,4096}+)</")
_STEP = re.compile(rf"{_QUOTED.replace('{6,', '{0,')}(?P=quote)|(?P<mark>[()\[\]{{}},;#]|\r\n|\r|\n|\"|')")
_REACH = 400  # how far behind a name the literals of an expression are its value, in characters
_STEPS = 12  # and in literals and brackets
_GOES_ON = ("(", "[", "{", "\\", "+", "=", "|", "?")
_TOLD = re.compile(r"(?:--?[\w-]{0,40}|^[ \t]*(?:ENV|ARG|SET|SETENV|set|setx)[ \t]+\w{0,40})\Z", re.MULTILINE)
_KEY = re.compile(r"(?:api|access|private|secret|auth|account|signing|encryption|master|client|shared|session)[_-]?$")
_PASS = re.compile(r"(?:wo?rd|wort|wd|phrase|code)?")
_WORDY = re.compile(r"[\W_]*+[A-Za-z]++(?:[\W_]++[A-Za-z]++)*+[\W_]*+")  # words, with anything between
_PLACEHOLDER = re.compile(r"\$\{|\{\{|\{\w{0,80}\}|<[^>]{1,200}>|%[(s]|\.\.\.|^(.)\1*$")
_EXPRESSION = re.compile(r"[A-Za-z_]\w*+(?:(?:\.|::|->)\w++)*+")
_RANDOM = re.compile(r"[\w+/=.~-]{16,}+")
_STRONG = re.compile(r"[\w+/=.~!@#%^&*-]{8,}+")
_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz0123456789"
_JUDGED = 128  # a longer string is judged by its beginning


def spans(text: str, *, bare_strings: bool) -> Iterator[Span]:
    """The secrets, in no order. `bare_strings`: the language has strings without quotes. One may be found twice."""
    lowered = text.lower()
    if len(lowered) != len(text):  # a letter that is two in lower case
        lowered = text.translate({upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)})
    for start, pattern in _KINDS:
        yield from _of_kind(text, lowered if start.islower() else text, start, pattern)
    for start, pattern in _SPOKEN:
        for span in _of_kind(text, lowered, start, pattern):
            if text[span.start] != "$" and _is_secret(text[span.start : span.end]):
                yield span
    for word in _WORDS:
        at = lowered.find(word)
        while at >= 0:
            end = at + len(word)
            for span in _given(text, lowered, word, at, bare_strings=bare_strings):
                yield span
                end = max(end, span.end)
            at = lowered.find(word, end)


def bits(value: str) -> float:
    """Shannon's entropy of the characters, in bits each."""
    return -sum(count / len(value) * math.log2(count / len(value)) for count in Counter(value).values())


def _of_kind(text: str, searched: str, start: str, pattern: re.Pattern[str]) -> Iterator[Span]:
    at = searched.find(start)
    while at >= 0:
        end = at + len(start)
        if (match := pattern.match(text, at)) is not None:
            yield Span(*match.span(pattern.groups))
            end = match.end(pattern.groups)
        at = searched.find(start, end)


def _given(text: str, lowered: str, word: str, at: int, *, bare_strings: bool) -> Iterator[Span]:
    """The secrets that a name is given which has `word` at `at`."""
    end = at + len(word)
    if word == "pass":
        rest = _PASS.match(lowered, end)
        if rest is None or (not rest[0] and not _begins_word(text, at)):
            return
        end = rest.end()
    given = _GIVEN.match(text, end)
    if given is None:
        return
    behind = given.end()
    if word == "key" and not _KEY.search(lowered, max(0, at - 12), at):
        direct = _DIRECT.match(text, behind) if given["sign"] in ("=", ":", ":=") else None
        if direct is not None and _is_random(direct["literal"] or direct["bare"]):
            yield Span(*direct.span("bare" if direct["literal"] is None else "literal"))
    elif given["call"]:
        yield from _of_expression(text, behind, ["("], lenient=word in ("pass", "pwd", "secret"))
    elif given["element"]:
        inside = _ELEMENT.match(text, behind)
        if inside is not None and _is_secret(inside["bare"]):
            yield Span(*inside.span("bare"))
    elif given["space"] and (word != "pass" or end > at + 4):
        told = _TOLD.search(text, max(0, at - 64), at) is not None
        yield from _direct(text, behind, quoted_only=not told, bare_strings=True)
    elif given["space"] is None:
        yield from _signed(text, behind, given["sign"] or "=", bare_strings=bare_strings)


def _signed(text: str, at: int, sign: str, *, bare_strings: bool) -> Iterator[Span]:
    """The values behind a sign that gives or compares them: the first thing, then others of the expression."""
    if bare_strings and sign == ":" and (block := _BLOCK.match(text, at)) is not None:
        if not block["bare"].endswith(":") and _is_secret(block["bare"]):
            yield Span(*block.span("bare"))
        return
    for span in _direct(text, at, quoted_only=False, bare_strings=bare_strings):
        yield span
        at = span.end + (text[span.end : span.end + 1] in ('"', "'", "`"))
    if sign not in (",", "=>"):
        yield from _of_expression(text, at, [], lenient=True)


def _direct(text: str, at: int, *, quoted_only: bool, bare_strings: bool) -> Iterator[Span]:
    direct = _DIRECT.match(text, at)
    if direct is None:
        return
    if (literal := direct["literal"]) is not None:
        if _is_secret(literal) and not (quoted_only and direct["quote"] == "`"):
            yield Span(*direct.span("literal"))
    elif not quoted_only and _is_secret(direct["bare"]) and _is_string(direct["bare"], bare_strings=bare_strings):
        rest = _BARE_REST.match(text, direct.end("bare"))
        yield Span(direct.start("bare"), direct.end("bare") if rest is None else rest.end())


def _of_expression(text: str, at: int, opened: list[str], *, lenient: bool) -> Iterator[Span]:
    """The literals of an expression that are no part of a program: `opened` are the brackets it stands in."""
    end = min(len(text), at + _REACH)
    stop = text.find("\n", at, end)
    line = text[at : stop if stop >= 0 else end]
    if '"' not in line and "'" not in line and "`" not in line and not line.rstrip().endswith(_GOES_ON):
        return
    for step in islice(_STEP.finditer(text, at, end), _STEPS):
        mark = step["mark"]
        if mark is None:
            before = text[max(at - 1, step.start() - 8) : step.start()].rstrip().rstrip("rbufL@$")[-1:]
            first = before in ("(", "[") and not (lenient and before == "(" and step.start() - at < 4)
            is_key = bool(opened) and text[step.end() : step.end() + 2].lstrip().startswith(":")
            if not is_key and _is_value(step["literal"], strict=first or (bool(opened) and opened[-1] != "(")):
                yield Span(*step.span("literal"))
        elif mark in "([{":
            opened.append(mark)
        elif mark in ")]}":
            if not opened:
                return
            opened.pop()
        elif mark in ",;":
            if not opened:
                return
        elif mark not in "\r\n" or (
            not opened and not text[max(at, step.start() - 16) : step.start()].rstrip().endswith(_GOES_ON)
        ):
            return


def _begins_word(text: str, at: int) -> bool:
    return at == 0 or not text[at - 1].isalpha() or (text[at].isupper() and text[at - 1].islower())


def _is_secret(value: str) -> bool:
    """Whether a string that is given to a name of secrets is one, and no sentence, word or placeholder."""
    value = value[:_JUDGED]
    if any(map(str.isspace, value)) or _PLACEHOLDER.search(value) or value.lower() in _ALPHABET:
        return False
    if _WORDY.fullmatch(value):
        return value.isalpha() and len(value) >= 20 and bits(value) > 4
    return sum(map(str.isalnum, value)) >= 4


def _is_value(literal: str, *, strict: bool) -> bool:
    """Whether a literal somewhere in what a name is given is a secret."""
    value = literal[:_JUDGED]
    if not _STRONG.fullmatch(value) or value.startswith(("/", ".", "http")) or not _is_secret(value):
        return False
    digits = sum(map(str.isdigit, value))
    return digits >= 3 and bits(value) > 3 if strict else digits > 0


def _is_random(value: str) -> bool:
    """Whether a string is random by itself, so that its name need not say more than "key"."""
    value = value[:_JUDGED]
    if re.fullmatch(r"[0-9a-f]{32,}", value):
        return bits(value) > 3
    kinds = (str.isupper, str.islower, str.isdigit)
    return len(value) >= 20 and bool(_STRONG.fullmatch(value)) and all(sum(map(kind, value)) > 1 for kind in kinds)


def _is_string(bare: str, *, bare_strings: bool) -> bool:
    """Whether characters without quotes are a string and no part of a program."""
    bare = bare[:_JUDGED]
    if bare.replace("_", "").replace(".", "").isdigit():
        return False
    if bare_strings:
        return True
    if _EXPRESSION.fullmatch(bare):
        return sum(map(str.isdigit, bare)) >= 3 and bits(bare) > 3
    return _RANDOM.fullmatch(bare) is not None and bits(bare) > 3.5
