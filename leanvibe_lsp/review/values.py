"""What a check of files is given and what comes of it. Plain values that travel between processes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from leanvibe_lsp.config.settings import EditorSettings
from leanvibe_lsp.tiers.finding import Finding, Severity

LOUDNESS = {Severity.ERROR: 3, Severity.WARNING: 2, Severity.INFORMATION: 1, Severity.HINT: 0}


@dataclass(frozen=True, slots=True)
class Target:
    """A file to look at: `shown` as a person reads it, `within` from the workspace's folder on, with slashes."""

    path: Path
    root: Path
    shown: str
    within: str
    size: int = 0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for: globs over ids of rules, the least confidence, 0 to 1; `settings` are by the target's root.

    With `mend` the fixes that stand are made in the text, with `prove` it is only told which of them stand.
    """

    settings: Mapping[Path, EditorSettings]
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    least: float = 0.0
    mend: bool = False
    prove: bool = False


@dataclass(frozen=True, slots=True)
class Region:
    """A place for a reader: lines and columns from 1, the end behind it; columns count UTF-16 units, as editors do."""

    line: int
    column: int
    end_line: int
    end_column: int


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A line of the file, cut where it is long; what is meant are the characters from `start` to `end` of `text`."""

    line: int
    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Step:
    """A place on the way of the data."""

    region: Region
    message: str
    excerpt: Excerpt


@dataclass(frozen=True, slots=True)
class Replacement:
    """A part of a fix that was proven."""

    region: Region
    text: str


@dataclass(frozen=True, slots=True)
class Also:
    """A finding of the same weakness at the same place that is not shown for itself, because it is less sure."""

    rule: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Found:
    """A finding with all that is needed to tell it without its file. `symbol` is "" outside of definitions."""

    target: Target
    finding: Finding
    region: Region
    excerpt: Excerpt
    symbol: str
    fingerprint: str
    steps: tuple[Step, ...] = ()
    also: tuple[Also, ...] = ()
    fix: tuple[Replacement, ...] = ()


@dataclass(frozen=True, slots=True)
class Mended:
    """What the fixes make of a file; `done` are the rules whose fixes they were, in the order of the text."""

    before: str
    after: str
    done: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FileReport:
    """What came of one file: `left_out` says why it is nothing to check, `failed` why it could not be."""

    target: Target
    found: tuple[Found, ...] = ()
    lines: int = 0
    left_out: str = ""
    failed: str = ""
    mended: Mended | None = None


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that is not in the result, or not whole: where, and why."""

    place: str
    reason: str


@dataclass(frozen=True, slots=True)
class Report:
    """The whole result, in a stable order. `unfinished` files were not looked at, because it was interrupted."""

    found: tuple[Found, ...] = ()
    files: int = 0
    lines: int = 0
    left_out: tuple[Trouble, ...] = ()
    failed: tuple[Trouble, ...] = ()
    mended: tuple[FileReport, ...] = ()
    unfinished: int = 0
    seconds: float = field(default=0.0, compare=False)

    def counts(self) -> dict[Severity, int]:
        """How many findings of each severity there are, the loudest first."""
        counted = Counter(one.finding.severity for one in self.found)
        return {severity: counted[severity] for severity in Severity if counted[severity]}
