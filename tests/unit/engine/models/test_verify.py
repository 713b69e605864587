"""Proving files: digests, shards, tensors against the configuration, in both formats."""

from __future__ import annotations

import hashlib
import json
import shutil

import pytest

from leanvibe_lsp.core.cancel import CancelToken
from leanvibe_lsp.engine.models import cache as store
from leanvibe_lsp.engine.models.formats import Format
from leanvibe_lsp.engine.models.registry import LocalPath, Located, ModelSpec, resolve
from leanvibe_lsp.engine.models.safetensors_header import INDEX
from leanvibe_lsp.engine.models.tensor import Problem
from leanvibe_lsp.engine.models.verify import verify_files
from leanvibe_lsp.errors import Cancelled
from tests.support.gguf import llama_metadata, llama_shapes, safetensors_bytes, write_gguf


def _verify(path, form, *, digest=None, progress=lambda _: None, cancel=None):
    located = Located("m", path, form, ModelSpec("m", LocalPath(path), ""), digest)
    return verify_files(located, progress=progress, cancel=cancel or CancelToken())


def _gguf(tmp_path, shapes=None, **metadata):
    return _verify(write_gguf(tmp_path / "m", {**llama_metadata(), **metadata}, shapes or llama_shapes()), Format.GGUF)


def test_a_whole_gguf_is_good(tmp_path):
    """No problem, nothing skipped, its digest told though nobody recorded one."""
    report = _gguf(tmp_path)
    assert report.ok
    assert report.skipped == ()
    assert [(digest.file, digest.expected) for digest in report.digests] == [("m", None)]
    assert report.digests[0].sha256 == hashlib.sha256((tmp_path / "m").read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("token_embd.weight", (9, 32)),
        ("output_norm.weight", (31,)),
        ("blk.1.attn_k.weight", (32, 32)),
        ("blk.0.attn_q.weight", (16, 32)),
        ("blk.0.ffn_down.weight", (64, 32)),
        ("blk.1.attn_output.weight", None),
        ("blk.1.ffn_gate.weight", None),
    ],
)
def test_each_wrong_tensor_of_a_gguf_is_one_line(tmp_path, name, shape):
    """Its name, what was expected, what was found."""
    shapes = llama_shapes()
    right = "x".join(map(str, shapes[name]))
    if shape is None:
        del shapes[name]
    else:
        shapes[name] = shape
    found = "no such tensor" if shape is None else "x".join(map(str, shape))
    assert _gguf(tmp_path, shapes).problems == (Problem(name, right, found),)


def test_blocks_that_the_metadata_promises_must_be_there(tmp_path):
    """3 blocks said, 1 tensor of the third there: its other 8 are named."""
    shapes = {**llama_shapes(), "blk.2.attn_norm.weight": (32,)}
    report = _gguf(tmp_path, shapes, **{"llama.block_count": 3})
    assert len(report.problems) == 8
    assert all(problem.subject.startswith("blk.2.") for problem in report.problems)


@pytest.mark.parametrize("family", ["llama", "gemma", ""])
@pytest.mark.parametrize("blocks", [3, 600, 3_000_000])
def test_more_blocks_than_there_are_is_one_problem_in_every_family(tmp_path, family, blocks):
    """Said at once, whatever the number: loaders take memory for each, and llama.cpp ends the process."""
    shapes = {**llama_shapes(), "blk.00.attn_norm.weight": (32,)}  # block 0 again
    metadata = {"general.architecture": family, f"{family}.block_count": blocks}
    assert _gguf(tmp_path, shapes, **metadata).problems == (
        Problem(f"{family}.block_count", "at most 2, the blocks in the file", str(blocks)),
    )


@pytest.mark.parametrize("family", ["llama", "gemma"])
@pytest.mark.parametrize(
    ("key", "number", "expected"),
    [
        ("block_count", 0, "at least 1"),
        ("context_length", 0, "32 to 2147483647 tokens"),
        ("context_length", 1, "32 to 2147483647 tokens"),
        ("context_length", 31, "32 to 2147483647 tokens"),
        ("context_length", 1 << 31, "32 to 2147483647 tokens"),
        ("rope.dimension_count", 0, "an even number, at least 2"),
        ("rope.dimension_count", 1, "an even number, at least 2"),
    ],
)
def test_a_number_that_ends_llama_cpp_is_one_problem_in_every_family(tmp_path, family, key, number, expected):
    """It asserts on these, and takes the process along, or never comes back: no loader may see them."""
    metadata = {"general.architecture": family, f"{family}.{key}": number}
    assert _gguf(tmp_path, **metadata).problems == (Problem(f"{family}.{key}", expected, str(number)),)


