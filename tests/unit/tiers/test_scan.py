from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leanvibe_lsp.core.text import Encoding, LineIndex, Position
from leanvibe_lsp.documents.grammars import grammar, syntax
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.documents.store import Change, DocumentStore
from leanvibe_lsp.documents.syntax import Syntax, syntax_of
from leanvibe_lsp.tiers.finding import Finding
from leanvibe_lsp.tiers.look import look, rule_set
from leanvibe_lsp.tiers.outlook import looks_outside
from leanvibe_lsp.tiers.patterns import LANGUAGES, Tree
from leanvibe_lsp.tiers.reading import Reading
from leanvibe_lsp.tiers.rule import Rule, rule_of
from leanvibe_lsp.tiers.rule_files import read_file
from leanvibe_lsp.tiers.rules import rules_for
from leanvibe_lsp.tiers.scan import scan

WIDE = "{pattern: use($A), inside: {kind: module, not: {has: {pattern: safe, stopBy: end}}, stopBy: end}}"


def rule(name: str, body: str, *, trusted: bool = True) -> Rule:
    text = f"id: {name}\nlanguage: Python\nrule: {body}"
    (values,) = read_file(text, trusted=trusted).values
    return rule_of(values)


def structural(language: str) -> tuple[Rule, ...]:
    return tuple(rule for rule in rules_for(language) if rule.flow is None)


def looked(text: str, rules: tuple[Rule, ...]) -> tuple[Finding, ...]:
    known = grammar("python")
    assert known is not None
    return look(Reading(text, "python"), syntax_of(LineIndex(text), known), rule_set(rules), None).findings


def test_a_rule_of_ours_and_one_of_somebody_else_find_the_same() -> None:
    """One is evaluated here, the other one by ast-grep; in broken code too."""
    texts = ["print(1)\nx = [print(2), 3]\n", "def f():\n    print(1)\nx = (\n", "nothing\n", ""]
    for body in (
        "{pattern: print($A)}",
        "{kind: call, regex: ^print}",
        "{kind: integer, inside: {kind: argument_list}}",
    ):
        ours, theirs = rule("a", body), rule("a", body, trusted=False)
        assert [scan(text, "python", [ours]) for text in texts] == [scan(text, "python", [theirs]) for text in texts]


