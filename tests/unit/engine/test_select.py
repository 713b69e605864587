from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from leanvibe_lsp.config.settings import RemoteSettings, Settings
from leanvibe_lsp.engine import select as module
from leanvibe_lsp.engine.models.formats import Format
from leanvibe_lsp.engine.models.registry import REGISTRY, Located, resolve
from leanvibe_lsp.engine.select import (
    Machine,
    Selection,
    Step,
    candidates,
    choose_backend,
    choose_model,
    default_models,
    mlx_obstacle,
    probe_machine,
    select,
)
from leanvibe_lsp.errors import BackendError, ModelDamaged, ModelNotFound, UsageError
from tests.support.engines import located
from tests.support.gguf import write_gguf

APPLE = Machine("Darwin", "arm64", False, "0.32", None, None)
APPLE_BARE = Machine("Darwin", "arm64", False, None, None, None)
APPLE_LLAMA = Machine("Darwin", "arm64", False, None, None, "2026.1")
INTEL_MAC = Machine("Darwin", "x86_64", False, None, None, "2026.1")
CUDA = Machine("Linux", "x86_64", True, "0.32", "0.32", "2026.1")
NVIDIA_WITHOUT_BUILD = Machine("Linux", "x86_64", True, "0.32", None, "2026.1")
LINUX = Machine("Linux", "x86_64", False, "0.32", None, "2026.1")
LINUX_LLAMA = Machine("Linux", "aarch64", False, None, None, "2026.1")
LINUX_MLX = Machine("Linux", "x86_64", False, "0.32", None, None)
BARE = Machine("Windows", "AMD64", False, None, None, None)
MACHINES = (APPLE, APPLE_BARE, APPLE_LLAMA, INTEL_MAC, CUDA, NVIDIA_WITHOUT_BUILD, LINUX, LINUX_LLAMA, LINUX_MLX, BARE)


@pytest.mark.parametrize(
    ("machine", "kind", "backend", "candidate"),
    [
        (APPLE, Format.GGUF, "mlx", "mlx on Metal"),
        (APPLE, Format.SAFETENSORS, "mlx", "mlx on Metal"),
        (APPLE_LLAMA, Format.GGUF, "llama.cpp", "llama.cpp"),
        (INTEL_MAC, Format.GGUF, "llama.cpp", "llama.cpp"),
        (CUDA, Format.GGUF, "mlx", "mlx on CUDA"),
        (CUDA, Format.SAFETENSORS, "mlx", "mlx on CUDA"),
        (NVIDIA_WITHOUT_BUILD, Format.GGUF, "llama.cpp", "llama.cpp"),
        (NVIDIA_WITHOUT_BUILD, Format.SAFETENSORS, "mlx", "mlx on the CPU"),
        (LINUX, Format.GGUF, "llama.cpp", "llama.cpp"),
        (LINUX, Format.SAFETENSORS, "mlx", "mlx on the CPU"),
        (LINUX_LLAMA, Format.GGUF, "llama.cpp", "llama.cpp"),
        (LINUX_MLX, Format.GGUF, "mlx", "mlx on the CPU"),
    ],
)
def test_the_backend_of_a_machine(machine: Machine, kind: Format, backend: str, candidate: str) -> None:
    """Apple silicon: MLX; NVIDIA with MLX's CUDA build: MLX; else llama.cpp for GGUF, MLX's CPU for safetensors."""
    chosen, steps = choose_backend(kind, machine, None)
    assert chosen == backend
    assert [step.candidate for step in steps if step.chosen] == [candidate]
    assert steps[-1].candidate == candidate
    assert all(step.reason for step in steps)


@pytest.mark.parametrize(
    ("machine", "kind"),
    [
        (BARE, Format.GGUF),
        (BARE, Format.SAFETENSORS),
        (APPLE_BARE, Format.GGUF),
        (LINUX_LLAMA, Format.SAFETENSORS),
        (INTEL_MAC, Format.SAFETENSORS),
    ],
)
def test_no_backend_is_an_error_with_every_reason(machine: Machine, kind: Format) -> None:
    """Nothing that can run it: an error that names each candidate's reason and what to install."""
    with pytest.raises(BackendError) as caught:
        choose_backend(kind, machine, None)
    for candidate in ("mlx on Metal", "mlx on CUDA", "llama.cpp", "mlx on the CPU"):
        assert candidate in caught.value.message
    assert "install" in caught.value.next_step


