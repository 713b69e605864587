from __future__ import annotations

import json
import os
from dataclasses import replace
from types import SimpleNamespace

import pytest

from leanvibe_lsp.config import limits
from leanvibe_lsp.core.cancel import CancelToken
from leanvibe_lsp.engine.local.convert import Recipe, convert
from leanvibe_lsp.engine.models.cache import read_manifest
from leanvibe_lsp.engine.models.formats import Format
from leanvibe_lsp.engine.models.perplexity import Perplexity, Proof
from leanvibe_lsp.engine.models.registry import resolve
from leanvibe_lsp.engine.models.selftest import State, Verdict
from leanvibe_lsp.engine.models.tokenizer_folder import tokenizer_from_folder
from leanvibe_lsp.engine.models.verify import verify_files
from leanvibe_lsp.errors import Cancelled, LeanVibeError, ModelUnverified, UsageError
from tests.support.gguf import llama_metadata, llama_shapes, write_gguf
from tests.support.tiny_mlx import CONFIG, located, random_model, tokenizer_json

GOOD = Proof(Verdict(State.VERIFIED, 0.9, ()), Perplexity(3.5, 300))
BAD = Proof(Verdict(State.UNVERIFIED, 0.0, ()), Perplexity(9e9, 300))


@pytest.fixture
def source(tmp_path):
    """A tiny llama of full precision, as a folder."""
    from leanvibe_lsp.engine.local.arrays import mx, tree_flatten

    folder = tmp_path / "source"
    folder.mkdir()
    arrays = dict(tree_flatten(random_model("llama", CONFIG).parameters()))
    mx.save_safetensors(str(folder / "model.safetensors"), arrays, metadata={"format": "mlx"})
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer_json()))
    (folder / "generation_config.json").write_text("{}")
    return folder


def _convert(source, target, recipe, *proofs, progress=lambda _: None, cancel=None):
    remaining = list(proofs or (GOOD, GOOD))
    return convert(
        located(source, Format.SAFETENSORS),
        target,
        recipe,
        prove=lambda _model: remaining.pop(0),
        progress=progress,
        cancel=cancel or CancelToken(),
    )


def _logits(folder):
    from mlx_lm.utils import load_model

    from leanvibe_lsp.engine.local.arrays import mx

    model, _config = load_model(folder)
    return model(mx.array([[1, 2, 3, 4]])).astype(mx.float32)


def test_a_copy_gives_the_same_logits_through_stock_mlx_lm(source, tmp_path):
    """Without a recipe nothing is lost; mlx_lm's own loader reads the result."""
    from leanvibe_lsp.engine.local.arrays import mx

    _convert(source, tmp_path / "out", Recipe())
    assert mx.array_equal(_logits(source), _logits(tmp_path / "out")).item()


@pytest.mark.parametrize(("bits", "near"), [(8, 0.02), (4, 0.6)])
def test_quantised_weights_are_near_the_real_ones(source, tmp_path, bits, near):
    """Each matrix in `bits`, read by mlx_lm and by ours, with an error of the size those bits have."""
    from leanvibe_lsp.engine.local.arrays import mx

    done = _convert(source, tmp_path / "out", Recipe(bits=bits, group_size=32))
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["quantization"] == {"group_size": 32, "bits": bits}
    assert done.kept == ()
    real, found = _logits(source), _logits(tmp_path / "out")
    assert not mx.array_equal(real, found).item()
    assert (mx.abs(real - found).max() / mx.abs(real).max()).item() < near


def test_a_width_that_does_not_divide_is_kept_and_named(source, tmp_path):
    """As mlx_lm does; only down_proj is 64 wide."""
    done = _convert(source, tmp_path / "out", Recipe(bits=4, group_size=64))
    assert "model.layers.0.self_attn.q_proj" in done.kept
    assert "model.layers.0.mlp.down_proj" not in done.kept
    _logits(tmp_path / "out")


def test_a_quantised_model_is_not_quantised_again(source, tmp_path):
    """Unless it is expanded first; as it is it can be copied."""
    _convert(source, tmp_path / "q", Recipe(bits=8, group_size=32))
    with pytest.raises(UsageError, match="quantised already"):
        _convert(tmp_path / "q", tmp_path / "out", Recipe(bits=4, group_size=32))
    with pytest.raises(UsageError, match="quantised already"):
        _convert(tmp_path / "q", tmp_path / "out", Recipe(dtype="float16"))
    _convert(tmp_path / "q", tmp_path / "copy", Recipe())
    _convert(tmp_path / "q", tmp_path / "full", Recipe(dequantize=True, dtype="float16"))
    assert "quantization" not in json.loads((tmp_path / "full" / "config.json").read_text())
    _logits(tmp_path / "copy"), _logits(tmp_path / "full")


