from __future__ import annotations

import asyncio
import gc
import json
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import pytest_lsp
from lsprotocol import types

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.config.settings import Settings
from leanvibe_lsp.lsp.assembly import make_server
from leanvibe_lsp.lsp.convert import shared_converter, tolerant_initialize
from leanvibe_lsp.lsp.faults import Code, RpcFault
from leanvibe_lsp.lsp.framing import Fault
from leanvibe_lsp.lsp.sharing import SharedServices
from tests.support.fake_services import FakeServices
from tests.unit.lsp.conftest import URI

HOVER = {"textDocument": {"uri": URI}, "position": {"line": 0, "character": 4}}


def error_code(reply: dict[str, Any]) -> int:
    return reply["error"]["code"]


async def test_capabilities_say_what_is_served(new_session: Any) -> None:
    """initialize announces sync, hover, code actions and the commands, and who we are."""
    result = (await new_session.initialize())["result"]
    capabilities = result["capabilities"]
    assert result["serverInfo"]["name"] == "leanvibe-lsp"
    assert capabilities["textDocumentSync"] == {"openClose": True, "change": 2, "save": True}
    assert capabilities["hoverProvider"] is True
    assert capabilities["codeActionProvider"] is True
    assert capabilities["executeCommandProvider"] == {
        "commands": [
            "leanvibe.explain",
            "leanvibe.change",
            "leanvibe.suppress",
            "leanvibe.cancel",
            "leanvibe.judge",
            "leanvibe.context",
        ]
    }


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (None, "utf-16"),
        ([], "utf-16"),
        (["utf-8", "utf-16"], "utf-8"),
        (["utf-7", "utf-32"], "utf-32"),
        (["utf-7"], "utf-16"),
    ],
)
async def test_position_encoding_is_the_clients_first_that_we_know(new_session: Any, offered: Any, chosen: str) -> None:
    """utf-16 unless the client prefers another that we know."""
    reply = await new_session.initialize({"general": {} if offered is None else {"positionEncodings": offered}})
    assert reply["result"]["capabilities"]["positionEncoding"] == chosen
    assert new_session.server.encoding == chosen


RECORDED = {
    path.stem: json.loads(path.read_text(encoding="utf-8"))
    for path in sorted(Path(pytest_lsp.__file__).parent.rglob("*_v*.json"))
}


@pytest.mark.parametrize("editor", RECORDED)
async def test_real_editors_capabilities_are_understood(new_session: Any, editor: str) -> None:
    """Recorded capabilities of Neovim, VS Code and Emacs are taken as they are, nothing dropped."""
    given = RECORDED[editor].get("capabilities", RECORDED[editor])
    assert tolerant_initialize({"capabilities": given}, shared_converter()) == {"capabilities": given}
    assert "result" in await new_session.initialize(given)


async def test_a_bad_capability_costs_itself(new_session: Any) -> None:
    """A client capability that does not fit is dropped; the others count."""
    reply = await new_session.initialize({"window": {"workDoneProgress": True}, "textDocument": 5})
    assert "result" in reply
    assert new_session.server.client.can("window.work_done_progress")


async def test_bad_initialize_leaves_the_session_new(new_session: Any) -> None:
    """initialize without capabilities is an error that names the field, and can be tried again."""
    reply = await new_session.call("initialize", {"processId": None, "rootUri": None})
    assert error_code(reply) == Code.INVALID_PARAMS
    assert "capabilities" in reply["error"]["message"]
    assert "result" in await new_session.initialize()


async def test_before_initialize(new_session: Any) -> None:
    """Requests before initialize are refused with -32002, notifications ignored."""
    for method in ("textDocument/hover", "no/such", "shutdown"):
        assert error_code(await new_session.call(method, HOVER)) == Code.SERVER_NOT_INITIALIZED
    new_session.open("x = 1")
    assert len(new_session.server.documents) == 0


async def test_initialize_comes_once(session: Any) -> None:
    """The second initialize is refused."""
    assert error_code(await session.initialize()) == Code.INVALID_REQUEST


async def test_after_shutdown(session: Any) -> None:
    """After shutdown every request is refused, and the exit code is 0."""
    assert session.server.exit_code == 1
    assert await session.call("shutdown") == {"jsonrpc": "2.0", "id": 2, "result": None}
    for method in ("textDocument/hover", "shutdown", "initialize", "no/such"):
        assert error_code(await session.call(method, {})) == Code.INVALID_REQUEST
    session.notify("exit")
    assert session.server.ended.is_set()
    assert session.server.exit_code == 0


