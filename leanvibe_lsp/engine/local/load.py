"""Reading weights into mlx_lm's model classes: a GGUF file, or a folder of safetensors. Nothing in them is executed.

Headers are checked by `engine.models` before MLX sees a file; every tensor must have a place and every place a tensor.
"""

from __future__ import annotations

import importlib
import re
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.cancel import CancelToken
from leanvibe_lsp.engine.local import phi3
from leanvibe_lsp.engine.local.architecture import Architecture, architecture_of, refused
from leanvibe_lsp.engine.local.arrays import BLAS, LIBRARY_ERRORS, mx, nn, tree_flatten
from leanvibe_lsp.engine.local.gguf_layout import ROPE_TABLES, check_readable, config_of, module_path
from leanvibe_lsp.engine.local.kv import can_cut, make_prompt_cache
from leanvibe_lsp.engine.local.precision import suit_cpu
from leanvibe_lsp.engine.local.rope import TableRope
from leanvibe_lsp.engine.local.runtime import Blas, device
from leanvibe_lsp.engine.models.formats import Format
from leanvibe_lsp.engine.models.gguf import read_gguf
from leanvibe_lsp.engine.models.registry import Located
from leanvibe_lsp.engine.models.safetensors_header import read_folder
from leanvibe_lsp.engine.models.shapes_safetensors import FAMILIES, check_safetensors
from leanvibe_lsp.errors import ModelDamaged, ModelError, ModelFormatError

