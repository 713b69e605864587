"""GGUF models on llama.cpp, in this process, through xllamacpp.

xllamacpp wraps llama.cpp's server, which always opens an HTTP listener. Nothing here speaks to it, so it gets a Unix
socket in a folder only this user can enter and a key nobody knows (on Windows: a loopback port and that key). Prompts
go in as token ids: llama.cpp's own tokenizer and templates are not used.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.cancel import CancelToken, Deadline
from leanvibe_lsp.engine.base import (
    NO_PAUSE,
    Alternative,
    Chunk,
    Finished,
    FinishReason,
    GenerationRequest,
    Loaded,
    Pause,
    Prefill,
    Sink,
    Timing,
    Usage,
)
from leanvibe_lsp.engine.models.gguf import GgufFile, read_gguf
from leanvibe_lsp.engine.models.registry import Located
from leanvibe_lsp.engine.models.shapes_gguf import check_gguf
from leanvibe_lsp.engine.models.tensor import Problem
from leanvibe_lsp.engine.models.tokenizer import load_tokenizer
from leanvibe_lsp.engine.streaming import TextAssembler
from leanvibe_lsp.errors import BackendError, EngineError, ModelDamaged


class LlamaEngine:
    """One GGUF file on llama.cpp. See `engine.base.Engine` for the contract."""

    backend = "llama.cpp"

    def __init__(self, located: Located) -> None:
        self._located = located
        self._server: Any = None
        self._socket_folder: str | None = None
        self._stop_ids: frozenset[int] = frozenset()

    def load(self, cancel: CancelToken) -> Loaded:
        """Read the weights; the file's structure is checked before C++ sees it. Raises ModelDamaged, BackendError."""
        _spin_shortly()
        try:
            import xllamacpp
        except ImportError as error:
            raise BackendError("llama.cpp is not installed here.", next_step="Run `pip install xllamacpp`.") from error
        gguf = read_gguf(self._located.path)
        files = load_tokenizer(self._located)
        problems, _ = check_gguf(gguf)
        layers = gguf.number(f"{gguf.text('general.architecture')}.block_count") or 0
        if layers > limit("engine.layers"):
            problems.append(Problem("block_count", f"at most {limit('engine.layers')} layers", str(layers)))
        if problems:  # llama.cpp ends the whole process for some of these
            raise ModelDamaged(
                f"The tensors of {self._located.path} do not fit its metadata: {problems[0]}.",
                next_step=f"Run `leanvibe models verify {self._located.name}`.",
            )
        cancel.check()
        trained = gguf.number(f"{gguf.text('general.architecture')}.context_length") or limit("engine.window")
        window = min(trained, limit("engine.window"))
        try:
            self._server = xllamacpp.Server(self._parameters(xllamacpp, window))
        except RuntimeError as error:
            self.close()
            raise ModelDamaged(
                f"llama.cpp could not load {self._located.path}: {error}",
                next_step=f"Run `leanvibe models verify {self._located.name}`.",
            ) from error
        self._remove_socket()  # nobody ever connects to it
        # Its destructor waits for ever when its loop has not begun to turn; one answer proves that it did.
        self._server.handle_completions({"prompt": [0], "n_predict": 1, "cache_prompt": False})
        self._stop_ids = files.stop_ids
        cache_bytes = _kv_cache_bytes(gguf, window)
        return Loaded(
            window=window,
            memory_bytes=sum(tensor.nbytes for tensor in gguf.tensors.values()) + cache_bytes,
            device=_device(xllamacpp),
            tokenizer=files.tokenizer,
            chat_template=files.chat_template,
            special_text=files.special_text,
            add_bos=files.add_bos,
        )

    def _parameters(self, xllamacpp: Any, window: int) -> Any:
        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(self._located.path)
        parameters.n_ctx = window
        parameters.n_parallel = 1
        parameters.n_batch = parameters.n_ubatch = limit("engine.prefill_chunk")
        parameters.cache_ram_mib = limit("engine.prompt_cache_mib")
        parameters.warmup = False
        parameters.verbosity = -1
        parameters.ui = False
        parameters.endpoint_slots = parameters.endpoint_props = parameters.endpoint_metrics = False
        parameters.api_keys = [secrets.token_hex(32)]
        if sys.platform != "win32":
            self._socket_folder = tempfile.mkdtemp(prefix="leanvibe-", dir=_short_folder())  # mode 0700
            parameters.hostnames = [f"{self._socket_folder}/llama.sock"]
        return parameters

    def generate(
        self,
        request: GenerationRequest,
        sink: Sink,
        cancel: CancelToken,
        deadline: Deadline,
        pause: Pause = NO_PAUSE,
    ) -> Finished:
        """Generate; the callback stops llama.cpp at the next token or prefill chunk. See `engine.base.Engine`."""
        if self._server is None:
            raise EngineError("The model is not loaded.")
        cancel.check()
        deadline.check()
        run = _Run(request, sink, lambda: cancel.cancelled or deadline.passed, self._stop_ids)
        self._server.handle_completions(_parameters_of(request), run.on_event)
        if run.failure is not None:
            raise run.failure
        cancel.check()
        if not run.complete:
            deadline.check()
            raise EngineError("llama.cpp ended the answer without saying why.", next_step="Ask again.")
        return run.finished()

    def close(self) -> None:
        """Free the weights and the socket."""
        self._server = None
        self._remove_socket()

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


