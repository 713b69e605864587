"""Everything a reply can say went wrong: the codes, and which error becomes which code.

The message is for a person: what happened, then the next step. `data` is for a program: kind, nextStep, retryable.
"""

from __future__ import annotations

import re
from enum import IntEnum

import cattrs

from leanvibe_lsp.errors import Cancelled, ContextTooLarge, LeanVibeError, UsageError


class Code(IntEnum):
    """JSON-RPC's and LSP's error codes that this server sends."""

    PARSE_ERROR = -32700
    INVALID_REQUEST = -32600
    METHOD_NOT_FOUND = -32601
    INVALID_PARAMS = -32602
    INTERNAL_ERROR = -32603
    SERVER_NOT_INITIALIZED = -32002
    REQUEST_CANCELLED = -32800
    CONTENT_MODIFIED = -32801
    SERVER_CANCELLED = -32802
    REQUEST_FAILED = -32803


class RpcFault(Exception):
    """A reply that is an error."""

    def __init__(self, code: int, message: str, data: object = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data

    def as_json(self) -> dict[str, object]:
        """The `error` member of the reply."""
        body: dict[str, object] = {"code": int(self.code), "message": self.message}
        if self.data is not None:
            body["data"] = self.data
        return body


def fault_of(error: BaseException) -> RpcFault:
    """The reply for any error a handler can end with. Never raises."""
    match error:
        case RpcFault():
            return error
        case Cancelled():
            return RpcFault(Code.REQUEST_CANCELLED, str(error))
        case UsageError() | ContextTooLarge():
            return RpcFault(Code.INVALID_PARAMS, str(error), _data(error))
        case LeanVibeError():
            return RpcFault(Code.REQUEST_FAILED, str(error), _data(error))
        case _ if (said := _validation(error)) is not None:
            return RpcFault(Code.INVALID_PARAMS, f"Invalid params: {said}")
        case _:
            return RpcFault(
                Code.INTERNAL_ERROR,
                f"LeanVibe failed inside ({type(error).__name__}: {error}). The server's log has the details.",
            )


def unstructured(error: Exception) -> RpcFault:
    """The reply for LSP params that cattrs could not make a value of; names each field as the client wrote it."""
    parts = []
    for line in cattrs.transform_error(error):
        what, _, path = line.rpartition(" @ ")
        field = _camel(path.removeprefix("$").removeprefix("."))
        parts.append(f"{field}: {what}" if field else what)
    return RpcFault(Code.INVALID_PARAMS, f"Invalid params: {'; '.join(parts)}")


def _data(error: LeanVibeError) -> dict[str, object]:
    name = type(error).__name__
    return {"kind": name[0].lower() + name[1:], "nextStep": error.next_step, "retryable": error.retryable}


def _validation(error: BaseException) -> str | None:
    """What pydantic says of params; None for any other error. Its import would hold up the reply to initialize."""
    from pydantic import ValidationError

    if not isinstance(error, ValidationError):
        return None
    return "; ".join(
        f"{'.'.join(str(part) for part in problem['loc']) or 'params'}: {problem['msg']}"
        for problem in error.errors(include_url=False, include_context=False, include_input=False)
    )


def _camel(path: str) -> str:
    return re.sub(r"_([a-z])", lambda match: match[1].upper(), path)
