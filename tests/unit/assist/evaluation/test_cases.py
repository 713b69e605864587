from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanvibe_lsp.assist.evaluation.cases import (
    FRESH,
    PACKS,
    QUIXBUGS,
    changed_lines,
    fresh_pairs,
    hunks,
    missing,
    own_programs,
    packed_programs,
    pair_of,
    quixbugs_pairs,
    rows_of,
    sample,
)
from leanvibe_lsp.errors import UsageError

_SHARED = Path(__file__).parents[5] / "shared" / "eval"
_DIFF = """diff --git a/a.py b/a.py
index 1..2 100644
--- a/a.py
+++ b/a.py
@@ -1,3 +1,3 @@ def f():
 a
-b
+c
 d
@@ -9,1 +9,2 @@
 x
+y
\\ No newline at end of file
"""


def test_hunks_are_the_text_before_and_after() -> None:
    """Without the diff's own lines."""
    assert list(hunks(_DIFF)) == [("a\nb\nd\n", "a\nc\nd\n"), ("x\n", "x\ny\n")]


def test_buggy_lines_are_those_that_change() -> None:
    """Where a line is missing, the one above the gap; at the very top the first."""
    assert changed_lines("a\nb\nd\n", "a\nc\nd\n") == (2,)
    assert changed_lines("x\nz\n", "x\ny\nz\n") == (1,)
    assert changed_lines("z\n", "y\nz\n") == (1,)
    assert changed_lines("a\n", "a\n") == ()


@given(st.lists(st.sampled_from("abc"), max_size=8), st.lists(st.sampled_from("abc"), max_size=8))
def test_changed_lines_are_lines_of_the_text(before: list[str], after: list[str]) -> None:
    """Or its first line where there is none; nothing for what did not change, something for what did."""
    found = changed_lines("\n".join(before), "\n".join(after))
    assert all(1 <= line <= max(1, len(before)) for line in found)
    assert bool(found) == (before != after)


@given(st.lists(st.integers(), max_size=30), st.integers(0, 40), st.integers())
def test_a_sample_is_drawn_by_its_seed_and_keeps_the_order(cases: list[int], most: int, seed: int) -> None:
    """All of them when there are fewer; the same seed draws the same."""
    numbered = list(enumerate(cases))
    taken = sample(numbered, most, seed)
    assert taken == sample(numbered, most, seed)
    assert taken == sorted(taken, key=lambda one: one[0])
    assert len(set(taken)) == len(taken) == min(most, len(cases))
    assert sample(numbered, None, seed) == numbered


def test_own_programs_have_ids_of_their_own() -> None:
    """And each differs from its mend on the lines that a review is to find."""
    programs = own_programs()
    assert len(programs) >= 30
    assert len({one.id for one in programs}) == len(programs)
    assert all(pair_of(one).buggy_lines for one in programs)


def test_a_bad_line_is_told_with_its_number(tmp_path: Path) -> None:
    """A file that is not there has no rows."""
    (tmp_path / "a.jsonl").write_text('{"id": 1}\n{"id"\n')
    with pytest.raises(UsageError, match=r"a\.jsonl:2 is no JSON"):
        rows_of(tmp_path, "a.jsonl")
    (tmp_path / "a.jsonl").write_text("[1]\n")
    with pytest.raises(UsageError, match=r"a\.jsonl:1 is no JSON object"):
        rows_of(tmp_path, "a.jsonl")
    assert rows_of(tmp_path, "b.jsonl") == []


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    """Without a folder, and with one that has only some."""
    (tmp_path / "here.jsonl").write_text("")
    assert missing(tmp_path, ["here.jsonl", "risk/gone.jsonl"]) == [
        f"risk/gone.jsonl: not run, as it is not in {tmp_path}"
    ]
    assert missing(None, ["risk/gone.jsonl"]) == ["gone.jsonl: not run, as no folder was given with --data"]


@pytest.mark.skipif(not _SHARED.is_dir(), reason="../shared/eval is not here: it holds others' labelled cases")
def test_the_shared_cases_can_be_read() -> None:
    """Every row becomes a case, with buggy lines inside of its text."""
    rows = rows_of(_SHARED, PACKS["javascript"])
    programs = packed_programs(rows, "javascript")
    assert len(programs) == len(rows) > 100
    pairs = [
        *map(pair_of, programs),
        *quixbugs_pairs(rows_of(_SHARED, QUIXBUGS)),
        *fresh_pairs(rows_of(_SHARED, FRESH)),
    ]
    assert len(pairs) > 300
    for one in pairs:
        assert one.buggy_lines
        assert max(one.buggy_lines) <= len(one.buggy.splitlines()) or not one.buggy
