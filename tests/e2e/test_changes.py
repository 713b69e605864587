"""Changes made by the real SmolLM2: weak, so what counts is that nothing wrong is ever offered as an edit."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from leanvibe_lsp.assist.answer import Place
from leanvibe_lsp.assist.changes.values import Change, ChangeKind, ChangeRequest
from leanvibe_lsp.config.settings import Settings
from leanvibe_lsp.core.cancel import CancelToken
from leanvibe_lsp.core.edits import applied
from leanvibe_lsp.core.text import LineIndex, Span
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.services import Services, create

pytestmark = pytest.mark.real_model

_FUNCTIONS = (
    "def total(prices):\n    return sum(prices)\n",
    "def is_even(number):\n    return number % 2 == 0\n",
    "def largest(values):\n    best = values[0]\n    for value in values:\n        if value > best:\n"
    "            best = value\n    return best\n",
    "def read_lines(path):\n    with open(path) as file:\n        return file.read().splitlines()\n",
    "def greet(name):\n    return f'Hello, {name}!'\n",
    "def count_words(text):\n    return len(text.split())\n",
    "def factorial(n):\n    if n <= 1:\n        return 1\n    return n * factorial(n - 1)\n",
    "class Account:\n    def withdraw(self, amount):\n        if amount > self.balance:\n"
    "            raise ValueError('not enough')\n        self.balance -= amount\n",
    "def reverse(text):\n    return text[::-1]\n",
    "async def fetch_all(client, urls):\n    return [await client.get(url) for url in urls]\n",
)


@pytest.fixture(scope="module", params=["llama.cpp", "mlx"])
def services(request: pytest.FixtureRequest) -> Iterator[Services]:
    """The real services with the real model, on each backend."""
    made = create(Settings(engine=request.param, model="smollm2"))
    yield made
    made.close()


async def _changed(services: Services, kind: ChangeKind, text: str, name: str) -> Change:
    at = text.index(name)
    path = Path("/project/code.py")
    place = Place(Snapshot(path.as_uri(), path, "python", 1, text, LineIndex(text)), Span(at, at))
    return await services.change(ChangeRequest(kind, place), lambda _: None, CancelToken())


def _without_docstrings(text: str) -> str:
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and ast.get_docstring(node):
            del node.body[0]
    return ast.dump(tree)


@pytest.mark.timeout(900)
async def test_docstrings_are_verified_or_honestly_refused(services: Services) -> None:
    """Of ten functions each gets a docstring and nothing else, or a sentence with why not and the draft."""
    passed = 0
    for text in _FUNCTIONS:
        name = text.split("def ")[1].split("(")[0]
        made = await _changed(services, ChangeKind.DOCUMENT, text, name)
        assert all(one.name and (one.passed or one.detail) for one in made.checks)
        if not made.files:
            assert made.refusal.startswith("The model's draft was not used, because ")
            print(f"{name}: {made.refusal} Draft: {made.draft[:200]!r}")
            continue
        passed += 1
        after = applied(text, made.files[0].edits)
        assert _without_docstrings(after) == _without_docstrings(text)
        function = next(one for one in ast.walk(ast.parse(after)) if getattr(one, "name", "") == name)
        assert isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        print(f"{name}: {ast.get_docstring(function)!r}")
    print(f"{services.settings.engine}: {passed} of {len(_FUNCTIONS)} docstrings passed their checks")


async def test_rewriting_is_verified_or_honestly_refused(services: Services) -> None:
    """Whatever a weak model writes for a simpler function: what is offered parses and has the same signature."""
    text = _FUNCTIONS[2] + "\n\n" + _FUNCTIONS[0]
    made = await _changed(services, ChangeKind.SIMPLIFY, text, "largest")
    print(made.refusal or applied(text, made.files[0].edits))
    if made.files:
        tree = ast.parse(applied(text, made.files[0].edits))
        assert [one.name for one in tree.body if isinstance(one, ast.FunctionDef)] == ["largest", "total"]
    else:
        assert made.refusal
        assert made.attempts == 2
