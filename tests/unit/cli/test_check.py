"""`leanvibe check`, `rules` and `explain`: what they print, write, refuse, and end with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from leanvibe_lsp.assist.rulebook import forget
from leanvibe_lsp.cli import check, explain, rules
from leanvibe_lsp.errors import LeanVibeError, UsageError
from leanvibe_lsp.review import runner
from leanvibe_lsp.review.values import FileReport

BAD = "def f(x=[]):\n    if x is 'a':\n        pass\n"

app = typer.Typer()
app.command("check")(check.check)
app.command("explain")(explain.explain)
app.add_typer(rules.app, name="rules")


@pytest.fixture(autouse=True)
def _workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("LEANVIBE_CONFIG_DIR", str(tmp_path / "no-settings"))
    monkeypatch.setenv("HOME", str(tmp_path / "no-home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.py").write_text(BAD)
    yield
    forget(tmp_path)


def run(*args: str) -> Result:
    return CliRunner().invoke(app, args)


def checked(*args: str) -> Result:
    return run("check", "--no-classifier", *args)


def test_findings_are_printed_and_the_shell_is_told() -> None:
    """On standard output; the summary on standard error."""
    result = checked()
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[0].startswith("a.py:1:9: warning: ")
    assert "[python/mutable-default, CWE-1109, 85 %]" in lines[0]
    assert lines[1:3] == [" 1 | def f(x=[]):", "   |         ^^"]
    assert "\x1b" not in result.stdout
    assert "2 findings (1 error, 1 warning) in 1 file, 4 lines" in result.stderr


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("--fail-on", "never"), 0),
        (("--fail-on", "error"), 1),
        (("--select", "python/mutable-*", "--fail-on", "error"), 0),
        (("--select", "python/mutable-*", "--fail-on", "warning"), 1),
        (("--ignore", "python/*"), 0),
        (("--min-confidence", "0.9", "--ignore", "python/is-*"), 0),
        (("--min-confidence", "0.9"), 1),
    ],
)
def test_the_exit_code_hangs_on_what_is_asked(args: tuple[str, ...], code: int) -> None:
    """Clean below the level, findings at it or above."""
    assert checked(*args).exit_code == code


def test_what_was_not_checked_is_another_exit_code(tmp_path: Path) -> None:
    """A file that cannot be read, a rule of the workspace that is none; a binary file is no reason."""
    (tmp_path / "a.py").write_bytes(b"x = 1\0")
    assert checked().exit_code == 0
    (tmp_path / "b.py").write_bytes(b"# \xe9")
    result = checked("--fail-on", "never")
    assert result.exit_code == 4
    assert "not checked: b.py: is not UTF-8" in result.stderr
    (tmp_path / "b.py").unlink()
    own = tmp_path / ".leanvibe" / "rules"
    own.mkdir(parents=True)
    (own / "own.yml").write_text("id: own/x\n")
    result = checked()
    assert result.exit_code == 4
    assert "own.yml:1: a rule is not used:" in result.stderr


def test_an_interrupted_check_writes_what_it_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In every format that was asked for."""
    (tmp_path / "b.py").write_text(BAD)
    known = runner.look_at

    def interrupted(target: object, wanted: object) -> FileReport:
        if getattr(target, "shown", "") == "b.py":
            raise KeyboardInterrupt
        return known(target, wanted)  # type: ignore[arg-type]

    monkeypatch.setattr(runner, "look_at", interrupted)
    result = checked("--output", "json=out.json")
    assert result.exit_code == 130
    assert "a.py:1:9:" in result.stdout
    assert "1 file not looked at" in result.stderr
    content = json.loads((tmp_path / "out.json").read_text())
    assert [one["path"] for one in content["findings"]] == ["a.py", "a.py"]
    assert content["summary"]["unfinished"] == 1


def test_every_format_tells_the_same(tmp_path: Path) -> None:
    """On standard output and in files."""
    files = [item for name in ("text", "json", "sarif", "github") for item in ("--output", f"{name}=out.{name}")]
    text = checked(*files)
    assert (tmp_path / "out.text").read_text() == text.stdout
    printed = {name: checked("--format", name).stdout for name in ("json", "sarif", "github")}
    assert all((tmp_path / f"out.{name}").read_text() == said for name, said in printed.items())
    names = [one["fingerprint"] for one in json.loads(printed["json"])["findings"]]
    results = json.loads(printed["sarif"])["runs"][0]["results"]
    assert [one["partialFingerprints"]["leanvibe/v1"] for one in results] == names
    assert all(name in line for name, line in zip(names, printed["github"].splitlines(), strict=True))
    assert "fixes" in results[1]


def test_settings_of_the_workspace_count(tmp_path: Path) -> None:
    """As they do in an editor."""
    (tmp_path / "leanvibe.toml").write_text('[diagnostics]\nseverity = {"python/mutable-default" = "off"}\n')
    assert [one["rule"] for one in json.loads(checked("--format", "json").stdout)["findings"]] == ["python/is-literal"]


