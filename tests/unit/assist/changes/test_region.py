from __future__ import annotations

from pathlib import Path

import pytest

from leanvibe_lsp.assist.answer import Place
from leanvibe_lsp.assist.changes.region import region_of
from leanvibe_lsp.assist.changes.values import ChangeKind, ChangeRequest, Complaint
from leanvibe_lsp.core.text import LineIndex, Span
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.errors import UsageError

_CODE = """import os
import sys

LIMIT = {
    "a": 1,
}


class A:
    size = 1

    @property
    def f(self):
        if self.size:
            g()
            h()
        return 1
"""
_F = "    @property\n    def f(self):\n        if self.size:\n            g()\n            h()\n        return 1"


def region(under: str, kind: ChangeKind, text: str = _CODE) -> str:
    """The lines that may change when `under` is selected, or complained about."""
    snapshot = Snapshot("untitled:x", Path("/x.py"), "", 1, text, LineIndex(text))
    span = Span(text.index(under), text.index(under) + len(under))
    found = region_of(ChangeRequest(kind, Place(snapshot, span), complaint=Complaint(span, "wrong"))).span
    return text[found.start : found.end]


@pytest.mark.parametrize(
    ("under", "kind", "lines"),
    [
        ("g()", ChangeKind.FIX, _F),
        ("os", ChangeKind.FIX, "import os\nimport sys"),
        ('"a"', ChangeKind.FIX, '    "a": 1,'),
        ("size = 1", ChangeKind.FIX, "    size = 1"),
        ("h()", ChangeKind.SIMPLIFY, "            h()"),
        ("g()\n            h", ChangeKind.REWRITE, "            g()\n            h()"),
        ("h()\n        return", ChangeKind.REWRITE, _F.partition("f(self):\n")[2]),
        ("def f", ChangeKind.SIMPLIFY, _F),
        ("h()", ChangeKind.EXTRACT, _F),
        ("h()", ChangeKind.RENAME, _F),
        ("size", ChangeKind.DOCUMENT, _CODE[_CODE.index("class A") :].rstrip()),
    ],
)
def test_what_may_change(under: str, kind: ChangeKind, lines: str) -> None:
    """Whole statements or definitions on lines of their own, and as few as the kind of change needs."""
    assert region(under, kind) == lines


def test_nothing_is_no_region() -> None:
    """Blank lines hold nothing to change."""
    with pytest.raises(UsageError, match="no code"):
        region("\n\n", ChangeKind.REWRITE, "\n\n\nx = 1\n")
