from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from leanvibe_lsp.documents.snapshot import read_snapshot
from leanvibe_lsp.review.catalogue import entries, known_ids, messages, whole
from leanvibe_lsp.review.explaining import case_lines, finding_lines, rule_lines
from leanvibe_lsp.review.look import findings_of, look_at
from leanvibe_lsp.review.text import Line
from leanvibe_lsp.review.values import Wanted
from leanvibe_lsp.review.workspace import use_rules
from tests.unit.review.conftest import MakeTarget

OWN = """\
id: own/no-f
language: Python
message: No $A.
note: Why not.
rule: {pattern: f($A)}
valid: [g(1)]
invalid: [f(1)]
"""


def said(lines: Iterable[Line]) -> str:
    return "\n".join("".join(piece for piece, _ in line) for line in lines)


def test_a_finding_is_explained(make: MakeTarget, wanted: Wanted) -> None:
    """Why, how to mend it, rung, confidence, evidence, who else found it, how to silence it in three places."""
    target = make("a.py", "import os\nfrom flask import request\nq = request.args['q']\nos.system('ls ' + q)\n")
    snapshot = read_snapshot(target.path)
    (one,) = findings_of(target, snapshot, wanted)
    text = said(finding_lines(one, snapshot))
    for part in (
        "a.py:4:11 error:",
        f"  {one.finding.note}",
        f"  {one.finding.mend}",
        "Confidence 90 %",
        "1. line 3: `request.args` is read here.",
        "Also found by python/shell-injection",
        "CWE-78",
        one.fingerprint,
        "leanvibe: ignore[python/flow-command, python/shell-injection]",
        "leanvibe: ignore-file[python/flow-command, python/shell-injection]",
        'severity = { "python/flow-command" = "off" }',
    ):
        assert part in text
    assert "The fix" not in text


def test_what_it_says_to_do_does_it(make: MakeTarget, wanted: Wanted, tmp_path: Path) -> None:
    """Both diffs apply: the one mends the finding, the other silences it."""
    target = make("a.py", "if x is 'a':\n    pass\n")
    snapshot = read_snapshot(target.path)
    (one,) = findings_of(target, snapshot, wanted)
    _, fix, silence = said(finding_lines(one, snapshot)).split("  --- a/a.py\n")
    for changes in (fix.partition("\n\n")[0], silence.partition("  this file:")[0]):
        diff = "--- a/a.py\n" + "".join(f"{line[2:]}\n" for line in changes.split("\n") if line[2:])
        copy = tmp_path / "copy"
        copy.mkdir()
        shutil.copy(target.path, copy)
        subprocess.run(["git", "apply", "--recount", "-"], input=diff, text=True, cwd=copy, check=True, timeout=60)
        assert look_at(replace(target, path=copy / "a.py"), wanted).found == ()
        shutil.rmtree(copy)


def test_rules_of_the_workspace_are_in_the_catalogue(make: MakeTarget, wanted: Wanted, tmp_path: Path) -> None:
    """Behind the library's; known by id, explained, and shown with cases and text."""
    file = make(".leanvibe/rules/own.yml", OWN).path
    assert use_rules([tmp_path]) == ()
    every = entries(tmp_path)
    assert [one.rule.id for one in every if one.own] == ["own/no-f"]
    assert every[-1].file == file
    assert {"own/no-f", "python/is-literal", "leanvibe/unused-suppression"} <= known_ids([tmp_path])
    assert messages({"own/no-f": tmp_path / "a.py"}) == {"own/no-f": "No $A."}
    rule, text = whole(every[-1])
    assert text == OWN
    assert said(case_lines(rule)).split("\n") == ["", "It finds", "  f(1)", "", "It leaves alone", "  g(1)"]
    explained = said(rule_lines(every[-1]))
    assert "  Why not." in explained
    assert str(file) in explained


def test_every_rule_of_the_library_is_there_with_its_file(tmp_path: Path) -> None:
    """Each once."""
    every = entries(tmp_path)
    assert len({one.rule.id for one in every}) == len(every) > 300
    assert all(one.file.is_file() for one in every)
