"""leanvibe-lsp: a language server with a local model that proved itself before it answers."""

from __future__ import annotations

__version__ = "0.1.0"
