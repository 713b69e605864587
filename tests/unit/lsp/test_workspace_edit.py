from __future__ import annotations

from typing import Any

import pytest
from lsprotocol import types

from leanvibe_lsp.assist.changes.values import FileChange
from leanvibe_lsp.core.edits import TextEdit
from leanvibe_lsp.core.text import Encoding, LineIndex, Span
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.errors import UsageError
from leanvibe_lsp.lsp.convert import shared_converter
from leanvibe_lsp.lsp.workspace_edit import workspace_edit
from tests.unit.lsp.conftest import URI

TEXT = "a\n𝒻b\n"
NEW = "file:///project/test_a.py"
ANNOTATION = types.ChangeAnnotation(label="A change", needs_confirmation=True)
CREATES = {"documentChanges": True, "resourceOperations": ["create"]}


def snapshot_of(uri: str, text: str, version: int | None) -> Snapshot:
    return Snapshot(uri, None, "python", version, text, LineIndex(text))


CHANGED = FileChange(snapshot_of(URI, TEXT, 7), (TextEdit(Span(3, 4), "c"),))
CREATED = FileChange(snapshot_of(NEW, "", None), (TextEdit(Span(0, 0), "x\n"),), creates=True)


async def made(session: Any, abilities: object, *files: FileChange, encoding: Encoding = Encoding.UTF16) -> Any:
    await session.initialize({"workspace": {"workspaceEdit": abilities}})
    return shared_converter().unstructure(workspace_edit(files, session.server.client, encoding, ANNOTATION))


@pytest.mark.parametrize(("encoding", "start"), [(Encoding.UTF8, 4), (Encoding.UTF16, 2), (Encoding.UTF32, 1)], ids=str)
async def test_edits_are_versioned_and_in_the_clients_columns(new_session: Any, encoding: Encoding, start: int) -> None:
    """No annotation for a client that shows none."""
    where = {"start": {"line": 1, "character": start}, "end": {"line": 1, "character": start + 1}}
    assert await made(new_session, {"documentChanges": True}, CHANGED, encoding=encoding) == {
        "documentChanges": [{"textDocument": {"uri": URI, "version": 7}, "edits": [{"range": where, "newText": "c"}]}]
    }


async def test_a_new_file_is_created_before_it_is_written(new_session: Any) -> None:
    """Never over one that is there; its edit has no version, as LSP writes it: null."""
    nowhere = {"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 0}}
    assert await made(new_session, CREATES, CREATED) == {
        "documentChanges": [
            {"kind": "create", "uri": NEW, "options": {"overwrite": False, "ignoreIfExists": False}},
            {"textDocument": {"uri": NEW, "version": None}, "edits": [{"range": nowhere, "newText": "x\n"}]},
        ]
    }


async def test_annotations_stand_at_each_part(new_session: Any) -> None:
    """Where the client has them: at the file that is made, and at each edit."""
    edit = await made(new_session, {**CREATES, "changeAnnotationSupport": {}}, CREATED, CHANGED)
    created, written, changed = edit["documentChanges"]
    assert created["annotationId"] == "leanvibe"
    assert [one["annotationId"] for one in (*written["edits"], *changed["edits"])] == ["leanvibe"] * 2
    assert edit["changeAnnotations"] == {"leanvibe": {"label": "A change", "needsConfirmation": True}}


@pytest.mark.parametrize("abilities", [{}, {"resourceOperations": ["create"]}, {"changeAnnotationSupport": {}}])
async def test_a_client_without_document_changes_gets_the_plain_map(new_session: Any, abilities: object) -> None:
    """Whatever else it says it can."""
    assert list(await made(new_session, abilities, CHANGED)) == ["changes"]


@pytest.mark.parametrize(
    "abilities", [{}, {"documentChanges": True}, {"documentChanges": True, "resourceOperations": []}]
)
async def test_a_client_that_makes_no_files_is_told(new_session: Any, abilities: object) -> None:
    """The file is named, and what a person can do."""
    with pytest.raises(UsageError, match=r"test_a\.py does not exist\. Create an empty file there"):
        await made(new_session, abilities, CREATED)