# MLX's allocators, malloc and CUDA.
_NO_MEMORY = re.compile(r"unable to allocate|out of memory|cannot allocate|bad_alloc", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Weights:
    """A model that can be called. `vocabulary` bounds token ids, `window` is what it was trained for."""

    model: Any
    vocabulary: int
    window: int
    nbytes: int


def load_weights(located: Located, cancel: CancelToken) -> Weights:
    """Read all weights into memory. Raises ModelFormatError, ModelDamaged, Cancelled."""
    cancel.check()
    # mlx_lm prints. The switch holds for the whole process, and only while a model loads.
    with redirect_stdout(sys.stderr):
        try:
            model, config = read_lazily(located)
            if device() == "cpu":
                suit_cpu(model, fast_blas=BLAS is not Blas.REFERENCE, cancel=cancel)
            _materialize(model, cancel)
        except LIBRARY_ERRORS as error:
            raise _damaged(located.path, error) from error
    mx.clear_cache()
    return Weights(
        model=model,
        vocabulary=_size(config, "vocab_size", located.path),
        window=_trained(config, located.path),
        nbytes=sum(array.nbytes for _name, array in tree_flatten(model.parameters())),
    )


def read_lazily(located: Located) -> tuple[Any, dict[str, Any]]:
    """The model, its weights on the disk where MLX can leave them, and its config as transformers writes it.

    Raises ModelError, and the library's own errors.
    """
    return _read_gguf(located.path) if located.format is Format.GGUF else _read_folder(located.path)


def _read_gguf(path: Path) -> tuple[Any, dict[str, Any]]:
    file = read_gguf(path)
    check_readable(file)
    arrays = mx.load(str(path), format="gguf")
    config = config_of(file, {name: arrays.pop(name).tolist() for name in ROPE_TABLES & arrays.keys()})
    weights = {module_path(name, config["model_type"]): array for name, array in arrays.items()}
    architecture = architecture_of(config, tensors=weights, window=_window(config, path))
    model_class, arguments_class = _classes(architecture)
    model = model_class(arguments_class.from_dict(config | architecture.arguments))

    def packed(name: str, _module: Any) -> dict[str, int] | bool:
        scales = weights.get(f"{name}.scales")
        if scales is None:
            return False
        # ggml's blocks are 32 wide; 32 numbers of `bits` each fill `bits` words.
        return {"group_size": 32, "bits": weights[f"{name}.weight"].shape[-1] // scales.shape[-1]}

    nn.quantize(model, class_predicate=packed)
    model.load_weights(list(weights.items()), strict=True)
    _turn_by_table(model, architecture)
    return model, config


def _read_folder(folder: Path) -> tuple[Any, dict[str, Any]]:
    from mlx_lm.utils import load_config, load_model

    tensors, problems = read_folder(folder)
    more, _skipped = check_safetensors(folder / "config.json", tensors)
    if problems or more:
        raise ModelDamaged(
            f"{folder} does not fit its index or its config.json: {(problems + more)[0]}.",
            next_step="Download the model again.",
        )
    config = load_config(folder)
    if not isinstance(config, dict) or not isinstance(config.get("model_type"), str):
        raise ModelFormatError(f"{folder / 'config.json'} names no model_type.", next_step="Take another model.")
    if "model_file" in config:
        raise ModelFormatError(
            f"{folder} wants to run its own code ({config['model_file']}), which is never done.",
            next_step="Take a model that mlx_lm knows.",
        )
    architecture = architecture_of(config, tensors=tensors, window=_window(config, folder))
    own = {"get_model_classes": lambda config: _classes(architecture)} if architecture.family in FAMILIES else {}
    model, _changed = load_model(
        folder, lazy=True, strict=True, model_config=architecture.arguments, trust_remote_code=False, **own
    )
    sees = architecture.sliding_window
    if sees is not None and architecture.family not in FAMILIES and can_cut(make_prompt_cache(model)):
        raise refused(f"its tokens see {sees} tokens, and in mlx_lm's {architecture.family} all of the window")
    _turn_by_table(model, architecture)
    return model, config


def _window(config: dict[str, Any], path: Path) -> int:
    """Tokens that will ever be in the cache, at most."""
    return min(_trained(config, path), limit("engine.window"))


def _trained(config: dict[str, Any], path: Path) -> int:
    return _size(config, "max_position_embeddings", path, limit("engine.window"))


def _classes(architecture: Architecture) -> tuple[Any, Any]:
    """A model's class and that of its arguments."""
    if architecture.family == "phi3":
        return partial(phi3.Model, sliding_window=architecture.sliding_window), phi3.ModelArgs
    module = importlib.import_module(f"mlx_lm.models.{architecture.family}")
    return module.Model, module.ModelArgs


def _turn_by_table(model: Any, architecture: Architecture) -> None:
    if architecture.rope is not None:
        rope = TableRope(architecture.rope)
        for layer in model.layers:
            layer.self_attn.rope = rope


def _materialize(model: Any, cancel: CancelToken) -> None:
    """Read from disk what is still lazy, a layer at a time, so that a cancel is heard."""
    model.eval()
    for layer in getattr(model, "layers", ()):
        cancel.check()
        mx.eval(layer.parameters())
    cancel.check()
    mx.eval(model.parameters())


def _size(config: dict[str, Any], key: str, path: Path, default: int | None = None) -> int:
    inner = config.get("text_config")
    value = config.get(key, inner.get(key) if isinstance(inner, dict) else None)
    if value is None and default is not None:
        return default
    if not isinstance(value, int) or value <= 0:
        raise ModelFormatError(f"{path}: its config has no usable {key}.", next_step="Take another model.")
    return value


def _damaged(path: Path, error: Exception) -> ModelError:
    """What MLX says, as an error whose next step helps."""
    said = " ".join(str(error).split()).rstrip(". ")
    if "not supported" in said and "odel type" in said:
        return ModelFormatError(f"mlx_lm does not run {path}: {said}.", next_step="Take another model.")
    if isinstance(error, MemoryError) or _NO_MEMORY.search(said):
        return ModelError(
            f"There is not enough memory to load {path}{f': {said}' if said else ''}.",
            next_step="Close other programs, or choose a smaller model (`leanvibe models list`).",
        )
    if isinstance(error, OSError) and error.errno is not None:
        return ModelError(f"{path} cannot be read: {error.strerror}.", next_step="Make its files readable.")
    return ModelDamaged(
        f"MLX could not load {path}: {said or type(error).__name__}.", next_step="Download the model again."
    )
