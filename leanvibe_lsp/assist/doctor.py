"""Is everything right, and what to do where it is not: one report for `leanvibe doctor` and `leanvibe/health`."""

from __future__ import annotations

import asyncio
import platform
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, field
from typing import Any

from leanvibe_lsp import __version__
from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.config.settings import Settings
from leanvibe_lsp.core.cancel import CancelToken, Deadline
from leanvibe_lsp.core.clock import Clock
from leanvibe_lsp.engine.base import GenerationRequest, Message
from leanvibe_lsp.engine.chain import EngineChain, may_fall_back
from leanvibe_lsp.engine.host import EngineHost, HostStatus, Pulse, Ready
from leanvibe_lsp.engine.models.cache import models_dir
from leanvibe_lsp.engine.models.selftest import State, Verdict
from leanvibe_lsp.engine.scheduler import Priority
from leanvibe_lsp.engine.select import Machine, Selection, Step, candidates, probe_machine, survey
from leanvibe_lsp.errors import Busy, LeanVibeError

_TIMED_PROMPT = "def add(a, b):\n    return a +"
EXIT_CODES = {"healthy": 0, "degraded": 1, "broken": 2}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is not right, and the next step. `severity`: "degraded" or "broken"."""

    severity: str
    what: str
    next_step: str


@dataclass(frozen=True, slots=True)
class Report:
    """The facts, and what is wrong with them."""

    status: str
    version: str
    python: str
    platform: str
    device: str | None
    backend: str | None
    backends: dict[str, str | None]
    chain: tuple[Step, ...]
    fallbacks: tuple[Step, ...]
    model: str | None
    model_path: str | None
    digest: str | None
    state: str
    responds: Pulse
    has_pretrained_weights: bool
    inference_ready: bool
    selftest: Verdict | None
    proof_age_seconds: float | None
    load_seconds: float | None
    selftest_seconds: float | None
    last_inference_ms: float | None
    tokens_per_second: float | None
    memory_mb: float | None
    cache_mb: float | None
    window: int | None
    queue_depth: int
    runtime: dict[str, str]
    problems: tuple[Problem, ...]

    @property
    def exit_code(self) -> int:
        """0 healthy, 1 degraded, 2 broken."""
        return EXIT_CODES[self.status]

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values; the self-test with its state and its figures."""
        result = asdict(self)
        if self.selftest is not None:
            result["selftest"]["state"] = str(self.selftest.state)
            result["selftest"]["summary"] = self.selftest.summary
        return result


@dataclass(frozen=True, slots=True)
class Seen:
    """What there was to see, at the moment `now` of the host's clock.

    `chain` is why this model and backend, `fallbacks` who answers when it fails, `failed` which engines did and how,
    `failure` what keeps this one from answering, `runtime` the facts of MLX where it is used.
    """

    machine: Machine
    selection: Selection | None
    chain: tuple[Step, ...]
    fallbacks: tuple[Step, ...]
    status: HostStatus
    pulse: Pulse
    failure: LeanVibeError | None = None
    failed: tuple[tuple[str, LeanVibeError], ...] = ()
    queue_depth: int = 0
    runtime: dict[str, str] = field(default_factory=dict)
    now: float = 0.0

    @property
    def answers(self) -> bool:
        """True while a model is loaded and not every engine failed; a server that failed is still held."""
        all_failed = bool(self.fallbacks) and not any(step.chosen for step in self.fallbacks)
        return self.status.ready is not None and not all_failed


async def examine(settings: Settings, chain: EngineChain, *, workers: Executor, load: bool) -> Report:
    """Look at everything; with `load`, load, prove and time the model first.

    A failure becomes a problem, not an exception.
    """
    host, failure = await _load_and_time(chain) if load else (chain.first()[0], None)
    seen = await asyncio.get_running_loop().run_in_executor(workers, _look, settings, chain, host, failure)
    return build_report(seen)


def _look(settings: Settings, chain: EngineChain, host: EngineHost, failure: LeanVibeError | None) -> Seen:
    """Takes as long as the engine's thread has to respond; for a worker's thread."""
    machine = probe_machine()
    pulse = host.pulse(limit("health.milliseconds") / 1000)
    status = host.status
    unmet: LeanVibeError | None = None
    found: tuple[Selection, ...] = ()
    try:
        found = candidates(settings, machine, models_dir())
        steps = found[0].steps
    except LeanVibeError as error:
        steps, unmet = survey(settings, machine, models_dir()), error
    selection = status.ready.selection if status.ready is not None else next(iter(found), None)
    return Seen(
        machine=machine,
        selection=selection,
        chain=selection.steps if selection is not None else steps,
        fallbacks=chain.steps(found),
        status=status,
        pulse=pulse,
        failure=failure or status.failure or (unmet if status.ready is None else None),
        failed=chain.failed(),
        queue_depth=host.queue_depth,
        runtime=_runtime(selection),
        now=Clock().now(),
    )


def _runtime(selection: Selection | None) -> dict[str, str]:
    """What MLX runs on, where it is chosen; it is not imported for anybody else."""
    if selection is None or selection.backend != "mlx":
        return {}
    from leanvibe_lsp.engine.local.runtime import runtime_facts

    return runtime_facts()


