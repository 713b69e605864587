"""The only sender to the editor, beside replies. Event-loop thread only; the protocol asserts it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lsprotocol import types
from pygls.capabilities import get_capability
from pygls.exceptions import JsonRpcException

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.errors import UsageError
from leanvibe_lsp.lsp.convert import shared_converter
from leanvibe_lsp.lsp.faults import RpcFault

if TYPE_CHECKING:
    from leanvibe_lsp.lsp.protocol import LeanVibeProtocol
    from leanvibe_lsp.lsp.tasks import ProgressToken

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DiagnosticAbilities:
    """What of a diagnostic a client can show or keep, beyond its place and message."""

    tags: tuple[types.DiagnosticTag, ...]
    code_description: bool
    related_information: bool
    data: bool


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

    def takes_action_literals(self) -> bool:
        """Whether code actions may be more than commands."""
        return self.capability("text_document.code_action.code_action_literal_support") is not None

    def resolves_edits(self) -> bool:
        """Whether the edit of a code action may be made when a person takes it."""
        properties = self.capability("text_document.code_action.resolve_support.properties")
        keeps_data = self.can("text_document.code_action.data_support")
        return keeps_data and isinstance(properties, list | tuple) and "edit" in properties

    def pulls_diagnostics(self) -> bool:
        """Whether the client asks for diagnostics itself; pushed ones would stand there twice then."""
        return self.capability("text_document.diagnostic") is not None

    def diagnostic_abilities(self) -> DiagnosticAbilities:
        """Said in LSP 3.17 for pushed diagnostics only, since 3.18 for those that are asked for too."""

        def said(name: str) -> object:
            pulled, pushed = f"text_document.diagnostic.{name}", f"text_document.publish_diagnostics.{name}"
            return self.capability(pulled) or self.capability(pushed)

        tags = said("tag_support.value_set")
        return DiagnosticAbilities(
            tuple(tags) if isinstance(tags, list | tuple) else (),
            bool(said("code_description_support")),
            bool(said("related_information")),
            bool(said("data_support")),
        )

    def takes_versions(self) -> bool:
        """Whether an edit may say for which version of a document it is."""
        return self.can("workspace.workspace_edit.document_changes")

    def creates_files(self) -> bool:
        """Whether an edit may make a new file."""
        operations = self.capability("workspace.workspace_edit.resource_operations")
        return (
            self.takes_versions()
            and isinstance(operations, list | tuple)
            and types.ResourceOperationKind.Create in operations
        )

    def annotates_edits(self) -> bool:
        """Whether an edit may say what it is, and that a person should look at it first."""
        return (
            self.takes_versions() and self.capability("workspace.workspace_edit.change_annotation_support") is not None
        )

    def log(self, level: types.MessageType, message: str) -> None:
        """A line in the editor's log of this server."""
        self._notify(types.WINDOW_LOG_MESSAGE, {"type": int(level), "message": message})

    def log_trace(self, message: str, verbose: str | None) -> None:
        """A line for the client's trace of the conversation."""
        self._notify(types.LOG_TRACE, {"message": message, **({} if verbose is None else {"verbose": verbose})})

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

    async def apply_edit(self, edit: types.WorkspaceEdit, label: str) -> str:
        """Have an edit applied; "" when it was, else why not, as the client says it."""
        params = types.ApplyWorkspaceEditParams(edit=edit, label=label)
        try:
            async with asyncio.timeout(limit("rpc.person_reply_seconds")):
                result = await self._protocol.ask_client(types.WORKSPACE_APPLY_EDIT, params)
        except TimeoutError:
            return "the editor did not say whether it did it"
        except (JsonRpcException, RpcFault) as error:
            return f"the editor refused: {error}"
        if isinstance(result, types.ApplyWorkspaceEditResult) and result.applied:
            return ""
        return getattr(result, "failure_reason", None) or "the editor did not apply it, and does not say why"

    async def choose(self, message: str, titles: Sequence[str]) -> str | None:
        """The title a person picks, None for none. Raises UsageError where the client cannot ask."""
        params = types.ShowMessageRequestParams(
            type=types.MessageType.Info, message=message, actions=[types.MessageActionItem(title) for title in titles]
        )
        try:
            async with asyncio.timeout(limit("rpc.person_reply_seconds")):
                picked = await self._protocol.ask_client(types.WINDOW_SHOW_MESSAGE_REQUEST, params)
        except TimeoutError:
            return None
        except (JsonRpcException, RpcFault) as error:
            raise UsageError(f"The editor could not ask what to do: {error}") from error
        title = getattr(picked, "title", None)
        return title if title in titles else None

    async def show_document(self, uri: str) -> None:
        """Have a document opened, where the client can."""
        if self.can("window.show_document.support"):
            await self._request(types.WINDOW_SHOW_DOCUMENT, types.ShowDocumentParams(uri=uri, take_focus=True))

    def publish_diagnostics(self, uri: str, version: int | None, diagnostics: list[types.Diagnostic]) -> None:
        """All diagnostics of a document at a version; none clears it."""
        params = types.PublishDiagnosticsParams(uri, diagnostics, version)
        self._notify(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS, shared_converter().unstructure(params))

    async def refresh_diagnostics(self) -> None:
        """Have diagnostics asked for anew, where the client can."""
        if self.can("workspace.diagnostics.refresh_support"):
            await self._request(types.WORKSPACE_DIAGNOSTIC_REFRESH, None)

    async def refresh_code_lenses(self) -> None:
        """Have the code lenses asked for anew, where the client can."""
        if self.can("workspace.code_lens.refresh_support"):
            await self._request(types.WORKSPACE_CODE_LENS_REFRESH, None)

    async def register(self, registrations: list[types.Registration]) -> None:
        """Have the client send what it sends only where it was asked to."""
        await self._request(types.CLIENT_REGISTER_CAPABILITY, types.RegistrationParams(registrations))

    async def configuration(self, items: list[types.ConfigurationItem]) -> list[object] | None:
        """What the client's settings have for each item, or None when it does not say."""
        params = types.ConfigurationParams(items)
        try:
            async with asyncio.timeout(limit("rpc.client_reply_seconds")):
                said = await self._protocol.ask_client(types.WORKSPACE_CONFIGURATION, params)
        except (TimeoutError, JsonRpcException, RpcFault) as error:
            _log.warning("The client did not say its configuration: %s", error or "no reply")
            return None
        return list(said) if isinstance(said, list | tuple) else None

    async def _request(self, method: str, params: object) -> None:
        """A request whose failure only the log has to know."""
        try:
            async with asyncio.timeout(limit("rpc.client_reply_seconds")):
                await self._protocol.ask_client(method, params)
        except (TimeoutError, JsonRpcException, RpcFault) as error:
            _log.info("The client did not take %s: %s", method, error or "no reply")

    def _notify(self, method: str, params: dict[str, object]) -> None:
        self._protocol.send({"jsonrpc": "2.0", "method": method, "params": params})
