"""The names of what can be evaluated; light enough for a command's help."""

from __future__ import annotations

from enum import StrEnum


class EvalTask(StrEnum):
    """What can be evaluated."""

    INTENT = "intent"
    RISK = "risk"
    FIX = "fix"
    REVIEW = "review"
    CALIBRATION = "calibration"
