from __future__ import annotations

from typing import Any

import pytest

from leanvibe_lsp.core.cancel import CancelToken, Deadline
from leanvibe_lsp.engine.base import Event, GenerationRequest, Prefill
from leanvibe_lsp.engine.host import EngineHost
from leanvibe_lsp.engine.scheduler import Priority, Scheduler
from leanvibe_lsp.engine.select import Selection
from tests.support.engines import WAIT, KnowingEngine, located


@pytest.mark.parametrize("last_good", [0, 1], ids=["at the beginning", "in the middle"])
def test_a_listener_that_fails_ends_its_own_request(last_good: int) -> None:
    """Its error is the asker's; the engine did nothing wrong, stays loaded, and answers the next one."""
    engine = KnowingEngine()
    host = EngineHost(lambda _: Selection("llama.cpp", located(), ()), lambda _: engine, Scheduler(capacity=2))
    heard: list[Event] = []

    def hear(event: Event) -> None:
        if len(heard) == last_good:
            raise ValueError("a test")
        heard.append(event)

    def ask(sink: Any) -> Any:
        request, now = GenerationRequest((1, 2), max_tokens=8), (CancelToken(), Deadline.never())
        return host.generate(request, sink, priority=Priority.QUESTION, cancel=now[0], deadline=now[1]).result(WAIT)

    with pytest.raises(ValueError, match="a test"):
        ask(hear)
    assert host.status.state == "ready"
    assert ask(lambda _: None).text == "yes."
    assert (engine.loads, engine.closed) == (1, 0)
    assert all(isinstance(event, Prefill) for event in heard)
    assert host.close(WAIT)
