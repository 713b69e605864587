"""Silencing a finding through LSP: the comment as an edit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsprotocol import types
from pydantic import Field

from leanvibe_lsp.assist.changes.values import FileChange
from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.errors import UsageError
from leanvibe_lsp.lsp.asking import RangeParam, WireModel
from leanvibe_lsp.lsp.changes import landed_file, open_document
from leanvibe_lsp.lsp.convert import to_span
from leanvibe_lsp.lsp.workspace_edit import workspace_edit

if TYPE_CHECKING:
    from leanvibe_lsp.lsp.server import LeanVibeServer


class SuppressParam(WireModel):
    """The one argument of `leanvibe.suppress`, and the data of a code action that becomes one."""

    uri: str = Field(min_length=1)
    range: RangeParam
    rule: str = Field(pattern=r"^[\w./-]+$")
    version: int | None = None

    @property
    def title(self) -> str:
        """What a person reads in the list of what can be undone."""
        return f"Ignore {self.rule}"


def at_entry(ls: LeanVibeServer, param: SuppressParam) -> Snapshot:
    """The document, frozen. Raises UsageError, RpcFault."""
    return open_document(ls, param.uri, param.version)


async def suppress(ls: LeanVibeServer, param: SuppressParam, snapshot: Snapshot) -> types.WorkspaceEdit:
    """The edit that puts the comment there, in the document of now.

    Raises UsageError for what is no rule, or where none can stand, RpcFault when the place was edited meanwhile.
    """
    from leanvibe_lsp.assist.suppress import is_rule, suppression  # grammars, not needed before

    if not await ls.beside(lambda: is_rule(param.rule, snapshot)):
        raise UsageError(
            f"rule: there is no rule {param.rule!r} here.", next_step="Send the code of one of LeanVibe's diagnostics."
        )
    span = to_span(param.range, snapshot.lines, ls.encoding)
    edit = await ls.beside(lambda: suppression(snapshot, span, param.rule))
    if edit is None:
        raise UsageError(
            f"No comment can stand there to ignore {param.rule}.",
            next_step="Switch the rule off in the settings instead.",
        )
    file = landed_file(ls, FileChange(snapshot, (edit,), region=_lines(snapshot, span)))
    annotation = types.ChangeAnnotation(label=param.title, needs_confirmation=False)
    return workspace_edit([file], ls.client, ls.encoding, annotation)


def _lines(snapshot: Snapshot, span: Span) -> Span:
    lines = snapshot.lines
    return Span(lines.line_span(lines.line_of(span.start)).start, lines.line_span(lines.line_of(span.end)).end)
