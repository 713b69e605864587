"""For every test."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

# A slow machine is no failed promise.
settings.register_profile("leanvibe", deadline=None)
settings.load_profile("leanvibe")

_FOLDER = tempfile.mkdtemp(prefix="leanvibe-tests-")
# Fixtures that live longer than a test may start a process: it must not find answers that a person's own one kept.
os.environ["LEANVIBE_CACHE_DIR"] = _FOLDER
# Nor may it be served by a person's own settings.
os.environ["LEANVIBE_CONFIG_DIR"] = os.environ["LEANVIBE_CACHE_DIR"]
# Nor may its confidence be fitted to a person's own marks.
os.environ["LEANVIBE_DATA_DIR"] = os.environ["LEANVIBE_CACHE_DIR"]


def pytest_unconfigure(config: pytest.Config) -> None:
    """The session is over, that of a worker too: nothing of it stays behind."""
    shutil.rmtree(_FOLDER, ignore_errors=True)


@pytest.fixture(autouse=True)
def _own_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test is answered by what another one asked."""
    monkeypatch.setenv("LEANVIBE_CACHE_DIR", str(tmp_path / "answers"))