def test_large_weights_come_in_shards_with_an_index(source, tmp_path, monkeypatch):
    """Each below the limit, all named in the index."""
    monkeypatch.setitem(
        limits.LIMITS, "convert.shard_bytes", replace(limits.LIMITS["convert.shard_bytes"], default=20_000)
    )
    from leanvibe_lsp.engine.local.arrays import mx

    _convert(source, tmp_path / "out", Recipe())
    shards = sorted(file.name for file in (tmp_path / "out").glob("*.safetensors"))
    assert shards[0] == f"model-00001-of-{len(shards):05d}.safetensors"
    assert len(shards) > 2
    assert resolve(str(tmp_path / "out"), cache=tmp_path).format is Format.SAFETENSORS
    assert mx.array_equal(_logits(source), _logits(tmp_path / "out")).item()


def test_the_result_proves_itself_later(source, tmp_path):
    """Its manifest holds every file's digest and the perplexity; a changed file is found."""
    _convert(source, tmp_path / "out", Recipe(dtype="float16"))
    manifest = read_manifest(tmp_path / "out")
    assert manifest.perplexity == 3.5
    assert {"config.json", "model.safetensors", "tokenizer.json", "generation_config.json"} <= {
        record.path for record in manifest.files
    }
    (tmp_path / "out" / "config.json").write_text(json.dumps({**CONFIG, "rope_theta": 5.0}))
    found = verify_files(resolve(str(tmp_path / "out"), cache=tmp_path), progress=lambda _: None, cancel=CancelToken())
    assert [problem.subject for problem in found.problems] == ["config.json"]


@pytest.mark.parametrize(("proofs", "said"), [((BAD, GOOD), "is not converted"), ((GOOD, BAD), "thrown away")])
def test_nothing_is_kept_of_what_does_not_prove_itself(source, tmp_path, proofs, said):
    """Before, nothing is begun; after, nothing stays."""
    with pytest.raises(ModelUnverified, match=said):
        _convert(source, tmp_path / "out", Recipe(), *proofs)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), Cancelled("stop"), OSError(28, "No space left on device")])
def test_nothing_is_left_after_a_stop_in_the_middle(source, tmp_path, error):
    """Ctrl-C, a cancel, a full disk: the hidden folder goes, too."""
    seen = []

    def progress(now):
        seen.append(sorted(path.name for path in tmp_path.iterdir()))
        raise error

    expected = LeanVibeError if isinstance(error, OSError) else type(error)
    with pytest.raises(expected):
        _convert(source, tmp_path / "out", Recipe(), progress=progress)
    assert seen == [[f".out.converting-{os.getpid()}", "source"]]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source"]


def test_what_a_killed_one_left_is_cleaned_up(source, tmp_path):
    """By the next conversion to the same place; that of a running process stays."""
    (tmp_path / ".out.converting-999999999").mkdir()
    (tmp_path / ".out.converting-1").mkdir()
    _convert(source, tmp_path / "out", Recipe())
    assert sorted(path.name for path in tmp_path.iterdir()) == [".out.converting-1", "out", "source"]


@pytest.mark.parametrize("name", ["out", "out[4bit]", "out*"])
def test_what_one_of_our_own_id_left_is_cleaned_up(source, tmp_path, name):
    """In a container process ids come again; a name is no pattern."""
    for process in (os.getpid(), 999999999):
        (tmp_path / f".{name}.converting-{process}").mkdir()
    (tmp_path / ".out4.converting-999999999").mkdir()
    (tmp_path / f".{name}.converting-{os.getpid()}" / "model.safetensors").write_text("half")
    _convert(source, tmp_path / name, Recipe())
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([".out4.converting-999999999", name, "source"])


