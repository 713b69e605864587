from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from leanvibe_lsp.config import limits
from leanvibe_lsp.documents.snapshot import read_regular_file, read_snapshot
from leanvibe_lsp.errors import UsageError


def test_reads_a_file_as_it_is(tmp_path: Path) -> None:
    """Text, line endings and path come as they are on disk."""
    path = tmp_path / "a b.py"
    path.write_bytes("é = 1\r\nx\n".encode())
    snapshot = read_snapshot(path)
    assert (snapshot.text, snapshot.path, snapshot.version) == ("é = 1\r\nx\n", path, None)
    assert snapshot.uri.endswith("/a%20b.py")
    assert snapshot.lines.line_count == 3


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    """UTF-8 with a byte order mark reads like UTF-8 without one."""
    path = tmp_path / "a.py"
    path.write_bytes(b"\xef\xbb\xbfx = 1\n")
    assert read_snapshot(path).text == "x = 1\n"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"ab\0c", r"bin is a binary file: byte 2 is NUL"),
        (b"caf\xe9 ", r"bin is not UTF-8: byte 3 \(0xe9\)"),
        (b"\xef\xbb\xbf\xff", r"byte 3 \(0xff\)"),
    ],
)
def test_what_is_no_text_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    """The error names the file, the byte and what to do."""
    path = tmp_path / "bin"
    path.write_bytes(data)
    with pytest.raises(UsageError, match=message) as caught:
        read_snapshot(path)
    assert caught.value.next_step


def test_missing_and_folder(tmp_path: Path) -> None:
    """A path that leads to no file says which kind of nothing it is."""
    with pytest.raises(UsageError, match=r"nope\.py does not exist"):
        read_snapshot(tmp_path / "nope.py")
    with pytest.raises(UsageError, match="is a folder"):
        read_snapshot(tmp_path)
    with pytest.raises(UsageError, match="cannot be read"):
        read_snapshot(tmp_path / "a\0b")


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that may not be read says so; root may read anything, so the refusal is made here."""

    def refuse(*_: object) -> None:
        raise PermissionError(13, "no")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UsageError, match="may not be read"):
        read_snapshot(tmp_path / "a.py")
    with pytest.raises(UsageError, match="is a folder"):
        read_snapshot(tmp_path)


def test_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of exactly the limit is read, one byte more is refused with the limit in the message."""
    row = limits.LIMITS["document.read_bytes"]
    monkeypatch.setitem(limits.LIMITS, "document.read_bytes", replace(row, default=1024))
    path = tmp_path / "a.txt"
    path.write_bytes(b"x" * 1024)
    assert len(read_snapshot(path).text) == 1024
    path.write_bytes(b"x" * 1025)
    with pytest.raises(UsageError, match="larger than 1,024 bytes"):
        read_snapshot(path)


def test_a_server_does_not_wait_for_a_pipe(tmp_path: Path) -> None:
    """A named pipe, which nobody may ever write to, is refused at once; a file is read."""
    pipe, file = tmp_path / "pipe", tmp_path / "a.py"
    os.mkfifo(pipe)
    file.write_text("x = 1")
    with pytest.raises(UsageError, match="pipe is not a regular file"):
        read_regular_file(pipe)
    with pytest.raises(UsageError, match="does not exist"):
        read_regular_file(tmp_path / "none")
    assert read_regular_file(file).text == "x = 1"
