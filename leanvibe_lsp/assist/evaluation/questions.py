"""Questions about real code whose answers can be checked, made from the sources of the running Python and this package.

Nothing here is written by hand but the forms of the questions: code is read as text and its syntax tree knows the
answers. The same seed over the same sources gives the same questions. Of half the sources calibrations are fitted, on
the other half they are measured: no function is on both sides.
"""

from __future__ import annotations

import ast
import importlib.util
import random
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from leanvibe_lsp.assist.answer import AskRequest, Place
from leanvibe_lsp.assist.evaluation.question_forms import EXCEPTION, Half, Question, questions_about
from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.text import LineIndex
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.engine.structured import Structure

Task = Literal["answer", "choice"]

_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_NUMBERS = {word: str(number) for number, word in enumerate(_DIGITS)}
_NUMBERS |= {"single": "1", "no parameters": "0", "no arguments": "0", "any parameters": "0", "any arguments": "0"}
_NUMBER = re.compile(rf"(?<![\w.])\d+\b|\b(?:{'|'.join(_NUMBERS)})\b", re.IGNORECASE)
_NEGATION = re.compile(r"\b(?:no|not|never|none|cannot)\b|n't\b", re.IGNORECASE)
_VALUE = re.compile(r"\b(?:None|True|False)\b|(?<![\w.])-?\d+(?:\.\d+)?\b|'[^'\n]*'|\"[^\"\n]*\"")


def questions(*, count: int, seed: int = 0, texts: Iterable[tuple[str, str]] | None = None) -> tuple[Question, ...]:
    """Up to `count` questions, half of them of each side, about (name, Python source) pairs; by default real ones.

    Questions about one function stand side by side: a model then reads it once.
    """
    found: dict[Half, list[list[Question]]] = {"fit": [], "test": []}
    for name, text in sources() if texts is None else texts:
        for group in questions_about(name, text, random.Random(f"{seed} {name}")):
            found[group[0].half].append(group)
    taken: list[Question] = []
    for groups in found.values():
        random.Random(seed).shuffle(groups)
        taken += [one for group in groups for one in group][: count // 2]
    return tuple(taken)


def request_of(question: Question, task: Task) -> AskRequest:
    """The question as the product asks it: in free text, or with its choices."""
    code = question.code
    place = Place(Snapshot("untitled:example.py", None, "python", None, code, LineIndex(code)))
    if task == "answer":
        return AskRequest(question.text, (place,), max_tokens=limit("evaluation.answer_tokens"))
    text = f"{question.text} Answer with one of: {', '.join(question.choices)}."
    return AskRequest(text, (place,), structure=Structure.of_choices(question.choices))


def is_right(question: Question, answer: str) -> bool:
    """Whether an answer in free text, or a choice, says what is expected: the first thing it names counts."""
    said = answer.strip()
    if said == question.expected:
        return True
    if question.expected in ("yes", "no"):
        return _yes_or_no(question, said) == question.expected
    return _named(question, said) == question.expected


def _yes_or_no(question: Question, answer: str) -> str:
    """A plain yes or no, or a first sentence that says again what was asked, with a negation or without; else ""."""
    first = re.split(r"(?<=[.!?\n])\s", answer, maxsplit=1)[0]
    plain = re.match(r"\W*(yes|no)\b", first, re.IGNORECASE)
    if plain is not None:
        return plain[1].lower()
    if question.about.lower() not in first.lower():
        return ""
    return "no" if _NEGATION.search(first) else "yes"


def _named(question: Question, answer: str) -> str:
    """The first possible answer that is named and that the question does not quote, as it is expected; "" for none."""
    if question.kind == "how many":
        found = _NUMBER.search(answer)
        return "" if found is None else _NUMBERS.get(found[0].lower(), found[0])
    if question.kind in ("default value", "returns", "result"):
        found = _VALUE.search(_without(answer, question.text))
        return "" if found is None else _as_repr(found[0])
    quoted = re.findall(r"`([^`]+)`", question.text)
    names = [re.escape(one) for one in question.choices if one == question.expected or one not in quoted]
    asked = rf"(?<!\w)(?:{'|'.join(sorted(names, key=len, reverse=True))})(?!\w)"
    found = re.search(f"{asked}|{EXCEPTION.pattern}" if question.kind == "raises" else asked, answer)
    return "" if found is None else found[0]


def _without(answer: str, asked: str) -> str:
    """The answer without the pieces of code that the question itself quotes."""
    quoted = re.findall(r"`([^`]+)`", asked)
    return re.sub(rf"(?<!\w)(?:{'|'.join(map(re.escape, quoted))})(?!\w)", "", answer) if quoted else answer


def _as_repr(text: str) -> str:
    try:
        return repr(ast.literal_eval(text))
    except (ValueError, SyntaxError):
        return text


def sources() -> Iterator[tuple[str, str]]:
    """(name, text) of the modules that questions are about: plain Python of the standard library, and this package."""
    for name in sorted(sys.stdlib_module_names):
        spec = None if name.startswith("_") or name in ("antigravity", "this") else importlib.util.find_spec(name)
        if spec is None or not (spec.origin or "").endswith(".py"):
            continue
        yield name, Path(str(spec.origin)).read_text(encoding="utf-8")
    root = Path(__file__).parents[2]
    for path in sorted(root.rglob("*.py")):
        yield f"leanvibe_lsp/{path.relative_to(root).as_posix()}", path.read_text(encoding="utf-8")
