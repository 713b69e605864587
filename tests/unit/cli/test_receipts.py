"""`leanvibe receipts`, as a person types it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from leanvibe_lsp.engine.base import Source
from leanvibe_lsp.engine.remote.receipts import Receipts, receipts_path

Leanvibe = Callable[..., "CompletedProcess[str]"]


@pytest.fixture
def noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Receipts:
    """Two receipts where the command looks for them."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    receipts = Receipts(receipts_path())
    assert receipts.path.is_relative_to(tmp_path)
    for name in ("first", "second"):
        with receipts.use("https://host:443", f"{name}\x1b[2J", "answer", [Source("file:///a%20b.py", 0, 3)]) as use:
            use.sent = 1234
    return receipts


def test_they_are_shown(noted: Receipts, leanvibe: Leanvibe) -> None:
    """When, where to, what, how much; control characters of a server's words do nothing."""
    done = leanvibe("receipts")
    assert done.returncode == 0
    assert "https://host:443" in done.stdout
    assert "sent 1,234 B" in done.stdout
    assert "/a b.py:1-4" in done.stdout
    assert "\x1b" not in done.stdout


def test_the_last_as_json(noted: Receipts, leanvibe: Leanvibe) -> None:
    """For programs, and only the newest."""
    (found,) = json.loads(leanvibe("receipts", "--json", "--last", "1").stdout)
    assert found["model"].startswith("second")
    assert found["files"] == [{"uri": "file:///a%20b.py", "startLine": 0, "endLine": 3}]
    assert (found["bytesSent"], found["outcome"]) == (1234, "ok")


def test_the_last_of_how_many(noted: Receipts, leanvibe: Leanvibe) -> None:
    """That there are more is said."""
    assert leanvibe("receipts", "--last", "1").stdout.endswith(f"1 of 2 receipts, in {noted.path}\n")
    assert leanvibe("receipts", "--last", "2").stdout.endswith(f"\n2 receipts, in {noted.path}\n")


def test_clear(noted: Receipts, leanvibe: Leanvibe) -> None:
    """Afterwards there is nothing, and nobody claims that nothing was sent."""
    assert leanvibe("receipts", "--clear", "--json").returncode == 2
    assert leanvibe("receipts", "--clear").stdout == "2 receipts are removed.\n"
    none = "There are no receipts: no server was used, or what was noted has been removed.\n"
    assert leanvibe("receipts").stdout == none
    assert leanvibe("receipts", "--json").stdout == "[]\n"
