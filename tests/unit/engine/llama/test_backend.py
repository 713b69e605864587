"""What `LlamaEngine` makes of llama.cpp's events. The library itself is run by tests/e2e with a real model."""

from __future__ import annotations

import stat
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from leanvibe_lsp.core.cancel import CancelToken, Deadline
from leanvibe_lsp.engine.base import Chunk, Event, FinishReason, GenerationRequest, Prefill
from leanvibe_lsp.engine.llama import LlamaEngine
from leanvibe_lsp.engine.llama import backend as module
from leanvibe_lsp.engine.llama.estimate import kv_token_bytes
from leanvibe_lsp.engine.llama.parameters import completion
from leanvibe_lsp.engine.mock import CharacterTokenizer
from leanvibe_lsp.engine.models.gguf import GgufFile
from leanvibe_lsp.engine.models.tensor import Problem, TensorInfo
from leanvibe_lsp.engine.models.vocabulary import TokenizerFiles
from leanvibe_lsp.errors import BackendError, Cancelled, DeadlineExceeded, EngineError, ModelDamaged
from tests.support.engines import located

_REQUEST = GenerationRequest((1, 2, 3), max_tokens=8, top_logprobs=1)
_METADATA: dict[str, Any] = {
    "general.architecture": "llama",
    "llama.context_length": 2_048,
    "llama.attention.head_count": 8,
    "llama.attention.head_count_kv": 2,
    "llama.block_count": 3,
    "llama.embedding_length": 64,
}


def gguf(**changes: Any) -> GgufFile:
    metadata = {key: value for key, value in {**_METADATA, **changes}.items() if value is not None}
    return GgufFile(3, metadata, {"w": TensorInfo("F32", (2, 2), 0, 16)}, 0, 32)


def token(text: str, identity: int, number: int = 1, logprob: float = -0.5) -> dict[str, Any]:
    alternatives = [{"id": identity, "token": text, "logprob": logprob}, {"id": 99, "token": "zz", "logprob": -5.0}]
    entry = {"id": identity, "bytes": list(text.encode()), "logprob": logprob, "top_logprobs": alternatives}
    choice = {"logprobs": {"content": [entry]}, "finish_reason": None}
    return {"choices": [choice], "timings": {"predicted_n": number}}


def end(reason: str, completion: int = 2) -> dict[str, Any]:
    return {"choices": [{"logprobs": None, "finish_reason": reason}], "timings": {"predicted_n": completion}}


def prefill(done: int) -> dict[str, Any]:
    return {"prompt_progress": {"processed": done, "total": 3, "cache": 1}, "choices": []}


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> LlamaEngine:
    """An engine whose library is planted: `fake.events` is what the server says."""
    made: list[Any] = []

    class Server:
        def __init__(self, parameters: Any) -> None:
            if fake.fails:
                raise RuntimeError("bad magic")
            self.parameters = parameters
            self.folder = Path(parameters.hostnames[0]).parent
            self.folder_mode = stat.S_IMODE(self.folder.stat().st_mode)
            made.append(self)

        def handle_completions(
            self, parameters: dict[str, Any], callback: Callable[[dict[str, Any]], bool] | None = None
        ) -> None:
            self.asked = parameters
            if callback is None:  # the one answer that proves that the loop turns
                return
            for event in fake.events:
                if callback(event):
                    return

    fake = SimpleNamespace(
        Server=Server,
        CommonParams=lambda: SimpleNamespace(model=SimpleNamespace()),
        llama_load_mode=SimpleNamespace(LLAMA_LOAD_MODE_NONE=0),
        get_device_info=lambda: [{"type": "GGML_BACKEND_DEVICE_TYPE_CPU"}],
        events=[],
        fails=False,
        available=1 << 40,
        problems=[],
        made=made,
    )
    monkeypatch.setitem(sys.modules, "xllamacpp", fake)
    monkeypatch.setattr(module, "read_gguf", lambda _: gguf())
    monkeypatch.setattr(module, "check_gguf", lambda _: (fake.problems, []))
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=fake.available))
    files = TokenizerFiles(CharacterTokenizer(), "template", {"eos_token": "</s>"}, True, frozenset({7}))
    monkeypatch.setattr(module, "load_tokenizer", lambda _: files)
    found = LlamaEngine(located())
    found.fake = fake  # type: ignore[attr-defined]
    return found


def play(
    engine: Any,
    *events: dict[str, Any],
    request: GenerationRequest = _REQUEST,
    cancel: CancelToken | None = None,
    sink: Callable[[Event], Any] | None = None,
) -> tuple[Any, list[Event]]:
    heard: list[Event] = []
    engine.fake.events = events
    engine.load(CancelToken())
    finished = engine.generate(request, sink or heard.append, cancel or CancelToken(), Deadline.never())
    return finished, heard


