"""`LlamaEngine`: loading, asking, pausing and closing."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.cancel import CancelToken, Deadline
from leanvibe_lsp.engine.base import (
    NO_PAUSE,
    Finished,
    GenerationRequest,
    Job,
    Loaded,
    Pause,
    Sink,
)
from leanvibe_lsp.engine.llama.estimate import compute_bytes, kv_token_bytes, model_window, weight_bytes
from leanvibe_lsp.engine.llama.grammar import grammar_of
from leanvibe_lsp.engine.llama.lanes import Lanes
from leanvibe_lsp.engine.llama.parameters import completion, server_parameters, slot_count
from leanvibe_lsp.engine.llama.run import Run
from leanvibe_lsp.engine.llama.score import token_logprobs
from leanvibe_lsp.engine.llama.slots import Slots
from leanvibe_lsp.engine.models.gguf import GgufFile, read_gguf
from leanvibe_lsp.engine.models.registry import Located
from leanvibe_lsp.engine.models.shapes_gguf import check_gguf
from leanvibe_lsp.engine.models.tensor import Problem
from leanvibe_lsp.engine.models.tokenizer import load_tokenizer
from leanvibe_lsp.errors import BackendError, Cancelled, EngineError, ModelDamaged


class LlamaEngine:
    """One GGUF file on llama.cpp. See `engine.base.BatchEngine` for the contract."""

    backend = "llama.cpp"

    def __init__(self, located: Located) -> None:
        self._located = located
        self._server: Any = None
        self._slots = Slots(slot_count(), limit("engine.window"))
        self._token_bytes = 0
        self._socket_folder: str | None = None
        self._stop_ids: frozenset[int] = frozenset()
        self._closed = False

    def load(self, cancel: CancelToken) -> Loaded:
        """Read the weights; the file's structure is checked before C++ sees it.

        Raises ModelDamaged, BackendError, and EngineError where memory is short.
        """
        _spin_shortly()
        xllamacpp = _library()
        gguf = read_gguf(self._located.path)
        files = load_tokenizer(self._located)
        self._check(gguf)
        cancel.check()
        window = model_window(gguf)
        needed = weight_bytes(gguf) + kv_token_bytes(gguf) * window
        self._closed = False
        self._server = self._open(xllamacpp, window, needed + compute_bytes(gguf, window))
        self._slots = Slots(slot_count(), window)
        self._token_bytes = kv_token_bytes(gguf)
        self._stop_ids = files.stop_ids
        return Loaded(
            window=window,
            memory_bytes=needed,
            device=_device(xllamacpp),
            tokenizer=files.tokenizer,
            chat_template=files.chat_template,
            special_text=files.special_text,
            add_bos=files.add_bos,
        )

    def _check(self, gguf: GgufFile) -> None:
        problems, _ = check_gguf(gguf)
        layers = gguf.number(f"{gguf.text('general.architecture')}.block_count") or 0
        if layers > limit("engine.layers"):
            problems.append(Problem("block_count", f"at most {limit('engine.layers')} layers", str(layers)))
        if problems:  # llama.cpp ends the whole process for some of these
            raise ModelDamaged(
                f"The tensors of {self._located.path} do not fit its metadata: {problems[0]}.",
                next_step=f"Run `leanvibe models verify {self._located.name}`.",
            )

    def _open(self, xllamacpp: Any, window: int, needed: int) -> Any:
        socket = None
        if sys.platform != "win32":
            self._socket_folder = tempfile.mkdtemp(prefix="leanvibe-", dir=_short_folder())  # mode 0700
            socket = f"{self._socket_folder}/llama.sock"
        try:
            server = xllamacpp.Server(server_parameters(xllamacpp, self._located.path, window, socket))
        except (RuntimeError, MemoryError) as error:
            raise self._refused(error, needed) from error
        finally:
            self._remove_socket()  # nobody ever connects to it
        # Its destructor waits for ever when its loop has not begun to turn; one answer proves that it did.
        server.handle_completions({"prompt": [0], "n_predict": 1, "cache_prompt": False})
        return server

    def _refused(self, error: Exception, needed: int) -> EngineError | ModelDamaged:
        """llama.cpp does not say why it cannot load a file; too little memory is known from the numbers."""
        import psutil

        available = psutil.virtual_memory().available
        if needed > available:
            return EngineError(
                f"llama.cpp could not load {self._located.path}: it needs about {needed >> 20:,} MiB of memory, and "
                f"{available >> 20:,} MiB are available.",
                next_step="Choose a smaller model (`leanvibe models list`), or close other programs.",
            )
        return ModelDamaged(
            f"llama.cpp could not load {self._located.path}: {error}",
            next_step=f"Run `leanvibe models verify {self._located.name}`.",
        )

    def generate(
        self,
        request: GenerationRequest,
        sink: Sink,
        cancel: CancelToken,
        deadline: Deadline,
        pause: Pause = NO_PAUSE,
    ) -> Finished:
        """Generate; the callback stops llama.cpp at the next token or prefill chunk. See `engine.base.Engine`."""
        self._loaded()
        cancel.check()
        deadline.check()
        slot = self._slots.take(request.prompt, request.max_tokens, cancel, deadline)
        return self._generate(request, slot, sink, cancel, deadline, pause)

    @property
    def lanes(self) -> int:
        """See `engine.base.BatchEngine`."""
        return limit("engine.lanes")

    def generate_batch(self, take: Callable[[int], Sequence[Job]], pause: Pause = NO_PAUSE) -> None:
        """See `engine.base.BatchEngine`. Sinks are called on the engine's thread."""
        self._loaded()
        Lanes(
            self.lanes,
            self._place,
            lambda job, slot, sink, cancel, own: self._generate(job.request, slot, sink, cancel, job.deadline, own),
            take,
            pause,
        ).run()

    def _place(self, job: Job, wait: bool) -> int | None:
        prompt, tokens = job.request.prompt, job.request.max_tokens
        if wait:
            return self._slots.take(prompt, tokens, job.cancel, job.deadline)
        return self._slots.try_take(prompt, tokens)

    def _generate(
        self,
        request: GenerationRequest,
        slot: int,
        sink: Sink,
        cancel: CancelToken,
        deadline: Deadline,
        pause: Pause,
    ) -> Finished:
        """On a slot that was taken for it, which it leaves whatever happens."""
        run = Run(request, sink, lambda: cancel.cancelled or deadline.passed or self._closed, self._stop_ids, pause)
        try:
            grammar = grammar_of(request.structure) if request.structure is not None else ""
            self._ask(run, completion(request, slot=slot, grammar=grammar))
        finally:
            self._slots.leave(slot, run.seen, resting=run.paused)
        while run.paused:
            pause.run()
            left = request.max_tokens - len(run.made)
            slot = self._slots.take((*request.prompt, *run.made), left, cancel, deadline, own=slot)
            try:
                self._ask(run, completion(request, made=run.made, slot=slot))
            finally:
                self._slots.leave(slot, run.seen, resting=run.paused)
        if run.failure is not None:
            raise run.failure
        cancel.check()
        if self._closed:
            raise Cancelled("The engine is closing.")
        if not run.complete:
            deadline.check()
            raise EngineError("llama.cpp ended the answer without saying why.", next_step="Ask again.")
        return run.finished()

    def _ask(self, run: Run, asked: dict[str, Any]) -> None:
        run.begin()
        self._loaded().handle_completions(asked, run.on_event)

    def warm(self, prompt: tuple[int, ...], cancel: CancelToken, pause: Pause = NO_PAUSE) -> None:
        """See `engine.base.Engine`."""
        request = GenerationRequest(prompt, max_tokens=1)
        self.generate(request, lambda _: None, cancel, Deadline.never(), pause)

    @property
    def cache_bytes(self) -> int:
        """What the slots hold. How much llama.cpp keeps beside them (`engine.prompt_cache_mib`) it does not say."""
        return self._slots.held_tokens * self._token_bytes

    def score(self, ids: Sequence[int], cancel: CancelToken) -> list[float]:
        """See `engine.models.perplexity.ScoringEngine`."""
        return token_logprobs(self._loaded().handle_completions, ids, cancel)

    def close(self) -> None:
        """Free the weights and the socket. What runs is cancelled, and the last to end takes the weights along."""
        self._closed = True
        self._slots.close()
        self._server = None
        self._remove_socket()

    def _loaded(self) -> Any:
        if self._server is None:
            raise EngineError("The model is not loaded.")
        return self._server

    def _remove_socket(self) -> None:
        if self._socket_folder is not None:
            shutil.rmtree(self._socket_folder, ignore_errors=True)
            self._socket_folder = None


