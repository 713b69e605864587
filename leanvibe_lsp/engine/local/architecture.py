"""What a model computes: its config as the arguments of mlx_lm's classes, and what those leave out. Pure; no MLX.

transformers writes two layouts: `rope_theta` beside `rope_scaling`, and since version 5 both in `rope_parameters`.
mlx_lm reads the first, and has other defaults: for llama, qwen2 and phi3 all of it is said in full here, and what
mlx_lm would silently compute in another way is refused. Other families go to mlx_lm as they are. Sources: transformers'
configuration_<family>.py and modeling_rope_utils.py.
"""

from __future__ import annotations

import math
from collections.abc import Container
from dataclasses import dataclass
from typing import Any

from leanvibe_lsp.engine.models.shapes_safetensors import FAMILIES
from leanvibe_lsp.errors import ModelFormatError

_THETA = 10_000.0  # default_theta in transformers
_PHI3_ORIGINAL = 4_096  # Phi3Config.original_max_position_embeddings
_YARN_UNKNOWN = ("attention_factor", "mscale", "mscale_all_dim")


@dataclass(frozen=True, slots=True)
class RopeTable:
    """Rotary positions where every pair of dimensions turns at a speed of its own.

    Pair i of the first `dims` dimensions of a head has the wavelength 2 pi factors[i] base^(2i / dims).
    """

    dims: int
    base: float
    factors: tuple[float, ...]
    magnitude: float = 1.0  # of what is rotated, in queries and in keys: LongRoPE's attention factor
    neighbours: bool = False  # dimensions 2i and 2i + 1 are a pair, not i and i + dims / 2


@dataclass(frozen=True, slots=True)
class Architecture:
    """`arguments` go over the config, for the ModelArgs of mlx_lm's `family`; for the rest it has no argument."""

    family: str
    arguments: dict[str, Any]
    rope: RopeTable | None = None  # in the place of the one mlx_lm makes
    sliding_window: int | None = None  # tokens a token sees, itself included


def architecture_of(config: dict[str, Any], *, tensors: Container[str], window: int) -> Architecture:
    """What `config` describes, for a window of `window` tokens; `tensors` are the names of its weights.

    Raises ModelFormatError for what mlx_lm does not compute; errors of Python's for a config that is malformed.
    """
    family = config["model_type"]
    if family not in FAMILIES:
        said = config | (config.get("text_config") or {})
        sliding = said.get("sliding_window") if said.get("use_sliding_window", True) else None
        return Architecture(family, _old_layout(config), sliding_window=_within(sliding, window))
    rope = _rope_parameters(config)
    _refuse_unknown(config, rope, window)
    tied = config.get("tie_word_embeddings")
    arguments = {
        "tie_word_embeddings": "lm_head.weight" not in tensors if tied is None else bool(tied),
        "rope_theta": rope["rope_theta"],
        "rope_scaling": None,
        "partial_rotary_factor": rope["partial_rotary_factor"],
    }
    if family == "llama":
        arguments |= {"layer_types": None, "sliding_window": None}  # transformers' LLaMA has neither
    kind = _kind(rope)
    if kind in ("llama3", "yarn", "linear"):
        original = config.get("original_max_position_embeddings") or config.get("max_position_embeddings")
        arguments["rope_scaling"] = {"original_max_position_embeddings": original} | rope | {"type": kind}
    sliding = _within(config.get("sliding_window"), window) if family == "phi3" else None
    return Architecture(
        family,
        arguments,
        _long_rope(config, rope, window) if kind == "longrope" else None,
        sliding,
    )


def _within(sliding: int | None, window: int) -> int | None:
    """The tokens a token sees, where that is not all of the window."""
    return sliding if sliding and sliding < window else None


def _rope_parameters(config: dict[str, Any]) -> dict[str, Any]:
    """Both layouts as the new one."""
    found = dict(config.get("rope_scaling") or config.get("rope_parameters") or {})
    found.setdefault("rope_theta", config.get("rope_theta") or _THETA)
    found.setdefault("partial_rotary_factor", config.get("partial_rotary_factor") or 1.0)
    return found


def _old_layout(config: dict[str, Any]) -> dict[str, Any]:
    """What the older classes of mlx_lm look for, where the config has the new layout alone."""
    rope = config.get("rope_parameters")
    if not isinstance(rope, dict) or "rope_theta" not in rope:
        return {}
    old = {"rope_theta": rope["rope_theta"], "rope_scaling": None if _kind(rope) == "default" else rope}
    return {key: value for key, value in old.items() if key not in config}


def _kind(rope: dict[str, Any]) -> str:
    kind = str(rope.get("rope_type") or rope.get("type") or "default")
    return "longrope" if kind == "su" else kind


def _refuse_unknown(config: dict[str, Any], rope: dict[str, Any], window: int) -> None:
    family, kind = config["model_type"], _kind(rope)
    kinds = {"default", "longrope"}
    if family != "phi3":
        # Dynamic scaling begins past the trained window, where nothing is ever computed.
        kinds |= {"linear", "llama3", "yarn", "dynamic"}
    if kind not in kinds:
        raise refused(f"its positions are stretched by {kind!r}")
    if kind == "yarn" and (any(rope.get(key) for key in _YARN_UNKNOWN) or not rope.get("truncate", True)):
        raise refused("its YaRN is not the usual one")
    if family != "phi3" and rope["partial_rotary_factor"] != 1.0:
        raise refused("a part of each head rotates")
    if config.get("hidden_act", "silu") != "silu":
        raise refused(f"its activation is {config['hidden_act']!r}")
    plain = config["hidden_size"] // config["num_attention_heads"]
    if family != "llama" and (config.get("head_dim") or plain) != plain:
        raise refused(f"its heads are {config['head_dim']} wide, and mlx_lm takes them to be {plain}")
    slides = config.get("use_sliding_window") and config.get("max_window_layers", 28) < config["num_hidden_layers"]
    if family == "qwen2" and slides and window > (config.get("sliding_window") or window):
        raise refused(f"some layers see {config['sliding_window']} tokens, and the window has {window}")


def _long_rope(config: dict[str, Any], rope: dict[str, Any], window: int) -> RopeTable:
    """LongRoPE with the factors that `window` needs.

    One choice for as long as the model is loaded, as in llama.cpp: the keys in the cache were turned by it.
    (transformers chooses by each sequence's length, which is wrong for one that grows past `original`.)
    """
    trained = config["max_position_embeddings"]
    default = _PHI3_ORIGINAL if config["model_type"] == "phi3" else trained
    original = config.get("original_max_position_embeddings") or rope.get("original_max_position_embeddings") or default
    width = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    dims = int(width * rope["partial_rotary_factor"])
    tables = {name: tuple(map(float, rope[name])) for name in ("short_factor", "long_factor")}
    for name, table in tables.items():
        if len(table) != dims // 2:
            raise refused(f"its {name} has {len(table)} numbers for {dims // 2} pairs of dimensions")
    factors = tables["long_factor" if window > original else "short_factor"]
    stretch, magnitude = rope.get("factor") or trained / original, rope.get("attention_factor")
    if magnitude is None:
        magnitude = math.sqrt(1 + math.log(stretch) / math.log(original)) if stretch > 1 else 1.0
    return RopeTable(
        dims, float(rope["rope_theta"]), factors, float(magnitude), neighbours=bool(config.get("rope_traditional"))
    )


def refused(what: str) -> ModelFormatError:
    """The error for a model that MLX would compute in another way."""
    return ModelFormatError(
        f"MLX cannot run this model: {what}.",
        next_step="Use a GGUF file of it with the llama.cpp backend: `--engine llama.cpp`.",
    )
