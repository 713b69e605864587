"""Questions with known answers: repeatable, right, never on both sides, and judged as a reader would."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import leanvibe_lsp
from leanvibe_lsp.assist.evaluation.question_forms import Question
from leanvibe_lsp.assist.evaluation.questions import is_right, questions, request_of, sources

_CODE = '''def load(path, encoding="utf-8", *, strict=True):
    """Text of a file."""
    if not path:
        raise ValueError("no path")
    text = read(path, encoding)
    for line in text.splitlines():
        check(line, strict)
    return None


def save(path, text, mode="w"):
    """Write a file."""
    handle = connect(path)
    if strict:
        raise OSError("no")
    return write(handle, text)


class Broken(RuntimeError):
    """A file that cannot be read, with the line at which it ends, and what was looked for there."""

    def where(self, column):
        """The place where it ended, as a person writes it, counted from one, and not from zero, or nothing at all."""
        return False
'''
_PAIR = '''def first(one, other):
    """Both of them, the longer one before the shorter one, as a list of two strings."""
    return order(one, other)


def second(one, other):
    """Both of them, the shorter one before the longer one, as a list of two strings."""
    return turn(one, other)
'''
_CLASS = '''class Kept(Base):
    """What is kept of an answer, and under which name, so that it can be found again: a digest, a text and a time."""

    name: str
    text: Text
    made: float
'''
_TEXTS = [(f"module {number}", (_CODE, _PAIR, _CLASS)[number % 3]) for number in range(90)]
_MADE = questions(count=10_000, texts=_TEXTS)


def question(kind: str, text: str, expected: str, *choices: str, about: str = "") -> Question:
    return Question("a", kind, "", text, expected, (expected, *choices), about)


def test_the_same_seed_gives_the_same_questions() -> None:
    """And another one others."""
    texts = [(f"module {number}", _CODE) for number in range(6)]
    assert questions(count=20, texts=texts) == questions(count=20, texts=texts)
    assert questions(count=20, texts=texts, seed=1) != questions(count=20, texts=texts)


def test_no_source_is_on_both_sides() -> None:
    """What is fitted and what is measured never share a module; each side has about half of the questions."""
    fit, test = ({one.source for one in _MADE if one.half == half} for half in ("fit", "test"))
    assert fit
    assert test
    assert not fit & test
    assert len(questions(count=10, texts=[(f"module {number}", _CODE) for number in range(40)])) == 10


def test_the_expected_answer_is_one_of_the_choices_and_right() -> None:
    """A choice is judged by the same rule as free text; every other choice is wrong."""
    assert {one.kind for one in _MADE} >= {"raises", "default value", "how many", "calls", "base", "caller", "returns"}
    for one in _MADE:
        assert one.expected in one.choices
        assert [choice for choice in one.choices if is_right(one, choice)] == [one.expected]


def test_the_tree_says_the_same_in_another_way() -> None:
    """The answers are those of the code, by hand."""
    known = {
        "Which exception does `load` raise?": "ValueError",
        "Which exception does `save` raise?": "OSError",
        "How many parameters does `load` have?": "3",
        "How many parameters does `save` have?": "3",
        "How many parameters does `where` have?": "1",
        "How many parameters does `first` have?": "2",
        "How many parameters does `second` have?": "2",
        "Which argument of `save` has a default value?": "mode",
        "What is the default value of `mode` in `save`?": "'w'",
        "What is the default value of `encoding` in `load`?": "'utf-8'",
        "What is the default value of `strict` in `load`?": "True",
        "Which function does `load` call with `line` as an argument?": "check",
        "Which function does `load` call with `encoding` as an argument?": "read",
        "Which function does `load` call with `path` as an argument?": "read",
        "Which function does `load` call with `strict` as an argument?": "check",
        "Which function does `save` call with `handle` as an argument?": "write",
        "Which function does `save` call with `path` as an argument?": "connect",
        "Which function does `save` call with `text` as an argument?": "write",
        "Which class does `Broken` inherit from?": "RuntimeError",
        "Which class does `Kept` inherit from?": "Base",
        "Which function calls `order`?": "first",
        "Which function calls `turn`?": "second",
        "Is there a loop in `first`?": "no",
        "Is there a loop in `second`?": "no",
        "Is there a raise statement in `first`?": "no",
        "Is there a raise statement in `second`?": "no",
        "Which constant does `where` return?": "False",
        "Which constant does `load` return?": "None",
        "Which function calls `read`?": "load",
        "Which function calls `check`?": "load",
        "Which function calls `ValueError`?": "load",
        "Which function calls `write`?": "save",
        "Which function calls `connect`?": "save",
        "Which function calls `OSError`?": "save",
        "Is there a loop in `load`?": "yes",
        "Is there a loop in `save`?": "no",
        "Is there a loop in `where`?": "no",
        "Is there a raise statement in `load`?": "yes",
        "Is there a raise statement in `save`?": "yes",
        "Is there a raise statement in `where`?": "no",
    }
    found = {one.text: one.expected for one in _MADE if " take " not in one.text}
    assert found == {text: known[text] for text in found}
    assert len(found) > 12
    takes = {one.text: one.expected for one in _MADE if " take " in one.text}
    parameters = {"first": ("one", "other"), "second": ("one", "other")} | {
        "load": ("path", "encoding", "strict"),
        "save": ("path", "text", "mode"),
        "where": ("column",),
    }
    for text, expected in takes.items():
        _, function, _, name, _ = text.split("`")
        assert expected == ("yes" if name in parameters[function] else "no")


def test_calls_are_questions_with_the_result_of_the_real_function() -> None:
    """Inputs are not changed by what is called with them."""
    texts = [pair for pair in sources() if pair[0] in ("calendar", "heapq", "html", "shlex", "statistics", "string")]
    found = {one.text: one.expected for one in questions(count=2_000, texts=texts) if one.kind == "result"}
    known = {
        "What does `leapdays(2000, 2010)` return?": "3",
        "What does `isleap(2023)` return?": "False",
        "What does `heappushpop([1, 4], 2)` return?": "1",
        "What does `escape('a < b')` return?": "'a &lt; b'",
        "What does `join(['ls', 'my file'])` return?": "\"ls 'my file'\"",
        "What does `quote('my file')` return?": "\"'my file'\"",
        "What does `median([3, 1, 2])` return?": "2",
        "What does `median_low([1, 3, 5, 7])` return?": "3",
        "What does `median_high([1, 3, 5, 7])` return?": "5",
        "What does `capwords('two words')` return?": "'Two Words'",
    }
    assert len(found) > 3
    assert found == {text: known[text] for text in found}


def test_real_sources_are_the_standard_library_and_this_package() -> None:
    """As text: nothing is imported for it."""
    named = dict(sources())
    assert {"textwrap", "bisect", "leanvibe_lsp/errors.py"} <= set(named)
    path = Path(leanvibe_lsp.__file__).parent / "errors.py"
    assert named["leanvibe_lsp/errors.py"] == path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("asked", "answer", "right"),
    [
        (question("raises", "Which exception does `f` raise?", "ValueError"), "It raises a `ValueError`.", True),
        (question("raises", "Which exception does `f` raise?", "ValueError"), "A ZipError, not a ValueError.", False),
        (question("raises", "Which exception does `f` raise?", "ValueError"), "It raises an exception.", False),
        (question("base", "Which class does `A` inherit from?", "B", "A"), "`A` inherits from `B`.", True),
        (question("base", "Which class does `A` inherit from?", "B", "A", "C"), "From C, and C from B.", False),
        (question("caller", "Which function calls `g`?", "f", "h"), "`g` is called by `f`, and not by h.", True),
        (question("caller", "Which function calls `g`?", "f", "h"), "f_h calls it", False),
        (question("how many", "How many?", "1", "2"), "It takes a single argument.", True),
        (question("how many", "How many?", "2", "1"), "There are Two, a and b.", True),
        (question("how many", "How many?", "0", "1"), "It takes no arguments.", True),
        (question("how many", "How many?", "2", "1"), "x2 has 3.", False),
        (question("default value", "The value of `n` in `f`?", "None", "0"), "The default of `n` is None.", True),
        (question("default value", "The value of `n` in `f`?", "'a'", "0"), 'It is "a".', True),
        (question("default value", "The value of `n` in `f`?", "'a'", "0"), "It is 0.", False),
        (question("result", "What does `f(1, 2)` return?", "3", "1"), "`f(1, 2)` returns 3.", True),
        (question("loops", "Is there a loop in `f`?", "yes", "no", about="loop"), "Yes, there is.", True),
        (question("loops", "Is there a loop in `f`?", "yes", "no", about="loop"), "The function has a loop.", True),
        (question("loops", "Is there a loop in `f`?", "no", "yes", about="loop"), "It doesn't have a loop.", True),
        (question("loops", "Is there a loop in `f`?", "no", "yes", about="loop"), "**No.** Nothing repeats.", True),
        (question("loops", "Is there a loop in `f`?", "yes", "no", about="loop"), "It reads a file.", False),
        (question("loops", "Is there a loop in `f`?", "no", "yes", about="loop"), "It reads a file.", False),
    ],
)
def test_answers_are_judged_by_what_they_name_first(asked: Question, answer: str, right: bool) -> None:
    """Reasonable wordings count; the other choice, or none, does not."""
    assert is_right(asked, answer) is right


@given(st.text())
def test_any_answer_can_be_judged(text: str) -> None:
    """Whatever a model says."""
    for one in _MADE[:8]:
        assert is_right(one, text) in (True, False)


@given(st.sampled_from(_MADE), st.text(st.characters(categories=["Lu", "Ll"]), max_size=6))
def test_code_that_was_asked_about_is_what_is_shown(one: Question, said: str) -> None:
    """The request shows exactly the piece, which parses; a choice names its choices."""
    request = request_of(one, "choice")
    (place,) = request.places
    assert place.snapshot.text == one.code
    ast.parse(one.code)
    assert request.structure is not None
    assert request.structure.choices == one.choices
    assert all(choice in request.question for choice in one.choices)
    assert request_of(replace(one, text=said), "answer").question == said