def _parameters_of(request: GenerationRequest) -> dict[str, Any]:
    return {
        "prompt": list(request.prompt),
        "n_predict": request.max_tokens,
        "temperature": request.temperature,
        "seed": request.seed,
        # Ours is the whole of the sampling: no penalties, no truncation that a caller did not ask for.
        "samplers": ["temperature"] if request.temperature > 0 else ["top_k"],
        "top_k": 1,
        "n_probs": max(1, request.top_logprobs),
        "stream": True,
        "cache_prompt": True,
        "return_progress": True,
    }


class _Run:
    """One generation: turns llama.cpp's events into ours. `on_event` must never raise: C++ calls it."""

    def __init__(
        self, request: GenerationRequest, sink: Sink, stopped: Callable[[], bool], stop_ids: frozenset[int]
    ) -> None:
        self._request = request
        self._sink = sink
        self._stopped = stopped
        self._stop_ids = stop_ids
        self._assembler = TextAssembler(request.stop, stop_loops=request.stop_loops)
        self._texts: list[str] = []
        self._tokens = 0
        self._cached = 0
        self._begin = time.monotonic()
        self._first: float | None = None
        self._reason = FinishReason.LENGTH
        self.complete = False
        self.failure: BaseException | None = None

    def on_event(self, event: dict[str, Any]) -> bool:
        """Take one event; True stops llama.cpp."""
        try:
            return self._take(event)
        except BaseException as error:  # noqa: BLE001 - raised again by `generate`, in Python
            self.failure = error
            return True

    def _take(self, event: dict[str, Any]) -> bool:
        if "error" in event:
            raise EngineError(f"llama.cpp refused: {event['error'].get('message', 'no reason given')}.")
        if self._stopped():
            return True
        progress = event.get("prompt_progress")
        if progress is not None:
            self._cached = int(progress["cache"])
            self._sink(Prefill(done=int(progress["processed"]), total=int(progress["total"]), cached=self._cached))
            return False
        choice = event["choices"][0]
        for entry in (choice["logprobs"] or {"content": ()})["content"]:
            self._token(entry)
        if choice["finish_reason"] is not None:
            self._end(event, str(choice["finish_reason"]))
        if self._assembler.stopped or self._assembler.looping:
            self._reason = FinishReason.STOP if self._assembler.stopped else FinishReason.LOOP
            self.complete = True
        return self.complete

    def _token(self, entry: dict[str, Any]) -> None:
        if self._first is None:
            self._first = time.monotonic()
        self._tokens += 1
        is_stop = int(entry["id"]) in self._stop_ids
        text = "" if is_stop else self._assembler.push(bytes(entry["bytes"]))
        self._emit(text, entry)

    def _emit(self, text: str, entry: dict[str, Any]) -> None:
        self._texts.append(text)
        wanted = entry["top_logprobs"][: self._request.top_logprobs]
        top = tuple(Alternative(int(a["id"]), str(a["token"]), _logprob(a["logprob"])) for a in wanted)
        self._sink(Chunk(text, int(entry["id"]), _logprob(entry["logprob"]), top))

    def _end(self, event: dict[str, Any], reason: str) -> None:
        self.complete = True
        self._reason = FinishReason.STOP if reason == "stop" else FinishReason.LENGTH
        usage = event.get("usage")
        if usage is not None:
            self._tokens = int(usage["completion_tokens"])
            self._cached = int(usage["prompt_tokens_details"]["cached_tokens"])

    def finished(self) -> Finished:
        """The end, once `complete`; text still held back (half a stop string) belongs to the answer."""
        self._texts.append(self._assembler.finish())
        end = time.monotonic()
        first = self._first if self._first is not None else end
        return Finished(
            text="".join(self._texts),
            reason=self._reason,
            usage=Usage(len(self._request.prompt), self._cached, self._tokens),
            timing=Timing(prefill_seconds=first - self._begin, decode_seconds=end - first),
        )


def _logprob(value: float | None) -> float:
    """llama.cpp's JSON has null where damaged weights gave NaN: that is no probability at all."""
    return float("-inf") if value is None else float(value)


def _kv_cache_bytes(gguf: GgufFile, window: int) -> int:
    """Size of an f16 key/value cache for `window` tokens: 2 (k, v) x layers x kv heads x head size x 2 bytes.

    0 when the file does not say, or says it layer by layer: it is a figure for a person, not a reason to fail.
    """
    prefix = gguf.text("general.architecture")
    heads = gguf.number(f"{prefix}.attention.head_count")
    kv_heads = gguf.number(f"{prefix}.attention.head_count_kv") or heads
    layers, width = gguf.number(f"{prefix}.block_count"), gguf.number(f"{prefix}.embedding_length")
    if not (heads and kv_heads and layers and width):
        return 0
    return 2 * layers * kv_heads * (width // heads) * 2 * window


def _device(xllamacpp: Any) -> str:
    kinds = [str(device["type"]) for device in xllamacpp.get_device_info()]
    return "gpu" if any("GPU" in kind and "CPU" not in kind for kind in kinds) else "cpu"
