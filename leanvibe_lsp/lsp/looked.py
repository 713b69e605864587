"""What was last found in a document, for those who cannot wait for another look."""

from __future__ import annotations

from dataclasses import dataclass

from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.tiers.finding import Finding


@dataclass(frozen=True, slots=True)
class Looked:
    """The findings of a document as it was then."""

    snapshot: Snapshot
    findings: tuple[Finding, ...]
