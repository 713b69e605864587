"""Rows of one cache: what a model says for each is what it says for it alone, whatever the family."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from leanvibe_lsp.core.cancel import CancelToken
from leanvibe_lsp.engine.models.formats import Format
from tests.support.parity import CASES, config_of, prompt, weights, write_folder
from tests.support.tiny_mlx import CONFIG, located, random_model

CLOSE = 1e-4


@pytest.fixture(params=sorted(CASES))
def model(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A model of each kind in 32 bits: ropes by table, sliding windows, biases."""
    from leanvibe_lsp.engine.local import load

    monkeypatch.setattr(load, "device", lambda: "cpu")
    folder = write_folder(tmp_path, config_of(request.param), weights(request.param))
    return load.load_weights(located(folder, Format.SAFETENSORS), CancelToken()).model


def test_a_row_is_what_it_is_alone(model: Any) -> None:
    """At different places of texts, past a sliding window and before it; also when one left, and taken out again."""
    from leanvibe_lsp.engine.local.arrays import mx
    from leanvibe_lsp.engine.local.kv import make_prompt_cache
    from leanvibe_lsp.engine.local.rows import add_row, can_batch, keep_rows, take_row

    assert can_batch(model)
    long = prompt("long")
    texts = [long, long[5:9], long[3:40], long[:1]]
    caches = [make_prompt_cache(model) for _ in texts]
    rows: list[Any] = []
    for text, cache in zip(texts, caches, strict=True):
        model(mx.array([text]), cache=cache)
        rows = add_row(rows, cache)
    here = [0, 1, 2, 3]
    for token in (7, 1, 4, 4):
        ids = [token + row for row in here]
        together = model(mx.array(ids)[:, None], cache=rows)[:, 0]
        for place, row in enumerate(here):
            alone = model(mx.array([[ids[place]]]), cache=caches[row])[0, 0]
            assert mx.allclose(together[place], alone, rtol=CLOSE, atol=CLOSE)
        if token == 1:
            rows, here = keep_rows(rows, [1, 3]), [1, 3]
    for mine, own in zip(take_row(rows, 1), caches[3], strict=True):
        assert mine.offset == own.offset
        assert mx.allclose(mine.keys, own.keys[..., : own.offset, :], rtol=CLOSE, atol=CLOSE)
        assert mx.allclose(mine.values, own.values[..., : own.offset, :], rtol=CLOSE, atol=CLOSE)
    assert keep_rows(rows, []) == []


def test_where_rows_do_not_pay_there_are_none(sliding: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache that forgets, a family nobody looked at; and on a CPU whatever is not computed in 32-bit floats."""
    from leanvibe_lsp.engine.local import rows
    from leanvibe_lsp.engine.local.arrays import mx, nn

    here = "cpu"
    monkeypatch.setattr(rows, "device", lambda: here)
    assert not rows.can_batch(sliding)
    model = random_model("llama", CONFIG)
    assert rows.can_batch(model)
    model.args.model_type = "unheard of"
    assert not rows.can_batch(model)
    quantised, half = random_model("llama", CONFIG), random_model("llama", CONFIG)
    nn.quantize(quantised, group_size=32, bits=4)
    half.set_dtype(mx.bfloat16)
    assert not rows.can_batch(quantised)
    assert not rows.can_batch(half)
    here = "metal"
    assert rows.can_batch(quantised)
    assert rows.can_batch(half)
