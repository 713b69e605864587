"""Our reading of llama, qwen2 and phi3 against transformers' logits. See tests/fixtures/parity/make.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leanvibe_lsp.config import limits
from leanvibe_lsp.core.cancel import CancelToken
from leanvibe_lsp.engine.local.load import Weights, load_weights
from leanvibe_lsp.engine.models.formats import Format
from tests.support import parity
from tests.support.parity import CASES, KEPT, config_of, distance, golden, prompt, weights
from tests.support.tiny_mlx import located

EXACT = 1e-4
GGUF_CASES = [case for case in CASES if case != "qwen2-yarn"]
PLAIN = ["llama", "qwen2", "phi3"]
LONGROPE = ["phi3-longrope", "phi3-partial"]

SetLimit = Callable[[str, int], None]


@pytest.fixture(autouse=True)
def on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """All in 32 bits, on whatever machine: the logits were made so."""
    from leanvibe_lsp.engine.local import load

    monkeypatch.setattr(load, "device", lambda: "cpu")


@pytest.fixture
def set_limit(monkeypatch: pytest.MonkeyPatch) -> SetLimit:
    """Another value for one limit, as long as the test runs."""
    from leanvibe_lsp.engine.local import load, precision

    changed: dict[str, int] = {}

    def set_one(name: str, number: int) -> None:
        changed[name] = number

    for module in (load, precision):
        monkeypatch.setattr(module, "limit", lambda name: changed.get(name, limits.limit(name)))
    return set_one


def load_folder(folder: Path) -> Weights:
    return load_weights(located(folder, Format.SAFETENSORS), CancelToken())


def load_gguf(path: Path) -> Weights:
    return load_weights(located(path, Format.GGUF), CancelToken())


def logits(model: Any, ids: list[int], chunk: int = 128) -> Any:
    """Logits of all positions, computed in chunks over one cache as the engine does it."""
    from mlx_lm.models.cache import make_prompt_cache

    from leanvibe_lsp.engine.local.arrays import mx

    cache = make_prompt_cache(model)
    rows = [model(mx.array([ids[at : at + chunk]]), cache=cache)[0] for at in range(0, len(ids), chunk)]
    return np.array(mx.concatenate(rows).astype(mx.float32))


def worst(model: Any, case: str, *, prompts: tuple[str, ...] = ("short", "long"), chunk: int = 128) -> float:
    """The distance from transformers over both prompts."""
    rows = {"short": slice(None), "long": KEPT}
    return max(distance(logits(model, prompt(name), chunk)[rows[name]], golden()[f"{case}.{name}"]) for name in prompts)


def prompts_of(case: str) -> tuple[str, ...]:
    """The prompts whose golden logits are of the factors that the usual window takes: LongRoPE's long ones."""
    return ("long",) if case in LONGROPE else ("short", "long")


def test_prompts_are_long_enough() -> None:
    """The long one is beyond a prefill chunk, each sliding window, and LongRoPE's first window."""
    length = len(prompt("long"))
    assert length > limits.limit("engine.prefill_chunk") > parity.CONTENT["kept"][3]
    sizes = [case["config"].get("sliding_window") for case in CASES.values()]
    assert [size for size in sizes if size] == [24, 100]
    assert max(24, 100, *(CASES[case]["config"]["original_max_position_embeddings"] for case in LONGROPE)) < length


@pytest.mark.parametrize("layout", ["new", "old"])
@pytest.mark.parametrize("case", CASES)
def test_folder_agrees_with_transformers(case: str, layout: str, tmp_path: Path) -> None:
    """32-bit safetensors give transformers' logits, whichever version wrote the config.json."""
    config = config_of(case)
    parity.write_folder(tmp_path, config if layout == "new" else parity.old_layout(config), weights(case))
    assert worst(load_folder(tmp_path).model, case, prompts=prompts_of(case)) < EXACT


@pytest.mark.parametrize("family", ["llama", "llama-biased", "qwen2", "phi3"])
def test_folder_as_transformers_saved_it(family: str) -> None:
    """The stored folders themselves, in F16 and BF16, one of them in shards: their weights are exact."""
    assert worst(load_folder(parity.HERE / family).model, family) < EXACT


@pytest.mark.parametrize(("dtype", "shards"), [("float16", 1), ("bfloat16", 1), ("float32", 3)])
@pytest.mark.parametrize("case", PLAIN)
def test_float_types_and_shards(case: str, dtype: str, shards: int, tmp_path: Path) -> None:
    """Half precision and shards change no logit: these weights are exact in each type."""
    parity.write_folder(tmp_path, config_of(case), weights(case), dtype=dtype, shards=shards)
    assert worst(load_folder(tmp_path).model, case) < EXACT


@pytest.mark.parametrize("case", GGUF_CASES)
def test_gguf_agrees_with_transformers(case: str, tmp_path: Path) -> None:
    """F16 GGUF files give transformers' logits: names, permutation, rotary tables and sliding windows are right."""
    path = parity.write_case_gguf(tmp_path / "model.gguf", case, "F16")
    assert worst(load_gguf(path).model, case, prompts=prompts_of(case)) < EXACT


