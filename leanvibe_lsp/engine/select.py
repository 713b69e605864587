"""Which model, on which backend, and why: every candidate leaves a `Step` with its reason.

The choice itself is pure; `probe_machine` looks at the machine without importing any of the backends.
`candidates` are all that could answer, best first; `select` is the best. An override that cannot be met is an error,
never a fallback.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from leanvibe_lsp.config.settings import ENGINES, Settings
from leanvibe_lsp.engine.local.gguf_layout import READABLE
from leanvibe_lsp.engine.models.formats import Format
from leanvibe_lsp.engine.models.gguf import read_gguf
from leanvibe_lsp.engine.models.registry import Located, resolve
from leanvibe_lsp.engine.models.shapes_gguf import FAMILIES
from leanvibe_lsp.errors import BackendError, LeanVibeError, ModelError, ModelNotFound, UsageError

REMOTE = "remote"
ASKED = "asked for by name"


@dataclass(frozen=True, slots=True)
class Machine:
    """What the choice depends on: the hardware, and which backends are installed."""

    system: str  # "Darwin", "Linux", "Windows"
    processor: str  # "arm64", "x86_64", ...
    nvidia: bool
    mlx: str | None  # version, or None
    mlx_cuda: str | None
    llama: str | None

    @property
    def apple_silicon(self) -> bool:
        """True where MLX runs on Metal."""
        return self.system == "Darwin" and self.processor == "arm64"


@dataclass(frozen=True, slots=True)
class Step:
    """One candidate that was looked at: a model or a backend, whether it was taken, and why."""

    candidate: str
    chosen: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Selection:
    """The choice. `located` is None for a model that is not on this machine: a server's, or the mock's."""

    backend: str
    located: Located | None
    steps: tuple[Step, ...]
    server: str = ""  # what a person calls the server and its model

    @property
    def is_mock(self) -> bool:
        """True when scripted text answers, and no model."""
        return self.backend == "mock"

    @property
    def is_remote(self) -> bool:
        """True when a server answers."""
        return self.backend == REMOTE

    @property
    def model(self) -> str:
        """The model's name, for a person."""
        return self.located.name if self.located is not None else (self.server or self.backend)

    @property
    def name(self) -> str:
        """Model and backend, for a person: "smollm2 on llama.cpp"."""
        return self.backend if self.model == self.backend else f"{self.model} on {self.backend}"


def probe_machine() -> Machine:
    """Look at this machine. Imports no backend."""
    return Machine(
        system=platform.system(),
        processor=platform.machine(),
        nvidia=shutil.which("nvidia-smi") is not None or Path("/proc/driver/nvidia/version").exists(),
        mlx=_version("mlx-lm") if importlib.util.find_spec("mlx") else None,
        mlx_cuda=_version("mlx-cuda") or _version("mlx-cuda-12") or _version("mlx-cuda-13"),
        llama=_version("xllamacpp"),
    )


def select(settings: Settings, machine: Machine, cache: Path) -> Selection:
    """The best of `candidates`, which see."""
    return candidates(settings, machine, cache)[0]


def candidates(settings: Settings, machine: Machine, cache: Path) -> tuple[Selection, ...]:
    """All that could answer, best first, by `settings`, else by hardware; at least one. Never uses the network.

    What a person named, engine or model, is never left: nothing else is among them. A server, where one is switched
    on, comes last. Raises ModelError, BackendError, UsageError.
    """
    if settings.engine is not None and settings.engine not in (*ENGINES, REMOTE):
        raise UsageError(f"There is no engine {settings.engine!r}.", next_step=f"Engines: {', '.join(ENGINES)}.")
    if settings.engine == "mock":
        if settings.model is not None:
            raise UsageError(
                f"The mock engine runs no model, and {settings.model} was asked for.",
                next_step="Leave out one of the two.",
            )
        return (Selection("mock", None, (Step("mock", True, ASKED),)),)
    if settings.engine == REMOTE:
        return (_named_remote(settings),)
    remote = _remote(settings) if settings.engine is None and settings.model is None else None
    try:
        here = _on_this_machine(settings, machine, cache)
    except (ModelError, BackendError) as error:
        if remote is None:
            raise
        nothing = Step("a model on this machine", False, str(error))
        return (replace(remote, steps=(nothing, *remote.steps)),)
    return here if remote is None else (*here, remote)


