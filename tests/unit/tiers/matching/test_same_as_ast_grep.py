"""Our matcher and ast-grep find the same: the same places, and the same texts for variables."""

from __future__ import annotations

import logging
import sysconfig
from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from leanvibe_lsp.core.text import LineIndex
from leanvibe_lsp.documents.grammars import grammar
from leanvibe_lsp.documents.syntax import syntax_of
from leanvibe_lsp.tiers.finding import Finding
from leanvibe_lsp.tiers.matching.matches import Found
from leanvibe_lsp.tiers.matching.plan import hits, plan_of
from leanvibe_lsp.tiers.patterns import Tree
from leanvibe_lsp.tiers.rule import Rule, rule_of
from leanvibe_lsp.tiers.rule_files import read_file
from leanvibe_lsp.tiers.rules import LIBRARY, rules_for

# Those that have rules.
_LANGUAGES = (
    "python",
    "javascript",
    "typescript",
    "tsx",
    "go",
    "java",
    "rust",
    "ruby",
    "php",
    "bash",
    "c",
    "cpp",
    "csharp",
)
_STANDARD = Path(logging.__file__).parents[1]
_OTHERS = {
    "javascript": "*.js",
    "typescript": "*.ts",
    "go": "*.go",
    "java": "*.java",
    "rust": "*.rs",
    "ruby": "*.rb",
    "php": "*.php",
    "bash": "*.sh",
    "c": "*.h",
}

# What the library asks for little or not at all; `$$$`, relations to the end of a list, and names that stand twice.
_BODIES = (
    "{pattern: '$F($$$A, $B)'}",
    "{pattern: '$F($$$A)'}",
    "{pattern: 'f($$$, 2, $$$B)'}",
    "{pattern: 'f($_, $_X)'}",
    "{pattern: '$A == $A'}",
    "{all: [{pattern: $A}, {kind: identifier}, {inside: {pattern: '$A($$$)'}}]}",
    "{kind: call, not: {has: {field: arguments, has: {nthChild: 2}}}}",
    "{kind: call, has: {field: arguments, has: {nthChild: {position: 1, reverse: true}, pattern: $LAST}}}",
    "{kind: identifier, follows: {pattern: $B, kind: identifier, stopBy: end}}",
    "{kind: identifier, precedes: {pattern: $B, kind: integer, stopBy: {kind: string}}}",
    "{kind: integer, inside: {kind: function_definition, stopBy: {kind: lambda}, has: {field: name, pattern: $N}}}",
    "{kind: function_definition, has: {kind: call, stopBy: {kind: lambda}, pattern: '$C($$$)'}}",
    "{kind: function_definition, has: {field: body, kind: call, stopBy: end, pattern: '$C($$$)'}}",
    "{any: [{pattern: 'f($A)'}, {pattern: '$A(f)'}], not: {regex: '^g'}}",
    "{kind: integer, inside: {field: right, kind: assignment, has: {field: left, pattern: $X}}}",
)


_ByRule = dict[str, list[object]]


def _fits(text: str, language: str, rules: tuple[Rule, ...]) -> tuple[_ByRule, _ByRule]:
    """What both find, by rule; only of those rules that are evaluated here."""
    known = grammar(language)
    assert known is not None
    plan = plan_of(rules, language)
    parsed, tree = syntax_of(LineIndex(text), known), Tree(text, language)
    ours: dict[str, list[object]] = defaultdict(list)
    theirs: dict[str, list[object]] = defaultdict(list)
    for hit in hits(plan, parsed, None):
        if hit.bound is not None:
            found = Found(hit.node, hit.bound, hit.how.changes, parsed.data, parsed.bytes)
            ours[hit.rule.id].append(_told(hit.rule.finding(found, text)))
    for rule, _ in plan.ours:
        for finding in rule.findings(tree):
            theirs[rule.id].append(_told(finding))
    return _sorted(ours), _sorted(theirs)


def _sorted(found: dict[str, list[object]]) -> dict[str, list[object]]:
    return {name: sorted(some, key=str) for name, some in found.items()}


def _told(finding: Finding | None) -> object:
    return finding and (finding.span, finding.message, finding.fix)


@cache
def _structural(language: str) -> tuple[Rule, ...]:
    return tuple(rule for rule in rules_for(language) if rule.flow is None)


@cache
def _cases(language: str) -> tuple[tuple[str, str], ...]:
    """Each rule's texts, by its id."""
    files = (read_file(file.read_text("utf-8"), trusted=True) for file in sorted(LIBRARY.rglob("*.yml")))
    values = [one for file in files for one in file.values if language in one["languages"]]
    return tuple((one["id"], text) for one in values for text in (*one["valid"], *one["invalid"]))


