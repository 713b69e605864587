"""Tests for a definition: a new test file, or new tests at the end of the one that is there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from leanvibe_lsp.assist.answer import Place
from leanvibe_lsp.assist.changes.drafts import code_of
from leanvibe_lsp.assist.changes.project import Project, manifest_of, project_of, read_beside
from leanvibe_lsp.assist.changes.region import region_of
from leanvibe_lsp.assist.changes.task import Task, Verdict, meant, shown, verdict_of
from leanvibe_lsp.assist.changes.tests_file import TestPlan, holds_a_test, planned, test_files
from leanvibe_lsp.assist.changes.values import ChangeKind, ChangeRequest, Check, FileChange
from leanvibe_lsp.assist.changes.verify import Proposal, verify
from leanvibe_lsp.assist.prompt import fenced
from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.edits import TextEdit
from leanvibe_lsp.core.text import LineIndex, Span
from leanvibe_lsp.documents import uris
from leanvibe_lsp.documents.grammars import language_of
from leanvibe_lsp.documents.scopes import Symbol, symbols
from leanvibe_lsp.documents.secrets import withheld
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.errors import Incomplete, UsageError

# Languages whose tests stand inside of what is there already: before its last brace.
_INSIDE = frozenset({"java", "php"})
_HEAD = re.compile(r"\s*(?:import\b|from\b|package\b|use\b|using\b|require|const \w+ = require|<\?php|#!|load )")


@dataclass(frozen=True, slots=True)
class _Target:
    """The test file as it is (empty when it is to be made), and where new text goes."""

    plan: TestPlan
    snapshot: Snapshot
    at: int
    indent: str = ""
    wrapper: tuple[str, str] = ("", "")


def testing(request: ChangeRequest) -> Task:
    """The task; reads the project's file names and the test file. Raises UsageError where tests cannot be placed."""
    snapshot = request.place.snapshot
    region = region_of(request)
    symbol = region.symbol
    assert symbol is not None, "a region to test has a definition"
    if snapshot.path is None:
        raise UsageError("A file that was never saved has no place for tests.", next_step="Save it first.")
    language = language_of(snapshot.language_id, snapshot.path) or ""
    project = project_of(snapshot.path)
    target, example = _target(snapshot, language, project, request.secrets)
    code = shown(snapshot, region.span)
    form = "only the new tests" if target.plan.exists else "the whole test file, with its imports"
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
        return _rust(plan, snapshot), None
    path = project.root / plan.path
    there = read_beside(project, plan.path) if plan.exists else None
    if there is None:
        empty = Snapshot(uris.from_path(path), path, snapshot.language_id, None, "", LineIndex(""))
        return _Target(TestPlan(plan.path, plan.framework, exists=False), empty, 0), example
    last = there.text.rstrip().rfind("}") if language in _INSIDE else -1
    end = last if last >= 0 else len(there.text.rstrip())
    return _Target(plan, there, end, indent="    " if last >= 0 else ""), there


def _rust(plan: TestPlan, snapshot: Snapshot) -> _Target:
    """A file's own module of tests: added to, or made at its end."""
    module = next((one for one in symbols(snapshot) if one.kind == "module" and one.name in ("tests", "test")), None)
    if module is not None and snapshot.text[module.span.end - 1] == "}":
        return _Target(plan, snapshot, module.span.end - 1, indent="    ")
    wrapper = ("#[cfg(test)]\nmod tests {\n    use super::*;\n\n", "\n}")
    return _Target(plan, snapshot, len(snapshot.text.rstrip()), indent="    ", wrapper=wrapper)


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
    try:
        written = meant(source, code_of(answer, ""))
    except Incomplete as error:
        said = error.message[:1].lower() + error.message[1:].rstrip(".")
        return Verdict(answer, (Check("answer is whole", False, error.message),), problem=said)
    before = target.snapshot
    inserted = _inserted(target, written)
    form = _form(symbol, target, written)
    proposal = Proposal(ChangeKind.TESTS, before, Span(target.at, target.at), inserted, symbol)
    checks = form if any(check.failed for check in form) else (*form, *verify(proposal))
    edit = TextEdit(proposal.region, inserted)
    return verdict_of(written, checks, FileChange(before, (edit,), creates=not target.plan.exists), proven=False)


def _inserted(target: _Target, written: str) -> str:
    text = target.snapshot.text
    newline = "\r\n" if "\r\n" in text else "\n"
    if not target.plan.exists:
        return written + "\n"
    known = {line.strip() for line in text.splitlines()}
    lines = written.split("\n")
    begin = next((at for at, line in enumerate(lines) if line.strip() and not _HEAD.match(line)), len(lines))
    head = [line for line in lines[:begin] if line.strip() and line.strip() not in known]
    body = "\n".join([*head, *([""] if head else []), *lines[begin:]])
    opening, closing = target.wrapper
    if target.indent and "#[cfg(test)]" in body:
        opening = closing = indent = ""
    else:
        indent = target.indent
    body = "\n".join(indent + line if line.strip() else "" for line in body.split("\n"))
    between = "\n" if target.indent and not target.wrapper[0] else "\n\n\n"
    # Only where the text ends here does its own last line ending follow; before a brace one is needed.
    end = "\n" if target.at < len(text.rstrip()) or target.at == len(text) else ""
    return f"{between}{opening}{body}{closing}{end}".replace("\n", newline)


def _form(symbol: Symbol, target: _Target, written: str) -> tuple[Check, ...]:
    framework = target.plan.framework
    has = holds_a_test(framework, written)
    uses = re.search(rf"(?<!\w){re.escape(symbol.name)}(?!\w)", written) is not None
    return (
        Check("has a test", has, "" if has else f"there is no test of {framework} in it"),
        Check("uses the code", uses, "" if uses else f"`{symbol.name}` is not in it"),
    )
