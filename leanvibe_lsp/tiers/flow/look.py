"""All flow rules on one text at once. What was found in a function is kept as long as nothing it depends on changes.

A unit is a function or a method with what is nested in it, or all code of the top level that is in none. Units whose
words say that nothing can be found in them are not walked. What a unit depends on beside its own text: the code of the
top level, and the functions of the file whose names stand in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents.syntax import Syntax
from leanvibe_lsp.tiers.finding import Finding, Related, Severity
from leanvibe_lsp.tiers.flow.calls import Hit
from leanvibe_lsp.tiers.flow.evaluate import TooMuch
from leanvibe_lsp.tiers.flow.module import Module
from leanvibe_lsp.tiers.flow.sinks import SinkIndex
from leanvibe_lsp.tiers.flow.spec import FlowSpec
from leanvibe_lsp.tiers.flow.units import Unit, Units
from leanvibe_lsp.tiers.flow.values import Source
from leanvibe_lsp.tiers.flow.walk import Walk
from leanvibe_lsp.tiers.flow.words import (
    Wanted,
    in_file,
    may_hold,
    renamed,
    strangers_in,
    wanted,
    with_renamed,
    words_of,
)
from leanvibe_lsp.tiers.rule import Rule

_LIKELY = (0.5, 0.25)  # below these a finding is a warning at most, and then information


@dataclass(frozen=True, slots=True)
class FlowLook:
    """What the flow rules found in a text, in its order; `units` is what a later look may reuse.

    The findings of a unit count from the unit's first character.
    """

    findings: tuple[Finding, ...]
    units: Mapping[bytes, tuple[Finding, ...]] = field(default_factory=dict)


def look(syntax: Syntax, rules: Sequence[Rule], earlier: FlowLook | None = None) -> FlowLook:
    """What the rules find in a Python text, its spans in code points. A pure function of the text and the rules.

    Rules without a `flow` are passed over. `earlier` is a look by the same rules at an earlier text.
    """
    flows = tuple((rule.id, rule.flow) for rule in rules if rule.flow is not None)
    if not flows:
        return FlowLook(())
    index, sinks = _prepared(tuple(_Spec(flow) for _, flow in flows))
    names = renamed(syntax.data, sinks)
    words = with_renamed(words_of(syntax.data), names)
    live = in_file(sinks, words)
    if not live:
        return FlowLook(())
    known = earlier.units if earlier is not None else {}
    module = Module(syntax)
    units = Units(module, names, strangers_in(words, index.origins))
    ours = [rule for rule in rules if rule.flow is not None]
    found: list[Finding] = []
    kept: dict[bytes, tuple[Finding, ...]] = {}
    for unit in units.units:
        if not unit.nodes or not may_hold(live, unit.words, units.told, bool(unit.name)):
            continue
        key = units.key(unit)
        start = syntax.bytes.character(unit.nodes[0].start_byte)
        if key not in kept:
            reused = known.get(key)
            kept[key] = _findings(unit, units, index, ours, syntax, start) if reused is None else reused
        found += (_moved(finding, start) for finding in kept[key])
    found.sort(key=lambda finding: (finding.span.start, finding.span.end, finding.rule))
    return FlowLook(tuple(found), kept)


class _Spec:
    """A specification by identity: a rule is read once, and comparing what it holds takes longer than using it."""

    def __init__(self, flow: FlowSpec) -> None:
        self.flow = flow

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Spec) and other.flow is self.flow

    def __hash__(self) -> int:
        return id(self.flow)


@lru_cache(maxsize=16)
def _prepared(specs: tuple[_Spec, ...]) -> tuple[SinkIndex, tuple[Wanted, ...]]:
    flows = [spec.flow for spec in specs]
    return SinkIndex(flows), wanted(flows)


def _findings(
    unit: Unit, units: Units, index: SinkIndex, rules: Sequence[Rule], syntax: Syntax, offset: int
) -> tuple[Finding, ...]:
    """What is found in a unit, in its order; spans from its first character, which stands at `offset`."""
    spans = [(node.start_byte, node.end_byte) for node in unit.nodes]
    module = units.module
    walk = Walk(module, index, spans, unit.name.rpartition(".")[0], units.starts)
    try:
        if unit.name:
            function = module.function(unit.name)
            if function is not None:
                walk.unit(function)
        else:
            walk.loose(module.lowering.block(list(unit.nodes)))
    except TooMuch:
        pass  # what was found until then stands
    least = limit("flow.least_percent") / 100
    made = [
        _finding(hit, rules[hit.rule], syntax, walk, offset)
        for hit in walk.hits.values()
        if hit.factor * rules[hit.rule].confidence >= least
    ]
    return tuple(sorted(made, key=lambda finding: (finding.span.start, finding.span.end, finding.rule)))


def _finding(hit: Hit, rule: Rule, syntax: Syntax, walk: Walk, offset: int) -> Finding:
    def span(start: int, end: int) -> Span:
        return Span(syntax.bytes.character(start) - offset, syntax.bytes.character(end) - offset)

    source, steps = hit.taint.source, []
    if walk.holds(source.start) and source.start < source.end:
        steps.append(Related(span(source.start, source.end), f"{_called(source)} is read here."))
    chain = [] if hit.taint.step is None else list(hit.taint.step.chain())
    steps += (
        Related(span(step.start, step.end), f"It goes into `{step.name}`.")
        for step in reversed(chain)
        if walk.holds(step.start) and step.start != source.start
    )
    most = int(limit("flow.related"))
    message = rule.message.replace("$SOURCE", _called(source)).replace("$SINK", hit.sink)
    if hit.through:
        message = f"{message.rstrip('.')} in `{hit.through}()`."
    return Finding(
        rule=rule.id,
        message=message,
        severity=_loudness(rule.severity, hit.factor),
        span=span(hit.start, hit.end),
        quote=syntax.data[hit.start : hit.end].decode("utf-8"),
        confidence=round(rule.confidence * hit.factor, 3),
        note=rule.note,
        mend=rule.mend,
        category=rule.category,
        cwe=rule.cwe,
        link=rule.link,
        tags=rule.tags,
        related=tuple(steps if len(steps) <= most else [steps[0], *steps[len(steps) - most + 1 :]]),
    )


def _loudness(severity: Severity, factor: float) -> Severity:
    """A source that is hardly a stranger's, or a way that is hardly known, is not cried out."""
    order = list(Severity)  # from loud to quiet
    quieter = sum(factor < bound for bound in _LIKELY)
    return order[max(order.index(severity), quieter)]


def _called(source: Source) -> str:
    return f"Parameter `{source.label}`" if source.group == "parameter" else f"`{source.label}`"


def _moved(finding: Finding, by: int) -> Finding:
    return replace(
        finding,
        span=Span(finding.span.start + by, finding.span.end + by),
        related=tuple(replace(one, span=Span(one.span.start + by, one.span.end + by)) for one in finding.related),
    )
