from __future__ import annotations

from pathlib import Path

import pytest

from leanvibe_lsp.cli.targets import place_of
from leanvibe_lsp.errors import UsageError

_TEXT = "one\ntwo\r\nthree\rfour"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Four lines with every line ending there is."""
    found = tmp_path / "f.py"
    found.write_bytes(_TEXT.encode())
    return found


@pytest.mark.parametrize(
    ("lines", "text"),
    [(":1", "one"), (":2", "two"), (":3", "three"), (":4", "four"), (":2-3", "two\r\nthree"), (":1-4", _TEXT)],
)
def test_lines_count_from_one(file: Path, lines: str, text: str) -> None:
    """FILE:LINE is that line, FILE:FIRST-LAST includes the last, without its line ending."""
    place = place_of(f"{file}{lines}")
    assert place.span is not None
    assert place.snapshot.text[place.span.start : place.span.end] == text


def test_a_file_alone_is_the_whole_file(file: Path) -> None:
    """No lines: no span."""
    assert place_of(str(file)).span is None


@pytest.mark.parametrize("lines", [":0", ":5", ":3-2", ":1-5", ":0-0", ":99999999999999999"])
def test_lines_that_are_not_there(file: Path, lines: str) -> None:
    """The error says what was written and how many lines there are."""
    with pytest.raises(UsageError, match="the file has 4") as caught:
        place_of(f"{file}{lines}")
    assert lines in caught.value.message


def test_a_file_called_like_a_place(tmp_path: Path) -> None:
    """A file that is literally called `x:3` is taken whole; its second line is `x:3:2`."""
    (tmp_path / "x:3").write_text("first\nsecond", encoding="utf-8")
    assert place_of(f"{tmp_path}/x:3").span is None
    place = place_of(f"{tmp_path}/x:3:2")
    assert place.span is not None
    assert place.snapshot.text[place.span.start :] == "second"


def test_a_windows_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The colon of a drive is no line."""
    monkeypatch.chdir(tmp_path)
    Path("C:\\work\\a.py").write_text("one\ntwo", encoding="utf-8")
    assert place_of("C:\\work\\a.py").span is None
    place = place_of("C:\\work\\a.py:2")
    assert place.span is not None
    assert place.span.start == 4


@pytest.mark.parametrize(
    "target", ["nowhere.py", "nowhere.py:1", "", ".", "x" * 5_000, "x" * 5_000 + ":3", "a\0b", "f:٣"]
)
def test_what_is_no_file(target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Missing files, folders, names too long or impossible: UsageError, whatever the system raised."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as caught:
        place_of(target)
    assert caught.value.next_step
