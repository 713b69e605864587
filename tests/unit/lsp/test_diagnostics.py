from __future__ import annotations

import asyncio
import gc
import logging
import threading
import weakref
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from leanvibe_lsp.assist import found as module
from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.text import Encoding, Span
from leanvibe_lsp.lsp import publishing
from leanvibe_lsp.tiers.finding import Finding, Related, Severity
from tests.unit.lsp.conftest import URI, Session

BAD = "ok = x is 'a'\n"
PUBLISH = "textDocument/publishDiagnostics"
PULLS = {"textDocument": {"diagnostic": {}}, "workspace": {"diagnostics": {"refreshSupport": True}}}


def published(session: Session) -> list[tuple[int | None, int]]:
    """Version and number of every publication."""
    sent = [message["params"] for message in session.sent if message.get("method") == PUBLISH]
    return [(one.get("version"), len(one["diagnostics"])) for one in sent]


async def at_version(session: Session, version: int | None) -> dict[str, Any]:
    return await session.wait_for(lambda m: m.get("method") == PUBLISH and m["params"].get("version") == version)


def type_in(session: Session, text: str = " ") -> None:
    session.change(text, {"line": 0, "character": 0})


def configure(session: Session, **options: object) -> None:
    session.notify("workspace/didChangeConfiguration", {"settings": {"leanvibe": options}})


class Gate:
    """Lets the looks at texts through one by one."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.opened = asyncio.Event()

    async def beside(self, work: Callable[[], Any]) -> Any:
        """The server's own, behind the gate."""
        self.begun.set()
        await self.opened.wait()
        return work()


@pytest.fixture
async def pulling(new_session: Session) -> Session:
    await new_session.initialize(PULLS)
    return new_session


async def test_typing_is_followed_at_once_and_then_seldom(session: Session) -> None:
    """The first version at once, of a burst the last one only, and never two within the time set."""
    clock = asyncio.get_running_loop().time
    times = []
    for version in range(1, 4):
        if version == 1:
            session.open(BAD)
        else:
            for _ in range(10):
                type_in(session)
        await at_version(session, 1 + (version - 1) * 10)
        times.append(clock())
    assert published(session) == [(1, 1), (11, 1), (21, 1)]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert min(gaps) >= limit("diagnostics.milliseconds") / 1000 - 0.02  # the clock of a timer is coarser


