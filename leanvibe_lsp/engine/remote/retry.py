"""When a request is sent once more, and after how long. Pure: time and chance are given."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from leanvibe_lsp.config.limits import limit

_NEVER_LATER = 501  # "not implemented" stays so


def may_pass(status: int) -> bool:
    """Whether a server that answered `status` may answer otherwise a moment later."""
    return status in (408, 429) or (500 <= status <= 599 and status != _NEVER_LATER)


def asked_wait(header: str, now: datetime) -> float | None:
    """Seconds that a Retry-After header asks for: a number, or a date. None for neither."""
    try:
        seconds = float(header)
    except ValueError:
        try:
            date = parsedate_to_datetime(header)
        except ValueError:
            return None
        seconds = ((date if date.tzinfo else date.replace(tzinfo=UTC)) - now).total_seconds()
    return max(0.0, seconds) if math.isfinite(seconds) else None


def pause(tries: int, asked: float | None, chance: float) -> float | None:
    """Seconds to wait after `tries` of them failed; None: give up.

    Doubles from try to try, shortened by `chance` (0 to 1), so that clients that failed together do not return
    together. What the server asked for is kept; more than a person waits for is no reason to wait at all.
    """
    if tries >= limit("remote.tries") or (asked or 0.0) > limit("remote.retry_seconds"):
        return None
    step = limit("remote.retry_milliseconds") / 1000 * math.ldexp(1, tries - 1)
    return min(float(limit("remote.retry_seconds")), (asked or 0.0) + step * (1 - chance / 2))
