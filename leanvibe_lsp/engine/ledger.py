"""Who holds how much memory: one book for all models of this program, whoever asked for them."""

from __future__ import annotations

import threading
from collections.abc import Callable

from leanvibe_lsp.engine.memory import Budget, current_budget, refuse_too_large


class Ledger:
    """The book: bytes by owner. May be used from any thread.

    A model's bytes are reserved before it is loaded: two that do not fit together are never loaded at the same time.
    """

    def __init__(self, budget: Callable[[int, int], Budget] = current_budget) -> None:
        self._budget = budget
        self._lock = threading.Lock()
        self._loaded: dict[object, int] = {}
        self._coming: dict[object, int] = {}

    def reserve(self, owner: object, name: str, needed: int) -> None:
        """Take `needed` bytes for the model that `owner` is about to load. Raises ModelError when there is no room."""
        with self._lock:
            self._forget(owner)
            coming = sum(self._coming.values())
            refuse_too_large(name, needed, self._budget(sum(self._loaded.values()) + coming, coming))
            self._coming[owner] = needed

    def hold(self, owner: object, count: int) -> None:
        """The model of `owner` is loaded, and takes `count` bytes."""
        with self._lock:
            self._forget(owner)
            self._loaded[owner] = count

    def release(self, owner: object) -> None:
        """The model of `owner` is gone. Idempotent."""
        with self._lock:
            self._forget(owner)

    def _forget(self, owner: object) -> None:
        self._loaded.pop(owner, None)
        self._coming.pop(owner, None)
