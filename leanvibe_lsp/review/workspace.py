"""Which workspace a path lies in, and what its files say: settings and rules, as an editor would take them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from leanvibe_lsp.assist.rulebook import load_rulebook, use
from leanvibe_lsp.config.layers import FILES, WORKSPACE, Layer, process_layers, settled
from leanvibe_lsp.config.settings import EditorSettings
from leanvibe_lsp.errors import UsageError
from leanvibe_lsp.review.values import Trouble

_MARKS = (".leanvibe", "leanvibe.toml", ".git")

_log = logging.getLogger(__name__)


def root_of(path: Path) -> Path:
    """The folder of the workspace around an absolute path: the innermost that says it is one.

    Else the working directory where the path lies in it, else the path's own folder.
    """
    folder = path if path.is_dir() else path.parent
    for one in (folder, *folder.parents):
        if any((one / mark).exists() for mark in _MARKS):
            return one
    here = Path.cwd()
    return here if folder.is_relative_to(here) else folder


def settings_of(root: Path) -> EditorSettings:
    """What counts in a workspace: the user's file, the environment, the workspace's files.

    Raises UsageError for what a person said themselves and is not understood; what is wrong in the workspace's files
    costs itself and is logged.
    """
    layers = (*process_layers(None, None), *_of_files(root))
    for layer in layers:
        unclear = replace(layer, problems=tuple(problem for problem in layer.problems if not problem.refused))
        if (complaints := unclear.complaints()) and layer.name != WORKSPACE:
            raise UsageError(f"{'; '.join(complaints)}.", next_step="Mend it, or see `leanvibe config show --origin`.")
        for text in complaints:
            _log.warning("%s", text)
    return settled(layers).editor


def _of_files(root: Path) -> tuple[Layer, ...]:
    """What its files say; where there are none, what reads them need not be imported."""
    if not any((root / name).is_file() for name in FILES):
        return ()
    from leanvibe_lsp.config.files import workspace_layers

    return workspace_layers(root, {})


def use_rules(roots: Sequence[Path]) -> tuple[Trouble, ...]:
    """Let the rules of these workspaces count in this process; what in their files is no rule."""
    troubles: list[Trouble] = []
    for root in roots:
        book, faults = load_rulebook(root)
        use(book)
        troubles += (Trouble(f"{fault.file}:{fault.line}", f"a rule is not used: {fault.message}") for fault in faults)
    return tuple(troubles)
