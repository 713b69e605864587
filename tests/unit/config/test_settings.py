from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanvibe_lsp.config.layers import INITIALIZATION, Layer, Problem, chosen, settled, without_server
from leanvibe_lsp.config.options import read_options
from leanvibe_lsp.config.settings import ENGINES, RemoteSettings, Settings
from leanvibe_lsp.errors import UsageError


def with_options(settings: Settings, options: object) -> tuple[Settings, tuple[Problem, ...]]:
    reading = read_options(options)
    layer = Layer(INITIALIZATION, reading.values, tuple(reading.problems))
    return settled([layer], settings), layer.problems


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
        ("engine", "nonsense", "one of llama.cpp, mlx, mock, remote"),
        ("engine", 3, "must be one of llama.cpp, mlx, mock, remote or null, not int"),
        ("model", "", "non-empty string"),
        ("model", ["a"], "non-empty string"),
        ("modell", "phi3", "did you mean 'model'? there are: engine, model, remote"),
        (7, "phi3", "no such setting"),
    ],
)
def test_a_bad_field_costs_itself(field: object, value: object, says: str) -> None:
    """One bad field is a problem that names it; the other fields are used."""
    settings, problems = with_options(Settings(), {field: value, "model": "ok"} if field != "model" else {field: value})
    assert settings == Settings(model="ok" if field != "model" else None)
    assert [problem.field for problem in problems] == [str(field)]
    assert says in problems[0].message


@pytest.mark.parametrize(
    ("options", "found"), [([], "a list"), ("engine=mock", "'engine=mock'"), (3, "int"), (True, "true")]
)
def test_options_that_are_no_object_are_said(options: object, found: str) -> None:
    """A list where an object belongs is one problem, and the settings stay."""
    settings, problems = with_options(Settings(model="m"), options)
    assert settings == Settings(model="m")
    assert problems == (Problem("", f"options must be an object, not {found}"),)


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
    with pytest.raises(UsageError, match=rf"{source} must be one of llama\.cpp, mlx, mock, remote"):
        chosen(None, engine, environment)


@given(
    st.dictionaries(
        st.sampled_from(["engine", "model", "x", "remote"]),
        st.none()
        | st.booleans()
        | st.integers()
        | st.text()
        | st.dictionaries(
            st.sampled_from(["url", "allow", "plainHttp"]),
            st.sampled_from(["http://localhost", "http://[", "http://h:99999", "https://h"])
            | st.text()
            | st.lists(st.text()),
        ),
    )
)
def test_settings_are_always_valid(options: dict[str, object]) -> None:
    """Whatever a client sends, the result holds only values that may be used, and nothing raises."""
    settings, _ = with_options(Settings(), options)
    assert settings.engine in (None, *ENGINES)
    assert settings.model is None or (isinstance(settings.model, str) and settings.model)
    assert settings.remote is None or settings.remote.url.startswith(("https://", "http://localhost"))


def test_a_server_is_off_until_somebody_switches_it_on() -> None:
    """By options or by the environment; null switches it off again."""
    assert Settings().remote is None
    options = {"url": "https://host:8000", "model": "m", "allow": ["src/**"], "deny": ["*.sql"]}
    on, problems = with_options(Settings(), {"remote": options})
    assert problems == ()
    assert on.remote == RemoteSettings("https://host:8000/v1", "m", ("src/**",), ("*.sql",))
    assert with_options(on, {"remote": None})[0] == Settings()
    environment = {
        "LEANVIBE_REMOTE_URL": "https://host:8000/v1/",
        "LEANVIBE_REMOTE_MODEL": "m",
        "LEANVIBE_REMOTE_ALLOW": "src/**",
        "LEANVIBE_REMOTE_DENY": "*.sql, old",
        "LEANVIBE_REMOTE_PLAIN_HTTP": "1",
    }
    expected = RemoteSettings("https://host:8000/v1", "m", ("src/**",), ("*.sql", "old"), plain_http=True)
    assert chosen(None, None, environment).remote == expected
    assert chosen(None, None, {**environment, "LEANVIBE_REMOTE_URL": ""}).remote is None


