from __future__ import annotations

import ctypes
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from leanvibe_lsp.engine.local import runtime
from leanvibe_lsp.engine.local.runtime import Blas, prefer_fast_blas, runtime_facts
from leanvibe_lsp.errors import BackendError


@pytest.fixture
def undecided(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """As in a new process on Linux."""
    monkeypatch.setattr(runtime, "_blas", None)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delitem(sys.modules, "mlx.core", raising=False)
    return monkeypatch


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def test_importing_the_backend_imports_no_mlx() -> None:
    """Start-up stays light: the engine class can be had without MLX or transformers."""
    heavy = "{'mlx.core', 'mlx_lm', 'transformers', 'numpy', 'tokenizers'}"
    assert run(f"import sys, leanvibe_lsp.engine.local.backend; print({heavy} & {{*sys.modules}})") == "set()"


def test_blas_is_loaded_before_mlx() -> None:
    """In a new process, what the facts say of OpenBLAS is what the process has mapped."""
    code = (
        "from leanvibe_lsp.engine.local.runtime import runtime_facts as f; facts = f();"
        "maps = open('/proc/self/maps').read() if facts['device'] == 'cpu' else '';"
        "print(facts['device'] != 'cpu' or (facts['blas'] == 'OpenBLAS') == ('libopenblas' in maps))"
    )
    assert run(code) == "True"


def test_openblas_is_loaded_for_everybody(undecided: pytest.MonkeyPatch) -> None:
    """OpenBLAS's symbols must be global, or MLX does not see them; it is loaded once."""
    loaded: list[tuple[str, int]] = []
    undecided.setattr(ctypes, "CDLL", lambda name, mode: loaded.append((name, mode)))
    assert prefer_fast_blas() is Blas.OPENBLAS
    assert prefer_fast_blas() is Blas.OPENBLAS
    assert loaded == [("libopenblas.so.0", ctypes.RTLD_GLOBAL)]


def test_without_openblas(undecided: pytest.MonkeyPatch) -> None:
    """No OpenBLAS is no error, and `doctor` is told how to get it."""

    def missing(name: str, mode: int) -> None:
        raise OSError(name)

    undecided.setattr(ctypes, "CDLL", missing)
    undecided.setattr(runtime, "device", lambda: "cpu")
    assert prefer_fast_blas() is Blas.REFERENCE
    assert "libopenblas0-pthread" in runtime_facts()["advice"]


def test_too_late_for_openblas(undecided: pytest.MonkeyPatch) -> None:
    """When somebody imported MLX first, OpenBLAS is not claimed."""
    undecided.setitem(sys.modules, "mlx.core", sys)
    assert prefer_fast_blas() is Blas.REFERENCE


def test_mac(undecided: pytest.MonkeyPatch) -> None:
    """On a Mac MLX comes with Accelerate."""
    undecided.setattr(sys, "platform", "darwin")
    assert prefer_fast_blas() is Blas.ACCELERATE


def test_without_mlx(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without MLX, asking for it is an error with a next step, and the facts carry it."""
    monkeypatch.setitem(sys.modules, "leanvibe_lsp.engine.local.arrays", None)
    with pytest.raises(BackendError, match="pip install 'leanvibe-lsp"):
        runtime.device()
    assert "pip install" in runtime_facts()["problem"]


@pytest.mark.parametrize("error", ["SystemExit", "OSError", "RuntimeError"])
def test_an_mlx_that_breaks_in_its_import(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: str) -> None:
    """Whatever it raises is an error with a name."""
    (tmp_path / "broken_mlx.py").write_text(f"raise {error}('planted')", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)

    class Broken(ModuleType):
        def __getattr__(self, name: str) -> object:
            return import_module("broken_mlx")

    monkeypatch.setitem(sys.modules, "leanvibe_lsp.engine.local.arrays", Broken("arrays"))
    with pytest.raises(BackendError, match="MLX cannot run here: planted"):
        runtime.device()


def test_version_of_nothing() -> None:
    """A distribution that is not there has no version, and that is no error."""
    assert runtime._version("leanvibe-no-such-thing") == "not installed"


class FakeMlx:
    """MLX on a GPU."""

    class DeviceType:
        """Its kinds of devices."""

        cpu = "cpu"

    class metal:  # noqa: N801
        """Its Metal module."""

        @staticmethod
        def is_available() -> bool:
            """Set by the test."""
            return True

    @staticmethod
    def default_device() -> type:
        """A GPU."""
        return type("Device", (), {"type": "gpu"})


@pytest.mark.parametrize(("metal", "expected"), [(True, "metal"), (False, "cuda")])
def test_gpu(monkeypatch: pytest.MonkeyPatch, metal: bool, expected: str) -> None:
    """A device that is no CPU is Metal where there is Metal, else CUDA."""
    monkeypatch.setattr(FakeMlx.metal, "is_available", staticmethod(lambda: metal))
    monkeypatch.setattr(runtime, "_mlx", lambda: FakeMlx)
    assert runtime.device() == expected
