"""What a person wants changed, what comes of it, and how it was checked. Plain values; no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from leanvibe_lsp.assist.answer import Answer, Place
from leanvibe_lsp.core.edits import TextEdit
from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents.gathered import NOTHING, Gathered
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.engine.base import Source


class ChangeKind(StrEnum):
    """What is done with the place."""

    FIX = "fix"  # a diagnostic
    SIMPLIFY = "simplify"
    RENAME = "rename"  # of names inside the symbol, for clarity
    REWRITE = "rewrite"  # as the person says
    EXTRACT = "extract"  # the selection becomes a function
    DOCUMENT = "document"
    TESTS = "tests"


@dataclass(frozen=True, slots=True)
class Complaint:
    """The diagnostic that a fix is for: ours (`rule` is set) or another server's."""

    span: Span
    message: str
    code: str = ""
    source: str = ""
    rule: str = ""


@dataclass(frozen=True, slots=True)
class ChangeRequest:
    """One change of one place. `instruction` is the person's own words (REWRITE needs them).

    `gathered` is what was found around it (`assist/gathering.py`); `secrets` are globs of files, beside the built-in
    ones, that no model may see. `open_documents` are all that the editor has, as they are there.
    """

    kind: ChangeKind
    place: Place
    instruction: str = ""
    complaint: Complaint | None = None
    max_tokens: int | None = None
    gathered: Gathered = NOTHING
    secrets: tuple[str, ...] = ()
    open_documents: tuple[Snapshot, ...] = ()


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at before an edit was believed: "parses", "complaint gone", "nothing new", ...

    `passed` only when it was shown. What could not be checked is not `checked`, and nothing is refused for it.
    """

    name: str
    passed: bool
    detail: str = ""
    checked: bool = True

    @property
    def failed(self) -> bool:
        """It was looked at and is not as it should be."""
        return self.checked and not self.passed


@dataclass(frozen=True, slots=True)
class FileChange:
    """Edits of one document as it was at `snapshot` (its version is what they are for), or a new file.

    For a new file `snapshot` has no version and an empty text, and the one edit inserts all of it. `region` is what the
    edits were judged with: they hold only while that is as it was.
    """

    snapshot: Snapshot
    edits: tuple[TextEdit, ...]
    creates: bool = False
    region: Span | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """The end of a request for a change.

    `files` is empty when no edit passed its checks: then `refusal` says why in a sentence, and `draft` is what the
    model wrote, to be shown as text and never applied. `proven` only where the checks showed that the complaint is
    gone and nothing new came. `answer` says who wrote it, how sure, at what cost.
    """

    title: str
    files: tuple[FileChange, ...]
    checks: tuple[Check, ...]
    proven: bool
    draft: str
    refusal: str
    answer: Answer
    attempts: int = 1
    sources: tuple[Source, ...] = ()
