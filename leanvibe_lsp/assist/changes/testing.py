"""Tests for a definition: a new test file, or new tests in the one that is there."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from leanvibe_lsp.assist.answer import Place
from leanvibe_lsp.assist.changes.drafts import code_of
from leanvibe_lsp.assist.changes.laying import indented, still_lines
from leanvibe_lsp.assist.changes.merging import merged
from leanvibe_lsp.assist.changes.project import Project, manifest_of, project_of, read_beside
from leanvibe_lsp.assist.changes.region import region_of
from leanvibe_lsp.assist.changes.standing import standing
from leanvibe_lsp.assist.changes.task import Task, Verdict, meant, shown, verdict_of
from leanvibe_lsp.assist.changes.tests_file import TestPlan, holds_a_test, planned, test_files
from leanvibe_lsp.assist.changes.values import ChangeKind, ChangeRequest, Check, FileChange
from leanvibe_lsp.assist.changes.verify import Proposal, verify
from leanvibe_lsp.assist.prompt import fenced
from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.edits import TextEdit, applied
from leanvibe_lsp.core.text import LineIndex, Span
from leanvibe_lsp.documents import uris
from leanvibe_lsp.documents.grammars import language_of
from leanvibe_lsp.documents.scopes import Symbol
from leanvibe_lsp.documents.secrets import withheld
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.errors import Incomplete, UsageError

_RUST_MODULE = re.compile(r"^[ \t]*(?:pub(?:\(\w+\))? )?mod tests?\b", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Target:
    """The test file as it is: empty when it is to be made, with a version when it is open."""

    plan: TestPlan
    snapshot: Snapshot


def testing(request: ChangeRequest) -> Task:
    """The task; reads the project's file names and the test file. Raises UsageError where tests cannot be placed."""
    snapshot = request.place.snapshot
    region = region_of(request)
    symbol = region.symbol
    assert symbol is not None, "a region to test has a definition"
    if snapshot.path is None:
        raise UsageError("A file that was never saved has no place for tests.", next_step="Save it first.")
    language = language_of(snapshot.language_id, snapshot.path) or ""
    project = project_of(snapshot.path, request.open_documents)
    target, example = _target(snapshot, language, project, request.secrets)
    code = shown(snapshot, region.span)
    form = "only the new tests" if target.snapshot.text.strip() else "the whole test file, with its imports"
    question = (
        f"Write tests for the {symbol.kind} `{symbol.name}` below with {target.plan.framework}. "
        f"{_import_words(project, snapshot.path, language, symbol)}They go into `{target.plan.path}`. "
        f"Test what it does for usual and for unusual values; expect only what the code shows. {request.instruction}\n"
        f"Answer with {form} in one fenced block and nothing else.\n\n{fenced(code, language)}"
    )

    def judge(answer: str) -> Verdict:
        return _judged(snapshot, symbol, target, answer)

    places = (Place(snapshot, region.span), *((Place(example),) if example is not None else ()))
    tokens = request.max_tokens or limit("change.tokens")
    return Task(f"Write tests for `{symbol.name}`", question, places, tokens, judge)


testing.__test__ = False  # type: ignore[attr-defined]


def _target(
    snapshot: Snapshot, language: str, project: Project, secrets: tuple[str, ...]
) -> tuple[_Target, Snapshot | None]:
    """Where the tests go, and a test file that shows how they are written here."""
    assert snapshot.path is not None
    source = snapshot.path.relative_to(project.root).as_posix()
    tests = test_files(language, project.files)
    nearest = max(tests, key=lambda name: _common(name, source), default=None)
    example = read_beside(project, nearest) if nearest is not None else None
    if example is not None and withheld(example, secrets) is not None:
        example = None
    told = manifest_of(project) + (example.text if example is not None else "")
    plan = planned(source, language, project.files, told)
    if plan is None:
        raise UsageError(
            f"It is not known how {language or 'this language'} is tested.", next_step="Write the first test yourself."
        )
    if language == "rust":
        return _Target(plan, snapshot), None
    path = project.root / plan.path
    there = read_beside(project, plan.path) if plan.exists else None
    if there is None:
        if plan.exists:
            raise UsageError(f"{plan.path} is there and cannot be read.", next_step="Look what it is.")
        there = Snapshot(uris.from_path(path), path, snapshot.language_id, None, "", LineIndex(""))
    return _Target(plan, there), there if there.text.strip() else example


