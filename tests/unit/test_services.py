from __future__ import annotations

import json

import pytest

from leanvibe_lsp import services as module
from leanvibe_lsp.assist.answer import AskRequest
from leanvibe_lsp.config.settings import Settings
from leanvibe_lsp.core.cancel import CancelToken
from leanvibe_lsp.engine.llama import LlamaEngine
from leanvibe_lsp.engine.mock import NOTICE, MockEngine
from leanvibe_lsp.engine.models import digest
from leanvibe_lsp.engine.models.formats import Format
from leanvibe_lsp.engine.models.selftest import State
from leanvibe_lsp.engine.select import Selection
from leanvibe_lsp.errors import Cancelled, ModelDamaged
from leanvibe_lsp.services import build_engine, create, selftest_model
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
    assert isinstance(build_engine(Selection("mock", None, ())), MockEngine)
    assert isinstance(build_engine(Selection("llama.cpp", located(), ())), LlamaEngine)
    assert build_engine(Selection("mlx", located(Format.SAFETENSORS), ())).backend == "mlx"


def test_the_self_test_of_one_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model is loaded on the backend chosen for it, asked the known answers, and freed."""
    engine = KnowingEngine()
    monkeypatch.setattr(digest, "check_digest", lambda located, **_: "abc")
    monkeypatch.setattr(module, "build_engine", lambda selection: engine)
    assert selftest_model(located()).state is State.VERIFIED
    assert engine.closed == 1


async def test_a_file_that_is_not_its_model_is_never_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The digest is checked before an engine is built; a wrong one is ModelDamaged, and nothing was loaded."""
    built: list[Selection] = []

    def check(*_: object, **__: object) -> str:
        raise ModelDamaged("another file", next_step="pull")

    monkeypatch.setattr(digest, "check_digest", check)
    monkeypatch.setattr(module, "select", lambda *_: Selection("llama.cpp", located(), ()))
    monkeypatch.setattr(module, "build_engine", built.append)
    services = create(Settings())
    with pytest.raises(ModelDamaged):
        await services.ask(AskRequest("what?"), lambda _: None, CancelToken())
    services.close()
    assert built == []