@cache
def _own() -> tuple[Rule, ...]:
    message = "message: 'A $A, B $B, N $N, X $X, C $C, LAST $LAST, F $F, AA $$$A, BB $$$B'"
    texts = (f"id: r{at}\nlanguage: Python\n{message}\nrule: {body}" for at, body in enumerate(_BODIES))
    return tuple(
        rule_of(values) for text in texts for values in read_file(text.replace(", fix: x", ""), trusted=True).values
    )


@pytest.mark.parametrize("language", _LANGUAGES)
def test_every_rule_of_the_library_is_evaluated_here(language: str) -> None:
    """ast-grep is left with none, so that it need not be there for them."""
    assert [rule.id for rule in plan_of(_structural(language), language).others] == []


@pytest.mark.parametrize("language", _LANGUAGES)
def test_each_rule_on_its_own_cases(language: str) -> None:
    """On every valid and every invalid text of it."""
    rules = {rule.id: rule for rule in _structural(language)}
    for name, text in _cases(language):
        if name in rules:
            ours, theirs = _fits(text, language, (rules[name],))
            assert ours == theirs, text


@pytest.mark.slow
@pytest.mark.parametrize("language", _LANGUAGES)
def test_all_rules_on_the_cases_of_all(language: str) -> None:
    """The same on the texts of all other rules."""
    _check((text for _, text in _cases(language)), language)


@pytest.mark.parametrize("module", ["argparse", "tarfile"])
def test_real_code(module: str) -> None:
    """On modules of the standard library."""
    _check([(_STANDARD / f"{module}.py").read_text("utf-8")], "python")


@pytest.mark.slow
@pytest.mark.parametrize("module", sorted(file.name for file in _STANDARD.glob("*.py"))[::4])
def test_more_real_code(module: str) -> None:
    """On a quarter of them all."""
    _check([(_STANDARD / module).read_text("utf-8")], "python")


@pytest.mark.slow
@pytest.mark.parametrize("language", sorted(_OTHERS))
def test_real_code_of_other_languages(language: str) -> None:
    """On what lies on this machine, where it parses: how broken code is mended is up to a grammar's version."""
    roots = [Path("/usr/share"), Path("/usr/include"), Path("/usr/lib"), Path(sysconfig.get_path("purelib"))]
    texts: list[str] = []
    for root in roots:
        for file in sorted(root.rglob(_OTHERS[language])) if root.is_dir() else ():
            if len(texts) < 12 and file.is_file() and 200 < file.stat().st_size < 60_000:
                texts.append(file.read_text("utf-8", errors="replace"))
    if not texts:
        pytest.skip(f"no {_OTHERS[language]} on this machine")
    _check((text for text in texts if not _broken(text, language)), language)


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_made_code(data: st.DataObject) -> None:
    """Rules of every relation and variable on texts made of small parts."""
    atom = st.sampled_from(["f", "g", "1", "2", "'s'", "f(1)", "g(f)", "a == a", "a == b", "lambda: f(2)", "x.y"])
    call = st.builds(
        lambda name, args: f"{name}({', '.join(args)})", st.sampled_from("fgh"), st.lists(atom, max_size=4)
    )
    line = st.one_of(
        call,
        st.builds("{} = {}".format, st.sampled_from("xyz"), atom),
        st.builds("({})".format, st.lists(atom, min_size=2, max_size=4).map(", ".join)),
        st.just("# note"),
    )
    body = st.lists(line, min_size=1, max_size=4).map(
        lambda some: "".join(f"    {one}\n" for one in (*some, "return 1"))
    )
    part = st.one_of(line.map("{}\n".format), body.map("def d(f, g):\n{}".format))
    text = "".join(data.draw(st.lists(part, max_size=6)))
    ours, theirs = _fits(text, "python", _own())
    assert ours == theirs


@settings(deadline=None, max_examples=25)
@given(st.data())
def test_cases_that_were_edited(data: st.DataObject) -> None:
    """On the library's texts with a line taken out or doubled, as long as they parse."""
    _, text = data.draw(st.sampled_from(_cases("python")))
    lines = text.splitlines(keepends=True)
    at = data.draw(st.integers(0, len(lines) - 1))
    lines[at : at + 1] = data.draw(st.sampled_from([[], [lines[at]] * 2, [lines[at].replace("(", "(1, ", 1)]]))
    changed = "".join(lines)
    assume(not _broken(changed, "python"))
    _check([changed], "python")


def _broken(text: str, language: str) -> bool:
    known = grammar(language)
    assert known is not None
    return syntax_of(LineIndex(text), known).tree.root_node.has_error


def _check(texts: Iterable[str], language: str) -> None:
    for text in texts:
        ours, theirs = _fits(text, language, _structural(language))
        assert ours == theirs, text[:500]
