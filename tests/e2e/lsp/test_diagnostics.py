from __future__ import annotations

from typing import Any

import pytest

from tests.support.rpc import ServerProcess

URI = "file:///project/a.py"
BAD = "def put(item, box=[]):\n    return box is 'x'\n"
ABILITIES = {
    "relatedInformation": True,
    "codeDescriptionSupport": True,
    "dataSupport": True,
    "tagSupport": {"valueSet": [1, 2]},
}


def at(line: int, start: int, end: int) -> dict[str, Any]:
    return {"start": {"line": line, "character": start}, "end": {"line": line, "character": end}}


def edit(server: ServerProcess, version: int, text: str) -> None:
    document = {"uri": URI, "version": version}
    server.notify("textDocument/didChange", {"textDocument": document, "contentChanges": [{"text": text}]})


def published(server: ServerProcess, version: int | None) -> list[dict[str, Any]]:
    message = server.wait_for(
        lambda m: m.get("method") == "textDocument/publishDiagnostics" and m["params"].get("version") == version
    )
    assert message["params"]["uri"] == URI
    return message["params"]["diagnostics"]


def test_a_client_that_says_nothing_gets_the_plain_ones(mock_server: ServerProcess) -> None:
    """Pushed with the version; no link, tags or data for a client that does not know them."""
    mock_server.open(URI, BAD)
    assert published(mock_server, 1) == [
        {
            "range": at(0, 18, 20),
            "severity": 2,
            "code": "python/mutable-default",
            "source": "leanvibe",
            "message": "`[]` is made once and shared by all calls.",
        },
        {
            "range": at(1, 11, 21),
            "severity": 1,
            "code": "python/is-literal",
            "source": "leanvibe",
            "message": "`is` asks whether both are the same object; `'x'` may be a new one each time.",
        },
    ]


def test_a_client_that_knows_more_gets_more(start_server: Any) -> None:
    """Link, tags and data, each where the client said that it takes it."""
    server = start_server("--stdio", "--engine", "mock")
    server.initialize({"textDocument": {"publishDiagnostics": ABILITIES}})
    server.open(URI, "said = f'name'\nwhere = tempfile.mktemp()\n")
    assert published(server, 1) == [
        {
            "range": at(0, 7, 14),
            "severity": 4,
            "code": "python/f-string-without-placeholder",
            "source": "leanvibe",
            "message": "Nothing is filled into this f-string.",
            "tags": [1],
            "data": {
                "rule": "python/f-string-without-placeholder",
                "fix": True,
                "rung": "rules",
                "confidence": 0.95,
                "silence": "leanvibe: ignore[python/f-string-without-placeholder]",
            },
        },
        {
            "range": at(1, 8, 25),
            "severity": 2,
            "code": "python/mktemp",
            "codeDescription": {"href": "https://cwe.mitre.org/data/definitions/377.html"},
            "source": "leanvibe",
            "message": "Somebody else can make this file between the name and its use.",
            "tags": [2],
            "data": {
                "rule": "python/mktemp",
                "fix": False,
                "rung": "rules",
                "confidence": 0.9,
                "silence": "leanvibe: ignore[python/mktemp]",
            },
        },
    ]


def test_an_edit_brings_new_ones_and_closing_clears(mock_server: ServerProcess) -> None:
    """The last version typed is the last one published; a closed document has none."""
    mock_server.open(URI, BAD)
    assert len(published(mock_server, 1)) == 2
    for version in range(2, 30):
        edit(mock_server, version, BAD + f"x = {version}\n")
    edit(mock_server, 30, "def put(item, box=None): ...\n")
    assert published(mock_server, 30) == []
    mock_server.notify("textDocument/didClose", {"textDocument": {"uri": URI}})
    assert published(mock_server, None) == []
    sent = [m["params"] for m in mock_server.messages if m.get("method") == "textDocument/publishDiagnostics"]
    assert [one.get("version") for one in sent][-2:] == [30, None]
    assert len(sent) < 30


@pytest.mark.parametrize("method", ["textDocument/diagnostic", "workspace/diagnostic"])
def test_a_client_that_asks_is_not_pushed_to(start_server: Any, method: str) -> None:
    """Full the first time, unchanged with that result id, full again when the text says something else."""
    server = start_server("--stdio", "--engine", "mock")
    reply = server.initialize({"textDocument": {"diagnostic": {}}})
    assert reply["result"]["capabilities"]["diagnosticProvider"] == {
        "identifier": "leanvibe",
        "interFileDependencies": False,
        "workspaceDiagnostics": True,
    }
    server.open(URI, BAD)

    def ask(previous: str | None) -> dict[str, Any]:
        if method == "workspace/diagnostic":
            ids = [{"uri": URI, "value": previous}] if previous else []
            (report,) = server.call(method, {"previousResultIds": ids})["result"]["items"]
            assert report["uri"] == URI
            return report
        params = {"textDocument": {"uri": URI}, **({"previousResultId": previous} if previous else {})}
        return server.call(method, params)["result"]

    first = ask(None)
    assert first["kind"] == "full"
    assert [one["code"] for one in first["items"]] == ["python/mutable-default", "python/is-literal"]
    second = ask(first["resultId"])
    assert (second["kind"], second["resultId"], "items" in second) == ("unchanged", first["resultId"], False)
    edit(server, 2, "ok = 1\n")
    third = ask(first["resultId"])
    assert (third["kind"], third["items"]) == ("full", [])
    assert not [m for m in server.messages if m.get("method") == "textDocument/publishDiagnostics"]


def test_utf16_columns_and_carriage_returns(mock_server: ServerProcess) -> None:
    """A place behind an emoji, in a text with CRLF, is where the client counts it."""
    mock_server.open(URI, "# \U0001f600 é\r\ns = '\U0001f600' ; ok = s is '\U0001f600'\r\n")
    (one,) = published(mock_server, 1)
    assert one["range"] == at(1, 16, 25)
