from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from leanvibe_lsp.core.cancel import CancelToken, Deadline
from leanvibe_lsp.engine.base import GenerationRequest
from leanvibe_lsp.engine.local.backend import MlxEngine
from leanvibe_lsp.engine.local.load import load_weights
from leanvibe_lsp.engine.models.formats import Format
from leanvibe_lsp.errors import Cancelled, EngineError, LeanVibeError, ModelDamaged, ModelError, ModelFormatError
from tests.support.tiny_mlx import (
    CONFIG,
    VOCABULARY,
    gguf_arrays,
    gguf_metadata,
    located,
    random_model,
    save_gguf,
)


def distance(one: Any, other: Any) -> float:
    """Largest difference of two models' logits."""
    from leanvibe_lsp.engine.local.arrays import mx

    prompt = mx.array([[5, 1, 40, 7, 7, 30]])
    return float(mx.abs(one(prompt) - other(prompt)).max().item())


def quantized(arrays: dict[str, Any]) -> dict[str, Any]:
    """The matrices packed as MLX stores them: 4 bits, groups of 32."""
    from leanvibe_lsp.engine.local.arrays import mx

    packed: dict[str, Any] = {}
    for name, array in arrays.items():
        if array.ndim != 2:
            packed[name] = array
            continue
        base = name.removesuffix(".weight")
        packed[name], packed[f"{base}.scales"], packed[f"{base}.biases"] = mx.quantize(array, group_size=32, bits=4)
    return packed


def save_folder(folder: Path, arrays: dict[str, Any], **config: Any) -> None:
    from leanvibe_lsp.engine.local.arrays import mx

    mx.save_safetensors(str(folder / "model.safetensors"), arrays)
    (folder / "config.json").write_text(json.dumps(CONFIG | config))


def arrays_of(model: Any) -> dict[str, Any]:
    from mlx.utils import tree_flatten

    return dict(tree_flatten(model.parameters()))


def test_gguf_computes_what_the_original_does(tiny_model: Any, tmp_path: Path) -> None:
    """A LLaMA file, q and k permuted as llama.cpp's converter does, gives the logits of the model it was made of."""
    path = save_gguf(tmp_path / "tiny.gguf", gguf_arrays(tiny_model), gguf_metadata())
    weights = load_weights(located(path, Format.GGUF), CancelToken())
    assert distance(weights.model, tiny_model) < 1e-4
    assert (weights.vocabulary, weights.window) == (VOCABULARY, 64)


def test_folder_computes_what_the_original_does(tiny_model: Any, folder: Path) -> None:
    """A safetensors folder gives the logits of the model it was made of."""
    weights = load_weights(located(folder, Format.SAFETENSORS), CancelToken())
    assert distance(weights.model, tiny_model) < 1e-5
    assert weights.nbytes == sum(array.nbytes for array in arrays_of(tiny_model).values())


def test_quantised_folder(tiny_model: Any, folder: Path) -> None:
    """Packed weights compute what their own expansion does."""
    from leanvibe_lsp.engine.local.arrays import mx

    packed = quantized(arrays_of(tiny_model))
    plain = {
        name: mx.dequantize(array, packed[f"{base}.scales"], packed[f"{base}.biases"], group_size=32, bits=4)
        if (base := name.removesuffix(".weight")) + ".scales" in packed
        else array
        for name, array in packed.items()
        if name.endswith(".weight")
    }
    save_folder(folder, plain)
    expected = load_weights(located(folder, Format.SAFETENSORS), CancelToken()).model
    save_folder(folder, packed, quantization={"group_size": 32, "bits": 4})
    found = load_weights(located(folder, Format.SAFETENSORS), CancelToken()).model
    assert distance(found, expected) < 1e-4


def test_engine_from_files(folder: Path) -> None:
    """From a folder to an answer, and after `close` an error; closing twice is fine."""
    engine = MlxEngine(located(folder, Format.SAFETENSORS))
    loaded = engine.load(CancelToken())
    assert (loaded.window, loaded.special_text) == (64, {"eos_token": "<end>"})
    request = GenerationRequest((1, 2, 3), max_tokens=4)
    assert engine.generate(request, lambda _: None, CancelToken(), Deadline.never()).usage.completion_tokens <= 4
    engine.close()
    engine.close()
    with pytest.raises(EngineError, match="not loaded"):
        engine.generate(request, lambda _: None, CancelToken(), Deadline.never())


