from __future__ import annotations

import inspect

import pytest

from leanvibe_lsp import errors
from leanvibe_lsp.lsp.faults import Code, RpcFault, fault_of


def every_error() -> list[type[errors.LeanVibeError]]:
    return [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.LeanVibeError)]


CODES = {
    "UsageError": Code.INVALID_PARAMS,
    "ContextTooLarge": Code.INVALID_PARAMS,
    "Cancelled": Code.REQUEST_CANCELLED,
}


@pytest.mark.parametrize("kind", every_error(), ids=lambda kind: kind.__name__)
def test_every_error_of_the_tree_has_its_code(kind: type[errors.LeanVibeError]) -> None:
    """No error of the house falls through to "internal error", and the next step is in the message."""
    fault = fault_of(kind("It broke.", next_step="Mend it."))
    assert (fault.code, fault.message) == (CODES.get(kind.__name__, Code.REQUEST_FAILED), "It broke. Mend it.")


def test_data_is_for_programs() -> None:
    """kind, nextStep and retryable are in the data."""
    fault = fault_of(errors.Busy("The queue is full.", next_step="Try again."))
    assert fault.as_json() == {
        "code": -32803,
        "message": "The queue is full. Try again.",
        "data": {"kind": "busy", "nextStep": "Try again.", "retryable": True},
    }


def test_a_fault_stays_itself() -> None:
    """A reply that is already an error is not wrapped."""
    fault = RpcFault(Code.METHOD_NOT_FOUND, "no")
    assert fault_of(fault) is fault


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), BaseException("panic")])
def test_anything_else_is_internal(error: BaseException) -> None:
    """An unforeseen error names itself and points to the log."""
    fault = fault_of(error)
    assert fault.code == Code.INTERNAL_ERROR
    assert type(error).__name__ in fault.message
