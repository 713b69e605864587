"""What our matcher leaves to ast-grep."""

from __future__ import annotations


class Unsupported(Exception):
    """A rule that is not evaluated here; ast-grep understands it, or says what is wrong with it."""
