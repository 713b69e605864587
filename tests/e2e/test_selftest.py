"""Real models pass the known answers on both backends; spoiled ones are refused, each with its cause."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from leanvibe_lsp.config.settings import Settings
from leanvibe_lsp.core.cancel import CancelToken, Deadline
from leanvibe_lsp.engine.host import Ready
from leanvibe_lsp.engine.models.registry import resolve
from leanvibe_lsp.engine.models.selftest import State
from leanvibe_lsp.engine.scheduler import Priority
from leanvibe_lsp.errors import LeanVibeError, ModelDamaged, ModelError, ModelFormatError, ModelUnverified
from leanvibe_lsp.services import create
from tests.support import bad_models

pytestmark = pytest.mark.real_model


@pytest.fixture(scope="module")
def smollm2() -> Path:
    """The embedded model's file."""
    return resolve("smollm2", cache=Path("/nonexistent")).path


def ready(model: str | Path, engine: str | None = None) -> Ready:
    """What loading `model` gives, through the whole of the product's path."""
    services = create(Settings(engine=engine, model=str(model)))
    try:
        return services.host.ready(priority=Priority.QUESTION, cancel=CancelToken(), deadline=Deadline.never()).result()
    finally:
        services.close()


def refusal(model: Path, engine: str | None = None) -> LeanVibeError:
    """The error with which `model` is refused; it names a next step."""
    with pytest.raises(ModelError) as caught:
        ready(model, engine)
    print(f"{model.name}: {caught.value}")
    assert caught.value.next_step != ""
    return caught.value


@pytest.mark.parametrize("engine", ["llama.cpp", "mlx"])
def test_smollm2_is_verified(engine: str) -> None:
    """The embedded model gives every known answer, on both backends, with figures far above the threshold."""
    result = ready("smollm2", engine)
    assert result.verdict is not None
    assert result.verdict.state == State.VERIFIED
    assert min(probe.probability for probe in result.verdict.probes) > 0.6


def test_a_safetensors_folder_is_verified(smollm2: Path, tmp_path: Path) -> None:
    """The same weights as a folder of safetensors give the known answers through MLX."""
    result = ready(bad_models.safetensors_folder(smollm2, tmp_path / "real"))
    assert result.selection.backend == "mlx"
    assert result.verdict is not None
    assert result.verdict.state == State.VERIFIED


def test_a_folder_of_random_weights_is_refused(smollm2: Path, tmp_path: Path) -> None:
    """A folder that is sound in every way but that its weights are random never becomes ready."""
    folder = bad_models.safetensors_folder(smollm2, tmp_path / "random", weights="random")
    assert isinstance(refusal(folder), ModelUnverified)


Spoil = Callable[[Path, Path], Path]


def _swap(name: str) -> Spoil:
    return lambda source, target: bad_models.swapped_tensors(
        source, target, f"blk.3.{name}.weight", f"blk.7.{name}.weight"
    )


@pytest.mark.parametrize("engine", ["llama.cpp", "mlx"])
@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("random", bad_models.random_weights),
        ("zeros", bad_models.zeros),
        ("wrong_tokenizer", bad_models.wrong_tokenizer),
    ],
)
def test_spoiled_weights_are_refused(engine: str, name: str, spoil: Spoil, smollm2: Path, tmp_path: Path) -> None:
    """A GGUF file whose weights or words are not the real ones is refused on both backends."""
    error = refusal(spoil(smollm2, tmp_path / f"{name}.gguf"), engine)
    assert isinstance(error, ModelUnverified | ModelDamaged)


@pytest.mark.parametrize("tensor", ["ffn_up", "ffn_down", "attn_q", "attn_k", "attn_v", "attn_output"])
def test_a_swapped_tensor_is_refused(tensor: str, smollm2: Path, tmp_path: Path) -> None:
    """Even a swap that hardly changes an answer is found: the header says SmolLM2, the digest says it is not."""
    error = refusal(_swap(tensor)(smollm2, tmp_path / "swapped.gguf"))
    assert isinstance(error, ModelDamaged)


def test_a_truncated_file_is_refused(smollm2: Path, tmp_path: Path) -> None:
    """Half a file is refused before any backend sees it."""
    error = refusal(bad_models.truncated(smollm2, tmp_path / "half.gguf"))
    assert isinstance(error, ModelFormatError | ModelDamaged)
