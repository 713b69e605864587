"""The composition root: settings in, working services out. The only place that builds things."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.config.settings import Settings
from leanvibe_lsp.core.cancel import CancelToken
from leanvibe_lsp.engine.host import EngineHost
from leanvibe_lsp.engine.models.cache import models_dir
from leanvibe_lsp.engine.scheduler import Scheduler
from leanvibe_lsp.engine.select import Selection, probe_machine, select

if TYPE_CHECKING:
    from leanvibe_lsp.assist.answer import Answer, AskRequest, AskSink
    from leanvibe_lsp.assist.doctor import Report
    from leanvibe_lsp.engine.base import Engine
    from leanvibe_lsp.engine.models.registry import Located
    from leanvibe_lsp.engine.models.selftest import Verdict


class Services:
    """What the doors (editor, terminal) call. One model, shared by all of them. Close it when done."""

    def __init__(self, settings: Settings, host: EngineHost) -> None:
        self.settings = settings
        self.host = host
        self.workers = ThreadPoolExecutor(max_workers=limit("context.workers"), thread_name_prefix="leanvibe-work")

    async def ask(self, request: AskRequest, sink: AskSink, cancel: CancelToken) -> Answer:
        """See `assist.ask.ask`."""
        from leanvibe_lsp.assist.ask import ask

        return await ask(request, host=self.host, workers=self.workers, sink=sink, cancel=cancel)

    async def examine(self, *, load: bool) -> Report:
        """The report of `leanvibe doctor`; with `load`, the model is loaded, proven and timed first."""
        from leanvibe_lsp.assist.doctor import examine

        return await examine(self.settings, self.host, workers=self.workers, load=load)

    async def health(self) -> dict[str, Any]:
        """The same report as JSON, of things as they are now."""
        return (await self.examine(load=False)).as_json()

    def close(self) -> None:
        """Stop the engine; takes at most about a second."""
        self.host.close(limit("engine.close_milliseconds") / 1000)
        self.workers.shutdown(wait=False, cancel_futures=True)


def create(settings: Settings) -> Services:
    """Services for these settings. Nothing is loaded before it is needed."""
    scheduler = Scheduler(capacity=limit("engine.queue"))
    return Services(settings, EngineHost(lambda cancel: _plan(settings, cancel), build_engine, scheduler))


def build_engine(selection: Selection) -> Engine:
    """An engine for a selection, not loaded yet."""
    if selection.located is None:
        from leanvibe_lsp.engine.mock import MockEngine

        return MockEngine()
    if selection.backend == "mlx":
        from leanvibe_lsp.engine.local.backend import MlxEngine

        return MlxEngine(selection.located)
    from leanvibe_lsp.engine.llama import LlamaEngine

    return LlamaEngine(selection.located)


def selftest_model(located: Located) -> Verdict:
    """Load a model on the backend chosen for it, ask the known answers.

    Raises ModelError, BackendError, EngineError.
    """
    from leanvibe_lsp.engine.host import next_token
    from leanvibe_lsp.engine.models.selftest import run_selftest
    from leanvibe_lsp.engine.select import choose_backend, mlx_obstacle

    cancel = CancelToken()
    located = _proven(located, cancel)
    machine = probe_machine()
    backend, steps = choose_backend(located.format, machine, None, mlx_obstacle=mlx_obstacle(located, machine))
    engine = build_engine(Selection(backend, located, steps))
    try:
        loaded = engine.load(cancel)
        return run_selftest(loaded, lambda prompt: next_token(engine, prompt, cancel))
    finally:
        engine.close()


def _plan(settings: Settings, cancel: CancelToken) -> Selection:
    """Choose, and prove that a known model's file is that model's."""
    selection = select(settings, probe_machine(), models_dir())
    if selection.located is None:
        return selection
    return replace(selection, located=_proven(selection.located, cancel))


def _proven(located: Located, cancel: CancelToken) -> Located:
    from leanvibe_lsp.engine.models.digest import check_digest

    return replace(located, digest=check_digest(located, stamps=models_dir() / "digests.json", cancel=cancel))
