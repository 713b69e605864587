from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from leanvibe_lsp.assist import doctor as module
from leanvibe_lsp.assist.doctor import Report, Seen, build_report, examine
from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.config.settings import Settings
from leanvibe_lsp.core.cancel import CancelToken, Deadline
from leanvibe_lsp.core.clock import Clock
from leanvibe_lsp.engine.base import Engine, GenerationRequest, Loaded
from leanvibe_lsp.engine.chain import Choose, EngineChain
from leanvibe_lsp.engine.host import EngineHost, HostStatus, Pulse, Ready
from leanvibe_lsp.engine.mock import CharacterTokenizer, MockEngine
from leanvibe_lsp.engine.models.selftest import Probe, State, Verdict
from leanvibe_lsp.engine.scheduler import Priority, Scheduler
from leanvibe_lsp.engine.select import Machine, Selection, Step
from leanvibe_lsp.errors import Busy, EngineError, LeanVibeError, ModelNotFound, ModelUnverified
from tests.support.clock import ManualClock
from tests.support.engines import WAIT, KnowingEngine, SteppingEngine, located

LINUX = Machine("Linux", "x86_64", False, None, None, "2026.1")
NVIDIA = Machine("Linux", "x86_64", True, "0.32", None, "2026.1")
SELECTION = Selection("llama.cpp", located(), (Step("llama.cpp", True, "it is here"),))


def verdict(state: State) -> Verdict:
    return Verdict(state, 0.9, (Probe("p", "a", 0.9),))


def ready(state: State = State.VERIFIED) -> Ready:
    return Ready(SELECTION, Loaded(4_096, 190_000_000, "cpu", CharacterTokenizer(), ""), verdict(state), 0.5, 0.1)


def status(state: State = State.VERIFIED) -> HostStatus:
    value = ready(state)
    return HostStatus("ready", value, None, value.verdict, 12.5, 40.0, 1)


BROKEN = ModelUnverified("It does not give the known answers.", next_step="Pull it again.")
FAILED = HostStatus("failed", None, BROKEN, verdict(State.UNVERIFIED))


def seen(status: HostStatus, failure: LeanVibeError | None = None, **changes: Any) -> Seen:
    """A machine with one model, whose engine's thread answers."""
    value = Seen(LINUX, SELECTION, SELECTION.steps, (), status, Pulse("ok", 0.4), failure)
    return replace(value, **changes)


NONE = ModelNotFound("None.", next_step="Pull.")
SLOW = {"blas": "netlib's reference BLAS", "advice": "Install OpenBLAS."}
FELL = (("a on mlx", EngineError("It is dead.", next_step="Bury it.")),)
CASES = {
    "healthy": (seen(status()), "healthy", 0),
    "weak model": (seen(status(State.DEGRADED)), "degraded", 1),
    "idle": (seen(HostStatus("idle")), "degraded", 1),
    "unused gpu": (seen(status(), machine=NVIDIA), "degraded", 1),
    "busy": (seen(status(), Busy("Full.", next_step="Wait."), queue_depth=3), "degraded", 1),
    "slow blas": (seen(status(), runtime=SLOW), "degraded", 1),
    "fallback": (seen(status(), failed=FELL), "degraded", 1),
    "nobody": (
        seen(status(), BROKEN, failed=(("b", BROKEN),), fallbacks=(Step("b", False, "it failed"),)),
        "broken",
        2,
    ),
    "loading": (seen(HostStatus("loading"), pulse=Pulse("loading", 2_000.0)), "degraded", 1),
    "stalled": (seen(status(), pulse=Pulse("stalled", 250.0)), "broken", 2),
    "stalled load": (seen(HostStatus("loading"), pulse=Pulse("stalled", 700_000.0)), "broken", 2),
    "closed": (seen(status(), pulse=Pulse("closed", 0.0)), "broken", 2),
    "unverified": (seen(FAILED, BROKEN), "broken", 2),
    "no model": (seen(HostStatus("idle"), NONE, selection=None, chain=()), "broken", 2),
}


