"""Marks of right and wrong: kept here alone, bounded, and fitted to after enough of them."""

from __future__ import annotations

import sqlite3
import stat
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from leanvibe_lsp.assist.feedback import Feedback, Said, feedback_path
from leanvibe_lsp.config.limits import LIMITS
from leanvibe_lsp.engine.confidence import Signs
from leanvibe_lsp.tiers.calibrated import shipped

_SMOLLM2 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
_SIGNS = Signs(12, 0.6, 0.2, 0.7, 0.25)


@pytest.fixture
def store(tmp_path: Path) -> Feedback:
    return Feedback(tmp_path / "deep" / "feedback.sqlite", clock=lambda: 1e9)


def with_limit(monkeypatch: pytest.MonkeyPatch, name: str, value: float) -> None:
    monkeypatch.setitem(LIMITS, name, replace(LIMITS[name], default=value))


def said(digest: str = "abc", **changes: object) -> Said:
    return Said("answer", "tiny", digest, replace(_SIGNS, **changes))  # type: ignore[arg-type]


def test_a_mark_is_kept_as_it_was(store: Feedback) -> None:
    one = replace(said(), checks={"parses": 1.0})
    assert store.record(one, right=True)
    (mark,) = store.marks()
    assert (mark.said, mark.right, mark.made) == (one, True, 1e9)


def test_a_mark_holds_no_word_of_what_was_asked_or_said(store: Feedback) -> None:
    """All that is in the file: numbers, the names of tasks, models and checks, and digests."""
    store.record(replace(said(), checks={"parses": 1.0}), right=True)
    with closing(sqlite3.connect(store.path)) as database:
        rows = database.execute("SELECT * FROM marks").fetchall()
    (row,) = rows
    assert set(Said.__slots__) == {"task", "model", "digest", "signs", "checks", "answer"}
    assert "text" not in str(row)
    assert "question" not in str(row)


def test_the_same_answer_marked_again_counts_once(store: Feedback) -> None:
    """A person may think again."""
    one = said()
    store.record(one, right=True)
    store.record(one, right=False)
    assert [mark.right for mark in store.marks()] == [False]


def test_the_oldest_marks_make_room(store: Feedback, monkeypatch: pytest.MonkeyPatch) -> None:
    with_limit(monkeypatch, "feedback.cases", 3)
    for number in range(5):
        store.record(said(tokens=number + 1), right=True)
    assert [mark.said.signs.tokens for mark in store.marks()] == [3, 4, 5]


def test_after_enough_marks_it_is_fitted_anew(store: Feedback, monkeypatch: pytest.MonkeyPatch) -> None:
    """From what was shipped and what was marked; one's own marks weigh more, and the method says how many there are."""
    with_limit(monkeypatch, "feedback.refit", 10)
    base = shipped("answer", _SMOLLM2)
    assert base is not None
    before = base[0].probability(_SIGNS, {})
    for _ in range(9):
        store.record(said(_SMOLLM2), right=True)
    assert store.fitted("answer", _SMOLLM2) is None
    store.record(said(_SMOLLM2), right=True)
    own = store.fitted("answer", _SMOLLM2)
    assert own is not None
    assert own.own == 10
    assert "and 10 of your own" in own.method
    after = own.probability(_SIGNS, {})
    assert before is not None
    assert after is not None
    assert after > before
    assert store.fitted("answer", "another") is None
    assert store.fitted("choice", _SMOLLM2) is None


