from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from leanvibe_lsp.core.cancel import CancelToken
from leanvibe_lsp.engine.models import cache as store
from leanvibe_lsp.engine.models import kin
from leanvibe_lsp.engine.models.digest import check_digest
from leanvibe_lsp.engine.models.gguf import read_gguf
from leanvibe_lsp.engine.models.kin import (
    KIN,
    Kin,
    likeness,
    recorded_perplexity,
    recorded_tensors,
    table_digest,
    tensor_digest,
)
from leanvibe_lsp.engine.models.registry import REGISTRY, resolve
from leanvibe_lsp.engine.models.verify import doubt_about, verify_files
from leanvibe_lsp.errors import ModelDamaged, ModelFormatError
from tests.support.gguf import llama_metadata, llama_shapes, write_gguf

SETTINGS = (("llama.rope.freq_base", 5.0),)


@pytest.fixture
def known(tmp_path, monkeypatch):
    """A tiny GGUF, each tensor with weights of its own, that passes for the registered smollm2."""
    path = write_gguf(tmp_path / "known.gguf", llama_metadata() | dict(SETTINGS), llama_shapes())
    data = bytearray(path.read_bytes())
    for number, tensor in enumerate(read_gguf(path).tensors.values()):
        data[tensor.offset] = number + 1
    path.write_bytes(data)
    tensors = {name: tensor_digest([_weights(data, path, name)]) for name in read_gguf(path).tensors}
    monkeypatch.setattr(kin, "KIN", (Kin("smollm2", table_digest(read_gguf(path)), SETTINGS),))
    monkeypatch.setattr(kin, "recorded_tensors", lambda _model: tensors)
    return path


def _weights(data, path, name):
    tensor = read_gguf(path).tensors[name]
    return data[tensor.offset : tensor.offset + tensor.nbytes]


def _swap(path, *pairs):
    data = bytearray(path.read_bytes())
    for one, other in pairs:
        a, b = (read_gguf(path).tensors[name] for name in (one, other))
        here, there = slice(a.offset, a.offset + a.nbytes), slice(b.offset, b.offset + b.nbytes)
        data[here], data[there] = data[there], data[here]
    path.write_bytes(data)


def _change(path, *names):
    data = bytearray(path.read_bytes())
    for name in names:
        data[read_gguf(path).tensors[name].offset] ^= 0x80
    path.write_bytes(data)


def _likeness(path):
    return likeness(path, read_gguf(path), CancelToken())


def _check(path):
    return check_digest(resolve(str(path), cache=path.parent), stamps=path.parent / "stamps", cancel=CancelToken())


def _perplexity(path):
    return recorded_perplexity(resolve(str(path), cache=path.parent))


def _report(path):
    return verify_files(resolve(str(path), cache=path.parent), progress=lambda _: None, cancel=CancelToken())


def test_a_model_is_known_again_under_another_name(known):
    """Its recorded perplexity counts, and its settings are right."""
    assert _likeness(known).same
    assert (_likeness(known).problems, _likeness(known).suspects) == ((), ())
    assert _perplexity(known) == REGISTRY["smollm2"].perplexity
    assert _check(known) is None


def test_other_settings_are_refused_by_name(known):
    """At load, before any backend sees the file, and by verify."""
    data = known.read_bytes()
    at = data.index(b"llama.rope.freq_base") + len("llama.rope.freq_base")
    known.write_bytes(data[:at] + data[at:].replace(b"\0\0\xa0\x40", b"\0\0\xe0\x40", 1))
    said = "llama.rope.freq_base: expected 5.0, as smollm2 was trained, found 7.0"
    assert said in map(str, _report(known).problems)
    with pytest.raises(ModelDamaged, match=r"is smollm2, and damaged: llama\.rope\.freq_base: expected 5\.0"):
        _check(known)
    _change(known, "blk.0.attn_q.weight")  # a fine-tune for a longer window has other settings rightly
    assert said in map(str, _report(known).suspects)
    assert _check(known) is None


def test_shuffled_layers_are_one_line_each(known):
    """All of a layer in another's place, and one tensor that another has besides."""
    _swap(known, *((name, name.replace("blk.0.", "blk.1.")) for name in llama_shapes() if name.startswith("blk.0.")))
    assert sorted(map(str, _likeness(known).problems)) == [
        "blk.0: expected weights of its own, found those of blk.1 (9 tensors)",
        "blk.1: expected weights of its own, found those of blk.0 (9 tensors)",
    ]
    assert _report(known).problems[0] in _likeness(known).problems
    with pytest.raises(ModelDamaged, match="weights of its own"):
        _check(known)


