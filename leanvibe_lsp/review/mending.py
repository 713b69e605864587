"""The rules' own fixes, made in a text one after the other, each looked at as the editor does it; and written.

From the end of the text to its start, so that what was found further up stays where it is.
"""

from __future__ import annotations

import codecs
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from difflib import unified_diff
from pathlib import Path

from leanvibe_lsp.assist.analyze import analyze
from leanvibe_lsp.assist.changes.run import fix_of
from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.config.settings import EditorSettings
from leanvibe_lsp.core.edits import TextEdit
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.documents.syntax import edited
from leanvibe_lsp.errors import LeanVibeError
from leanvibe_lsp.tiers.finding import Finding


def mended(
    snapshot: Snapshot, settings: EditorSettings, wanted: Callable[[Finding], bool]
) -> tuple[Snapshot, tuple[str, ...]]:
    """The text with every wanted fix that stands, and the rules whose fixes those were, the last made last. Pure."""
    done: list[str] = []
    for _ in range(limit("check.passes")):
        before = len(done)
        for finding in reversed(analyze(snapshot, settings)):
            if not finding.fix or not wanted(finding) or not _is_there(finding, analyze(snapshot, settings)):
                continue
            if edits := proven(finding, snapshot):
                snapshot = _edited(snapshot, edits)
                done.append(finding.rule)
        if len(done) == before:
            break
    return snapshot, tuple(done)


def proven(finding: Finding, snapshot: Snapshot) -> tuple[TextEdit, ...]:
    """The edits of the finding's own fix, none where it has none that stands."""
    change = fix_of(finding, snapshot)
    return change.edits if change is not None else ()


def diff(shown: str, before: str, after: str) -> str:
    """What changes in a file, as `git apply` and `patch` take it."""
    name = shown.replace("\\", "/").lstrip("/")
    pairs = unified_diff(_lines(before), _lines(after), f"a/{name}", f"b/{name}")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in pairs)


def write(path: Path, before: str, after: str) -> None:
    """Put `after` in the place of `before`: all of it or nothing, with the file's mode and its byte order mark.

    Raises LeanVibeError when the file is not as it was read any more, or cannot be written.
    """
    real = path.resolve()
    try:
        data = real.read_bytes()
        mark = codecs.BOM_UTF8 if data.startswith(codecs.BOM_UTF8) else b""
        if data != mark + before.encode("utf-8"):
            raise LeanVibeError(f"{path} was changed meanwhile; it was left as it is.")
        if not os.access(real, os.W_OK):
            raise PermissionError(None, "Permission denied")
        descriptor, name = tempfile.mkstemp(dir=real.parent, prefix=f".{real.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(mark + after.encode("utf-8"))
                file.flush()
                os.fsync(file.fileno())
            shutil.copymode(real, name)
            Path(name).replace(real)
        except BaseException:
            with suppress(OSError):
                Path(name).unlink()
            raise
    except OSError as error:
        raise LeanVibeError(f"{path} could not be written: {error.strerror or error}.") from error


def _is_there(finding: Finding, now: tuple[Finding, ...]) -> bool:
    return any(one.rule == finding.rule and one.span == finding.span and one.fix == finding.fix for one in now)


def _edited(snapshot: Snapshot, edits: tuple[TextEdit, ...]) -> Snapshot:
    lines = snapshot.lines
    for edit in sorted(edits, key=lambda one: (one.span.start, one.span.end), reverse=True):
        lines = edited(lines, edit)
    return replace(snapshot, text=lines.text, lines=lines)


def _lines(text: str) -> list[str]:
    """The lines with their ends, as a diff counts them: a line feed ends one, and nothing else does."""
    return [*(f"{line}\n" for line in text.split("\n")[:-1]), *([last] if (last := text.split("\n")[-1]) else [])]
