from __future__ import annotations

from pathlib import Path

import pytest

from leanvibe_lsp.assist.changes.facts import Role, flaws, tokens
from leanvibe_lsp.assist.changes.values import ChangeKind, Complaint
from leanvibe_lsp.assist.changes.verify import Proposal, proven, verify
from leanvibe_lsp.core.text import LineIndex, Span
from leanvibe_lsp.documents.scopes import symbols
from leanvibe_lsp.documents.snapshot import Snapshot


def snapshot(text: str, language: str = "python") -> Snapshot:
    return Snapshot("untitled:x", Path("/x"), language, 1, text, LineIndex(text))


def proposal(text: str, old: str, new: str, kind: ChangeKind, language: str = "python", **more: object) -> Proposal:
    """`new` in place of `old`."""
    before = snapshot(text, language)
    span = Span(text.index(old), text.index(old) + len(old))
    symbol = next((one for one in symbols(before) if span.start <= one.span.start <= span.end), None)
    return Proposal(kind, before, span, new, symbol, **more)  # type: ignore[arg-type]


def failed(one: Proposal) -> str:
    """The name of the check that failed, or ""."""
    return next((check.name for check in verify(one) if check.failed), "")


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        ("def f(a):\n    return a  # why", ""),
        ('def f(a):\n    """Why."""\n    return a', ""),
        ("def f(a):\n    return  a + 0", "code unchanged"),
        ("def f(a, b=1):\n    return a", "code unchanged"),
    ],
)
def test_documenting_leaves_the_code(new: str, expected: str) -> None:
    """Comments, docstrings and blanks may come; nothing else."""
    text = "def f(a):\n    return a\n"
    assert failed(proposal(text, text.rstrip(), new, ChangeKind.DOCUMENT)) == expected


def test_an_error_that_was_there_is_not_held_against_a_change() -> None:
    """Broken code around stays broken; one more error anywhere is refused."""
    text = "def f(a):\n    return a\n\n\ndef g(:\n    pass\n\n\ndef h():\n    return 1\n"
    old = "def f(a):\n    return a"
    assert failed(proposal(text, old, "def f(a):\n    return -a", ChangeKind.SIMPLIFY)) == ""
    assert failed(proposal(text, old, "def f(a):\n    return -a)", ChangeKind.SIMPLIFY)) == "parses"
    assert failed(proposal(text, old, "def f(a):\n    '''x\n    return -a", ChangeKind.SIMPLIFY)) == "parses"


def test_names_that_the_rest_uses_must_stay() -> None:
    """Module-level names and imports; what is local to a function is its own business."""
    text = "from a import b, c\nLIMIT = 3\n\n\ndef f():\n    x = b\n    return x\n\n\nx = LIMIT + f()\n"
    assert failed(proposal(text, "from a import b, c", "from a import c", ChangeKind.REWRITE)) == "names kept"
    assert failed(proposal(text, "from a import b, c", "from a import b", ChangeKind.REWRITE)) == ""
    assert failed(proposal(text, "LIMIT = 3", "MOST = 3", ChangeKind.REWRITE)) == "names kept"
    one = proposal(text, "def f():\n    x = b\n    return x", "def f():\n    return b", ChangeKind.REWRITE)
    assert failed(one) == ""


def test_lines_behind_that_are_written_again() -> None:
    """A model that does not stop where it should writes what follows once more."""
    text = "def f(a):\n    b = a + 1\n    c = b + 1\n    return c + b\n"
    one = proposal(text, "    b = a + 1", "    b = a + 2\n    c = b + 1", ChangeKind.REWRITE)
    assert failed(one) == "nothing twice"
    one = proposal(text, "    c = b + 1", "    b = a + 1\n    c = b + 2", ChangeKind.REWRITE)
    assert failed(one) == "nothing twice"
    assert failed(proposal(text, "    b = a + 1", "    b = a + 2", ChangeKind.REWRITE)) == ""


def test_without_a_grammar_nothing_is_proven() -> None:
    """What cannot be checked says so, refuses nothing, and proves nothing."""
    complaint = Complaint(Span(0, 1), "`x` is unused", "F841")
    one = proposal("x = 1\ny = 2\n", "x = 1", "z = 1", ChangeKind.FIX, "nonesuch", complaint=complaint)
    one = Proposal(one.kind, snapshot(one.before.text, "plaintext"), one.region, one.text, None, complaint)
    checks = verify(one)
    assert [(check.name, check.checked) for check in checks] == [
        ("changes something", True),
        ("parses", False),
        ("answer is whole", True),
        ("complaint gone", False),
        ("nothing new", False),
        ("nothing twice", True),
        ("names kept", False),
        ("signature kept", True),
        ("nothing beside it", True),
        ("effects kept", False),
        ("comments kept", False),
        ("only its place changed", False),
    ]
    assert not any(check.failed for check in checks)
    assert not proven(one, checks)


@pytest.mark.parametrize(
    ("language", "text", "roles"),
    [
        ("python", "import a as b\nfor c in d: e.f = g(h=c)\n",
         {"a": "import", "b": "import", "c": "use", "d": "use", "e": "use", "f": "member", "g": "use", "h": "member"}),
        ("typescript", "const {a: b} = c; function f(d = e) { return d.g; }",
         {"a": "member", "b": "local", "c": "use", "f": "definition", "d": "use", "e": "use", "g": "member"}),
        ("rust", "fn f(a: B) { let (c, d) = e; }",
         {"f": "definition", "a": "parameter", "B": "use", "c": "local", "d": "local", "e": "use"}),
        ("java", "class A { int f(int a) { int b = a; return this.c; } }",
         {"A": "definition", "f": "definition", "a": "use", "b": "local", "c": "member"}),
    ],
)  # fmt: skip
def test_what_a_name_is_there_for(language: str, text: str, roles: dict[str, str]) -> None:
    """Its role where it stands last."""
    found = tokens(snapshot(text, language), Span(0, len(text)))
    assert {token.text: str(token.role) for token in found if token.role is not Role.CODE} == roles


def test_flaws_stand_at_characters() -> None:
    """Beyond the first byte too; a whole text has none; what is not parsed is not known."""
    text = 'é = "👩"\nx = (1\n'
    assert flaws(snapshot("x = 1\n")) == ()
    assert flaws(snapshot("x", "plaintext")) is None
    found = flaws(snapshot(text))
    assert found
    assert all(text.index("x") <= flaw.span.start <= len(text) for flaw in found)
