"""What belongs to the places of a question, looked for in the open documents and on disk. Blocks; any thread."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from leanvibe_lsp.assist.analyze import analyze
from leanvibe_lsp.assist.answer import Place
from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents.gathered import NOTHING, Diagnostic, Gathered, Related, Surroundings
from leanvibe_lsp.documents.grammars import language_of
from leanvibe_lsp.documents.related import Wanted, definitions_in, fits, related_languages, wanted
from leanvibe_lsp.documents.scopes import chain
from leanvibe_lsp.documents.secrets import refuse, withheld
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.documents.workspace import find_definitions


def gather(places: Sequence[Place], surroundings: Surroundings) -> Gathered:
    """What the first place uses and does not define, unsaved text before files, and what is said about it.

    Of a whole file only what is said about it: the file speaks for itself, and what it uses would be half a workspace.
    Raises UsageError for a place in a file of secrets.
    """
    secrets = surroundings.settings.secrets
    for place in places:
        refuse(place.snapshot, secrets)
    if not places:
        return NOTHING
    snapshot, span = places[0].snapshot, places[0].span
    language = language_of(snapshot.language_id, snapshot.path)
    if language is None or span is None:
        return Gathered(diagnostics=_diagnostics(snapshot, surroundings))
    sought = wanted(snapshot, _meant(snapshot, span))[: limit("context.related")]
    asked = {place.snapshot.uri for place in places}
    others = [
        one
        for one in surroundings.open_documents
        if one.uri not in asked
        and language_of(one.language_id, one.path) in related_languages(language)
        and withheld(one, secrets) is None
    ]
    found = [one for document in others for one in definitions_in(document, sought, snapshot.path)]
    missing = [one for one in sought if one.name not in {related.symbol.name for related in found}]
    elsewhere, unsought = _on_disk(snapshot, language, missing, surroundings, asked)
    order = {one.name: number for number, one in enumerate(sought)}
    related = sorted((*found, *elsewhere), key=lambda one: order[one.symbol.name])
    return Gathered(tuple(related), _diagnostics(snapshot, surroundings), unsought)


def _on_disk(
    snapshot: Snapshot, language: str, sought: Sequence[Wanted], surroundings: Surroundings, asked: set[str]
) -> tuple[list[Related], tuple[str, ...]]:
    if snapshot.path is None:
        return [], ()
    wanted_of = {one.name: one for one in sought}
    found = find_definitions(
        tuple(wanted_of),
        near=snapshot.path,
        language=language,
        roots=surroundings.roots,
        hints={one.name: one.hints for one in sought},
        passed=_real([one.path for one in surroundings.open_documents]),
        secrets=surroundings.settings.secrets,
    )
    related = [
        Related(one.snapshot, one.symbol, f"definition of {one.symbol.name}")
        for one in found.definitions
        if one.snapshot.uri not in asked
        and fits(wanted_of[one.symbol.name], one.symbol, one.snapshot.path, snapshot.path)
    ]
    return related, (found.cut,) if found.cut else ()


def _diagnostics(snapshot: Snapshot, surroundings: Surroundings) -> tuple[Diagnostic, ...]:
    """What the editor knows, then our own findings that it does not."""
    known = {(one.span, one.message) for one in surroundings.diagnostics}
    findings = analyze(snapshot, surroundings.settings) if surroundings.settings.diagnostics else ()
    own = [Diagnostic(one.span, one.message, one.rule, "leanvibe") for one in findings]
    return (*surroundings.diagnostics, *(one for one in own if (one.span, one.message) not in known))


def _meant(snapshot: Snapshot, span: Span) -> Span:
    """The code whose names matter: the selection, or the symbol around it."""
    around = [one.span for one in chain(snapshot, span.start) if span.end <= one.span.end]
    return around[-1] if around else span


def _real(paths: Sequence[Path | None]) -> set[Path]:
    real: set[Path] = set()
    for path in paths:
        with suppress(OSError, RuntimeError):
            real.update(() if path is None else (path.resolve(),))
    return real
