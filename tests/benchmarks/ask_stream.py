"""`leanvibe/ask` through the language server, against the raw library with the same prompt: what is lost on the way?"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from leanvibe_lsp.assist.answer import AskRequest, Place
from leanvibe_lsp.assist.fitting import build_prompt
from leanvibe_lsp.core.text import LineIndex
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.engine.base import Loaded
from leanvibe_lsp.engine.models.registry import resolve
from leanvibe_lsp.engine.models.tokenizer import load_tokenizer
from tests.benchmarks.figures import Figure
from tests.benchmarks.raw import Generate, RawRun, raw_llama, raw_mlx, smollm2
from tests.support.rpc import ServerProcess, server_command

PATIENCE = 120.0
QUESTION = "Explain what each function here does, one after the other, in detail."
MAX_TOKENS = 96
_CODE = '''"""Orders, round {round}."""


def total(prices: list[float], discount: float) -> float:
    """What a customer pays."""
    return sum(prices) * (1 - discount)


def cheapest(prices: list[float]) -> float:
    """The lowest price, or 0.0 for an empty list."""
    return min(prices, default=0.0)


class Order:
    """Items and their prices."""

    def __init__(self) -> None:
        self.items: dict[str, float] = {{}}

    def add(self, name: str, price: float) -> None:
        """Add an item; a second price replaces the first."""
        self.items[name] = price
'''


class Listener(ServerProcess):
    """A client that sleeps until its reply is there, so that what is measured is the server."""

    def __init__(self, command: list[str]) -> None:
        self._awaited: int | str | None = None
        self._there = threading.Event()
        super().__init__(command)

    def ask(self, params: dict[str, object]) -> dict[str, Any]:
        """The reply to `leanvibe/ask`."""
        self._there.clear()
        self._awaited = self._next_id + 1
        request = self.request("leanvibe/ask", params)
        assert self._there.wait(PATIENCE), "no reply"
        return self.reply(request)

    def _cut(self) -> dict[str, Any] | None:
        message = super()._cut()
        if message is not None and "method" not in message and message["id"] == self._awaited:
            self._there.set()
        return message


def measure(engine: str, rounds: int) -> list[Figure]:
    """Decode speed against each raw call, and seconds to the first token. Each round has a prompt never seen."""
    raws = {"llama.cpp": raw_llama, "mlx": raw_mlx}[engine]()
    loaded = _loaded()
    server = Listener(server_command("--engine", engine, "--model", "smollm2", "--log-level", "error"))
    calls: dict[str, Callable[[int], RawRun]] = {"": lambda number: _through_lsp(server, number)}
    calls |= {name: partial(_raw, generate, loaded) for name, generate in raws.items()}
    runs: dict[str, list[RawRun]] = {name: [] for name in calls}
    try:
        server.initialize({"window": {"workDoneProgress": True}})
        for number in range(-1, rounds):
            # In turn, and another one first each time: the machine's speed drifts. A second raw call has
            # the prompt in its cache, so it comes last and counts for its decoding alone.
            first, second, *others = calls
            for name in ((first, second) if number % 2 else (second, first)) + tuple(others):
                runs[name].append(calls[name](number))
        server.call("shutdown")
    finally:
        server.end()
    ours = runs.pop("")[1:]  # the first round loads and warms up
    figures = [_decode(engine, ours, name, theirs[1:]) for name, theirs in runs.items()]
    name, theirs = next(iter(runs.items()))
    return [*figures, _first_token(engine, ours, name, theirs[1:])]


def _decode(engine: str, ours: list[RawRun], peer: str, theirs: list[RawRun]) -> Figure:
    for mine, other in zip(ours, theirs, strict=True):
        assert abs(mine.tokens - other.tokens) <= 1, f"not the same work: {mine} and {other}"
    speeds = (tuple(run.tokens_per_second for run in runs) for runs in (ours, theirs))
    return Figure(f"leanvibe/ask, {engine}, decode", *speeds, "tok/s", peer)


def _first_token(engine: str, ours: list[RawRun], peer: str, theirs: list[RawRun]) -> Figure:
    seconds = (tuple(run.first_seconds for run in runs) for runs in (ours, theirs))
    return Figure(f"leanvibe/ask, {engine}, to first token", *seconds, "s", peer)


def _text(number: int) -> str:
    return _CODE.format(round=number)


def _through_lsp(server: Listener, number: int) -> RawRun:
    """As the editor feels it: from sending the request to its first text, and from there to the reply."""
    uri = f"untitled:round-{number}.py"
    server.open(uri, _text(number))
    token = f"answer-{number}"
    begin = time.monotonic()
    reply = server.ask(
        {
            "question": QUESTION,
            "textDocument": {"uri": uri},
            "maxTokens": MAX_TOKENS,
            "partialResultToken": token,
            "workDoneToken": f"work-{number}",
        }
    )
    assert "result" in reply, reply
    assert not reply["result"]["remembered"], "the answer of an earlier run: nothing was computed"
    first = server.arrived[_index(server, token)]
    end = server.arrived[server.messages.index(reply)]
    tokens = reply["result"]["usage"]["completionTokens"]
    assert "".join(server.progress(token)) == reply["result"]["answer"]
    return RawRun(first - begin, (tokens - 1) / (end - first), tokens)


def _index(server: Listener, token: str) -> int:
    return next(
        index
        for index, message in enumerate(server.messages)
        if message.get("method") == "$/progress" and message["params"]["token"] == token
    )


def _raw(generate: Generate, loaded: Loaded, number: int) -> RawRun:
    text = _text(number)
    uri = f"untitled:round-{number}.py"
    snapshot = Snapshot(uri=uri, path=None, language_id="python", version=1, text=text, lines=LineIndex(text))
    prompt = build_prompt(AskRequest(QUESTION, (Place(snapshot),), max_tokens=MAX_TOKENS), loaded)
    return generate(prompt.ids, MAX_TOKENS)


def _loaded() -> Loaded:
    files = load_tokenizer(resolve(str(smollm2()), cache=smollm2().parent))
    return Loaded(4096, 0, "cpu", files.tokenizer, files.chat_template, files.special_text, files.add_bos)
