"""The rules of the workspace's own, read when the session begins and whenever one of their files changes.

What is wrong in such a file is shown on it, and said once. Event-loop thread only; files are read beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lsprotocol import types

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.documents import uris

if TYPE_CHECKING:
    from leanvibe_lsp.assist.rulebook import RuleFault
    from leanvibe_lsp.lsp.server import LeanVibeServer

SOURCE = "leanvibe"
FAULT = "leanvibe/rule"
_FOLDER = ".leanvibe"


class WorkspaceRules:
    """Keeps the rulebooks of the workspace's folders as their files are; `changed` is called when others count."""

    def __init__(self, ls: LeanVibeServer, changed: Callable[[], object]) -> None:
        self._ls = ls
        self._changed = changed
        self._roots: dict[Path, int] = {}  # how often each was asked to be read
        self._with_rules: set[Path] = set()
        self._told: dict[Path, set[str]] = {}

    def begin(self) -> None:
        """Read what there is."""
        self.files_changed(())

    def files_changed(self, paths: Sequence[Path]) -> None:
        """Read anew where one of these files, or the workspace itself, makes that needful."""
        roots = self._ls.roots
        for root in set(self._roots) - set(roots):
            del self._roots[root]
            self._ls.keep(self._close(root))
        for root in roots:
            if root not in self._roots or any(_FOLDER in path.parts and path.is_relative_to(root) for path in paths):
                self._roots[root] = self._roots.get(root, 0) + 1
                self._ls.keep(self._read(root, self._roots[root]))

    async def _read(self, root: Path, turn: int) -> None:
        if root not in self._with_rules and not await self._ls.beside(root.joinpath(_FOLDER).is_dir):
            return  # most have none: nothing is imported for them
        from leanvibe_lsp.assist.rulebook import load_rulebook, use

        book, faults = await self._ls.beside(partial(load_rulebook, root))
        if self._roots.get(root) == turn:
            self._with_rules.add(root)
            use(book)
            self._show(root, faults)
            self._changed()

    async def _close(self, root: Path) -> None:
        if root in self._with_rules:
            from leanvibe_lsp.assist.rulebook import forget

            self._with_rules.discard(root)
            forget(root)
            self._show(root, ())
            self._changed()

    def _show(self, root: Path, faults: Sequence[RuleFault]) -> None:
        """Faults on their files, none on those that have no more; each is said once as long as it lasts."""
        before = {path for path in self._ls.rule_faults if path.is_relative_to(root)}
        now: dict[Path, list[types.Diagnostic]] = {}
        for fault in faults:
            now.setdefault(fault.file, []).append(_diagnostic(fault))
        for path in before - set(now):
            del self._ls.rule_faults[path]
        self._ls.rule_faults.update(now)
        for path in before | set(now):
            if self._ls.documents.get(uri := uris.from_path(path)) is None:
                self._ls.client.publish_diagnostics(uri, None, now.get(path, []))
        said = [str(fault) for fault in faults]
        known = self._told.get(root, set())
        for text in [one for one in said if one not in known][: limit("config.complaints")]:
            self._ls.client.show(types.MessageType.Warning, f"A rule is not used: {text}")
        self._told[root] = set(said)


def _diagnostic(fault: RuleFault) -> types.Diagnostic:
    """A fault on the whole of its line."""
    line = fault.line - 1
    return types.Diagnostic(
        range=types.Range(types.Position(line, 0), types.Position(line + 1, 0)),
        message=fault.message,
        severity=types.DiagnosticSeverity.Error,
        code=FAULT,
        source=SOURCE,
    )
