"""The real `leanvibe check`: in a process of its own, over a folder, interrupted, into a pipe that closes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

BAD = "def f(x=[]):\n    if x is 'a':\n        pass\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files of several languages, enough for several processes."""
    for number in range(24):
        (tmp_path / f"m{number:02}.py").write_text(f"# {number}\n{BAD}" + f"y{number} = 1\n" * 2_000)
    (tmp_path / "a.js").write_text("eval(location.hash)\n")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "b.py").write_text(BAD)
    (tmp_path / ".gitignore").write_text("out/\n")
    return tmp_path


def command(*args: str) -> list[str]:
    return [sys.executable, "-m", "leanvibe_lsp", "check", "--no-classifier", *args]


def environment(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LEANVIBE_")}
    return {**kept, "HOME": str(folder / "no-home"), "LEANVIBE_CACHE_DIR": str(folder / "out" / "cache")}


def check(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*args), capture_output=True, text=True, timeout=280, cwd=folder, env=environment(folder), check=False
    )


@pytest.mark.slow
def test_one_process_and_several_find_the_same(folder: Path) -> None:
    """Byte for byte, in every format; what git ignores is left out."""
    alone, beside = (check(folder, "--format", "sarif", "--jobs", jobs) for jobs in ("1", "3"))
    assert alone.returncode == beside.returncode == 1, alone.stderr
    assert alone.stdout == beside.stdout
    results = json.loads(alone.stdout)["runs"][0]["results"]
    assert len(results) >= 2 * 24
    assert not any("out" in json.dumps(one["locations"]) for one in results)


@pytest.mark.slow
def test_fixes_are_written_by_the_real_command(folder: Path) -> None:
    """And the diff it shows before is what it then does."""
    shown = check(folder, "--fix", "--diff", "--jobs", "2")
    copy = folder / "out" / "copy"
    copy.mkdir()
    (copy / "m00.py").write_bytes((folder / "m00.py").read_bytes())
    applied = subprocess.run(
        ["git", "apply", "--include=m00.py", "-"], input=shown.stdout, text=True, cwd=copy, timeout=60, check=False
    )
    assert applied.returncode == 0
    done = check(folder, "--fix", "--jobs", "2")
    assert done.stderr.count("fixed 1 finding in m") == 24
    assert (folder / "m00.py").read_bytes() == (copy / "m00.py").read_bytes()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT to send")
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_an_interrupt_gives_what_was_found(folder: Path, jobs: str) -> None:
    """With an exit code of its own, and no traceback."""
    for number in range(400):
        (folder / f"n{number:03}.py").write_text(f"# {number}\n{BAD}" + f"y{number} = g({number})\n" * 1_500)
    process = subprocess.Popen(
        command("--format", "json", "--jobs", jobs),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
        env={**environment(folder), "PYTHONUNBUFFERED": "1"},
        start_new_session=True,
    )
    _wait_for_work(process)
    os.killpg(process.pid, signal.SIGINT)
    output, errors = process.communicate(timeout=280)
    assert process.returncode == 130, errors
    assert b"Traceback" not in errors
    assert json.loads(output)["summary"]["unfinished"] > 0


def _wait_for_work(process: subprocess.Popen[bytes]) -> None:
    """Until it, or a process of its own, has opened a grammar, and so begun to look."""
    watched = psutil.Process(process.pid)
    while not any(_looks(one) for one in (watched, *watched.children())):
        assert process.poll() is None


def _looks(process: psutil.Process) -> bool:
    try:
        return any("tree_sitter_python" in one.path for one in process.memory_maps())
    except psutil.Error:
        return False


@pytest.mark.slow
def test_a_reader_that_goes_away_ends_it_quietly(folder: Path) -> None:
    """As `| head -1` does."""
    with subprocess.Popen(
        command(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=folder, env=environment(folder)
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
    assert b"Traceback" not in errors
    assert process.returncode in (1, 141)
