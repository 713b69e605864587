from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

import pytest

from leanvibe_lsp.core.text import Encoding, LineIndex, Position
from tests.support.rpc import ServerProcess

URI = "file:///project/actions.py"
TEXT = "def greet(name):\n    print(f'hello')\n    return name.upper()\n"
RULE = "python/f-string-without-placeholder"
CAPABILITIES = {
    "textDocument": {
        "codeAction": {
            "codeActionLiteralSupport": {"codeActionKind": {"valueSet": []}},
            "isPreferredSupport": True,
            "disabledSupport": True,
            "dataSupport": True,
            "resolveSupport": {"properties": ["edit"]},
        },
        "publishDiagnostics": {"versionSupport": True, "dataSupport": True},
    },
    "workspace": {"applyEdit": True, "workspaceEdit": {"documentChanges": True, "changeAnnotationSupport": {}}},
}
GREET = {"start": {"line": 0, "character": 4}, "end": {"line": 0, "character": 4}}
Start = Callable[..., ServerProcess]


class Editor:
    """A client with one document, which it edits as it is told and then tells the server about."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self.text = TEXT
        self.version = 1
        server.answer_server = self._asked
        server.initialize(CAPABILITIES)
        server.open(URI, TEXT)

    def apply(self, edit: dict[str, Any]) -> None:
        """Refuses what is not for the version that is there."""
        (change,) = edit["documentChanges"]
        assert change["textDocument"] == {"uri": URI, "version": self.version}
        for one in sorted(change["edits"], key=lambda one: one["range"]["start"]["line"], reverse=True):
            lines = LineIndex(self.text)
            start, end = (lines.offset(Position(**one["range"][side]), Encoding.UTF16) for side in ("start", "end"))
            self.text = self.text[:start] + one["newText"] + self.text[end:]
        self.version += 1
        document = {"uri": URI, "version": self.version}
        self.server.notify(
            "textDocument/didChange", {"textDocument": document, "contentChanges": [{"text": self.text}]}
        )

    def diagnostics(self) -> list[dict[str, Any]]:
        """Those that were published for the text as it is."""
        published = self.server.wait_for(
            lambda m: (
                m.get("method") == "textDocument/publishDiagnostics" and m["params"].get("version") == self.version
            )
        )
        found: list[dict[str, Any]] = published["params"]["diagnostics"]
        return found

    def actions(self, where: dict[str, Any], diagnostics: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """By title."""
        given = {"textDocument": {"uri": URI}, "range": where, "context": {"diagnostics": diagnostics}}
        return {action["title"]: action for action in self.server.call("textDocument/codeAction", given)["result"]}

    def take(self, action: dict[str, Any]) -> dict[str, Any]:
        """Take an action as editors do: resolve it when it has neither edit nor command. The reply."""
        if "edit" not in action:
            reply = self.server.call("codeAction/resolve", action)
            if "error" in reply:
                return reply
            action = reply["result"]
        self.apply(action["edit"])
        return action

    def _asked(self, request: dict[str, Any]) -> object:
        if request["method"] != "workspace/applyEdit":
            return None
        self.apply(request["params"]["edit"])
        return {"applied": True}


@pytest.fixture
def editor(start_server: Start) -> Editor:
    """An editor and a server with the mock engine."""
    return Editor(start_server("--stdio", "--engine", "mock"))


def test_from_the_squiggle_to_the_fix(editor: Editor) -> None:
    """What is published can be fixed without a model, and is gone then."""
    (found,) = editor.diagnostics()
    assert found["code"] == RULE
    actions = editor.actions(found["range"], [found])
    assert next(iter(actions)) == "Remove the f"
    editor.take(actions["Remove the f"])
    assert editor.text == TEXT.replace("f'hello'", "'hello'")
    assert editor.diagnostics() == []


def test_from_the_squiggle_to_silence(editor: Editor) -> None:
    """The comment is written where the rules look for it."""
    (found,) = editor.diagnostics()
    editor.take(editor.actions(found["range"], [found])[f"Ignore {RULE} on this line"])
    assert editor.text == TEXT.replace("'hello')", f"'hello')  # leanvibe: ignore[{RULE}]")
    assert editor.diagnostics() == []


def test_a_proven_fix_is_preferred_in_a_later_list(editor: Editor) -> None:
    """Listing does not wait for the proof; it is there a moment later."""
    (found,) = editor.diagnostics()
    while "isPreferred" not in (mend := editor.actions(found["range"], [found])["Remove the f"]):
        pass
    assert "edit" in mend


def test_the_mock_writes_no_code_and_that_is_said(editor: Editor) -> None:
    """What is no change is refused, shown as text, and the buffer is as it was."""
    error = editor.take(editor.actions(GREET, [])["Simplify 'greet'"])["error"]
    assert error["code"] == -32803
    assert error["data"]["kind"] == "refused"
    assert "mock engine" in error["data"]["draft"]
    shown = editor.server.wait_for(lambda m: m.get("method") == "window/showMessage")["params"]["message"]
    assert "Not applied. What the model wrote:" in shown
    assert editor.text == TEXT


@pytest.mark.real_model
def test_a_real_model_documents_or_says_why_not(start_server: Start) -> None:
    """With SmolLM2: either the code is as it was but for a docstring, or there is a reason and a draft."""
    editor = Editor(start_server("--stdio", "--model", "smollm2", "--engine", "llama.cpp"))
    taken = editor.take(editor.actions(GREET, [])["Document 'greet'"])
    if "error" in taken:
        assert editor.text == TEXT
        assert taken["error"]["data"]["draft"]
    else:
        (function,) = ast.parse(editor.text).body
        assert isinstance(function, ast.FunctionDef)
        assert ast.get_docstring(function)
        assert ast.dump(ast.parse(TEXT).body[0]).split("body=[", 1)[1] in ast.dump(function)