async def test_a_version_that_is_gone_is_not_published(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was looked at while the next one was typed is dropped."""
    gate = Gate()
    monkeypatch.setattr(session.server, "beside", gate.beside)
    session.open(BAD)
    await gate.begun.wait()
    type_in(session)
    gate.opened.set()
    await at_version(session, 2)
    assert published(session) == [(2, 1)]


async def test_a_document_closed_meanwhile_is_clear(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing clears at once, and what was under way brings nothing back; opened again it is looked at anew."""
    gate = Gate()
    monkeypatch.setattr(session.server, "beside", gate.beside)
    session.open(BAD)
    await gate.begun.wait()
    session.notify("textDocument/didClose", {"textDocument": {"uri": URI}})
    assert published(session) == [(None, 0)]
    session.open(BAD)
    gate.opened.set()
    await at_version(session, 1)
    assert published(session) == [(None, 0), (1, 1)]


async def test_a_rest_is_not_for_time_in_a_queue(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only for work: behind a hundred other documents' looks the next edit would else be looked at much later."""
    gate, rests, sleep = Gate(), list[float](), asyncio.sleep

    async def rest(seconds: float) -> None:
        rests.append(seconds)
        await sleep(0)

    monkeypatch.setattr(session.server, "beside", gate.beside)
    monkeypatch.setattr(asyncio, "sleep", rest)
    session.open("ok = 1\n")
    await gate.begun.wait()
    await asyncio.to_thread(threading.Event().wait, 0.2)
    gate.opened.set()
    await at_version(session, 1)
    await sleep(0)
    assert rests == [limit("diagnostics.milliseconds") / 1000]


async def test_a_closed_document_is_forgotten_at_once(session: Session) -> None:
    """No text of it waits for the end of a rest, or of a look."""
    session.open(BAD)
    known = session.server.documents.get(URI)
    assert known is not None
    text = weakref.ref(known.lines)
    del known
    await at_version(session, 1)
    session.notify("textDocument/didClose", {"textDocument": {"uri": URI}})
    for _ in range(3):  # a cancelled task ends in the loop's next turns
        await asyncio.sleep(0)
    gc.collect()
    assert text() is None
    assert session.server.looked == {}
    assert [task for task in asyncio.all_tasks() if "Publisher" in repr(task)] == []


async def test_what_fails_is_logged_and_the_next_version_is_looked_at(
    session: Session, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One failure does not end the following of a document."""
    whole, failed = module.analyze, threading.Event()

    def failing(snapshot: Any, settings: Any) -> Any:
        if snapshot.version == 1:
            failed.set()
            raise RuntimeError("deliberate")
        return whole(snapshot, settings)

    monkeypatch.setattr(module, "analyze", failing)
    with caplog.at_level(logging.ERROR):
        session.open(BAD)
        assert await asyncio.to_thread(failed.wait, 20)
        type_in(session)
        await at_version(session, 2)
    assert published(session) == [(2, 1)]
    assert [record.getMessage() for record in caplog.records] == [f"The diagnostics of {URI} could not be made."]


async def test_settings_count_at_once(session: Session) -> None:
    """Another severity, nothing at all, and back: without an edit."""
    session.open(BAD)
    await at_version(session, 1)
    for options, wanted in (
        ({"diagnostics": {"severity": {"python/*": "hint"}}}, [4]),
        ({"diagnostics": {"enabled": False}}, []),
        ({}, [1]),
    ):
        session.sent.clear()
        configure(session, **options)
        message = await session.method(PUBLISH)
        assert [one["severity"] for one in message["params"]["diagnostics"]] == wanted


async def test_a_client_that_asks_is_told_to_ask_again(pulling: Session) -> None:
    """Other settings: a refresh, and nothing pushed."""
    pulling.open(BAD)
    configure(pulling, diagnostics={"enabled": False})
    request = await pulling.method("workspace/diagnostic/refresh")
    pulling.respond(request["id"], result=None)
    reply = await pulling.call("textDocument/diagnostic", {"textDocument": {"uri": URI}})
    assert reply["result"]["items"] == []
    assert published(pulling) == []


async def test_a_document_edited_while_it_is_looked_at(pulling: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client is told to ask again; one that was closed has an answer."""
    gate = Gate()
    monkeypatch.setattr(pulling.server, "beside", gate.beside)
    pulling.open(BAD)
    first = pulling.request("textDocument/diagnostic", {"textDocument": {"uri": URI}})
    await gate.begun.wait()
    type_in(pulling)
    gate.opened.set()
    error = (await pulling.reply(first))["error"]
    assert (error["code"], error["data"]) == (-32802, {"retriggerRequest": True})


async def test_the_workspace_is_the_open_documents(pulling: Session) -> None:
    """All that are open; a closed one that the client still knows is cleared, and then left out no more."""
    pulling.open(BAD)
    pulling.open("ok = 1\n", uri="file:///project/b.py")
    known = [{"uri": "file:///project/gone.py", "value": "old"}]
    reply = await pulling.call("workspace/diagnostic", {"previousResultIds": known})
    items = reply["result"]["items"]
    assert [(one["uri"], one["kind"], one["version"], len(one["items"])) for one in items] == [
        (URI, "full", 1, 1),
        ("file:///project/b.py", "full", 1, 0),
        ("file:///project/gone.py", "full", None, 0),
    ]
    known = [{"uri": one["uri"], "value": one["resultId"]} for one in items]
    again = await pulling.call("workspace/diagnostic", {"previousResultIds": known})
    assert [one["kind"] for one in again["result"]["items"]] == ["unchanged"] * 3


async def test_asking_about_what_cannot_be_found(pulling: Session) -> None:
    """An error that says so."""
    reply = await pulling.call("textDocument/diagnostic", {"textDocument": {"uri": "untitled:nothing"}})
    assert "is not open here" in reply["error"]["message"]


@pytest.mark.parametrize(("abilities", "related"), [({}, False), ({"relatedInformation": True}, True)])
async def test_related_places(new_session: Session, abilities: dict[str, bool], related: bool) -> None:
    """Where the client shows them."""
    await new_session.initialize({"textDocument": {"publishDiagnostics": abilities}})
    new_session.open(BAD)
    snapshot = new_session.server.documents.get(URI)
    assert snapshot is not None
    finding = Finding("a/b", "m", Severity.HINT, Span(0, 2), "ok", 1.0, related=(Related(Span(5, 6), "here"),))
    diagnostic = publishing.to_diagnostic(
        finding, snapshot, new_session.server.client.diagnostic_abilities(), Encoding.UTF16
    )
    places = diagnostic.related_information or []
    assert [(one.message, one.location.uri, one.location.range.start.character) for one in places] == (
        [("here", URI, 5)] if related else []
    )


async def test_two_spellings_of_one_file(session: Session) -> None:
    """Each has diagnostics of its own; closing one takes its own away, though the file is still open."""
    uris = ("file:///q/a%20b.py", "file:///q/a b.py")
    for uri in uris:
        document = {"uri": uri, "languageId": "python", "version": 1, "text": BAD}
        session.notify("textDocument/didOpen", {"textDocument": document})
        await session.wait_for(lambda m, uri=uri: m.get("method") == PUBLISH and m["params"]["uri"] == uri)
    session.notify("textDocument/didClose", {"textDocument": {"uri": uris[0]}})
    await session.wait_for(lambda m: m.get("method") == PUBLISH and m["params"]["diagnostics"] == [])
    sent = [message["params"] for message in session.sent if message.get("method") == PUBLISH]
    assert [(one["uri"], len(one["diagnostics"])) for one in sent] == [(uris[0], 1), (uris[1], 1), (uris[0], 0)]
