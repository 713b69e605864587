from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leanvibe_lsp.core.text import Span
from leanvibe_lsp.review import github, sarif, text
from leanvibe_lsp.review import json as plain
from leanvibe_lsp.review.look import look_at
from leanvibe_lsp.review.values import Also, Excerpt, Found, Region, Replacement, Report, Step, Target, Trouble, Wanted
from leanvibe_lsp.tiers.finding import Category, Finding, Severity
from tests.unit.review.conftest import MakeTarget

_SCHEMA = Path(__file__).parents[4] / "shared" / "eval" / "sarif" / "sarif-schema-2.1.0.json"
_TEXTS = st.text(st.sampled_from("ab:,%\r\n|é𝒻`\x1b\ud800"), max_size=8)
_REGIONS = st.builds(Region, st.integers(1, 9), st.integers(1, 9), st.just(9), st.integers(9, 12))
_EXCERPTS = st.builds(Excerpt, st.integers(1, 9), _TEXTS, st.just(0), st.integers(0, 3))
_TARGETS = st.sampled_from(["a.py", "ä b/c%d.py", "/abs/x.py", "C:/x.py", "q?#.py", "a,b:c=d.py"]).map(
    lambda name: Target(Path(name), Path(), name, name)
)
_FINDINGS = st.builds(
    Finding,
    rule=st.sampled_from(["python/a", "go/b"]),
    message=st.just("No `x`.") | _TEXTS,
    severity=st.sampled_from(Severity),
    span=st.just(Span(0, 1)),
    quote=_TEXTS,
    confidence=st.floats(0, 1),
    note=_TEXTS,
    mend=_TEXTS,
    category=st.sampled_from(Category),
    cwe=st.sampled_from([None, 78, 89]),
    link=st.sampled_from(["", "https://cwe.mitre.org/"]),
)
_FOUND = st.builds(
    Found,
    _TARGETS,
    _FINDINGS,
    _REGIONS,
    _EXCERPTS,
    symbol=st.sampled_from(["", "A.f"]),
    fingerprint=st.just("0123456789abcdef"),
    steps=st.lists(st.builds(Step, _REGIONS, _TEXTS, _EXCERPTS), max_size=2).map(tuple),
    also=st.lists(st.builds(Also, st.just("python/c"), st.floats(0, 1)), max_size=1).map(tuple),
    fix=st.lists(st.builds(Replacement, _REGIONS, _TEXTS), max_size=2).map(tuple),
)
_TROUBLES = st.lists(st.builds(Trouble, _TEXTS, _TEXTS), max_size=2).map(tuple)
_REPORTS = st.builds(
    Report,
    st.lists(_FOUND, max_size=4).map(tuple),
    left_out=_TROUBLES,
    failed=_TROUBLES,
    unfinished=st.integers(0, 2),
)


@pytest.fixture(scope="module")
def validator() -> Any:
    if not _SCHEMA.is_file():
        pytest.skip(f"needs {_SCHEMA}, which is not part of the project")
    from jsonschema import FormatChecker
    from jsonschema.validators import validator_for

    schema = json.loads(_SCHEMA.read_text(encoding="utf-8"))
    return validator_for(schema)(schema, format_checker=FormatChecker())


@settings(max_examples=25)  # the schema is large
@given(report=_REPORTS)
def test_every_log_is_valid_sarif(validator: Any, report: Report) -> None:
    """Whatever was found, and in files of whatever name."""
    log = json.loads(json.dumps(sarif.log(report, {"python/a": "No `$X`, $$$ARGS."}, exit_code=1)))
    assert [error.message for error in validator.iter_errors(log)] == []


@given(report=_REPORTS)
def test_a_log_refers_to_what_is_in_it(report: Report) -> None:
    """Rules, weaknesses, levels by their places in the same log; no path of this machine in it but for stray files."""
    (run,) = sarif.log(report)["runs"]
    rules, taxa = run["tool"]["driver"]["rules"], run["taxonomies"][0]["taxa"]
    assert len(run["results"]) == len(report.found)
    for result, one in zip(run["results"], report.found, strict=True):
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"] == one.finding.rule
        assert [taxa[at["index"]]["id"] for at in result.get("taxa", [])] == [str(c) for c in [one.finding.cwe] if c]
        assert result["partialFingerprints"] == {"leanvibe/v1": one.fingerprint}
        assert 0 <= result["rank"] <= 100
        place = result["locations"][0]["physicalLocation"]
        stray = one.target.within.startswith(("/", "C:"))
        assert place["artifactLocation"]["uri"].startswith("file:") == stray
        assert ("uriBaseId" in place["artifactLocation"]) != stray
    assert run["columnKind"] == "utf16CodeUnits"
    assert run["invocations"][0]["executionSuccessful"] == (not report.failed and not report.unfinished)


