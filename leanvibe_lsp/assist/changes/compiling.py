"""Whether Python itself takes the code: its grammar for editors takes much that the language does not. Pure.

Compiled by the interpreter that the server runs on, and never run. Code that it did not take before, such as that of
another version, is not held to it.
"""

from __future__ import annotations

import warnings

from leanvibe_lsp.assist.changes.proposal import Proposal
from leanvibe_lsp.assist.changes.values import Check
from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents.grammars import syntax

_NAME = "compiles"


def compiles(proposal: Proposal) -> Check:
    """The statements of the module that the region is in, before and after."""
    text, region = proposal.before.text, proposal.region
    whole = _statements(proposal)
    if len(proposal.text) + whole.end - whole.start > limit("change.compiled_characters"):
        return Check(_NAME, False, "not checked: the code is too long", checked=False)
    problem = _problem(text[whole.start : region.start] + proposal.text + text[region.end : whole.end])
    if problem == "":
        return Check(_NAME, True)
    if problem is None:
        return Check(_NAME, False, "not checked: the code is nested too deep", checked=False)
    if _problem(text[whole.start : whole.end]) != "":
        return Check(_NAME, False, "not checked: Python did not take the code before", checked=False)
    return Check(_NAME, False, f"Python says: {problem}")


def _statements(proposal: Proposal) -> Span:
    """The span of the module's own statements that the region touches, in whole lines."""
    known, region, lines = syntax(proposal.before), proposal.region, proposal.before.lines
    span = region
    if known is not None:
        start, end = known.bytes.byte(region.start), known.bytes.byte(region.end)
        for node in known.tree.root_node.children:
            if node.start_byte <= end and start <= node.end_byte:
                one = Span(known.bytes.character(node.start_byte), known.bytes.character(node.end_byte))
                span = Span(min(span.start, one.start), max(span.end, one.end))
    return Span(lines.line_span(lines.line_of(span.start)).start, span.end)


def _problem(code: str) -> str | None:
    """What is wrong with the code, "" when nothing is, None when that could not be found out."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(code.removeprefix("\ufeff").replace("\r\n", "\n") + "\n", "<draft>", "exec", dont_inherit=True)
    except SyntaxError as error:
        return error.msg
    except ValueError as error:  # a null byte, a lone surrogate
        return str(error)
    except (RecursionError, MemoryError, OverflowError):
        return None
    return ""
