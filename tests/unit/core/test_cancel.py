from __future__ import annotations

import threading

import pytest

from leanvibe_lsp.core import cancel as module
from leanvibe_lsp.core.cancel import CancelToken, Deadline
from leanvibe_lsp.errors import Cancelled, DeadlineExceeded


def test_the_first_reason_stays() -> None:
    """A token is set once; the second call changes nothing."""
    token = CancelToken()
    token.check()
    assert not token.cancelled
    token.cancel("first")
    token.cancel("second")
    assert token.cancelled
    assert token.reason == "first"
    with pytest.raises(Cancelled, match="Stopped: first"):
        token.check()


def test_a_callback_is_called_once() -> None:
    """However often the token is pulled, each callback runs once."""
    token, calls = CancelToken(), []
    token.on_cancel(lambda: calls.append("a"))
    token.on_cancel(lambda: calls.append("b"))
    assert calls == []
    token.cancel()
    token.cancel()
    assert calls == ["a", "b"]


def test_a_callback_that_comes_late_is_called_at_once() -> None:
    """Registering with a token that was pulled already calls back before `on_cancel` returns."""
    token, calls = CancelToken(), []
    token.cancel()
    token.on_cancel(lambda: calls.append("late"))
    assert calls == ["late"]


def test_a_callback_may_use_the_token() -> None:
    """No lock is held while callbacks run."""
    token, seen = CancelToken(), []

    def callback() -> None:
        token.cancel("again")
        token.on_cancel(lambda: seen.append(token.reason))

    token.on_cancel(callback)
    token.cancel("once")
    assert seen == ["once"]


def test_callbacks_run_once_under_a_race() -> None:
    """Threads that register and threads that cancel at the same moment: every callback runs exactly once."""
    for _ in range(50):
        token, calls, barrier = CancelToken(), [], threading.Barrier(6)

        def register(token=token, calls=calls, barrier=barrier) -> None:  # type: ignore[no-untyped-def]
            barrier.wait()
            token.on_cancel(lambda: calls.append(1))

        def pull(token=token, barrier=barrier) -> None:  # type: ignore[no-untyped-def]
            barrier.wait()
            token.cancel()

        threads = [threading.Thread(target=register) for _ in range(4)] + [
            threading.Thread(target=pull) for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert calls == [1] * 4


def test_a_deadline_passes_at_its_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A deadline counts on the monotonic clock, and has passed at its moment."""
    now = 100.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    deadline = Deadline.after(5)
    now = 104.9
    assert not deadline.passed
    deadline.check()
    now = 105.0
    assert deadline.passed
    with pytest.raises(DeadlineExceeded) as caught:
        deadline.check()
    assert caught.value.next_step


def test_never_does_not_pass() -> None:
    """`Deadline.never()` is no deadline."""
    Deadline.never().check()
    assert not Deadline.never().passed