async def test_exit_needs_no_initialize(new_session: Any) -> None:
    """exit ends a session that never began, with code 1."""
    new_session.notify("exit")
    assert new_session.server.ended.is_set()
    assert new_session.server.exit_code == 1


async def test_unknown_method_before_its_params(session: Any) -> None:
    """An unknown method is -32601, whatever its params."""
    for params in (None, 5, {"class": 1}):
        assert error_code(await session.call("no/such", params)) == Code.METHOD_NOT_FOUND


@pytest.mark.parametrize(
    ("method", "params", "field"),
    [
        ("textDocument/hover", None, "object"),
        ("textDocument/hover", [], "object"),
        ("textDocument/hover", {"textDocument": {"uri": URI}}, "position"),
        ("textDocument/hover", {**HOVER, "textDocument": {}}, "textDocument.uri"),
        ("textDocument/hover", {**HOVER, "position": {"line": "1", "character": 0}}, "position.line"),
        ("textDocument/hover", {**HOVER, "position": {"line": True, "character": 0}}, "position.line"),
        ("textDocument/hover", {**HOVER, "position": {"line": -1, "character": 0}}, "position"),
        ("textDocument/hover", {**HOVER, "position": {"line": 0.5, "character": 0}}, "position.line"),
        ("textDocument/hover", {**HOVER, "textDocument": {"uri": 5}}, "textDocument.uri"),
        ("textDocument/hover", {**HOVER, "textDocument": {"uri": "untitled:1"}}, "textDocument.uri"),
        ("textDocument/codeAction", {"textDocument": {"uri": URI}, "context": {"diagnostics": []}}, "range"),
        ("workspace/executeCommand", {}, "command"),
        ("workspace/executeCommand", {"command": "no.such"}, "command"),
        ("workspace/executeCommand", {"command": "leanvibe.explain"}, "arguments"),
        ("workspace/executeCommand", {"command": "leanvibe.explain", "arguments": [{"uri": 5}]}, "uri"),
        ("leanvibe/ask", None, "params"),
        ("leanvibe/ask", {}, "question"),
        ("leanvibe/ask", {"question": 5}, "question"),
        ("leanvibe/ask", {"question": "  "}, "question"),
        ("leanvibe/ask", {"question": "x", "maxTokens": "5"}, "maxTokens"),
        ("leanvibe/ask", {"question": "x", "maxTokens": 0}, "maxTokens"),
        ("leanvibe/ask", {"question": "x", "temperature": -1}, "temperature"),
        ("leanvibe/ask", {"question": "x", "history": [{"role": "system", "content": ""}]}, "history.0.role"),
        ("leanvibe/ask", {"question": "x", "workDoneToken": True}, "workDoneToken"),
        ("leanvibe/ask", {"question": "x", "range": {"start": {}}}, "range"),
        ("leanvibe/ask", {"question": "x", "position": {"line": 0, "character": 0}}, "textDocument"),
        ("leanvibe/ask", {"question": "x", "textDocument": {"uri": "untitled:1"}}, "textDocument.uri"),
        ("leanvibe/ask", {"question": "x", "textDocument": {"uri": "file:///no/such/file.py"}}, "/no/such/file.py"),
    ],
)
async def test_params_that_do_not_fit(session: Any, method: str, params: object, field: str) -> None:
    """Trap 8: params that do not fit get -32602 with a message that names the field."""
    reply = await session.call(method, params)
    assert error_code(reply) == Code.INVALID_PARAMS
    assert field in reply["error"]["message"]


@pytest.mark.parametrize(
    ("message", "reply_id"),
    [
        ([{"jsonrpc": "2.0", "id": 5, "method": "x"}], None),
        (5, None),
        (None, None),
        ({"id": 5, "method": "textDocument/hover"}, 5),
        ({"jsonrpc": "1.0", "id": 5, "method": "textDocument/hover"}, 5),
        ({"jsonrpc": "2.0", "id": "five", "method": 7}, "five"),
        ({"jsonrpc": "2.0", "id": 5}, 5),
        ({"jsonrpc": "2.0", "id": None, "method": "x"}, None),
        ({"jsonrpc": "2.0", "id": True, "method": "x"}, None),
        ({"jsonrpc": "2.0", "id": {"a": 1}, "method": "x"}, None),
        ({"jsonrpc": "2.0", "id": 1.5, "method": "x"}, 1.5),
        ({}, None),
    ],
)
async def test_what_is_no_request(session: Any, message: object, reply_id: object) -> None:
    """A message that is no request, a batch included, is -32600 with its id if it has one."""
    session.sent.clear()
    session.server.take(message)
    assert [(reply["id"], error_code(reply)) for reply in session.sent] == [(reply_id, Code.INVALID_REQUEST)]


