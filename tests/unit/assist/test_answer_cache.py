from __future__ import annotations

import os
import sqlite3
import stat
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanvibe_lsp.assist.answer_cache import AnswerCache, Remembered, answer_key
from leanvibe_lsp.config.limits import LIMITS
from leanvibe_lsp.engine.base import FinishReason, GenerationRequest, Message, Source
from leanvibe_lsp.engine.confidence import Signs
from leanvibe_lsp.engine.structured import Structure

_DAY = 86_400
_REQUEST = GenerationRequest((1, 2, 3), 20, stop=("x",), stop_loops=True)
_ANSWER = Remembered("naïve \U0001f600\x00", FinishReason.LENGTH, 3, 20, Signs(20, 0.75, 0.5, 0.25, 0.125, whole=False))


class Clock:
    """Stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1e9

    def __call__(self) -> float:  # noqa: D102
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(tmp_path: Path, clock: Clock) -> AnswerCache:
    return AnswerCache(tmp_path / "deep" / "answers.sqlite", clock=clock)


def with_limit(monkeypatch: pytest.MonkeyPatch, name: str, value: float) -> None:
    monkeypatch.setitem(LIMITS, name, replace(LIMITS[name], default=value))


def test_what_was_kept_comes_back_as_it_was(cache: AnswerCache) -> None:
    cache.put(b"a", _ANSWER)
    assert cache.get(b"a") == _ANSWER
    assert cache.get(b"b") is None
    assert cache.status().answers == 1


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": (1, 2, 4)},
        {"prompt": (1, 2)},
        {"max_tokens": 21},
        {"stop": ("y",)},
        {"stop": ()},
        {"stop_loops": False},
        {"structure": Structure.of_choices(["x"])},
        {"structure": Structure.of_schema({"type": "object"})},
    ],
)
def test_any_other_part_is_another_key(change: dict[str, Any]) -> None:
    assert answer_key("m", "t", replace(_REQUEST, **change)) != answer_key("m", "t", _REQUEST)


def test_another_model_or_template_is_another_key() -> None:
    keys = {answer_key(model, template, _REQUEST) for model in ("m", "n") for template in ("t", "u")}
    assert len(keys) == 4


@given(st.text(), st.text(), st.text(), st.text())
def test_parts_do_not_run_into_each_other(model: str, template: str, other: str, another: str) -> None:
    same = (model, template) == (other, another)
    assert (answer_key(model, template, _REQUEST) == answer_key(other, another, _REQUEST)) == same


def test_what_changes_nothing_in_an_exact_answer_is_no_part_of_the_key() -> None:
    same = replace(
        _REQUEST, draft=False, seed=4, messages=(Message("user", "hi"),), sources=(Source("file:///a", 1, 2),)
    )
    assert answer_key("m", "t", same) == answer_key("m", "t", _REQUEST)


def test_a_drawn_answer_has_no_key() -> None:
    with pytest.raises(AssertionError):
        answer_key("m", "t", replace(_REQUEST, temperature=0.1))


def test_old_answers_are_not_given(cache: AnswerCache, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    with_limit(monkeypatch, "answers.days", 2)
    cache.put(b"a", _ANSWER)
    clock.now += 2 * _DAY - 1
    assert cache.get(b"a") is not None  # being used does not make it younger
    clock.now += 1
    assert cache.get(b"a") is None
    cache.put(b"b", _ANSWER)
    assert cache.status().answers == 1


def test_the_least_recently_used_make_room(cache: AnswerCache, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    with_limit(monkeypatch, "answers.mib", 1)
    big = replace(_ANSWER, text="x" * 300_000)
    for key in (b"a", b"b", b"c"):
        cache.put(key, big)
        clock.now += 1
    assert cache.get(b"a") == big
    clock.now += 1
    cache.put(b"d", big)
    assert cache.get(b"b") is None
    assert [key for key in (b"a", b"c", b"d") if cache.get(key)] == [b"a", b"c", b"d"]
    assert cache.status().bytes <= 1 << 20


def test_an_answer_larger_than_the_cache_is_not_kept(cache: AnswerCache, monkeypatch: pytest.MonkeyPatch) -> None:
    with_limit(monkeypatch, "answers.mib", 1)
    cache.put(b"a", replace(_ANSWER, text="x" * (2 << 20)))
    assert cache.status().answers == 0


def test_clear_forgets_everything_and_may_be_called_again(cache: AnswerCache) -> None:
    cache.clear()
    cache.put(b"a", _ANSWER)
    cache.clear()
    assert cache.get(b"a") is None
    assert cache.status().bytes == 0


def files(cache: AnswerCache) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in cache.path.parent.iterdir()}


def test_nothing_of_what_was_forgotten_stays_on_the_disk(cache: AnswerCache) -> None:
    """Neither in the file nor beside it, also while somebody else has it open."""
    secret = "def hunter2(): ..." * 5_000
    cache.put(b"a", replace(_ANSWER, text=secret))
    with closing(sqlite3.connect(cache.path)) as other:
        assert other.execute("SELECT count(*) FROM answers").fetchone() == (1,)
        cache.put(b"b", replace(_ANSWER, text=secret))
        assert any(b"hunter2" in content for name, content in files(cache).items() if name.endswith("-wal"))
        cache.clear()
        assert [name for name, content in files(cache).items() if b"hunter2" in content] == []
        assert len(files(cache)[cache.path.name]) < len(secret)  # the room is given back, not only overwritten


def test_who_has_it_open_while_it_is_cleared_goes_on(cache: AnswerCache) -> None:
    """The file stays the same file: another process reads and writes it as before."""
    cache.put(b"a", _ANSWER)
    with closing(sqlite3.connect(cache.path)) as other:
        assert other.execute("SELECT count(*) FROM answers").fetchone() == (1,)
        cache.clear()
        cache.put(b"b", _ANSWER)
        assert other.execute("SELECT key FROM answers").fetchall() == [(b"b",)]
        with other:
            other.execute("DELETE FROM answers")
    assert cache.status().answers == 0


def test_a_cache_that_is_locked_is_not_said_to_be_cleared(cache: AnswerCache, monkeypatch: pytest.MonkeyPatch) -> None:
    with_limit(monkeypatch, "answers.lock_milliseconds", 0)
    cache.put(b"a", _ANSWER)
    with closing(sqlite3.connect(cache.path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(OSError, match="locked"):
            cache.clear()
    assert cache.get(b"a") == _ANSWER


@pytest.mark.parametrize("use", [lambda cache: cache.get(b"a"), AnswerCache.clear], ids=["used", "cleared"])
def test_nothing_is_left_beside_a_damaged_file(cache: AnswerCache, use: Any) -> None:
    """What belongs to the old file would be read as a part of the next one."""
    cache.path.parent.mkdir()
    for suffix in ("", "-wal", "-shm"):
        cache.path.with_name(cache.path.name + suffix).write_bytes(b"no database at all" * 100)
    use(cache)
    assert [name for name, content in files(cache).items() if b"at all" in content] == []
    cache.put(b"a", _ANSWER)
    assert cache.get(b"a") == _ANSWER


def test_a_damaged_cache_is_removed_with_what_is_beside_it(cache: AnswerCache) -> None:
    """SQLite leaves those while another process has them open; they quote code."""
    cache.path.parent.mkdir()
    for suffix in ("", "-wal", "-shm"):
        cache.path.with_name(cache.path.name + suffix).write_bytes(b"old")
    cache._remove()
    assert files(cache) == {}


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\x00" + b"\xff" * 5000])
def test_a_damaged_file_begins_anew(cache: AnswerCache, content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    cache.path.parent.mkdir()
    cache.path.write_bytes(content)
    assert cache.get(b"a") is None
    assert "damaged" in caplog.text
    cache.put(b"a", _ANSWER)
    assert cache.get(b"a") == _ANSWER


def test_a_file_of_another_version_begins_anew(cache: AnswerCache) -> None:
    cache.path.parent.mkdir()
    database = sqlite3.connect(cache.path)
    database.execute("CREATE TABLE answers (something TEXT)")
    database.execute("PRAGMA user_version = 77")
    database.close()
    cache.put(b"a", _ANSWER)
    assert cache.get(b"a") == _ANSWER


def test_foreign_content_is_no_answer(cache: AnswerCache) -> None:
    cache.put(b"a", _ANSWER)
    database = sqlite3.connect(cache.path)
    for content in ("[]", "{}", "no json", '{"text": "x", "reason": "whim"}'):
        with database:
            database.execute("UPDATE answers SET content = ?", (content,))
        assert cache.get(b"a") is None
    database.close()


def test_a_locked_file_costs_its_use_alone(
    cache: AnswerCache, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with_limit(monkeypatch, "answers.lock_milliseconds", 0)
    cache.put(b"a", _ANSWER)
    other = sqlite3.connect(cache.path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    cache.put(b"b", _ANSWER)
    assert "locked" in caplog.text
    other.execute("ROLLBACK")
    other.close()
    assert cache.get(b"a") == _ANSWER
    assert cache.get(b"b") is None


def test_a_folder_that_cannot_be_made_costs_its_use_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    cache = AnswerCache(tmp_path / "file" / "answers.sqlite")
    cache.put(b"a", _ANSWER)
    assert cache.get(b"a") is None
    assert "cannot be used" in caplog.text


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no file modes")
def test_only_the_user_may_read_it(cache: AnswerCache) -> None:
    mask = os.umask(0)
    try:
        cache.put(b"a", _ANSWER)
    finally:
        os.umask(mask)
    assert stat.S_IMODE(cache.path.stat().st_mode) == 0o600


def test_many_threads_and_caches_share_one_file(cache: AnswerCache) -> None:
    caches = [AnswerCache(cache.path, clock=lambda: 1e9) for _ in range(4)]
    cache.put(b"first", _ANSWER)

    def work(number: int) -> None:
        caches[number % 4].put(bytes([number]), replace(_ANSWER, text=str(number)))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(60)))
    kept = [cache.get(bytes([number])) for number in range(60)]
    assert all(answer is None or answer.text == str(number) for number, answer in enumerate(kept))
    assert sum(answer is not None for answer in kept) > 0
