"""The remote engine before the two servers that people run: llama.cpp's and mlx_lm's, one with a real model."""

from __future__ import annotations

import json
import math
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from leanvibe_lsp.config.settings import RemoteSettings
from leanvibe_lsp.core.cancel import CancelToken, Deadline
from leanvibe_lsp.engine.base import Chunk, Event, Finished, FinishReason, GenerationRequest, Message, Source
from leanvibe_lsp.engine.models.registry import resolve
from leanvibe_lsp.engine.models.selftest import State
from leanvibe_lsp.engine.remote import RemoteEngine
from leanvibe_lsp.engine.remote.receipts import Receipts
from leanvibe_lsp.engine.structured import Structure
from leanvibe_lsp.errors import Cancelled, RemoteError
from tests.support.tiny_mlx import CONFIG, random_model

pytestmark = [pytest.mark.real_model, pytest.mark.slow]

KEY = "sk-for-this-test-only"
QUESTION = (Message("user", "Name the capital of France."),)


@pytest.fixture(scope="module")
def smollm2() -> Path:
    """The embedded model's file."""
    return resolve("smollm2", cache=Path("/nonexistent")).path


@pytest.fixture(scope="module")
def llama(smollm2: Path) -> Iterator[str]:
    """llama.cpp's server, through xllamacpp's own listener; it wants a key."""
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(smollm2)
    parameters.n_ctx, parameters.n_parallel, parameters.n_batch = 1024, 1, 64
    parameters.warmup, parameters.ui, parameters.verbosity = False, False, -1
    parameters.hostnames, parameters.port = ["127.0.0.1"], 0
    parameters.api_keys = [KEY]
    server = xllamacpp.Server(parameters)
    yield server.listening_address
    del server


def _tiny_folder(folder: Path) -> Path:
    """`tests/support/tiny_mlx.py`'s LLaMA as a folder, with a token for each byte and room for a conversation."""
    import mlx.core as mx
    from mlx.utils import tree_flatten
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {"<end>": 0} | {letter: number for number, letter in enumerate(letters, start=1)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<end>"])
    folder.mkdir()
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {**CONFIG, "vocab_size": len(vocabulary), "max_position_embeddings": 4096, "eos_token_id": 0}
    model = random_model("llama", config)
    mx.save_safetensors(str(folder / "model.safetensors"), dict(tree_flatten(model.parameters())), {"format": "mlx"})
    template = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
    files = {
        "config.json": config,
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "eos_token": "<end>",
            "chat_template": template,
        },
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))
    return folder


@pytest.fixture(scope="module")
def mlx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """mlx_lm's server, with a tiny model of random weights: MLX takes minutes for a real one on a busy CPU."""
    root = tmp_path_factory.mktemp("mlx")
    folder = _tiny_folder(root / "tiny")
    (root / "hub").mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlx_lm", "server", "--model", str(folder), "--port", str(port)]
    log = root / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, stderr=file, stdout=file, env={**os.environ, "HF_HUB_CACHE": str(root / "hub")}
        )
    engine = RemoteEngine(
        RemoteSettings(f"http://127.0.0.1:{port}"), receipts=Receipts(root / "r.jsonl"), environment={}
    )
    deadline = Deadline.after(120)
    while True:
        try:
            engine.load(CancelToken())
            break
        except RemoteError:
            assert process.poll() is None, log.read_text()
            deadline.check()
    engine.close()
    yield f"http://127.0.0.1:{port}"
    process.kill()
    process.wait()


class Client:
    """An engine and what it heard."""

    def __init__(self, url: str, folder: Path) -> None:
        self.receipts = Receipts(folder / "receipts.jsonl")
        self.engine = RemoteEngine(
            RemoteSettings(url),
            receipts=self.receipts,
            environment={"LEANVIBE_REMOTE_KEY": KEY, "LEANVIBE_REMOTE_URL": url},
        )
        self.loaded = self.engine.load(CancelToken())
        self.chunks: list[Chunk] = []

    def __call__(self, **changes: object) -> Finished:
        """Ask, with these changes to the question."""
        self.chunks = []

        def sink(event: Event) -> None:
            if isinstance(event, Chunk):
                self.chunks.append(event)

        request = GenerationRequest(**{"prompt": (), "max_tokens": 12, "messages": QUESTION, **changes})  # type: ignore[arg-type]
        return self.engine.generate(request, sink, CancelToken(), Deadline.after(240))