@pytest.mark.parametrize(
    ("machine", "kind", "engine"),
    [
        (LINUX, Format.GGUF, "mlx"),
        (LINUX, Format.GGUF, "llama.cpp"),
        (LINUX, Format.SAFETENSORS, "mlx"),
        (CUDA, Format.GGUF, "llama.cpp"),
        (APPLE, Format.GGUF, "mlx"),
    ],
)
def test_an_override_that_can_be_met_is_taken(machine: Machine, kind: Format, engine: str) -> None:
    """`--engine` wins over the hardware's choice, and the one step says that it was asked for."""
    backend, steps = choose_backend(kind, machine, engine)
    assert backend == engine
    assert len(steps) == 1
    assert steps[0].chosen
    assert steps[0].reason.startswith("asked for by name")


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("kind", Format)
@pytest.mark.parametrize("engine", ["llama.cpp", "mlx", "mock"])
def test_an_override_is_met_or_an_error(machine: Machine, kind: Format, engine: str) -> None:
    """On no machine does an override end in another backend; what cannot be met says why and what next."""
    outcome: str | BackendError
    try:
        outcome = choose_backend(kind, machine, engine)[0]
    except BackendError as error:
        outcome = error
    if isinstance(outcome, str):
        assert outcome == engine
        assert engine != "mock"
    else:
        assert engine in outcome.message
        assert outcome.next_step


def test_llama_cpp_reads_gguf_only() -> None:
    """`--engine llama.cpp` for safetensors is an error, not MLX."""
    with pytest.raises(BackendError, match="reads GGUF only"):
        choose_backend(Format.SAFETENSORS, LINUX, "llama.cpp")


def test_the_mock_comes_only_by_name(tmp_path: Path) -> None:
    """Asked for: the mock, no model looked up. Not asked for: never, even where nothing else runs."""
    assert select(Settings(engine="mock"), BARE, tmp_path) == Selection(
        "mock", None, (Step("mock", True, "asked for by name"),)
    )
    for machine in MACHINES:
        for kind in Format:
            try:
                backend, _ = choose_backend(kind, machine, None)
            except BackendError:
                continue
            assert backend != "mock"


def test_an_unknown_engine_is_a_usage_error(tmp_path: Path) -> None:
    """A name that is no engine says which there are."""
    with pytest.raises(UsageError) as caught:
        select(Settings(engine="nonsense"), LINUX, tmp_path)
    assert "llama.cpp, mlx, mock" in caught.value.next_step


def test_the_default_models() -> None:
    """Apple silicon begins with the MLX model, others with GGUF; the embedded one is the last; all are registered."""
    assert default_models(APPLE) == ("phi3", "phi3-gguf", "smollm2")
    assert default_models(LINUX) == ("phi3-gguf", "smollm2")
    assert set(default_models(APPLE)) <= set(REGISTRY)


def test_the_first_default_that_is_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Models that are not here leave a step with the reason; the first that is here is taken."""
    asked: list[str] = []

    def resolve(name: str, *, cache: Path) -> Located:
        asked.append(name)
        if name != "smollm2":
            raise ModelNotFound(f"The model {name} is not downloaded.")
        return located(name=name)

    monkeypatch.setattr(module, "resolve", resolve)
    monkeypatch.setattr(module, "mlx_obstacle", lambda located, machine: "")
    found, steps = choose_model(None, LINUX, tmp_path)
    assert found.name == "smollm2"
    assert asked == ["phi3-gguf", "smollm2"]
    assert [(step.candidate, step.chosen) for step in steps[:2]] == [
        ("model phi3-gguf", False),
        ("model smollm2", True),
    ]
    assert "not downloaded" in steps[0].reason
    selection = select(Settings(), LINUX, tmp_path)
    assert selection.backend == "llama.cpp"
    assert [step.candidate for step in selection.steps if step.chosen] == ["model smollm2", "llama.cpp"]


def test_a_named_model_is_the_only_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`--model` that is not here is an error, never another model."""

    def resolve(name: str, *, cache: Path) -> Located:
        if name == "mine":
            raise ModelNotFound("The model mine is not downloaded.")
        return located(name=name)

    monkeypatch.setattr(module, "resolve", resolve)
    with pytest.raises(ModelNotFound, match="mine"):
        choose_model("mine", LINUX, tmp_path)
    _, steps = choose_model("other", LINUX, tmp_path)
    assert steps == (Step("model other", True, "asked for by name"),)


