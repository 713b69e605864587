"""What is to be known before files are looked at: their workspaces, settings and rules, and which files they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from leanvibe_lsp.config.settings import EditorSettings
from leanvibe_lsp.review.files import absolute, plan, roots_of
from leanvibe_lsp.review.values import Target, Trouble
from leanvibe_lsp.review.workspace import settings_of, use_rules


@dataclass(frozen=True, slots=True)
class Prepared:
    """The files, the settings by workspace; `left_out` has no rules, `faults` are rules that cannot be used."""

    targets: tuple[Target, ...]
    settings: Mapping[Path, EditorSettings]
    left_out: tuple[Trouble, ...]
    faults: tuple[Trouble, ...]


def prepare(paths: Iterable[Path], exclude: Sequence[str] = (), *, classifier: bool = True) -> Prepared:
    """Find the files at and below paths, and let the rules of their workspaces count in this process.

    Without `classifier` rules alone are asked, whatever the settings say. Raises UsageError.
    """
    given = absolute(paths)
    roots = roots_of(given)
    settings = {root: settings_of(root) for root in roots}
    if not classifier:
        settings = {root: replace(one, classifier=False) for root, one in settings.items()}
    faults = use_rules(roots)
    planned = plan(given, exclude)
    return Prepared(planned.targets, settings, planned.left_out, faults)