def reach(model: Any, case: str) -> float:
    """How far the logits of the long prompt are from transformers': the difference's norm, to that of the logits."""
    found, expected = logits(model, prompt("long"))[KEPT], golden()[f"{case}.long"]
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def assert_explained(found: Any, reference: Any, case: str, coarse: dict[str, Any]) -> None:
    """`found` computes what `reference` does, and both are as far from transformers as rounding explains.

    That is: as far as the very same errors take the logits when each gets a sign of its own, by a factor of 2.
    """
    from leanvibe_lsp.engine.local.arrays import mx

    for name in ("short", "long"):
        assert distance(logits(found, prompt(name)), logits(reference, prompt(name))) < EXACT
    dice = np.random.default_rng(7)
    explained = []
    for _ in range(4):
        noisy = {
            name: exact + (coarse[name] - exact) * dice.choice([-1, 1], exact.shape)
            for name, exact in weights(case).items()
        }
        reference.load_weights([(name, mx.array(array.astype(np.float32))) for name, array in noisy.items()])
        explained.append(reach(reference, case))
    assert min(explained) / 2 < reach(found, case) < 2 * max(explained)


@pytest.fixture(params=["expanded", "packed"])
def blas(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Quantised weights become floats at load where BLAS is fast, and are computed with as they are elsewhere."""
    from leanvibe_lsp.engine.local import load
    from leanvibe_lsp.engine.local.runtime import Blas

    monkeypatch.setattr(load, "BLAS", Blas.OPENBLAS if request.param == "expanded" else Blas.REFERENCE)
    return str(request.param)


def is_packed(model: Any) -> bool:
    return any("scales" in module for module in model.leaf_modules()["model"]["layers"][0]["mlp"].values())


@pytest.mark.parametrize("kind", ["Q8_0", "Q4_0", "Q4_1"])
@pytest.mark.parametrize("case", [*PLAIN, "llama-llama3", "phi3-partial"])
def test_quantised_gguf(case: str, kind: str, blas: str, tmp_path: Path) -> None:
    """Blocks are read exactly: the logits are those of the numbers the blocks stand for."""
    coarse = parity.rounded(case, kind)
    reference = load_folder(parity.write_folder(tmp_path / "plain", config_of(case), coarse)).model
    found = load_gguf(parity.write_case_gguf(tmp_path / "model.gguf", case, kind)).model
    assert is_packed(found) == (blas == "packed")
    assert_explained(found, reference, case, coarse)


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("case", [*PLAIN, "phi3-partial"])
def test_quantised_folder(case: str, bits: int, blas: str, tmp_path: Path) -> None:
    """MLX's own quantisation likewise."""
    packed, coarse = parity.pack_mlx(weights(case), bits=bits, group_size=32)
    reference = load_folder(parity.write_folder(tmp_path / "plain", config_of(case), coarse)).model
    config = config_of(case, quantization={"bits": bits, "group_size": 32})
    found = load_folder(parity.write_folder(tmp_path / "packed", config, packed)).model
    assert is_packed(found) == (blas == "packed")
    assert_explained(found, reference, case, coarse)


@pytest.mark.parametrize("kind", ["folder", "gguf"])
@pytest.mark.parametrize("case", LONGROPE)
def test_short_factors_for_a_short_window(case: str, kind: str, tmp_path: Path, set_limit: SetLimit) -> None:
    """Where the window is LongRoPE's first one, its short factors are taken; one token more takes the long ones."""
    original = CASES[case]["config"]["original_max_position_embeddings"]

    def load() -> Any:
        if kind == "gguf":
            return load_gguf(parity.write_case_gguf(tmp_path / "model.gguf", case, "F16")).model
        return load_folder(parity.write_folder(tmp_path / "model", config_of(case), weights(case))).model

    set_limit("engine.window", original)
    assert worst(load(), case, prompts=("short",)) < EXACT
    set_limit("engine.window", original + 1)
    assert worst(load(), case, prompts=("short",)) > 100 * EXACT


@pytest.mark.parametrize("chunk", [1, 23, 24, 25, 160])
@pytest.mark.parametrize("case", ["llama", "phi3-sliding", "phi3-partial"])
def test_chunks_change_nothing(case: str, chunk: int, tmp_path: Path) -> None:
    """One token at a time, at the sliding window's edge, or all at once: the same logits."""
    model = load_folder(parity.write_folder(tmp_path, config_of(case), weights(case))).model
    assert worst(model, case, prompts=("long",), chunk=chunk) < EXACT


@pytest.mark.parametrize("case", [*PLAIN, "phi3-sliding", "phi3-longrope", "phi3-partial"])
def test_a_cut_cache_gives_what_a_fresh_one_does(case: str, tmp_path: Path) -> None:
    """Go on from a cache that is cut back to any token, before or past the sliding window: transformers' logits."""
    from mlx_lm.models.cache import can_trim_prompt_cache, make_prompt_cache, trim_prompt_cache

    from leanvibe_lsp.engine.local.arrays import mx

    model = load_folder(parity.write_folder(tmp_path, config_of(case), weights(case))).model
    ids, expected = prompt("long"), golden()[f"{case}.long"][-1]
    cache = make_prompt_cache(model)
    model(mx.array([ids[:-30] + ids[:90]]), cache=cache)
    assert can_trim_prompt_cache(cache)
    for kept in (len(ids) - 30, 95, 24, 10, 1):
        trim_prompt_cache(cache, cache[0].offset - kept)
        assert distance(np.array(model(mx.array([ids[kept:]]), cache=cache))[0, -1:], expected[None]) < EXACT


def test_without_a_cache(tmp_path: Path) -> None:
    """The sliding window holds there too."""
    from leanvibe_lsp.engine.local.arrays import mx

    case = "phi3-sliding"
    model = load_folder(parity.write_folder(tmp_path, config_of(case), weights(case))).model
    found = np.array(model(mx.array([prompt("long")]))[0])
    assert distance(found[KEPT], golden()[f"{case}.long"]) < EXACT