def test_nothing_reaches_stdout(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What mlx_lm prints while it loads does not get into the protocol."""
    from mlx_lm.models import llama

    original = llama.Model.sanitize
    monkeypatch.setattr(llama.Model, "sanitize", lambda self, weights: print("chatty") or original(self, weights))
    load_weights(located(folder, Format.SAFETENSORS), CancelToken())
    captured = capfd.readouterr()
    assert (captured.out, "chatty" in captured.err) == ("", True)


Damage = Callable[[dict[str, Any]], None]


def _swap(arrays: dict[str, Any]) -> None:
    one, other = "model.layers.0.mlp.up_proj.weight", "model.layers.0.mlp.down_proj.weight"
    arrays[one], arrays[other] = arrays[other], arrays[one]


DAMAGES: dict[str, tuple[str, Damage]] = {
    "missing": ("layers.1.self_attn.q_proj", lambda arrays: arrays.pop("model.layers.1.self_attn.q_proj.weight")),
    "swapped": ("mlp.", _swap),
    "extra": ("surprise", lambda arrays: arrays.update({"model.surprise": arrays["model.norm.weight"]})),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_folder_names_the_tensor(name: str, tiny_model: Any, folder: Path) -> None:
    """A missing, swapped or extra tensor is an error with its name."""
    subject, damage = DAMAGES[name]
    arrays = arrays_of(tiny_model)
    damage(arrays)
    save_folder(folder, arrays)
    with pytest.raises(ModelDamaged, match=subject):
        load_weights(located(folder, Format.SAFETENSORS), CancelToken())


@pytest.mark.parametrize(
    "config",
    [
        {"model_file": "evil.py"},
        {"model_type": "no_such_family"},
        {"model_type": "cache"},
        {"model_type": None},
        {"num_attention_heads": 0},
        {"rope_scaling": {"rope_type": "unheard of"}},
        {"num_hidden_layers": 3},
        {"vocab_size": "many"},
    ],
    ids=str,
)
def test_bad_config(config: dict[str, Any], tiny_model: Any, folder: Path) -> None:
    """A config that mlx_lm cannot take, or that wants to run code, is an error of ours with a next step."""
    (folder / "evil.py").write_text("raise SystemExit('executed')")
    save_folder(folder, arrays_of(tiny_model), **config)
    with pytest.raises(ModelError) as caught:
        load_weights(located(folder, Format.SAFETENSORS), CancelToken())
    assert caught.value.next_step


def test_weights_that_the_index_does_not_name(tiny_model: Any, folder: Path) -> None:
    """A file that mlx_lm would load over the checked ones is refused by its name."""
    arrays = arrays_of(tiny_model)
    index = {"weight_map": dict.fromkeys(arrays, "model.safetensors")}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    load_weights(located(folder, Format.SAFETENSORS), CancelToken())
    shutil.copyfile(folder / "model.safetensors", folder / "model_extra.safetensors")
    with pytest.raises(ModelDamaged, match=r"model_extra\.safetensors"):
        load_weights(located(folder, Format.SAFETENSORS), CancelToken())


def test_unknown_family_is_a_format_error(tiny_model: Any, folder: Path) -> None:
    """A family that mlx_lm does not have is no damage: downloading again would not help."""
    save_folder(folder, arrays_of(tiny_model), model_type="no_such_family")
    with pytest.raises(ModelFormatError, match="no_such_family"):
        load_weights(located(folder, Format.SAFETENSORS), CancelToken())


def test_tokenizer_of_another_model(tiny_model: Any, folder: Path) -> None:
    """A tokenizer with more tokens than the weights is caught at the load."""
    arrays = arrays_of(tiny_model)
    arrays["model.embed_tokens.weight"] = arrays["model.embed_tokens.weight"][:40]
    save_folder(folder, arrays, vocab_size=40)
    with pytest.raises(ModelDamaged, match="of two models"):
        MlxEngine(located(folder, Format.SAFETENSORS)).load(CancelToken())


def test_window_is_the_limit_when_the_config_is_silent(tiny_model: Any, folder: Path) -> None:
    """A config without a window gets the largest one that is served."""
    save_folder(folder, arrays_of(tiny_model), max_position_embeddings=None)
    assert load_weights(located(folder, Format.SAFETENSORS), CancelToken()).window == 4096


def test_cancelled_load(folder: Path) -> None:
    """A cancelled load stops, and leaves an engine that is not loaded."""
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(Cancelled):
        MlxEngine(located(folder, Format.SAFETENSORS)).load(cancel)
    with pytest.raises(Cancelled):
        load_weights(located(folder, Format.SAFETENSORS), cancel)


def test_corrupt_files_are_errors_never_a_crash(tiny_model: Any, tmp_path: Path) -> None:
    """Whatever bytes of a GGUF's front are wrong, and wherever it is cut: it loads, or an error of ours comes."""
    whole = save_gguf(tmp_path / "whole.gguf", gguf_arrays(tiny_model), gguf_metadata()).read_bytes()
    dice = random.Random(5)
    path = tmp_path / "bad.gguf"
    outcomes = set()
    for round_ in range(250):
        data = bytearray(whole)
        if round_ % 5 == 0:
            del data[dice.randrange(len(data)) :]
        for _ in range(dice.randrange(1, 4) if round_ % 5 else 0):
            data[dice.randrange(2600)] = dice.randrange(256)
        path.write_bytes(data)
        try:
            load_weights(located(path, Format.GGUF), CancelToken())
            outcomes.add("loaded")
        except LeanVibeError as error:
            outcomes.add(type(error).__name__)
    assert outcomes >= {"ModelFormatError", "ModelDamaged"}


def test_extra_tensor_in_gguf(tiny_model: Any, tmp_path: Path) -> None:
    """A tensor too many in a GGUF is named."""
    arrays = gguf_arrays(tiny_model)
    arrays["blk.0.surprise.weight"] = arrays["output_norm.weight"]
    path = save_gguf(tmp_path / "tiny.gguf", arrays, gguf_metadata())
    with pytest.raises(ModelDamaged, match=r"blk\.0\.surprise\.weight"):
        load_weights(located(path, Format.GGUF), CancelToken())


@pytest.mark.parametrize(("sliding", "runs"), [(63, False), (64, True), (None, True)])
def test_a_window_that_mlx_lm_does_not_slide_is_refused(
    sliding: int | None, runs: bool, tiny_model: Any, folder: Path
) -> None:
    """Mistral runs as LLaMA does there, where every token sees all others: right only as long as that is so."""
    save_folder(folder, arrays_of(tiny_model), model_type="mistral", sliding_window=sliding)
    if runs:
        load_weights(located(folder, Format.SAFETENSORS), CancelToken())
        return
    with pytest.raises(ModelFormatError, match=r"its tokens see 63 tokens, and in mlx_lm's mistral all of the window"):
        load_weights(located(folder, Format.SAFETENSORS), CancelToken())


def test_a_window_that_mlx_lm_slides_is_fine(folder: Path) -> None:
    """Where the family's own cache rotates, nothing is refused."""
    sizes = {"head_dim": 8, "sliding_window": 16, "sliding_window_pattern": 2, "rope_local_base_freq": 10_000.0}
    config = CONFIG | sizes | {"model_type": "gemma3_text", "query_pre_attn_scalar": 8}
    save_folder(folder, arrays_of(random_model("gemma3_text", config)), **config)
    load_weights(located(folder, Format.SAFETENSORS), CancelToken())


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), "not enough memory to load"),
        (RuntimeError("[malloc_or_wait] Unable to allocate 9 bytes."), "not enough memory to load .*Unable to"),
        (RuntimeError("cudaMalloc failed: out of memory"), "not enough memory to load .*cudaMalloc"),
        (PermissionError(13, "Permission denied"), "cannot be read: Permission denied"),
    ],
)
def test_what_another_download_does_not_help_is_not_called_damaged(
    error: Exception, said: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full memory, a file that may not be read."""

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("leanvibe_lsp.engine.local.load.read_lazily", fail)
    with pytest.raises(ModelError, match=said) as caught:
        load_weights(located(folder, Format.SAFETENSORS), CancelToken())
    assert type(caught.value) is ModelError
    assert "ownload" not in str(caught.value.next_step)
