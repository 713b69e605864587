"""Documents that are not parsed although their language is known, and how a person is told. Pure."""

from __future__ import annotations

import math

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.documents import uris
from leanvibe_lsp.documents.grammars import encoded, grammar, language_of, obstacle
from leanvibe_lsp.documents.snapshot import Snapshot

_UNITS = ((1 << 20, "MB"), (1 << 10, "KB"), (1, "bytes"))


def unparsed(snapshot: Snapshot) -> str:
    """Why the text itself keeps it from being parsed, as a sentence for a person; "" for any other document.

    An unknown language and a cell of a notebook are no news to the person who opened it.
    """
    language = language_of(snapshot.language_id, snapshot.path)
    if language is None or uris.is_notebook_cell(snapshot.uri) or grammar(language) is None:
        return ""
    most, reason = limit("document.parse_bytes"), obstacle(snapshot)
    if not reason:
        return ""
    size = len(encoded(snapshot.text))
    if size > most:
        unit, name = next(one for one in _UNITS if one[0] <= most)
        reason = f"{_rounded(size / unit)} {name}, more than {_rounded(most / unit)} {name}"
    return f"LeanVibe does not parse this file: {reason}."


def _rounded(number: float) -> str:
    """Up to one digit behind the point, so that what is larger looks larger."""
    return f"{math.ceil(number * 10) / 10:,g}"
