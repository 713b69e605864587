"""Findings as one plain JSON object. Pure."""

from __future__ import annotations

from typing import Any

from leanvibe_lsp import __version__
from leanvibe_lsp.review.values import Found, Region, Report

FORMAT = 1  # another one when a field changes its meaning or goes away


def document(report: Report) -> dict[str, Any]:
    """The whole result. Lines and columns count from 1, columns in UTF-16 units, the end behind the place."""
    return {
        "format": FORMAT,
        "tool": {"name": "leanvibe", "version": __version__},
        "findings": [finding(one) for one in report.found],
        "leftOut": [{"place": one.place, "reason": one.reason} for one in report.left_out],
        "notChecked": [{"place": one.place, "reason": one.reason} for one in report.failed],
        "summary": {
            "files": report.files,
            "lines": report.lines,
            "findings": {str(severity): count for severity, count in report.counts().items()},
            "unfinished": report.unfinished,
        },
    }


def finding(one: Found) -> dict[str, Any]:
    """One finding."""
    found = one.finding
    return {
        "fingerprint": one.fingerprint,
        "rule": found.rule,
        "severity": str(found.severity),
        "confidence": found.confidence,
        "rung": found.rung,
        "category": str(found.category),
        "cwe": found.cwe,
        "message": found.message,
        "note": found.note,
        "mend": found.mend,
        "link": found.link,
        "path": one.target.within,
        "region": region(one.region),
        "symbol": one.symbol,
        "quote": found.quote,
        "evidence": [{"region": region(step.region), "message": step.message} for step in one.steps],
        "alsoFoundBy": [{"rule": other.rule, "confidence": other.confidence} for other in one.also],
        "fix": [{"region": region(part.region), "text": part.text} for part in one.fix],
    }


def region(one: Region) -> dict[str, int]:
    """A place."""
    return {"line": one.line, "column": one.column, "endLine": one.end_line, "endColumn": one.end_column}
