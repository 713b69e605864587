"""Documentation for a definition: the model gives the words, held to a JSON document, and we write them down. Pure."""

from __future__ import annotations

import re

from leanvibe_lsp.assist.answer import Place
from leanvibe_lsp.assist.changes.docstrings import documented
from leanvibe_lsp.assist.changes.region import region_of
from leanvibe_lsp.assist.changes.standing import standing
from leanvibe_lsp.assist.changes.task import Task, Verdict, meant, shown, verdict_of
from leanvibe_lsp.assist.changes.values import ChangeKind, ChangeRequest, Check, FileChange
from leanvibe_lsp.assist.changes.verify import Proposal, verify
from leanvibe_lsp.assist.prompt import fenced
from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.edits import TextEdit, applied, minimal
from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents.grammars import language_of
from leanvibe_lsp.documents.scopes import Symbol
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.engine.structured import Structure
from leanvibe_lsp.errors import UsageError

_FIELD = "docstring"
_WORD = re.compile(r"[^\W\d_]{2,}")
_FEWEST_WORDS = 3
# What a model says that documents the question in place of the code.
_ABOUT_THE_FORM = ("docstring", "json document", "json object", "the documentation")


def documenting(request: ChangeRequest) -> Task:
    """The task. Raises UsageError where there is no definition, or no known way to document it."""
    region = region_of(request)
    symbol, snapshot = region.symbol, request.place.snapshot
    assert symbol is not None, "a region to document has a definition"
    documented(snapshot, symbol, "Known.")  # raises here, before a model is asked
    language = language_of(snapshot.language_id, snapshot.path) or ""
    most = limit("change.docstring_characters")
    question = (
        f"Write the documentation of the {symbol.kind} `{symbol.name}` below, for a programmer who calls it: "
        "one sentence that says what it does, and what it gives back. Say only what the code shows, "
        f'without quotes around it. Answer as {{"{_FIELD}": "..."}}\n'
        f"{request.instruction.strip()}\n\n{fenced(shown(snapshot, region.span), language)}"
    )
    field = {"type": "string", "minLength": 1, "maxLength": most}
    schema = {"type": "object", "properties": {_FIELD: field}, "required": [_FIELD], "additionalProperties": False}
    structure = Structure.of_schema(schema)

    def judge(answer: str) -> Verdict:
        said = meant(snapshot, str(structure.parse(answer)[_FIELD])).strip()
        return _judged(snapshot, symbol, said)

    # However it is written: a character is at most two tokens, or six characters of an escape.
    tokens = request.max_tokens or max(limit("answer.tokens"), 2 * most)
    return Task(f"Document `{symbol.name}`", question, (Place(snapshot, region.span),), tokens, judge, structure)


def _judged(snapshot: Snapshot, symbol: Symbol, said: str) -> Verdict:
    words = _says_something(symbol, said)
    if words.failed:
        return Verdict(said, (words,), problem=f'the check "{words.name}" failed ({words.detail})')
    try:
        edit = documented(snapshot, symbol, said)
    except UsageError as error:
        return Verdict(said, (words,), problem=error.message)
    proposal = _proposal(snapshot, symbol, edit)
    checks = (words, *verify(proposal))
    edits = minimal(proposal.old, proposal.text, proposal.region.start)
    file = FileChange(snapshot, edits, region=standing(snapshot, proposal.region))
    return verdict_of(said, checks, file, proven=False)


def _proposal(snapshot: Snapshot, symbol: Symbol, edit: TextEdit) -> Proposal:
    """The definition with its documentation, which stands in it or above it."""
    start, end = min(symbol.span.start, edit.span.start), max(symbol.span.end, edit.span.end)
    inner = TextEdit(Span(edit.span.start - start, edit.span.end - start), edit.text)
    text = applied(snapshot.text[start:end], (inner,))
    return Proposal(ChangeKind.DOCUMENT, snapshot, Span(start, end), text, symbol)


def _says_something(symbol: Symbol, said: str) -> Check:
    """Whether it is documentation by its form: a model's typical slips, not whether it is true."""
    name = "says something"
    code = f"{symbol.name} {symbol.signature}".lower()
    slip = next((word for word in _ABOUT_THE_FORM if word in said.lower() and word not in code), None)
    if slip is not None:
        return Check(name, False, f"it is about the answer's own form ({slip})")
    words = [word.lower() for word in _WORD.findall(said)]
    sentences = [" ".join(one.split()) for one in re.split(r"(?<=[.!?])\s+", said) if one.strip()]
    if len(set(words)) < _FEWEST_WORDS:
        return Check(name, False, f"it has fewer than {_FEWEST_WORDS} words")
    if len(said) >= limit("change.docstring_characters"):
        return Check(name, False, "it did not come to an end")
    if len(set(sentences)) < len(sentences):
        return Check(name, False, "it repeats itself")
    if " ".join(said.split()).rstrip(".") == " ".join(symbol.docstring.split()).rstrip("."):
        return Check(name, False, "it is what stands there already")
    if "```" in said or '"""' in said or symbol.signature in " ".join(said.split()):
        return Check(name, False, "it is code, not words about it")
    return Check(name, True)
