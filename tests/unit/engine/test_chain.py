from __future__ import annotations

from collections.abc import Iterator

import pytest

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.cancel import CancelToken, Deadline
from leanvibe_lsp.engine.base import Finished, GenerationRequest
from leanvibe_lsp.engine.chain import Choose, EngineChain, may_fall_back
from leanvibe_lsp.engine.host import EngineHost
from leanvibe_lsp.engine.scheduler import Priority, Scheduler
from leanvibe_lsp.engine.select import Selection
from leanvibe_lsp.errors import (
    BackendError,
    Busy,
    Cancelled,
    ContextTooLarge,
    DeadlineExceeded,
    EngineError,
    Incomplete,
    LeanVibeError,
    ModelNotFound,
    ModelUnverified,
    RemoteError,
    UsageError,
    Withheld,
)
from tests.support.clock import ManualClock
from tests.support.engines import WAIT, SteppingEngine, located


class Room:
    """A chain over planted candidates; those in `dead` fail to load, those in `failing` to generate."""

    def __init__(self, *names: str) -> None:
        self.clock = ManualClock()
        self.candidates = [Selection("llama.cpp", located(name=name), ()) for name in names]
        self.dead: set[str] = set()
        self.failing: set[str] = set()
        self.loaded: list[str] = []  # those in memory
        self.chain = EngineChain(self._find, self._make, clock=self.clock)

    def _find(self) -> tuple[Selection, ...]:
        if not self.candidates:
            raise ModelNotFound("none here", next_step="pull one")
        return tuple(self.candidates)

    def _make(self, choose: Choose, name: str) -> EngineHost:
        return EngineHost(choose, self._build, Scheduler(capacity=4), name=name, clock=self.clock)

    def _build(self, selection: Selection) -> SteppingEngine:
        name, loaded = selection.model, self.loaded

        class Planted(SteppingEngine):
            def close(self) -> None:
                loaded.remove(name)

        def fail(among: set[str]) -> None:
            if name in among:
                raise EngineError(f"{name} is dead")

        loaded.append(name)
        return Planted(on_load=lambda _: fail(self.dead), on_step=lambda _name, _step: fail(self.failing))

    def ask(self) -> list[str]:
        """Ask as a question does, down the chain: who was tried; the last one answered, "" when nobody did."""
        host: EngineHost | None = self.chain.first()[0]
        tried: list[str] = []
        while host is not None:
            outcome = self.ask_one(host)
            tried.append(host.name)
            if isinstance(outcome, Finished):
                return tried
            assert may_fall_back(outcome)
            host = self.chain.after(host, outcome)
        return [*tried, ""]

    def ask_one(self, host: EngineHost) -> Finished | LeanVibeError:
        """One question to one host."""
        request = GenerationRequest((97,), max_tokens=8)
        future = host.generate(
            request, lambda _: None, priority=Priority.QUESTION, cancel=CancelToken(), deadline=Deadline.never()
        )
        error = future.exception(WAIT)
        assert error is None or isinstance(error, LeanVibeError)
        return error or future.result()


@pytest.fixture
def room() -> Iterator[Room]:
    """Three candidates."""
    made = Room("a", "b", "c")
    yield made
    assert made.chain.close(WAIT)
    assert made.loaded == []


A, B, C = (f"{model} on llama.cpp" for model in "abc")


def test_the_first_answers_and_nothing_else_is_made(room: Room) -> None:
    """A chain that works is one host."""
    assert room.ask() == [A]
    assert len(room.chain.hosts()) == 1


@pytest.mark.parametrize("how", ["dead", "failing"])
@pytest.mark.parametrize(("killed", "answering"), [("a", B), ("ab", C), ("abc", "")])
def test_each_killed_in_turn(room: Room, how: str, killed: str, answering: str) -> None:
    """One fails and is freed, the next one answers; when all fail, that is the end."""
    getattr(room, how).update(killed)
    tried = room.ask()
    assert tried[-1] == answering
    assert len(tried) == len(killed) + 1
    assert len(room.loaded) <= 1


def test_one_dies_after_the_other(room: Room) -> None:
    """While they work: each that fails hands over to the next one."""
    for model, answering in (("a", B), ("b", C), ("c", "")):
        room.failing.add(model)
        assert room.ask()[-1] == answering
    assert [host.name for host in room.chain.hosts()][1:] == [B, C]


@pytest.mark.parametrize("how", ["dead", "failing"])
@pytest.mark.parametrize("mended", ["a", "b", "c"])
def test_each_mended_again_after_all_were_killed(room: Room, how: str, mended: str) -> None:
    """Whichever is well again answers the very next question, though a moment ago nobody did."""
    getattr(room, how).update("abc")
    assert room.ask()[-1] == ""
    assert room.ask()[-1] == ""
    getattr(room, how).remove(mended)
    names = ["a", "b", "c"]
    assert room.ask() == [f"{name} on llama.cpp" for name in names[: names.index(mended) + 1]]
    assert room.ask() == [f"{mended} on llama.cpp"]
    getattr(room, how).clear()
    room.clock.advance(limit("engine.cooldown_seconds"))
    assert room.ask() == [A]