def test_fixes_are_made_and_said(tmp_path: Path) -> None:
    """What is left decides the exit code; a second time there is nothing to do."""
    shown = checked("--fix", "--diff")
    assert "+    if x == 'a':" in shown.stdout
    assert "would fix 1 finding in a.py: python/is-literal" in shown.stderr
    assert (tmp_path / "a.py").read_text() == BAD
    done = checked("--fix", "--fail-on", "error")
    assert done.exit_code == 0
    assert "fixed 1 finding in a.py: python/is-literal" in done.stderr
    assert (tmp_path / "a.py").read_text() == BAD.replace("is 'a'", "== 'a'")
    assert "fixed" not in checked("--fix").stderr


@pytest.mark.parametrize(
    "args",
    [
        ("--format", "xml"),
        ("--fail-on", "hint"),
        ("--output", "json"),
        ("--output", "xml=a"),
        ("--output", "json=a", "--output", "json=b"),
        ("--diff",),
        ("nowhere",),
        ("--select", "python/is-literall"),
        ("--ignore", "nothing/*"),
    ],
)
def test_what_is_not_understood_is_a_usage_error(args: tuple[str, ...]) -> None:
    """With a next step."""
    error = checked(*args).exception
    assert isinstance(error, UsageError)
    assert error.next_step


def test_a_misspelt_rule_is_guessed() -> None:
    """It would read as "nothing found"."""
    assert "python/is-literal?" in str(checked("--select", "python/is-literall").exception)


def test_an_output_that_cannot_be_written_is_an_error() -> None:
    """It names the file."""
    error = checked("--output", "json=no/such/place.json").exception
    assert isinstance(error, LeanVibeError)
    assert "place.json could not be written" in str(error)


def test_nothing_in_a_file_moves_the_terminal(tmp_path: Path) -> None:
    """Escapes in code and names are not obeyed."""
    (tmp_path / "b\x1b[2J.py").write_text("if x is '\x1b]0;title\x07':\n    pass\n")
    assert "\x1b" not in checked().stdout
    assert "\x1b" not in checked("--format", "github").stdout


def test_a_finding_is_explained_by_its_place_its_id_and_its_rule() -> None:
    """The same finding each time."""
    (name,) = [
        one["fingerprint"]
        for one in json.loads(checked("--format", "json").stdout)["findings"]
        if one["rule"] == "python/is-literal"
    ]
    by_place, by_id, by_rule = run("explain", "a.py:2"), run("explain", name), run("explain", "python/is-literal")
    assert by_place.exit_code == by_id.exit_code == by_rule.exit_code == 0
    assert by_place.stdout == by_id.stdout
    assert name in by_place.stdout
    assert "How to silence it" in by_rule.stdout
    assert json.loads(run("explain", name, "--json").stdout)[0]["fingerprint"] == name
    assert json.loads(run("explain", "python/is-literal", "--json").stdout)[0]["id"] == "python/is-literal"


@pytest.mark.parametrize("what", ["python/nothing", "a.py:3", "a.py:0", "0123456789abcdef", "nowhere.py:1", "a.py"])
def test_what_is_not_there_cannot_be_explained(what: str) -> None:
    """And it is said what to do."""
    error = run("explain", what).exception
    assert isinstance(error, UsageError)
    assert error.next_step


def test_rules_are_listed_with_the_workspace_s_own() -> None:
    """By language and category, as a table and as JSON."""
    assert run("rules", "new", "no-print").exit_code == 0
    found = json.loads(run("rules", "list", "--language", "python", "--category", "custom", "--json").stdout)
    assert [(one["id"], one["own"]) for one in found] == [("local/no-print", True)]
    table = run("rules", "list", "--language", "python").stdout
    assert "local/no-print (own)" in table
    assert "python/is-literal" in table
    assert isinstance(run("rules", "list", "--language", "cobol").exception, UsageError)


def test_a_rule_is_shown() -> None:
    """What it says, its cases, its text; one that is misspelt is guessed."""
    shown = run("rules", "show", "python/is-literal").stdout
    for part in ("Why it is wrong", "It finds", "It leaves alone", "The rule itself", "id: python/is-literal"):
        assert part in shown
    assert json.loads(run("rules", "show", "python/is-literal", "--json").stdout)["severity"] == "error"
    assert "python/is-literal?" in str(run("rules", "show", "python/is-litteral").exception)


def test_a_new_rule_is_there_to_be_tested(tmp_path: Path) -> None:
    """It passes, it fails when its cases are wrong, it is not written over."""
    result = run("rules", "new", "team/no-print")
    assert ".leanvibe/rules/team/no-print.yml is here" in result.stdout
    assert run("rules", "test").stdout == "9 cases of 1 rules: all as they should be.\n"
    file = tmp_path / ".leanvibe" / "rules" / "team" / "no-print.yml"
    file.write_text(file.read_text().replace("  - allowed(1)\n", "  - forbidden(1)\n", 1))
    failed = run("rules", "test")
    assert failed.exit_code == 1
    assert "no-print.yml:" in failed.stdout
    assert "nothing should be found, and this was: line 1 `forbidden(1)`" in failed.stdout
    assert "1 of 9 cases" in failed.stderr
    for name in ("team/no-print", "python/is-literal", "../x", "A b"):
        assert isinstance(run("rules", "new", name).exception, UsageError)


def test_there_is_something_to_test_or_it_is_said() -> None:
    """No folder of rules is no success."""
    assert isinstance(run("rules", "test").exception, UsageError)