def test_load_gives_the_facts(engine: LlamaEngine) -> None:
    """Window, memory and tokenizer come from the file; the socket's folder is the user's alone, and gone at once."""
    loaded = engine.load(CancelToken())
    assert loaded.window == 2_048
    assert loaded.memory_bytes == 16 + 2 * 3 * 2 * 8 * 2 * 2_048
    assert loaded.device == "cpu"
    assert loaded.add_bos
    server = engine.fake.made[0]  # type: ignore[attr-defined]
    assert (server.folder_mode, server.folder.exists()) == (0o700, False)
    assert len(server.parameters.api_keys[0]) == 64
    assert server.parameters.load_mode == 0  # read, not mapped
    engine.close()
    engine.close()
    with pytest.raises(EngineError, match="not loaded"):
        engine.generate(_REQUEST, lambda _: None, CancelToken(), Deadline.never())


def test_a_missing_library_is_a_backend_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without xllamacpp the error says what to install."""
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(BackendError) as caught:
        LlamaEngine(located()).load(CancelToken())
    assert caught.value.next_step == "Run `pip install xllamacpp`."


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import no_such_part", "ModuleNotFoundError: No module named 'no_such_part'"),
        ("raise ImportError('libstdc++.so.6: wrong version')", "ImportError: libstdc++.so.6: wrong version"),
        ("raise RuntimeError('this CPU is too old')", "RuntimeError: this CPU is too old"),
        ("raise SystemExit('go away')", "SystemExit: go away"),
    ],
)
def test_a_library_that_is_there_and_broken_is_not_called_absent(
    engine: LlamaEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, source: str, said: str
) -> None:
    """Whatever its import raises is the cause that a person reads."""
    (tmp_path / "xllamacpp.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "xllamacpp", raising=False)
    with pytest.raises(BackendError) as caught:
        engine.load(CancelToken())
    assert caught.value.message == f"llama.cpp is installed here, but cannot be used: {said}."
    assert caught.value.next_step == "Run `pip install --force-reinstall xllamacpp`."


def test_weights_that_llama_cpp_refuses(engine: LlamaEngine) -> None:
    """Its RuntimeError becomes ModelDamaged with the reason; nothing is left behind."""
    engine.fake.fails = True  # type: ignore[attr-defined]
    with pytest.raises(ModelDamaged, match="bad magic") as caught:
        engine.load(CancelToken())
    assert "models verify planted" in caught.value.next_step
    assert engine._socket_folder is None


def test_too_little_memory(engine: LlamaEngine) -> None:
    """Where llama.cpp fails and the memory is short, the error gives the numbers and does not blame the file."""
    engine.fake.fails = True  # type: ignore[attr-defined]
    engine.fake.available = 0  # type: ignore[attr-defined]
    with pytest.raises(EngineError, match=r"needs about .* MiB of memory, and 0 MiB are available"):
        engine.load(CancelToken())


def test_tensors_that_do_not_fit_never_reach_llama_cpp(engine: LlamaEngine) -> None:
    """llama.cpp ends the process for some damaged files; what our own check finds is refused before it."""
    engine.fake.problems = [Problem("llama.block_count", "at most 3", "600")]  # type: ignore[attr-defined]
    with pytest.raises(ModelDamaged, match=r"llama.block_count: expected at most 3, found 600"):
        engine.load(CancelToken())
    assert engine.fake.made == []  # type: ignore[attr-defined]


def test_more_layers_than_llama_cpp_takes(engine: LlamaEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of 513 layers is refused by name; llama.cpp would end the process."""
    monkeypatch.setattr(module, "read_gguf", lambda _: gguf(**{"llama.block_count": 513}))
    with pytest.raises(ModelDamaged, match="at most 512 layers, found 513"):
        engine.load(CancelToken())


def test_events_become_chunks(engine: LlamaEngine) -> None:
    """Prefill, tokens and usage arrive in our words; alternatives are cut to what was asked."""
    finished, heard = play(engine, prefill(2), token("He", 1), token("y", 2, 2), end("stop"))
    assert heard[0] == Prefill(2, 3, 1)
    chunks = [event for event in heard if isinstance(event, Chunk)]
    assert [chunk.text for chunk in chunks] == ["He", "y"]
    assert [len(chunk.top) for chunk in chunks] == [1, 1]
    assert finished.text == "Hey"
    assert finished.reason is FinishReason.STOP
    assert (finished.usage.prompt_tokens, finished.usage.cached_tokens, finished.usage.completion_tokens) == (3, 1, 2)


