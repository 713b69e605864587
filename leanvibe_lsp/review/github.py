"""Findings as GitHub's workflow commands, which its runner turns into annotations of the changed lines. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from leanvibe_lsp.review.values import Found, Report
from leanvibe_lsp.tiers.finding import Severity

_LEVELS = {
    Severity.ERROR: "error",
    Severity.WARNING: "warning",
    Severity.INFORMATION: "notice",
    Severity.HINT: "notice",
}


def commands(report: Report) -> Iterator[str]:
    """A command for each finding, and a warning for each file that was not checked."""
    yield from map(_annotation, report.found)
    for one in report.failed:
        yield f"::warning title={_property('Not checked')}::{_data(f'{one.place}: {one.reason}')}"


def _annotation(one: Found) -> str:
    finding, region = one.finding, one.region
    places = {"file": one.target.within, "line": region.line, "endLine": region.end_line}
    if region.line == region.end_line:  # columns are taken for a single line only
        places |= {"col": region.column, "endColumn": max(region.column, region.end_column - 1)}
    said = " ".join((finding.message, finding.mend)).strip()
    facts = f"confidence {100 * finding.confidence:.0f} %, {one.fingerprint}"
    named = {**places, "title": finding.rule}
    properties = ",".join(f"{name}={_property(str(value))}" for name, value in named.items())
    return f"::{_LEVELS[finding.severity]} {properties}::{_data(f'{said} ({facts})')}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