def _common(name: str, source: str) -> int:
    one, other = set(PurePosixPath(name).parts[:-1]), set(PurePosixPath(source).parts[:-1])
    return len(one & other)


def _import_words(project: Project, path: Path, language: str, symbol: Symbol) -> str:
    if language != "python":
        return f"The code is in `{path.relative_to(project.root).as_posix()}`. "
    parts = path.relative_to(project.root).with_suffix("").parts
    parts = parts[1:] if parts[0] in ("src", "lib") and len(parts) > 1 else parts
    outermost = symbol.parents[0] if symbol.parents else symbol.name
    return f"It is imported by `from {'.'.join(parts)} import {outermost}`. "


def _judged(source: Snapshot, symbol: Symbol, target: _Target, answer: str) -> Verdict:
    before = target.snapshot
    try:
        written = meant(source, code_of(answer, "", language_of(before.language_id, before.path) or ""))
    except Incomplete as error:
        return _refused(answer, (), "answer is whole", error)
    form = _form(symbol, target, written)
    if any(check.failed for check in form):
        return verdict_of(written, form, FileChange(before, ()), proven=False)
    try:
        edits = _edits(target, written)
    except Incomplete as error:
        return _refused(written, form, "fits the file", error)
    span = Span(edits[0].span.start, edits[-1].span.end)
    inner = [replace(edit, span=Span(edit.span.start - span.start, edit.span.end - span.start)) for edit in edits]
    text = applied(before.text[span.start : span.end], inner)
    fits = Check("fits the file", True)
    checks = (*form, fits, *verify(Proposal(ChangeKind.TESTS, before, span, text, symbol)))
    file = FileChange(before, edits, creates=not target.plan.exists, region=standing(before, span))
    return verdict_of(written, checks, file, proven=False)


def _refused(draft: str, made: tuple[Check, ...], name: str, error: Incomplete) -> Verdict:
    problem = error.message[:1].lower() + error.message[1:].rstrip(".")
    return Verdict(draft, (*made, Check(name, False, error.message)), problem=problem)


def _edits(target: _Target, written: str) -> tuple[TextEdit, ...]:
    before, framework = target.snapshot, target.plan.framework
    text = before.text
    newline = "\r\n" if "\r\n" in text else "\n"
    if not text.strip():
        return (TextEdit(Span(0, len(text)), written + "\n"),)
    if framework == "cargo test" and _RUST_MODULE.search(text) is None:
        added = _module(before, written)
    elif framework == "bats":
        added = _bats(text, written)
    else:
        return merged(before, written, framework)
    at = len(text.rstrip())
    end = "" if len(text) > at else "\n"
    return (TextEdit(Span(at, at), f"\n\n{added}{end}".replace("\n", newline)),)


def _module(before: Snapshot, written: str) -> str:
    """A file's own module of tests, for a file of Rust that has none."""
    if _RUST_MODULE.search(written) is not None:
        return written
    body = "\n".join(line for line in written.split("\n") if line.strip() != "use super::*;").strip("\n")
    body = indented(body, "    x", still_lines(body, before))
    return f"#[cfg(test)]\nmod tests {{\n    use super::*;\n\n{body}\n}}"


def _bats(text: str, written: str) -> str:
    """What is new in it. Raises Incomplete for more than tests: it would hold for those that are there."""
    known = {line.strip() for line in text.splitlines()}
    lines = written.split("\n")
    at = next((number for number, line in enumerate(lines) if line.startswith("@test ")), len(lines))
    head = [line for line in lines[:at] if line.strip() and not line.startswith("#") and line.strip() not in known]
    twice = next((line for line in lines[at:] if line.startswith("@test ") and line.strip() in known), None)
    if head or twice:
        reason = f"`{(twice or head[0]).strip()}` is more than a new test"
        raise Incomplete(f"The tests do not fit into the file: {reason}.", next_step="Write only new tests.")
    return "\n".join(lines[at:])


def _form(symbol: Symbol, target: _Target, written: str) -> tuple[Check, ...]:
    framework = target.plan.framework
    has = holds_a_test(framework, written)
    uses = re.search(rf"(?<!\w){re.escape(symbol.name)}(?!\w)", written) is not None
    return (
        Check("has a test", has, "" if has else f"there is no test of {framework} in it"),
        Check("uses the code", uses, "" if uses else f"`{symbol.name}` is not in it"),
    )
