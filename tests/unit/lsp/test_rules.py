from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.lsp.conftest import Session

PUBLISH = "textDocument/publishDiagnostics"
RULE = "id: mine/seven\nlanguage: Python\nmessage: Not {0}.\nrule: {{pattern: $F({0})}}\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of rules, in a workspace."""
    file = tmp_path / ".leanvibe" / "rules" / "mine.yml"
    file.parent.mkdir(parents=True)
    file.write_text(RULE.format(7))
    return file


async def messages(session: Session, uri: str, *wanted: str) -> None:
    """Wait until these are the diagnostics of a document."""
    await session.wait_for(
        lambda m: (
            m.get("method") == PUBLISH
            and m["params"]["uri"] == uri
            and sorted(one["message"] for one in m["params"]["diagnostics"]) == sorted(wanted)
        )
    )
    session.sent.clear()


async def begin(session: Session, root: Path, **more: Any) -> str:
    await session.initialize(more, rootUri=root.as_uri())
    uri = (root / "a.py").as_uri()
    session.open("f(7)\nf(8)\n", uri=uri)
    return uri


def save(file: Path, text: str | None) -> None:
    """None: it is gone."""
    file.unlink() if text is None else file.write_text(text)


def changed(session: Session, file: Path) -> None:
    session.notify("workspace/didChangeWatchedFiles", {"changes": [{"uri": file.as_uri(), "type": 2}]})


async def test_rules_of_the_workspace_count_as_they_are(new_session: Session, tmp_path: Path, file: Path) -> None:
    """From the beginning; changed when a watched file changes or an open one is saved, and gone with it."""
    uri = await begin(new_session, tmp_path)
    await messages(new_session, uri, "Not 7.")
    save(file, RULE.format(8))
    changed(new_session, file)
    await messages(new_session, uri, "Not 8.")
    save(file, RULE.format(7))
    new_session.notify("textDocument/didSave", {"textDocument": {"uri": file.as_uri()}})
    await messages(new_session, uri, "Not 7.")
    save(file, None)
    changed(new_session, file)
    await messages(new_session, uri)


async def test_what_is_wrong_in_a_file_is_shown_there(new_session: Session, tmp_path: Path, file: Path) -> None:
    """On its line, once as a message; open or not; gone when it is mended. The other rules count."""
    save(file, RULE.format(7) + "---\nid: mine/broken\nlanguage: Cobol\nrule: {kind: call}\n")
    uri = await begin(new_session, tmp_path)
    shown = await new_session.method(PUBLISH)
    while shown["params"]["uri"] != file.as_uri():
        new_session.sent.remove(shown)
        shown = await new_session.method(PUBLISH)
    (fault,) = shown["params"]["diagnostics"]
    assert (fault["range"]["start"]["line"], fault["code"], fault["severity"]) == (6, "leanvibe/rule", 1)
    said = (await new_session.method("window/showMessage"))["params"]["message"]
    assert said.startswith(f"A rule is not used: {file}:7: language: there is no 'cobol'")
    await messages(new_session, uri, "Not 7.")
    new_session.open("id: open", uri=file.as_uri(), language_id="yaml")
    await messages(new_session, file.as_uri(), fault["message"])
    changed(new_session, file)
    await messages(new_session, file.as_uri(), fault["message"])
    assert [m for m in new_session.sent if m.get("method") == "window/showMessage"] == []
    save(file, RULE.format(7))
    changed(new_session, file)
    await messages(new_session, file.as_uri())


async def test_a_folder_that_leaves_takes_its_rules_along(new_session: Session, tmp_path: Path, file: Path) -> None:
    """And brings them when it comes."""
    uri = await begin(new_session, tmp_path)
    await messages(new_session, uri, "Not 7.")
    folder = {"uri": tmp_path.as_uri(), "name": "one"}
    for added, removed, wanted in (([], [folder], ()), ([folder], [], ("Not 7.",))):
        event = {"event": {"added": added, "removed": removed}}
        new_session.notify("workspace/didChangeWorkspaceFolders", event)
        await messages(new_session, uri, *wanted)