def check_answer(client: Client, question: tuple[Message, ...]) -> None:
    """Streams an answer with the server's own counts, and leaves a receipt."""
    finished = client(messages=question, sources=(Source("file:///w/a.py", 0, 2),))
    assert finished.text
    assert len(client.chunks) > 1
    assert "".join(chunk.text for chunk in client.chunks) == finished.text
    usage = finished.usage
    assert usage.prompt_tokens > 10
    assert 0 < usage.completion_tokens <= 12
    again = client(messages=question)
    assert again.text == finished.text
    assert again.usage.cached_tokens > 0
    receipt = client.receipts.read()[-2]
    assert (receipt.purpose, receipt.outcome, receipt.files) == ("answer", "ok", (Source("file:///w/a.py", 0, 2),))


def check_cancel(client: Client, question: tuple[Message, ...]) -> None:
    """A cancel in the middle ends it, and the server, which serves one at a time, is free for the next."""
    cancel = CancelToken()
    before = threading.active_count()
    with pytest.raises(Cancelled):
        client.engine.generate(
            GenerationRequest((), 900, messages=question),
            lambda event: cancel.cancel("a test"),
            cancel,
            Deadline.after(240),
        )
    finished = client(messages=question, max_tokens=1)
    assert finished.reason is FinishReason.LENGTH
    assert threading.active_count() <= before + 1


def test_llama_cpp_answers(llama: str, tmp_path: Path) -> None:
    """Window, stream, probabilities, counts, cache, cancel."""
    client = Client(llama, tmp_path)
    assert client.loaded.window == 1024
    check_answer(client, QUESTION)
    assert "Paris" in "".join(chunk.text for chunk in client.chunks)
    assert all(chunk.logprob <= 0 and chunk.token_id is not None for chunk in client.chunks), "NaN is not <= 0"
    check_cancel(client, (Message("user", "Write a very long story about the sea."),))


def test_llama_cpp_keeps_to_a_schema(llama: str, tmp_path: Path) -> None:
    """A document that fits, and a choice."""
    client = Client(llama, tmp_path)
    schema = {
        "type": "object",
        "properties": {"capital": {"type": "string", "maxLength": 20}, "large": {"type": "boolean"}},
        "required": ["capital", "large"],
        "additionalProperties": False,
    }
    structure = Structure.of_schema(schema)
    value = structure.parse(client(structure=structure, max_tokens=60).text)
    assert isinstance(value["large"], bool)
    assert client(structure=Structure.of_choices(["Paris", "Rome"])).text in ("Paris", "Rome")


def test_llama_cpp_gives_alternatives_and_stops(llama: str, tmp_path: Path) -> None:
    """As many as were asked for; the stop string never comes out."""
    client = Client(llama, tmp_path)
    finished = client(top_logprobs=3, stop=("Paris",))
    assert "Paris" not in finished.text
    assert finished.reason is FinishReason.STOP
    assert {len(chunk.top) for chunk in client.chunks if not math.isnan(chunk.logprob)} == {3}


def test_llama_cpp_is_proven(llama: str, tmp_path: Path) -> None:
    """The known answers hold for a model on the other side."""
    client = Client(llama, tmp_path)
    verdict = client.engine.prove(client.loaded, CancelToken())
    assert verdict is not None
    assert verdict.state is State.VERIFIED


def test_a_wrong_key_is_said(llama: str, tmp_path: Path) -> None:
    """With where to put the right one."""
    engine = RemoteEngine(
        RemoteSettings(llama),
        receipts=Receipts(tmp_path / "r"),
        environment={"LEANVIBE_REMOTE_KEY": "wrong", "LEANVIBE_REMOTE_URL": llama},
    )
    with pytest.raises(RemoteError, match="401") as caught:
        engine.load(CancelToken())
    assert "LEANVIBE_REMOTE_KEY" in caught.value.next_step


def test_mlx_lm_answers(mlx: str, tmp_path: Path) -> None:
    """Stream, counts, cache, cancel; and more alternatives than it gives are done without."""
    client = Client(mlx, tmp_path)
    check_answer(client, QUESTION)
    assert all(math.isnan(chunk.logprob) for chunk in client.chunks), "it gives none in a stream: unknown, not 0"
    check_cancel(client, QUESTION)
    assert client(top_logprobs=20).text == client().text


def test_random_weights_behind_mlx_lm_are_found_out(mlx: str, tmp_path: Path) -> None:
    """The known answers are asked in the form that this server has for probabilities, and do not come."""
    client = Client(mlx, tmp_path)
    verdict = client.engine.prove(client.loaded, CancelToken())
    assert verdict is not None
    assert verdict.state is State.UNVERIFIED