def test_a_log_of_real_findings(make: MakeTarget, wanted: Wanted, validator: Any, tmp_path: Path) -> None:
    """Evidence as a code flow that ends at the finding; a proven fix; nothing of where the files lie."""
    content = (
        "from flask import request\nimport os\nq = request.args['q']\nos.system('é𝒻' + q)\nif x is 'a':\n    pass\n"
    )
    found = look_at(make("a b.py", content), replace(wanted, prove=True)).found
    log = sarif.log(Report(found), {"python/is-literal": "`$B` is no `is`."})
    assert [error.message for error in validator.iter_errors(json.loads(json.dumps(log)))] == []
    (run,) = log["runs"]
    by_rule = {result["ruleId"]: result for result in run["results"]}
    flow = by_rule["python/flow-command"]["codeFlows"][0]["threadFlows"][0]["locations"]
    assert flow[0]["location"]["physicalLocation"]["region"]["startLine"] == 3
    assert flow[-1]["location"]["physicalLocation"] == {
        "artifactLocation": {"uri": "a%20b.py", "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": 4, "startColumn": 11, "endLine": 4, "endColumn": 20},
    }
    (change,) = by_rule["python/is-literal"]["fixes"][0]["artifactChanges"]
    assert change["replacements"][0]["insertedContent"] == {"text": "=="}
    rules = {rule["id"]: rule for rule in run["tool"]["driver"]["rules"]}
    assert rules["python/is-literal"]["shortDescription"]["text"] == "… is no `is`."
    assert rules["python/flow-command"]["properties"]["security-severity"] == "8.0"
    assert rules["python/flow-command"]["relationships"][0]["target"]["id"] == "78"
    assert str(tmp_path) not in json.dumps(log)


@given(report=_REPORTS)
def test_a_command_is_one_line_that_reads_back(report: Report) -> None:
    """GitHub's runner splits at `::`, commas and equals signs, and unescapes: nothing may be lost or added."""
    lines = list(github.commands(report))
    assert len(lines) == len(report.found) + len(report.failed)
    for line, one in zip(lines, report.found, strict=False):
        assert "\n" not in line
        assert "\r" not in line
        head, _, data = line.removeprefix("::").partition("::")
        name, _, pairs = head.partition(" ")
        properties = dict(pair.split("=", 1) for pair in pairs.split(","))
        assert name in ("error", "warning", "notice")
        assert _unescaped(properties["title"]) == one.finding.rule
        assert _unescaped(properties["file"]) == one.target.within
        assert one.finding.message.strip() in _unescaped(data)
        assert ("col" in properties) == (one.region.line == one.region.end_line)


def _unescaped(said: str) -> str:
    for code, sign in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        said = said.replace(code, sign)
    return said


@given(report=_REPORTS)
def test_json_has_every_finding(report: Report) -> None:
    """It can be written and read, and counts what it holds."""
    content = json.loads(json.dumps(plain.document(report)))
    assert [one["fingerprint"] for one in content["findings"]] == [one.fingerprint for one in report.found]
    assert sum(content["summary"]["findings"].values()) == len(report.found)
    assert len(content["notChecked"]) == len(report.failed)


@given(report=_REPORTS)
def test_each_finding_begins_with_its_place(report: Report) -> None:
    """As editors and terminals read it, in one line, with its severity, rule and confidence."""
    for one in report.found:
        first = "".join(piece for piece, _ in next(text.finding_lines(one)))
        assert first.startswith(f"{one.target.shown}:{one.region.line}:{one.region.column}: {one.finding.severity}: ")
        assert one.finding.rule in first
        assert f"{100 * one.finding.confidence:.0f} %" in first
        assert "\n" not in first


@pytest.mark.parametrize(
    ("line", "start", "end", "gap", "marks"),
    [
        ("ab cd", 3, 5, "   ", "^^"),
        ("\tx", 1, 2, "\t", "^"),
        ("漢字x", 2, 3, "    ", "^"),
        ("e\u0301x", 2, 3, " ", "^"),
        ("a", 1, 1, " ", "^"),
    ],
)
def test_the_mark_stands_under_what_is_meant(line: str, start: int, end: int, gap: str, marks: str) -> None:
    """Tabs, wide letters and accents take what a terminal gives them; an empty place has a mark too."""
    first, second = text.excerpt_lines(Excerpt(7, line, start, end), 1, "red")
    assert first == ((" 7 | ", "dim"), (line, ""))
    assert second == ((f"   | {gap}", "dim"), (marks, "red"))


def test_the_summary_says_what_is_missing() -> None:
    """Left out, not checked, not reached."""
    report = Report(
        files=2, lines=1_234, left_out=(Trouble("a", "it is binary"),), failed=(Trouble("b", "no"),), unfinished=1
    )
    assert list(text.summary(report)) == [
        "No findings in 2 files, 1,234 lines.",
        "left out: a: it is binary",
        "not checked: b: no",
        "Stopped before the end: 1 file not looked at.",
    ]
