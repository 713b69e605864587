"""Code actions: "Explain with LeanVibe", which runs the command of `commands.py` on the selection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsprotocol import types

if TYPE_CHECKING:
    from leanvibe_lsp.lsp.server import LeanVibeServer

KIND = "leanvibe.explain"
TITLE = "Explain with LeanVibe"
COMMAND = "leanvibe.explain"


def register(ls: LeanVibeServer) -> None:
    """Serve `textDocument/codeAction`."""
    ls.feature(types.TEXT_DOCUMENT_CODE_ACTION)(on_code_action)
    ls.on_session(lambda params: _announce(ls))


def on_code_action(ls: LeanVibeServer, params: types.CodeActionParams) -> list[types.CodeAction] | list[types.Command]:
    """What can be done with the range; nothing when the client wants other kinds only."""
    if not _wanted(params.context.only):
        return []
    where = {"start": _position(params.range.start), "end": _position(params.range.end)}
    command = types.Command(title=TITLE, command=COMMAND, arguments=[{"uri": params.text_document.uri, "range": where}])
    if not _knows_literals(ls):
        return [command]
    return [types.CodeAction(title=TITLE, kind=KIND, command=command)]


def _announce(ls: LeanVibeServer) -> None:
    """Kinds may be announced only to clients that know code action literals."""
    if _knows_literals(ls):
        options = types.CodeActionOptions(code_action_kinds=[KIND])
        ls.protocol.fm.feature_options[types.TEXT_DOCUMENT_CODE_ACTION] = options


def _knows_literals(ls: LeanVibeServer) -> bool:
    return ls.client.capability("text_document.code_action.code_action_literal_support") is not None


def _wanted(only: object) -> bool:
    """Kinds are a tree: asking for `leanvibe` asks for `leanvibe.explain`, and the empty kind for everything."""
    if not isinstance(only, list | tuple):
        return True
    kinds = [str(getattr(kind, "value", kind)) for kind in only]
    return any(not kind or kind == KIND or KIND.startswith(f"{kind}.") for kind in kinds)


def _position(position: types.Position) -> dict[str, int]:
    return {"line": position.line, "character": position.character}
