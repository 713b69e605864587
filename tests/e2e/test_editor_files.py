"""The settings files for editors that are not run here: they can be read, and the server knows what they set."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

from leanvibe_lsp.config.options import read_options

EDITORS = Path(__file__).parents[2] / "editors"
HELIX = tomllib.loads((EDITORS / "helix" / "languages.toml").read_text(encoding="utf-8"))
ZED = json.loads((EDITORS / "zed" / "settings.json").read_text(encoding="utf-8"))


def unknown(settings: dict[str, Any]) -> list[str]:
    """What the server would complain about."""
    reading = read_options(settings)
    assert reading.values
    return [f"{problem.field}: {problem.message}" for problem in reading.problems]


def test_helix_starts_the_server_with_settings_it_knows() -> None:
    """The program, its settings when it starts, and every language has it."""
    server = HELIX["language-server"]["leanvibe"]
    assert server["command"] == "leanvibe-lsp"
    assert unknown(server["config"]) == []
    assert [language["name"] for language in HELIX["language"] if "leanvibe" not in language["language-servers"]] == []


def test_zed_starts_the_server_with_settings_it_knows() -> None:
    """The same, with the settings that the server asks for."""
    server = ZED["lsp"]["leanvibe"]
    assert server["binary"]["path"] == "leanvibe-lsp"
    assert unknown(server["initialization_options"]) == []
    assert unknown(server["settings"]["leanvibe"]) == []
    assert [name for name, one in ZED["languages"].items() if one["language_servers"] != ["leanvibe", "..."]] == []


def test_a_setting_that_is_gone_would_be_found() -> None:
    """The check above tells a misspelt name."""
    assert unknown({"model": "smollm2", "hover": {"sumary": True}})[0].startswith("hover.sumary: ")
