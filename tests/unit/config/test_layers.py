from __future__ import annotations

from pathlib import Path

import pytest

from leanvibe_lsp.config.layers import (
    ENVIRONMENT,
    INITIALIZATION,
    USER_FILE,
    WORKSPACE,
    Layer,
    Problem,
    chosen,
    command_line_layer,
    environment_layer,
    process_layers,
    settled,
    user_file,
    variable_of,
    without_server,
)
from leanvibe_lsp.config.settings import EditorSettings, RemoteSettings, Settings
from leanvibe_lsp.errors import UsageError

REMOTE = RemoteSettings("https://host", deny=("a",))


def test_the_higher_layer_counts() -> None:
    """What is said above replaces what is said below, but for what adds up."""
    low = Layer(USER_FILE, {"model": "low", "context.secrets": ("a", "b"), "hover.summary": False})
    high = Layer(INITIALIZATION, {"model": "high", "context.secrets": ("c", "a")})
    assert settled([low, high]) == Settings(
        model="high", editor=EditorSettings(hover_summary=False, secrets=("b", "c", "a"))
    )


def test_the_last_severity_of_a_rule_counts() -> None:
    """The pairs of a higher layer come last, and the last that matches counts."""
    low = Layer(USER_FILE, {"diagnostics.severity": (("x", "off"), ("*", "hint"))})
    high = Layer(WORKSPACE, {"diagnostics.severity": (("y", "error"),)})
    assert settled([low, high]).editor.severity == (("x", "off"), ("*", "hint"), ("y", "error"))


def test_a_workspaces_globs_are_kept_from_a_server() -> None:
    """Also from one that a higher layer switches on; without a server they say nothing."""
    files = Layer(WORKSPACE, {"remote.deny": ("b",)})
    on = Layer(INITIALIZATION, {"remote": REMOTE})
    assert settled([files, on]).remote == RemoteSettings("https://host", deny=("a", "b"))
    assert settled([files]) == Settings()


def test_a_refusal_leaves_the_server_on_and_any_other_problem_does_not() -> None:
    """What is understood and not taken cannot have been meant to hide something."""
    on = Layer(USER_FILE, {"remote": REMOTE})
    refused = Layer(WORKSPACE, {}, (Problem("engine", "no", refused=True),))
    unclear = Layer(WORKSPACE, {}, (Problem("remot", "no"),))
    assert settled([on, refused]).remote == REMOTE
    assert not without_server([on, refused])
    assert settled([on, unclear]).remote is None
    assert without_server([on, unclear])
    assert not without_server([unclear])


def test_every_plain_setting_has_a_variable() -> None:
    """Truth values by word or number, globs with commas between; an empty one is not set."""
    environment = {
        "LEANVIBE_DIAGNOSTICS_ENABLED": "0",
        "LEANVIBE_INLINE_COMPLETION_ENABLED": "true",
        "LEANVIBE_CODE_LENS_ENABLED": "1",
        "LEANVIBE_HOVER_SUMMARY": "False",
        "LEANVIBE_CONTEXT_SECRETS": "*.a, b/**",
        "LEANVIBE_LOG_LEVEL": "debug",
        "LEANVIBE_MODEL": "",
    }
    editor = settled([environment_layer(environment)]).editor
    assert editor == EditorSettings(False, (), True, True, False, ("*.a", "b/**"), "debug")
    assert variable_of("diagnostics.severity") is None


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("LEANVIBE_LOG_LEVEL", "loud", "must be one of debug, info, warning, error"),
        ("LEANVIBE_HOVER_SUMMARY", "maybe", "must be one of 1, true, 0, false"),
        ("LEANVIBE_CONTEXT_SECRETS", "*.{a,b}", "is no glob that is understood"),
    ],
)
def test_a_bad_variable_costs_itself(variable: str, value: str, says: str) -> None:
    """It is named, with what it takes; the others count."""
    layer = environment_layer({variable: value, "LEANVIBE_CODE_LENS_ENABLED": "1"})
    (complaint,) = layer.complaints()
    assert complaint.startswith(f"{variable} ")
    assert says in complaint
    assert settled([layer]).editor == EditorSettings(code_lens=True)


def test_a_bad_override_is_an_error() -> None:
    """An engine that was asked for by name is never replaced."""
    with pytest.raises(UsageError, match=r"^LEANVIBE_ENGINE must be one of"):
        environment_layer({"LEANVIBE_ENGINE": "nonsense"})


def test_an_option_hides_a_bad_variable() -> None:
    """What does not count is not looked at; an empty model is refused."""
    layers = process_layers("m", "mock", {"LEANVIBE_ENGINE": "nonsense", "LEANVIBE_HOVER_SUMMARY": "0"})
    assert [layer.name for layer in layers] == [USER_FILE, ENVIRONMENT, "command line"]
    assert settled(layers) == Settings("mock", "m", editor=EditorSettings(hover_summary=False))
    with pytest.raises(UsageError, match="--model must be a name or a path"):
        command_line_layer("", None)


def test_the_users_own_file_counts_below_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is found by LEANVIBE_CONFIG_DIR; a command of which it is not understood says so and does nothing."""
    monkeypatch.setenv("LEANVIBE_CONFIG_DIR", str(tmp_path))
    assert user_file() == tmp_path / "leanvibe.toml"
    assert chosen(None, None, {}) == Settings()
    user_file().write_text('model = "mine"\nengine = "mlx"\n')
    assert chosen(None, None, {"LEANVIBE_ENGINE": "mock"}) == Settings("mock", "mine")
    user_file().write_text('modell = "mine"\n')
    with pytest.raises(UsageError, match=r"leanvibe\.toml:1: modell: there is no such setting; did you mean 'model'"):
        chosen(None, None, {})


def test_a_command_heeds_the_folder_it_runs_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What its files forbid is forbidden in a terminal too; what they may not say is passed over.

    What is wrong in them costs itself and is told, unless a server was switched on: that is not asked then.
    """
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "leanvibe.toml"
    file.write_text('engine = "mock"\nremote.deny = ["b"]\ncontext.secrets = ["c"]\n')
    settings = chosen(None, None, {"LEANVIBE_REMOTE_URL": "https://host"})
    assert settings == Settings(
        remote=RemoteSettings("https://host", deny=("b",)), editor=EditorSettings(secrets=("c",))
    )
    file.write_text('[diagnostics]\nenabeld = true\nseverity = { "python/*" = "off" }\n')
    assert chosen("m", None, {}) == Settings(model="m", editor=EditorSettings(severity=(("python/*", "off"),)))
    (said,) = caplog.messages
    assert said.startswith(f"{file}:2: diagnostics.enabeld: there is no such setting; did you mean 'enabled'?")
    file.write_text("remote.deny = 3\n")
    with pytest.raises(UsageError, match=r"remote\.deny: must be a list of globs"):
        chosen(None, None, {"LEANVIBE_REMOTE_URL": "https://host"})
