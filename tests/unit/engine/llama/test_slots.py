from __future__ import annotations

import threading
from concurrent.futures import Future

import pytest

from leanvibe_lsp.core.cancel import CancelToken, Deadline
from leanvibe_lsp.engine.llama.slots import Slots
from leanvibe_lsp.errors import Cancelled, DeadlineExceeded


def take(slots: Slots, prompt: tuple[int, ...], tokens: int = 1, own: int | None = None) -> int:
    return slots.take(prompt, tokens, CancelToken(), Deadline.never(), own)


def test_the_longest_common_beginning_wins() -> None:
    """A prompt goes where most of it is held already; a strange one where nobody was for longest."""
    slots = Slots(3, 100)
    first = take(slots, (1, 2, 3))
    slots.leave(first, (1, 2, 3))
    second = take(slots, (7, 8, 9))
    slots.leave(second, (7, 8, 9))
    assert first != second
    assert take(slots, (1, 2, 5)) == first
    assert take(slots, (7, 8, 5)) == second


def test_what_rests_is_left_alone() -> None:
    """Urgent work with the same beginning takes another slot; the one that rests goes on where it was."""
    slots = Slots(2, 100)
    resting = take(slots, (1, 2, 3))
    slots.leave(resting, (1, 2, 3), resting=True)
    urgent = take(slots, (1, 2, 3))
    assert urgent != resting
    slots.leave(urgent, (1, 2, 3, 4))
    assert take(slots, (1, 2, 3, 4), own=resting) == resting


def test_a_resting_slot_serves_when_there_is_no_other() -> None:
    """Urgent work is never refused for the sake of what a slot keeps."""
    slots = Slots(1, 100)
    only = take(slots, (1,))
    slots.leave(only, (1,), resting=True)
    assert take(slots, (2,)) == only


def test_nothing_is_promised_twice() -> None:
    """Prompts and longest answers of all that run fit the window together; one that wants more than all gets all."""
    slots = Slots(4, 10)
    first = take(slots, (1, 2, 3), 4)
    assert slots.try_take((1,), 3) is None
    second = slots.try_take((1,), 2)
    assert second is not None
    slots.leave(first, (1, 2, 3))
    slots.leave(second, (1,))
    assert slots.held_tokens == 4
    assert slots.try_take((1,), 1_000) is not None


def waiting(slots: Slots, cancel: CancelToken) -> Future[int]:
    """A thread that waits for room; its result or error is the future's."""
    future: Future[int] = Future()

    def wait() -> None:
        try:
            future.set_result(slots.take((2,), 1, cancel, Deadline.never()))
        except Cancelled as error:
            future.set_exception(error)

    threading.Thread(target=wait, daemon=True).start()
    return future


def test_waiting_ends() -> None:
    """Who waits for room gets it when another leaves, and stops on a cancel, a deadline, and at the end."""
    slots = Slots(2, 10)
    first = take(slots, (1,), 9)
    with pytest.raises(DeadlineExceeded):
        slots.take((2,), 1, CancelToken(), Deadline.after(0.01))
    cancel = CancelToken()
    cancelled = waiting(slots, cancel)
    cancel.cancel("enough")
    assert str(cancelled.exception(5)) == "Stopped: enough."
    served = waiting(slots, CancelToken())
    slots.leave(first, ())
    slots.leave(served.result(5), ())
    take(slots, (1,), 9)
    closed = waiting(slots, CancelToken())
    slots.close()
    assert str(closed.exception(5)) == "The engine is closing."
