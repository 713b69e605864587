"""Writing a model as a folder for MLX: full precision or quantised, one tensor in memory at a time.

What comes out is what mlx_lm's own conversion gives: its model classes' names, `config.json` with "quantization",
shards with an index. As there, a matrix whose width is no multiple of the group size, or that the model class wants
kept, stays in full precision; the result says which.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from math import ceil
from pathlib import Path
from typing import Any

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.cancel import CancelToken
from leanvibe_lsp.engine.local.arrays import LIBRARY_ERRORS, mx, nn, tree_flatten, tree_map
from leanvibe_lsp.engine.local.convert import Recipe, WriteProgress
from leanvibe_lsp.engine.local.load import read_lazily
from leanvibe_lsp.engine.models.registry import Located
from leanvibe_lsp.engine.models.safetensors_header import INDEX
from leanvibe_lsp.errors import Cancelled, LeanVibeError, ModelDamaged, UsageError


def write_weights(
    located: Located, folder: Path, recipe: Recipe, progress: Callable[[WriteProgress], None], cancel: CancelToken
) -> tuple[str, ...]:
    """Write config.json and model*.safetensors into `folder`; gives the matrices that were kept in full precision.

    Raises ModelError, UsageError for a recipe that does not fit the model, Cancelled, OSError.
    """
    with redirect_stdout(sys.stderr):  # mlx_lm prints
        try:
            model, config = read_lazily(located)
            source = _Source(model, config, recipe)
            _refuse_full_disk(folder, source.room())
            shards = _Shards(folder)
            done, total = 0, sum(array.nbytes for array in source.arrays.values())
            for path in list(source.modules):
                cancel.check()
                taken = source.take(path)
                done += sum(array.nbytes for array in taken.values())
                shards.add(source.cook(path, taken))
                progress(WriteProgress(path, done, total))
            shards.finish()
            _write_json(folder / "config.json", source.config())
        except (LeanVibeError, Cancelled):
            raise
        except LIBRARY_ERRORS as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # the disk, and not the model
            raise ModelDamaged(
                f"MLX could not convert {located.path}: {error}.",
                next_step=f"Run `leanvibe models verify {located.name}`.",
            ) from error
        finally:
            mx.clear_cache()
    return source.kept


class _Source:
    """A model's tensors, not read yet, and what becomes of each."""

    def __init__(self, model: Any, config: dict[str, Any], recipe: Recipe) -> None:
        self._config = config
        self._recipe = recipe
        self._quantized = {path: module for path, module in model.named_modules() if _is_quantized(module)}
        if self._quantized and recipe.bits and not recipe.dequantize:
            raise UsageError(
                "The model is quantised already.",
                next_step="Convert one of full precision, or expand this one with --dequantize, which loses more.",
            )
        if self._quantized and recipe.dtype and not recipe.dequantize:
            raise UsageError(
                "The model is quantised already: its scales keep their type.",
                next_step="Add --dequantize.",
            )
        self._wish = self._wishes(model)
        self._cast = getattr(model, "cast_predicate", lambda _name: True)
        self._settings: dict[str, dict[str, Any]] = {}
        self.arrays: dict[str, Any] = dict(tree_flatten(model.parameters()))
        self.modules = list(dict.fromkeys(name.rpartition(".")[0] for name in self.arrays))
        model.update(tree_map(lambda _: mx.array([]), model.parameters()))  # or every tensor would stay alive in it

    def _wishes(self, model: Any) -> dict[str, dict[str, Any] | None]:
        """How each matrix is to be quantised; None to keep it."""
        recipe = self._recipe
        if recipe.bits is None:
            return {}
        predicate = getattr(model, "quant_predicate", None)
        wishes: dict[str, dict[str, Any] | None] = {}
        for path, module in model.named_modules():
            columns = module.weight.shape[-1] if hasattr(module, "to_quantized") else None
            if path in self._quantized:
                columns = module.weight.shape[-1] * 32 // module.bits
            if columns is None:
                continue
            said = predicate(path, module) if predicate is not None else True
            own = said if isinstance(said, dict) else {}
            wish = {"group_size": recipe.group_size, "bits": recipe.bits} | own
            fits = bool(said) and columns % wish["group_size"] == 0
            wishes[path] = wish if fits else None
        return wishes

    @property
    def kept(self) -> tuple[str, ...]:
        """Matrices that were to be quantised and were not."""
        return tuple(path for path, wish in self._wish.items() if wish is None)

    def room(self) -> int:
        """Bytes the result takes, about."""
        size = 0
        for name, array in self.arrays.items():
            module, _dot, part = name.rpartition(".")
            wish = self._wish.get(module) if part == "weight" else None
            count = array.size
            if module in self._quantized and self._recipe.dequantize:
                count = 0 if part != "weight" else array.size * 32 // self._quantized[module].bits
            width = 4 if self._recipe.dtype == "float32" else 2 if self._recipe.dtype else array.itemsize
            size += ceil(count * (wish["bits"] / 8 + 2 * width / wish["group_size"])) if wish else count * width
        return size

    def take(self, path: str) -> dict[str, Any]:
        """The tensors of one module; they are not kept here."""
        names = [name for name in self.arrays if name.rpartition(".")[0] == path]
        return {name: self.arrays.pop(name) for name in names}

    def cook(self, path: str, tensors: dict[str, Any]) -> dict[str, Any]:
        """The tensors as they are to be written."""
        recipe, module = self._recipe, self._quantized.get(path)
        weight = f"{path}.weight"
        if module is not None and not recipe.dequantize:
            mode = {} if module.mode == "affine" else {"mode": module.mode}
            self._settings[path] = {"group_size": module.group_size, "bits": module.bits} | mode
            return tensors
        if module is not None:
            scales, biases = tensors.pop(f"{path}.scales"), tensors.pop(f"{path}.biases", None)
            tensors[weight] = mx.dequantize(
                tensors[weight], scales, biases, group_size=module.group_size, bits=module.bits, mode=module.mode
            )
        if recipe.dtype:
            tensors = {name: self._as_dtype(name, array) for name, array in tensors.items()}
        if (wish := self._wish.get(path)) is not None:
            packed, scales, *biases = mx.quantize(tensors[weight], **wish)
            tensors |= {weight: packed, f"{path}.scales": scales}
            if biases:
                tensors[f"{path}.biases"] = biases[0]
            self._settings[path] = wish
        return tensors

    def _as_dtype(self, name: str, array: Any) -> Any:
        wanted = self._cast(name) and mx.issubdtype(array.dtype, mx.floating)
        return array.astype(getattr(mx, str(self._recipe.dtype))) if wanted else array

    def config(self) -> dict[str, Any]:
        """The source's config with what holds now, once all is cooked."""
        config = {name: value for name, value in self._config.items() if not name.startswith("quantization")}
        if self._recipe.dtype:
            config["torch_dtype"] = config["dtype"] = self._recipe.dtype  # the old name and the new one
        if self._settings:
            usual = max(self._settings.values(), key=list(self._settings.values()).count)
            special = {path: own for path, own in self._settings.items() if own != usual}
            # Twice: the Hugging Face hub reads the second.
            config["quantization"] = config["quantization_config"] = usual | special
        return dict(sorted(config.items()))