async def test_a_fault_of_the_wire_is_told(session: Any) -> None:
    """Bytes that were no message get an error without an id."""
    session.sent.clear()
    session.server.take(Fault(Code.PARSE_ERROR, "not JSON"))
    assert session.sent == [{"jsonrpc": "2.0", "id": None, "error": {"code": -32700, "message": "not JSON"}}]


async def test_unknown_notifications_are_tolerated(session: Any) -> None:
    """Unknown notifications, those with $/ and odd cancels get no answer and do no harm."""
    session.sent.clear()
    for method, params in (
        ("no/such", {}),
        ("$/setTrace", {"value": "off"}),
        ("$/cancelRequest", None),
        ("$/cancelRequest", {"id": [1]}),
        ("$/cancelRequest", {"id": 999}),
        ("window/workDoneProgress/cancel", {"token": {}}),
        ("workspace/didChangeWorkspaceFolders", {"event": {"added": [], "removed": []}}),
        ("textDocument/didSave", {"textDocument": {"uri": "file:///nowhere/leanvibe.toml"}}),
    ):
        session.notify(method, params)
    assert session.sent == []


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("textDocument/hover", HOVER),
        ("leanvibe/ask", {"question": "x", "workDoneToken": 1}),
        ("leanvibe/health", None),
        ("workspace/executeCommand", {"command": "leanvibe.explain", "arguments": [{"uri": URI}]}),
        ("shutdown", None),
    ],
)
async def test_a_request_without_an_id_is_not_run(
    session: Any, caplog: pytest.LogCaptureFixture, method: str, params: object
) -> None:
    """A request method sent as a notification is ignored: its handler does not run, and the client hears nothing."""
    session.open("def f(): pass\n")
    session.sent.clear()
    session.notify(method, params)
    await asyncio.sleep(0)
    assert session.sent == []
    assert session.services.requests == []
    assert not [record for record in caplog.records if record.exc_info]
    assert "result" in await session.call("leanvibe/health")


async def test_a_bad_notification_is_logged_for_the_client(session: Any) -> None:
    """didChange for a document that is not open, or with bad params, ends nothing and is told in the log."""
    session.notify("textDocument/didChange", {"textDocument": {"uri": URI, "version": 2}, "contentChanges": []})
    session.notify("textDocument/didOpen", {"textDocument": {"uri": URI}})
    messages = [m["params"]["message"] for m in session.sent if m.get("method") == "window/logMessage"]
    assert "is not open" in messages[0]
    assert "textDocument.text" in messages[1]
    session.open("def f(): pass\n")
    assert "result" in await session.call("textDocument/hover", HOVER)


async def test_nested_jsonrpc_key_is_just_a_key(session: Any) -> None:
    """Trap 7: an object in the params that has a key "jsonrpc" does not swallow the request."""
    history = [{"role": "user", "content": "x", "jsonrpc": "2.0", "id": 1, "method": "y"}]
    reply = await session.call("leanvibe/ask", {"question": "x", "history": history, "jsonrpc": {"jsonrpc": "2.0"}})
    assert reply["result"]["answer"] == "The answer."


async def test_odd_keys_stay_themselves(session: Any) -> None:
    """Trap 9: keys like `class`, `my-key` and `type_name` in params are ignored or read, never renamed."""
    params = {"question": "x", "class": 1, "my-key": 2, "type_name": "Evil", "_1": 3}
    assert "result" in await session.call("leanvibe/ask", params)


async def test_cancel_of_a_question(session: Any) -> None:
    """$/cancelRequest stops the engine and gives one reply, -32800; other requests go on meanwhile."""
    session.services.gate = asyncio.Event()
    session.open("def f(): pass\n")
    request_id = session.request("leanvibe/ask", {"question": "x"})
    assert "result" in await session.call("textDocument/hover", HOVER)
    session.notify("$/cancelRequest", {"id": request_id})
    session.notify("$/cancelRequest", {"id": request_id})
    assert error_code(await session.reply(request_id)) == Code.REQUEST_CANCELLED
    assert session.services.tokens[0].cancelled
    await asyncio.sleep(0)
    assert len(session.replies(request_id)) == 1


