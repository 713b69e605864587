"""Arithmetic on constants, as far as a reader would do it in the head. Pure."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from leanvibe_lsp.tiers.flow.values import UNKNOWN, Value

_LARGE = 1 << 40  # a number, or a text, that is worked out with no further
_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "//": operator.floordiv,
    "/": operator.truediv,
    "%": operator.mod,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "in": lambda one, other: one in other,
    "not in": lambda one, other: one not in other,
    "is": lambda one, other: one is other,
    "is not": lambda one, other: one is not other,
}
_EQUALITY = ("==", "!=", "is", "is not")


def folded(sign: str, one: object, other: object) -> object:
    """What an operator gives for two constants; UNKNOWN when that takes more than a glance."""
    work_out = _OPERATORS.get(sign)
    if work_out is None or not (_small(one) and _small(other)):
        return UNKNOWN
    numbers = isinstance(one, int | float) and isinstance(other, int | float)
    texts = isinstance(one, str) and isinstance(other, str)
    if not (numbers or (texts and sign not in ("%", "*", "-", "/", "//")) or sign in _EQUALITY):
        return UNKNOWN
    try:
        result = work_out(one, other)
    except (ZeroDivisionError, TypeError, OverflowError):
        return UNKNOWN
    return result if isinstance(result, str | int | float) else UNKNOWN


def truth(value: Value) -> bool | None:
    """Whether a condition certainly holds, or does not; None when that is not known."""
    if value.const is UNKNOWN or value.taints:
        return None
    return bool(value.const)


def _small(value: object) -> bool:
    if isinstance(value, str):
        return len(value) < 4_096
    return value is None or (isinstance(value, int | float) and abs(value) < _LARGE)
