"""Invariants of the whole package that no other tool holds: sizes, docstrings, prints, and what a start imports."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import leanvibe_lsp

_PACKAGE = Path(leanvibe_lsp.__file__).parent
_MODULES = {str(path.relative_to(_PACKAGE)): path for path in sorted(_PACKAGE.rglob("*.py"))}
_TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in _MODULES.items()}
_HEAVY = ["mlx", "mlx_lm", "transformers", "xllamacpp", "numpy", "tokenizers", "jinja2", "huggingface_hub"]

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def definitions(tree: ast.AST, inside: bool = False) -> Iterator[tuple[Definition, bool]]:
    """Functions and classes, and whether each stands inside a function (and so is nobody's interface)."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, Definition):
            yield node, inside
            yield from definitions(node, inside or not isinstance(node, ast.ClassDef))
        else:
            yield from definitions(node, inside)


@pytest.mark.parametrize("name", _MODULES)
def test_modules_and_functions_fit(name: str) -> None:
    """No module above 400 lines, no function above 60."""
    assert len(_MODULES[name].read_text(encoding="utf-8").splitlines()) <= 400
    for node, _ in definitions(_TREES[name]):
        if not isinstance(node, ast.ClassDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= 60, f"{node.name} has {length} lines"


@pytest.mark.parametrize("name", _MODULES)
def test_every_public_name_has_a_docstring(name: str) -> None:
    """Modules, and public functions, classes and methods of public classes."""
    assert ast.get_docstring(_TREES[name])
    missing = [node.name for node in _public(_TREES[name]) if not ast.get_docstring(node)]
    assert missing == []


def _public(tree: ast.Module | ast.ClassDef) -> Iterator[Definition]:
    for node in tree.body:
        if isinstance(node, Definition) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from _public(node)


@pytest.mark.parametrize("name", [name for name in _MODULES if not name.startswith("cli/")])
def test_only_the_command_line_prints(name: str) -> None:
    """stdout belongs to the protocol: no `print` outside cli/."""
    prints = [
        node.lineno
        for node in ast.walk(_TREES[name])
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert prints == []


@pytest.mark.parametrize("name", _MODULES)
def test_annotations_are_postponed(name: str) -> None:
    """Every module with code begins with `from __future__ import annotations`."""
    tree = _TREES[name]
    body = tree.body[1:]
    if body:
        first = body[0]
        assert isinstance(first, ast.ImportFrom)
        assert first.module == "__future__"


# Wanted by requests, but not before the reply to initialize.
_LATER = [
    "pydantic",
    "jsonschema",
    "typer",
    "rich",
    "psutil",
    "httpx",
    "sqlite3",
    "yaml",
    "ast_grep_py",
]
_GRAMMARS = ["tree_sitter_python", "tree_sitter_languages"]


def _loaded_by(code: str, names: list[str] = _HEAVY) -> str:
    ask = f"import sys\n{code}\nprint('HEAVY', sorted({{m.split('.')[0] for m in sys.modules}} & set({names!r})))"
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.rpartition("HEAVY ")[2].strip()


_HELP = (
    "from leanvibe_lsp.cli.app import app\ntry:\n app({!r})\nexcept SystemExit as end:\n assert not end.code, end.code"
)


@pytest.mark.parametrize(
    "code",
    [
        "import leanvibe_lsp.cli.app",
        "import leanvibe_lsp.services",
        "import leanvibe_lsp.lsp.server",
        _HELP.format(["--help"]),
        _HELP.format(["ask", "--help"]),
        _HELP.format(["serve", "--help"]),
        _HELP.format(["models", "--help"]),
    ],
    ids=["cli", "services", "server", "help", "ask help", "serve help", "models help"],
)
def test_a_start_imports_nothing_heavy(code: str) -> None:
    """Help and the server's start import no backend, no numpy, no tokenizer, no template engine, no hub client."""
    assert _loaded_by(code) == "[]"


_HANDSHAKE = """
import asyncio
from leanvibe_lsp.cli import stdio
from leanvibe_lsp.config.settings import Settings
from leanvibe_lsp.lsp import run
from leanvibe_lsp.lsp.assembly import make_server

async def main():
    server = make_server(None, settings=Settings(), workers=None, reads_files=True)
    sent = []
    server.attach(type("Wire", (), {"send": lambda self, body: sent.append(body)})())
    params = {"processId": None, "rootUri": None, "capabilities": {}, "initializationOptions": {"model": "phi3"}}
    server.take({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params})
    assert b"capabilities" in sent[0], sent

asyncio.run(main())
"""


def test_the_reply_to_initialize_waits_for_little() -> None:
    """What requests need is imported when that reply is out, or when the first of them comes."""
    assert _loaded_by(_HANDSHAKE, [*_HEAVY, *_LATER, *_GRAMMARS]) == "[]"
    assert _loaded_by(f"{_HANDSHAKE}\nimport pydantic", _LATER) == "['pydantic']"
