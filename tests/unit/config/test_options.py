from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanvibe_lsp.config.layers import INITIALIZATION, NAMES, Layer, settled, value_of
from leanvibe_lsp.config.options import Options, fields_of, group_of, read_options
from leanvibe_lsp.config.settings import EditorSettings, Override, RemoteSettings, Settings

GOOD: dict[str, Any] = {
    "engine": "mlx",
    "model": "phi3",
    "remote": {"url": "https://host", "deny": ["*.sql"]},
    "diagnostics": {"enabled": False, "severity": {"todo": "hint", "secret.*": "error"}},
    "inlineCompletion": {"enabled": True},
    "codeLens": {"enabled": True},
    "hover": {"summary": False},
    "context": {"secrets": ["*.dump"]},
    "logLevel": "debug",
}
SETTINGS = Settings(
    "mlx",
    "phi3",
    RemoteSettings("https://host/v1", deny=("*.sql",)),
    EditorSettings(
        diagnostics=False,
        severity=(("todo", "hint"), ("secret.*", "error")),
        inline_completion=True,
        code_lens=True,
        hover_summary=False,
        secrets=("*.dump",),
        log_level="debug",
    ),
)


def settle(options: object) -> Settings:
    reading = read_options(options)
    return settled([Layer(INITIALIZATION, reading.values, tuple(reading.problems))])


def test_every_option_becomes_a_setting() -> None:
    """Each field of the model is one of the settings, and can be asked for by its name."""
    assert settle(GOOD) == SETTINGS
    names = []
    for name, one in fields_of(Options).items():
        inner = group_of(one)
        whole = inner is None or name == "remote"
        names += [name] if whole else [f"{name}.{leaf}" for leaf in fields_of(inner)]
    assert sorted(names) == sorted(NAMES)
    assert len(NAMES) == 3 + len(fields(EditorSettings))
    assert value_of(SETTINGS, "context.secrets") == ("*.dump",)


def test_defaults_of_options_are_those_of_settings() -> None:
    """The help that a person reads names the default that counts."""
    defaults = Options.model_validate({}).model_dump(by_alias=True)
    for name in NAMES:
        content: Any = defaults
        for part in name.split("."):
            content = content[part]
        given = value_of(Settings(), name)
        assert content == (dict(given) if name == "diagnostics.severity" else list(given) if given == () else given)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("options", "field", "says"),
    [
        ({"diagnostics": {"enabled": 1}}, "diagnostics.enabled", "must be true or false, not int"),
        ({"diagnostics": {"severity": {"a": "loud"}}}, "diagnostics.severity.a", "hint, off, not 'loud'"),
        ({"diagnostics": []}, "diagnostics", "must be an object, not a list"),
        ({"hover": None}, "hover", "must be an object, not null"),
        ({"hoover": {}}, "hoover", "did you mean 'hover'?"),
        ({"codeLens": {"enable": True}}, "codeLens.enable", "did you mean 'enabled'?"),
        ({"context": {"secrets": ["*.{a,b}"]}}, "context.secrets", "no glob that is understood"),
        ({"context": {"secrets": "*.a"}}, "context.secrets", "must be a list of globs, not '*.a'"),
        ({"model": "m" * 5_000}, "model", "must be a non-empty string or null, not 'mmm"),
        ({"context": {"secrets": ["a"] * 1_001}}, "context.secrets", "must be a list of globs, not a list"),
        ({str(number): 1 for number in range(1_001)}, "", "more than 1000 settings"),
    ],
)
def test_a_bad_field_is_named_with_what_it_takes(options: dict[str, Any], field: str, says: str) -> None:
    """A problem says which field, what would be right, and briefly what was there."""
    (problem,) = read_options(options).problems
    assert problem.field == field
    assert says in problem.message
    assert len(problem.message) < 300


def test_a_workspaces_file_says_less() -> None:
    """It may not choose what runs or what is sent, nor switch on what asks the model by itself; it may forbid more."""
    reading = read_options(GOOD, workspace=True)
    assert reading.values == {
        "remote.deny": ("*.sql",),
        "diagnostics.enabled": False,
        "diagnostics.severity": (("todo", "hint"), ("secret.*", "error")),
        "codeLens.enabled": True,
        "hover.summary": False,
        "context.secrets": ("*.dump",),
    }
    assert [problem.field for problem in reading.problems] == [
        "engine",
        "model",
        "remote",
        "inlineCompletion.enabled",
        "logLevel",
    ]
    assert all(problem.refused for problem in reading.problems)


