from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tree_sitter import Parser

from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents import grammars, scopes
from leanvibe_lsp.documents.bytemap import ByteMap
from leanvibe_lsp.documents.context import pack
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.documents.store import DocumentStore

CORE = [
    "python",
    "javascript",
    "typescript",
    "tsx",
    "go",
    "rust",
    "java",
    "c",
    "cpp",
    "csharp",
    "ruby",
    "php",
    "bash",
    "json",
    "html",
    "css",
]


@pytest.fixture
def _fresh() -> Iterator[None]:
    grammars.grammar.cache_clear()
    grammars._tail_library.cache_clear()
    yield
    grammars.grammar.cache_clear()
    grammars._tail_library.cache_clear()


def snapshot_of(text: str, language: str) -> Snapshot:
    return DocumentStore().open("untitled:x", language, 1, text)


@pytest.mark.parametrize(
    ("language_id", "path", "language"),
    [
        ("python", None, "python"),
        ("csharp", None, "csharp"),
        ("shellscript", None, "bash"),
        ("javascriptreact", "a.ts", "javascript"),
        ("typescriptreact", None, "tsx"),
        ("Python", None, "python"),
        ("", "a/b.PY", "python"),
        ("plaintext", "b.tsx", "tsx"),
        ("", "Makefile", "make"),
        ("", "Gemfile", "ruby"),
        ("", "go.mod", "gomod"),
        ("", "a.unknown", None),
        ("nonsense", None, None),
        ("", "README", None),
    ],
)
def test_language_of(language_id: str, path: str | None, language: str | None) -> None:
    """The client's id decides when it is known, else the file's name."""
    assert grammars.language_of(language_id, Path(path) if path else None) == language


@pytest.mark.parametrize("language", CORE)
def test_core_grammars(language: str) -> None:
    """Every core language has a grammar of this tree-sitter's ABI that parses."""
    assert grammars.obstacle(snapshot_of("", language)) == ""
    assert grammars.parse(snapshot_of("", language)) is not None


@pytest.mark.skipif(
    importlib.util.find_spec("tree_sitter_languages") is None,
    reason="the all-languages extra is not installed: uv sync --extra all-languages (Python below 3.13)",
)
def test_the_long_tail() -> None:
    """Grammars without a maintained wheel come out of the bundled library, and its package is not imported."""
    for language, text in {"kotlin": b"fun f() {}", "lua": b"function f() end", "toml": b"a = 1"}.items():
        found = grammars.grammar(language)
        assert found is not None
        assert not Parser(found).parse(text).root_node.has_error
    assert "tree_sitter_languages" not in sys.modules


@pytest.mark.usefixtures("_fresh")
def test_without_the_long_tail(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without that package the language has no grammar, and the reason says so."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert grammars.grammar("kotlin") is None
    assert grammars.obstacle(snapshot_of("fun f() {}", "kotlin")) == "no grammar for kotlin is installed"
    assert grammars.parse(snapshot_of("fun f() {}", "kotlin")) is None


@pytest.mark.usefixtures("_fresh")
def test_a_broken_wheel_falls_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """When a maintained wheel does not load, the long tail is asked, and an unloadable library is no error."""

    def fail(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", fail)
    monkeypatch.setattr(grammars.ctypes, "CDLL", lambda _: (_ for _ in ()).throw(OSError("wrong platform")))
    assert grammars.grammar("python") is None


def test_unknown_language() -> None:
    """A language nobody knows has no grammar and no tree."""
    assert grammars.grammar("nonsense") is None
    assert grammars.obstacle(snapshot_of("x", "nonsense")) == "the language is not known"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x" * 20_001, "a line is longer than 20,000 characters"),
        ("x\n" * (1 << 20) + "x", "the text is larger than 2,097,152 bytes"),
        ("é\n" * 800_000, "the text is larger than 2,097,152 bytes"),
        ("x" * 20_000 + "\r" + "y" * 20_000, ""),
        ("x\n" + "x" * 20_000 + "\r\n" + "y" * 20_001, "a line is longer than 20,000 characters"),
        ("\n" + "x" * 20_000, ""),
        ("é\n" * 699_050, ""),
        ("x\0y", "the text is binary: it has a NUL character"),
    ],
)
def test_too_large(text: str, reason: str) -> None:
    """Minified lines and huge texts are not parsed, and the reason names the limit."""
    snapshot = snapshot_of(text, "json")
    assert grammars.obstacle(snapshot) == reason
    assert (grammars.parse(snapshot) is None) == bool(reason)


@pytest.mark.parametrize(
    ("uri", "text", "reason"),
    [
        ("vscode-notebook-cell:/a.ipynb#1", "%matplotlib inline\nx = 1\n", "cells of a notebook are left alone"),
        ("file:///a.py", "x" * 30_000, "a line is longer than 20,000 characters"),
        ("file:///a.py", "def f(): pass\0", "the text is binary: it has a NUL character"),
        ("file:///a.py", "x = 1\n" * 400_000, "the text is larger than 2,097,152 bytes"),
    ],
)
def test_what_is_not_parsed_is_served(uri: str, text: str, reason: str) -> None:
    """Without a tree there are no symbols, nothing raises, and what a model is shown says why there is no structure."""
    snapshot = DocumentStore().open(uri, "python", 1, text)
    assert scopes.outline(snapshot) == scopes.Outline()
    assert scopes.symbol_at(snapshot, 1) is None
    packed = pack([(snapshot, Span(0, 1))], 2_000, lambda part: len(part) // 4)
    assert packed.blocks
    if packed.omitted:
        assert any(reason in sentence for sentence in packed.omitted)
    assert grammars.obstacle(snapshot) == reason


def test_grammars_load_on_first_use() -> None:
    """Importing the room loads no grammar."""
    code = "import sys, leanvibe_lsp.documents.scopes; print([m for m in sys.modules if m.startswith('tree_sitter_')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("text", ["", "abc", "é😀漢" * 2000, "a" * 1023 + "😀" + "b" * 1024, "é" * 512])
def test_byte_map(text: str) -> None:
    """Every character's first byte maps to the character and back, across the blocks' borders too."""
    found = ByteMap(text.encode())
    byte, offsets = 0, []
    for character in [*text, ""]:
        offsets.append(found.character(byte))
        assert found.byte(len(offsets) - 1) == byte
        byte += len(character.encode())
    assert offsets == list(range(len(text) + 1))
