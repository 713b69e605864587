from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.cancel import CancelToken, Deadline
from leanvibe_lsp.engine.base import Chunk, Engine, Event, Finished, GenerationRequest, Loaded, Prefill
from leanvibe_lsp.engine.llama import LlamaEngine
from leanvibe_lsp.engine.local.backend import MlxEngine
from leanvibe_lsp.engine.models.registry import resolve
from leanvibe_lsp.errors import Cancelled, ModelError

pytestmark = pytest.mark.real_model

# Their next tokens are clear: llama.cpp rounds activations to 8 bits, so that a near tie may fall otherwise there.
PROMPTS = (
    "def add(a, b):\n    return a +",
    "import os\nimport sys\n\n\ndef main() -> None:\n    path = os.path.",
    "def fibonacci(n):\n    if n <",
)
TOKENS = 10


class Backend:
    """A loaded engine and the events of its last request."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.loaded: Loaded = engine.load(CancelToken())
        self.events: list[Event] = []

    def ask(self, text: str, cancel: CancelToken | None = None, **options: int) -> Finished:
        """A greedy answer to raw text."""
        self.events = []
        prompt = tuple(self.loaded.tokenizer.encode(text))
        request = GenerationRequest(prompt, max_tokens=options.pop("max_tokens", TOKENS), **options)  # type: ignore[arg-type]
        return self.engine.generate(request, self.events.append, cancel or CancelToken(), Deadline.never())

    @property
    def chunks(self) -> list[Chunk]:
        """The tokens' events."""
        return [event for event in self.events if isinstance(event, Chunk)]


@pytest.fixture(scope="module")
def mlx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """SmolLM2 on MLX."""
    backend = Backend(MlxEngine(resolve("smollm2", cache=tmp_path_factory.mktemp("cache"))))
    yield backend
    backend.engine.close()


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """SmolLM2 on llama.cpp."""
    backend = Backend(LlamaEngine(resolve("smollm2", cache=tmp_path_factory.mktemp("cache"))))
    yield backend
    backend.engine.close()


def test_same_facts(mlx: Backend, llama: Backend) -> None:
    """Both backends say the same of the model, and hold real weights."""
    assert mlx.loaded.window == llama.loaded.window
    assert mlx.loaded.chat_template == llama.loaded.chat_template
    assert min(mlx.loaded.memory_bytes, llama.loaded.memory_bytes) > 90_000_000


@pytest.mark.parametrize("prompt", PROMPTS)
def test_same_greedy_answer(mlx: Backend, llama: Backend, prompt: str) -> None:
    """Both backends say the same first tokens, are as sure of them, and count alike."""
    mine, theirs = mlx.ask(prompt), llama.ask(prompt)
    assert [chunk.token_id for chunk in mlx.chunks][:8] == [chunk.token_id for chunk in llama.chunks][:8]
    assert mlx.chunks[0].logprob == pytest.approx(llama.chunks[0].logprob, abs=0.1)
    assert mine.text[:16] == theirs.text[:16]
    assert mine.usage.prompt_tokens == theirs.usage.prompt_tokens
    assert (mine.usage.completion_tokens, mine.reason) == (theirs.usage.completion_tokens, theirs.reason)


def test_same_alternatives(mlx: Backend, llama: Backend) -> None:
    """What could have been said instead is the same in both: tokens, texts and, above the noise, probabilities."""
    found = []
    for backend in (mlx, llama):
        backend.ask(PROMPTS[1], top_logprobs=5, max_tokens=1)
        top = backend.chunks[0].top
        assert len(top) == 5
        assert [one.logprob for one in top] == sorted((one.logprob for one in top), reverse=True)
        found.append([(one.token_id, one.text, pytest.approx(one.logprob, abs=0.3)) for one in top[:2]])
    assert [one[:2] for one in found[0]] == [one[:2] for one in found[1]]
    assert [one[2].expected for one in found[0]] == [one[2] for one in found[1]]


def test_same_stop_string(mlx: Backend, llama: Backend) -> None:
    """A stop string across tokens ends both answers at the same place."""
    whole = mlx.ask(PROMPTS[0], max_tokens=16).text
    stop = whole[3:9]
    answers = []
    for backend in (mlx, llama):
        prompt = tuple(backend.loaded.tokenizer.encode(PROMPTS[0]))
        request = GenerationRequest(prompt, max_tokens=16, stop=(stop,))
        answers.append(backend.engine.generate(request, backend.events.append, CancelToken(), Deadline.never()))
    assert answers[0].text == answers[1].text == whole[: whole.index(stop)]


@pytest.mark.parametrize("name", ["mlx", "llama"])
def test_prefix_is_reused(name: str, request: pytest.FixtureRequest) -> None:
    """The second question about the same code computes only what is new, and says so."""
    backend: Backend = request.getfixturevalue(name)
    code = "x = 1\n" * 60
    backend.ask(code + "y = 2", max_tokens=1)
    usage = backend.ask(code + "z = 3", max_tokens=1).usage
    assert usage.prompt_tokens - 8 <= usage.cached_tokens < usage.prompt_tokens


def test_cancel_in_the_prefill(mlx: Backend) -> None:
    """A cancel during a long prompt is heard at the next chunk; the same prompt then goes on where it stopped."""
    cancel = CancelToken()
    cancel_at = 256
    seen: list[Prefill] = []

    def sink(event: Event) -> None:
        assert isinstance(event, Prefill)
        seen.append(event)
        if event.done >= cancel_at:
            cancel.cancel()

    prompt = tuple(mlx.loaded.tokenizer.encode("import random\n" * 300))
    with pytest.raises(Cancelled):
        mlx.engine.generate(GenerationRequest(prompt, max_tokens=1), sink, cancel, Deadline.never())
    done = seen[-1].done
    assert cancel_at <= done < cancel_at + limit("engine.prefill_chunk"), "an earlier test may have left a beginning"
    short = GenerationRequest(prompt[: done + 9], max_tokens=1)
    assert mlx.engine.generate(short, seen.append, CancelToken(), Deadline.never()).usage.cached_tokens == done


def test_other_threads_run_meanwhile(mlx: Backend) -> None:
    """The event loop is not held up: another thread gets the interpreter while MLX computes one chunk."""
    done = threading.Event()
    ticks = 0

    def tick() -> None:
        nonlocal ticks
        while not done.wait(0.001):
            ticks += 1

    thread = threading.Thread(target=tick)
    thread.start()
    at: list[int] = []
    prompt = tuple(mlx.loaded.tokenizer.encode("lambda: None\n" * 60))
    mlx.engine.generate(
        GenerationRequest(prompt, max_tokens=1), lambda _event: at.append(ticks), CancelToken(), Deadline.never()
    )
    done.set()
    thread.join()
    assert at[1] - at[0] > 5


def test_damaged_path_is_named(tmp_path: Path) -> None:
    """A model cut short is refused by both with an error that says so, before any C++ reads it."""
    whole = resolve("smollm2", cache=tmp_path)
    cut = tmp_path / "cut.gguf"
    with whole.path.open("rb") as file:
        cut.write_bytes(file.read(30_000_000))
    for build in (MlxEngine, LlamaEngine):
        with pytest.raises(ModelError, match="cut short"):
            build(replace(whole, path=cut)).load(CancelToken())