@pytest.mark.parametrize(("facts", "word", "code"), CASES.values(), ids=CASES)
def test_status_and_exit_code(facts: Seen, word: str, code: int) -> None:
    """Healthy 0, degraded 1, broken 2; each problem says what to do; the report is plain JSON."""
    report = build_report(facts)
    assert (report.status, report.exit_code) == (word, code)
    assert bool(report.problems) == (code > 0)
    for problem in report.problems:
        assert problem.what
        assert problem.next_step
    body = json.loads(json.dumps(report.as_json(), allow_nan=False))
    assert body["status"] == word
    assert len(body["problems"]) == len(report.problems)


def test_the_facts_of_a_healthy_one() -> None:
    """What `leanvibe/health` promises is there, with the self-test's figures."""
    known = replace(status(), cache_bytes=3_000_000, proven_at=40.0)
    body = build_report(seen(known, queue_depth=2, now=100.0)).as_json()
    assert body["has_pretrained_weights"] is True
    assert body["inference_ready"] is True
    assert body["last_inference_ms"] == 12.5
    assert body["memory_mb"] == 190.0
    assert body["cache_mb"] == 3.0
    assert body["proof_age_seconds"] == 60.0
    assert body["responds"] == {"state": "ok", "milliseconds": 0.4}
    assert body["window"] == 4_096
    assert body["queue_depth"] == 2
    assert body["selftest"]["state"] == "verified"
    assert body["selftest"]["probes"][0]["probability"] == 0.9
    assert body["selftest"]["summary"].startswith("verified: 1 of 1")
    assert body["chain"][0]["reason"] == "it is here"


def test_an_unverified_model_is_not_called_pretrained() -> None:
    """Weights that failed the known answers are not proven, and the figures that show it are in the report."""
    report = build_report(seen(FAILED, BROKEN))
    assert not report.has_pretrained_weights
    assert not report.inference_ready
    assert report.selftest is not None
    assert report.problems[0].severity == "broken"
    assert (report.problems[0].what, report.problems[0].next_step) == (BROKEN.message, BROKEN.next_step)


def _chain(
    build: Callable[[Selection], Engine], *plans: Callable[[CancelToken], Selection], clock: Clock | None = None
) -> EngineChain:
    def make(choose: Choose, name: str) -> EngineHost:
        return EngineHost(choose, build, Scheduler(capacity=2, clock=clock), name=name, clock=clock)

    return EngineChain(lambda: tuple(plan(CancelToken()) for plan in plans), make)


async def _examine(
    engine: Engine, plan: Callable[[CancelToken], Selection], settings: Settings, *, load: bool
) -> Report:
    chain = _chain(lambda _: engine, plan)
    try:
        with ThreadPoolExecutor(1) as workers:
            return await examine(settings, chain, workers=workers, load=load)
    finally:
        assert chain.close(WAIT)


async def test_a_stuck_engine_never_says_ok() -> None:
    """A model that was ready and now hangs: broken, not ready for inference, whatever its status says."""
    clock, hanging, go_on = ManualClock(), threading.Event(), threading.Event()

    def hang(_name: str, _step: int) -> None:
        hanging.set()
        assert go_on.wait(WAIT)

    chain = _chain(lambda _: SteppingEngine(on_step=hang), lambda _: SELECTION, clock=clock)
    request = GenerationRequest((97,), max_tokens=8)
    future = chain.first()[0].generate(
        request, lambda _: None, priority=Priority.QUESTION, cancel=CancelToken(), deadline=Deadline.never()
    )
    assert hanging.wait(WAIT)
    clock.advance(limit("health.silent_seconds"))
    with ThreadPoolExecutor(1) as workers:
        report = await examine(Settings(engine="mock"), chain, workers=workers, load=False)
    assert (report.state, report.responds.state) == ("ready", "stalled")
    assert (report.status, report.inference_ready) == ("broken", False)
    assert "did not respond" in report.problems[0].what
    go_on.set()
    future.result(WAIT)
    assert chain.close(WAIT)


async def test_doctor_goes_down_the_chain() -> None:
    """The first model does not load: the next one is proven and timed, and the report says why."""

    def load(_: CancelToken) -> None:
        raise EngineError("it is dead")

    def build(selection: Selection) -> Engine:
        return KnowingEngine(on_load=load) if selection.backend == "mlx" else KnowingEngine()

    chain = _chain(build, lambda _: Selection("mlx", located(), ()), lambda _: SELECTION)
    with ThreadPoolExecutor(1) as workers:
        report = await examine(Settings(engine="mock"), chain, workers=workers, load=True)
    assert (report.status, report.backend, report.inference_ready) == ("degraded", "llama.cpp", True)
    assert [step.chosen for step in report.fallbacks] == [False, True]
    assert "it is dead" in report.problems[0].what
    assert chain.close(WAIT)


