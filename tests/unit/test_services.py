from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace

import pytest

from leanvibe_lsp import services as module
from leanvibe_lsp.assist.answer import AskRequest
from leanvibe_lsp.assist.prompt import SYSTEM
from leanvibe_lsp.config.limits import LIMITS
from leanvibe_lsp.config.settings import RemoteSettings, Settings
from leanvibe_lsp.core.cancel import CancelToken
from leanvibe_lsp.engine import select
from leanvibe_lsp.engine.base import Loaded
from leanvibe_lsp.engine.llama import LlamaEngine
from leanvibe_lsp.engine.mock import NOTICE, TEMPLATE, CharacterTokenizer, MockEngine
from leanvibe_lsp.engine.models import digest, kin
from leanvibe_lsp.engine.models.formats import Format
from leanvibe_lsp.engine.models.selftest import State
from leanvibe_lsp.engine.select import Selection
from leanvibe_lsp.errors import Cancelled, EngineError, ModelDamaged, ModelError
from leanvibe_lsp.services import build_engine, create, prove_model, stable_prefix
from tests.support.engines import KnowingEngine, located


async def test_settings_in_working_services_out() -> None:
    """Services for `--engine mock` answer, report, and end; after the end nothing is taken."""
    services = create(Settings(engine="mock"))
    assert services.host.status.state == "idle"
    answer = await services.ask(AskRequest("what?"), lambda _: None, CancelToken())
    assert answer.answer.startswith(NOTICE)
    assert (await services.examine(load=True)).model == "mock"
    assert json.loads(json.dumps(await services.health()))["inference_ready"] is True
    services.close()
    services.close()
    with pytest.raises(Cancelled):
        await services.ask(AskRequest("what?"), lambda _: None, CancelToken())


def test_an_engine_for_each_backend() -> None:
    """Each backend's name builds its engine; building loads nothing."""
    plain = Settings()
    remote = Settings(remote=RemoteSettings("http://127.0.0.1:8000/v1"))
    assert isinstance(build_engine(Selection("mock", None, ()), plain), MockEngine)
    assert isinstance(build_engine(Selection("llama.cpp", located(), ()), plain), LlamaEngine)
    assert build_engine(Selection("mlx", located(Format.SAFETENSORS), ()), plain).backend == "mlx"
    assert build_engine(Selection("remote", None, ()), remote).backend == "remote"


def test_the_self_test_of_one_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model is loaded on the backend chosen for it, asked the known answers, measured, and freed."""

    class Scoring(KnowingEngine):
        def score(self, ids: Sequence[int], cancel: CancelToken) -> list[float]:
            """Each token as probable as one in e."""
            return [-1.0] * (len(ids) - 1)

    engine = Scoring()
    monkeypatch.setattr(digest, "check_digest", lambda located, **_: "abc")
    monkeypatch.setattr(module, "build_engine", lambda selection, settings: engine)
    monkeypatch.setattr(select, "mlx_obstacle", lambda located, machine: "")
    monkeypatch.setattr(kin, "recorded_perplexity", lambda located: None)
    proof = prove_model(located(), "llama.cpp")
    assert proof.verdict.state is State.VERIFIED
    assert proof.perplexity.value == pytest.approx(math.e)
    assert engine.closed == 1


async def test_a_file_that_is_not_its_model_is_never_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The digest is checked before an engine is built; a wrong one is ModelDamaged, and nothing was loaded."""
    built: list[Selection] = []

    def check(*_: object, **__: object) -> str:
        raise ModelDamaged("another file", next_step="pull")

    monkeypatch.setattr(digest, "check_digest", check)
    monkeypatch.setattr(module, "candidates", lambda *_: (Selection("llama.cpp", located(), ()),))
    monkeypatch.setattr(module, "estimate", lambda *_: 0)
    monkeypatch.setattr(module, "build_engine", lambda selection, settings: built.append(selection))
    services = create(Settings())
    with pytest.raises(ModelDamaged):
        await services.ask(AskRequest("what?"), lambda _: None, CancelToken())
    services.close()
    assert built == []


