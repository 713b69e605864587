"""What a model may not do under cover of a change in a person's own words, and what proves an undefined name mended."""

from __future__ import annotations

from pathlib import Path

import pytest

from leanvibe_lsp.assist.answer import Place
from leanvibe_lsp.assist.changes.rewriting import rewriting
from leanvibe_lsp.assist.changes.task import Verdict
from leanvibe_lsp.assist.changes.values import ChangeKind, ChangeRequest, Complaint
from leanvibe_lsp.assist.changes.wished import may_be_emptied, may_be_renamed, may_go
from leanvibe_lsp.core.text import LineIndex, Span
from leanvibe_lsp.documents.snapshot import Snapshot

_ADD = "def add(a, b):\n    c = a + b\n    print(c)\n    return c"
_BOX = "class Box:\n    def __init__(self, n):\n        self.n = n\n\n    def more(self):\n        return self.n + 1"
_FILE = f"{_ADD}\n\n\ndef mul(a, b):\n    return a * b\n\n\n{_BOX}\n"
_TYPED = _ADD.replace("(a, b)", "(a: int, b: int) -> int")
_ARROW = "const add = (a, b) => {\n  return a + b;\n};"


def rewritten(under: str, draft: str, words: str, text: str = _FILE, language: str = "python") -> Verdict:
    return _judged(ChangeKind.REWRITE, text, under, draft, language, instruction=words)


def _judged(kind: ChangeKind, text: str, under: str, draft: str, language: str, **more: object) -> Verdict:
    path = Path("/project/code")
    snapshot = Snapshot(path.as_uri(), path, language, 1, text, LineIndex(text))
    place = Place(snapshot, Span(text.index(under), text.index(under) + len(under)))
    request = ChangeRequest(kind, place, **more)  # type: ignore[arg-type]
    return rewriting(request).judge(f"```{language}\n{draft}\n```")


@pytest.mark.parametrize(
    ("under", "draft", "reason"),
    [
        (_ADD, "import os\nimport subprocess", "`add` is not defined any more"),
        (_ADD, "def other(x):\n    return x", "`add` is not defined any more"),
        (_ADD, _ADD.replace("add", "sum_of"), "`add` is not defined any more"),
        (_ADD, "pass", "nothing is left of the code"),
        (_ADD, "# nothing", "nothing is left of the code"),
        (_ADD, "...", "stands for code"),
        (_ADD, "def add(a, b):\n    ...", "stands for code"),
        (_ADD, "def add(a, b):\n    pass", "nothing is left of the body of `add`"),
        (_ADD, _TYPED.replace("    print(c)\n", "    # ... rest of the code unchanged\n"), "stands for code"),
        ("    c = a + b\n    print(c)\n    return c", "    pass", "nothing is left of the code"),
        ("    print(c)", "    # ... rest of the code unchanged", "stands for code"),
        (_FILE, "pass", "nothing is left of the code"),
        (_FILE, _TYPED, "`mul` is not defined any more"),
        (_FILE, _FILE.replace("    def more(self):\n        return self.n + 1", ""), "`more` is not defined any more"),
    ],
)
def test_a_rewrite_does_not_take_away(under: str, draft: str, reason: str) -> None:
    """Whatever stands in its place: a definition that nobody asked to be gone is there and does something."""
    verdict = rewritten(under, draft, "add type hints")
    assert verdict.file is None
    assert reason in verdict.problem


@pytest.mark.parametrize("draft", ["// nothing", "const mul = 2;", "function other() {\n  return 1;\n}"])
def test_nor_in_another_language(draft: str) -> None:
    """A function that is bound to a name is a definition, too."""
    assert rewritten(_ARROW, draft, "add JSDoc", _ARROW + "\n", "javascript").file is None


@pytest.mark.parametrize(
    ("under", "draft", "words"),
    [
        (_ADD, _TYPED, "add type hints"),
        (_ADD, "from operator import add", "use the one of the standard library"),
        (_ADD, _ADD.replace("add", "plus"), "rename add to plus"),
        (_ADD, _ADD.replace("add", "plus"), "Give the function a better name"),
        (_ADD, "pass", "Remove this function"),
        (_ADD, "# " + _ADD.replace("\n", "\n# "), "comment this out"),
        ("    c = a + b\n    print(c)\n    return c", "    pass", "it should do nothing"),
        (_FILE, _FILE.replace("def mul(a, b):\n    return a * b\n\n\n", ""), "delete `mul`, it's not used"),
        (_BOX, "@dataclass\nclass Box:\n    n: int\n\n    def more(self):\n        return self.n + 1", "a dataclass"),
    ],
)
def test_what_was_asked_for_is_done(under: str, draft: str, words: str) -> None:
    """Names may go where the person says so, stay bound in another way, or be written by a decorator."""
    verdict = rewritten(under, draft, words)
    assert verdict.problem == ""
    assert verdict.file is not None


