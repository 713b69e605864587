"""The tokenizer that comes with a model's files, for both formats."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leanvibe_lsp.engine.models.formats import Format
from leanvibe_lsp.engine.models.tokenizer_folder import tokenizer_from_folder
from leanvibe_lsp.engine.models.tokenizer_gguf import tokenizer_from_gguf
from leanvibe_lsp.engine.models.vocabulary import ModelTokenizer, TokenizerFiles

if TYPE_CHECKING:
    from leanvibe_lsp.engine.models.registry import Located

__all__ = ["ModelTokenizer", "TokenizerFiles", "load_tokenizer"]


def load_tokenizer(located: Located) -> TokenizerFiles:
    """Build it from the files. Raises ModelFormatError for a kind that is not read, or files that are broken."""
    if located.format is Format.GGUF:
        return tokenizer_from_gguf(located.path)
    return tokenizer_from_folder(located.path)
