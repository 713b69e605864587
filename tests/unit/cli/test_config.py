from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from leanvibe_lsp.cli.app import app


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with settings, and a file of the user's."""
    (tmp_path / "config").mkdir()
    monkeypatch.setenv("LEANVIBE_CONFIG_DIR", str(tmp_path / "config"))
    (tmp_path / "config" / "leanvibe.toml").write_text(
        'model = "phi3"\n[remote]\nurl = "https://host"\ndeny = ["a"]\n[context]\nsecrets = ["mine"]\n'
    )
    (tmp_path / "leanvibe.toml").write_text('remote.deny = ["b"]\n[context]\nsecrets = ["theirs"]\n')
    return tmp_path


def test_show_says_where_a_value_is_from(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """File and line, the environment, or the default; several places where each adds."""
    monkeypatch.setenv("LEANVIBE_HOVER_SUMMARY", "0")
    done = CliRunner().invoke(app, ["config", "show", "--origin", "--root", str(workspace)])
    mine, theirs = workspace / "config" / "leanvibe.toml", workspace / "leanvibe.toml"
    remote = '{"url": "https://host/v1", "model": null, "allow": ["**"], "deny": ["a", "b"], "plainHttp": false}'
    assert done.stdout.splitlines() == [
        "engine = null  # default",
        f'model = "phi3"  # {mine}:1',
        f"remote = {remote}  # {mine}:2, {theirs}:1",
        "diagnostics.enabled = true  # default",
        "diagnostics.severity = {}  # default",
        "diagnostics.overrides = []  # default",
        "diagnostics.classifier = true  # default",
        'diagnostics.model = "demand"  # default',
        "inlineCompletion.enabled = false  # default",
        "codeLens.enabled = false  # default",
        "hover.summary = false  # environment",
        f'context.secrets = ["mine", "theirs"]  # {mine}:6, {theirs}:3',
        "logLevel = null  # default",
    ]
    assert (done.stderr, done.exit_code) == ("", 0)


def test_show_says_what_is_not_used(workspace: Path) -> None:
    """On stderr for a person, in the object for a program."""
    file = workspace / "leanvibe.toml"
    file.write_text("hover.sumary = false\n")
    complaint = f"{file}:1: hover.sumary: there is no such setting; did you mean 'summary'? there are: summary"
    withheld = "remote: no server is asked, because not all of these settings were understood"
    done = CliRunner().invoke(app, ["config", "show", "--root", str(workspace)])
    assert done.stderr.splitlines() == [f"leanvibe: {complaint}", f"leanvibe: {withheld}"]
    said = json.loads(CliRunner().invoke(app, ["config", "show", "--json", "--root", str(workspace)]).stdout)
    assert said["problems"] == [complaint, withheld]
    assert (said["settings"]["remote"], said["settings"]["context.secrets"]) == (None, ["mine"])
    assert said["origin"]["model"] == [f"{workspace / 'config' / 'leanvibe.toml'}:1"]


def test_schema_and_path(workspace: Path) -> None:
    """The schema is JSON; the path is where the user's file is."""
    assert json.loads(CliRunner().invoke(app, ["config", "schema"]).stdout)["title"] == "LeanVibe"
    done = CliRunner().invoke(app, ["config", "path"])
    assert done.stdout == f"{workspace / 'config' / 'leanvibe.toml'}\n"