def test_a_tokenizer_that_cannot_be_written_is_said_before_the_weights_are(tmp_path):
    """They may take an hour."""
    tokens = [chr(33 + number) for number in range(8)]
    written = {"model": "llama", "tokens": tokens, "scores": [0.0] * 8, "token_type": [1] * 8}
    metadata = llama_metadata() | {f"tokenizer.ggml.{key}": value for key, value in written.items()}
    path = write_gguf(tmp_path / "tiny.gguf", metadata, llama_shapes())
    seen = []
    with pytest.raises(LeanVibeError, match=r"cannot be written as tokenizer\.json"):
        convert(
            located(path, Format.GGUF),
            tmp_path / "out",
            Recipe(),
            prove=lambda _model: GOOD,
            progress=seen.append,
            cancel=CancelToken(),
        )
    assert seen == []
    assert [file.name for file in tmp_path.iterdir()] == ["tiny.gguf"]


def test_an_older_template_comes_along(source, tmp_path):
    """A model without its template answers as another one."""
    (source / "chat_template.json").write_text(json.dumps({"chat_template": "{{ messages }}"}))
    _convert(source, tmp_path / "out", Recipe())
    assert tokenizer_from_folder(tmp_path / "out").chat_template == "{{ messages }}"


def test_a_copy_keeps_the_mode_of_its_numbers(source, tmp_path):
    """mxfp4 has other scales; what is affine is not said, as mlx_lm does."""
    from leanvibe_lsp.engine.local.arrays import mx, nn, tree_flatten

    model = random_model("llama", CONFIG)
    nn.quantize(model, group_size=32, bits=4, mode="mxfp4")
    quantization = {"group_size": 32, "bits": 4, "mode": "mxfp4"}
    mx.save_safetensors(str(source / "model.safetensors"), dict(tree_flatten(model.parameters())))
    (source / "config.json").write_text(json.dumps(CONFIG | {"quantization": quantization}))
    _convert(source, tmp_path / "out", Recipe())
    assert json.loads((tmp_path / "out" / "config.json").read_text())["quantization"] == quantization
    assert mx.array_equal(_logits(source), _logits(tmp_path / "out")).item()


def test_the_bias_of_a_matrix_stays(source, tmp_path):
    """Beside its packed weights, and beside the scales and biases of the packing."""
    from leanvibe_lsp.engine.local.arrays import mx, tree_flatten

    config = CONFIG | {"model_type": "qwen2"}
    arrays = dict(tree_flatten(random_model("qwen2", config).parameters()))
    mx.save_safetensors(str(source / "model.safetensors"), arrays, metadata={"format": "mlx"})
    (source / "config.json").write_text(json.dumps(config))
    name = "model.layers.0.self_attn.q_proj.bias"
    assert mx.abs(arrays[name]).max().item() > 0
    _convert(source, tmp_path / "out", Recipe(bits=8, group_size=32))
    _convert(tmp_path / "out", tmp_path / "copy", Recipe())
    _convert(tmp_path / "out", tmp_path / "full", Recipe(dequantize=True))
    for folder in ("out", "copy", "full"):
        found = mx.load(str(tmp_path / folder / "model.safetensors"))
        assert mx.array_equal(found[name], arrays[name]).item()


def test_the_type_of_the_floats_is_said_by_both_names(source, tmp_path):
    """A stale one would be believed by whoever reads that name."""
    (source / "config.json").write_text(json.dumps(CONFIG | {"dtype": "bfloat16"}))
    _convert(source, tmp_path / "out", Recipe(dtype="float16"))
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert (config["dtype"], config["torch_dtype"]) == ("float16", "float16")


def test_a_place_in_use_is_refused(source, tmp_path):
    """A folder with something in it, a file; an empty folder is taken."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("x")
    for name in ("full", "full/mine.txt"):
        with pytest.raises(UsageError, match="is there already"):
            _convert(source, tmp_path / name, Recipe())
    (tmp_path / "empty").mkdir()
    _convert(source, tmp_path / "empty", Recipe())
    _logits(tmp_path / "empty")


def test_a_full_disk_is_found_before_anything_is_written(source, tmp_path, monkeypatch):
    """With the figures."""
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1 << 20))
    with pytest.raises(UsageError, match=r"537 MB of the disk stay free; .* has 1 MB"):
        _convert(source, tmp_path / "out", Recipe())


def test_progress_ends_with_all_bytes(source, tmp_path):
    """Upwards, to the total."""
    seen = []
    _convert(source, tmp_path / "out", Recipe(bits=4, group_size=32), progress=seen.append)
    assert [one.done for one in seen] == sorted(one.done for one in seen)
    assert seen[-1].done == seen[-1].total > 0
