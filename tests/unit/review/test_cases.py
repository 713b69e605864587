from __future__ import annotations

from pathlib import Path

import pytest

from leanvibe_lsp.errors import UsageError
from leanvibe_lsp.review.cases import run_cases, template
from leanvibe_lsp.tiers.rules import LIBRARY

_RULE = """\
id: own/a
language: Python
rule: {pattern: f($A)}
fix: g($A)
valid:
  - h(1)
  - f(2)
invalid:
  - f(1)
  - h(3)
fixed:
  - g(2)
  - h(3)
"""


def write(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "a.yml"
    file.write_text(text)
    return file


def test_each_case_that_is_not_as_it_should_be_is_named(tmp_path: Path) -> None:
    """With its file and line, and what was found or made instead."""
    file = write(tmp_path, _RULE)
    tested = run_cases(file)
    said = [(one.line, one.message.partition("\n")[0]) for one in tested.failures]
    assert said == [
        (7, "nothing should be found, and this was: line 1 `f(2)`"),
        (10, "something should be found, and nothing was in: h(3)"),
        (12, "the fix makes something else:"),
    ]
    assert "    -g(2)\n    +g(1)" in tested.failures[2].message
    assert str(tested.failures[0]).startswith(f"{file}:7: own/a: nothing should")
    assert (tested.rules, tested.cases, tested.bare) == (1, 6, ())


def test_a_fix_that_leaves_something_to_find_is_named(tmp_path: Path) -> None:
    """Even if it is what was promised; a result is wanted for each text."""
    text = (
        "id: a/b\nlanguage: Python\nrule: {pattern: f($A)}\nfix: f(0)\ninvalid:\n  - f(1)\n  - f(2)\nfixed:\n  - f(0)\n"
    )
    said = [(one.line, one.message) for one in run_cases(write(tmp_path, text)).failures]
    assert said == [
        (8, "fixed has 1 texts and invalid 2: one for each is needed"),
        (9, "the rule still finds something in what its fix made: f(0)"),
    ]


def test_a_file_that_holds_no_rule_fails(tmp_path: Path) -> None:
    """And so does one that cannot be read; a rule without cases is named."""
    broken = run_cases(write(tmp_path, "id: a/b\nlanguage: Python\nrule: {kind: nonsense}\n"))
    assert [(one.line, one.rule) for one in broken.failures] == [(3, "")]
    assert "nonsense" in broken.failures[0].message
    (tmp_path / "b.yml").write_bytes(b"id: \xe9")
    assert [one.message for one in run_cases(tmp_path / "b.yml").failures] == ["cannot be read: it is not UTF-8"]
    assert "No such file" in run_cases(tmp_path / "c.yml").failures[0].message
    bare = run_cases(write(tmp_path, "id: a/b\nlanguage: Python\nrule: {pattern: f()}\n"))
    assert (bare.bare, bare.failures) == (("a/b",), ())


@pytest.mark.parametrize("language", ["python", "ruby", "javascript", "typescript", "tsx"])
def test_a_new_rule_passes_its_own_cases(tmp_path: Path, language: str) -> None:
    """In every language that there is a template for."""
    tested = run_cases(write(tmp_path, template("local/new", language)))
    assert (tested.failures, tested.cases, tested.bare) == ((), 9, ())


def test_there_is_no_template_for_everything() -> None:
    """It says for what there is one."""
    with pytest.raises(UsageError, match="no template for cobol"):
        template("local/new", "cobol")


def test_the_library_s_own_files_pass() -> None:
    """A structural rule with a fix, and one about data."""
    for name in ("is-literal", "flow-command"):
        tested = run_cases(LIBRARY / "python" / f"{name}.yml")
        assert tested.failures == ()
        assert tested.cases >= 6
