"""How likely a function or a hunk deserves a reviewer's eyes, and what says so. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from leanvibe_lsp.core.text import LineIndex, Span
from leanvibe_lsp.documents.bytemap import ByteMap
from leanvibe_lsp.documents.grammars import grammar
from leanvibe_lsp.documents.syntax import Syntax, encoded, syntax_of
from leanvibe_lsp.tiers.finding import Finding
from leanvibe_lsp.tiers.risk.features import Features, features, in_span
from leanvibe_lsp.tiers.risk.model import Linear, RiskModel, shipped
from leanvibe_lsp.tiers.risk.survey import Survey, generic, survey_of
from leanvibe_lsp.tiers.risk.values import Reason, Risk, UnitRisk
from leanvibe_lsp.tiers.risk.wording import ABSENT, words_for

_NAMED = 8  # reasons of an answer
_LIGHT = 0.05  # log-odds: what moves an answer less is no reason


def assess(
    text: str,
    language: str,
    *,
    span: Span | None = None,
    findings: Iterable[Finding] = (),
    syntax: Syntax | None = None,
    model: RiskModel | None = None,
) -> Risk:
    """The risk of a span of a text (code points), or of all of it. The model is the shipped one unless given.

    `findings` are all that the rules found in the text: the model was trained with them and takes none for "nothing
    was found". `language` is by our name; `syntax` is the text's, if it is at hand.
    """
    survey, offsets = _surveyed(text, language, syntax)
    place = span or Span(0, len(text))
    return _risk(survey, offsets, place, list(findings), model or shipped())


def assess_units(
    text: str,
    language: str,
    *,
    findings: Iterable[Finding] = (),
    syntax: Syntax | None = None,
    model: RiskModel | None = None,
) -> tuple[UnitRisk, ...]:
    """The risk of each outermost function and method of a Python text, in its order; of others, of all of it."""
    survey, offsets = _surveyed(text, language, syntax)
    model, known = model or shipped(), list(findings)
    if survey.basis != "python":
        whole = Span(0, len(text))
        return (UnitRisk("", whole, _risk(survey, offsets, whole, known, model)),)
    spans = [(one.name, Span(offsets.character(one.start), offsets.character(one.end))) for one in survey.outermost]
    return tuple(UnitRisk(name, span, _risk(survey, offsets, span, known, model)) for name, span in spans)


def features_of(
    text: str, language: str, span: Span, findings: Sequence[Finding], syntax: Syntax | None = None
) -> Features:
    """The features of a span, as training sees them."""
    survey, offsets = _surveyed(text, language, syntax)
    return features(survey, offsets.byte(span.start), offsets.byte(span.end), in_span(findings, span.start, span.end))


def _surveyed(text: str, language: str, syntax: Syntax | None) -> tuple[Survey, ByteMap]:
    if syntax is None and language == "python":
        known = grammar(language)
        syntax = syntax_of(LineIndex(text), known) if known is not None else None
    if syntax is None:
        data = encoded(text)
        return generic(data), ByteMap(data)
    return survey_of(syntax, language), syntax.bytes


def _risk(survey: Survey, offsets: ByteMap, span: Span, findings: list[Finding], model: RiskModel) -> Risk:
    part = model.parts[survey.basis]
    found = features(survey, offsets.byte(span.start), offsets.byte(span.end), in_span(findings, span.start, span.end))
    probability = part.calibration(part.log_odds(found))
    is_risky = probability >= part.threshold
    return Risk(probability, _reasons(part, found, is_risky=is_risky), survey.basis, is_risky)


def _reasons(part: Linear, found: Features, *, is_risky: bool) -> tuple[Reason, ...]:
    """What speaks for the answer, then what speaks against it, each the heaviest first.

    Weights of features that are said in the same words are put together.
    """
    together: dict[str, float] = {}
    for name in (*found, *(name for name in ABSENT if name not in found)):
        words = words_for(name, name in found)
        if words:
            together[words] = together.get(words, 0.0) + part.weight(name, found.get(name, 0.0))
    heaviest = sorted(together.items(), key=lambda pair: (-abs(pair[1]), pair[0]))
    told = [Reason(words, weight) for words, weight in heaviest[:_NAMED] if abs(weight) >= _LIGHT]
    return tuple(sorted(told, key=lambda one: (one.weight > 0) is not is_risky))