async def test_cancel_of_a_command_ends_its_coroutine(session: Any) -> None:
    """Trap 3: cancelling workspace/executeCommand ends the command, not only the reply."""
    session.services.gate = asyncio.Event()
    session.open("def f(): pass\n")
    arguments = [{"uri": URI, "range": {"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 3}}}]
    request_id = session.request(
        "workspace/executeCommand", {"command": "leanvibe.explain", "arguments": arguments, "workDoneToken": 1}
    )
    await session.wait_for(lambda m: m.get("method") == "$/progress" and m["params"]["value"]["kind"] == "report")
    session.notify("$/cancelRequest", {"id": request_id})
    assert error_code(await session.reply(request_id)) == Code.REQUEST_CANCELLED
    assert session.services.stopped == 1
    assert session.services.tokens[0].cancelled


async def test_many_slow_requests_do_not_hold_up_a_cancel(session: Any) -> None:
    """Trap 4: with more requests running than any pool has threads, a cancel is still read at once."""
    session.services.gate = asyncio.Event()
    ids = [session.request("leanvibe/ask", {"question": "x"}) for _ in range(200)]
    session.notify("$/cancelRequest", {"id": ids[100]})
    assert error_code(await session.reply(ids[100])) == Code.REQUEST_CANCELLED
    assert len(session.server.protocol.requests) == 199


async def test_shutdown_answers_everything_first(session: Any) -> None:
    """With requests running, each has its one reply, then shutdown has its null."""
    session.services.gate = asyncio.Event()
    ids = [session.request("leanvibe/ask", {"question": "x"}) for _ in range(3)]
    last = session.request("shutdown")
    session.notify("$/cancelRequest", {"id": last})
    assert await session.reply(last) == {"jsonrpc": "2.0", "id": last, "result": None}
    replies = [m for m in session.sent if "method" not in m]
    assert [m["id"] for m in replies[-4:]] == [*ids, last]
    assert {error_code(m) for m in replies[-4:-1]} == {Code.REQUEST_CANCELLED}


async def test_an_id_in_use_gets_one_reply(session: Any) -> None:
    """A second request under an id that is still running does not make a second reply."""
    session.services.gate = asyncio.Event()
    session.request("leanvibe/ask", {"question": "x"}, "same")
    session.request("leanvibe/health", None, "same")
    session.services.gate.set()
    assert (await session.reply("same"))["result"]["answer"] == "The answer."
    assert len(session.replies("same")) == 1


async def test_number_and_string_ids_are_two(session: Any) -> None:
    """1 and "1" are different requests, and each has its reply."""
    session.services.gate = asyncio.Event()
    session.request("leanvibe/ask", {"question": "x"}, 1)
    session.request("leanvibe/ask", {"question": "x"}, "1")
    session.notify("$/cancelRequest", {"id": "1"})
    reply = await session.wait_for(lambda m: m.get("id") == "1")
    assert error_code(reply) == Code.REQUEST_CANCELLED
    assert 1 in session.server.protocol.requests


async def test_snapshot_is_taken_when_the_request_comes(session: Any) -> None:
    """Trap 5: an edit right behind a request does not change what the request sees."""
    session.open("def f(): pass\n")
    request_id = session.request("leanvibe/ask", {"question": "x", "textDocument": {"uri": URI}})
    session.notify(
        "textDocument/didChange",
        {"textDocument": {"uri": URI, "version": 2}, "contentChanges": [{"text": "other"}]},
    )
    await session.reply(request_id)
    assert session.services.requests[0].places[0].snapshot.text == "def f(): pass\n"
    assert session.server.documents.get(URI).text == "other"


async def test_late_reply_of_the_client(new_session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trap 13: a reply to a request of ours that was given up is ignored, and nothing is kept of it."""
    session = new_session
    await session.initialize({"window": {"workDoneProgress": True}})
    monkeypatch.setattr("leanvibe_lsp.lsp.client.limit", lambda name: 0.01)
    assert not await session.server.client.create_progress("bar")
    create = await session.method("window/workDoneProgress/create")
    assert session.server.protocol._request_futures == {}
    assert session.server.protocol._result_types == {}
    count = len(session.sent)
    session.respond(create["id"], result=None)
    session.respond(create["id"], error={"code": 1, "message": "x"})
    session.respond(None, error={"code": 1, "message": "x"})
    assert len(session.sent) == count


async def test_odd_reply_of_the_client_is_its_own_error(session: Any) -> None:
    """A client's result that does not fit is an error for the asker only."""
    params = types.ShowDocumentParams(uri="file:///a")
    asking = asyncio.ensure_future(session.server.protocol.ask_client("window/showDocument", params))
    request = await session.method("window/showDocument")
    session.respond(request["id"], result={"success": {}})
    with pytest.raises(RpcFault):
        await asking


async def test_result_that_is_not_json_is_an_error_reply(session: Any) -> None:
    """A result that cannot be written (NaN) becomes one error reply."""

    async def health() -> dict[str, object]:
        return {"speed": float("nan")}

    session.services.health = health
    assert error_code(await session.call("leanvibe/health")) == Code.INTERNAL_ERROR


async def test_feature_that_fails_is_a_reply_not_a_dead_server(session: Any) -> None:
    """An exception in one feature is that request's reply; the next request is served."""
    session.services.error = ZeroDivisionError("oops")
    reply = await session.call("leanvibe/ask", {"question": "x"})
    assert error_code(reply) == Code.INTERNAL_ERROR
    assert "ZeroDivisionError" in reply["error"]["message"]
    assert "result" in await session.call("leanvibe/health")


async def test_only_the_loop_thread_may_send(session: Any) -> None:
    """Trap 2: a send from another thread is refused, not mixed into the stream."""
    caught: list[BaseException] = []

    def elsewhere() -> None:
        try:
            session.server.client.log(types.MessageType.Info, "x")
        except AssertionError as error:
            caught.append(error)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert len(caught) == 1


async def test_bad_options_cost_themselves(new_session: Any) -> None:
    """A bad initialization option is shown once and not used; the good one is."""
    await new_session.initialize(initializationOptions={"engine": "steam", "model": "tiny", "colour": 1})
    await asyncio.sleep(0)
    shown = [m["params"]["message"] for m in new_session.sent if m.get("method") == "window/showMessage"]
    assert new_session.server.settings == Settings(model="tiny")
    assert [text.split(":")[0] for text in shown] == ["initializationOptions.engine", "initializationOptions.colour"]


async def test_sessions_share_services_by_settings(workers: ThreadPoolExecutor) -> None:
    """Sessions with the same settings share one engine; closing stops every one."""
    made: list[FakeServices] = []

    def create(settings: Settings) -> FakeServices:
        made.append(FakeServices())
        return made[-1]

    shared = SharedServices(create)
    servers = [
        make_server(shared, settings=Settings(model=name), workers=workers, reads_files=True)
        for name in ("a", "a", "b")
    ]
    assert servers[0].services is servers[1].services
    assert servers[0].services is not servers[2].services
    assert servers[0].services is made[0]
    shared.close()
    assert [services.closed for services in made] == [1, 1]


def test_services_that_are_stopping_are_waited_for() -> None:
    """Closing waits for what a session has given back and what still stops; kept services stop only then."""
    gate = threading.Event()
    made: dict[str | None, FakeServices] = {}

    class Slow(FakeServices):
        def close(self) -> None:
            assert gate.wait(20)
            super().close()

    def create(settings: Settings) -> FakeServices:
        made[settings.model] = Slow()
        return made[settings.model]

    shared = SharedServices(create, kept=Settings())
    for settings in (Settings(), Settings(model="a")):
        shared.take(settings)
        shared.give_back(settings)
    assert [services.closed for services in made.values()] == [0, 0]
    gate.set()
    shared.close()
    assert [services.closed for services in made.values()] == [1, 1]


async def test_a_closed_session_is_freed(workers: ThreadPoolExecutor) -> None:
    """Nothing keeps a session alive after its connection ended (pygls' own caches would)."""
    server = make_server(
        SharedServices(lambda settings: FakeServices()), settings=Settings(), workers=workers, reads_files=True
    )
    server.attach(type("Wire", (), {"send": lambda self, body: None})())
    server.take(
        {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "initialize",
            "params": {"processId": None, "rootUri": None, "capabilities": {}},
        }
    )
    server.window_log_message(types.LogMessageParams(types.MessageType.Info, "x"))
    gone = weakref.ref(server)
    del server
    gc.collect()
    assert gone() is None


async def test_the_session_is_deaf_after_its_end(session: Any) -> None:
    """Messages behind exit are not looked at."""
    session.notify("exit")
    session.sent.clear()
    session.request("leanvibe/health")
    assert session.sent == []


def test_limits_of_the_room_are_rows() -> None:
    """The limits that this room uses are in the table."""
    for name in ("rpc.shutdown_milliseconds", "rpc.unsent_bytes", "rpc.workers", "stream.updates_per_second"):
        assert limit(name) > 0
