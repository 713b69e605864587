from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanvibe_lsp.assist.evaluation.journal import Journal, code_digest, data_digest, journal_path
from leanvibe_lsp.errors import LeanVibeError

_TEXT = st.text(st.characters(codec="utf-8"), max_size=20)


def test_what_was_put_is_there_for_the_next_run(tmp_path: Path) -> None:
    """By section and case, the newest; a fresh one has nothing."""
    path = tmp_path / "deep" / "a.jsonl"
    first = Journal(path)
    first.put("risk", "a\nb", {"seconds": 1.5})
    first.put("risk", "a\nb", {"seconds": 2.5})
    first.put("fix", "a\nb", {})
    again = Journal(path)
    assert again.get("risk", "a\nb") == {"seconds": 2.5}
    assert (again.get("fix", "a\nb"), again.get("fix", "c"), len(again)) == ({}, None, 2)
    assert len(Journal(path, fresh=True)) == 0
    assert not path.exists()


@given(st.integers(0, 60), _TEXT)
def test_a_cut_line_costs_itself(tmp_path_factory: pytest.TempPathFactory, cut: int, case: str) -> None:
    """Wherever it is cut, what came before is there, and what is put afterwards too."""
    path = tmp_path_factory.mktemp("journal") / "a.jsonl"
    Journal(path).put("s", "first", {"n": 1})
    whole = path.read_bytes()
    Journal(path).put("s", case, {"n": 2})
    data = path.read_bytes()
    path.write_bytes(data[: max(len(whole), len(data) - cut)])
    again = Journal(path)
    assert again.get("s", "first") in ({"n": 1}, {"n": 2})
    again.put("s", "last", {"n": 3})
    assert Journal(path).get("s", "last") == {"n": 3}
    assert Journal(path).get("s", "first") is not None


def test_a_folder_that_cannot_be_written_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    """Hours of work that nobody keeps are not begun."""
    (tmp_path / "file").write_text("")
    with pytest.raises(LeanVibeError, match="LEANVIBE_CACHE_DIR"):
        Journal(tmp_path / "file" / "a.jsonl").put("s", "c", {})


def test_another_code_data_model_or_seed_has_another_journal(tmp_path: Path) -> None:
    """And the same the same."""
    paths = {
        journal_path(tmp_path, parts) for parts in (("c", "d", "m"), ("c", "d", "n"), ("c", "dm", ""), ("cd", "m"))
    }
    assert len(paths) == 4
    assert journal_path(tmp_path, ("c", "d", "m")) in paths


def test_the_datas_digest_is_of_what_is_read(tmp_path: Path) -> None:
    """Other files of the folder do not count; a changed one does."""
    (tmp_path / "a.jsonl").write_text("1")
    before = data_digest(tmp_path, ["a.jsonl", "b.jsonl"])
    (tmp_path / "c.jsonl").write_text("1")
    assert data_digest(tmp_path, ["b.jsonl", "a.jsonl"]) == before
    (tmp_path / "b.jsonl").write_text("")
    assert data_digest(tmp_path, ["a.jsonl", "b.jsonl"]) != before
    assert data_digest(None, ["a.jsonl"]) != before


def test_the_codes_digest_is_a_digest() -> None:
    """Of everything that answers depend on."""
    assert len(code_digest()) == 64
