"""Writing a GGUF's tokenizer as a Hugging Face folder has it."""

from __future__ import annotations

import json
from pathlib import Path

from leanvibe_lsp.engine.models.tokenizer_gguf import tokenizer_from_gguf, writable_tokenizer


def write_tokenizer(path: Path, folder: Path) -> None:
    """tokenizer.json, tokenizer_config.json and, for where an answer ends, generation_config.json.

    Raises ModelFormatError for a kind of tokenizer that cannot be written, OSError.
    """
    files = tokenizer_from_gguf(path)
    writable_tokenizer(path).save(str(folder / "tokenizer.json"))
    config = {
        **files.special_text,
        "add_bos_token": files.add_bos,
        "chat_template": files.chat_template,
        "clean_up_tokenization_spaces": False,
        "tokenizer_class": "PreTrainedTokenizerFast",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    ends = {"eos_token_id": sorted(files.stop_ids)}
    (folder / "generation_config.json").write_text(json.dumps(ends, indent=2), encoding="utf-8")
