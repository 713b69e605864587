"""One rule as the program uses it: what it looks for, and what it says where it finds that."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from leanvibe_lsp.core.edits import minimal
from leanvibe_lsp.core.globs import covers
from leanvibe_lsp.core.text import Span
from leanvibe_lsp.tiers.finding import Category, Finding, Severity, Tag
from leanvibe_lsp.tiers.patterns import Place
from leanvibe_lsp.tiers.words import Needed, Word

if TYPE_CHECKING:
    from leanvibe_lsp.tiers.flow.spec import FlowSpec


class Fit(Protocol):
    """A place that a rule fits, and what its variables stand for there."""

    @property
    def span(self) -> Span:
        """Where it stands."""

    @property
    def quote(self) -> str:
        """What the matcher says that stands there."""

    def filled(self, template: str) -> str:
        """The template with its variables replaced by what they stand for."""


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """Of `matcher`, which ast-grep is given, and `flow` one is there: a structure is looked for, or a way of data.

    It finds nothing in a statement or definition of a text's top level without the words in `needed`; or, when it is
    `wide`, so that what it finds in one of them may hang on the others, in a text without them. `files` and `ignores`
    are globs on the path in the workspace. One that is not `trusted` is somebody else's: ast-grep alone looks for it.
    """

    id: str
    languages: tuple[str, ...]
    message: str
    severity: Severity
    confidence: float
    matcher: Mapping[str, Any]
    flow: FlowSpec | None
    needed: Needed
    wide: bool
    trusted: bool
    files: tuple[str, ...]
    ignores: tuple[str, ...]
    note: str
    mend: str
    category: Category
    cwe: int | None
    link: str
    tags: tuple[Tag, ...]
    fix: str | None
    fix_title: str
    valid: tuple[str, ...]
    invalid: tuple[str, ...]
    fixed: tuple[str, ...]

    def is_about(self, path: str) -> bool:
        """Whether it is used in a file, by the path in its workspace; for a rule without globs that is everywhere."""
        if any(covers(_anchored(glob), f"/{path}") for glob in self.ignores):
            return False
        return not self.files or any(covers(_anchored(glob), f"/{path}") for glob in self.files)

    def findings(self, place: Place) -> Iterator[Finding]:
        """What ast-grep finds of it in a place of a text of one of its languages, in no promised order."""
        for match in place.find(self.matcher):
            if (finding := self.finding(match, place.text)) is not None:
                yield finding

    def finding(self, match: Fit, text: str) -> Finding | None:
        """What is said of a place that it fits; None when that place does not stand under its span."""
        quote = text[match.span.start : match.span.end]
        return self._finding(match, quote) if quote == match.quote else None

    def _finding(self, match: Fit, quote: str) -> Finding:
        return Finding(
            rule=self.id,
            message=match.filled(self.message),
            severity=self.severity,
            span=match.span,
            quote=quote,
            confidence=self.confidence,
            note=self.note,
            mend=self.mend,
            category=self.category,
            cwe=self.cwe,
            link=self.link,
            tags=self.tags,
            fix=() if self.fix is None else minimal(quote, match.filled(self.fix), match.span.start),
            fix_title=self.fix_title,
        )


def rule_of(values: Mapping[str, Any]) -> Rule:
    """The rule of values that were checked: see `rule_files.checked`."""
    flow = None
    if values["flow"] is not None:
        from leanvibe_lsp.tiers.flow.spec import read_flow

        flow = read_flow(values["flow"])
    cwe = values["cwe"]
    return Rule(
        id=values["id"],
        languages=tuple(values["languages"]),
        message=values["message"] or values["id"],
        severity=Severity(values["severity"]),
        confidence=values["confidence"],
        matcher=values["matcher"],
        flow=flow,
        needed=_words(values["needed"]),
        wide=values["wide"],
        trusted=values["trusted"],
        files=tuple(values["files"]),
        ignores=tuple(values["ignores"]),
        note=values["note"],
        mend=values["mend"],
        category=Category(values["category"]),
        cwe=cwe,
        link=values["url"] or (f"https://cwe.mitre.org/data/definitions/{cwe}.html" if cwe else ""),
        tags=tuple(Tag(tag) for tag in values["tags"]),
        fix=values["fix"],
        fix_title=values["fix_title"],
        valid=tuple(values.get("valid", ())),
        invalid=tuple(values.get("invalid", ())),
        fixed=tuple(values.get("fixed", ())),
    )


def _words(given: Iterable[Iterable[Sequence[Any]]]) -> Needed:
    return tuple(frozenset(Word(*word) for word in choices) for choices in given)


def _anchored(glob: str) -> str:
    """A glob with a slash in it is about the path from the workspace's root on; one without is for any depth."""
    plain = glob.removeprefix("./")
    return f"/{plain.lstrip('/')}" if "/" in plain.rstrip("/") else plain
