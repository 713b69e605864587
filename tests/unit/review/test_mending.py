from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from leanvibe_lsp.config.settings import EditorSettings
from leanvibe_lsp.documents.snapshot import read_snapshot
from leanvibe_lsp.errors import LeanVibeError
from leanvibe_lsp.review.mending import diff, mended, write

SETTINGS = EditorSettings(classifier=False)


def mend(tmp_path: Path, text: str, glob: str = "python/is-literal") -> tuple[str, tuple[str, ...]]:
    file = tmp_path / "a.py"
    file.write_bytes(text.encode())
    after, done = mended(read_snapshot(file), SETTINGS, lambda finding: finding.rule == glob)
    return after.text, done


def test_every_fix_of_a_file_is_made(tmp_path: Path) -> None:
    """Several on one line and in one definition, with the line ends that the file has."""
    text = "if x is 'a' or y is 'b':\r\n    z = x is '𝒻'\r\n\r\ndef f():\r\n    return x is 'é'\r\n"
    after, done = mend(tmp_path, text)
    assert after == "if x == 'a' or y == 'b':\r\n    z = x == '𝒻'\r\n\r\ndef f():\r\n    return x == 'é'\r\n"
    assert set(done) == {"python/is-literal"}


def test_only_wanted_fixes_are_made(tmp_path: Path) -> None:
    """What was not asked for stays as it is."""
    text = "if x is 'a':\n    pass\n"
    assert mend(tmp_path, text, "python/other") == (text, ())


def test_a_fix_that_does_not_stand_is_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is looked at like a model's."""
    monkeypatch.setattr("leanvibe_lsp.review.mending.fix_of", lambda *_: None)
    text = "if x is 'a':\n    pass\n"
    assert mend(tmp_path, text) == (text, ())


def test_what_silences_nothing_any_more_goes(tmp_path: Path) -> None:
    """The comment's own fix is one like the others."""
    text = "x = 1  # leanvibe: ignore[python/is-literal]\n"
    assert mend(tmp_path, text, "leanvibe/unused-suppression")[0] == "x = 1\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a\nb\n", "a\nc\n"),
        ("a\nb", "a\nc"),
        ("a\nb", "a\nb\n"),
        ("a\r\nb\r\n", "a\r\nc\r\n"),
        ("é\x0c\u2028x\n", "é\n"),
    ],
)
def test_git_takes_the_diff(tmp_path: Path, before: str, after: str) -> None:
    """With and without an end of the last line, and with what Python alone takes for one."""
    file = tmp_path / "sub" / "a.py"
    file.parent.mkdir()
    file.write_bytes(before.encode())
    subprocess.run(
        ["git", "apply", "-"], input=diff("sub/a.py", before, after).encode(), cwd=tmp_path, check=True, timeout=60
    )
    assert file.read_bytes() == after.encode()


def test_a_file_is_written_whole(tmp_path: Path) -> None:
    """Its mode, its byte order mark and a link to it stay; nothing else lies beside it."""
    file, link = tmp_path / "a.py", tmp_path / "b.py"
    file.write_bytes(b"\xef\xbb\xbfold\r\n")
    file.chmod(0o754)
    link.symlink_to(file)
    write(link, "old\r\n", "new é\r\n")
    assert file.read_bytes() == b"\xef\xbb\xbf" + "new é\r\n".encode()
    assert link.is_symlink()
    assert stat.S_IMODE(file.stat().st_mode) == 0o754
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.py", "b.py"]


def test_a_file_that_changed_meanwhile_is_left_alone(tmp_path: Path) -> None:
    """Somebody is at work on it."""
    file = tmp_path / "a.py"
    file.write_text("theirs\n")
    with pytest.raises(LeanVibeError, match="changed meanwhile"):
        write(file, "old\n", "new\n")
    assert file.read_text() == "theirs\n"


def test_a_failing_write_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing half written beside it."""
    file = tmp_path / "a.py"
    file.write_text("old\n")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(LeanVibeError, match="No space left"):
        write(file, "old\n", "new\n")
    assert [one.name for one in tmp_path.iterdir()] == ["a.py"]
    assert file.read_text() == "old\n"
