"""All rules on one text, for those who look at it once: nothing is remembered."""

from __future__ import annotations

from collections.abc import Sequence

from leanvibe_lsp.core.text import LineIndex
from leanvibe_lsp.documents.grammars import grammar
from leanvibe_lsp.documents.syntax import syntax_of
from leanvibe_lsp.tiers.finding import Finding
from leanvibe_lsp.tiers.look import in_order, look, rule_set
from leanvibe_lsp.tiers.reading import Reading, find_all
from leanvibe_lsp.tiers.rule import Rule


def scan(text: str, language: str, rules: Sequence[Rule]) -> tuple[Finding, ...]:
    """What the rules of this language find in a text, in its order; comments silence nothing."""
    chosen = rule_set(tuple(rule for rule in rules if language in rule.languages))
    reading, known = Reading(text, language), grammar(language)
    if known is None:
        return in_order(find_all(chosen.structural, reading))
    return look(reading, syntax_of(LineIndex(text), known), chosen, None).findings
