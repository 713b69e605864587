"""Asking through LSP: params in, a stream of progress, one answer out. Shared by `leanvibe/ask` and the commands."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from leanvibe_lsp.assist.answer import Answer, AskRequest, Place, Turn
from leanvibe_lsp.config.limits import LIMITS
from leanvibe_lsp.config.settings import EditorSettings
from leanvibe_lsp.documents.gathered import NOTHING, Diagnostic, Gathered, Surroundings
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.engine.base import Source
from leanvibe_lsp.engine.structured import Structure
from leanvibe_lsp.errors import UsageError
from leanvibe_lsp.lsp import tasks
from leanvibe_lsp.lsp.convert import to_span
from leanvibe_lsp.lsp.progress import AnswerStream, WorkDone

if TYPE_CHECKING:
    from leanvibe_lsp.lsp.server import LeanVibeServer


class WireModel(BaseModel):
    """Something a client sent: camelCase, types as they are, unknown fields ignored."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True, alias_generator=to_camel, defer_build=True)


class PositionParam(WireModel):
    """LSP's Position."""

    line: int = Field(ge=0)
    character: int = Field(ge=0)


class RangeParam(WireModel):
    """LSP's Range."""

    start: PositionParam
    end: PositionParam


class DocumentParam(WireModel):
    """LSP's TextDocumentIdentifier."""

    uri: str = Field(min_length=1)


class CitationParam(WireModel):
    """What an answer cited, given back: whole lines, the end of the range exclusive."""

    uri: str = Field(min_length=1)
    range: RangeParam


class DiagnosticParam(WireModel):
    """LSP's Diagnostic, as far as a model is told of it."""

    range: RangeParam
    message: str
    code: int | str | None = None
    source: str = ""


class TurnParam(WireModel):
    """One earlier message of the conversation; `citations` are those of the answer that it was, or led to.

    Without them it is not known which files it quotes, and no server is told of it.
    """

    role: Literal["user", "assistant"]
    content: str
    citations: list[CitationParam] | None = None


Token = int | str
Question = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class AskParams(WireModel):
    """The params of `leanvibe/ask`: a `range` counts before a `position`; without both it is the whole document."""

    question: Question
    text_document: DocumentParam | None = None
    range: RangeParam | None = None
    position: PositionParam | None = None
    diagnostics: list[DiagnosticParam] = Field(default_factory=list)
    history: list[TurnParam] = Field(default_factory=list)
    max_tokens: int | None = Field(default=None, ge=1, le=int(LIMITS["answer.tokens"].maximum))
    temperature: float = Field(default=0.0, ge=0.0, le=2.0, allow_inf_nan=False)
    json_schema: dict[str, Any] | None = None
    choices: list[str] | None = Field(default=None, min_length=1)
    work_done_token: Token | None = None
    partial_result_token: Token | None = None


async def ask(ls: LeanVibeServer, params: AskParams, known: Snapshot | Path | None) -> Answer:
    """Ask about `known`, the document as it was when the request came (or the file to read). Raises LeanVibeError."""
    running = tasks.current()
    requests = ls.protocol.requests
    async with WorkDone(
        ls.client, requests, running, params.work_done_token, title="LeanVibe", stage="reading context"
    ) as work:
        places = () if known is None else (_place(ls, params, await ls.snapshot(known)),)
        settings = ls.settings_for(places[0].snapshot.uri if places else "").editor
        request = AskRequest(
            question=params.question,
            places=places,
            history=_history(params.history),
            max_tokens=params.max_tokens,
            temperature=params.temperature,
            structure=_structure(params),
            gathered=await gathered(ls, places, settings, _diagnostics(ls, params, places)) if places else NOTHING,
            secrets=settings.secrets,
        )
        stream = AnswerStream(ls.client, work, params.partial_result_token)
        try:
            answer = await ls.services.ask(request, stream.take, running.cancel)
            stream.finish(answer.answer)
        finally:
            stream.close()
    return answer


def at_entry(ls: LeanVibeServer, params: AskParams) -> Snapshot | Path | None:
    """The document a request is about, frozen before the next message is looked at. Raises UsageError.

    From here on a cancel of the client's progress token reaches the request, also one that comes before `begin`.
    """
    running = tasks.current()
    running.generates = True
    if params.work_done_token is not None:
        ls.protocol.requests.bind_progress(running, params.work_done_token)
    if params.text_document is None:
        if params.range is not None or params.position is not None:
            raise UsageError("textDocument: needed when there is a range or a position.")
        return None
    uri = params.text_document.uri
    return ls.documents.get(uri) or ls.file_of(uri)


async def gathered(
    ls: LeanVibeServer, places: tuple[Place, ...], settings: EditorSettings, diagnostics: tuple[Diagnostic, ...]
) -> Gathered:
    """What belongs to the places, looked for beside the event loop. Raises UsageError for a file of secrets."""
    surroundings = Surroundings(tuple(ls.documents), ls.roots, diagnostics, settings)

    def work() -> Gathered:
        from leanvibe_lsp.assist.gathering import gather

        return gather(places, surroundings)

    return await ls.beside(work)


def _diagnostics(ls: LeanVibeServer, params: AskParams, places: tuple[Place, ...]) -> tuple[Diagnostic, ...]:
    lines = places[0].snapshot.lines
    return tuple(
        Diagnostic(
            to_span(one.range, lines, ls.encoding), one.message, "" if one.code is None else str(one.code), one.source
        )
        for one in params.diagnostics
    )


def _structure(params: AskParams) -> Structure | None:
    if params.json_schema is not None and params.choices is not None:
        raise UsageError("jsonSchema, choices: give one of the two.")
    if params.choices is not None:
        return Structure.of_choices(params.choices)
    return Structure.of_schema(params.json_schema) if params.json_schema is not None else None


def _place(ls: LeanVibeServer, params: AskParams, snapshot: Snapshot) -> Place:
    where = params.range or (params.position and RangeParam(start=params.position, end=params.position))
    return Place(snapshot, to_span(where, snapshot.lines, ls.encoding) if where else None)


def _history(turns: Sequence[TurnParam]) -> tuple[Turn, ...]:
    return tuple(Turn(turn.role, turn.content, _sources(turn.citations)) for turn in turns)


def _sources(citations: Sequence[CitationParam] | None) -> tuple[Source, ...] | None:
    if citations is None:
        return None
    lines = ((one.uri, one.range.start.line, one.range.end.line - 1) for one in citations)
    return tuple(Source(uri, start, max(start, end)) for uri, start, end in lines)
