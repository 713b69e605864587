from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from leanvibe_lsp.review import runner
from leanvibe_lsp.review.collecting import gather
from leanvibe_lsp.review.values import FileReport, Report, Target, Trouble, Wanted
from leanvibe_lsp.review.workspace import use_rules
from tests.unit.review.conftest import MakeTarget


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few files are enough for processes."""
    known = runner.limit
    monkeypatch.setattr(
        runner,
        "limit",
        lambda name: {"check.alone_bytes": 0, "check.spawn_bytes": 0, "check.batch_bytes": 64}.get(name, known(name)),
    )


def bad(make: MakeTarget, count: int) -> list[Target]:
    return [make(f"{number:02}.py", f"x is '{number}'\n" * (1 + number % 4)) for number in range(count)]


@pytest.mark.usefixtures("_small")
def test_the_number_of_processes_does_not_change_the_result(make: MakeTarget, wanted: Wanted, tmp_path: Path) -> None:
    """The same findings in the same order; rules of the workspace count in each of them."""
    make(".leanvibe/rules/own.yml", "id: own/x\nlanguage: Python\nmessage: No.\nrule: {pattern: $A is '3'}\n")
    use_rules([tmp_path])
    targets = bad(make, 12)
    alone, beside = (gather([*runner.run(targets, wanted, jobs=jobs)]) for jobs in (1, 3))
    assert alone == beside
    assert len(alone.found) == 30 + 4
    assert (alone.files, alone.failed) == (12, ())


def test_little_is_looked_at_in_this_process(make: MakeTarget, wanted: Wanted, monkeypatch: pytest.MonkeyPatch) -> None:
    """Starting others would take longer."""
    monkeypatch.setattr(runner, "ProcessPoolExecutor", None)
    assert len([*runner.run(bad(make, 3), wanted, jobs=8)]) == 3


_DIES = """
import os, sys
from pathlib import Path
from leanvibe_lsp.config.settings import EditorSettings
from leanvibe_lsp.review import runner
from leanvibe_lsp.review.collecting import gather
from leanvibe_lsp.review.values import FileReport, Target, Wanted

def dies(target, wanted):
    if target.shown == "05.py":
        os._exit(9)
    return FileReport(target, lines=1)

runner.look_at = dies
root = Path.cwd()
targets = [Target(root / f"{at:02}.py", root, f"{at:02}.py", f"{at:02}.py", 40_000) for at in range(9)]
report = gather([*runner.run(targets, Wanted({root: EditorSettings()}), jobs=2)])
print([one.place for one in report.failed], report.files)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="what is put in here is seen by forked processes alone")
def test_a_file_that_ends_its_process_costs_itself(tmp_path: Path) -> None:
    """All others are looked at, and it is known which one it was. In a process where nothing else runs."""
    done = subprocess.run(
        [sys.executable, "-c", _DIES], capture_output=True, text=True, timeout=120, cwd=tmp_path, check=True
    )
    assert done.stdout == "['05.py'] 8\n"


def test_a_run_that_is_closed_ends(make: MakeTarget, wanted: Wanted) -> None:
    """What came until then was given."""
    running = runner.run(bad(make, 5), wanted, jobs=1)
    first = next(running)
    running.close()
    assert first.target.shown == "00.py"
    assert [*running] == []


def test_batches_hold_every_file_once(make: MakeTarget) -> None:
    """The largest first, each batch of about one size."""
    targets = [
        Target(Path(str(at)), Path(), str(at), str(at), size) for at, size in enumerate((5, 200_000, 0, 90_000, 70_000))
    ]
    batches = runner._batches(targets, 160_000)
    assert [[one.size for one in batch] for batch in batches] == [[200_000], [90_000, 70_000], [5, 0]]
    assert runner._batches([], 0) == []


def test_results_are_put_in_order_however_they_come(make: MakeTarget, wanted: Wanted) -> None:
    """And what was not looked at is told apart from what failed."""
    one, other, third = (Target(Path(name), Path(), name, name) for name in ("a", "b", "c"))
    reports = [FileReport(third, lines=3), FileReport(other, failed="no"), FileReport(one, left_out="binary", lines=9)]
    expected = Report(
        files=1,
        lines=3,
        left_out=(Trouble("z", "no rules"), Trouble("a", "binary")),
        failed=(Trouble("r:1", "bad"), Trouble("b", "no")),
        unfinished=2,
    )
    given = gather(reports[::-1], failed=[Trouble("r:1", "bad")], left_out=[Trouble("z", "no rules")], unfinished=2)
    assert given == expected
    assert (
        gather(reports, failed=[Trouble("r:1", "bad")], left_out=[Trouble("z", "no rules")], unfinished=2) == expected
    )