def _short_folder() -> str | None:
    """None for the usual folder of temporary files; "/tmp" when its path leaves no room in a socket's 104 bytes."""
    return "/tmp" if len(os.fsencode(tempfile.gettempdir())) > 70 else None


def _spin_shortly() -> None:
    """Let idle threads of llama.cpp sleep soon; OpenMP reads it once, when llama.cpp is loaded.

    By default they spin for milliseconds, which costs much of the speed on a machine that also compiles or runs tests.
    On 2 cores, SmolLM2 beside three busy processes: 58 -> 107 prompt tokens and 10 -> 20 new tokens a second; on the
    quiet machine 341 -> 343 and 109 -> 112.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "5000")


def _library() -> Any:
    """llama.cpp. Raises BackendError where it is not installed, or is and cannot be imported."""
    try:
        import xllamacpp
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and error.name == "xllamacpp":
            raise BackendError("llama.cpp is not installed here.", next_step="Run `pip install xllamacpp`.") from error
        raise BackendError(
            f"llama.cpp is installed here, but cannot be used: {type(error).__name__}: {error}.",
            next_step="Run `pip install --force-reinstall xllamacpp`.",
        ) from error
    return xllamacpp


def _device(xllamacpp: Any) -> str:
    kinds = [str(device["type"]) for device in xllamacpp.get_device_info()]
    return "gpu" if any("GPU" in kind and "CPU" not in kind for kind in kinds) else "cpu"