def test_ones_own_marks_weigh_more_than_what_was_shipped(store: Feedback, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same marks move the probability further the more each of them counts."""
    found = []
    for weight in (1, 3):
        with_limit(monkeypatch, "feedback.weight", weight)
        with_limit(monkeypatch, "feedback.refit", 1_000)
        for _ in range(10):
            store.record(said(_SMOLLM2), right=True)
        made = store.refit("answer", _SMOLLM2, "tiny")
        assert made is not None
        found.append(made.probability(_SIGNS, {}) or 0.0)
        store.clear()
    assert found[0] < found[1]


def test_what_was_fitted_beside_something_older_is_left(store: Feedback, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new version of the program came with other cases: its own count until there are enough new marks."""
    with_limit(monkeypatch, "feedback.refit", 10)
    for _ in range(10):
        store.record(said(_SMOLLM2), right=True)
    assert Feedback(store.path).fitted("answer", _SMOLLM2) is not None
    monkeypatch.setattr("leanvibe_lsp.assist.feedback.shipped", lambda *_: None)
    assert Feedback(store.path).fitted("answer", _SMOLLM2) is None


def test_a_model_nobody_measured_is_fitted_from_marks_alone(store: Feedback, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once there are enough of them."""
    with_limit(monkeypatch, "feedback.refit", 1)
    for number in range(40):
        assert store.fitted("answer", "abc") is None
        store.record(said(mean=0.9 if number % 2 else 0.3), right=bool(number % 2))
    made = store.fitted("answer", "abc")
    assert made is not None
    low, high = (made.probability(replace(_SIGNS, mean=mean), {}) for mean in (0.3, 0.9))
    assert low is not None
    assert high is not None
    assert high > 0.7 > 0.3 > low
    assert made.method.startswith("calibrated: answer, tiny, 0 cases and 40 of your own, ECE 0.")


def test_what_was_fitted_is_seen_by_another_process(store: Feedback, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what it fits, by this one."""
    with_limit(monkeypatch, "feedback.refit", 10)
    other = Feedback(store.path)
    assert other.fitted("answer", _SMOLLM2) is None
    for _ in range(10):
        store.record(said(_SMOLLM2), right=True)
    assert other.fitted("answer", _SMOLLM2) == store.fitted("answer", _SMOLLM2) is not None


def test_the_last_answer_is_remembered(store: Feedback) -> None:
    assert store.last() is None
    one, other = said(), said()
    store.remember(one)
    store.remember(other)
    assert store.last() == other != one


def test_clear_forgets_everything(store: Feedback, monkeypatch: pytest.MonkeyPatch) -> None:
    with_limit(monkeypatch, "feedback.refit", 10)
    for _ in range(10):
        store.record(said(_SMOLLM2), right=True)
    store.remember(said())
    store.clear()
    assert store.marks() == ()
    assert store.last() is None
    assert store.fitted("answer", _SMOLLM2) is None
    assert list(store.path.parent.iterdir()) == []


@pytest.mark.parametrize("content", [b"this is no database", b"SQLite format 3\x00" + b"\x07" * 4_096])
def test_a_broken_store_begins_anew(store: Feedback, content: bytes) -> None:
    """It costs its marks and nothing else."""
    store.path.parent.mkdir(parents=True)
    store.path.write_bytes(content)
    assert store.marks() == ()
    assert store.fitted("answer", "abc") is None
    assert store.last() is None
    assert store.record(said(), right=True)
    assert len(store.marks()) == 1


def test_a_store_that_cannot_be_written_costs_its_use_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    store = Feedback(tmp_path / "file" / "feedback.sqlite")
    assert not store.record(said(), right=True)
    store.remember(said())
    assert store.marks() == ()
    assert store.last() is None
    assert store.fitted("answer", "abc") is None


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"task": "answer"}', '{"signs": {"mean": 1}}'])
def test_a_mark_of_somebody_elses_is_passed_over(store: Feedback, content: str) -> None:
    store.record(said(), right=True)
    with closing(sqlite3.connect(store.path)) as database, database:
        row = ("x", "answer", "abc", content, 1, 1.0)
        database.execute(
            "INSERT INTO marks (answer, task, digest, content, correct, made) VALUES (?, ?, ?, ?, ?, ?)", row
        )
        database.execute("INSERT INTO fits VALUES ('answer', 'abc', 1, '', ?)", (content,))
    assert len(store.marks()) == 1
    assert store.fitted("answer", "abc") is None


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_the_file_is_for_this_user_alone(store: Feedback) -> None:
    store.record(said(), right=True)
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600


def test_where_marks_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LEANVIBE_DATA_DIR", str(tmp_path))
    assert feedback_path() == tmp_path / "feedback.sqlite"
    monkeypatch.delenv("LEANVIBE_DATA_DIR")
    assert feedback_path().parent.name == "leanvibe"
