"""Rules as data: one YAML document each, in ast-grep's own format with fields of ours beside it.

`rule`, `constraints`, `utils`, `transform` and `fix` are ast-grep's. `valid` and `invalid` are texts on which the rule
finds nothing and something; `fixed` is what its fix makes of each text in `invalid`. They are run as tests.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from leanvibe_lsp.core.edits import minimal
from leanvibe_lsp.errors import UsageError
from leanvibe_lsp.tiers.finding import Category, Finding, Severity, Tag
from leanvibe_lsp.tiers.patterns import LANGUAGES, Match, Tree
from leanvibe_lsp.tiers.words import Needed, may_fit, needed_words

if TYPE_CHECKING:
    from pydantic import BaseModel

LIBRARY = Path(__file__).parent / "library"

# A language whose rules do not stand in the folder of its name alone.
_FOLDERS = {"typescript": ("javascript", "typescript"), "tsx": ("javascript", "typescript")}
_ALIASES = {"py": "python", "js": "javascript", "jsx": "javascript", "ts": "typescript", "c++": "cpp", "cs": "csharp"}


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, read and known to be understood by ast-grep. `matcher` is what ast-grep is given."""

    id: str
    languages: tuple[str, ...]
    message: str
    severity: Severity
    confidence: float
    matcher: Mapping[str, Any]
    needed: Needed
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

    def findings(self, tree: Tree) -> Iterator[Finding]:
        """What it finds in a tree of one of its languages. A match whose text is not under its span is left out."""
        for match in tree.find(self.matcher):
            quote = tree.text[match.span.start : match.span.end]
            if quote == match.quote:
                yield self._finding(match, quote)

    def _finding(self, match: Match, quote: str) -> Finding:
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


def find_all(rules: Iterable[Rule], tree: Tree) -> Iterator[Finding]:
    """What the rules find in a tree of a language of theirs.

    Most rules fit nowhere in most texts: those are left out by the words they need, then by one walk for all others.
    """
    left = [rule for rule in rules if may_fit(rule.needed, tree.text)]
    plain = [rule for rule in left if "utils" not in rule.matcher]
    fitting = {plain[index].id for index in tree.fitting([rule.matcher["rule"] for rule in plain])}
    for rule in left:
        if rule.id in fitting or "utils" in rule.matcher:
            yield from rule.findings(tree)


@cache
def rules_for(language: str) -> tuple[Rule, ...]:
    """The library's rules for a language, by our name of it; read once."""
    folders = (LIBRARY / name for name in _FOLDERS.get(language, (language,)))
    files = (file for folder in folders if folder.is_dir() for file in sorted(folder.glob("*.yml")))
    rules = (rule for file in files for rule in read_rules(file.read_text(encoding="utf-8"), source=file.name))
    return tuple(rule for rule in rules if language in rule.languages)


def read_rules(text: str, *, source: str) -> tuple[Rule, ...]:
    """The rules of a file: one YAML document each. Those of severity "off" are left out.

    Raises UsageError, which names `source` and what is wrong, for what is no rule or what ast-grep refuses.
    """
    import yaml
    from pydantic import ValidationError

    try:
        documents = list(yaml.load_all(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
        return tuple(_rule(document) for document in documents if not _is_off(document))
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, one['loc'])) or 'rule'}: {one['msg']}" for one in error.errors())
    except yaml.YAMLError as error:
        problems = str(error)
    except UsageError as error:
        problems = error.message
    raise UsageError(f"{source} is no rule that can be used: {problems.rstrip('.')}.", next_step="Correct the file.")


def _is_off(document: object) -> bool:
    """True for a rule that is switched off, and for an empty document; to YAML 1.1 a bare `off` is false."""
    return document is None or (isinstance(document, Mapping) and document.get("severity") in ("off", False))


def _rule(document: object) -> Rule:
    given: Any = _form().model_validate(document)
    names = [given.language] if isinstance(given.language, str) else given.language
    languages = tuple(_ALIASES.get(name.lower(), name.lower()) for name in names)
    if unknown := [name for name in languages if name not in LANGUAGES]:
        raise UsageError(f"language: there is no {unknown[0]!r}; there are: {', '.join(sorted(LANGUAGES))}")
    matcher = {
        name: value
        for name in ("rule", "constraints", "utils", "transform")
        if (value := getattr(given, name)) is not None
    }
    for language in languages:
        Tree("", language).find(matcher)
    return Rule(
        id=given.id,
        languages=languages,
        message=given.message or given.id,
        severity=Severity("information" if given.severity == "info" else given.severity),
        confidence=given.confidence,
        matcher=matcher,
        needed=needed_words(given.rule, given.utils or {}),
        note=given.note,
        mend=given.mend,
        category=given.category,
        cwe=given.cwe,
        link=given.url or (f"https://cwe.mitre.org/data/definitions/{given.cwe}.html" if given.cwe else ""),
        tags=tuple(given.tags),
        fix=given.fix,
        fix_title=given.fix_title,
        valid=tuple(given.valid),
        invalid=tuple(given.invalid),
        fixed=tuple(given.fixed),
    )


@cache
def _form() -> type[BaseModel]:
    from pydantic import BaseModel, ConfigDict, Field

    class RuleForm(BaseModel):
        """A rule as it stands in a file. `metadata` and `labels` are taken and not used."""

        model_config = ConfigDict(extra="forbid")

        id: str = Field(min_length=1)
        language: str | list[str]
        message: str = ""
        severity: Literal["error", "warning", "information", "info", "hint"] = "hint"
        note: str = ""
        mend: str = ""
        category: Category = Category.CUSTOM
        url: str = ""
        cwe: int | None = None
        confidence: float = Field(default=0.7, ge=0, le=1)
        tags: list[Tag] = []
        rule: dict[str, Any]
        constraints: dict[str, Any] | None = None
        utils: dict[str, Any] | None = None
        transform: dict[str, Any] | None = None
        fix: str | None = None
        fix_title: str = Field(default="", alias="fixTitle")
        valid: list[str] = []
        invalid: list[str] = []
        fixed: list[str] = []
        metadata: Any = None
        labels: Any = None

    return RuleForm