def test_no_model_at_all_says_what_to_pull_and_what_is_broken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing here: the error names the command, and does not hide that a model is there but damaged."""

    def resolve(name: str, *, cache: Path) -> Located:
        if name == "smollm2":
            raise ModelDamaged("smollm2 has 3 bytes.")
        raise ModelNotFound(f"The model {name} is not downloaded.")

    monkeypatch.setattr(module, "resolve", resolve)
    with pytest.raises(ModelNotFound) as caught:
        choose_model(None, LINUX, tmp_path)
    assert "leanvibe models pull phi3-gguf" in caught.value.next_step
    assert "smollm2 has 3 bytes" in caught.value.message


def test_a_default_that_no_backend_here_runs_is_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`--engine llama.cpp` on Apple silicon with both Phi-3 downloads takes the GGUF: the override can be met."""
    formats = {"phi3": Format.SAFETENSORS, "phi3-gguf": Format.GGUF, "smollm2": Format.GGUF}
    monkeypatch.setattr(module, "resolve", lambda name, *, cache: located(formats[name], name))
    monkeypatch.setattr(module, "mlx_obstacle", lambda located, machine: "")
    machine = Machine("Darwin", "arm64", False, "0.32", None, "2026.1")
    selection = select(Settings(engine="llama.cpp"), machine, tmp_path)
    assert selection.located is not None
    assert (selection.located.name, selection.backend) == ("phi3-gguf", "llama.cpp")
    assert "reads GGUF only" in selection.steps[0].reason
    named = Settings(engine="llama.cpp", model="phi3")
    with pytest.raises(BackendError):
        select(named, machine, tmp_path)


def test_probing_this_machine_imports_no_backend() -> None:
    """The probe looks at what is installed without loading it."""
    code = (
        "import sys; from leanvibe_lsp.engine.select import probe_machine; probe_machine(); "
        "print(sorted({m.split('.')[0] for m in sys.modules} & "
        "{'mlx', 'mlx_lm', 'xllamacpp', 'transformers', 'numpy', 'tokenizers', 'huggingface_hub'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_the_probe_finds_what_is_installed() -> None:
    """On this machine, both backends of the dev group are seen with their versions."""
    machine = probe_machine()
    assert machine.mlx is not None
    assert machine.llama is not None or machine.apple_silicon
    assert machine.system


def test_the_mock_with_a_model_is_an_error(tmp_path: Path) -> None:
    """Two overrides that contradict each other are an error, not a choice."""
    with pytest.raises(UsageError, match="mock engine runs no model"):
        select(Settings(engine="mock", model="smollm2"), probe_machine(), tmp_path)


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        (Machine("Darwin", "arm64", False, "0.32", None, "1"), "llama.cpp"),
        (Machine("Linux", "x86_64", True, "0.32", "0.32", "1"), "llama.cpp"),
    ],
)
def test_a_file_mlx_cannot_read_goes_to_llama(machine: Machine, expected: str) -> None:
    """A GGUF of a kind that MLX does not read is for llama.cpp, also where MLX is fast; the step says why."""
    backend, steps = choose_backend(Format.GGUF, machine, None, mlx_obstacle="MLX does not read Q4_K")
    assert backend == expected
    assert "MLX does not read Q4_K" in [step.reason for step in steps]
    with pytest.raises(BackendError, match="MLX does not read Q4_K"):
        choose_backend(Format.GGUF, machine, "mlx", mlx_obstacle="MLX does not read Q4_K")