def build_report(seen: Seen) -> Report:
    """Pure: the report of these facts."""
    machine, status, ready = seen.machine, seen.status, seen.status.ready
    located = seen.selection.located if seen.selection is not None else None
    problems = _problems(seen)
    verdict = ready.verdict if ready is not None else status.verdict
    return Report(
        status=_worst(problems),
        version=__version__,
        python=platform.python_version(),
        platform=f"{machine.system} {machine.processor}",
        device=ready.loaded.device if ready is not None else None,
        backend=seen.selection.backend if seen.selection is not None else None,
        backends={
            "llama.cpp (xllamacpp)": machine.llama,
            "mlx-lm": machine.mlx,
            "mlx CUDA build": machine.mlx_cuda,
        },
        chain=seen.chain,
        fallbacks=seen.fallbacks,
        model=seen.selection.model if seen.selection is not None else None,
        model_path=str(located.path) if located is not None else None,
        digest=located.digest if located is not None else None,
        state=status.state,
        responds=seen.pulse,
        has_pretrained_weights=verdict is not None and verdict.state is not State.UNVERIFIED,
        inference_ready=seen.answers and seen.pulse.alive,
        selftest=verdict,
        proof_age_seconds=seen.now - status.proven_at if status.proven_at is not None else None,
        load_seconds=ready.load_seconds if ready is not None else None,
        selftest_seconds=ready.selftest_seconds if ready is not None else None,
        last_inference_ms=status.last_inference_ms,
        tokens_per_second=status.tokens_per_second,
        memory_mb=ready.loaded.memory_bytes / 1e6 if ready is not None else None,
        cache_mb=status.cache_bytes / 1e6 if ready is not None else None,
        window=ready.loaded.window if ready is not None else None,
        queue_depth=seen.queue_depth,
        runtime=seen.runtime,
        problems=problems,
    )


def _problems(seen: Seen) -> tuple[Problem, ...]:
    status, failures = seen.status, _failures(seen)
    problems = [*_thread_problems(seen.pulse), *failures]
    if status.ready is None and seen.pulse.alive and not failures:
        problems.append(
            Problem("degraded", f"The model is not ready: {status.state}.", "It loads with the first question.")
        )
    problems += _ready_problems(status.ready)
    if seen.machine.nvidia and seen.machine.mlx_cuda is None:
        problems.append(
            Problem(
                "degraded",
                "There is an NVIDIA GPU that is not used by MLX.",
                "Run `pip install 'mlx[cuda13]'`.",
            )
        )
    if "advice" in seen.runtime:
        problems.append(
            Problem("degraded", f"MLX multiplies matrices with {seen.runtime['blas']}.", seen.runtime["advice"])
        )
    return tuple(problems)


def _failures(seen: Seen) -> list[Problem]:
    """Every failure once, with the engine's name unless there is only this one."""
    named = seen.answers or len(seen.failed) > 1
    found = [(f"{name} does not answer: " if named else "", error) for name, error in seen.failed]
    if seen.failure is not None and all(error is not seen.failure for _, error in found):
        found.insert(0, ("", seen.failure))
    return [
        Problem(
            "degraded" if seen.answers or isinstance(error, Busy) else "broken", who + error.message, error.next_step
        )
        for who, error in found
    ]


def _thread_problems(pulse: Pulse) -> list[Problem]:
    seconds = pulse.milliseconds / 1000
    if pulse.state == "stalled":
        what = f"The engine's thread did not respond for {seconds:,.1f} s."
        return [Problem("broken", what, "Restart the server; if it happens again, choose another `--engine`.")]
    if pulse.state == "loading":
        return [Problem("degraded", f"The model has been loading for {seconds:,.0f} s.", "Ask again in a moment.")]
    if pulse.state == "closed":
        return [Problem("broken", "The engine was shut down.", "Start the server again.")]
    return []


def _ready_problems(ready: Ready | None) -> list[Problem]:
    if ready is None:
        return []
    if ready.is_mock:
        return [Problem("degraded", "The mock engine answers: scripted text, no model.", "Leave out `--engine mock`.")]
    if ready.verdict is None:
        what = "The server gives no probabilities, so its model could not be proven by known answers."
        return [Problem("degraded", what, "Judge its answers with care.")]
    if ready.verdict.state is State.DEGRADED:
        return [
            Problem(
                "degraded",
                f"The model is weak or damaged ({ready.verdict.summary}).",
                f"Run `leanvibe models verify {ready.model}`.",
            )
        ]
    return []


def _worst(problems: tuple[Problem, ...]) -> str:
    severities = {problem.severity for problem in problems}
    return next((name for name in ("broken", "degraded") if name in severities), "healthy")


async def _load_and_time(chain: EngineChain) -> tuple[EngineHost, LeanVibeError | None]:
    """The first host of the chain that answers; else the last one, and why it did not."""
    host, _skipped = chain.first()
    while True:
        failure = await _time(host)
        following = chain.after(host, failure) if failure is not None and may_fall_back(failure) else None
        if following is None:
            return host, failure
        host = following


async def _time(host: EngineHost) -> LeanVibeError | None:
    cancel = CancelToken()
    deadline = Deadline.after(limit("answer.seconds"))
    try:
        await asyncio.wrap_future(host.ready(priority=Priority.QUESTION, cancel=cancel, deadline=deadline))
        proof = host.prove(older_than=limit("health.proof_seconds"), cancel=cancel, deadline=deadline)
        loaded = (await asyncio.wrap_future(proof)).loaded
        request = GenerationRequest(
            tuple(loaded.tokenizer.encode(_TIMED_PROMPT)) if loaded.tokenizer is not None else (),
            max_tokens=limit("doctor.tokens"),
            messages=(Message("user", _TIMED_PROMPT),),
        )
        await asyncio.wrap_future(
            host.generate(
                request, lambda _: None, priority=Priority.QUESTION, cancel=cancel, deadline=deadline, loaded=loaded
            )
        )
    except LeanVibeError as error:
        return error
    finally:
        cancel.cancel("the examination is over")
    return None
