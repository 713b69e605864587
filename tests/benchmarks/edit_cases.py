"""Ten edits: a small file and what to change in it, as `edits/NAME.md` (the instruction, then the file in a fence)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_FOLDER = Path(__file__).parent / "edits"


@dataclass(frozen=True, slots=True)
class EditCase:
    """What to change, and the file it is asked about."""

    name: str
    instruction: str
    language: str
    code: str

    def prompt(self) -> str:
        """Plain text after which a model says most of the file again.

        It stands there twice already, the second time as an answer: a small model would not copy from one example.
        """
        fenced = f"```{self.language}\n{self.code}```\n"
        asked = f"{self.instruction} Give the whole file.\n\n"
        return f"{asked}{fenced}\n{asked}{fenced}\n{asked}```{self.language}\n"


def edit_cases() -> list[EditCase]:
    """All of them, by name. Raises ValueError for a file of another form."""
    return [_read(path) for path in sorted(_FOLDER.glob("*.md"))]


def _read(path: Path) -> EditCase:
    instruction, opened, rest = path.read_text(encoding="utf-8").partition("\n\n```")
    language, _, fenced = rest.partition("\n")
    code, closed, after = fenced.rpartition("```\n")
    if not (opened and closed and instruction and code) or after:
        raise ValueError(f"{path} is no instruction and one fenced file")
    return EditCase(path.stem, instruction, language, code)
