"""A change of code: asked of a model, read from what it wrote, checked on a copy, and given back as small edits.

An answer that fails a check is shown to the model once more with what was wrong; then it is said that it could not be
done, and the draft is kept as text. Who answers, and in whose place, is the business of `ask`, which is handed in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor

from leanvibe_lsp.assist.answer import Answer, AskEvent, AskRequest, AskSink, Restart, Stage, TextDelta, Turn
from leanvibe_lsp.assist.changes.documenting import documenting
from leanvibe_lsp.assist.changes.kept import COMMENTS
from leanvibe_lsp.assist.changes.renaming import renaming
from leanvibe_lsp.assist.changes.rewriting import rewriting
from leanvibe_lsp.assist.changes.task import Task, Verdict
from leanvibe_lsp.assist.changes.testing import testing
from leanvibe_lsp.assist.changes.values import Change, ChangeKind, ChangeRequest, Check, Complaint, FileChange
from leanvibe_lsp.assist.changes.verify import Proposal, verify
from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.cancel import CancelToken
from leanvibe_lsp.core.edits import applied
from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents.secrets import refuse
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.engine.base import Source
from leanvibe_lsp.tiers.finding import Finding

# The door to the models: see `services.Services.ask`.
Ask = Callable[[AskRequest, AskSink, CancelToken], Awaitable[Answer]]


async def change(
    request: ChangeRequest,
    *,
    ask: Ask,
    workers: Executor,
    sink: AskSink,
    cancel: CancelToken,
) -> Change:
    """Have `request` done, checked, and given back; nothing is written. `sink` hears of it as of a question.

    Raises UsageError for what cannot be changed and for a file that no model may see, and whatever `ask` raises.
    """
    loop = asyncio.get_running_loop()
    task = await loop.run_in_executor(workers, _task, request)
    told = _Told(sink)
    history: tuple[Turn, ...] = ()
    question = task.question
    attempts = 0
    while True:
        attempts += 1
        asked = AskRequest(
            question,
            task.places,
            history,
            task.max_tokens,
            structure=task.structure,
            gathered=request.gathered,
            secrets=request.secrets,
            task="fix",
        )
        answer = await ask(asked, told, _child(cancel))
        cancel.check()
        told(Stage("checking"))
        verdict = await loop.run_in_executor(workers, task.judge, answer.answer)
        sources = _sources(request, answer)
        if verdict.file is not None or attempts == limit("change.attempts"):
            return _change(task, verdict, answer, attempts, sources)
        told.restart(f"The draft was not used: {verdict.problem}.")
        history = (Turn("user", question, sources), Turn("assistant", answer.answer, sources))
        # All of it once more: the turns before may not fit.
        question = f"That cannot be used: {verdict.problem}. Do it again, and mend that.\n\n{task.question}"


def fix_of(finding: Finding, snapshot: Snapshot) -> FileChange | None:
    """The rule's own fix of its finding, checked like a model's; None where there is none that passes. Pure."""
    if not finding.fix:
        return None
    lines, text = snapshot.lines, applied(snapshot.text, finding.fix)
    complaint = Complaint(finding.span, finding.message, rule=finding.rule)
    # The lines it is on and one to either side, of which something is left when all of them go.
    first = lines.line_of(min(edit.span.start for edit in finding.fix))
    last = lines.line_of(max(edit.span.end for edit in finding.fix))
    start, end = lines.line_span(max(first - 1, 0)).start, lines.line_span(min(last + 1, lines.line_count - 1)).end
    new = text[start : end + len(text) - len(snapshot.text)]
    # A rule knows what it takes away, comments too; what is held is that it parses, mends, and breaks nothing else.
    proposal = Proposal(ChangeKind.REWRITE, snapshot, Span(start, end), new, complaint=complaint)
    checks = verify(proposal)
    shown = all(check.passed or (check.name == COMMENTS and not check.failed) for check in checks)
    return FileChange(snapshot, finding.fix) if shown else None


class _Told:
    """The sink, with a note of whether there is text to take back."""

    def __init__(self, sink: AskSink) -> None:
        self._sink = sink
        self._text = False

    def __call__(self, event: AskEvent) -> None:
        self._text = isinstance(event, TextDelta) or (self._text and not isinstance(event, Restart))
        self._sink(event)

    def restart(self, reason: str) -> None:
        if self._text:
            self(Restart(reason))


def _task(request: ChangeRequest) -> Task:
    refuse(request.place.snapshot, request.secrets)
    if request.kind is ChangeKind.DOCUMENT:
        return documenting(request)
    if request.kind is ChangeKind.TESTS:
        return testing(request)
    if request.kind is ChangeKind.RENAME:
        return renaming(request)
    return rewriting(request)


def _child(cancel: CancelToken) -> CancelToken:
    """A token of one attempt: `ask` pulls it when it is done, and there may be another."""
    child = CancelToken()
    cancel.on_cancel(lambda: child.cancel(cancel.reason))
    return child


def _sources(request: ChangeRequest, answer: Answer) -> tuple[Source, ...]:
    """What files the question and the answer quote."""
    snapshot = request.place.snapshot
    own = Source(snapshot.uri, 0, snapshot.lines.line_count - 1)
    cited = [Source(one.uri, one.start_line, one.end_line) for one in answer.citations]
    return tuple(dict.fromkeys((own, *cited)))


def _change(task: Task, verdict: Verdict, answer: Answer, attempts: int, sources: tuple[Source, ...]) -> Change:
    checks: tuple[Check, ...] = verdict.checks
    if verdict.file is not None:
        return Change(task.title, (verdict.file,), checks, verdict.proven, verdict.draft, "", answer, attempts, sources)
    often = f", also after it was told what was wrong ({attempts} tries)" if attempts > 1 else ""
    refusal = f"The model's draft was not used, because {verdict.problem}{often}."
    return Change(task.title, (), checks, False, verdict.draft, refusal, answer, attempts, sources)