def test_the_limit_is_length(engine: LlamaEngine) -> None:
    """Any other end than "stop" is the limit."""
    assert play(engine, token("a", 1), end("length"))[0].reason is FinishReason.LENGTH


def test_a_stop_token_has_no_text(engine: LlamaEngine) -> None:
    """The token that ends a turn is a chunk without text."""
    finished, heard = play(engine, token("a", 1), token("</s>", 7), end("stop"))
    assert finished.text == "a"
    assert [event.text for event in heard if isinstance(event, Chunk)] == ["a", ""]


def test_a_stop_string_ends_the_answer(engine: LlamaEngine) -> None:
    """A stop string stops llama.cpp and does not come out; half of one that never came belongs to the answer."""
    request = GenerationRequest((1,), max_tokens=8, stop=("END",))
    finished, _ = play(engine, token("a", 1), token("EN", 2), token("D and", 3), token("never", 4), request=request)
    assert finished.text == "a"
    assert finished.reason is FinishReason.STOP
    held, heard = play(engine, token("a", 1), token("EN", 2), end("length"), request=request)
    assert held.text == "aEN"
    assert "".join(event.text for event in heard if isinstance(event, Chunk)) == "a"


def test_half_characters_wait(engine: LlamaEngine) -> None:
    """Bytes of one character in two tokens: one text."""
    first, second = token("x", 1), token("x", 2)
    data = "é".encode()
    first["choices"][0]["logprobs"]["content"][0]["bytes"] = [data[0]]
    second["choices"][0]["logprobs"]["content"][0]["bytes"] = [data[1]]
    finished, heard = play(engine, first, second, end("stop"))
    assert finished.text == "é"
    assert [event.text for event in heard if isinstance(event, Chunk)] == ["", "é"]


def test_a_cancel_stops_at_the_next_event(engine: LlamaEngine) -> None:
    """After the token is pulled, the next callback stops llama.cpp, in the prefill as among the tokens."""
    pulled = CancelToken()
    heard: list[Event] = []

    def sink(event: Event) -> None:
        heard.append(event)
        pulled.cancel("enough")

    with pytest.raises(Cancelled):
        play(engine, prefill(1), prefill(2), token("a", 1), end("stop"), cancel=pulled, sink=sink)
    assert len(heard) == 1


def test_a_passed_deadline(engine: LlamaEngine) -> None:
    """Time that is up is DeadlineExceeded, before anything is asked."""
    engine.load(CancelToken())
    with pytest.raises(DeadlineExceeded):
        engine.generate(_REQUEST, lambda _: None, CancelToken(), Deadline.after(0))


def test_a_sink_that_fails_stops_the_engine(engine: LlamaEngine) -> None:
    """An exception never passes through C++: it is raised again afterwards, as it was."""

    def sink(event: Event) -> None:
        raise BrokenPipeError("gone")

    with pytest.raises(BrokenPipeError):
        play(engine, token("a", 1), token("b", 2), sink=sink)


def test_errors_of_the_server(engine: LlamaEngine) -> None:
    """An error event, and an end without a word, are EngineErrors."""
    with pytest.raises(EngineError, match="too long"):
        play(engine, {"error": {"message": "prompt too long"}})
    with pytest.raises(EngineError, match="without saying why"):
        play(engine, token("a", 1))


def test_greedy_and_sampled() -> None:
    """Temperature 0 takes the best token; otherwise temperature is the only sampler."""
    greedy = completion(_REQUEST)
    assert (greedy["samplers"], greedy["top_k"], greedy["prompt"]) == (["top_k"], 1, [1, 2, 3])
    warm = completion(GenerationRequest((1,), max_tokens=1, temperature=0.7, seed=5))
    assert (warm["samplers"], warm["temperature"], warm["seed"]) == (["temperature"], 0.7, 5)


@pytest.mark.parametrize(
    "changes",
    [
        {"llama.attention.head_count": None},
        {"llama.attention.head_count": 0},
        {"llama.block_count": [1, 2]},
        {"general.architecture": None},
        {"llama.embedding_length": "wide"},
    ],
)
def test_metadata_that_says_nothing_of_use(changes: dict[str, Any]) -> None:
    """The cache's size is a figure for a person: odd metadata makes it 0, never an exception."""
    assert kv_token_bytes(gguf(**changes)) == 0


