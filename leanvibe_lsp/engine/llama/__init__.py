"""GGUF models on llama.cpp, in this process, through xllamacpp (imported by `load`).

xllamacpp wraps llama.cpp's server, which always opens an HTTP listener. Nothing here speaks to it, so it gets a Unix
socket in a folder only this user can enter and a key nobody knows (on Windows: a loopback port and that key). Prompts
go in as token ids: llama.cpp's own tokenizer and templates are not used.

Its drafting from the prompt stays off: with it, tokens that were guessed and confirmed come without a log-probability.
"""

from __future__ import annotations

from leanvibe_lsp.engine.llama.backend import LlamaEngine

__all__ = ["LlamaEngine"]