@pytest.mark.parametrize(
    ("remote", "says"),
    [
        ("https://host", "must be an object, false or null"),
        ({}, "an address like"),
        ({"url": "host:8000"}, "an address like"),
        ({"url": "ftp://host/v1"}, "an address like"),
        ({"url": "https://[x/v1"}, "an address like"),
        ({"url": "https://host:99999/v1"}, "an address like"),
        ({"url": "https://me:hunter2@host/v1"}, "LEANVIBE_REMOTE_KEY"),
        ({"url": "https://host/v1?key=hunter2"}, "LEANVIBE_REMOTE_KEY"),
        ({"url": "http://10.0.0.5:8000/v1"}, "in the clear"),
        ({"url": "http://localhost.example/v1"}, "in the clear"),
        ({"url": "https://host", "alow": ["**"]}, "alow: there is no such setting; did you mean 'allow'"),
        ({"url": "https://host", "allow": "**"}, "allow must be a list of globs"),
        ({"url": "https://host", "allow": ["a", 3]}, "allow must be a list of globs"),
        ({"url": "https://host", "deny": ["*.{pem,key}"]}, "no glob"),
        ({"url": "https://host", "deny": ["!a"]}, "no glob"),
        ({"url": "https://host", "deny": ["/"]}, "no glob"),
        ({"url": "https://host", "deny": ["~/private/**"]}, "would match nothing"),
        ({"url": "https://host", "deny": ["$HOME/x"]}, "would match nothing"),
        ({"url": "https://host", "deny": ["src/../x"]}, "would match nothing"),
        ({"url": "https://host", "plainHttp": "yes"}, "plainHttp must be true or false"),
    ],
)
def test_a_server_with_one_wrong_part_is_not_used(remote: object, says: str) -> None:
    """What may leave is all that a person said, or nothing; and no password is repeated."""
    settings, (problem,) = with_options(Settings(model="m"), {"remote": remote})
    assert settings == Settings(model="m")
    assert problem.field == "remote"
    assert says in problem.message
    assert "hunter2" not in problem.message


@pytest.mark.parametrize(
    "url", ["http://localhost:1/v1", "http://127.0.0.1/v1", "http://[::1]:8080/v1", "https://host/v1"]
)
def test_this_machine_needs_no_tls(url: str) -> None:
    """Everywhere else does, unless the network between is said to be trusted."""
    assert RemoteSettings(url).url == url
    assert RemoteSettings("http://10.0.0.5:8000", plain_http=True).url == "http://10.0.0.5:8000/v1"


@pytest.mark.parametrize(
    "options",
    [
        {"remote": {"url": "https://host", "deny": ["secret/*.{py,pem}"]}},
        {"engine": "lama.cpp"},
        {"model": ""},
        {"remot": {"url": "https://host", "deny": ["secret/**"]}},
        {"engine": "lama.cpp", "remote": {"url": "https://host"}},
        ["remote"],
    ],
)
def test_with_a_setting_that_is_not_understood_no_server_is_asked(options: object) -> None:
    """Not even the one of the earlier settings, whose rules may be looser than what was meant; and that is said."""
    on = Layer("below", {"remote": RemoteSettings("https://host")})
    reading = read_options(options)
    layers = [on, Layer(INITIALIZATION, reading.values, tuple(reading.problems))]
    assert settled(layers).remote is None
    assert len(reading.problems) == 1
    assert without_server(layers)


def test_a_wrong_server_in_the_environment_is_an_error() -> None:
    """An override is met, or it is an error."""
    with pytest.raises(UsageError, match=r"LEANVIBE_REMOTE_\* would send code"):
        chosen(None, None, {"LEANVIBE_REMOTE_URL": "http://10.0.0.5/v1"})
