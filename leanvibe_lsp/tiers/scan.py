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
from leanvibe_lsp.tiers.words import may_fit


def scan(text: str, language: str, rules: Sequence[Rule]) -> tuple[Finding, ...]:
    """What the rules of this language find in a text, in its order; comments silence nothing.

    It is what `look` finds. A second tree, beside that of the structural rules, is made only for what needs it: rules
    about data, and broken code, of which each piece is looked at alone.
    """
    chosen = rule_set(tuple(rule for rule in rules if language in rule.languages))
    reading = Reading(text, language)
    if not any(may_fit(rule.needed, reading.words) for rule in chosen.flow):
        found = list(find_all((*chosen.local, *chosen.wide), reading))
        if not reading.broken:
            return in_order(found)
    known = grammar(language)
    if known is None:
        return in_order(find_all((*chosen.local, *chosen.wide), reading))
    return look(reading, syntax_of(LineIndex(text), known), chosen, None).findings
