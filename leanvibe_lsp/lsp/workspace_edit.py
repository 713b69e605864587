"""A change as LSP's WorkspaceEdit, in the form a client understands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lsprotocol import types

from leanvibe_lsp.assist.changes.values import FileChange
from leanvibe_lsp.core.edits import TextEdit
from leanvibe_lsp.core.text import Encoding, LineIndex
from leanvibe_lsp.errors import UsageError
from leanvibe_lsp.lsp.client import Client
from leanvibe_lsp.lsp.convert import to_range

_ANNOTATION = "leanvibe"


def workspace_edit(
    files: Sequence[FileChange], client: Client, encoding: Encoding, annotation: types.ChangeAnnotation
) -> types.WorkspaceEdit:
    """Versioned document changes, annotated where the client shows that; else the plain map from URI to edits.

    Raises UsageError for a new file where the client cannot make one.
    """
    if any(file.creates for file in files) and not client.creates_files():
        raise UsageError(
            f"This editor makes no new files for a server, and {_created(files)} does not exist.",
            next_step="Create an empty file there and try again.",
        )
    if not client.takes_versions():
        return types.WorkspaceEdit(
            changes={
                file.snapshot.uri: [_plain(edit, file.snapshot.lines, encoding) for edit in file.edits]
                for file in files
            }
        )
    annotated = client.annotates_edits()
    return types.WorkspaceEdit(
        document_changes=[
            change for file in files for change in _document_changes(file, encoding, annotated=annotated)
        ],
        change_annotations={_ANNOTATION: annotation} if annotated else None,
    )


def _document_changes(
    file: FileChange, encoding: Encoding, *, annotated: bool
) -> Iterator[types.CreateFile | types.TextDocumentEdit]:
    snapshot = file.snapshot
    if file.creates:
        # A file that came meanwhile is not overwritten: the client refuses the edit, and says so.
        options = types.CreateFileOptions(overwrite=False, ignore_if_exists=False)
        yield types.CreateFile(uri=snapshot.uri, options=options, annotation_id=_ANNOTATION if annotated else None)
    make = _annotated if annotated else _plain
    yield types.TextDocumentEdit(
        text_document=types.OptionalVersionedTextDocumentIdentifier(uri=snapshot.uri, version=snapshot.version),
        edits=[make(edit, snapshot.lines, encoding) for edit in file.edits],
    )


def _plain(edit: TextEdit, lines: LineIndex, encoding: Encoding) -> types.TextEdit:
    return types.TextEdit(range=to_range(edit.span, lines, encoding), new_text=edit.text)


def _annotated(edit: TextEdit, lines: LineIndex, encoding: Encoding) -> types.AnnotatedTextEdit:
    return types.AnnotatedTextEdit(
        annotation_id=_ANNOTATION, range=to_range(edit.span, lines, encoding), new_text=edit.text
    )


def _created(files: Sequence[FileChange]) -> str:
    return ", ".join(str(file.snapshot.path or file.snapshot.uri) for file in files if file.creates)
