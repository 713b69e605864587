"""One generation of ours as figures, and prompts of real code that were never seen before."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from leanvibe_lsp.config.settings import Settings
from leanvibe_lsp.core.cancel import CancelToken, Deadline
from leanvibe_lsp.engine.base import Chunk, Engine, Event, GenerationRequest, Loaded, Usage
from leanvibe_lsp.engine.models.registry import resolve
from leanvibe_lsp.engine.select import Selection
from leanvibe_lsp.errors import Cancelled
from leanvibe_lsp.services import build_engine

_PACKAGE = Path(__file__).parents[2] / "leanvibe_lsp"


@dataclass(frozen=True, slots=True)
class Run:
    """Seconds to the first token, tokens a second after it, token ids; `usage` of ours alone."""

    first_seconds: float
    tokens_per_second: float
    tokens: tuple[int, ...]
    usage: Usage | None = None


@contextmanager
def open_engine(backend: str) -> Iterator[tuple[Engine, Loaded]]:
    """SmolLM2 on one of our backends."""
    located = resolve("smollm2", cache=Path("/nonexistent"))
    engine = build_engine(Selection(backend, located, ()), Settings())
    try:
        yield engine, engine.load(CancelToken())
    finally:
        engine.close()


def run(engine: Engine, request: GenerationRequest) -> Run:
    """Generate, and look at the clock."""
    stamps: list[float] = []
    tokens: list[int] = []

    def sink(event: Event) -> None:
        if isinstance(event, Chunk):
            stamps.append(time.perf_counter())
            tokens.append(event.token_id)

    begin = time.perf_counter()
    finished = engine.generate(request, sink, CancelToken(), Deadline.never())
    speed = (len(stamps) - 1) / (stamps[-1] - stamps[0]) if len(stamps) > 1 else 0.0
    return Run(stamps[0] - begin, speed, tuple(tokens), finished.usage)


def code_prompts(loaded: Loaded, length: int) -> Iterator[tuple[int, ...]]:
    """Prompts of exactly `length` tokens: this package's own code, each with another beginning."""
    tokenizer = loaded.tokenizer
    assert tokenizer is not None
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted(_PACKAGE.rglob("*.py"))[:60])
    ids = tokenizer.encode(text[: 8 * max(length, 4096)])
    assert len(ids) > length + 100, "more code is needed"
    for number in itertools.count():
        head = tokenizer.encode(f"# round {number} {time.time_ns()}\n")
        offset = 97 * number % 100
        yield tuple((head + ids[offset:])[:length])


def cancel_latency(engine: Engine, request: GenerationRequest, after: float) -> float | None:
    """Seconds from the cancel, `after` seconds into the work, to the return; None when it ended before."""
    cancel = CancelToken()
    at: list[float] = []

    def pull() -> None:
        at.append(time.perf_counter())
        cancel.cancel()

    timer = threading.Timer(after, pull)
    timer.start()
    try:
        engine.generate(request, lambda _: None, cancel, Deadline.never())
    except Cancelled:
        return time.perf_counter() - at[0]
    finally:
        timer.join()
    return None
