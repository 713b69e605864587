from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from leanvibe_lsp.assist.rulebook import forget
from leanvibe_lsp.config.settings import EditorSettings
from leanvibe_lsp.review.values import Target, Wanted

MakeTarget = Callable[..., Target]


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No settings of the person who runs the tests, and the folder of the test as the working directory."""
    monkeypatch.setenv("LEANVIBE_CONFIG_DIR", str(tmp_path / "no-settings"))
    monkeypatch.setenv("HOME", str(tmp_path / "no-home"))
    monkeypatch.chdir(tmp_path)
    yield
    forget(tmp_path)


@pytest.fixture
def make(tmp_path: Path) -> MakeTarget:
    """Write a file, and give what it is to a check."""

    def write(name: str, content: str | bytes) -> Target:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        data = content.encode() if isinstance(content, str) else content
        file.write_bytes(data)
        return Target(file, tmp_path, name, name, len(data))

    return write


@pytest.fixture
def wanted(tmp_path: Path) -> Wanted:
    """All that the rules find."""
    return Wanted({tmp_path: EditorSettings(classifier=False)})
