"""What the upper rungs found in the open documents: shown until what it is about was edited. Event-loop thread only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from leanvibe_lsp.core.edits import TextEdit
from leanvibe_lsp.core.rebase import rebased
from leanvibe_lsp.core.text import Span

if TYPE_CHECKING:
    from leanvibe_lsp.assist.judged import Judged, UnitJudged
    from leanvibe_lsp.documents.snapshot import Snapshot
    from leanvibe_lsp.documents.store import DocumentStore
    from leanvibe_lsp.tiers.finding import Finding


@dataclass(frozen=True, slots=True)
class _Held:
    """A finding and the text it holds for; of a piece without one, that it was judged. `shown`: see `UnitJudged`."""

    stands: Span
    unit: Span
    finding: Finding | None
    shown: str = ""


class Reviews:
    """The last review of each piece of each open document."""

    def __init__(self, documents: DocumentStore) -> None:
        self._documents = documents
        self._held: dict[str, tuple[Snapshot, tuple[_Held, ...]]] = {}

    def take(self, judged: Judged) -> int:
        """Keep what was found in place of what was known of these pieces.

        Of how many pieces the result is of no use any more, because they were edited meanwhile.
        """
        before = judged.snapshot
        new = [held for unit in judged.units for held in _held(unit)]
        now = self._documents.get(before.uri)
        since = self._documents.edits_since(before)
        if now is None or since is None:
            return len(judged.units)
        carried = _carried(new, before, since)
        units = [one.unit for one in carried]
        kept = [one for one in self._of(now) if not any(_meet(one.unit, unit) for unit in units)]
        self._held[now.uri] = now, (*kept, *carried)
        whole = {one.unit for one in new}
        return len(whole) - len(_carried([_Held(unit, unit, None) for unit in whole], before, since))

    def findings(self, snapshot: Snapshot) -> tuple[Finding, ...]:
        """What is still to be shown, where it stands in the document of now; nothing for another snapshot."""
        if self._documents.get(snapshot.uri) is not snapshot:
            return ()
        return tuple(one.finding for one in self._of(snapshot) if one.finding is not None)

    def shown(self, snapshot: Snapshot, span: Span) -> str:
        """What a model was shown when it judged the piece that `span` lies in; "" when none was asked about it."""
        around = [one for one in self._of(snapshot) if one.shown and _meet(one.unit, span)]
        return around[0].shown if around else ""

    def forget(self, uri: str) -> None:
        """The document was closed."""
        self._held.pop(uri, None)

    def _of(self, now: Snapshot) -> tuple[_Held, ...]:
        """What is held for a document, carried to the text of now."""
        if now.uri not in self._held:
            return ()
        before, held = self._held[now.uri]
        if before is not now:
            since = self._documents.edits_since(before)
            held = () if since is None else tuple(_carried(held, before, since))
            self._held[now.uri] = now, held
        return held


def _held(unit: UnitJudged) -> Iterable[_Held]:
    from leanvibe_lsp.assist.judged import UNSURE  # not needed before the first review

    # What the rules find is looked for anew with each key.
    own = [one for one in unit.findings if one.rung not in ("rules", "classifier")]
    yield _Held(unit.span, unit.span, None, unit.shown)
    for one in own:
        yield _Held(unit.span if one.rule == UNSURE else one.span, unit.span, one, unit.shown)


def _carried(held: Iterable[_Held], before: Snapshot, since: tuple[TextEdit, ...]) -> list[_Held]:
    """What no edit has touched, moved."""
    kept: list[_Held] = []
    for one in held:
        moved = rebased(before.text, [TextEdit(one.stands, "")], since)
        if moved is not None:
            kept.append(_moved(one, moved[0].span.start - one.stands.start))
    return kept


def _moved(held: _Held, by: int) -> _Held:
    if not by:
        return held
    finding = held.finding
    if finding is not None:
        related = tuple(replace(one, span=_shifted(one.span, by)) for one in finding.related)
        finding = replace(finding, span=_shifted(finding.span, by), related=related)
    return replace(held, stands=_shifted(held.stands, by), unit=_shifted(held.unit, by), finding=finding)


def _shifted(span: Span, by: int) -> Span:
    return Span(span.start + by, span.end + by)


def _meet(one: Span, other: Span) -> bool:
    return one.start <= other.end and other.start <= one.end