async def test_when_all_are_dead_each_is_named_with_its_own_next_step() -> None:
    """The report has every engine's failure once, and nobody is said to answer; also the next look without a load."""

    def build(selection: Selection) -> Engine:
        def load(_: CancelToken) -> None:
            raise EngineError(f"{selection.backend} is dead.", next_step=f"Bury {selection.backend}.")

        return KnowingEngine(on_load=load)

    chain = _chain(build, lambda _: Selection("mlx", located(), ()), lambda _: SELECTION)
    with ThreadPoolExecutor(1) as workers:
        for load in (True, False):
            report = await examine(Settings(engine="mock"), chain, workers=workers, load=load)
            assert (report.status, [step.chosen for step in report.fallbacks]) == ("broken", [False, False])
            assert [(one.severity, one.what, one.next_step) for one in report.problems] == [
                ("broken", "planted on mlx does not answer: mlx is dead.", "Bury mlx."),
                ("broken", "planted on llama.cpp does not answer: llama.cpp is dead.", "Bury llama.cpp."),
            ]
    assert chain.close(WAIT)


async def test_load_proves_and_times() -> None:
    """With `load` the model is loaded, proven and timed; the report knows."""
    report = await _examine(KnowingEngine(), lambda _: SELECTION, Settings(), load=True)
    assert report.inference_ready
    assert report.has_pretrained_weights
    assert report.last_inference_ms is not None
    assert report.tokens_per_second == pytest.approx(50.0)
    assert report.model == "planted"


async def test_without_load_nothing_is_loaded() -> None:
    """`leanvibe/health` shows things as they are now."""
    engine = KnowingEngine()
    report = await _examine(engine, lambda _: SELECTION, Settings(engine="mock"), load=False)
    assert engine.loads == 0
    assert report.state == "idle"
    assert report.status == "degraded"


async def test_the_mock_is_degraded() -> None:
    """A mock that answers is never healthy, and nothing is called pretrained."""
    report = await _examine(MockEngine(), lambda _: Selection("mock", None, ()), Settings(engine="mock"), load=True)
    assert report.status == "degraded"
    assert report.model == "mock"
    assert not report.has_pretrained_weights
    assert "mock" in report.problems[0].what


@pytest.mark.parametrize(
    "failure", [ModelNotFound("none here", next_step="pull"), KeyError("a fault of ours"), OSError("disk")]
)
async def test_failures_become_problems(failure: Exception) -> None:
    """Whatever fails while it is examined is a problem in the report, never an exception."""

    def plan(_cancel: CancelToken) -> Selection:
        raise failure

    report = await _examine(KnowingEngine(), plan, Settings(engine="mock"), load=True)
    assert report.status == "broken"
    assert str(failure.args[0]) in report.problems[0].what


async def test_a_choice_that_cannot_be_made_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything was loaded, too."""

    def candidates(settings: Settings, machine: Machine, cache: Path) -> tuple[Selection, ...]:
        error: LeanVibeError = ModelNotFound("nothing", next_step="pull")
        raise error

    monkeypatch.setattr(module, "candidates", candidates)
    report = await _examine(KnowingEngine(), lambda _: SELECTION, Settings(), load=False)
    assert (report.status, report.backend, report.model) == ("broken", None, None)


async def test_a_broken_choice_shows_what_there_was() -> None:
    """When nothing could be chosen, every candidate is listed with how it stands, and none as chosen."""

    def plan(_cancel: CancelToken) -> Selection:
        raise ModelNotFound("There is none.", next_step="Pull one.")

    report = await _examine(KnowingEngine(), plan, Settings(model="no-such-model"), load=False)
    assert report.chain[0].candidate == "model no-such-model"
    assert [step.candidate for step in report.chain[1:]] == [
        "mlx on Metal",
        "mlx on CUDA",
        "llama.cpp",
        "mlx on the CPU",
    ]
    assert not [step for step in report.chain if step.chosen]
