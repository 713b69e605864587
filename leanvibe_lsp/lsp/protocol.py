"""One conversation in LSP: JSON values in, replies out, whatever comes.

pygls gives the registry of features, the capability builder, the converter and the book of our own requests. Receiving,
structuring, cancelling and replying are ours, because each request id gets exactly one reply: also for params that do
not fit, an unknown method, a cancel, a shutdown. Event-loop thread only.

Deliberately absent: pygls' built-in handlers (its text store among them) and its thread pool.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Protocol, cast

from cattrs import Converter
from lsprotocol import types
from pygls.capabilities import ServerCapabilitiesBuilder
from pygls.exceptions import JsonRpcException
from pygls.protocol import LanguageServerProtocol

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.lsp.convert import tolerant_code_action, tolerant_initialize
from leanvibe_lsp.lsp.faults import Code, RpcFault, fault_of, unstructured
from leanvibe_lsp.lsp.framing import Fault, dump
from leanvibe_lsp.lsp.tasks import Outcome, RequestId, RunningRequests

if TYPE_CHECKING:
    from leanvibe_lsp.lsp.server import LeanVibeServer

_log = logging.getLogger(__name__)

Handler = Callable[[Any], object]
# What is left out of params where one odd value would cost all of them.
_TOLERANT = {types.INITIALIZE: tolerant_initialize, types.TEXT_DOCUMENT_CODE_ACTION: tolerant_code_action}


class State(Enum):
    """Where the conversation is."""

    NEW = auto()
    READY = auto()
    SHUT_DOWN = auto()


class Wire(Protocol):
    """The way to the client. `send` takes the body of one message, never blocks and never raises."""

    def send(self, body: bytes) -> None:
        """Send one message."""
        ...


class LeanVibeProtocol(LanguageServerProtocol):
    """One client's conversation."""

    _server: LeanVibeServer

    def __init__(self, server: LeanVibeServer, converter: Converter) -> None:
        super().__init__(server, converter)
        self.client_capabilities = types.ClientCapabilities()
        self.requests = RunningRequests(self._reply)
        self.state = State.NEW
        self.on_trace: Callable[[str, object], None] | None = None
        self._asked: dict[RequestId, tuple[str, float]] = {}
        self._wire: Wire | None = None
        self._thread = 0
        self._structurers: dict[str, Callable[[object], Any]] = {}
        self._postponed: dict[str, Callable[[], None]] = {}
        self._lifecycle: dict[str, Handler] = {
            types.INITIALIZE: self._initialize,
            types.SHUTDOWN: self._shut_down,
        }
        self._notices: dict[str, Handler] = {
            types.INITIALIZED: lambda _: server.ready(),
            types.EXIT: lambda _: server.end(),
            types.CANCEL_REQUEST: self._cancel,
            types.WINDOW_WORK_DONE_PROGRESS_CANCEL: self._cancel_progress,
        }

    def attach(self, wire: Wire) -> None:
        """Speak through `wire` from now on, from this thread only."""
        self._wire = wire
        self._thread = threading.get_ident()

    def define(self, method: str, structure: Callable[[object], Any]) -> None:
        """Params of a method that is not LSP's own: `structure` makes them a value or raises."""
        self._structurers[method] = structure

    def postpone(self, methods: Sequence[str], commands: Sequence[str], register: Callable[[], None]) -> None:
        """Announce methods and commands; `register` registers them when the first of the methods is called.

        For features whose modules take longer to import than a client should wait for the reply to initialize.
        """

        def load() -> None:
            for method in methods:
                del self._postponed[method], self.fm.features[method]
            for command in commands:
                del self.fm.commands[command]
            register()

        for method in methods:
            self._postponed[method] = self.fm.features[method] = load
        self.fm.commands.update(dict.fromkeys(commands, load))

    # -- in

    def receive(self, message: object) -> None:
        """Take one parsed message. Never raises."""
        try:
            self._receive(message)
        except RpcFault as fault:
            self._reply_fault(None, fault)

    def fault(self, fault: Fault) -> None:
        """Tell the client about bytes that were no message."""
        _log.warning("%s", fault.message)
        self._reply_fault(None, RpcFault(fault.code, fault.message))

    def _receive(self, message: object) -> None:
        if not isinstance(message, Mapping):
            what = "a batch; LSP has none" if isinstance(message, list) else f"{type(message).__name__}"
            raise RpcFault(Code.INVALID_REQUEST, f"A message is an object, not {what}.")
        request_id, method = message.get("id"), message.get("method")
        if "method" not in message and ("result" in message or "error" in message):
            self._on_response(request_id, message)
        elif message.get("jsonrpc") != "2.0":
            self._refuse(message, 'A message says "jsonrpc": "2.0".')
        elif not isinstance(method, str):
            self._refuse(message, "method: a message names its method with a string.")
        elif "id" not in message:
            self._on_notification(method, message.get("params"))
        elif not _is_id(request_id):
            self._refuse(message, "id: a request has a number or a string as its id.")
        elif cast(RequestId, request_id) in self.requests:
            _log.error("Request id %r is still in use; the second request is dropped.", request_id)
        else:
            self._on_request(cast(RequestId, request_id), method, message.get("params"))

    def _refuse(self, message: Mapping[str, object], reason: str) -> None:
        given = message.get("id")
        usable = isinstance(given, float) or (_is_id(given) and cast(RequestId, given) not in self.requests)
        self._reply_fault(given if usable else None, RpcFault(Code.INVALID_REQUEST, reason))

    def _on_request(self, request_id: RequestId, method: str, raw: object) -> None:
        if self.on_trace is not None:
            self._asked[request_id] = method, time.monotonic()
            self.on_trace(f"Received request '{method} - ({request_id})'.", raw)
        try:
            self._admit(method)
            if (load := self._postponed.get(method)) is not None:
                load()
            handler = self._lifecycle.get(method) or self.fm.features.get(method)
            if handler is None:
                raise RpcFault(Code.METHOD_NOT_FOUND, f"There is no method {method!r} here.")
            params = self._structure(method, raw)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the reply
            self._reply(request_id, Outcome(error=error))
            return
        self.requests.start(request_id, lambda: handler(params), protected=method in self._lifecycle)

    def _admit(self, method: str) -> None:
        if self.state is State.SHUT_DOWN:
            raise RpcFault(Code.INVALID_REQUEST, "The server was shut down; only exit is taken now.")
        if self.state is State.NEW and method != types.INITIALIZE:
            raise RpcFault(Code.SERVER_NOT_INITIALIZED, f"initialize has to come before {method}.")
        if self.state is State.READY and method == types.INITIALIZE:
            raise RpcFault(Code.INVALID_REQUEST, "initialize comes once.")

    def _on_notification(self, method: str, raw: object) -> None:
        if self.on_trace is not None:
            self.on_trace(f"Received notification '{method}'.", raw)
        if self.state is not State.READY and method != types.EXIT:
            _log.info("Notification %r came outside of a session; ignored.", method)
            return
        handler = self._notices.get(method) or self.fm.features.get(method)
        if handler is not None and not _is_notification(method):
            _log.warning("%r is a request, but came without an id; ignored.", method)
            return
        if handler is None:
            _log.debug("Unknown notification %r; ignored.", method)
            return
        try:
            handler(raw if method in self._notices else self._structure(method, raw))
        except Exception as error:  # noqa: BLE001 - one notification must not end the session
            fault = fault_of(error)
            _log.warning("%s: %s", method, fault.message, exc_info=fault.code == Code.INTERNAL_ERROR)
            self._server.client.log(types.MessageType.Warning, f"{method}: {fault.message}")

    def _structure(self, method: str, raw: object) -> Any:
        if (structure := self._structurers.get(method)) is not None:
            return structure(raw)
        if (tolerant := _TOLERANT.get(method)) is not None:
            raw = tolerant(raw, self._converter)
        params_type = types.METHOD_TO_TYPES[method][2]
        if params_type is None:
            return None
        if not isinstance(raw, Mapping):
            raise RpcFault(Code.INVALID_PARAMS, f"Invalid params: {method} takes an object.")
        try:
            return self._converter.structure(raw, cast(type[Any], params_type))
        except Exception as error:
            raise unstructured(error) from error

    # -- what LSP itself defines

    def _initialize(self, params: types.InitializeParams) -> object:
        self.client_capabilities = params.capabilities
        encoding = ServerCapabilitiesBuilder.choose_position_encoding(params.capabilities)
        self._server.open_session(params, encoding)
        self.server_capabilities = ServerCapabilitiesBuilder(
            params.capabilities,
            set(self.fm.features),
            self.fm.feature_options,
            list(self.fm.commands),
            types.TextDocumentSyncKind.Incremental,
            None,
            encoding,
        ).build()  # type: ignore[no-untyped-call]
        self.state = State.READY
        return types.InitializeResult(capabilities=self.server_capabilities, server_info=self.server_info)

    def _shut_down(self, _: object) -> object:
        self.state = State.SHUT_DOWN
        return self._end_requests()

    async def _end_requests(self) -> None:
        await self.requests.cancel_all(within=limit("rpc.shutdown_milliseconds") / 1000)

    def _cancel(self, raw: object) -> None:
        request_id = raw.get("id") if isinstance(raw, Mapping) else None
        if _is_id(request_id):
            self.requests.cancel(cast(RequestId, request_id))

    def _cancel_progress(self, raw: object) -> None:
        token = raw.get("token") if isinstance(raw, Mapping) else None
        if _is_id(token):
            self.requests.cancel_progress(cast(RequestId, token))

    # -- out

    def send(self, message: Mapping[str, object]) -> None:
        """Send a message of plain values. Raises RpcFault for what JSON cannot say."""
        assert self._thread in (0, threading.get_ident()), "only the event-loop thread may send"
        body = dump(message)
        if self._wire is not None:
            self._wire.send(body)

    async def ask_client(self, method: str, params: object) -> Any:
        """Send a request to the client and wait for its result; leaves nothing behind when it is given up.

        Raises JsonRpcException when the client refuses, RpcFault when its result does not fit.
        """
        future = self.send_request(method, params)
        try:
            return await asyncio.wrap_future(future)
        finally:
            for request_id in [key for key, value in self._request_futures.items() if value is future]:
                del self._request_futures[request_id]
                self._result_types.pop(request_id, None)

    def get_message_type(self, method: str) -> type[Any] | None:  # type: ignore[override]
        """LSP's own type of a message. (pygls' version caches in a way that keeps every connection alive.)"""
        return types.METHOD_TO_TYPES.get(method, (None,))[0]

    def get_result_type(self, method: str) -> type[Any] | None:  # type: ignore[override]
        """LSP's own type of a response."""
        return types.METHOD_TO_TYPES.get(method, (None, None))[1]

    def _register_builtin_features(self) -> None:
        """None of pygls' own: see the module's docstring."""

    def _send_data(self, data: Any) -> None:
        self.send(self._converter.unstructure(data))

    def _reply(self, request_id: RequestId, outcome: Outcome) -> None:
        method, since = self._asked.pop(request_id, ("", 0.0))
        if self.on_trace is not None and method:
            how = "" if outcome.error is None else f" with an error: {fault_of(outcome.error).message}"
            milliseconds = (time.monotonic() - since) * 1000
            self.on_trace(f"Sending response '{method} - ({request_id})' after {milliseconds:.0f} ms{how}.", None)
        if outcome.error is None:
            try:
                result = self._converter.unstructure(outcome.result)
                self.send({"jsonrpc": "2.0", "id": request_id, "result": result})
            except Exception as error:  # noqa: BLE001 - a result that cannot be sent is an error that can
                outcome = Outcome(error=error)
        if outcome.error is not None:
            fault = fault_of(outcome.error)
            if fault.code == Code.INTERNAL_ERROR:
                _log.error("Request %r failed.", request_id, exc_info=outcome.error)
            self._reply_fault(request_id, fault)

    def _reply_fault(self, request_id: object, fault: RpcFault) -> None:
        self.send({"jsonrpc": "2.0", "id": request_id, "error": fault.as_json()})

    def _on_response(self, request_id: object, message: Mapping[str, object]) -> None:
        future = self._request_futures.pop(request_id, None) if isinstance(request_id, str) else None
        if future is None or future.done():
            _log.info("A reply to request %r that nobody waits for; ignored.", request_id)
            return
        result_type = self._result_types.pop(str(request_id), None)
        if "error" in message:
            future.set_exception(_client_error(message["error"]))
            return
        try:
            result = self._converter.structure(message, result_type).result if result_type else message["result"]
        except Exception as error:  # noqa: BLE001 - a client's odd reply is the asker's error
            future.set_exception(unstructured(error))
        else:
            future.set_result(result)


def _is_notification(method: str) -> bool:
    """LSP has no result type for a notification. Methods of our own are requests."""
    known = types.METHOD_TO_TYPES.get(method)
    return known is not None and known[1] is None


def _is_id(value: object) -> bool:
    return isinstance(value, int | str) and not isinstance(value, bool)


def _client_error(error: object) -> JsonRpcException:
    fields = error if isinstance(error, Mapping) else {}
    code, message = fields.get("code"), fields.get("message")
    return JsonRpcException(
        message=message if isinstance(message, str) else "The client refused.",
        code=code if isinstance(code, int) else None,
        data=fields.get("data"),
    )
