"""`leanvibe/ask`: a question about code, answered by the local model."""

from __future__ import annotations

from collections.abc import Awaitable
from pathlib import Path
from typing import TYPE_CHECKING

from leanvibe_lsp.assist.answer_json import answer_json
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.lsp.asking import AskParams, ask, at_entry

if TYPE_CHECKING:
    from leanvibe_lsp.lsp.server import LeanVibeServer

METHOD = "leanvibe/ask"


def register(ls: LeanVibeServer) -> None:
    """Serve `leanvibe/ask`."""
    ls.protocol.define(METHOD, AskParams.model_validate)
    ls.feature(METHOD)(on_ask)


def on_ask(ls: LeanVibeServer, params: AskParams) -> Awaitable[dict[str, object]]:
    """The answer as JSON; see `answer_json`."""
    return _answer(ls, params, at_entry(ls, params))


async def _answer(ls: LeanVibeServer, params: AskParams, known: Snapshot | Path | None) -> dict[str, object]:
    return answer_json(await ask(ls, params, known))
