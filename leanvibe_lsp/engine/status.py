"""What is known of a model without asking its engine."""

from __future__ import annotations

from dataclasses import dataclass

from leanvibe_lsp.engine.base import Loaded
from leanvibe_lsp.engine.models.selftest import Verdict
from leanvibe_lsp.engine.select import Selection
from leanvibe_lsp.errors import LeanVibeError


@dataclass(frozen=True, slots=True)
class Ready:
    """A model that may answer. `verdict` is None for the mock, and for a server whose model cannot be proven."""

    selection: Selection
    loaded: Loaded
    verdict: Verdict | None
    load_seconds: float
    selftest_seconds: float
    identity: str | None = None  # of weights, backend and device; None where nobody knows which weights answer

    @property
    def model(self) -> str:
        """The model's name, for a person."""
        return self.selection.model

    @property
    def is_mock(self) -> bool:
        """True when scripted text answers, and no model."""
        return self.selection.is_mock


@dataclass(frozen=True, slots=True)
class HostStatus:
    """The last known state. `since` (of this state) and `proven_at` are moments of the host's clock, in seconds.

    `state`: "idle" (not loaded yet), "loading", "ready", "failed", "unloaded" (freed: nobody asked for a while).
    """

    state: str
    ready: Ready | None = None
    failure: LeanVibeError | None = None
    verdict: Verdict | None = None  # also of a model that failed the self-test
    last_inference_ms: float | None = None
    tokens_per_second: float | None = None
    requests: int = 0
    cache_bytes: int = 0
    since: float = 0.0
    proven_at: float | None = None


@dataclass(frozen=True, slots=True)
class Pulse:
    """Does the engine's thread respond? `milliseconds` until it did; of one that does not, for how long so far."""

    state: str  # "ok", "busy" (it works, and responded not long ago), "loading", "stalled", "closed"
    milliseconds: float

    @property
    def alive(self) -> bool:
        """True when the thread itself answered, or is at work and did a moment ago."""
        return self.state in ("ok", "busy")
