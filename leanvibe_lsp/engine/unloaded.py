"""What can be said of a model before its weights are read: enough to write a prompt and to count it."""

from __future__ import annotations

import json

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.cancel import CancelToken
from leanvibe_lsp.engine.base import Loaded
from leanvibe_lsp.engine.models.formats import Format
from leanvibe_lsp.engine.models.registry import Located
from leanvibe_lsp.engine.select import Selection
from leanvibe_lsp.errors import ModelFormatError


def facts_without_weights(selection: Selection) -> Loaded:
    """The tokenizer, the template and the window. A server is not asked: for one the window is the table's row.

    Raises ModelFormatError for files that cannot be read.
    """
    if selection.is_mock:
        from leanvibe_lsp.engine.mock import MockEngine

        return MockEngine().load(CancelToken())
    if selection.located is None:
        return Loaded(limit("remote.window"), 0, "remote", None, "")
    from leanvibe_lsp.engine.models.tokenizer import load_tokenizer

    files = load_tokenizer(selection.located)
    return Loaded(
        window=_window(selection.located),
        memory_bytes=0,
        device="",
        tokenizer=files.tokenizer,
        chat_template=files.chat_template,
        special_text=files.special_text,
        add_bos=files.add_bos,
    )


def _window(located: Located) -> int:
    if located.format is Format.GGUF:
        from leanvibe_lsp.engine.llama.estimate import model_window
        from leanvibe_lsp.engine.models.gguf import read_gguf

        return model_window(read_gguf(located.path))
    try:
        said = json.loads((located.path / "config.json").read_bytes()).get("max_position_embeddings")
    except (OSError, ValueError, AttributeError) as error:
        raise ModelFormatError(f"{located.path}/config.json cannot be read: {error}.") from error
    return min(said, limit("engine.window")) if isinstance(said, int) and said > 0 else limit("engine.window")
