"""Asking an OpenAI-compatible server, if a person switched one on: what may leave, how it is asked, what is noted."""

from __future__ import annotations

from leanvibe_lsp.engine.remote.engine import RemoteEngine

__all__ = ["RemoteEngine"]
