"""A rule's own fix as a change that no model was asked for, and the proof that it is right, remembered."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from weakref import WeakKeyDictionary

from leanvibe_lsp.assist.analyze import analyze
from leanvibe_lsp.assist.answer import Answer, AnswerTiming, Confidence
from leanvibe_lsp.assist.changes.run import fix_of
from leanvibe_lsp.assist.changes.standing import standing
from leanvibe_lsp.assist.changes.values import Change, ChangeRequest, Check, Complaint, FileChange
from leanvibe_lsp.config.settings import EditorSettings
from leanvibe_lsp.core.text import LineIndex
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.engine.base import FinishReason, Usage
from leanvibe_lsp.tiers.finding import Finding

# A proof lives as long as the text it is about.
_proofs: WeakKeyDictionary[LineIndex, dict[Finding, bool]] = WeakKeyDictionary()
_lock = Lock()


def mended(request: ChangeRequest, settings: EditorSettings) -> Change | None:
    """The change that the complaint's own rule makes, proven; None where it has none, and a model has to be asked."""
    snapshot = request.place.snapshot
    if request.complaint is None or not request.complaint.rule:
        return None
    finding = finding_of(request.complaint, analyze(snapshot, settings))
    if finding is None or not prove(finding, snapshot):
        return None
    return Change(
        title=title_of(finding),
        files=(FileChange(snapshot, finding.fix, region=standing(snapshot, finding.span)),),
        checks=tuple(Check(name, passed=True) for name in ("parses", "complaint gone", "nothing new")),
        proven=True,
        draft="",
        refusal="",
        answer=_answer(finding),
        attempts=0,
    )


def prove(finding: Finding, snapshot: Snapshot) -> bool:
    """Whether the finding's own fix ends it and brings nothing new; looked at once a text. Any thread."""
    if (known := is_proven(finding, snapshot)) is None:
        known = fix_of(finding, snapshot) is not None
        with _lock:
            _proofs.setdefault(snapshot.lines, {})[finding] = known
    return known


def is_proven(finding: Finding, snapshot: Snapshot) -> bool | None:
    """What `prove` found for this text, at once; None when nobody looked."""
    with _lock:
        return _proofs.get(snapshot.lines, {}).get(finding)


def finding_of(complaint: Complaint, findings: Sequence[Finding]) -> Finding | None:
    """The finding that a complaint of ours is about: the same rule at the same place."""
    matching = (one for one in findings if one.rule == complaint.rule and one.span == complaint.span)
    return next(matching, None)


def title_of(finding: Finding) -> str:
    """What the rule's own fix is called."""
    return finding.fix_title or f"Fix {finding.rule}"


def _answer(finding: Finding) -> Answer:
    """What says who did it: the rule, at no cost."""
    return Answer(
        answer="",
        tier=finding.rung,
        model="",
        backend="",
        confidence=Confidence(finding.confidence, "the rule's author", calibrated=False),
        citations=(),
        omitted=(),
        usage=Usage(0, 0, 0),
        timing=AnswerTiming(0.0, 0.0, 0.0, 0.0),
        finish_reason=FinishReason.STOP,
    )
