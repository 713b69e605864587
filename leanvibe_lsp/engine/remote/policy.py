"""Which files may be quoted to a server. Pure. The globs are those of `core.globs`.

What holds secrets by its name is refused whatever was allowed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from leanvibe_lsp.config.secret_files import secret_file
from leanvibe_lsp.core.globs import covers


def refusal(paths: Iterable[str], allow: Sequence[str], deny: Sequence[str]) -> str | None:
    """The rule that keeps a file here, or None. `paths` are all that it is called: each must pass."""
    for path in paths:
        rule = secret_file(path) or next((f"it matches {glob!r} in deny" for glob in deny if covers(glob, path)), None)
        if rule is None and not any(covers(glob, path) for glob in allow):
            rule = "nothing in allow matches it"
        if rule is not None:
            return rule
    return None