def choose_model(name: str | None, machine: Machine, cache: Path) -> tuple[Located, tuple[Step, ...]]:
    """The model asked for, whether anything here can run it or not; else the first default that something can run."""
    if name is not None:
        located = resolve(name, cache=cache)
        return located, (Step(f"model {located.name}", True, ASKED),)
    for selection in _on_this_machine(Settings(), machine, cache):
        if selection.located is not None:
            return selection.located, selection.steps
    raise AssertionError("unreachable: there is a selection, or an error")


def _on_this_machine(settings: Settings, machine: Machine, cache: Path) -> tuple[Selection, ...]:
    """The model asked for, else the defaults for this hardware that are here, on each backend that can run them."""
    if settings.model is not None:
        located = resolve(settings.model, cache=cache)
        return _on_backends(located, machine, settings.engine, (Step(f"model {located.name}", True, ASKED),))
    found: list[Selection] = []
    passed: list[Step] = []
    faults: list[LeanVibeError] = []
    for name in default_models(machine):
        try:
            located = resolve(name, cache=cache)
            taken = Step(f"model {name}", True, "a default that is here" if found else "the first default that is here")
            found += _on_backends(located, machine, settings.engine, (*passed, taken))
        except (ModelError, BackendError) as error:
            if not isinstance(error, ModelNotFound):
                faults.append(error)
            passed.append(Step(f"model {name}", False, str(error)))
    if found:
        return tuple(found)
    if faults and isinstance(faults[0], BackendError):
        raise faults[0]
    message = " ".join(("There is no usable model on this machine yet.", *map(str, faults)))
    raise ModelNotFound(message, next_step=f"Run `leanvibe models pull {default_models(machine)[0]}`.")


def _on_backends(
    located: Located, machine: Machine, engine: str | None, steps: tuple[Step, ...]
) -> tuple[Selection, ...]:
    """One selection for each backend that can run the model, best first. Raises BackendError when there is none."""
    backends = choose_backends(located.format, machine, engine, mlx_obstacle=mlx_obstacle(located, machine))
    return tuple(Selection(backend, located, (*steps, *why)) for backend, why in backends)


def _named_remote(settings: Settings) -> Selection:
    remote = _remote(settings)
    if remote is None:
        raise UsageError("The engine remote was asked for, and no server is switched on.", next_step="Name its URL.")
    if settings.model is not None:
        raise UsageError(
            f"The server's model is named with the server, and {settings.model} was asked for.",
            next_step="Leave out one of the two.",
        )
    return remote


def _remote(settings: Settings) -> Selection | None:
    if settings.remote is None:
        return None
    model, url = settings.remote.model, settings.remote.url
    server = f"{model} at {url}" if model is not None else url
    return Selection(REMOTE, None, (Step(f"server {url}", True, "switched on by its settings"),), server)


def survey(settings: Settings, machine: Machine, cache: Path) -> tuple[Step, ...]:
    """What there is to choose from, when nothing could be chosen: every model and backend, and how it stands."""
    steps: list[Step] = []
    for name in (settings.model,) if settings.model is not None else default_models(machine):
        try:
            steps.append(Step(f"model {name}", False, f"it is here, {resolve(name, cache=cache).path}"))
        except LeanVibeError as error:
            steps.append(Step(f"model {name}", False, str(error)))
    backends = (_metal(machine), _cuda(machine), _llama(Format.GGUF, machine), _mlx_cpu(machine))
    return (*steps, *(replace(step, chosen=False) for step in backends))


def default_models(machine: Machine) -> tuple[str, ...]:
    """Names in the registry, best first. Nothing is downloaded to get the first."""
    return ("phi3", "phi3-gguf", "smollm2") if machine.apple_silicon else ("phi3-gguf", "smollm2")


def choose_backend(
    kind: Format, machine: Machine, override: str | None, *, mlx_obstacle: str = ""
) -> tuple[str, tuple[Step, ...]]:
    """Pure: the best of `choose_backends`, which see."""
    return choose_backends(kind, machine, override, mlx_obstacle=mlx_obstacle)[0]