def test_a_wrong_deny_of_a_workspace_is_no_mere_refusal() -> None:
    """What it meant to hide might be sent: so nothing is."""
    reading = read_options({"remote": {"deny": "*.sql"}}, workspace=True)
    assert [(problem.field, problem.refused) for problem in reading.problems] == [("remote.deny", False)]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)


@given(JSON, st.booleans())
def test_no_json_makes_it_fail(raw: object, workspace: bool) -> None:
    """Whatever comes, nothing is raised, and settings come of it that can be keys of a dictionary."""
    reading = read_options(raw, workspace=workspace)
    hash(settled([Layer(INITIALIZATION, reading.values, tuple(reading.problems))]))


@given(st.dictionaries(st.sampled_from([*GOOD, "colour"]), JSON), st.sets(st.sampled_from(sorted(GOOD))))
def test_a_bad_field_costs_only_itself(noise: dict[str, Any], good: set[str]) -> None:
    """Beside anything at all the good fields hold, but for a server: that one is asked only when all is understood."""
    options = {**noise, **{name: GOOD[name] for name in good}}
    reading = read_options(options)
    expected = read_options({name: GOOD[name] for name in good}).values
    assert {name: reading.values[name] for name in expected} == expected
    assert all(problem.field.partition(".")[0] not in good for problem in reading.problems)
    settings = settle(options)
    assert settings.remote is None or not reading.problems


@given(st.dictionaries(st.sampled_from([*GOOD, "colour"]), JSON))
def test_a_workspace_chooses_nothing(raw: dict[str, Any]) -> None:
    """No content of a workspace's file changes which engine runs, or lets more be sent."""
    reading = read_options(raw, workspace=True)
    mine = Layer("mine", {"engine": "remote", "remote": RemoteSettings("https://host", deny=("a",))})
    settings = settled([mine, Layer("workspace", reading.values, tuple(reading.problems))])
    assert (settings.engine, settings.model) == ("remote", None)
    assert settings.remote is None or (settings.remote.url, settings.remote.allow) == ("https://host/v1", ("**",))
    assert settings.remote is None or "a" in settings.remote.deny
    assert not settings.editor.inline_completion


def test_a_bad_severity_costs_its_own_entry() -> None:
    """The others of the table count, and the message names the one."""
    reading = read_options({"diagnostics": {"severity": {"a": "hint", "b": "loud", "c": "off"}}})
    assert reading.values == {"diagnostics.severity": (("a", "hint"), ("c", "off"))}
    assert [(problem.field, problem.message) for problem in reading.problems] == [
        ("diagnostics.severity.b", "must be one of error, warning, information, hint, off, not 'loud'")
    ]
    reading = read_options({"diagnostics": {"severity": {"a": "waring", "b": 3, "": "off"}}})
    assert [problem.message for problem in reading.problems] == [
        "must be one of error, warning, information, hint, off, not 'waring'; did you mean 'warning'?",
        "must be one of error, warning, information, hint, off, not int",
        "the name of a rule, or a glob, has 1 to 4,096 characters, not 0",
    ]


def test_overrides_are_read_one_by_one() -> None:
    """A bad entry costs itself; what is wrong with it is said with its number."""
    good = {"files": ["tests/**"], "severity": {"python/*": "off"}}
    bad = [
        {"files": []},
        {"files": ["{a,b}"], "severity": {}},
        {"files": ["a"], "severity": {"x": "loud"}},
        7,
        {**good, "x": 1},
    ]
    reading = read_options({"diagnostics": {"overrides": [good, *bad]}})
    assert reading.values == {"diagnostics.overrides": (Override(("tests/**",), (("python/*", "off"),)),)}
    assert {problem.field.split(".")[2] for problem in reading.problems} == {"1", "2", "3", "4", "5"}
    assert "write two instead of braces" in reading.problems[1].message
    assert read_options({"diagnostics": {"overrides": {}}}).problems[0].message.startswith("must be a list")
