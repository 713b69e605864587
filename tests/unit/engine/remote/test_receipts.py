"""Receipts: written first, whole after a crash, bounded, and for the user alone."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from leanvibe_lsp.engine.base import Source
from leanvibe_lsp.engine.remote.receipts import UNFINISHED, Receipts
from leanvibe_lsp.errors import RemoteError, Withheld

SetLimit = Callable[[str, float], None]
SERVER = "https://host:443"


def note(receipts: Receipts, count: int = 1) -> None:
    for _ in range(count):
        with receipts.use(SERVER, "m", "answer", [Source("file:///a.py", 0, 3)], size=100) as use:
            use.sent, use.received = 90, 7


def test_a_use_is_noted_before_and_after(receipts: Receipts) -> None:
    """While it runs its end is not known; then it is, also of one that failed."""
    with receipts.use(SERVER, "m", "answer", [Source("file:///a.py", 0, 3)], size=100) as use:
        (before,) = receipts.read()
        use.sent, use.received = 90, 7
    (after,) = receipts.read()
    assert (before.outcome, before.bytes_sent) == (UNFINISHED, 100)
    assert (after.outcome, after.bytes_sent, after.bytes_received) == ("ok", 90, 7)
    assert after.files == (Source("file:///a.py", 0, 3),)
    with pytest.raises(RemoteError), receipts.use(SERVER, "m", "models"):
        raise RemoteError("it broke.")
    with pytest.raises(KeyError), receipts.use(SERVER, "m", "models"):
        raise KeyError("private")
    assert [receipt.outcome for receipt in receipts.read()] == ["ok", "RemoteError: it broke.", "KeyError"]


@pytest.mark.skipif(os.name == "nt", reason="POSIX modes")
def test_they_are_for_the_user_alone(receipts: Receipts) -> None:
    """Whatever the file's mode was before."""
    note(receipts)
    receipts.path.chmod(0o644)
    note(receipts)
    assert stat.S_IMODE(receipts.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(receipts.path.parent.stat().st_mode) == 0o700


def test_a_torn_line_costs_itself(receipts: Receipts) -> None:
    """A crash in the middle of a line, and what is no receipt, leave the others readable and the next one whole."""
    note(receipts)
    with receipts.path.open("ab") as file:
        file.write(b'[1]\n"x"\n{"outcome": 3, "id": []}\n\xff\xfe\n{"id": "torn", "time": "20')
    note(receipts)
    assert [receipt.outcome for receipt in receipts.read()] == ["ok", "ok"]


def test_they_are_bounded_by_size(receipts: Receipts, set_limit: SetLimit) -> None:
    """The oldest go first, the newest stay."""
    set_limit("receipts.kib", 4)
    note(receipts, 40)
    assert receipts.path.stat().st_size < 5 * 1024
    found = receipts.read()
    assert 3 < len(found) < 40
    assert found[-1].outcome == "ok"


def test_they_are_bounded_by_age(receipts: Receipts) -> None:
    """What is older than the row's days is dropped with the next use."""
    note(receipts, 2)
    receipts.path.write_text(re.sub(r'"time": "\d{4}', '"time": "2020', receipts.path.read_text()))
    assert len(receipts.read()) == 2
    note(receipts)
    assert len(receipts.read()) == 1


def test_processes_do_not_mix_their_lines(receipts: Receipts, tmp_path: Path) -> None:
    """Several write at once, and drop old ones: every line is whole."""
    code = (
        "import dataclasses, pathlib, sys\n"
        "from leanvibe_lsp.config import limits\n"
        "row = limits.LIMITS['receipts.kib']\n"
        "limits.LIMITS['receipts.kib'] = dataclasses.replace(row, default=64)\n"
        "from leanvibe_lsp.engine.remote.receipts import Receipts\n"
        "for number in range(100):\n"
        "    with Receipts(pathlib.Path(sys.argv[1])).use('s', 'm' * 300, sys.argv[2]) as use: use.sent = number\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, str(receipts.path), name]) for name in "abc"]
    assert [process.wait(120) for process in running] == [0, 0, 0]
    lines = receipts.path.read_bytes().splitlines()
    assert all(json.loads(line)["id"] for line in lines)
    found = receipts.read()
    assert [receipt for receipt in found if receipt.outcome != "ok"] == []
    assert found[-1].bytes_sent == 99


@pytest.mark.parametrize("plant", ["a file for a folder", "a folder for the file"])
def test_without_a_receipt_nothing_happens(receipts: Receipts, tmp_path: Path, plant: str) -> None:
    """What cannot be noted is not begun; the error says where and why."""
    if plant == "a file for a folder":
        receipts.path.parent.write_text("in the way")
    else:
        receipts.path.mkdir(parents=True)
    with pytest.raises(Withheld, match="so nothing was sent") as caught, receipts.use(SERVER, "m", "answer"):
        pytest.fail("begun")
    assert str(receipts.path) in caught.value.message


def test_clearing_throws_all_away(receipts: Receipts) -> None:
    """Also when there is nothing."""
    assert receipts.clear() == 0
    note(receipts, 2)
    assert receipts.clear() == 2
    assert receipts.read() == []
