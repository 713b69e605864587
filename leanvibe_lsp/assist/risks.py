"""The classifier's rung: how probable it is that a function deserves a reviewer's eyes, and why. Any thread."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from leanvibe_lsp.assist.judged import RISK
from leanvibe_lsp.assist.units import Unit, units_of
from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.config.settings import EditorSettings
from leanvibe_lsp.core.text import LineIndex
from leanvibe_lsp.documents.grammars import language_of, syntax
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.tiers.finding import Finding, Severity

if TYPE_CHECKING:
    from leanvibe_lsp.tiers.risk.values import Risk, UnitRisk

NOT_READ = "it cannot read this file"
_log = logging.getLogger(__name__)


def risk_of(snapshot: Snapshot, unit: Unit, findings: Sequence[Finding]) -> Risk | None:
    """What the classifier says of a piece; `findings` are all of the rules'. None: it cannot read the document."""
    from leanvibe_lsp.tiers.risk.assessment import assess  # its file is read when it is first needed

    language, parsed = language_of(snapshot.language_id, snapshot.path), syntax(snapshot)
    if language is None or parsed is None:
        return None
    return assess(snapshot.text, language, span=unit.span, findings=findings, syntax=parsed)


def reasons_of(risk: Risk) -> tuple[str, ...]:
    """The heaviest reasons for a look, in plain words."""
    return tuple(one.words for one in risk.reasons if one.weight > 0)[: limit("risk.reasons")]


# By the text: the findings of the rules that were counted in, and what came of it.
_known: WeakKeyDictionary[LineIndex, tuple[tuple[Finding, ...], tuple[Finding, ...]]] = WeakKeyDictionary()
_lock = Lock()


def risks(snapshot: Snapshot, findings: tuple[Finding, ...], settings: EditorSettings) -> tuple[Finding, ...]:
    """A finding for each function that may deserve a reviewer's eyes and that no rule points at yet.

    `findings` are those of the rules. Nothing where the settings want no classifier, and where only names and calls are
    looked at: in languages other than Python that says too little to be shown while one types. Nothing for a text that
    is too long to be judged at each edit either; a review on demand judges it all the same.
    """
    if not settings.classifier or language_of(snapshot.language_id, snapshot.path) != "python":
        return ()
    if len(snapshot.text) > limit("risk.characters"):
        _say_once(snapshot.uri)
        return ()
    with _lock:
        known = _known.get(snapshot.lines)
    if known is None or known[0] != findings:
        try:
            known = findings, tuple(_risks(snapshot, findings))
        except Exception:  # noqa: BLE001 - a failing classifier costs itself
            _log.exception("The classifier failed on %s.", snapshot.uri)
            known = findings, ()
        with _lock:
            _known[snapshot.lines] = known
    return known[1]


@lru_cache(maxsize=1024)
def _say_once(uri: str) -> None:
    _log.info("No hints of the classifier for %s: longer than %s characters.", uri, limit("risk.characters"))


def _risks(snapshot: Snapshot, findings: tuple[Finding, ...]) -> Iterator[Finding]:
    from leanvibe_lsp.tiers.risk.assessment import assess_units

    parsed = syntax(snapshot)
    if parsed is None:
        return
    told = [one for one in findings if one.severity is not Severity.HINT]
    found = assess_units(snapshot.text, "python", findings=findings, syntax=parsed)
    likely = [one for one in found if one.name and 100 * one.risk.probability >= limit("risk.shown_percent")]
    units = units_of(snapshot) if likely else ()
    for one in likely:
        unit = _unit(one, units)
        if unit is not None and not any(unit.span.start <= other.span.start < unit.span.end for other in told):
            yield finding_of(snapshot, unit, one.risk)


def _unit(one: UnitRisk, units: Sequence[Unit]) -> Unit | None:
    around = (unit for unit in units if unit.span.start <= one.span.start and one.span.end <= unit.span.end)
    return next(around, None)


def finding_of(snapshot: Snapshot, unit: Unit, risk: Risk) -> Finding:
    """A risk as it is shown: at the name of the function, with its reasons."""
    loud = 100 * risk.probability >= limit("risk.information_percent")
    why = "; ".join(reasons_of(risk))
    return Finding(
        rule=RISK,
        message=f"{unit.name} may deserve a second look{f': {why}' if why else ''}.",
        severity=Severity.INFORMATION if loud else Severity.HINT,
        span=unit.mark,
        quote=snapshot.text[unit.mark.start : unit.mark.end],
        confidence=risk.probability,
        rung="classifier",
        note="A small classifier that was trained on reviewed code says so; it does not know what the code is for.",
    )
