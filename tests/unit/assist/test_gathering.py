"""What belongs to a question: from the open documents, from disk, from tools; never from a file of secrets."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from leanvibe_lsp.assist.answer import Place
from leanvibe_lsp.assist.gathering import gather
from leanvibe_lsp.config.settings import EditorSettings
from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents.gathered import NOTHING, Diagnostic, Gathered, Surroundings
from leanvibe_lsp.documents.snapshot import Snapshot, read_snapshot
from leanvibe_lsp.documents.store import DocumentStore
from leanvibe_lsp.errors import UsageError

_MAIN = "from pkg.text import split\nimport secrets_file\n\ndef main(x):\n    return split(x) + hide(x) + gone(x)\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A workspace in which `split` is defined twice, and `hide` in files that nobody may see."""
    for name, text in {
        "main.py": _MAIN,
        "pkg/text.py": "def split(on_disk):\n    pass\n",
        "pkg/more.py": "def split(other):\n    pass\n",
        "pkg/.env.py": "def hide(): ...\n",
        "private/hide.py": "def hide(): ...\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path.resolve()


def place(root: Path, text: str | None = "split(x)") -> Place:
    snapshot = read_snapshot(root / "main.py")
    start = snapshot.text.index(text) if text else 0
    return Place(snapshot, Span(start, start + len(text)) if text else None)


def open_document(path: Path, text: str) -> Snapshot:
    return DocumentStore().open(path.as_uri(), "python", 1, text)


def seen(gathered: Gathered) -> list[tuple[str, str]]:
    return [(one.what, one.symbol.signature) for one in gathered.related]


def test_from_disk(root: Path) -> None:
    """The definition that the import names; what a glob of the settings hides is not there."""
    around = Surroundings(roots=(root,), settings=EditorSettings(secrets=("private",)))
    assert seen(gather((place(root),), around)) == [("definition of split", "def split(on_disk)")]


def test_unsaved_text_comes_first(root: Path) -> None:
    """What is open counts as it is in the editor, and the file of that name does not."""
    document = open_document(root / "pkg" / "text.py", "def split(unsaved): ...\n")
    found = gather((place(root),), Surroundings((document,), (root,)))
    assert ("definition of split", "def split(unsaved)") in seen(found)
    assert "on_disk" not in str(seen(found))


def test_the_disk_needs_a_root(root: Path) -> None:
    """Without one, or from a buffer that is no file, only open documents are looked at."""
    document = open_document(root / "x.py", "def gone(x): ...\n")
    expected = [("definition of gone", "def gone(x)")]
    assert seen(gather((place(root),), Surroundings((document,)))) == expected
    unsaved = Place(DocumentStore().open("untitled:1", "python", 1, _MAIN), Span(0, len(_MAIN)))
    assert seen(gather((unsaved,), Surroundings((document,), (root,)))) == expected


@pytest.mark.skipif(os.name == "nt", reason="links need a right of their own on Windows")
def test_open_secrets_are_passed_over(root: Path) -> None:
    """An open file of secrets, by name, by link or by a person's glob, gives nothing."""
    (root / "plain.py").symlink_to(root / "pkg" / ".env.py")
    text = "def gone(x): ...\n"
    documents = tuple(open_document(root / name, text) for name in (".env.py", "plain.py", "private/y.py"))
    settings = EditorSettings(secrets=("private/**",))
    assert seen(gather((place(root),), Surroundings(documents, settings=settings))) == []


def test_a_question_about_secrets_is_refused(root: Path) -> None:
    """Any of the places; at once, before a model is loaded."""
    secret = Place(open_document(root / "prod.env", "A=1"))
    with pytest.raises(UsageError, match=r"prod\.env is not shown to a model"):
        gather((place(root), secret), Surroundings())


def test_no_place_and_no_language(root: Path) -> None:
    """Nothing to look for is no error."""
    assert gather((), Surroundings(roots=(root,))) == NOTHING
    notes = Place(DocumentStore().open("untitled:n", "klingon", 1, "split(x)"))
    assert gather((notes,), Surroundings(roots=(root,))) == NOTHING


def test_diagnostics_of_the_editor_and_our_own(root: Path) -> None:
    """Both, each once; none of our own where they are switched off."""
    text = "def f(x=[]):\n    return x\n"
    document = DocumentStore().open("untitled:d", "python", 1, text)
    own = gather((Place(document),), Surroundings()).diagnostics
    assert [one.source for one in own] == ["leanvibe"]
    theirs = Diagnostic(Span(0, 3), "said", "E1", "ruff")
    both = gather((Place(document),), Surroundings(diagnostics=(theirs, own[0]))).diagnostics
    assert both == (theirs, own[0])
    off = Surroundings(diagnostics=(theirs,), settings=EditorSettings(diagnostics=False))
    assert gather((Place(document),), off).diagnostics == (theirs,)


def test_a_whole_file_speaks_for_itself(root: Path) -> None:
    """A question about all of a file is answered from it; what it uses elsewhere would crowd it out."""
    document = DocumentStore().open("file:///other.py", "python", 1, "def gone(x):\n    return x\n")
    whole = Place(DocumentStore().open("untitled:1", "python", 1, _MAIN))
    assert seen(gather((whole,), Surroundings((document,), (root,)))) == []
