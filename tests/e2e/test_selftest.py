"""Real models pass the known answers on both backends; spoiled ones are refused, each with its cause."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from leanvibe_lsp.assist.answer import AskRequest
from leanvibe_lsp.config.settings import Settings
from leanvibe_lsp.core.cancel import CancelToken, Deadline
from leanvibe_lsp.engine.host import Ready
from leanvibe_lsp.engine.models.registry import REGISTRY, resolve
from leanvibe_lsp.engine.models.selftest import State
from leanvibe_lsp.engine.models.verify import verify_files
from leanvibe_lsp.engine.scheduler import Priority
from leanvibe_lsp.errors import LeanVibeError, ModelDamaged, ModelError, ModelFormatError, ModelUnverified
from leanvibe_lsp.services import create, prove_model
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


@pytest.mark.parametrize("tensor", ["ffn_up", "ffn_down", "attn_q", "attn_k", "attn_v", "attn_output"])
def test_a_swapped_tensor_is_refused(tensor: str, smollm2: Path, tmp_path: Path) -> None:
    """Even a swap that hardly changes an answer is found: the header says SmolLM2, the digest says it is not."""
    error = refusal(_swap(tensor)(smollm2, tmp_path / "swapped.gguf"))
    assert isinstance(error, ModelDamaged)


@dataclass(frozen=True)
class Planted:
    """A fault, and what finds it: an error at load, and what `verify` names."""

    spoil: Spoil
    at_load: type[ModelError]
    names_at_load: str
    verified_by: str


PLANTED = {
    "random weights": Planted(bad_models.random_weights, ModelUnverified, "known answers", "perplexity"),
    "zeros": Planted(bad_models.zeros, ModelUnverified, "zeros alone", "zeros alone"),
    "a shuffled layer": Planted(
        lambda source, target: bad_models.shuffled_layer(source, target, 3, 7),
        ModelDamaged,
        "blk.3: expected weights of its own, found those of blk.7 (9 tensors)",
        "those of blk.7",
    ),
    "a shuffled late layer": Planted(
        lambda source, target: bad_models.shuffled_layer(source, target, 26, 27),
        ModelDamaged,
        "blk.26: expected weights of its own, found those of blk.27 (9 tensors)",
        "those of blk.27",
    ),
    "a transposed projection": Planted(
        bad_models.transposed, ModelDamaged, "blk.4.ffn_up.weight: expected 1536x576", "blk.4.ffn_up.weight"
    ),
    "a wrong rope setting": Planted(
        bad_models.wrong_rope, ModelDamaged, "llama.rope.freq_base: expected 100000.0", "llama.rope.freq_base"
    ),
    "a wrong tokenizer": Planted(bad_models.wrong_tokenizer, ModelUnverified, "tokenizer", "perplexity"),
    "a truncated file": Planted(bad_models.truncated, ModelFormatError, "cut short", "cut short"),
    "NaN": Planted(bad_models.not_a_number, ModelUnverified, "blk.5.ffn_up.weight: expected finite", "blk.5.ffn_up"),
    "damaged scales": Planted(
        bad_models.damaged_scales, ModelUnverified, "blk.7.ffn_down.weight: expected a largest scale", "blk.7.ffn_down"
    ),
}


def verified(path: Path, engine: str) -> str:
    """What `leanvibe models verify` finds first; "" when it finds nothing."""
    try:
        located = resolve(str(path), cache=path.parent)
        report = verify_files(located, progress=lambda _: None, cancel=CancelToken())
        if not report.ok:
            return str(report.problems[0])
        proof = prove_model(located, engine)
    except ModelError as error:
        return error.message
    if proof.ok:
        return ""
    suspects = "".join(f"{suspect}; " for suspect in report.suspects)
    return f"{suspects}perplexity {proof.perplexity.summary}"


@pytest.mark.parametrize("engine", ["llama.cpp", "mlx"])
@pytest.mark.parametrize("name", PLANTED)
def test_each_planted_fault_is_found_by_name(name: str, engine: str, smollm2: Path, tmp_path: Path) -> None:
    """Under another name and another header, so that the file's digest knows it not: at load, and by `verify`.

    Prints the README's row (`pytest -s`).
    """
    planted = PLANTED[name]
    path = planted.spoil(smollm2, tmp_path / "planted.gguf")
    error = refusal(path, engine)
    assert isinstance(error, planted.at_load)
    assert planted.names_at_load in error.message
    at_load = error.message.replace(str(path), "the file")
    found = verified(path, engine).replace(str(path), "the file")
    assert planted.verified_by in found
    print(f"| {name} | {engine} | {at_load} | {found} |")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (bad_models.zero_tensor, "blk.15.attn_q.weight: expected trained weights, found zeros alone"),
        (bad_models.turned_signs, "blk.15.attn_v.weight: expected the weights of smollm2, found others"),
    ],
)
def test_one_damaged_tensor_is_said_with_each_answer(
    spoil: Spoil, said: str, smollm2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Most known answers come all the same: the model answers, and the answer says what is wrong with it."""
    monkeypatch.setenv("LEANVIBE_CACHE_DIR", str(tmp_path / "cache"))
    services = create(Settings(model=str(spoil(smollm2, tmp_path / "damaged.gguf"))))
    try:
        request = AskRequest("What is 1 + 1?", max_tokens=4)
        answer = asyncio.run(services.ask(request, lambda _: None, CancelToken()))
    finally:
        services.close()
    assert answer.verdict is not None
    assert answer.verdict.state == State.DEGRADED
    assert said in answer.verdict.summary


@pytest.mark.parametrize("engine", ["llama.cpp", "mlx"])
def test_a_fine_tune_is_a_model_of_its_own(engine: str, smollm2: Path, tmp_path: Path) -> None:
    """It loads, and is not held to the figures of the model it was made from; `verify` says what it resembles."""
    located = resolve(str(bad_models.fine_tuned(smollm2, tmp_path / "tuned.gguf")), cache=tmp_path)
    assert ready(located.path, engine).verdict is not None
    report = verify_files(located, progress=lambda _: None, cancel=CancelToken())
    assert report.problems == ()
    assert [str(suspect) for suspect in report.suspects] == [
        f"blk.*.{name}.weight: expected the weights of smollm2, found others in 30 tensors: a fine-tune, or damage"
        for name in ("attn_q", "attn_v")
    ]
    proof = prove_model(located, engine)
    recorded = REGISTRY["smollm2"].perplexity
    assert recorded is not None
    assert abs(proof.perplexity.value / recorded - 1) > 0.02
    assert proof.ok


def test_an_adapter_is_refused_as_a_model(tmp_path: Path) -> None:
    """With the name of the model it was made for."""
    error = refusal(bad_models.adapter(tmp_path / "adapter"))
    assert "is an adapter for org/another-model, not a model" in error.message