def test_a_new_name_is_for_something() -> None:
    """Whoever wants other names does not want fewer functions."""
    both = f"{_ADD}\n\n\ndef mul(a, b):\n    return a * b"
    named = both.replace("add", "plus").replace("mul", "times")
    assert rewritten(both, named, "rename all functions").problem == ""
    fewer = rewritten(both, _ADD.replace("add", "plus"), "rename all functions")
    assert "`add` is not defined any more" in fewer.problem


def test_functions_inside_a_function_are_its_own_business() -> None:
    """Nobody outside can use them."""
    text = "def f(xs):\n    def twice(x):\n        return x * 2\n\n    return [twice(x) for x in xs]\n"
    assert rewritten(text, "def f(xs):\n    return [x * 2 for x in xs]", "shorter", text).problem == ""


@pytest.mark.parametrize(
    ("words", "goes"),
    [
        ("remove add", True),
        ("Delete the function `add`.", True),
        ("please get rid of this", True),
        ("merge mul and add", True),
        ("inline it", True),
        ("remove the print from add", False),
        ("remove the print", False),
        ("drop the second parameter", False),
        ("simplify it without removing add", False),
        ("don't delete add", False),
        ("remove adder", False),
        ("add type hints", False),
    ],
)
def test_what_a_verb_is_said_of_may_go(words: str, goes: bool) -> None:
    """Not what it is to be taken from, and not where it is denied."""
    assert may_go(words, "add") is goes


def test_other_wishes() -> None:
    """A new name is one for what is named; nothing is left only where that is said."""
    assert may_be_renamed("rename the function", "add")
    assert not may_be_renamed("rename the variable c to total", "add")
    assert may_be_emptied("turn it into a no-op", ())
    assert may_be_emptied("remove add", ("add",))
    assert not may_be_emptied("pass the rate as a parameter", ("add",))
    assert not may_be_emptied("remove the print", ("add",))


@pytest.mark.parametrize(
    ("text", "under", "draft", "proven", "gone"),
    [
        ("def f(a):\n    return b\n", "b", "def f(a):\n    return a", True, ""),
        ("LIMIT = 1\n\n\ndef f(a):\n    return b\n", "b", "def f(a):\n    return LIMIT", True, ""),
        ("def f(a):\n    return a\n", "return a", "def f(a):\n    return a + 1", False, "not used there"),
        ("def f(a):\n    b(a)\n    return q\n", "q", "def f(a):\n    b(a)\n    return a", False, "not used there"),
        ("def f(a):\n    return a + b\n", "b", "def f(a):\n    return a", False, "nothing known stands in its place"),
        ("def f(a):\n    return b\n", "b", "def f(a):\n    return z", False, "nothing known stands in its place"),
        ("def f(a):\n    return b\n\n\ndef g(c):\n    return c\n", "b", "def f(a):\n    return c", False,
         "nothing known stands in its place"),
        ("def f(a):\n    def g(c):\n        return c\n\n    return b\n", "b",
         "def f(a):\n    def g(c):\n        return c\n\n    return c", False, "nothing known stands in its place"),
        ("def f(a):\n    return a + b\n", "b", "def f(a):\n    b = 1\n    return a + b", False, "is bound somewhere"),
    ],
)  # fmt: skip
def test_an_undefined_name_is_proven_only_where_it_stood(
    text: str, under: str, draft: str, proven: bool, gone: str
) -> None:
    """Another name that is bound and seen there proves it; its end, or that of one that was not there, does not."""
    at = Span(text.index(under), text.index(under) + len(under))
    complaint = Complaint(at, "undefined name 'b'", "F821", "Ruff")
    verdict = _judged(ChangeKind.FIX, text, under, draft, "python", complaint=complaint)
    (check,) = [one for one in verdict.checks if one.name == "complaint gone"]
    assert (verdict.proven, check.passed, check.failed) == (proven, proven, False)
    assert gone in check.detail