@pytest.mark.parametrize("length", [32, 8_192, (1 << 31) - 1])
def test_a_window_of_any_usual_size_is_good(tmp_path, length):
    """From the smallest that the known answers fit in, to the largest that llama.cpp can count."""
    assert _gguf(tmp_path, **{"llama.context_length": length}).ok


def test_the_blocks_of_an_unknown_family_may_be_all_there(tmp_path):
    """As many as said, also under a prefix as T5 has it: no problem."""
    shapes = {f"dec.{name}": shape for name, shape in llama_shapes().items()}
    report = _gguf(tmp_path, shapes, **{"general.architecture": "t5", "t5.block_count": 2})
    assert report.ok
    assert report.skipped


@pytest.mark.parametrize("key", ["llama.embedding_length", "llama.attention.head_count"])
def test_metadata_without_a_size_is_a_problem(tmp_path, key):
    """Zero heads do not divide by zero."""
    assert [problem.subject for problem in _gguf(tmp_path, **{key: 0}).problems] == [key]


def test_qwen2_has_biases_and_phi3_has_joined_matrices(tmp_path):
    """The three families differ where llama.cpp's files do."""
    qwen = {key.replace("llama.", "qwen2."): value for key, value in llama_metadata().items()}
    qwen["general.architecture"] = "qwen2"
    report = _verify(write_gguf(tmp_path / "m", qwen, llama_shapes()), Format.GGUF)
    assert {problem.subject.rpartition(".")[2] for problem in report.problems} == {"bias"}
    assert len(report.problems) == 6
    phi = {key.replace("qwen2.", "phi3."): value for key, value in qwen.items()} | {"general.architecture": "phi3"}
    shapes = {name: shape for name, shape in llama_shapes().items() if "attn_k" not in name and "attn_v" not in name}
    shapes = {name: shape for name, shape in shapes.items() if "attn_q" not in name and "gate" not in name}
    for block in range(2):
        shapes[f"blk.{block}.attn_qkv.weight"] = (64, 32)
        shapes[f"blk.{block}.ffn_up.weight"] = (128, 32)
    assert _verify(write_gguf(tmp_path / "p", phi, shapes), Format.GGUF).ok


def test_what_is_not_known_is_said_and_not_guessed(tmp_path):
    """Another architecture, a mixture of experts: skipped by name. One part of several: a problem."""
    assert "'gemma'" in _gguf(tmp_path, **{"general.architecture": "gemma"}).skipped[0]
    assert _gguf(tmp_path, **{"llama.expert_count": 8}).skipped
    assert _gguf(tmp_path, **{"split.count": 3}).problems == (Problem("split.count", "one file", "one of 3 parts"),)


def test_a_file_cut_since_it_was_found_is_a_problem_and_no_error(tmp_path):
    """The report is always a report."""
    path = write_gguf(tmp_path / "m", llama_metadata(), llama_shapes())
    path.write_bytes(path.read_bytes()[:-1])
    report = _verify(path, Format.GGUF)
    assert not report.ok
    assert "cut short" in report.problems[0].found


def test_a_wrong_digest_is_a_problem(tmp_path):
    """Recorded and found are both told."""
    path = write_gguf(tmp_path / "m", llama_metadata(), llama_shapes())
    report = _verify(path, Format.GGUF, digest="0" * 64)
    assert report.problems == (Problem("m", f"sha256 {'0' * 64}", report.digests[0].sha256),)


