from __future__ import annotations

import os
from pathlib import Path

import pytest

from leanvibe_lsp.errors import UsageError
from leanvibe_lsp.review.files import absolute, plan, roots_of
from leanvibe_lsp.review.workspace import root_of, use_rules


def touch(root: Path, *names: str) -> None:
    for name in names:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x = 1\n")


def planned(*paths: str, exclude: tuple[str, ...] = ()) -> list[str]:
    return [one.shown for one in plan(absolute(map(Path, paths)), exclude).targets]


def test_folders_are_walked_for_files_with_rules(tmp_path: Path) -> None:
    """In a stable order; git's own folder, what git ignores, and languages without rules are left out."""
    touch(
        tmp_path, "b.py", "a/z.go", "a/c.py", "notes.md", "data.json", ".git/hooks.py", "out/d.py", "a/skip.py", "x.pyc"
    )
    (tmp_path / ".gitignore").write_text("/out/\nskip.*\n")
    assert planned(".") == ["a/c.py", "a/z.go", "b.py"]


def test_what_a_person_names_is_looked_at(tmp_path: Path) -> None:
    """A file that git ignores, a folder that it ignores; each once, however often it is named."""
    touch(tmp_path, "out/a.py", "out/b/c.py", "d.py", ".git/x")
    (tmp_path / ".gitignore").write_text("out/\n")
    assert planned(".") == ["d.py"]
    assert planned("out") == ["out/a.py", "out/b/c.py"]
    assert planned("out/a.py", ".", "out/../out/a.py") == ["d.py", "out/a.py"]


def test_a_file_without_rules_is_said_when_it_is_named(tmp_path: Path) -> None:
    """It is no error, and not looked at."""
    touch(tmp_path, "notes.md")
    found = plan(absolute([Path("notes.md")]))
    assert (found.targets, [one.place for one in found.left_out]) == ((), ["notes.md"])


def test_globs_leave_files_out_of_folders(tmp_path: Path) -> None:
    """Not the files that are named."""
    touch(tmp_path, "a.py", "gen/b.py", "gen/c.py")
    assert planned(".", exclude=("gen",)) == ["a.py"]
    assert planned(".", "gen/b.py", exclude=("gen/*",)) == ["a.py", "gen/b.py"]


def test_links_are_not_followed_out_of_a_folder(tmp_path: Path) -> None:
    """A loop of them does not go on for ever."""
    touch(tmp_path, "in/a.py", "elsewhere/b.py")
    (tmp_path / "in" / "loop").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "b.py").symlink_to(tmp_path / "elsewhere" / "b.py")
    assert planned("in") == ["in/a.py"]
    assert planned("in/b.py") == ["in/b.py"]


@pytest.mark.parametrize("path", ["nowhere", "no\0thing", "x" * 5_000])
def test_a_path_that_is_not_there_is_a_usage_error(path: str) -> None:
    """Whatever the system thinks of the name."""
    with pytest.raises(UsageError, match="does not exist"):
        absolute([Path(path)])


def test_the_innermost_workspace_counts(tmp_path: Path) -> None:
    """Paths in reports are from its folder on; with several of them from the working directory on."""
    touch(tmp_path, "one/.git/x", "one/src/a.py", "two/leanvibe.toml", "two/b.py", "c.py")
    assert root_of(tmp_path / "one" / "src" / "a.py") == tmp_path / "one"
    assert root_of(tmp_path / "two") == tmp_path / "two"
    assert root_of(tmp_path / "c.py") == tmp_path
    assert [one.within for one in plan(absolute([Path("one")])).targets] == ["src/a.py"]
    both = absolute([Path("one"), Path("two")])
    assert roots_of(both) == (tmp_path / "one", tmp_path / "two")
    assert [one.within for one in plan(both).targets] == ["one/src/a.py", "two/b.py"]


def test_a_language_of_the_workspace_s_own_rules_is_looked_at(tmp_path: Path) -> None:
    """Rules that are no rules are told with their file and line."""
    touch(tmp_path, "a.lua")
    folder = tmp_path / ".leanvibe" / "rules"
    folder.mkdir(parents=True)
    (folder / "own.yml").write_text("id: own/a\nlanguage: Lua\nrule: {pattern: f($A)}\n---\nid: own/b\n")
    assert planned(".") == []
    (trouble,) = use_rules([tmp_path])
    assert planned(".") == ["a.lua"]
    assert trouble.place == f"{folder / 'own.yml'}:5"


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_a_name_that_is_no_text_is_kept(tmp_path: Path) -> None:
    """Bytes that are not UTF-8 survive."""
    (tmp_path / os.fsdecode(b"caf\xe9.py")).write_text("x = 1\n")
    (one,) = plan(absolute([Path()])).targets
    assert os.fsencode(one.within) == b"caf\xe9.py"
