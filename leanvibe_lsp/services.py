"""The composition root: settings in, working services out. The only place that builds things."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property
from itertools import takewhile
from typing import TYPE_CHECKING, Any, cast

from leanvibe_lsp.assist.answer_cache import AnswerCache, answers_path
from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.config.settings import Settings
from leanvibe_lsp.core.cancel import CancelToken
from leanvibe_lsp.core.clock import Clock
from leanvibe_lsp.engine.chain import Choose, EngineChain
from leanvibe_lsp.engine.host import EngineHost
from leanvibe_lsp.engine.ledger import Ledger
from leanvibe_lsp.engine.memory import estimate
from leanvibe_lsp.engine.models.cache import models_dir
from leanvibe_lsp.engine.scheduler import Scheduler
from leanvibe_lsp.engine.select import REMOTE, Selection, candidates, probe_machine, select
from leanvibe_lsp.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from leanvibe_lsp.assist.answer import Answer, AskRequest, AskSink
    from leanvibe_lsp.assist.changes.values import Change, ChangeRequest
    from leanvibe_lsp.assist.complete import Completer, Completion, CompletionRequest
    from leanvibe_lsp.assist.doctor import Report
    from leanvibe_lsp.assist.judged import Judged, JudgeRequest
    from leanvibe_lsp.assist.judging import Memory
    from leanvibe_lsp.assist.rungs import RungModels
    from leanvibe_lsp.assist.summary import Summaries, Summary, SummaryRequest
    from leanvibe_lsp.engine.base import Engine, Loaded
    from leanvibe_lsp.engine.local.convert import Conversion, Recipe, WriteProgress
    from leanvibe_lsp.engine.models.perplexity import Proof, ScoringEngine
    from leanvibe_lsp.engine.models.registry import Located


_LEDGER = Ledger()  # of the whole process: a server's clients may have services of their own


class Services:
    """What the doors (editor, terminal) call. One chain of engines, shared by all of them. Close it when done."""

    def __init__(self, settings: Settings, chain: EngineChain, bigger: Callable[[], EngineChain] | None = None) -> None:
        self.settings = settings
        self.chain = chain
        self._make_bigger = bigger or (lambda: chain)
        self._answers = AnswerCache(answers_path())
        self.workers = ThreadPoolExecutor(max_workers=limit("context.workers"), thread_name_prefix="leanvibe-work")

    @property
    def host(self) -> EngineHost:
        """The engine that answers now."""
        return self.chain.first()[0]

    @property
    def obstacle(self) -> str:
        """Why no model will answer, as far as that was found a moment ago; "" when one may. Never waits."""
        status = self.host.status
        recent = Clock().now() - status.since < limit("engine.cooldown_seconds")
        return str(status.failure) if status.state == "failed" and recent else ""

    async def ask(self, request: AskRequest, sink: AskSink, cancel: CancelToken) -> Answer:
        """See `assist.ask.ask`."""
        from leanvibe_lsp.assist.ask import ask

        return await ask(
            request, hosts=self.chain, workers=self.workers, sink=sink, cancel=cancel, answers=self._answers
        )

    async def change(self, request: ChangeRequest, sink: AskSink, cancel: CancelToken) -> Change:
        """See `assist.changes.run.change`."""
        from leanvibe_lsp.assist.changes.run import change

        return await change(request, ask=self.ask, workers=self.workers, sink=sink, cancel=cancel)

    async def complete(self, request: CompletionRequest, cancel: CancelToken) -> Completion | None:
        """See `assist.complete.Completer.complete`."""
        return await self._completer.complete(request, cancel)

    async def summary(self, request: SummaryRequest, cancel: CancelToken) -> Summary | None:
        """See `assist.summary.Summaries.summary`."""
        return await self._summaries.summary(request, cancel)

    async def judge(self, request: JudgeRequest, sink: AskSink, cancel: CancelToken) -> Judged:
        """See `assist.judging.judge`."""
        from leanvibe_lsp.assist.judging import judge
        from leanvibe_lsp.assist.sureness import sureness

        return await judge(
            request,
            models=self._rungs,
            memory=self._judgements,
            workers=self.workers,
            sink=sink,
            cancel=cancel,
            calibrate=sureness().of_review,
        )

    @cached_property
    def _rungs(self) -> RungModels:
        from leanvibe_lsp.assist.rungs import RungModels

        return RungModels(self.settings, self.chain, self._make_bigger, self.workers, self._answers)

    @cached_property
    def _judgements(self) -> Memory:
        from leanvibe_lsp.assist.judging import Memory

        return Memory()

    @cached_property
    def _completer(self) -> Completer:
        from leanvibe_lsp.assist.complete import Completer

        return Completer(self.chain, self.workers)

    @cached_property
    def _summaries(self) -> Summaries:
        from leanvibe_lsp.assist.summary import Summaries

        return Summaries(self.chain, self.workers)

    async def examine(self, *, load: bool) -> Report:
        """The report of `leanvibe doctor`; with `load`, the model is loaded, proven and timed first."""
        from leanvibe_lsp.assist.doctor import examine

        return await examine(self.settings, self.chain, workers=self.workers, load=load)

    async def health(self) -> dict[str, Any]:
        """The same report as JSON, of things as they are now."""
        return (await self.examine(load=False)).as_json()

    def close(self) -> None:
        """Stop the engines; takes at most about a second."""
        self.chain.close(limit("engine.close_milliseconds") / 1000)
        if "_rungs" in vars(self):
            self._rungs.close(limit("engine.close_milliseconds") / 1000)
        self.workers.shutdown(wait=False, cancel_futures=True)


def create(settings: Settings) -> Services:
    """Services for these settings. Nothing is loaded before it is needed."""

    def build(selection: Selection) -> Engine:
        return build_engine(selection, settings)

    def make(choose: Choose, name: str) -> EngineHost:
        def plan(cancel: CancelToken) -> Selection:
            selection = choose(cancel)
            if selection.located is None:
                return selection
            needed = estimate(selection, probe_machine())
            try:
                _LEDGER.reserve(host, selection.name, needed)
            except ModelError:
                chain.free_behind(host, cancel)
                _LEDGER.reserve(host, selection.name, needed)
            return replace(selection, located=_proven(selection.located, cancel))

        scheduler = Scheduler(capacity=limit("engine.queue"))
        host = EngineHost(plan, build, scheduler, name=name, prefix=stable_prefix, ledger=_LEDGER)
        return host

    def bigger() -> EngineChain:
        there = replace(settings, engine=REMOTE, model=None)
        return EngineChain(lambda: candidates(there, probe_machine(), models_dir()), make)

    chain = EngineChain(lambda: candidates(settings, probe_machine(), models_dir()), make)
    return Services(settings, chain, bigger)


def unloaded_model(settings: Settings) -> tuple[str, Loaded]:
    """The name of the model that would be asked first, and what is known of it without its weights."""
    from leanvibe_lsp.engine.unloaded import facts_without_weights

    selection = select(settings, probe_machine(), models_dir())
    return selection.name, facts_without_weights(selection)


def build_engine(selection: Selection, settings: Settings) -> Engine:
    """An engine for a selection, not loaded yet."""
    if selection.is_remote:
        from leanvibe_lsp.engine.remote import RemoteEngine

        assert settings.remote is not None, "a server is chosen only where one is switched on"
        return RemoteEngine(settings.remote)
    if selection.located is None:
        from leanvibe_lsp.engine.mock import MockEngine

        return MockEngine()
    if selection.backend == "mlx":
        from leanvibe_lsp.engine.local.backend import MlxEngine

        return MlxEngine(selection.located)
    from leanvibe_lsp.engine.llama import LlamaEngine

    return LlamaEngine(selection.located)


def prove_model(located: Located, engine_name: str | None = None) -> Proof:
    """Load a model on the backend chosen for it, or on the one named; ask the known answers, measure the fixed text.

    Raises ModelError, BackendError, EngineError.
    """
    from leanvibe_lsp.engine.models.kin import recorded_perplexity
    from leanvibe_lsp.engine.models.perplexity import Proof, measure
    from leanvibe_lsp.engine.models.selftest import run_selftest
    from leanvibe_lsp.engine.proof import next_token
    from leanvibe_lsp.engine.select import choose_backend, mlx_obstacle

    cancel = CancelToken()
    located = _proven(located, cancel)
    machine = probe_machine()
    obstacle = mlx_obstacle(located, machine)
    backend, steps = choose_backend(located.format, machine, engine_name, mlx_obstacle=obstacle)
    # Both backends on this machine can score.
    engine = cast("ScoringEngine", build_engine(Selection(backend, located, steps), Settings()))
    try:
        loaded = engine.load(cancel)
        verdict = run_selftest(loaded, lambda prompt: next_token(engine, prompt, cancel))
        return Proof(verdict, measure(engine, loaded, cancel, recorded_perplexity(located)))
    finally:
        engine.close()


def convert_model(
    located: Located, target: Path, recipe: Recipe, *, progress: Callable[[WriteProgress], None], cancel: CancelToken
) -> Conversion:
    """Write `located` as a folder for MLX, proven on MLX before and after; see `engine.local.convert.convert`."""
    from leanvibe_lsp.engine.local.convert import convert

    return convert(
        located, target, recipe, prove=lambda model: prove_model(model, "mlx"), progress=progress, cancel=cancel
    )


def stable_prefix(loaded: Loaded) -> tuple[int, ...]:
    """The ids that every question's prompt begins with: what the renderings of two questions have in common."""
    from leanvibe_lsp.assist.prompt import messages
    from leanvibe_lsp.engine.prompts import render

    one, other = (render(loaded, messages(question, (), ())) for question in ("a", "b"))
    common = takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
    return tuple(token for token, _ in common)


def _proven(located: Located, cancel: CancelToken) -> Located:
    """Raises ModelDamaged for a known model's file that is not that model's."""
    from leanvibe_lsp.engine.models.digest import check_digest

    return replace(located, digest=check_digest(located, stamps=models_dir() / "digests.json", cancel=cancel))
