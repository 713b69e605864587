"""Is everything right, and what to do where it is not: one report for `leanvibe doctor` and `leanvibe/health`."""

from __future__ import annotations

import asyncio
import platform
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from typing import Any

from leanvibe_lsp import __version__
from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.config.settings import Settings
from leanvibe_lsp.core.cancel import CancelToken, Deadline
from leanvibe_lsp.engine.base import GenerationRequest, Message
from leanvibe_lsp.engine.host import EngineHost, HostStatus, Ready
from leanvibe_lsp.engine.models.cache import models_dir
from leanvibe_lsp.engine.models.selftest import State, Verdict
from leanvibe_lsp.engine.scheduler import Priority
from leanvibe_lsp.engine.select import Machine, Selection, Step, probe_machine, select, survey
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
    model: str | None
    model_path: str | None
    digest: str | None
    state: str
    has_pretrained_weights: bool
    inference_ready: bool
    selftest: Verdict | None
    load_seconds: float | None
    last_inference_ms: float | None
    tokens_per_second: float | None
    memory_mb: float | None
    window: int | None
    queue_depth: int
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


async def examine(settings: Settings, host: EngineHost, *, workers: Executor, load: bool) -> Report:
    """Look at everything; with `load`, load, prove and time the model first.

    A failure becomes a problem, not an exception.
    """
    failure: LeanVibeError | None = None
    if load:
        failure = await _load_and_time(host)
    machine = probe_machine()
    selection, steps, unmet = await asyncio.get_running_loop().run_in_executor(workers, _selection, settings, machine)
    return build_report(
        machine, selection, steps, failure or host.status.failure or unmet, host.status, host.queue_depth
    )


def build_report(
    machine: Machine,
    selection: Selection | None,
    steps: tuple[Step, ...],
    failure: LeanVibeError | None,
    status: HostStatus,
    queue_depth: int,
) -> Report:
    """Pure: the report of these facts."""
    ready = status.ready
    selection = ready.selection if ready is not None else selection
    located = selection.located if selection is not None else None
    problems = _problems(failure, status, machine)
    verdict = ready.verdict if ready is not None else status.verdict
    return Report(
        status=_worst(problems),
        version=__version__,
        python=platform.python_version(),
        platform=f"{machine.system} {machine.processor}",
        device=ready.loaded.device if ready is not None else None,
        backend=selection.backend if selection is not None else None,
        backends={
            "llama.cpp (xllamacpp)": machine.llama,
            "mlx-lm": machine.mlx,
            "mlx CUDA build": machine.mlx_cuda,
        },
        chain=selection.steps if selection is not None else steps,
        model=located.name if located is not None else (selection.backend if selection is not None else None),
        model_path=str(located.path) if located is not None else None,
        digest=located.digest if located is not None else None,
        state=status.state,
        has_pretrained_weights=verdict is not None and verdict.state is not State.UNVERIFIED,
        inference_ready=ready is not None,
        selftest=verdict,
        load_seconds=ready.load_seconds if ready is not None else None,
        last_inference_ms=status.last_inference_ms,
        tokens_per_second=status.tokens_per_second,
        memory_mb=ready.loaded.memory_bytes / 1e6 if ready is not None else None,
        window=ready.loaded.window if ready is not None else None,
        queue_depth=queue_depth,
        problems=problems,
    )


def _problems(failure: LeanVibeError | None, status: HostStatus, machine: Machine) -> tuple[Problem, ...]:
    problems: list[Problem] = []
    if failure is not None:
        severity = "degraded" if isinstance(failure, Busy) else "broken"
        problems.append(Problem(severity, failure.message, failure.next_step))
    elif status.ready is None:
        problems.append(
            Problem("degraded", f"The model is not ready: {status.state}.", "It loads with the first question.")
        )
    problems += _ready_problems(status.ready)
    if machine.nvidia and machine.mlx_cuda is None:
        problems.append(
            Problem(
                "degraded",
                "There is an NVIDIA GPU that is not used by MLX.",
                "Run `pip install 'mlx[cuda13]'`.",
            )
        )
    return tuple(problems)


def _ready_problems(ready: Ready | None) -> list[Problem]:
    if ready is None:
        return []
    if ready.verdict is None:
        return [Problem("degraded", "The mock engine answers: scripted text, no model.", "Leave out `--engine mock`.")]
    if ready.verdict.state is State.DEGRADED:
        return [
            Problem(
                "degraded",
                f"The model gives only some of the known answers ({ready.verdict.summary}).",
                f"Run `leanvibe models verify {ready.model}`.",
            )
        ]
    return []


def _worst(problems: tuple[Problem, ...]) -> str:
    severities = {problem.severity for problem in problems}
    return next((name for name in ("broken", "degraded") if name in severities), "healthy")


async def _load_and_time(host: EngineHost) -> LeanVibeError | None:
    cancel = CancelToken()
    deadline = Deadline.after(limit("answer.seconds"))
    try:
        ready = await asyncio.wrap_future(host.ready(priority=Priority.QUESTION, cancel=cancel, deadline=deadline))
        tokenizer = ready.loaded.tokenizer
        request = GenerationRequest(
            tuple(tokenizer.encode(_TIMED_PROMPT)) if tokenizer is not None else (),
            max_tokens=limit("doctor.tokens"),
            messages=(Message("user", _TIMED_PROMPT),),
        )
        await asyncio.wrap_future(
            host.generate(request, lambda _: None, priority=Priority.QUESTION, cancel=cancel, deadline=deadline)
        )
    except LeanVibeError as error:
        return error
    finally:
        cancel.cancel("the examination is over")
    return None


def _selection(settings: Settings, machine: Machine) -> tuple[Selection | None, tuple[Step, ...], LeanVibeError | None]:
    try:
        selection = select(settings, machine, models_dir())
    except LeanVibeError as error:
        return None, survey(settings, machine, models_dir()), error
    return selection, selection.steps, None
