"""Code written anew by a model: fixed, simplified, extracted or as a person says. Pure.

The model is asked for all of the code that may change, in one fenced block: small models break that least, and where
most of it stays a backend that drafts from the prompt has it nearly for nothing.
"""

from __future__ import annotations

from leanvibe_lsp.assist.answer import Place
from leanvibe_lsp.assist.changes.drafts import code_of, fence_words
from leanvibe_lsp.assist.changes.extracting import LANGUAGES
from leanvibe_lsp.assist.changes.laying import laid
from leanvibe_lsp.assist.changes.region import Region, region_of
from leanvibe_lsp.assist.changes.standing import standing
from leanvibe_lsp.assist.changes.task import Task, Verdict, meant, shown, verdict_of
from leanvibe_lsp.assist.changes.values import ChangeKind, ChangeRequest, Check, Complaint, FileChange
from leanvibe_lsp.assist.changes.verify import Proposal, proven, verify
from leanvibe_lsp.assist.prompt import fenced
from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.edits import minimal
from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents.grammars import language_of
from leanvibe_lsp.documents.secrets import covered_text
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.errors import Incomplete, UsageError

_TITLES = {
    ChangeKind.FIX: "Fix",
    ChangeKind.SIMPLIFY: "Simplify",
    ChangeKind.REWRITE: "Change",
    ChangeKind.EXTRACT: "Extract a function from",
}
_WISHES = {
    ChangeKind.SIMPLIFY: "Make the code below simpler and easier to read. It must do exactly the same, "
    "and its signature must stay as it is.",
    ChangeKind.EXTRACT: "Move these lines of the code below into a new function with a good name, and call it in "
    "their place. The code must do exactly the same, and its signature must stay as it is.",
}
_FORM = "Answer with the whole new code in one fenced block, with its indentation, and nothing else."


def rewriting(request: ChangeRequest) -> Task:
    """The task. Raises UsageError where there is nothing, or too much, to be changed."""
    region = region_of(request)
    snapshot = request.place.snapshot
    code = shown(snapshot, region.span)
    language = language_of(snapshot.language_id, snapshot.path) or ""
    if request.kind is ChangeKind.EXTRACT and language not in LANGUAGES:
        raise UsageError(
            "A function cannot be extracted here: what comes in and out of lines of this language is not known.",
            next_step="Select the lines and say in words how they should change.",
        )
    question = f"{_wish(request, region)}\n{_FORM}{fence_words(code)}\n\n{fenced(code, language)}"
    # A token is rarely less than two characters of code, and an answer is about as long as what it replaces.
    tokens = min(limit("change.tokens"), max(limit("answer.tokens"), len(code) // 2 + limit("answer.tokens") // 2))

    def judge(answer: str) -> Verdict:
        return _judged(request, region, answer)

    return Task(
        title=_title(request, region),
        question=question,
        places=(Place(snapshot, region.span),),
        max_tokens=request.max_tokens or tokens,
        judge=judge,
    )


def _title(request: ChangeRequest, region: Region) -> str:
    if request.complaint is not None:
        return f"Fix: {request.complaint.message}"
    return f"{_TITLES[request.kind]} {f'`{region.symbol.name}`' if region.symbol is not None else 'the selection'}"


def _wish(request: ChangeRequest, region: Region) -> str:
    snapshot, instruction = request.place.snapshot, covered_text(request.instruction.strip())
    if request.kind is ChangeKind.FIX:
        if request.complaint is None:
            raise UsageError("A fix needs the diagnostic that it is for.", next_step="Name it.")
        wish = _fix(snapshot, request.complaint)
    elif request.kind is ChangeKind.REWRITE:
        if not instruction:
            raise UsageError("It is not said how the code should change.", next_step="Say it.")
        return f"Change the code below as follows: {instruction}\nLeave everything else as it is."
    else:
        wish = _WISHES[request.kind]
    if request.kind is ChangeKind.EXTRACT:
        selected = request.place.span or region.span
        if not snapshot.text[selected.start : selected.end].strip():
            raise UsageError("Nothing is selected.", next_step="Select one or more whole statements first.")
        wish += f"\n\n{fenced(shown(snapshot, _whole_lines(snapshot, selected)))}\n"
    return f"{wish}\n{instruction}" if instruction else wish


def _fix(snapshot: Snapshot, complaint: Complaint) -> str:
    lines = snapshot.lines
    line = shown(snapshot, lines.line_span(lines.line_of(complaint.span.start))).strip()
    said = " ".join(part for part in (complaint.source, complaint.code) if part)
    who = f" ({said})" if said else ""
    return (
        f"Fix this problem in the code below: {covered_text(complaint.message.strip())}{who}\n"
        f"It is about this line: `{line}`\n"
        "Change only what the fix needs, and keep everything else as it is."
    )


def _whole_lines(snapshot: Snapshot, span: Span) -> Span:
    lines = snapshot.lines
    last = lines.line_of(max(span.start, span.end - 1))
    return Span(lines.line_span(lines.line_of(span.start)).start, lines.line_span(last).end)


def _judged(request: ChangeRequest, region: Region, answer: str) -> Verdict:
    snapshot, span = request.place.snapshot, region.span
    language = language_of(snapshot.language_id, snapshot.path) or ""
    try:
        written = meant(snapshot, code_of(answer, shown(snapshot, span), language))
        text = laid(written, snapshot, span, exact=request.kind is not ChangeKind.REWRITE)
    except Incomplete as error:
        return Verdict(answer, (Check("answer is whole", False, error.message),), problem=_lower(error.message))
    if not text.strip():
        span, text = _with_line_ending(snapshot, span), ""
    selected = None
    if request.kind is ChangeKind.EXTRACT:
        selected = _whole_lines(snapshot, request.place.span or span)
    proposal = Proposal(
        request.kind, snapshot, span, text, region.symbol, request.complaint, selected, request.instruction
    )
    checks = verify(proposal)
    edits = minimal(proposal.old, text, span.start)
    return verdict_of(
        written, checks, FileChange(snapshot, edits, region=standing(snapshot, span)), proven=proven(proposal, checks)
    )


def _with_line_ending(snapshot: Snapshot, span: Span) -> Span:
    """The lines and the line ending behind them: nothing is left of lines that go."""
    lines = snapshot.lines
    following = lines.line_of(span.end) + 1
    return Span(span.start, lines.line_span(following).start) if following < lines.line_count else span


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:].rstrip(".")
