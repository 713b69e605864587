"""What the risk classifier says of a piece of code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from leanvibe_lsp.core.text import Span

Basis = Literal["python", "generic"]


@dataclass(frozen=True, slots=True)
class Reason:
    """What moved the probability, in plain words; `weight` in log-odds: above 0 it speaks for a look, below against."""

    words: str
    weight: float


@dataclass(frozen=True, slots=True)
class Risk:
    """How likely a piece of code deserves a reviewer's eyes.

    `probability` is calibrated on small programs of which about half did. `reasons` come the heaviest first. `basis`
    says what was looked at: of Python the tree, of every other language only names and calls, which says less.
    `risky` is whether the probability reaches the threshold that was chosen on the training rows.
    """

    probability: float
    reasons: tuple[Reason, ...]
    basis: Basis
    risky: bool


@dataclass(frozen=True, slots=True)
class UnitRisk:
    """The risk of one function or method, or of all code outside of them, whose name is empty."""

    name: str
    span: Span
    risk: Risk
