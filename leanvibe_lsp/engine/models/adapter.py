"""Adapters (LoRA): telling one from a model. Nothing of it is loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_CONFIG = "adapter_config.json"
_WEIGHTS = ("adapters.safetensors", "adapter_model.safetensors")


def adapter_weights(folder: Path) -> Path | None:
    """The adapter's one file of weights; None for a folder that holds no adapter."""
    return next((folder / name for name in _WEIGHTS if (folder / name).is_file()), None)


def adapter_base(folder: Path) -> str:
    """The model an adapter says it was trained on; "" when it does not say."""
    try:
        config = json.loads((folder / _CONFIG).read_bytes())
    except (OSError, ValueError, RecursionError):
        return ""
    base: Any = config.get("base_model_name_or_path") or config.get("model") if isinstance(config, dict) else None
    return base if isinstance(base, str) else ""
