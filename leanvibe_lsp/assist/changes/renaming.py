"""Local names made clearer. A model only says what each should be called; the text is changed by us. Pure.

So nothing but names can change, and only those that are local beyond doubt (`local_names.py`).
"""

from __future__ import annotations

import keyword
import re
from collections import Counter

from tree_sitter import Language

from leanvibe_lsp.assist.answer import Place
from leanvibe_lsp.assist.changes.local_names import local_names, words_of
from leanvibe_lsp.assist.changes.region import Region, region_of
from leanvibe_lsp.assist.changes.standing import standing
from leanvibe_lsp.assist.changes.task import Task, Verdict, meant, shown, verdict_of
from leanvibe_lsp.assist.changes.values import ChangeKind, ChangeRequest, Check, FileChange
from leanvibe_lsp.assist.changes.verify import Proposal, verify
from leanvibe_lsp.assist.prompt import fenced
from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.edits import TextEdit, applied
from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents.grammars import language_of, syntax
from leanvibe_lsp.documents.secrets import covered_text
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.engine.structured import Structure
from leanvibe_lsp.errors import Incomplete, UsageError

_CHECK = "only names changed"
_NAME = re.compile(r"(?!_)[A-Za-z_][A-Za-z0-9_]*")
# Words that are no keywords in the grammars and no free names either.
_TAKEN = frozenset({"arguments", "await", "eval", "let", "self", "static", "super", "this", "undefined", "yield"})
_LONGEST = 60


def renaming(request: ChangeRequest) -> Task:
    """The task. Raises UsageError where there is no routine, or no name in it that is local beyond doubt."""
    region = region_of(request)
    snapshot = request.place.snapshot
    places = local_names(snapshot, region.span)
    places = dict(list(places.items())[: limit("change.renamed_names")])
    if not places:
        raise UsageError(
            "There is no local variable here that can be renamed without a doubt.",
            next_step="Use your editor's own rename for one name.",
        )
    instruction, code = covered_text(request.instruction.strip()), shown(snapshot, region.span)
    listed = ", ".join(f"`{name}`" for name in places)
    question = (
        f"Give the local variables {listed} of the code below names that say what they hold, in the style of the code. "
        "A name that says it already stays. Answer with one JSON object: each old name with its new name.\n"
        f"{instruction}\n\n{fenced(code, language_of(snapshot.language_id, snapshot.path) or '')}"
    )
    fields = {name: {"type": "string", "minLength": 1, "maxLength": _LONGEST} for name in places}
    schema = {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}
    structure = Structure.of_schema(schema)

    def judge(answer: str) -> Verdict:
        try:
            said = {str(old): meant(snapshot, str(new)).strip() for old, new in structure.parse(answer).items()}
        except Incomplete as error:
            return Verdict(answer, (Check("answer is whole", False, error.message),), problem=error.message)
        return _judged(snapshot, region, places, {old: new for old, new in said.items() if old != new})

    return Task(
        title=f"Rename for clarity in `{region.symbol.name}`" if region.symbol is not None else "Rename for clarity",
        question=question,
        places=(Place(snapshot, region.span),),
        max_tokens=request.max_tokens or limit("answer.tokens"),
        judge=judge,
        structure=structure,
    )


def _judged(
    snapshot: Snapshot, region: Region, places: dict[str, tuple[Span, ...]], renamed: dict[str, str]
) -> Verdict:
    said = "\n".join(f"{old} -> {new}" for old, new in renamed.items())
    reason = _problem(snapshot, region.span, renamed)
    named = Check(_CHECK, not reason, reason)
    if named.failed:
        return Verdict(said, (named,), problem=f'the check "{_CHECK}" failed ({reason})')
    spans = sorted((span.start, span.end, new) for old, new in renamed.items() for span in places[old])
    edits = tuple(TextEdit(Span(start, end), new) for start, end, new in spans)
    grown = sum(len(edit.text) - (edit.span.end - edit.span.start) for edit in edits)
    text = applied(snapshot.text, edits)[region.span.start : region.span.end + grown]
    proposal = Proposal(ChangeKind.RENAME, snapshot, region.span, text, region.symbol)
    change = FileChange(snapshot, edits, region=standing(snapshot, region.span))
    return verdict_of(said, (named, *verify(proposal)), change, proven=False)


def _problem(snapshot: Snapshot, region: Span, renamed: dict[str, str]) -> str:
    """Why these cannot be the new names; "" when they can."""
    if not renamed:
        return "no name changed"
    # In a shell a callee sees the caller's names.
    is_shell = language_of(snapshot.language_id, snapshot.path) == "bash"
    known = words_of(snapshot, Span(0, len(snapshot.text)) if is_shell else region)
    twice = Counter(renamed.values())
    for new in renamed.values():
        if not _NAME.fullmatch(new) or (is_shell and new.isupper()):
            return f"`{new}` is no name for a variable"
        if keyword.iskeyword(new) or new in _TAKEN or _is_keyword(snapshot, new):
            return f"`{new}` has a meaning of its own here"
        if new in known or twice[new] > 1:
            return f"two things would be called `{new}`"
    return ""


def _is_keyword(snapshot: Snapshot, word: str) -> bool:
    found = syntax(snapshot)
    language: Language | None = None if found is None else found.language
    return language is not None and language.id_for_node_kind(word, False) is not None
