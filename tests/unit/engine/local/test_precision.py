from __future__ import annotations

from typing import Any

import pytest

from leanvibe_lsp.config import limits
from leanvibe_lsp.core.cancel import CancelToken
from leanvibe_lsp.engine.local import precision
from leanvibe_lsp.errors import Cancelled
from tests.support.tiny_mlx import CONFIG, random_model


@pytest.fixture
def packed() -> Any:
    """A 4-bit model with 16-bit scales, one of its layers with a bias, as a GPU would take it."""
    from leanvibe_lsp.engine.local.arrays import mx, nn

    model = random_model("qwen2", CONFIG)
    nn.quantize(model, group_size=32, bits=4)
    model.set_dtype(mx.float16)
    return model


def dtypes(model: Any) -> set[str]:
    from mlx.utils import tree_flatten

    return {str(array.dtype).removeprefix("mlx.core.") for _name, array in tree_flatten(model.parameters())}


def logits(model: Any) -> Any:
    from leanvibe_lsp.engine.local.arrays import mx

    return model(mx.array([[3, 9, 40]])).astype(mx.float32)


def test_expanded_weights_compute_the_same(packed: Any) -> None:
    """With a fast BLAS all is 32-bit floats, and the model is the same up to the rounding of 16 bits."""
    before = logits(packed)
    precision.suit_cpu(packed, fast_blas=True, cancel=CancelToken())
    assert dtypes(packed) == {"float32"}
    assert float(abs(logits(packed) - before).max().item()) < 0.1


def test_without_fast_blas_weights_stay_packed(packed: Any) -> None:
    """With the reference BLAS nothing is expanded; scales become 32-bit, for they cost 100 times as much in 16."""
    precision.suit_cpu(packed, fast_blas=False, cancel=CancelToken())
    assert dtypes(packed) == {"uint32", "float32"}


def test_expansion_keeps_to_its_limit(packed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that would not fit stays as it is."""
    monkeypatch.setattr(precision, "limit", lambda name: 0 if name == "engine.mlx_dense_mib" else limits.limit(name))
    precision.suit_cpu(packed, fast_blas=True, cancel=CancelToken())
    assert dtypes(packed) == {"uint32", "float16"}


def test_expansion_hears_a_cancel(packed: Any) -> None:
    """Between two layers a cancel stops the load."""
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(Cancelled):
        precision.suit_cpu(packed, fast_blas=True, cancel=cancel)