def test_one_that_answers_has_not_failed(room: Room) -> None:
    """After all failed and the first was mended, no step says that it failed; also when it was freed meanwhile."""
    room.dead.update("abc")
    room.ask()
    room.dead.remove("a")
    assert room.ask() == [A]
    for _ in range(2):
        steps = room.chain.steps(())
        assert [(step.chosen, step.reason) for step in steps[:1]] == [(True, "it answers")]
        assert [(step.chosen, "b is dead" in step.reason) for step in steps[1:2]] == [(False, True)]
        room.chain.first()[0].unload(CancelToken()).result(WAIT)
    assert [name for name, _ in room.chain.failed()] == [B, C]


def test_when_all_failed_nobody_is_said_to_answer(room: Room) -> None:
    """And each is tried again with the next question."""
    room.dead.update("abc")
    room.ask()
    steps = room.chain.steps(())
    assert [step.chosen for step in steps] == [False, False, False]
    assert [step.reason for step in steps] == [
        f"it failed, and is tried again with the next question: {name} is dead" for name in "abc"
    ]


def test_a_dead_engine_is_left_alone_for_a_while(room: Room) -> None:
    """Requests go straight to the next one; after the cool-down the first is tried again, and may be well."""
    room.dead.add("a")
    assert room.ask()[1:] == [B]
    assert room.ask() == [B]
    room.clock.advance(limit("engine.cooldown_seconds") - 1)
    assert room.ask() == [B]
    room.clock.advance(1)
    room.dead.clear()
    assert room.ask() == [A]


def test_the_steps_say_who_answers_and_why(room: Room) -> None:
    """Before anything was loaded, and after a failure: with the reason, and when it is tried again."""
    candidates = tuple(room.candidates)
    before = room.chain.steps(candidates)
    assert [(step.candidate, step.chosen) for step in before] == [(A, True), (B, False), (C, False)]
    assert before[1].reason == f"it answers when {A} fails"
    room.dead.add("a")
    room.ask()
    after = room.chain.steps(candidates)
    assert [step.chosen for step in after] == [False, True, False]
    assert "a is dead" in after[0].reason
    assert f"in {limit('engine.cooldown_seconds')} s" in after[0].reason
    assert after[2].reason == f"it answers when {B} fails"


def test_without_a_candidate_the_error_is_the_loads(room: Room) -> None:
    """No model: the first host says so, nothing is behind it, and a model that is pulled is found at once."""
    found, room.candidates = room.candidates, []
    host, _ = room.chain.first()
    error = room.ask_one(host)
    assert isinstance(error, ModelNotFound)
    assert room.chain.after(host, error) is None
    assert room.chain.first() == (host, ())
    room.candidates = found
    assert room.ask() == [A]


def test_a_closed_chain_makes_no_more_hosts(room: Room) -> None:
    """Idempotent; what fails afterwards finds nothing behind it."""
    host, _ = room.chain.first()
    room.ask()
    assert room.chain.close(WAIT)
    assert room.chain.close(WAIT)
    assert room.chain.after(host, EngineError("it failed")) is None


@pytest.mark.parametrize("error", [ModelUnverified, ModelNotFound, BackendError, EngineError, RemoteError])
def test_failures_of_an_engine(error: type[LeanVibeError]) -> None:
    """Another one may answer."""
    assert may_fall_back(error("x"))


@pytest.mark.parametrize(
    "error", [Cancelled, DeadlineExceeded, Busy, ContextTooLarge, UsageError, Incomplete, Withheld]
)
def test_failures_of_a_request(error: type[LeanVibeError]) -> None:
    """They would be the same anywhere."""
    assert not may_fall_back(error("x"))


def test_who_is_skipped_is_said(room: Room) -> None:
    """While it is left alone, with the reason of its failure; nobody afterwards."""
    room.failing.add("a")
    room.ask()
    host, skipped = room.chain.first()
    assert host.name == B
    assert [(one.host.name, str(one.error)) for one in skipped] == [(A, "a is dead")]
    room.clock.advance(limit("engine.cooldown_seconds"))
    assert room.chain.first()[1] == ()


def test_one_that_is_left_alone_is_not_next_either(room: Room) -> None:
    """The second one failed a moment ago: when the first one fails, the third one is asked."""
    room.dead.add("a")
    room.ask()
    room.clock.advance(limit("engine.cooldown_seconds") - 1)
    room.failing.add("b")
    assert room.ask() == [B, C]
    room.clock.advance(1)
    assert room.ask() == [A, C]


def test_the_same_model_is_never_held_twice(room: Room) -> None:
    """The first model is removed: the head takes the second one over from its own host."""
    room.dead.add("a")
    room.ask()
    assert room.loaded == ["b"]
    del room.candidates[0]
    room.clock.advance(limit("engine.cooldown_seconds"))
    assert room.ask() == [B]
    assert room.loaded == ["b"]
    assert room.chain.hosts() == (room.chain.first()[0],)


def test_those_behind_give_up_their_models(room: Room) -> None:
    """Each on its own thread, and only those behind."""
    room.failing.update("ab")
    room.ask()
    head, _, c = room.chain.hosts()
    room.failing.clear()
    assert isinstance(room.ask_one(head), Finished)
    assert room.loaded == ["c", "a"]
    room.chain.free_behind(c, CancelToken())
    assert room.loaded == ["c", "a"]
    room.chain.free_behind(head, CancelToken())
    assert room.loaded == ["a"]
    assert c.status.state == "unloaded"