async def test_a_model_that_does_not_fit_is_never_built(monkeypatch: pytest.MonkeyPatch) -> None:
    """The estimate is looked at before anything of the model is read; the error has the numbers."""
    monkeypatch.setattr(module, "candidates", lambda *_: (Selection("llama.cpp", located(), ()),))
    monkeypatch.setattr(module, "estimate", lambda *_: 10 << 40)
    monkeypatch.setattr(module, "build_engine", lambda *_: pytest.fail("built"))
    services = create(Settings())
    with pytest.raises(ModelError, match="10,485,760 MiB"):
        await services.ask(AskRequest("what?"), lambda _: None, CancelToken())
    services.close()


def test_the_stable_prefix_is_what_two_questions_share() -> None:
    """It ends where the question begins, holds the instructions, and is empty for a server's model."""
    here = Loaded(1_000, 0, "cpu", CharacterTokenizer(), TEMPLATE)
    prefix = "".join(map(chr, stable_prefix(here)))
    assert SYSTEM in prefix
    assert prefix.endswith("user: ")
    assert stable_prefix(Loaded(1_000, 0, "remote", None, "")) == ()


class Memory:
    """Engines of 1,000,000 bytes each, and a cap of 1 MiB for all; `held` are those in memory."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
        self.names = list(names)
        self.failing: set[str] = set()
        self.held: list[str] = []
        monkeypatch.setitem(LIMITS, "engine.memory_mib", replace(LIMITS["engine.memory_mib"], default=1))
        monkeypatch.setattr(digest, "check_digest", lambda located, **_: "abc")
        monkeypatch.setattr(module, "estimate", lambda *_: 1_000_000)
        monkeypatch.setattr(module, "build_engine", lambda selection, settings: self._build(selection.model))
        monkeypatch.setattr(
            module,
            "candidates",
            lambda *_: tuple(Selection("llama.cpp", located(name=name), ()) for name in self.names),
        )

    def _build(self, name: str) -> KnowingEngine:
        failing, held = self.failing, self.held

        class Counted(KnowingEngine):
            def load(self, cancel: CancelToken) -> Loaded:
                held.append(name)
                if name in failing:
                    raise EngineError(f"{name} is dead.")
                return super().load(cancel)

            def close(self) -> None:
                held.remove(name)

        return Counted()


async def test_the_cap_is_for_all_models_of_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two clients with settings of their own: the second model waits until the first one is gone."""
    memory = Memory(monkeypatch, "a")
    one, other = create(Settings()), create(Settings(engine="llama.cpp"))
    await one.ask(AskRequest("what?"), lambda _: None, CancelToken())
    with pytest.raises(ModelError, match="allows 1 MiB, of which 1 MiB are taken"):
        await other.ask(AskRequest("what?"), lambda _: None, CancelToken())
    assert memory.held == ["a"]
    one.close()
    assert (await other.ask(AskRequest("what?"), lambda _: None, CancelToken())).model == "a"
    other.close()
    assert memory.held == []


async def test_the_best_model_comes_back_where_there_is_room_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """It failed, and the next one took the memory; when it is tried again, that one gives the memory up."""
    memory = Memory(monkeypatch, "a", "b")
    monkeypatch.setitem(LIMITS, "engine.cooldown_seconds", replace(LIMITS["engine.cooldown_seconds"], default=0))
    memory.failing.add("a")
    services = create(Settings())
    answer = await services.ask(AskRequest("what?"), lambda _: None, CancelToken())
    assert (answer.model, memory.held) == ("b", ["b"])
    memory.failing.clear()
    answer = await services.ask(AskRequest("what?"), lambda _: None, CancelToken())
    assert (answer.model, answer.fallbacks, memory.held) == ("a", (), ["a"])
    services.close()
