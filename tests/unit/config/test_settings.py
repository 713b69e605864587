from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanvibe_lsp.config.settings import ENGINES, Problem, Settings, chosen, with_options
from leanvibe_lsp.errors import UsageError


def test_options_are_laid_over_settings() -> None:
    """What is given replaces, what is not given stays; the old settings are not changed."""
    old = Settings(engine="mlx", model="phi3")
    assert with_options(old, {"model": "smollm2"}) == (Settings("mlx", "smollm2"), ())
    assert with_options(old, {"engine": None}) == (Settings(None, "phi3"), ())
    assert old == Settings("mlx", "phi3")


def test_no_options_change_nothing() -> None:
    """A client that sends null, or an empty object, gets the settings as they are."""
    old = Settings(engine="mock")
    assert with_options(old, None) == (old, ())
    assert with_options(old, {}) == (old, ())


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("engine", "nonsense", "one of llama.cpp, mlx, mock"),
        ("engine", 3, "non-empty string"),
        ("model", "", "non-empty string"),
        ("model", ["a"], "non-empty string"),
        ("modell", "phi3", "there are: engine, model"),
        (7, "phi3", "no such setting"),
    ],
)
def test_a_bad_field_costs_itself(field: object, value: object, says: str) -> None:
    """One bad field is a problem that names it; the other fields are used."""
    settings, problems = with_options(Settings(), {field: value, "model": "ok"} if field != "model" else {field: value})
    assert settings == Settings(model="ok" if field != "model" else None)
    assert [problem.field for problem in problems] == [str(field)]
    assert says in problems[0].message


@pytest.mark.parametrize("options", [[], "engine=mock", 3, True])
def test_options_that_are_no_object_are_said(options: object) -> None:
    """A list where an object belongs is one problem, and the settings stay."""
    settings, problems = with_options(Settings(model="m"), options)
    assert settings == Settings(model="m")
    assert problems == (Problem("", f"options must be an object, not {type(options).__name__}"),)


def test_options_win_over_the_environment() -> None:
    """What is on the command line counts; what is not there comes from the environment; empty is not set."""
    environment = {"LEANVIBE_ENGINE": "mlx", "LEANVIBE_MODEL": "phi3"}
    assert chosen(None, None, {}) == Settings()
    assert chosen(None, None, {"LEANVIBE_ENGINE": "", "LEANVIBE_MODEL": ""}) == Settings()
    assert chosen(None, None, environment) == Settings("mlx", "phi3")
    assert chosen("smollm2", "mock", environment) == Settings("mock", "smollm2")
    assert chosen(None, "mock", {"LEANVIBE_ENGINE": "nonsense"}) == Settings("mock")


@pytest.mark.parametrize(
    ("engine", "environment", "source"),
    [("nonsense", {}, "--engine"), (None, {"LEANVIBE_ENGINE": "nonsense"}, "LEANVIBE_ENGINE")],
)
def test_an_override_that_cannot_be_met_is_an_error(
    engine: str | None, environment: dict[str, str], source: str
) -> None:
    """Where it comes from and the choices are said; nothing else is taken instead."""
    with pytest.raises(UsageError, match=rf"{source} must be one of llama\.cpp, mlx, mock"):
        chosen(None, engine, environment)


@given(
    st.dictionaries(st.sampled_from(["engine", "model", "x"]), st.none() | st.booleans() | st.integers() | st.text())
)
def test_settings_are_always_valid(options: dict[str, object]) -> None:
    """Whatever a client sends, the result holds only values that may be used, and nothing raises."""
    settings, _ = with_options(Settings(), options)
    assert settings.engine in (None, *ENGINES)
    assert settings.model is None or (isinstance(settings.model, str) and settings.model)
