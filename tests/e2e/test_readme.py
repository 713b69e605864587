"""The README's commands work as written."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SETUP = re.findall(r"^pip install uv && (.+)$", README, re.MULTILINE)


def test_two_commands_do_all_the_set_up() -> None:
    """There are two, on one line each: the main job, and the tests; CI ends with the second."""
    main_job, tests = SETUP
    assert main_job == 'uv run leanvibe ask "What does this module do?" leanvibe_lsp/cli/ask.py'
    assert (ROOT / ".ci" / "run").read_text().rstrip().splitlines()[-1] == tests


@pytest.mark.real_model
@pytest.mark.skipif(shutil.which("uv") is None, reason="uv is not here; `pip install uv` and run the tests again")
def test_the_first_command_answers() -> None:
    """The first command gives a real answer of the embedded model."""
    result = subprocess.run(["sh", "-c", SETUP[0]], cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("This module")
    assert "smollm2 · " in result.stderr


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`(tests/[\w/]+\.py)", README))))
def test_the_tests_it_names_exist(path: str) -> None:
    """A promise's test is where the README says."""
    assert (ROOT / path).is_file()


def test_every_room_is_on_the_map() -> None:
    """The Architecture section names each package."""
    section = README.partition("## Architecture")[2]
    rooms = [path.parent.name for path in (ROOT / "leanvibe_lsp").glob("*/__init__.py")]
    assert [room for room in rooms if f"`{room}/`" not in section] == []
