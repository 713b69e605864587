"""All rules that count in a workspace, for who asks about rules and not about code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from leanvibe_lsp.assist.rulebook import load_rulebook, rulebook_of
from leanvibe_lsp.documents.grammars import language_of
from leanvibe_lsp.tiers.patterns import LANGUAGES
from leanvibe_lsp.tiers.rule import Rule, rule_of
from leanvibe_lsp.tiers.rule_files import read_file
from leanvibe_lsp.tiers.rules import LIBRARY, library_ids, rules_for
from leanvibe_lsp.tiers.suppression import OTHER_RUNGS, UNUSED


@dataclass(frozen=True, slots=True)
class Entry:
    """A rule and the file that it is read from; `own`: it is the workspace's."""

    rule: Rule
    file: Path
    own: bool


def entries(root: Path) -> tuple[Entry, ...]:
    """All rules by their ids. What in the workspace's files is no rule is left out; `leanvibe rules test` says why."""
    library = {rule.id: rule for language in LANGUAGES for rule in rules_for(language)}
    book, _ = load_rulebook(root)
    found = [Entry(rule, LIBRARY / f"{rule.id}.yml", own=False) for rule in library.values()]
    sources = book.sources or {}
    found += [Entry(rule, sources[rule.id], own=True) for rule in book.own]
    return tuple(sorted(found, key=lambda one: (one.own, one.rule.id)))


def known_ids(roots: Iterable[Path]) -> frozenset[str]:
    """What a finding's rule may be called."""
    own = (rule.id for root in roots for rule in rulebook_of(root / "any").own)
    return frozenset((*library_ids(), *own, UNUSED, *OTHER_RUNGS))


def messages(used: Mapping[str, Path]) -> dict[str, str]:
    """What rules say in general, by id; `used` names a file that each was used on."""
    found: dict[str, str] = {}
    for name, path in used.items():
        language = language_of("", path)
        rules = rulebook_of(path).rules_for(language, path) if language is not None else ()
        found |= {rule.id: rule.message for rule in rules if rule.id == name}
    return found


def whole(entry: Entry) -> tuple[Rule, str]:
    """The rule with its cases, and the text of its file; the rule alone where that cannot be read any more."""
    try:
        text = entry.file.read_text(encoding="utf-8-sig")
    except (OSError, ValueError):
        return entry.rule, ""
    read = read_file(text, trusted=not entry.own)
    same = (rule_of(values) for values in read.values if values["id"] == entry.rule.id)
    return next(same, entry.rule), text