@pytest.mark.parametrize(
    ("architecture", "kind", "block", "expected"),
    [
        ("llama", 2, (32, 18), ""),
        ("llama", 12, (256, 144), "MLX does not read tensors of the type Q4_K"),
        ("gemma", 2, (32, 18), "MLX is not taught to read GGUF files of the kind 'gemma'"),
    ],
)
def test_what_mlx_reads_is_asked_of_the_file(
    architecture: str, kind: int, block: tuple[int, int], expected: str, tmp_path: Path
) -> None:
    """The tensors' types and the architecture decide, and only where MLX is installed."""
    path = write_gguf(
        tmp_path / "m.gguf", {"general.architecture": architecture}, {"a": (256,)}, kind=kind, block=block
    )
    located = resolve(str(path), cache=tmp_path)
    assert mlx_obstacle(located, Machine("Darwin", "arm64", False, "0.32", None, "1")) == expected
    assert mlx_obstacle(located, LINUX) == expected
    assert mlx_obstacle(located, LINUX_LLAMA) == ""


def _here(monkeypatch: pytest.MonkeyPatch, **formats: Format) -> None:
    def resolve(name: str, *, cache: Path) -> Located:
        if name not in formats:
            raise ModelNotFound(f"The model {name} is not downloaded.")
        return located(formats[name], name)

    monkeypatch.setattr(module, "resolve", resolve)
    monkeypatch.setattr(module, "mlx_obstacle", lambda located, machine: "")


REMOTE = RemoteSettings("https://example.org/v1", "big")
SERVER = "big at https://example.org/v1 on remote"


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        (Settings(), ["smollm2 on llama.cpp", "smollm2 on mlx"]),
        (Settings(remote=REMOTE), ["smollm2 on llama.cpp", "smollm2 on mlx", SERVER]),
        (Settings(engine="mlx", remote=REMOTE), ["smollm2 on mlx"]),
        (Settings(model="smollm2", remote=REMOTE), ["smollm2 on llama.cpp", "smollm2 on mlx"]),
        (Settings(engine="mlx", model="smollm2"), ["smollm2 on mlx"]),
        (Settings(engine="remote", remote=REMOTE), [SERVER]),
        (Settings(engine="mock", remote=REMOTE), ["mock"]),
    ],
)
def test_the_candidates(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: Settings, names: list[str]) -> None:
    """Best first, the server last, and nothing past an override; the best is what `select` gives."""
    _here(monkeypatch, smollm2=Format.GGUF)
    found = candidates(settings, LINUX, tmp_path)
    assert [one.name for one in found] == names
    assert select(settings, LINUX, tmp_path) == found[0]
    assert all(one.steps and one.steps[-1].chosen for one in found)


def test_other_models_come_behind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every default that is here, on each backend that runs its format."""
    _here(monkeypatch, phi3=Format.SAFETENSORS, smollm2=Format.GGUF)
    machine = Machine("Darwin", "arm64", False, "0.32", None, "2026.1")
    assert [one.name for one in candidates(Settings(), machine, tmp_path)] == [
        "phi3 on mlx",
        "smollm2 on mlx",
        "smollm2 on llama.cpp",
    ]


def test_a_server_answers_where_there_is_no_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is the only candidate, and its steps say what is missing here."""
    _here(monkeypatch)
    (found,) = candidates(Settings(remote=REMOTE), LINUX, tmp_path)
    assert (found.name, found.is_remote, found.is_mock, found.located) == (SERVER, True, False, None)
    assert "no usable model" in found.steps[0].reason


@pytest.mark.parametrize("settings", [Settings(engine="remote"), Settings(engine="remote", model="x", remote=REMOTE)])
def test_a_server_by_name_must_be_switched_on(settings: Settings, tmp_path: Path) -> None:
    """And its model is named with it."""
    with pytest.raises(UsageError):
        candidates(settings, LINUX, tmp_path)