def test_a_swapped_tensor_is_named(known):
    """Both of them."""
    _swap(known, ("blk.0.ffn_up.weight", "blk.1.ffn_up.weight"))
    assert sorted(map(str, _likeness(known).problems)) == [
        "blk.0.ffn_up.weight: expected weights of its own, found those of blk.1.ffn_up.weight",
        "blk.1.ffn_up.weight: expected weights of its own, found those of blk.0.ffn_up.weight",
    ]


def test_a_fine_tune_is_suspected_and_not_condemned(known):
    """Some weights of its own: it loads, and its perplexity is its own business."""
    _change(known, "blk.0.attn_q.weight", "blk.1.attn_q.weight", "blk.1.attn_v.weight")
    report = _report(known)
    assert report.problems == ()
    assert sorted(map(str, report.suspects)) == [
        "blk.*.attn_q.weight: expected the weights of smollm2, found others in 2 tensors: a fine-tune, or damage",
        "blk.1.attn_v.weight: expected the weights of smollm2, found others: a fine-tune, or damage",
    ]
    assert _perplexity(known) is None
    assert _check(known) is None


def test_a_few_tensors_of_a_known_model_that_are_others_are_a_reason_to_doubt(known):
    """A fine-tune has more of them; of a file whose digest was checked nothing is read."""
    located = resolve(str(known), cache=known.parent)
    assert doubt_about(located, CancelToken()) == ""
    _change(known, "blk.1.attn_v.weight")
    said = "blk.1.attn_v.weight: expected the weights of smollm2, found others: a fine-tune, or damage"
    assert doubt_about(located, CancelToken()) == said
    assert doubt_about(replace(located, digest="d"), CancelToken()) == ""
    _change(known, "blk.0.attn_v.weight", "blk.0.attn_q.weight", "blk.1.attn_q.weight")
    assert doubt_about(located, CancelToken()) == ""
    known.unlink()
    assert doubt_about(located, CancelToken()) == ""


def test_another_model_of_the_same_shape_is_no_kin(known):
    """Nor one of another shape."""
    _change(known, *llama_shapes())
    assert _likeness(known) is None
    wider = write_gguf(known, llama_metadata(vocab=9), llama_shapes(vocab=9))
    assert _likeness(wider) is None
    assert _perplexity(wider) is None


def test_tensors_are_read_once(known, monkeypatch):
    """A file that was found sound at load is not read again until it changes."""
    _check(known)
    monkeypatch.setattr(kin, "tensor_digest", lambda _pieces: pytest.fail("read again"))
    _check(known)


def test_a_manifest_without_a_figure_hides_nothing(known):
    """Only its own figure, for a file it lists, counts before what the tensors tell."""
    names = {"known.gguf": 9.0, "another.gguf": REGISTRY["smollm2"].perplexity}
    for name, expected in names.items():
        record = store.FileRecord(name, 1, hashlib.sha256(b"").hexdigest())
        store.write_manifest(known.parent, store.Manifest("m", "r", "c", (record,), "t", "x", perplexity=9.0))
        assert _perplexity(known) == expected
    record = store.FileRecord("known.gguf", 1, "")
    store.write_manifest(known.parent, store.Manifest("m", "r", "c", (record,), "t", "x"))
    assert _perplexity(known) == REGISTRY["smollm2"].perplexity


def test_a_folder_is_held_to_the_manifest_that_lists_its_weights(folder):
    """Of a folder with a shard that nobody recorded, nothing is known."""
    for name, expected in (("model.safetensors", 9.0), ("other.safetensors", None)):
        record = store.FileRecord(name, 1, "")
        store.write_manifest(folder, store.Manifest("m", "r", "c", (record,), "t", "x", perplexity=9.0))
        assert recorded_perplexity(resolve(str(folder), cache=folder.parent)) == expected


def test_a_file_that_cannot_be_read_is_an_error_with_a_name(known):
    """Removed since its header was read."""
    file = read_gguf(known)
    known.unlink()
    with pytest.raises(ModelFormatError, match="cannot be read"):
        likeness(known, file, CancelToken())


@pytest.mark.real_model
def test_the_embedded_model_is_the_recorded_one(tmp_path):
    """Tensor by tensor, and no two of its tensors are alike."""
    path = resolve("smollm2", cache=tmp_path).path
    like = _likeness(path)
    assert like.same
    assert like.problems == ()
    (row,) = KIN
    assert recorded_tensors(row.model).keys() == read_gguf(path).tensors.keys()
    assert len(set(recorded_tensors(row.model).values())) == len(recorded_tensors(row.model))