class _Shards:
    """Files of about `convert.shard_bytes`, written as they fill."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pending: dict[str, Any] = {}
        self._written: list[list[str]] = []
        self._size = 0

    def add(self, tensors: dict[str, Any]) -> None:
        """Compute these now, and write when enough is there."""
        size = sum(array.nbytes for array in tensors.values())
        if self._pending and sum(array.nbytes for array in self._pending.values()) + size > limit(
            "convert.shard_bytes"
        ):
            self._write()
        mx.eval(list(tensors.values()))
        self._pending |= tensors
        self._size += size

    def _write(self) -> None:
        name = _shard_name(len(self._written), 0)
        mx.save_safetensors(str(self._folder / name), self._pending, metadata={"format": "mlx"})
        self._written.append(list(self._pending))
        self._pending = {}
        mx.clear_cache()

    def finish(self) -> None:
        """Write the rest, give the files their names, and write the index."""
        self._write()
        count = len(self._written)
        places: dict[str, str] = {}
        for number, names in enumerate(self._written):
            final = "model.safetensors" if count == 1 else _shard_name(number, count)
            (self._folder / _shard_name(number, 0)).rename(self._folder / final)
            places |= dict.fromkeys(names, final)
        if count > 1:
            _write_json(
                self._folder / INDEX,
                {"metadata": {"total_size": self._size}, "weight_map": dict(sorted(places.items()))},
            )


def _refuse_full_disk(folder: Path, needed: int) -> None:
    free, spare = shutil.disk_usage(folder).free, limit("convert.free_bytes")
    if free < needed + spare:
        raise UsageError(
            f"The result takes about {needed / 1e6:,.0f} MB, and {spare / 1e6:,.0f} MB of the disk stay free; "
            f"{folder.parent} has {free / 1e6:,.0f} MB.",
            next_step="Free some space, or name a folder on another disk.",
        )


def _shard_name(number: int, count: int) -> str:
    return f"model-{number + 1:05d}-of-{count:05d}.safetensors"


def _is_quantized(module: Any) -> bool:
    return isinstance(module, nn.QuantizedLinear | nn.QuantizedEmbedding)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2), encoding="utf-8")