@pytest.mark.parametrize(("length", "window"), [(None, 4_096), ("long", 4_096), (512, 512), (1 << 20, 4_096)])
def test_the_window(engine: LlamaEngine, monkeypatch: pytest.MonkeyPatch, length: object, window: int) -> None:
    """The model's own window, at most `engine.window`; that when the file does not say."""
    monkeypatch.setattr(module, "read_gguf", lambda _: gguf(**{"llama.context_length": length}))
    assert engine.load(CancelToken()).window == window
    engine.close()


class Wanted:
    """A pause that is wanted for the first `times` looks."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.runs = 0

    @property
    def wanted(self) -> bool:
        """One look less."""
        self.times -= 1
        return self.times >= 0

    def run(self) -> None:
        """Count."""
        self.runs += 1


def paused(
    engine: Any, *rounds: list[dict[str, Any]], request: GenerationRequest = _REQUEST
) -> tuple[Any, Wanted, list[Any]]:
    """Each round is what the server says to one request; the answer, the pause, and what the server was asked."""
    engine.load(CancelToken())
    server, asked, left = engine.fake.made[-1], [], list(rounds)

    def handle(parameters: dict[str, Any], callback: Callable[[dict[str, Any]], bool]) -> None:
        asked.append(parameters)
        for event in left.pop(0):
            if callback(event):
                return

    server.handle_completions = handle
    pause = Wanted(1)
    return engine.generate(request, lambda _: None, CancelToken(), Deadline.never(), pause), pause, asked


def test_a_paused_answer_goes_on_after_its_last_token(engine: LlamaEngine) -> None:
    """After a pause llama.cpp is asked for the rest, on the same slot, and the answer and its counts are whole."""
    finished, pause, asked = paused(
        engine, [prefill(0), token("He", 8)], [prefill(0), token("y", 9), token("!", 5, 2), end("stop", 2)]
    )
    assert (finished.text, finished.usage.completion_tokens, pause.runs) == ("Hey!", 3, 1)
    assert [one["prompt"] for one in asked] == [[1, 2, 3], [1, 2, 3, 8]]
    assert [one["n_predict"] for one in asked] == [8, 7]
    assert asked[0]["id_slot"] == asked[1]["id_slot"]


def test_a_pause_among_the_prompt_waits_for_progress(engine: LlamaEngine) -> None:
    """A prompt is not left before a chunk of it was computed, nor when all of it is: it would never come to an end."""
    finished, pause, asked = paused(
        engine, [prefill(1), prefill(2)], [prefill(2), prefill(3), token("a", 1), end("length", 1)]
    )
    assert (finished.text, pause.runs, len(asked)) == ("a", 1, 2)
    finished, pause, asked = paused(engine, [prefill(1), prefill(3), token("a", 1)], [end("length", 0)])
    assert (len(asked), asked[1]["prompt"]) == (2, [1, 2, 3, 1])


def test_no_pause_where_the_ids_are_not_known(engine: LlamaEngine) -> None:
    """A character of several tokens comes with the last id only: such an answer goes on without a pause."""
    finished, pause, asked = paused(engine, [token("é", 8, 2), token("a", 9, 3), end("stop", 3)])
    assert (finished.text, finished.usage.completion_tokens, pause.runs, len(asked)) == ("éa", 3, 0, 1)


def test_no_pause_at_the_end(engine: LlamaEngine) -> None:
    """After a special token or the last one allowed, the end is waited for."""
    finished, pause, _ = paused(engine, [token("", 7), end("stop", 1)])
    assert (finished.text, pause.runs) == ("", 0)
    one = GenerationRequest((1, 2, 3), max_tokens=1)
    assert paused(engine, [token("a", 1), end("length", 1)], request=one)[1].runs == 0


def test_closing_ends_what_runs(engine: LlamaEngine) -> None:
    """An engine that is closed under a generation ends it as cancelled."""
    with pytest.raises(Cancelled, match="closing"):
        play(engine, token("a", 1), token("b", 2, 2), end("stop"), sink=lambda _: engine.close())
    with pytest.raises(EngineError, match="not loaded"):
        engine.generate(_REQUEST, lambda _: None, CancelToken(), Deadline.never())


def test_what_may_be_resumed_is_counted(engine: LlamaEngine) -> None:
    """`cache_bytes` is what the slots hold; `warm` computes a prompt and keeps it."""
    engine.load(CancelToken())
    assert engine.cache_bytes == 0
    engine.fake.events = [prefill(3), token("a", 1), end("length", 1)]  # type: ignore[attr-defined]
    engine.warm((1, 2, 3), CancelToken())
    assert engine.cache_bytes == 3 * kv_token_bytes(gguf())
    engine.close()
