"""What ast-grep finds in a text: of rules that are not evaluated here.

A text without the words that a rule needs is not parsed for it, and one parse serves all rules.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cached_property

from leanvibe_lsp.core.text import Span
from leanvibe_lsp.tiers.finding import Finding
from leanvibe_lsp.tiers.patterns import Tree
from leanvibe_lsp.tiers.rule import Rule
from leanvibe_lsp.tiers.words import Vocabulary, may_fit, vocabulary


class Reading:
    """A text in a language, parsed by ast-grep when that is needed, and once. One thread at a time."""

    def __init__(self, text: str, language: str) -> None:
        self.text = text
        self.language = language

    @cached_property
    def words(self) -> Vocabulary:
        """All its words."""
        return vocabulary(self.text)

    @cached_property
    def tree(self) -> Tree:
        """What ast-grep makes of it."""
        return Tree(self.text, self.language)

    @cached_property
    def _parts(self) -> tuple[Span, ...]:
        return tuple(place.span for place in self.tree.parts())

    def part_of(self, span: Span) -> Span:
        """The statement or definition of the top level that holds the span; else all the text."""
        at = bisect_right(self._parts, span.start, key=lambda part: part.start) - 1
        if at >= 0 and span.end <= self._parts[at].end:
            return self._parts[at]
        return Span(0, len(self.text))


def find_all(rules: Sequence[Rule], reading: Reading) -> Iterator[Finding]:
    """What structural rules find in a text of a language of theirs, in no promised order."""
    for rule in rules:
        if may_fit(rule.needed, reading.words):
            for finding in rule.findings(reading.tree):
                if rule.wide or _is_of(rule, finding, reading):
                    yield finding


def _is_of(rule: Rule, finding: Finding, reading: Reading) -> bool:
    """Whether what the rule needs stands in the same part of the text, as it must when that is looked at alone."""
    part = reading.part_of(finding.span)
    return may_fit(rule.needed, vocabulary(reading.text[part.start : part.end]))
