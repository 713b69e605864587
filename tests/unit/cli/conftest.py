from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Leanvibe = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(autouse=True)
def no_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests imported what computes: leaving would end the process of the tests."""
    monkeypatch.setattr("leanvibe_lsp.cli.output._LIBRARIES", ())


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An environment with an empty home and an empty model cache, and no settings of ours."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LEANVIBE_", "FORCE_COLOR"))}
    return {**kept, "HOME": str(tmp_path), "LEANVIBE_MODELS_DIR": str(tmp_path / "models"), "COLUMNS": "100"}


@pytest.fixture
def leanvibe(tmp_path: Path, environment: dict[str, str]) -> Leanvibe:
    """Run the real command in a process of its own, in an empty folder."""

    def run(*arguments: str, text: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "leanvibe_lsp", *arguments],
            input=text,
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            cwd=tmp_path,
            env={**environment, **variables},
        )

    return run
