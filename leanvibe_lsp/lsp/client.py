"""The only sender to the editor, beside replies. Event-loop thread only; the protocol asserts it."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from lsprotocol import types
from pygls.capabilities import get_capability
from pygls.exceptions import JsonRpcException

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.lsp.faults import RpcFault

if TYPE_CHECKING:
    from leanvibe_lsp.lsp.protocol import LeanVibeProtocol
    from leanvibe_lsp.lsp.tasks import ProgressToken

_log = logging.getLogger(__name__)


class Client:
    """One editor: what it can do, and what it can be told."""

    def __init__(self, protocol: LeanVibeProtocol) -> None:
        self._protocol = protocol

    def can(self, capability: str) -> bool:
        """Whether the client said yes to a capability, as `window.work_done_progress`; False before initialize."""
        return bool(self.capability(capability))

    def capability(self, capability: str) -> object:
        """The value the client gave for a capability (snake_case path), or None."""
        value: object = get_capability(self._protocol.client_capabilities, capability, None)
        return value

    def log(self, level: types.MessageType, message: str) -> None:
        """A line in the editor's log of this server."""
        self._notify(types.WINDOW_LOG_MESSAGE, {"type": int(level), "message": message})

    def show(self, level: types.MessageType, message: str) -> None:
        """A message that a person sees."""
        self._notify(types.WINDOW_SHOW_MESSAGE, {"type": int(level), "message": message})

    def progress(self, token: ProgressToken, value: object) -> None:
        """One `$/progress` notification: a partial result, or a step of a progress bar."""
        self._notify(types.PROGRESS, {"token": token, "value": value})

    async def create_progress(self, token: ProgressToken) -> bool:
        """Ask the editor for a progress bar; False when it says no or nothing within `rpc.client_reply_seconds`."""
        params = types.WorkDoneProgressCreateParams(token=token)
        try:
            async with asyncio.timeout(limit("rpc.client_reply_seconds")):
                await self._protocol.ask_client(types.WINDOW_WORK_DONE_PROGRESS_CREATE, params)
        except TimeoutError:
            _log.warning("The client did not answer window/workDoneProgress/create.")
        except (JsonRpcException, RpcFault) as error:
            _log.info("The client refused a progress bar: %s", error)
        else:
            return True
        return False

    def _notify(self, method: str, params: dict[str, object]) -> None:
        self._protocol.send({"jsonrpc": "2.0", "method": method, "params": params})
