"""What the VS Code extension says of itself agrees with the server; no editor is started."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from leanvibe_lsp import __version__
from leanvibe_lsp.config.schema import vscode_properties
from leanvibe_lsp.lsp.actions import COMMANDS

EXTENSION = Path(__file__).parents[3] / "editors" / "vscode"
MANIFEST = json.loads((EXTENSION / "package.json").read_text(encoding="utf-8"))
OWN = ("leanvibe.server.path", "leanvibe.trace.server")


def test_the_settings_are_those_of_the_server() -> None:
    """Each setting of the server is one of the extension's, word for word; two more are its own.

    After a change of the settings: `uv run python -m tests.e2e.vscode.test_manifest`.
    """
    given = MANIFEST["contributes"]["configuration"]["properties"]
    assert {name: one for name, one in given.items() if name not in OWN} == vscode_properties()
    assert [name for name in OWN if name not in given] == []


def test_no_command_has_the_name_of_one_of_the_servers() -> None:
    """The client library registers the server's commands itself; a second one of the name ends its start."""
    ours = {command["command"] for command in MANIFEST["contributes"]["commands"]}
    assert ours & set(COMMANDS) == set()


def test_every_command_is_made_by_the_code() -> None:
    """The manifest's commands are those that `commands.ts` registers."""
    source = (EXTENSION / "src" / "commands.ts").read_text(encoding="utf-8")
    table = source.partition("Record<string, Command> = {")[2].partition("\n  };")[0]
    made = re.findall(r"^    (\w+): \(", table, re.MULTILINE)
    assert [f"leanvibe.ui.{name}" for name in made] == [one["command"] for one in MANIFEST["contributes"]["commands"]]


def test_it_has_the_version_of_the_server() -> None:
    """Both are released together."""
    assert MANIFEST["version"] == __version__


def test_the_lock_file_names_no_host() -> None:
    """Packages come from whichever registry a machine uses, and each has its digest."""
    lock = json.loads((EXTENSION / "package-lock.json").read_text(encoding="utf-8"))
    packages = {name: one for name, one in lock["packages"].items() if name}
    assert [name for name, one in packages.items() if "resolved" in one] == []
    assert [name for name, one in packages.items() if "integrity" not in one] == []
    assert (
        subprocess.run(
            ["git", "check-ignore", "-q", "editors/vscode/package-lock.json"], cwd=EXTENSION.parents[1], check=False
        ).returncode
        != 0
    )


def _rewrite() -> None:
    """Put the server's settings into the manifest."""
    given = MANIFEST["contributes"]["configuration"]["properties"]
    MANIFEST["contributes"]["configuration"]["properties"] = {name: given[name] for name in OWN} | vscode_properties()
    text = json.dumps(MANIFEST, indent=2, ensure_ascii=False)
    (EXTENSION / "package.json").write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(_rewrite())
