"""What holds of any text: no crash, bounds, and that the way it is written changes nothing."""

from __future__ import annotations

import ast
import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.edits import TextEdit
from leanvibe_lsp.core.text import LineIndex, Span
from leanvibe_lsp.documents.grammars import grammar
from leanvibe_lsp.documents.syntax import Syntax, edited, syntax_of
from leanvibe_lsp.tiers.flow import look as looking
from leanvibe_lsp.tiers.flow.evaluate import Evaluation
from leanvibe_lsp.tiers.flow.look import FlowLook, look
from leanvibe_lsp.tiers.flow.program import Expression
from leanvibe_lsp.tiers.flow.values import Value
from leanvibe_lsp.tiers.rules import rules_for

_PROGRAM = '''"""A program with a little of everything."""
import os, sqlite3
import subprocess as sp
from flask import Flask, request, redirect

app = Flask(__name__)
NAME = os.environ.get("NAME", "x")

def told():
    return request.cookies["c"]

def run(what, *rest, shell=True):
    if what in ("a", "b"):
        return sp.run(what, shell=shell)
    for one in rest:
        what = what + one
    return sp.run(["sh", "-c", what])

class Shop:
    def __init__(self, db):
        self.db = db

    def find(self, name):
        query = f"SELECT * FROM t WHERE n = '{name}'"
        return self.db.execute(query)

@app.route("/<path:where>", methods=["POST"])
def page(where):
    first, (second, *others) = request.form["a"], where.split("/")
    try:
        number = int(first)
    except ValueError as error:
        return f"<b>{first}</b>", 400
    else:
        run(second, *others)
    finally:
        pass
    with open(f"/srv/{where}") as file:
        lines = [line for line in file if second in line]
    while (more := request.args.get("m")) and number > 3:
        os.system(more)
        break
    match second:
        case "x" | "y":
            eval(second)
        case [a, *b] if a:
            exec(a)
        case _:
            eval(told())
    return redirect(request.args["next"]) if lines else Shop(None).find(first)

os.system("echo " + NAME)
'''


def _syntax(lines: LineIndex) -> Syntax:
    language = grammar("python")
    assert language is not None
    return syntax_of(lines, language)


def _look(text: str) -> FlowLook:
    return look(_syntax(LineIndex(text)), rules_for("python"))


def _told(text: str) -> list[tuple[str, str, str]]:
    return [(one.rule, "".join(one.quote.split()), one.message) for one in _look(text).findings]


def test_the_program_has_findings() -> None:
    """The promises below are about something."""
    assert len({rule for rule, _, _ in _told(_PROGRAM)}) >= 6


_PIECES = st.sampled_from(
    ["(", ")", ":", "\n", "    ", "if x:", "request.args", "eval(", "= ", "def f(", '"', "'", "é", "#"]
)


@given(st.lists(st.tuples(st.integers(0, len(_PROGRAM)), st.integers(0, 40), _PIECES), max_size=6))
@settings(max_examples=60, deadline=None)
def test_edits_change_nothing_but_the_text(edits: list[tuple[int, int, str]]) -> None:
    """Whatever is typed, nothing breaks, what is quoted is there, and a look that reuses finds what a new one does."""
    lines = LineIndex(_PROGRAM)
    known = look(_syntax(lines), rules_for("python"))
    for at, length, text in edits:
        start = min(at, len(lines.text))
        span = Span(start, min(start + length, len(lines.text)))
        lines = edited(lines, TextEdit(span, text))
        known = look(_syntax(lines), rules_for("python"), known)
        assert known.findings == _look(lines.text).findings
        for one in known.findings:
            assert lines.text[one.span.start : one.span.end] == one.quote


@given(st.randoms(use_true_random=False))
@settings(max_examples=25, deadline=None)
def test_layout_changes_nothing(random: random.Random) -> None:
    """Blank lines, comments and a deeper indent leave the findings as they are."""
    lines = []
    for line in _PROGRAM.split("\n"):
        indent = len(line) - len(line.lstrip())
        lines.append(" " * indent + line)
        if random.random() < 0.3 and not line.lstrip().startswith(("else", "except", "finally", "@")):
            lines.append(random.choice(["", "# a remark", "        # another"]))
    assert sorted(_told("\n".join(lines))) == sorted(_told(_PROGRAM))


@given(
    st.dictionaries(
        st.sampled_from(["first", "second", "more", "query", "lines"]), st.from_regex(r"v_[a-z]{1,6}", fullmatch=True)
    )
)
@settings(max_examples=25, deadline=None)
def test_new_names_change_nothing(names: dict[str, str]) -> None:
    """A variable by another name is the same variable."""
    if len(set(names.values())) < len(names):
        return
    text = re.sub(r"\b(" + "|".join(names) + r")\b", lambda word: names[word[0]], _PROGRAM) if names else _PROGRAM
    assert [rule for rule, _, _ in _told(text)] == [rule for rule, _, _ in _told(_PROGRAM)]


def test_the_words_leave_out_nothing_that_walking_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the look at the words first, the same is found."""
    before = _look(_PROGRAM).findings
    monkeypatch.setattr(looking, "may_hold", lambda *_: True)
    assert _look(_PROGRAM).findings == before


@pytest.mark.parametrize(
    "text",
    [
        "eval(" + "(" * 3_000 + "input()" + ")" * 3_000 + ")",
        "x = input()" + ".strip()" * 3_000 + "\neval(x)",
        "def f(a):\n" + "".join("    " * depth + "if a:\n" for depth in range(1, 400)) + "    " * 400 + "eval(a)",
        "def f(a):\n    if a == 0: pass\n"
        + "".join(f"    elif a == {n}: x{n} = a\n" for n in range(10_000))
        + "    eval(a)",
        "x = input()\neval(" + " + ".join(["x"] * 20_000) + ")",
        "def f(a):\n" + "".join(f"    x{n} = x{n - 1} + a\n" for n in range(1, 5_000)) + "    eval(x4999)",
        "def f(a):\n    " + "for i in a:\n     ".join("" for _ in range(1)) + "eval(a)" + "\n    f(f(f(f(a))))" * 500,
    ],
    ids=["parentheses", "methods", "nested", "branches", "sum", "chain", "calls"],
)
def test_hostile_code_is_bounded(text: str) -> None:
    """Depth and length end the look, they do not break it."""
    _look(text)


def test_a_unit_takes_no_more_steps_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long loop, gone through several times, ends when the steps are used up."""
    steps = 0
    value = Evaluation.value

    def counted(self: Evaluation, node: Expression) -> Value:
        nonlocal steps
        steps += 1
        assert steps <= limit("flow.steps") + 1
        return value(self, node)

    monkeypatch.setattr(Evaluation, "value", counted)
    _look("def f(a, x):\n    for y in a:\n" + "        x = x + y\n" * 5_000 + "    eval(x)")
    assert steps > limit("flow.steps") / 2


def test_what_was_found_is_kept_where_nothing_changed() -> None:
    """After an edit of one function the others' findings are those of before, moved."""
    lines = LineIndex(_PROGRAM)
    before = look(_syntax(lines), rules_for("python"))
    at = _PROGRAM.index("    query = f")
    after = look(_syntax(edited(lines, TextEdit(Span(at, at), "    pass\n"))), rules_for("python"), before)
    assert len(after.units.keys() - before.units.keys()) == 2  # the method, and the page that calls it
    kept = after.units.keys() & before.units.keys()
    assert kept
    assert all(after.units[key] is before.units[key] for key in kept)


def test_the_program_is_one() -> None:
    """The text above is Python."""
    ast.parse(_PROGRAM)
