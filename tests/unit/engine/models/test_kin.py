from __future__ import annotations

import hashlib

import pytest

from leanvibe_lsp.core.cancel import CancelToken
from leanvibe_lsp.engine.models import kin
from leanvibe_lsp.engine.models.digest import check_digest
from leanvibe_lsp.engine.models.gguf import read_gguf
from leanvibe_lsp.engine.models.kin import Kin, check_settings, kin_of, recorded_perplexity, table_digest
from leanvibe_lsp.engine.models.registry import REGISTRY, resolve
from leanvibe_lsp.errors import ModelDamaged
from tests.support.gguf import llama_metadata, llama_shapes, write_gguf


@pytest.fixture
def known(tmp_path, monkeypatch):
    """A tiny GGUF that passes for the registered smollm2."""
    path = write_gguf(tmp_path / "known.gguf", llama_metadata() | {"llama.rope.freq_base": 5.0}, llama_shapes())
    file = read_gguf(path)
    norm = file.tensors["output_norm.weight"]
    digest = hashlib.sha256(path.read_bytes()[norm.offset : norm.offset + norm.nbytes]).hexdigest()
    row = Kin("smollm2", table_digest(file), digest, (("llama.rope.freq_base", 5.0),))
    monkeypatch.setattr(kin, "KIN", (row,))
    return path


def _check(path):
    return check_digest(resolve(str(path), cache=path.parent), stamps=path.parent / "stamps", cancel=CancelToken())


def test_a_model_is_known_again_under_another_name(known):
    """Its recorded perplexity counts, and its settings are right."""
    assert kin_of(known, read_gguf(known)).model == "smollm2"
    assert check_settings(known, read_gguf(known)) == []
    assert recorded_perplexity(resolve(str(known), cache=known.parent)) == REGISTRY["smollm2"].perplexity
    assert _check(known) is None


def test_other_settings_are_refused_by_name(known):
    """At load, before any backend sees the file."""
    write_gguf(known, llama_metadata() | {"llama.rope.freq_base": 7.0}, llama_shapes())
    assert [str(problem) for problem in check_settings(known, read_gguf(known))] == [
        "llama.rope.freq_base: expected 5.0, as smollm2 was trained, found 7.0"
    ]
    with pytest.raises(ModelDamaged, match=r"llama\.rope\.freq_base: expected 5\.0"):
        _check(known)


def test_another_norm_or_another_table_is_another_model(known):
    """Whose settings are its own business."""
    data = bytearray(known.read_bytes())
    data[read_gguf(known).tensors["output_norm.weight"].offset] ^= 1
    known.write_bytes(data)
    assert kin_of(known, read_gguf(known)) is None
    wider = write_gguf(known, llama_metadata(vocab=9), llama_shapes(vocab=9))
    assert kin_of(wider, read_gguf(wider)) is None
    assert recorded_perplexity(resolve(str(wider), cache=known.parent)) is None
