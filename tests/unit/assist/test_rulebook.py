from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from leanvibe_lsp.assist.analyze import analyze
from leanvibe_lsp.assist.rulebook import Rulebook, RuleFault, forget, is_rule_file, load_rulebook, rulebook_of, use
from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.config.settings import EditorSettings
from leanvibe_lsp.documents.snapshot import read_snapshot
from leanvibe_lsp.tiers.rules import rules_for

RULE = "id: {}\nlanguage: Python\nmessage: No.\nrule: {{pattern: $F(7)}}\n"


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / ".leanvibe" / "rules" / "deep").mkdir(parents=True)
    yield tmp_path
    forget(tmp_path)


def write(root: Path, name: str, text: str) -> Path:
    file = root / ".leanvibe" / "rules" / name
    file.write_text(text)
    return file


def ids(book: Rulebook, path: Path | None) -> list[str]:
    return [rule.id for rule in book.rules_for("python", path)][len(rules_for("python")) :]


def test_a_workspace_s_rules_stand_beside_the_library(root: Path) -> None:
    """At any depth of the folder, for the files that they are about."""
    first = write(root, "a.yml", RULE.format("mine/a"))
    write(root, "deep/b.yaml", RULE.format("mine/b") + "files: ['src/**']\nignores: [old.py]\n")
    write(root, "c.txt", "no rule")
    book, faults = load_rulebook(root)
    assert faults == ()
    assert ids(book, root / "src" / "x.py") == ["mine/a", "mine/b"]
    assert ids(book, root / "src" / "old.py") == ["mine/a"]
    assert ids(book, root / "x.py") == ["mine/a"]
    assert ids(book, None) == ["mine/a"]
    assert book.rules_for("go") == rules_for("go")
    assert book.sources is not None
    assert book.sources["mine/a"] == first


def test_what_cannot_be_used_is_said_where_it_stands(root: Path) -> None:
    """With file and line; it costs itself alone."""
    broken = write(root, "a.yml", RULE.format("mine/a") + "---\nid: mine/b\nlanguage: Python\nrule: {kind: nonsense}\n")
    theirs = write(root, "b.yml", "\n" + RULE.format("python/is-literal"))
    twice = write(root, "c.yml", RULE.format("mine/a"))
    large = write(root, "d.yml", " " * (limit("rules.file_bytes") + 1))
    latin = root / ".leanvibe" / "rules" / "e.yml"
    latin.write_bytes(b"id: \xe9")
    book, faults = load_rulebook(root)
    assert [(fault.file, fault.line) for fault in faults] == [
        (broken, 8),
        (theirs, 2),
        (twice, 1),
        (large, 1),
        (latin, 1),
    ]
    assert "`nonsense` is invalid" in faults[0].message
    assert faults[1].message.startswith("id: python/is-literal is a rule of the library")
    assert faults[2].message == f"id: mine/a is in {broken} already"
    assert str(RuleFault(twice, 3, "no")) == f"{twice}:3: no"
    assert ids(book, None) == ["mine/a"]


def test_a_folder_without_rules(tmp_path: Path) -> None:
    """The library alone; so is what lies in no workspace."""
    for root in (tmp_path, None):
        book, faults = load_rulebook(root)
        assert (ids(book, None), faults) == ([], ())
    assert rulebook_of(tmp_path / "a.py").root is None


def test_the_rulebook_in_use_counts(root: Path) -> None:
    """From when it is taken into use, for what lies in its root; another one later finds what it finds."""
    file = root / "a.py"
    file.write_text("f(7)\ng(8)\n")
    snapshot = read_snapshot(file)
    found = []
    for text in (None, RULE.format("mine/a"), RULE.format("mine/a").replace("7", "8"), ""):
        if text is not None:
            write(root, "a.yml", text)
            use(load_rulebook(root)[0])
        found.append([(one.rule, one.quote) for one in analyze(snapshot, EditorSettings())])
    assert found == [[], [("mine/a", "f(7)")], [("mine/a", "g(8)")], []]


def test_which_files_hold_rules(root: Path) -> None:
    """Those with YAML's endings in the folder."""
    folder = root / ".leanvibe" / "rules"
    assert is_rule_file(folder / "deep" / "a.YAML", root)
    assert not is_rule_file(folder / "a.txt", root)
    assert not is_rule_file(root / "a.yml", root)