def test_ast_grep_is_not_asked_about_rules_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor about others in a text without their words."""
    monkeypatch.setattr(Reading, "tree", property(lambda _: pytest.fail("was parsed")))
    assert len(scan("one = two()\n", "python", [rule("a", "{pattern: two()}")])) == 1
    assert scan("def one():\n    return two\n", "python", [rule("a", "{pattern: three()}", trusted=False)]) == ()


@pytest.mark.parametrize(
    ("body", "outside"),
    [
        ({"pattern": "f($A)"}, False),
        ({"kind": "call", "has": {"pattern": "$A", "stopBy": "end"}}, False),
        ({"kind": "call", "inside": {"kind": "function_definition", "has": {"regex": "x"}, "stopBy": "end"}}, False),
        ({"kind": "call", "inside": {"kind": "module"}}, False),
        ({"kind": "call", "inside": {"kind": "module", "has": {"regex": "x"}}}, True),
        (
            {"kind": "call", "inside": {"any": [{"kind": "block"}, {"kind": "module"}], "not": {"has": {"kind": "x"}}}},
            True,
        ),
        ({"kind": "call", "not": {"inside": {"regex": "x", "stopBy": "end"}}}, True),
        ({"kind": "call", "follows": {"kind": "call"}}, True),
        ({"all": [{"kind": "call"}, {"not": {"has": {"precedes": {"kind": "x"}}}}]}, True),
        ({"matches": "near"}, True),
        ({"regex": "x"}, True),
        ({"pattern": "$A"}, True),
        ({"kind": "module"}, True),
    ],
)
def test_how_far_a_rule_looks(body: dict[str, Any], outside: bool) -> None:
    """Beyond the statement that it finds something in: by its siblings, or by what a whole text has in it."""
    assert looks_outside(body, {"near": {"kind": "call", "inside": {"regex": "x"}}}) is outside


def test_roots_are_known() -> None:
    """A rule about the root of any language looks at all of the text."""
    for language in LANGUAGES:
        assert looks_outside({"kind": Tree("", language)._node.kind()}, {})


@pytest.mark.parametrize("trusted", [True, False])
@pytest.mark.parametrize(
    ("body", "before", "after", "found"),
    [
        (WIDE, "other", "safe", (["use(1)"], [])),
        (WIDE, "safe", "other", ([], ["use(1)"])),
        (
            "{pattern: use($A), inside: {kind: module, has: {regex: ^safe$}, stopBy: end}}",
            "x",
            "safe",
            ([], ["use(1)"]),
        ),
        ("{kind: module, has: {pattern: safe, stopBy: end}}", "x", "safe", (0, 1)),
    ],
)
def test_what_looks_outside_sees_all_of_the_text(
    body: str, before: str, after: str, found: tuple[Any, Any], trusted: bool
) -> None:
    """Also after an edit elsewhere; the piece that it finds something in was looked at before."""
    wide = rule("wide", body, trusted=trusted)
    assert wide.wide
    large = "def f():\n" + "    call()\n" * 200
    store = DocumentStore()
    snapshot = store.open("file:///a.py", "python", 1, f"use(1)\n{large}{before}\n")
    first = look(Reading(snapshot.text, "python"), _parsed(snapshot), rule_set((wide,)), None)
    change = Change(after, Position(202, 0), Position(202, len(before)))
    edited = store.change("file:///a.py", 2, [change], Encoding.UTF16)
    second = look(Reading(edited.text, "python"), _parsed(edited), rule_set((wide,)), first)
    for one, wanted in zip((first, second), found, strict=True):
        quotes = [finding.quote for finding in one.findings]
        assert (len(quotes) if isinstance(wanted, int) else quotes) == wanted


def test_what_stands_beside_a_statement_of_the_top_level_counts_after_edits() -> None:
    """A neighbour in another piece that is edited is another neighbour."""
    beside = rule("beside", "{kind: expression_statement, regex: ^use, follows: {regex: ^safe}}")
    large = "def f():\n" + "    call()\n" * 200
    store = DocumentStore()
    snapshot = store.open("file:///a.py", "python", 1, f"other()\n{large}use()\n")
    first = look(Reading(snapshot.text, "python"), _parsed(snapshot), rule_set((beside,)), None)
    assert first.findings == ()
    edited = store.change("file:///a.py", 2, [Change("safe()\n", Position(202, 0), Position(202, 0))], Encoding.UTF16)
    second = look(Reading(edited.text, "python"), _parsed(edited), rule_set((beside,)), first)
    assert [finding.quote for finding in second.findings] == ["use()"]


@settings(deadline=None, max_examples=15)
@given(st.data())
def test_a_look_after_edits_is_a_look_at_the_text(data: st.DataObject) -> None:
    """By the library's structural rules and wide ones, of texts that parse."""
    bits = [
        "def f(a=[]):\n    return a is 'x'\n",
        "try:\n    f()\nexcept:\n    pass\n",
        "use(1)\n",
        "other\n",
        "safe\n",
        "def g():\n    return 1\n    x = 2\n",
        "x = {1: 2, 1: 3}\n",
        "def h():\n" + "    call()\n" * 120,
    ]
    rules = (*structural("python"), rule("wide", WIDE), rule("beside", "{regex: ^use, follows: {regex: ^safe}}"))
    parts = data.draw(st.lists(st.sampled_from(bits), min_size=1, max_size=12))
    store, earlier = DocumentStore(), None
    snapshot = store.open("file:///a.py", "python", 1, "".join(parts))
    for version in range(2, 6):
        earlier = look(Reading(snapshot.text, "python"), _parsed(snapshot), rule_set(rules), earlier)
        assert earlier.findings == looked(snapshot.text, rules)
        at = data.draw(st.integers(0, len(parts) - 1))
        start = "".join(parts[:at]).count("\n")
        end = start + parts[at].count("\n")
        parts[at] = data.draw(st.sampled_from([*bits, ""]))
        change = Change(parts[at], Position(start, 0), Position(end, 0))
        snapshot = store.change("file:///a.py", version, [change], Encoding.UTF16)
        assert snapshot.text == "".join(parts)


def _parsed(snapshot: Snapshot) -> Syntax:
    parsed = syntax(snapshot)
    assert parsed is not None
    return parsed