def choose_backends(
    kind: Format, machine: Machine, override: str | None, *, mlx_obstacle: str = ""
) -> tuple[tuple[str, tuple[Step, ...]], ...]:
    """Pure: the backends for a format on a machine, best first, each with a step for every candidate up to it.

    `mlx_obstacle` says why MLX cannot read this very file; "" when it can. Raises BackendError when there is none.
    """
    metal, cuda, cpu = (
        replace(step, chosen=False, reason=mlx_obstacle) if step.chosen and mlx_obstacle else step
        for step in (_metal(machine), _cuda(machine), _mlx_cpu(machine))
    )
    steps = (metal, cuda, _llama(kind, machine), cpu)
    if override is not None:
        return (_overridden(override, steps),)
    found: dict[str, tuple[Step, ...]] = {}
    for index, step in enumerate(steps):
        if step.chosen and _backend(step) not in found:
            before = (replace(one, chosen=False) for one in steps[:index])
            found[_backend(step)] = (*before, step)
    if found:
        return tuple(found.items())
    reasons = " ".join(f"{step.candidate}: {step.reason}." for step in steps)
    raise BackendError(
        f"No backend here can run a {kind} model. {reasons}",
        next_step="Run `pip install xllamacpp` for GGUF, or `pip install 'leanvibe-lsp[mlx]'` for safetensors.",
    )


def mlx_obstacle(located: Located, machine: Machine) -> str:
    """Why MLX cannot read a GGUF file; "" when it can, or is not here."""
    if located.format is not Format.GGUF or machine.mlx is None:
        return ""
    file = read_gguf(located.path)
    if file.text("general.architecture") not in FAMILIES:
        return f"MLX is not taught to read GGUF files of the kind {file.text('general.architecture')!r}"
    unread = sorted({tensor.dtype for tensor in file.tensors.values()} - READABLE)
    return f"MLX does not read tensors of the type {', '.join(unread)}" if unread else ""


def _overridden(override: str, candidates: tuple[Step, ...]) -> tuple[str, tuple[Step, ...]]:
    mine = [step for step in candidates if _backend(step) == override]
    if not mine:
        raise BackendError(
            f"The engine {override} runs no model.", next_step="Engines that do: llama.cpp, mlx; or leave out --engine."
        )
    for step in mine:
        if step.chosen:
            return override, (Step(step.candidate, True, f"{ASKED}; {step.reason}"),)
    raise BackendError(
        f"The engine {override} was asked for and cannot run here: {mine[-1].reason}.",
        next_step="Leave out --engine to let LeanVibe choose, or see `leanvibe doctor`.",
    )


def _backend(step: Step) -> str:
    return "llama.cpp" if step.candidate == "llama.cpp" else "mlx"


def _metal(machine: Machine) -> Step:
    if not machine.apple_silicon:
        return Step("mlx on Metal", False, f"this is {machine.system} on {machine.processor}, not Apple silicon")
    if machine.mlx is None:
        return Step("mlx on Metal", False, "mlx-lm is not installed")
    return Step("mlx on Metal", True, f"Apple silicon, mlx-lm {machine.mlx}")


def _cuda(machine: Machine) -> Step:
    if not machine.nvidia:
        return Step("mlx on CUDA", False, "no NVIDIA driver found")
    if machine.mlx is None or machine.mlx_cuda is None:
        return Step(
            "mlx on CUDA",
            False,
            "there is an NVIDIA GPU, but MLX's CUDA build (mlx[cuda13]) is not installed",
        )
    return Step("mlx on CUDA", True, f"NVIDIA GPU, MLX's CUDA build {machine.mlx_cuda}")


def _llama(kind: Format, machine: Machine) -> Step:
    if kind is not Format.GGUF:
        return Step("llama.cpp", False, f"it reads GGUF only, and the model is {kind}")
    if machine.llama is None:
        return Step("llama.cpp", False, "xllamacpp is not installed")
    return Step("llama.cpp", True, f"it reads GGUF on any device, xllamacpp {machine.llama}")


def _mlx_cpu(machine: Machine) -> Step:
    if machine.mlx is None:
        return Step("mlx on the CPU", False, "mlx-lm is not installed")
    return Step("mlx on the CPU", True, f"it runs anywhere, slowly; mlx-lm {machine.mlx}")


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
