from __future__ import annotations

import pytest

from leanvibe_lsp.cli.options import settings_from
from leanvibe_lsp.config.settings import Settings
from leanvibe_lsp.errors import UsageError


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings from the environment of whoever runs the tests."""
    monkeypatch.delenv("LEANVIBE_ENGINE", raising=False)
    monkeypatch.delenv("LEANVIBE_MODEL", raising=False)


def test_options_win_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is on the command line counts; what is not there comes from the environment."""
    assert settings_from(None, None) == Settings()
    monkeypatch.setenv("LEANVIBE_ENGINE", "mlx")
    monkeypatch.setenv("LEANVIBE_MODEL", "phi3")
    assert settings_from(None, None) == Settings("mlx", "phi3")
    assert settings_from("smollm2", "mock") == Settings("mock", "smollm2")


def test_a_bad_option_is_an_error() -> None:
    """The option's name and the choices are said."""
    with pytest.raises(UsageError, match=r"--engine must be one of llama\.cpp, mlx, mock"):
        settings_from(None, "nonsense")


def test_a_bad_variable_is_said_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A typo in the environment costs itself."""
    monkeypatch.setenv("LEANVIBE_ENGINE", "nonsense")
    assert settings_from("m", None) == Settings(None, "m")
    assert capsys.readouterr().err.count("LEANVIBE_ENGINE") == 1
