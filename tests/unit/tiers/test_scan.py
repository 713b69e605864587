from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leanvibe_lsp.core.text import Encoding, LineIndex, Position
from leanvibe_lsp.documents.grammars import grammar, syntax
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.documents.store import Change, DocumentStore
from leanvibe_lsp.documents.syntax import Syntax, syntax_of
from leanvibe_lsp.tiers.combined import fitting
from leanvibe_lsp.tiers.finding import Finding
from leanvibe_lsp.tiers.look import in_order, look, rule_set
from leanvibe_lsp.tiers.outlook import looks_outside
from leanvibe_lsp.tiers.patterns import LANGUAGES, Tree
from leanvibe_lsp.tiers.reading import Reading
from leanvibe_lsp.tiers.rule import Rule
from leanvibe_lsp.tiers.rule_files import read_file, read_rules
from leanvibe_lsp.tiers.rules import LIBRARY, rules_for
from leanvibe_lsp.tiers.scan import scan

_STANDARD = Path(logging.__file__).parents[1]
_MODULES = ("inspect", "subprocess", "typing", "pydoc", "argparse", "dataclasses", "tarfile", "http/client")


def rule(name: str, body: str) -> Rule:
    (one,) = read_rules(f"id: {name}\nlanguage: Python\nrule: {body}", source=name)
    return one


def alone(rules: tuple[Rule, ...], text: str, language: str) -> tuple[Finding, ...]:
    """What each structural rule finds by itself in the whole text."""
    tree = Tree(text, language)
    return in_order(finding for rule in rules if rule.flow is None for finding in rule.findings(tree))


def structural(language: str) -> tuple[Rule, ...]:
    return tuple(rule for rule in rules_for(language) if rule.flow is None)


@pytest.mark.parametrize("language", ["python", "javascript", "tsx", "go", "java", "rust", "ruby", "php", "bash"])
def test_leaving_rules_out_loses_nothing(language: str) -> None:
    """All rules at once find what each finds alone, in a text that each of them is about."""
    rules = structural(language)
    values = (one for file in LIBRARY.rglob("*.yml") for one in read_file(file.read_text("utf-8"), trusted=True).values)
    cases = [case for one in values if language in one["languages"] for case in one["invalid"][:1]]
    assert bool(cases) == bool(rules)
    for case in cases[::3]:
        assert scan(case, language, rules) == alone(rules, case, language), case


@pytest.mark.parametrize("module", _MODULES)
def test_real_code(module: str) -> None:
    """The same on modules of the standard library; and piece by piece it is that too."""
    text, rules = (_STANDARD / f"{module}.py").read_text("utf-8"), structural("python")
    expected = alone(rules, text, "python")
    assert scan(text, "python", rules) == expected
    assert looked(text, rules) == expected


def looked(text: str, rules: tuple[Rule, ...]) -> tuple[Finding, ...]:
    known = grammar("python")
    assert known is not None
    return look(Reading(text, "python"), syntax_of(LineIndex(text), known), rule_set(rules), None).findings


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_broken_code_is_looked_at_as_an_editor_does(data: st.DataObject) -> None:
    """Of any text: to scan it is to look at its pieces."""
    bits = st.sampled_from(
        [
            "def f(a=[]):\n    return a is 'x'\n",
            "try:\n    f()\nexcept:\n    pass\n",
            "x = (1,\n",
            ")\n",
            "def ",
            "class A:\n",
        ]
    )
    text = "".join(data.draw(st.lists(bits, max_size=10)))
    rules = structural("python")
    if Tree(text, "python").broken:
        assert scan(text, "python", rules) == looked(text, rules)
    else:
        assert scan(text, "python", rules) == alone(rules, text, "python")


def test_a_text_without_the_words_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of no rule."""
    monkeypatch.setattr(Reading, "tree", property(lambda _: pytest.fail("was parsed")))
    assert scan("def one():\n    return two\n", "python", [rule("a", "{pattern: three()}")]) == ()


def test_fitting_finds_every_rule_that_fits_anywhere() -> None:
    """Also one whose every place is another rule's too, and those whose variables and utils have the same names."""
    rules = [
        rule("calls", "{pattern: $F()}"),
        rule("prints", "{pattern: print()}"),
        rule("kind", "{kind: call}"),
        rule("nothing", "{pattern: nothing()}"),
        rule("same", "{pattern: $F == $F}"),
        rule("any", "{regex: '^7$'}"),
    ]
    assert [one.id for one in fitting(rules, Tree("print()\nx == y\n7\n", "python"))] == [
        "calls",
        "prints",
        "kind",
        "any",
    ]
    assert fitting(rules, Tree("x\n", "python")) == []
    texts = ("{kind: call}", "{kind: attribute}")
    utils = [
        f"id: u{n}\nlanguage: Python\nrule: {{matches: it}}\nutils: {{it: {text}}}" for n, text in enumerate(texts)
    ]
    named = [one for text in utils for one in read_rules(text, source="u")]
    assert [one.id for one in fitting(named, Tree("a.b\n", "python"))] == ["u1"]


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


def test_what_looks_outside_sees_all_of_the_text() -> None:
    """Also after an edit elsewhere; the piece that it finds something in was looked at before."""
    wide = rule(
        "wide", "{pattern: use($A), inside: {kind: module, not: {has: {pattern: safe, stopBy: end}}, stopBy: end}}"
    )
    assert wide.wide
    large = "def f():\n" + "    call()\n" * 200
    store = DocumentStore()
    snapshot = store.open("file:///a.py", "python", 1, f"use(1)\n{large}other\n")
    first = look(Reading(snapshot.text, "python"), _parsed(snapshot), rule_set((wide,)), None)
    assert [one.quote for one in first.findings] == ["use(1)"]
    edited = store.change("file:///a.py", 2, [Change("safe", Position(202, 0), Position(202, 5))], Encoding.UTF16)
    second = look(Reading(edited.text, "python"), _parsed(edited), rule_set((wide,)), first)
    assert second.findings == ()


def _parsed(snapshot: Snapshot) -> Syntax:
    parsed = syntax(snapshot)
    assert parsed is not None
    return parsed
