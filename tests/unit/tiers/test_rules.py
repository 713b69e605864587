from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from leanvibe_lsp.tiers import rule_files, rules
from leanvibe_lsp.tiers.rules import LIBRARY, library_ids, rules_for


@pytest.fixture(autouse=True)
def _nothing_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEANVIBE_CACHE_DIR", str(tmp_path / "cache"))
    rules_for.cache_clear()
    rules._folder.cache_clear()


def test_nothing_is_imported_before_the_first_text() -> None:
    """ast-grep and YAML cost the start of the server nothing."""
    code = "import sys, leanvibe_lsp.lsp.assembly; print({'ast_grep_py', 'yaml'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "set()"


def test_what_was_read_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second process reads no YAML, and has the same rules; of another stamp nothing is taken."""
    (tmp_path / "go").mkdir()
    for file in sorted((LIBRARY / "go").glob("*.yml"))[:3]:
        shutil.copy(file, tmp_path / "go")
    monkeypatch.setattr(rules, "LIBRARY", tmp_path)
    first = rules_for("go")
    reads: list[str] = []
    read = rule_files.read_file

    def counted(text: str, *, trusted: bool) -> rule_files.RuleFile:
        reads.append(text)
        return read(text, trusted=trusted)

    monkeypatch.setattr(rule_files, "read_file", counted)
    for damage, count in ((None, 0), ("stamp", len(first)), ("json", len(first))):
        kept = rules._cache_folder() / "go.json"
        if damage is not None:
            content = json.dumps({**json.loads(kept.read_text()), "stamp": "old"}) if damage == "stamp" else "{"
            kept.write_text(content)
        rules_for.cache_clear()
        rules._folder.cache_clear()
        reads.clear()
        again = rules_for("go")
        assert len(reads) == count
        assert [(rule.id, rule.matcher, rule.needed) for rule in again] == [
            (rule.id, rule.matcher, rule.needed) for rule in first
        ]


def test_a_change_of_a_file_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the library, which is read anew then; without a folder to keep it in it is read too."""
    monkeypatch.setattr(rules, "LIBRARY", tmp_path / "library")
    monkeypatch.setenv("LEANVIBE_CACHE_DIR", str(tmp_path / "file" / "cache"))
    (tmp_path / "file").write_text("no folder")
    file = tmp_path / "library" / "go" / "a.yml"
    file.parent.mkdir(parents=True)
    for cache in ("file", "cache"):
        monkeypatch.setenv("LEANVIBE_CACHE_DIR", str(tmp_path / cache / "cache"))
        for message in ("one", "three"):
            file.write_text(f"id: go/a\nlanguage: Go\nmessage: {message}\nrule: {{pattern: f()}}")
            rules_for.cache_clear()
            rules._folder.cache_clear()
            assert [rule.message for rule in rules_for("go")] == [message]


def test_the_ids_are_known_without_reading() -> None:
    """Those of the files."""
    assert {f"{file.parent.name}/{file.stem}" for file in LIBRARY.rglob("*.yml")} == library_ids()