def test_a_download_is_held_to_its_manifest(tmp_path, folder):
    """Every file, also the small ones: changed, or gone."""
    records = tuple(
        store.FileRecord(path.name, path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in sorted(folder.iterdir())
    )
    store.write_manifest(folder, store.Manifest("m", "org/m", "c", records, "t", "x"))
    assert _verify(folder, Format.SAFETENSORS).ok
    (folder / "tokenizer_config.json").write_text("{}")
    (folder / "tokenizer.json").unlink()
    report = _verify(folder, Format.SAFETENSORS)
    assert [problem.subject for problem in report.problems] == ["tokenizer.json", "tokenizer_config.json"]


@pytest.mark.parametrize("name", ["../private", "sub/file", "/etc/hostname", "..", "", "C:file", "sub\\file"])
def test_a_manifest_cannot_point_out_of_its_folder(tmp_path, folder, name):
    """A name that is a path is a problem, and what it points to is not opened."""
    (tmp_path / "private").write_text("private")
    (folder / "sub").mkdir()
    (folder / "sub" / "file").write_text("private")
    store.write_manifest(folder, store.Manifest("m", "org/m", "c", (store.FileRecord(name, 7, "0" * 64),), "t", "x"))
    report = _verify(folder, Format.SAFETENSORS)
    assert report.problems == (Problem(name, "the name of a file in the model's folder", "a path"),)
    assert report.digests == ()


def test_progress_runs_over_all_files_and_a_cancel_stops_it(folder):
    """Bytes done of bytes in all."""
    seen = []
    _verify(folder, Format.SAFETENSORS, progress=seen.append)
    assert seen[-1].done == seen[-1].total == (folder / "model.safetensors").stat().st_size
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(Cancelled):
        _verify(folder, Format.SAFETENSORS, cancel=cancel)


def _edit_config(folder, **changes):
    file = folder / "config.json"
    content = {**json.loads(file.read_text()), **changes}
    file.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


def test_a_whole_folder_is_good(folder):
    """No problem, nothing skipped."""
    report = _verify(folder, Format.SAFETENSORS)
    assert report.problems == ()
    assert report.skipped == ()


LAYER = ["input_layernorm", "post_attention_layernorm", *(f"mlp.{name}_proj" for name in ("gate", "up", "down"))]
LAYER += [f"self_attn.{name}_proj" for name in "qkvo"]


@pytest.mark.parametrize(
    ("changes", "subjects"),
    [
        ({"vocab_size": 261}, {"model.embed_tokens.weight"}),
        ({"tie_word_embeddings": False}, {"lm_head.weight"}),
        ({"num_hidden_layers": 1}, {f"model.layers.1.{name}.weight" for name in LAYER}),
        ({"num_key_value_heads": 4}, {f"model.layers.{n}.self_attn.{p}_proj.weight" for n in (0, 1) for p in "kv"}),
        ({"head_dim": 8}, {f"model.layers.{n}.self_attn.{p}_proj.weight" for n in (0, 1) for p in "qkvo"}),
        ({"hidden_size": None}, {"config.json"}),
        ({"num_attention_heads": 0}, {"config.json"}),
        ({"vocab_size": "many"}, {"config.json"}),
    ],
)
def test_a_config_of_another_model_is_found(folder, changes, subjects):
    """Each tensor that does not fit is named."""
    _edit_config(folder, **changes)
    assert {problem.subject for problem in _verify(folder, Format.SAFETENSORS).problems} == subjects


@pytest.mark.parametrize(
    "changes",
    [
        {"num_hidden_layers": 3_000_000_000},
        {"num_hidden_layers": 1e9},
        {"num_hidden_layers": 21, "model_type": "mamba"},
        {"text_config": {"num_hidden_layers": 3_000_000_000}, "model_type": "gemma3"},
    ],
)
def test_more_layers_than_tensors_is_one_problem_in_every_family(folder, changes):
    """Said at once, whatever the number: loaders take memory for each."""
    _edit_config(folder, **changes)
    assert [problem.subject for problem in _verify(folder, Format.SAFETENSORS).problems] == ["num_hidden_layers"]


def test_other_families(folder):
    """qwen2 wants biases, phi3 joined matrices; an unknown family is skipped by name; no config is a problem."""
    _edit_config(folder, model_type="qwen2")
    missing = {problem.subject for problem in _verify(folder, Format.SAFETENSORS).problems}
    assert missing == {f"model.layers.{n}.self_attn.{p}_proj.bias" for n in (0, 1) for p in "qkv"}
    _edit_config(folder, model_type="phi3")
    found = {problem.subject for problem in _verify(folder, Format.SAFETENSORS).problems}
    assert "model.layers.1.self_attn.qkv_proj.weight" in found
    assert "model.layers.0.mlp.gate_up_proj.weight" in found
    _edit_config(folder, model_type="mamba")
    assert "'mamba'" in _verify(folder, Format.SAFETENSORS).skipped[0]
    (folder / "config.json").write_text("[]")
    assert not _verify(folder, Format.SAFETENSORS).ok


def test_a_weight_of_whole_numbers_is_a_problem(folder):
    """Unless scales say what it stands for."""
    (folder / "model.safetensors").write_bytes(_quantised(scales=False))
    _edit_config(folder, num_hidden_layers=1)
    subjects = {problem.subject for problem in _verify(folder, Format.SAFETENSORS).problems}
    assert "model.embed_tokens.weight" in subjects


def _quantised(*, scales=True, **changes):
    """The embedding of the folder's config as MLX packs it: 4 bits, groups of 8; the rest is missing."""
    tensors = {"model.embed_tokens.weight": ("U32", (260, 2), 260 * 8)}
    if scales:
        tensors["model.embed_tokens.scales"] = ("F16", (260, 2), 260 * 4)
        tensors["model.embed_tokens.biases"] = ("F16", (260, 2), 260 * 4)
    return safetensors_bytes({**tensors, **changes})


@pytest.mark.parametrize(
    ("quantization", "changes", "expected"),
    [
        ({"bits": 4, "group_size": 8}, {}, set()),
        ({"bits": 4, "group_size": 16}, {}, {"model.embed_tokens.scales"}),
        ({"bits": 8, "group_size": 8}, {}, {"model.embed_tokens.scales", "model.embed_tokens.weight"}),
        ({"bits": 8, "group_size": 8, "model.embed_tokens": {"bits": 4, "group_size": 8}}, {}, set()),
        (
            {"bits": 4, "group_size": 8},
            {"model.embed_tokens.biases": ("F16", (260, 1), 520)},
            {"model.embed_tokens.biases"},
        ),
        (
            {"bits": 4, "group_size": 8},
            {"model.embed_tokens.weight": ("I32", (260, 2), 2080)},
            {"model.embed_tokens.weight"},
        ),
        ({"bits": 4, "group_size": 8}, {"other.scales": ("F16", (2, 2), 8)}, {"other.weight"}),
        ({"bits": 4}, {}, {"config.json"}),
        ({"bits": 0, "group_size": 8}, {}, {"config.json"}),
    ],
)
def test_mlx_triples_fit_their_config(folder, quantization, changes, expected):
    """weight, scales and biases against bits and group size."""
    (folder / "model.safetensors").write_bytes(_quantised(**changes))
    _edit_config(folder, quantization=quantization)
    problems = _verify(folder, Format.SAFETENSORS).problems
    assert {problem.subject for problem in problems if problem.found != "no such tensor"} == expected


def test_a_missing_shard_is_a_problem(folder):
    """Named by the index, not there."""
    (folder / INDEX).write_text(json.dumps({"weight_map": {"model.norm.weight": "model-9.safetensors"}}))
    assert any(problem.subject == "model-9.safetensors" for problem in _verify(folder, Format.SAFETENSORS).problems)


@pytest.mark.real_model
def test_the_embedded_model_is_proven_and_one_swapped_byte_is_found(tmp_path):
    """SmolLM2 is as recorded; two bytes of one tensor swapped leave the shapes right and the digest wrong."""
    located = resolve("smollm2", cache=tmp_path)
    report = verify_files(located, progress=lambda _: None, cancel=CancelToken())
    assert report.problems == ()
    assert report.skipped == ()
    copy = tmp_path / "copy.gguf"
    shutil.copyfile(located.path, copy)
    with copy.open("r+b") as file:
        file.seek(50_000_000)
        first = file.read(1)
        file.seek(50_000_000)
        file.write(bytes([first[0] ^ 1]))
    report = _verify(copy, Format.GGUF, digest=located.digest)
    assert [problem.subject for problem in report.problems] == ["copy.gguf"]


@pytest.mark.parametrize("key", ["n_layer", "n_layers", "num_layers", "num_layer", "num_decoder_layers"])
@pytest.mark.parametrize("inner", [False, True])
def test_layers_by_any_name_are_held_to_the_tensors(folder, key, inner):
    """Every family calls them its own way, some in a part of the config."""
    changes = {key: 20_000}
    _edit_config(folder, model_type="gpt2", **({"decoder": changes} if inner else changes))
    assert [problem.subject for problem in _verify(folder, Format.SAFETENSORS).problems] == [key]
    _edit_config(folder, decoder=None, **{key: 2})
    assert _verify(folder, Format.SAFETENSORS).ok


def test_a_file_that_cannot_be_read_is_a_problem_and_no_error(folder, monkeypatch):
    """A disk that fails under the sha256."""

    def fail(*_args, **_named):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("leanvibe_lsp.engine.models.verify.sha256_of", fail)
    report = _verify(folder, Format.SAFETENSORS)
    assert report.problems == (Problem("model.safetensors", "a file that can be read", "Input/output error"),)
    assert report.digests == ()


def test_what_the_census_skipped_is_told(tmp_path):
    """Beside what the shapes skipped."""
    path = write_gguf(tmp_path / "m", llama_metadata() | {"general.architecture": "gemma"}, llama_shapes())
    data = path.read_bytes()
    name = b"output_norm.weight"
    at = data.index(name) + len(name) + 4 + 8
    path.write_bytes(data[:at] + (26).to_bytes(4, "little") + data[at + 4 :])  # I32, as wide as F32
    assert "the weights of 1 I32 tensors" in _verify(path, Format.GGUF).skipped
