"""The features of a piece of code, the same for training and for use. Pure.

Each is a name and a number from 0 to about 3. Style is left out on purpose (comments, annotations, quotes), and so are
length and nesting: they told who wrote a training row, not whether it is risky, and made a model that was trained on
one author's code worse on another's.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from leanvibe_lsp.tiers.finding import Category, Finding
from leanvibe_lsp.tiers.risk.families import by_call, family_of_cwe
from leanvibe_lsp.tiers.risk.survey import Call, Definition, Mark, Setting, Survey, function_at, within, words_of

Features = Mapping[str, float]

_SOURCES = frozenset(
    b"request req input argv parse_args recv receive_text receive_json get_argument rfile getlist get_json"
    b" query_params body form cookies POST GET params QUERY_STRING r".split()
)
_LOGIN = frozenset(
    b"login_required permission_required current_user requires_auth staff_member_required user_passes_test jwt_required"
    b" authorization require_admin is_authenticated get_current_user require_login PermissionDenied user_of"
    b" session_user check_password verify_password authenticate compare_digest requires_login g".split()
)
_CHECKS = frozenset(
    b"isinstance fullmatch isdigit isalnum is_valid validate validator ALLOWED allowed whitelist BaseForm Field"
    b" Literal Enum ValidationError HTTPException abort ValueError BadRequest clean bad_request isidentifier".split()
)
_DOMAIN = (
    "password passwd pwd secret token key admin user users username role email card payment amount balance account"
    " session cookie auth login sql query path file filename folder upload download url host port command cmd shell"
    " template html xml json yaml pickle archive zip tar log debug config env hash encrypt decrypt cipher sign verify"
    " reset code script plugin module proxy webhook callback redirect message mail order patient delete remove update"
    " execute run load fetch send receive socket thread lock temp random seed"
)
_WORTH = 0.5  # of a word, beside 1 for what is called: with few rows to fit on, it shall not say as much
_ROUTE = re.compile(rb"\.\s*(route|get|post|put|delete|patch|websocket|api_route|errorhandler|before_request)\s*\(")
_WRITES = re.compile(rb"\.\s*(post|put|delete|patch)\s*\(|[\"'](POST|PUT|DELETE|PATCH)[\"']|require_POST")
_HANDLERS = frozenset(("do_GET", "do_POST", "handle", "on_message", "mutate", "dispatch"))
_PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_SQL = re.compile(
    rb"(?i)^\W*(select\s.+\sfrom|insert\s+into|update\s+\S+\s+set|delete\s+from|create\s|drop\s|grant\s)", re.S
)
_MARKUP = re.compile(rb"<\s*/?[a-zA-Z!][^<>]{0,200}>?")
_NESTED = re.compile(rb"\((?:[^()\\]|\\.){0,80}[+*](?:[^()\\]|\\.){0,80}\)[+*{]")
_SECRET = re.compile(
    rb"(?i)(?:\b|_)(?:pass(?:word|wd|phrase)?|pwd|secret|token|api_?key|secret_?key|access_?key|salt|credentials?|key)\w{0,20}"
    rb"[\"'\]]{0,3}\s{0,3}(?::\s*str\s*)?(?:==?|:|,)\s{0,3}b?(?:\"[^\"\s{}<>$]{4,200}\"|'[^'\s{}<>$]{4,200}')"
)
_CONSTANT = re.compile(rb"\"[^\"\n]*\"|'[^'\n]*'|\b\d\w*|\b(?:True|False|None)\b|\w+\s{0,9}=(?!=)|\b[A-Z][A-Z0-9_]+\b")
_EMPTY_HOST = re.compile(rb"\(\s*(?:\"\"|''|[\"']0\.0\.0\.0[\"'])\s*,")
_MUTABLE = re.compile(rb"def\s[^\n]{0,300}=\s*(?:\[\]|\{\}|dict\(\)|list\(\)|set\(\))\s*[,)]")
_LEAK = re.compile(rb"(?m)^(?![^\n]{0,200}\bwith\b)[^\n]{0,200}(?:[=(]\s*|\s)open\([^\n]{0,200}$")
_SWALLOWED = re.compile(rb"except[^\n:]{0,80}:\s*(?:#[^\n]*)?\n?\s*(?:pass|continue|\.\.\.)\b")
_SPLICED_AFTER = (b"%", b"+", b".format", b".replace")


@dataclass(frozen=True, slots=True)
class _Scope:
    """What is known of the names around a piece of code, and the words there."""

    words: frozenset[bytes]
    tainted: frozenset[bytes]
    spliced: frozenset[bytes]
    parameters: frozenset[bytes]
    endpoint: bool
    writes: bool


def features(survey: Survey, start: int, end: int, findings: Iterable[Finding] = ()) -> Features:
    """The features of the bytes from `start` to `end`, a hunk or a definition; offsets as in the text.

    `findings` are those of the rules that lie there. Within a function what names hold, and what guards there are, is
    read off all of it; elsewhere names are looked up in all of the text, guards in the hunk alone.
    """
    scope = _scope(survey, start, end)
    found: dict[str, float] = {}
    calls, marks = within(survey.calls, start, end), within(survey.marks, start, end)
    _families(found, survey, calls, marks, scope, survey.data[start:end])
    _texts(found, marks, survey.data)
    _structure(found, marks, survey.data[start:end], scope)
    _domain(found, words_of(survey.data[start:end]))
    _rules(found, findings)
    return found


def _scope(survey: Survey, start: int, end: int) -> _Scope:
    around = _around(survey, start, end)
    low, high = (around.start, around.end) if around is not None else (0, len(survey.data))
    first, last = (low, high) if around is not None else (start, end)
    tainted: set[bytes] = set()
    spliced: set[bytes] = set()
    parameters: set[bytes] = set()
    endpoint = writes = False
    outer = function_at(survey, first)
    for one in ((outer,) if outer is not None and outer.start < first else ()) + within(
        survey.definitions, first, last
    ):
        names = _parameters(one)
        is_endpoint = _is_endpoint(one, names)
        endpoint |= is_endpoint
        writes |= is_endpoint and _WRITES.search(survey.data[one.start : one.end]) is not None
        (tainted if is_endpoint else parameters).update(names)
    for setting in within(survey.settings, low, high):
        _learn(setting, tainted, spliced, parameters)
    words = words_of(survey.data[first:last])
    return _Scope(words, frozenset(tainted), frozenset(spliced), frozenset(parameters), endpoint, writes)


def _around(survey: Survey, start: int, end: int) -> Definition | None:
    """The outermost function that a range of bytes begins and ends in, blank ends aside; None where there is none."""
    text = survey.data[start:end]
    found = function_at(survey, start + len(text) - len(text.lstrip()))
    return found if found is not None and start + len(text.rstrip()) <= found.end else None


def _parameters(one: Definition) -> set[bytes]:
    plain = re.sub(rb"=[^,()]*(?:\([^()]*\))?[^,()]*|:[^,=()]*(?:\[[^\]]*\])?", b"", one.parameters)
    return set(re.findall(rb"[A-Za-z_]\w*", plain)) - {b"self", b"cls", b"db", b"session", b"conn", b"connection"}


def _is_endpoint(one: Definition, names: set[bytes]) -> bool:
    if _ROUTE.search(one.decorators):
        return True
    return b"request" in names or b"environ" in names or one.name in _HANDLERS


def _learn(setting: Setting, tainted: set[bytes], spliced: set[bytes], parameters: set[bytes]) -> None:
    """One step of what names hold: what was written by a stranger, what was put together, what a caller gave."""
    words = words_of(setting.right)
    names = words_of(setting.left)
    if words & tainted or words & _SOURCES:
        tainted |= names
    if words & parameters:
        parameters |= names
    if setting.is_spliced or words & spliced:
        spliced |= names


def _families(
    found: dict[str, float], survey: Survey, calls: Sequence[Call], marks: Sequence[Mark], scope: _Scope, data: bytes
) -> None:
    known = by_call()
    named = [*calls, *_pseudo(survey, marks, scope, data)]
    arguments = {call.name for call in calls if not call.arguments}
    for call in named:
        last = call.name.rpartition(".")[2]
        families = known.get(call.name, ()) + (known.get(f"*.{last}", ()) if "." in call.name else ())
        if not families:
            continue
        words = words_of(call.arguments) if call.arguments else frozenset()
        is_tainted = bool(words & scope.tainted or words & _SOURCES)
        is_spliced = call.is_spliced or bool(words & scope.spliced)
        is_given = is_tainted or bool(words & scope.parameters)
        is_fixed = bool(call.arguments) and not words - _literals(call.arguments) and not is_spliced
        for family in families:
            name = family.name
            found[f"call {name}"] = 1.0
            is_guarded = any(guard.encode() in scope.words or guard in arguments for guard in family.guards)
            if is_guarded:
                found[f"guarded {name}"] = 1.0
            if is_fixed:
                found.setdefault(f"fixed {name}", 1.0)
                continue
            if not is_guarded:
                found[f"bare {name}"] = 1.0
            if is_spliced:
                found[f"spliced {name}"] = 1.0
            if is_tainted:
                found[f"stranger {name}"] = 1.0
            elif is_given:
                found[f"given {name}"] = 1.0
            if (is_tainted or is_given) and not is_guarded:
                found[f"open {name}"] = 1.0


def _literals(text: bytes) -> frozenset[bytes]:
    """Words of constants: of strings, numbers, True, False, None and names of arguments."""
    return words_of(b" ".join(_CONSTANT.findall(text)))


def _pseudo(survey: Survey, marks: Sequence[Mark], scope: _Scope, data: bytes) -> list[Call]:
    """What hints at a family without being a call."""
    names: list[str] = []
    words = words_of(data)
    for local, module in survey.imported.items():
        if local in words:
            names.append(f"import:{module.partition('.')[0]}")
    for mark in marks:
        if mark.kind != "string":
            continue
        body = mark.text.lstrip(b"rbfuRBFU").strip(b"\"'")
        if body.startswith((b"/tmp/", b"/var/tmp/", b"/dev/shm/")):
            names.append("literal:/tmp")
        if body == b"0.0.0.0":
            names.append("literal:0.0.0.0")
        if body.startswith(b"public-read"):
            names.append("acl:public")
        if _NESTED.search(body):
            names.append("regex:nested")
    if _EMPTY_HOST.search(data):
        names.append("literal:empty-host")
    names += (f"mode:{word[2:].decode()}" for word in words if word in (b"0o777", b"0o666"))
    if b"request" in words and words & {b"files", b"FILES"}:
        names.append("request.files")
    return [Call(0, name, b"", False) for name in names]


def _texts(found: dict[str, float], marks: Sequence[Mark], data: bytes) -> None:
    """Strings that are statements, markup, addresses or filters, and whether they are put together."""
    for mark in marks:
        if mark.kind != "string":
            continue
        body = mark.text.lstrip(b"rbfuRBFU").strip(b"\"'")
        end = mark.start + len(mark.text)
        is_f = b"f" in mark.text[:2].lower() and b"{" in body
        behind, before = data[end : end + 24].lstrip(), data[max(0, mark.start - 8) : mark.start].rstrip()
        is_spliced = is_f or behind.startswith(_SPLICED_AFTER) or before.endswith(b"+")
        for name, is_one in (
            ("SQL", _SQL.match(body) is not None),
            ("HTML", _MARKUP.search(body) is not None),
            ("filter", body.startswith((b"(uid=", b"(cn=", b"(&(", b"(sAM", b"//", b"/*["))),
            ("address", body.startswith((b"http://", b"https://", b"ftp://"))),
            ("path", body.startswith(b"/") and len(body) > 3 and b"<" not in body),
        ):
            if is_one:
                found[f"{'spliced' if is_spliced else 'plain'} text {name}"] = 1.0
        if body.startswith(b"http://") and not body.startswith((b"http://localhost", b"http://127.")):
            found["http address"] = 1.0


def _structure(found: dict[str, float], marks: Sequence[Mark], data: bytes, scope: _Scope) -> None:
    counts: dict[str, int] = {}
    for mark in marks:
        counts[mark.kind] = counts.get(mark.kind, 0) + 1
    for kind in ("if_statement", "raise_statement", "try_statement", "with_statement", "while_statement"):
        if count := counts.get(kind):
            found[kind.removesuffix("_statement")] = math.log1p(count)
    words = scope.words
    if words & _SOURCES:
        found["stranger"] = 1.0
    checks = len(words & _CHECKS)
    if checks:
        found["checks"] = math.log1p(checks)
    for name, expression in (
        ("secret in code", _SECRET),
        ("mutable default", _MUTABLE),
        ("left open", _LEAK),
        ("swallowed error", _SWALLOWED),
    ):
        if expression.search(data):
            found[name] = 1.0
    if b"while True" in data:
        found["endless loop"] = 1.0
    if counts.get("assert_statement"):
        found["assert"] = 1.0
    if scope.endpoint:
        has_login = bool(words & _LOGIN)
        found["endpoint"] = 1.0
        found["endpoint known user" if has_login else "endpoint open"] = 1.0
        if scope.writes and not has_login:
            found["endpoint open writes"] = 1.0
        if not checks:
            found["endpoint unchecked"] = 1.0
        if not has_login and not checks:
            found["endpoint bare"] = 1.0
    if b"csrf_exempt" in words:
        found["csrf off"] = 1.0


def _domain(found: dict[str, float], words: frozenset[bytes]) -> None:
    parts = {part.lower() for word in words for part in _PARTS.findall(word.decode("ascii", "replace"))}
    for word in sorted(parts.intersection(_DOMAIN.split())):
        found[f"word {word}"] = _WORTH


def _rules(found: dict[str, float], findings: Iterable[Finding]) -> None:
    best: dict[str, float] = {}
    count = 0
    for one in findings:
        name = "rule" if one.category is Category.SECURITY else "rule of quality"
        best[name] = max(best.get(name, 0.0), one.confidence)
        count += name == "rule"
        if name == "rule":
            family = f"rule {family_of_cwe(one.cwe)}"
            best[family] = max(best.get(family, 0.0), one.confidence)
    found.update(best)
    if count:
        found["rules"] = math.log1p(count)


def in_span(findings: Sequence[Finding], start: int, end: int) -> list[Finding]:
    """The findings that begin in a span of characters."""
    return [one for one in findings if start <= one.span.start < end]
