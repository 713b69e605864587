"""Findings as SARIF 2.1.0, the format that code hosts and editors read. Pure.

Columns count UTF-16 units (`columnKind`). Paths are relative to the workspace's folder (`%SRCROOT%`), which is not
named: the same code gives the same log on every machine.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any
from urllib.parse import quote

from leanvibe_lsp import __version__
from leanvibe_lsp.documents.uris import from_pure_path
from leanvibe_lsp.review.values import Found, Region, Report, Target, Trouble
from leanvibe_lsp.tiers.finding import Category, Finding, Severity
from leanvibe_lsp.tiers.fingerprint import VERSION

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_ROOT = "%SRCROOT%"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFORMATION: "note", Severity.HINT: "note"}
# What GitHub sorts security findings by, on the scale of CVSS; it reads them from the rule.
_SECURITY = {Severity.ERROR: "8.0", Severity.WARNING: "6.0", Severity.INFORMATION: "3.0", Severity.HINT: "1.0"}
_PRECISIONS = ((0.9, "very-high"), (0.75, "high"), (0.5, "medium"), (0.0, "low"))
_VARIABLE = re.compile(r"`?\${1,3}[A-Z_][A-Z0-9_]*`?")


def log(report: Report, messages: Mapping[str, str] | None = None, *, exit_code: int | None = None) -> dict[str, Any]:
    """The whole result as one log with one run; `messages` are what rules say in general, by id."""
    by_rule: dict[str, Finding] = {}
    for one in report.found:
        by_rule.setdefault(one.finding.rule, one.finding)
    rules = sorted(by_rule)
    weaknesses = sorted({one.finding.cwe for one in report.found if one.finding.cwe is not None})
    driver: dict[str, Any] = {
        "name": "LeanVibe",
        "version": __version__,
        "semanticVersion": __version__,
        "rules": [_rule(by_rule[name], weaknesses, (messages or {}).get(name, "")) for name in rules],
        "supportedTaxonomies": [{"name": "CWE", "index": 0}],
    }
    invocation: dict[str, Any] = {
        "executionSuccessful": not report.failed and not report.unfinished,
        "toolExecutionNotifications": [*_notifications(report)],
    }
    if exit_code is not None:
        invocation["exitCode"] = exit_code
    run = {
        "tool": {"driver": driver},
        "columnKind": "utf16CodeUnits",
        "originalUriBaseIds": {_ROOT: {"description": {"text": "The workspace's folder."}}},
        "taxonomies": [_taxonomy(weaknesses)],
        "invocations": [invocation],
        "results": [_result(one, rules.index(one.finding.rule), weaknesses) for one in report.found],
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(finding: Finding, weaknesses: Sequence[int], message: str) -> dict[str, Any]:
    general = _VARIABLE.sub("…", message) or finding.note or finding.message
    why = finding.note or general
    plain = "\n\n".join(part for part in (why, finding.mend and f"How to mend it: {finding.mend}") if part)
    is_security = finding.category is Category.SECURITY
    tags = [str(finding.category), *([f"external/cwe/cwe-{finding.cwe:03}"] if finding.cwe else [])]
    properties: dict[str, Any] = {
        "tags": tags,
        "precision": next(name for least, name in _PRECISIONS if finding.confidence >= least),
    }
    if is_security:
        properties["security-severity"] = _SECURITY[finding.severity]
    rule: dict[str, Any] = {
        "id": finding.rule,
        "shortDescription": {"text": general},
        "fullDescription": {"text": why},
        "help": {"text": plain, "markdown": plain.replace("How to mend it:", "**How to mend it:**")},
        "defaultConfiguration": {"level": _LEVELS[finding.severity], "rank": _rank(finding.confidence)},
        "properties": properties,
    }
    if finding.link:
        rule["helpUri"] = finding.link
    if finding.cwe is not None:
        rule["relationships"] = [{"target": _weakness(finding.cwe, weaknesses), "kinds": ["superset"]}]
    return rule


def _result(one: Found, index: int, weaknesses: Sequence[int]) -> dict[str, Any]:
    finding = one.finding
    location: dict[str, Any] = {"physicalLocation": _place(one.target, one.region, finding.quote)}
    if one.symbol:
        location["logicalLocations"] = [{"fullyQualifiedName": one.symbol, "name": one.symbol.rpartition(".")[2]}]
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": _LEVELS[finding.severity],
        "rank": _rank(finding.confidence),
        "message": {"text": finding.message},
        "locations": [location],
        "partialFingerprints": {f"leanvibe/{VERSION}": one.fingerprint},
        "properties": {"rung": finding.rung, "confidence": finding.confidence},
    }
    if one.also:
        result["properties"]["alsoFoundBy"] = [other.rule for other in one.also]
    if finding.cwe is not None:
        result["taxa"] = [_weakness(finding.cwe, weaknesses)]
    if one.steps:
        result |= _evidence(one)
    if one.fix:
        result["fixes"] = [_fix(one)]
    return result


def _evidence(one: Found) -> dict[str, Any]:
    """The way of the data: as related places for those who show only these, and as a code flow."""
    places = [(step.region, step.message) for step in one.steps]
    flow = [*places, (one.region, one.finding.message)]
    return {
        "relatedLocations": [
            {"id": number, "physicalLocation": _place(one.target, region), "message": {"text": said}}
            for number, (region, said) in enumerate(places, 1)
        ],
        "codeFlows": [
            {
                "threadFlows": [
                    {
                        "locations": [
                            {"location": {"physicalLocation": _place(one.target, region), "message": {"text": said}}}
                            for region, said in flow
                        ]
                    }
                ]
            }
        ],
    }


def _fix(one: Found) -> dict[str, Any]:
    replacements = [{"deletedRegion": _region(part.region), "insertedContent": {"text": part.text}} for part in one.fix]
    change = {"artifactLocation": _artifact(one.target), "replacements": replacements}
    return {
        "description": {"text": one.finding.fix_title or f"Fix {one.finding.rule}"},
        "artifactChanges": [change],
    }


def _place(target: Target, region: Region, snippet: str | None = None) -> dict[str, Any]:
    place = _region(region)
    if snippet:
        place["snippet"] = {"text": snippet}
    return {"artifactLocation": _artifact(target), "region": place}


def _region(one: Region) -> dict[str, Any]:
    return {
        "startLine": one.line,
        "startColumn": one.column,
        "endLine": one.end_line,
        "endColumn": one.end_column,
    }


def _artifact(target: Target) -> dict[str, Any]:
    """Relative to the workspace; a file outside of it has nothing that it could be relative to."""
    for kind in (PurePosixPath, PureWindowsPath):
        if (pure := kind(target.within)).is_absolute():
            return {"uri": from_pure_path(pure)}
    return {"uri": quote(target.within.encode("utf-8", "surrogateescape")), "uriBaseId": _ROOT}


def _taxonomy(weaknesses: Iterable[int]) -> dict[str, Any]:
    return {
        "name": "CWE",
        "organization": "MITRE",
        "informationUri": "https://cwe.mitre.org/",
        "shortDescription": {"text": "Common Weakness Enumeration"},
        "taxa": [
            {"id": str(number), "helpUri": f"https://cwe.mitre.org/data/definitions/{number}.html"}
            for number in weaknesses
        ],
    }


def _weakness(number: int, weaknesses: Sequence[int]) -> dict[str, Any]:
    return {"id": str(number), "index": weaknesses.index(number), "toolComponent": {"name": "CWE", "index": 0}}


def _notifications(report: Report) -> Iterable[dict[str, Any]]:
    def note(level: str, one: Trouble) -> dict[str, Any]:
        return {"level": level, "message": {"text": f"{one.place}: {one.reason}"}}

    yield from (note("error", one) for one in report.failed)
    yield from (note("note", one) for one in report.left_out)
    if report.unfinished:
        yield {"level": "error", "message": {"text": f"Stopped before the end: {report.unfinished} files are missing."}}


def _rank(confidence: float) -> float:
    return round(100 * confidence, 1)
