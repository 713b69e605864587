"""`leanvibe/ask` through the language server, against the raw library with the same prompt: what is lost on the way?"""

from __future__ import annotations

import time

from leanvibe_lsp.assist.answer import AskRequest, Place
from leanvibe_lsp.assist.ask import build_prompt
from leanvibe_lsp.core.text import LineIndex
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.engine.base import Loaded
from leanvibe_lsp.engine.models.registry import resolve
from leanvibe_lsp.engine.models.tokenizer import load_tokenizer
from tests.benchmarks.figures import Figure
from tests.benchmarks.raw import Generate, RawRun, raw_llama, raw_mlx, smollm2
from tests.support.rpc import ServerProcess, server_command

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


def measure(engine: str, rounds: int) -> list[Figure]:
    """Two figures for a backend: decode speed, and seconds to the first token. Each round has a prompt never seen."""
    raw = {"llama.cpp": raw_llama, "mlx": raw_mlx}[engine]()
    loaded = _loaded()
    server = ServerProcess(server_command("--engine", engine, "--model", "smollm2", "--log-level", "error"))
    try:
        server.initialize({"window": {"workDoneProgress": True}})
        _through_lsp(server, -1)
        _raw(raw, loaded, -1)
        pairs = []
        for number in range(rounds):
            # In turn, and each first every other time: the machine's speed drifts.
            if number % 2:
                theirs, ours = _raw(raw, loaded, number), _through_lsp(server, number)
            else:
                ours, theirs = _through_lsp(server, number), _raw(raw, loaded, number)
            assert abs(ours.tokens - theirs.tokens) <= 1, f"not the same work: {ours} and {theirs}"
            pairs.append((ours, theirs))
        server.call("shutdown")
    finally:
        server.end()
    peer = {"llama.cpp": "xllamacpp", "mlx": "mlx_lm.generate_step"}[engine]
    return [
        Figure(
            f"leanvibe/ask, {engine}, decode",
            tuple(a.tokens_per_second for a, _ in pairs),
            tuple(b.tokens_per_second for _, b in pairs),
            "tok/s",
            peer,
        ),
        Figure(
            f"leanvibe/ask, {engine}, to first token",
            tuple(a.first_seconds for a, _ in pairs),
            tuple(b.first_seconds for _, b in pairs),
            "s",
            peer,
        ),
    ]


def _text(number: int) -> str:
    return _CODE.format(round=number)


def _through_lsp(server: ServerProcess, number: int) -> RawRun:
    """As the editor feels it: from sending the request to its first text, and from there to the reply."""
    uri = f"untitled:round-{number}.py"
    server.open(uri, _text(number))
    token = f"answer-{number}"
    begin = time.monotonic()
    request = server.request(
        "leanvibe/ask",
        {
            "question": QUESTION,
            "textDocument": {"uri": uri},
            "maxTokens": MAX_TOKENS,
            "partialResultToken": token,
            "workDoneToken": f"work-{number}",
        },
    )
    reply = server.reply(request)
    assert "result" in reply, reply
    first = server.arrived[_index(server, token)]
    end = server.arrived[server.messages.index(reply)]
    tokens = reply["result"]["usage"]["completionTokens"]
    assert "".join(server.progress(token)) == reply["result"]["answer"]
    return RawRun(first - begin, (tokens - 1) / (end - first), tokens)


def _index(server: ServerProcess, token: str) -> int:
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
