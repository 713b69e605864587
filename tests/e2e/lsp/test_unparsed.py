from __future__ import annotations

import pytest

from tests.support.rpc import ServerProcess

CODE = "def f():\n    return 1\n"


@pytest.mark.parametrize(
    ("uri", "text", "said"),
    [
        ("vscode-notebook-cell:/a.ipynb#W0sZmlsZQ%3D%3D", "%matplotlib inline\n" + CODE, None),
        ("file:///project/long.py", CODE + "x = '" + "y" * 30_000 + "'\n", "a line is longer"),
        ("file:///project/binary.py", CODE + "\0\1\2", "binary"),
        ("file:///project/huge.py", CODE + "x = 1\n" * 400_000, "2.3 MB"),
    ],
    ids=["notebook cell", "long line", "binary", "huge"],
)
def test_what_is_not_parsed_is_served(mock_server: ServerProcess, uri: str, text: str, said: str | None) -> None:
    """Hover, code actions and a question get a reply, not an error, for a text that is not parsed; so does an edit."""
    server = mock_server
    server.open(uri, text)
    place = {"textDocument": {"uri": uri}, "position": {"line": 0, "character": 5}}
    hover = server.call("textDocument/hover", place)["result"]
    assert hover is None if said is None else said in hover["contents"]["value"]
    change = {"range": {"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 0}}, "text": "# é\n"}
    document = {"uri": uri, "version": 2}
    server.notify("textDocument/didChange", {"textDocument": document, "contentChanges": [change]})
    span = {"start": {"line": 1, "character": 0}, "end": {"line": 1, "character": 8}}
    asked = {"textDocument": {"uri": uri}, "range": span}
    assert "error" not in server.call("textDocument/codeAction", {**asked, "context": {"diagnostics": []}})
    assert "result" in server.call("leanvibe/ask", {"question": "why?", **asked})
