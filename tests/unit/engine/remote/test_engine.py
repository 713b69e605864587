"""The remote engine before a server that does right, and one that does wrong in every way."""

from __future__ import annotations

import gzip
import json
import logging
import math
import threading
from collections.abc import Callable

import pytest

from leanvibe_lsp.core.cancel import CancelToken, Deadline
from leanvibe_lsp.engine.base import FinishReason, GenerationRequest, Message, Source
from leanvibe_lsp.engine.remote.key import Key, find_key
from leanvibe_lsp.engine.remote.server import Stop
from leanvibe_lsp.engine.remote.wire import Call
from leanvibe_lsp.engine.structured import Structure
from leanvibe_lsp.errors import (
    Cancelled,
    DeadlineExceeded,
    Incomplete,
    ModelNotFound,
    RemoteError,
    UsageError,
    Withheld,
)
from tests.support.fault_server import (
    DONE,
    HELLO,
    MODELS,
    NEVER,
    Reply,
    document,
    event,
    reply,
    said,
    stream,
)
from tests.unit.engine.remote.conftest import QUESTION, Asking

CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
SetLimit = Callable[[str, float], None]


def asked(**changes: object) -> GenerationRequest:
    return GenerationRequest(**{"prompt": (), "max_tokens": 16, "messages": QUESTION, **changes})  # type: ignore[arg-type]


# Right


def test_load_gives_the_facts(asking: Asking) -> None:
    """The first model is taken, the window is what vLLM says, and the server renders for itself."""
    loaded = asking.engine.load(CancelToken())
    assert (loaded.window, loaded.device, loaded.tokenizer, loaded.chat_template) == (2048, "remote", None, "")
    assert asking.engine.model == "planted"


@pytest.mark.parametrize(
    ("card", "window"),
    [
        ({"meta": {"n_ctx": 1024, "n_ctx_train": 8192}}, 1024),
        ({"meta": {"n_ctx_train": 4096}}, 4096),
        ({"max_model_len": "many"}, 8192),
        ({}, 8192),
    ],
)
def test_the_window_is_what_the_server_says(asking: Asking, card: dict[str, object], window: int) -> None:
    """llama.cpp's context before the one it was trained with; the table's row for one that says nothing."""
    asking.server.on("/v1/models", document({"data": [{"id": "m", **card}]}))
    assert asking.engine.load(CancelToken()).window == window


def test_a_named_model_is_asked_for(asking: Asking) -> None:
    """Also by a server that has no list of its models."""
    asking.server.on("/v1/models", document({"error": "no such route"}, 404))
    asking.make(model="mine")
    asking.engine.load(CancelToken())
    asking()
    assert asking.server.bodies()[0]["model"] == "mine"


def test_a_server_without_models_is_an_error(asking: Asking) -> None:
    """There is nothing to ask."""
    asking.server.on("/v1/models", document({"data": []}))
    with pytest.raises(ModelNotFound, match="has no model"):
        asking.engine.load(CancelToken())


def test_an_answer_streams(asking: Asking) -> None:
    """Chunks add up to the text; without probabilities they are unknown, and neither sure nor unsure."""
    finished = asking()
    assert (finished.text, finished.reason) == ("Hello", FinishReason.STOP)
    assert [chunk.text for chunk in asking.chunks] == ["Hel", "lo"]
    assert all(math.isnan(chunk.logprob) and chunk.token_id is None for chunk in asking.chunks)
    assert finished.usage.completion_tokens == 2
    assert finished.usage.prompt_tokens > 0
    body = asking.server.bodies()[0]
    assert body["messages"] == [{"role": "user", "content": "What is this?"}]
    assert (body["max_tokens"], body["temperature"], body["stream"]) == (16, 0.0, True)
    assert "seed" not in body


def test_probabilities_and_counts_are_the_servers(asking: Asking) -> None:
    """Token ids, logprobs, alternatives and usage come through as they are."""
    entry = {"id": 7, "token": "Hi", "logprob": -0.25, "top_logprobs": [{"id": 7, "token": "Hi", "logprob": -0.25}]}
    usage = {"prompt_tokens": 9, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 4}}
    asking.server.on(
        CHAT, stream(said("Hi", None, [entry]), said("", "length"), event({"choices": [], "usage": usage}), DONE)
    )
    finished = asking(asked(top_logprobs=2, temperature=0.5, seed=3, stop=("X",)))
    assert (finished.usage.prompt_tokens, finished.usage.cached_tokens, finished.usage.completion_tokens) == (9, 4, 3)
    assert finished.reason is FinishReason.LENGTH
    (chunk,) = asking.chunks
    assert (chunk.token_id, chunk.logprob, chunk.top[0].text) == (7, -0.25, "Hi")
    body = asking.server.bodies()[0]
    assert (body["seed"], body["stop"], body["top_logprobs"], body["logprobs"]) == (3, ["X"], 2, True)


def test_a_probability_that_cannot_be_is_unknown(asking: Asking) -> None:
    """At temperature 0 nothing is likelier than the chosen token; above 1, and true, are no probabilities."""
    top = [{"token": "b", "logprob": -0.1}]
    entries = [[{"logprob": -3.0, "top_logprobs": top}], [{"logprob": 5.0}], [{"logprob": True}], [{}]]
    asking.server.on(CHAT, stream(*(said("x", None, entry) for entry in entries), said("", "stop"), DONE))
    asking(asked(top_logprobs=1))
    assert [math.isnan(chunk.logprob) for chunk in asking.chunks] == [True] * 4


def test_the_text_does_not_depend_on_the_cuts(asking: Asking) -> None:
    """The network may cut a stream anywhere, in the middle of a character, and JSON in the middle of a pair."""
    parts = said("é😀") + b'data: {"choices":[{"delta":{"content":"\\ud83d"}}]}\r\n\r\n'
    parts += b': keep-alive\rdata: {"choices":[{"delta":{"content":"\\ude00"}}]}\r\r' + said("", "stop") + DONE
    for size in (1, 2, 3, 7, len(parts)):
        asking.server.on(CHAT, stream(*(parts[at : at + size] for at in range(0, len(parts), size))))
        assert asking().text == "é😀😀"


def test_a_stop_string_ends_the_answer(asking: Asking) -> None:
    """Across chunks, whatever the server does about it; the connection is closed."""
    asking.server.on(CHAT, stream(said("one EN"), said("D two"), hold=True))
    finished = asking(asked(stop=("END",)))
    assert (finished.text, finished.reason) == ("one ", FinishReason.STOP)
    assert asking.server.closed.wait(5)


def test_a_loop_ends_the_answer(asking: Asking) -> None:
    """A model that repeats itself is stopped, here as on this machine."""
    asking.server.on(CHAT, stream(*[said("again and again ")] * 40, hold=True))
    assert asking(asked(max_tokens=100, stop_loops=True)).reason is FinishReason.LOOP


def test_a_server_that_ignores_max_tokens_is_ended(asking: Asking) -> None:
    """It goes on for ever; the answer does not."""
    asking.server.on(CHAT, stream(said("word "), endless=True))
    finished = asking(asked(max_tokens=5))
    assert finished.reason is FinishReason.LENGTH
    assert asking.server.closed.wait(5)


def test_counts_that_never_come_are_not_waited_for(asking: Asking, set_limit: SetLimit) -> None:
    """The answer is whole: a server that then stays silent costs no more than a moment."""
    set_limit("remote.tail_seconds", 0)
    asking.server.on(CHAT, stream(said("Hi", "stop"), hold=True))
    assert asking().text == "Hi"


def test_only_a_conversation_can_be_sent(asking: Asking) -> None:
    """Token ids mean nothing to a server that has its own."""
    with pytest.raises(UsageError, match="conversation"):
        asking(GenerationRequest((1, 2), 4))


# Fields that a server does not know


@pytest.mark.parametrize("field", ["logprobs", "top_logprobs", "stream_options"])
def test_a_refused_field_is_left_out_from_then_on(asking: Asking, field: str) -> None:
    """Asked once more without it, and never again with it."""
    asking.server.on(CHAT, document({"error": {"message": f"{field} must be at most 3"}}, 400), HELLO)
    assert asking(asked(top_logprobs=20)).text == "Hello"
    assert asking(asked(top_logprobs=20)).text == "Hello"
    bodies = asking.server.bodies()
    assert [field in body for body in bodies] == [True, False, False]


def test_a_refusal_of_something_else_is_an_error(asking: Asking) -> None:
    """Nothing the answer depends on is ever dropped."""
    asking.server.on(CHAT, document({"error": {"message": "response_format is not supported"}}, 400))
    with pytest.raises(RemoteError, match=r"answered 400: response_format is not supported"):
        asking()
    assert len(asking.server.bodies()) == 1


# Structure


def test_a_schema_is_sent_and_held(asking: Asking) -> None:
    """The answer fits, or there is none."""
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    structure = Structure.of_schema(schema)
    asking.server.on(CHAT, stream(said('{"a": 1}', "stop"), DONE), stream(said('{"a": ', "length"), DONE))
    assert asking(asked(structure=structure)).text == '{"a": 1}'
    sent = asking.server.bodies()[0]["response_format"]
    assert sent["json_schema"]["schema"] == schema
    assert sent["json_schema"]["strict"] is True
    with pytest.raises(Incomplete):
        asking(asked(structure=structure))


def test_a_choice_comes_out_bare(asking: Asking) -> None:
    """It travels in an object; the answer is the choice itself, and one that is none is an error."""
    structure = Structure.of_choices(["yes", "no"])
    asking.server.on(CHAT, stream(said('{"choice":'), said('"no"}', "stop"), DONE), stream(said("maybe", "stop"), DONE))
    assert asking(asked(structure=structure)).text == "no"
    assert "".join(chunk.text for chunk in asking.chunks) == ""
    with pytest.raises(Incomplete):
        asking(asked(structure=structure))


# Wrong


HOSTILE: dict[str, tuple[Reply, str]] = {
    "cut": (stream(said("Hel")), "cut in the middle"),
    "cut in an event": (stream(said("Hel"), b'data: {"choi'), "cut in the middle"),
    "nothing": (stream(), "cut in the middle"),
    "only done": (stream(DONE), "cut in the middle"),
    "bad JSON": (stream(b"data: {nope}\n\n"), "no JSON"),
    "deep JSON": (stream(b"data: " + b"[" * 60_000 + b"\n\n"), "no JSON|should be dict"),
    "half UTF-8": (stream(b'data: {"choices":[{"delta":{"content":"\xc3"}}]}\n\n'), "no JSON"),
    "a list": (stream(event([1])), "should be dict, not list"),
    "choices of a wrong type": (stream(event({"choices": {}})), "choices should be list"),
    "content of a wrong type": (stream(event({"choices": [{"delta": {"content": 7}}]})), "content should be str"),
    "logprobs of a wrong type": (stream(event({"choices": [{"delta": {}, "logprobs": [1]}]})), "logprobs should be"),
    "empty choices": (stream(event({"choices": []}), DONE), "cut in the middle"),
    "an error event": (stream(said("H"), event({"error": {"message": "out of memory"}})), "out of memory"),
    "censored": (stream(said("H", "content_filter"), DONE), "content_filter"),
    "HTML": (reply(b"<html><h1>Bad gateway</h1></html>", 418, "text/html"), r"418: Bad gateway"),
    "HTML with 200": (reply(b"<html>Log in</html>", 200, "text/html"), "text/html"),
    "redirect": (reply(b"", 302, headers={"Location": "http://elsewhere.example/v1"}), "redirects are not followed"),
    "no HTTP": (Reply((b"SSH-2.0-OpenSSH\r\n",)), "broke"),
    "hangs up": (Reply(()), "broke"),
    "gzip": (
        reply(gzip.compress(bytes(10 << 20)), 200, "text/event-stream", {"Content-Encoding": "gzip"}),
        "'gzip', which was not asked for",
    ),
    "huge line": (stream(b"data: " + b"x" * 70_000, endless=True), "over 65,536 bytes"),
    "endless comments": (stream(b": ping\n\n" * 1000, endless=True), "more than 1,000,000 bytes"),
    "many lines": (stream(b"data:\n" * 1000, endless=True), "over 65,536 bytes"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_wrong_answer_is_an_error_with_a_name(asking: Asking, set_limit: SetLimit, name: str) -> None:
    """It names the server and what to do, in bounded memory; nothing is taken for an answer."""
    set_limit("remote.event_bytes", 65_536)
    set_limit("remote.answer_bytes", 1_000_000)
    planted, says = HOSTILE[name]
    asking.server.on(CHAT, planted)
    with pytest.raises(RemoteError, match=says) as caught:
        asking()
    assert asking.server.url.removesuffix("/v1") in caught.value.message
    assert caught.value.next_step
    assert asking.receipts.read()[-1].outcome.startswith(type(caught.value).__name__)


@pytest.mark.parametrize(
    "planted",
    [reply(b"<html>", 200, "text/html"), reply(b""), document({"object": "list"}), document([1])],
)
def test_what_is_no_list_of_models_is_an_error(asking: Asking, planted: Reply) -> None:
    """A wrong address is found when the engine loads; one that ends in /v1 is not told to do so."""
    asking.server.on("/v1/models", planted)
    asking.server.on("/api/models", planted)
    whole = asking.server.url
    for url, advice in ((whole, "Look at the server's log."), (whole.replace("/v1", "/api"), "it mostly ends in /v1.")):
        with pytest.raises(RemoteError, match=f"{url}/models ") as caught:
            asking.make(url=url).load(CancelToken())
        assert caught.value.next_step.endswith(advice)


def test_an_empty_reply_is_called_empty(asking: Asking) -> None:
    """With the address that was asked, all of it."""
    asking.server.on("/v1/models", reply(b""))
    with pytest.raises(RemoteError) as caught:
        asking.engine.load(CancelToken())
    assert caught.value.message == f"{asking.server.url}/models gave an empty reply instead of JSON."


# Patience


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_busy_server_is_asked_again(asking: Asking, status: int) -> None:
    """Nothing was heard yet, so nothing is heard twice."""
    busy = document({"error": {"message": "later"}}, status, **{"Retry-After": "0"})
    asking.server.on(CHAT, busy, busy, HELLO)
    assert asking().text == "Hello"
    assert len(asking.server.bodies()) == 3
    receipt = asking.receipts.read()[-1]
    assert receipt.bytes_sent == sum(len(request.body) for request in asking.server.requests)


def test_tries_are_bounded(asking: Asking, set_limit: SetLimit) -> None:
    """A server that stays busy is an error that says so."""
    set_limit("remote.tries", 3)
    asking.server.on(CHAT, document({"error": {"message": "overloaded"}}, 503))
    with pytest.raises(RemoteError, match="503: overloaded"):
        asking()
    assert len(asking.server.bodies()) == 3


def test_a_long_wait_is_not_begun(asking: Asking) -> None:
    """A server that wants an hour is an error at once."""
    asking.server.on(CHAT, document({"error": {"message": "quota"}}, 429, **{"Retry-After": "3600"}))
    with pytest.raises(RemoteError, match="429: quota"):
        asking()
    assert len(asking.server.bodies()) == 1


def test_nothing_is_sent_twice_after_the_first_word(asking: Asking) -> None:
    """A stream that was cut is an error, not a second question."""
    asking.server.on(CHAT, stream(said("Hel")), HELLO)
    with pytest.raises(RemoteError, match="cut"):
        asking()
    assert len(asking.server.bodies()) == 1


def test_nobody_there_is_an_error(asking: Asking) -> None:
    """After some tries, with what to look at; no byte of the question counts as sent."""
    asking.make(url="http://127.0.0.1:9/v1", model="m")
    with pytest.raises(RemoteError, match=r"127\.0\.0\.1:9 cannot be reached"):
        asking.engine.load(CancelToken())
    assert asking.receipts.read()[-1].bytes_sent == 0


def test_a_server_that_fails_is_left_alone(asking: Asking, set_limit: SetLimit) -> None:
    """After enough failures nothing is sent for a while; then one request decides."""
    set_limit("remote.tries", 1)
    set_limit("remote.breaker_failures", 2)
    set_limit("remote.breaker_seconds", 3600)
    asking.server.on(CHAT, document({"error": "broken"}, 500))
    for _ in range(2):
        with pytest.raises(RemoteError, match="500"):
            asking()
    with pytest.raises(RemoteError, match="left alone for now"):
        asking()
    assert len(asking.server.bodies()) == 2
    now = asking.engine._server._clock() + 3601  # type: ignore[union-attr]
    asking.engine._server._clock = lambda: now  # type: ignore[union-attr]
    asking.server.on(CHAT, HELLO)
    assert asking().text == "Hello"
    assert asking().text == "Hello"


@pytest.mark.parametrize(("planted", "row"), [(NEVER, "first_byte"), (stream(said("Hel"), hold=True), "between")])
def test_a_silent_server_is_an_error(asking: Asking, set_limit: SetLimit, planted: Reply, row: str) -> None:
    """Before the first byte, and in the middle."""
    asking.engine.load(CancelToken())
    set_limit(f"remote.{row}_seconds", 0)
    asking.server.on(CHAT, planted)
    with pytest.raises(RemoteError, match="said nothing"):
        asking()
    assert asking.server.closed.wait(5)


@pytest.mark.parametrize("planted", [NEVER, stream(said("Hel"), hold=True)], ids=["silent", "in the middle"])
@pytest.mark.parametrize("ending", ["cancel", "deadline"])
def test_the_server_sees_that_nobody_waits(asking: Asking, planted: Reply, ending: str) -> None:
    """A cancel or a deadline ends the wait while the server is silent, and closes the connection."""
    asking.engine.load(CancelToken())
    asking.server.on(CHAT, planted)
    asking.server.asked.clear()
    cancel = CancelToken()
    deadline = Deadline.after(0.2) if ending == "deadline" else Deadline.never()
    if ending == "cancel":
        threading.Thread(target=lambda: (asking.server.asked.wait(5), cancel.cancel("a test"))).start()
    with pytest.raises(Cancelled if ending == "cancel" else DeadlineExceeded):
        asking(None, cancel, deadline)
    assert asking.server.closed.wait(5)
    assert asking.receipts.read()[-1].outcome.startswith(("Cancelled", "DeadlineExceeded"))


def test_a_cancel_ends_the_wait_for_a_retry(asking: Asking, set_limit: SetLimit) -> None:
    """A pause of half a minute is not sat out."""
    asking.engine.load(CancelToken())
    asking.server.on(CHAT, document({"error": "busy"}, 503, **{"Retry-After": "29"}))
    asking.server.asked.clear()
    cancel = CancelToken()
    threading.Thread(target=lambda: (asking.server.asked.wait(5), cancel.cancel("a test"))).start()
    with pytest.raises(Cancelled):
        asking(None, cancel)


# More urgent work


class Urgent:
    """A pause that is wanted once, as soon as `due`, and what is done in it."""

    def __init__(self, work: Callable[[], object], due: Callable[[], bool] = lambda: True) -> None:
        self._work = work
        self._due = due
        self._done = False
        self.given: object = None

    @property
    def wanted(self) -> bool:
        """Once."""
        return not self._done and self._due()

    def run(self) -> None:
        """Do it."""
        self._done = True
        self.given = self._work()


@pytest.mark.parametrize("planted", [NEVER, stream(said("Hel"), hold=True)], ids=["silent", "in the middle"])
def test_more_urgent_work_does_not_wait_for_the_server(asking: Asking, planted: Reply) -> None:
    """It has its turn while the server says nothing, and may ask the same server; then the wait goes on."""
    asking.engine.load(CancelToken())
    asking.server.on(CHAT, planted, HELLO)
    cancel = CancelToken()

    def ask_another() -> str:
        text = asking.engine.generate(asked(), lambda _: None, CancelToken(), Deadline.never()).text
        cancel.cancel("the urgent work is done")
        return text

    asking.server.asked.clear()
    urgent = Urgent(ask_another, asking.server.asked.is_set)
    with pytest.raises(Cancelled):
        asking.engine.generate(asked(), lambda _: None, cancel, Deadline.after(10), urgent)
    assert urgent.given == "Hello"


def test_more_urgent_work_does_not_wait_for_a_retry() -> None:
    """A server that asked for half a minute does not hold up the rest."""
    cancel = CancelToken()
    with pytest.raises(Cancelled, match="the urgent work is done"):
        Stop(cancel, Deadline.after(10), Urgent(lambda: cancel.cancel("the urgent work is done"))).sleep(29)


def test_time_for_more_urgent_work_is_not_the_servers_silence(asking: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it took, the server is then waited for as long as ever."""
    asking.engine.load(CancelToken())
    asking.server.on("/v1/models", NEVER)
    wire = asking.engine._wire
    looks: list[float] = []
    assert wire is not None

    def check() -> None:
        looks.append(1_000.0)  # seconds that each look takes
        if len(looks) > 3:
            raise Cancelled("enough")

    monkeypatch.setattr("leanvibe_lsp.engine.remote.wire.time.monotonic", lambda: sum(looks))
    exchange = wire.send(Call("/models"), check)
    with pytest.raises(Cancelled, match="enough"):
        exchange.head()
    exchange.close()


# What may leave


def test_a_secret_file_is_withheld(asking: Asking) -> None:
    """Nothing is sent, and no receipt says it was."""
    asking.engine.load(CancelToken())
    before = len(asking.server.requests)
    with pytest.raises(Withheld, match=r"/p/\.env may not leave"):
        asking(asked(sources=(Source("file:///p/a.py", 0, 3), Source("file:///p/.env", 0, 3))))
    assert len(asking.server.requests) == before
    assert [receipt.purpose for receipt in asking.receipts.read()] == ["models"]


def test_a_use_leaves_a_receipt(asking: Asking) -> None:
    """Which lines of which files, which server and model, how many bytes either way, and how it ended."""
    asking(asked(sources=(Source("file:///p/a.py", 4, 9),)))
    receipt = asking.receipts.read()[-1]
    body = asking.server.requests[-1].body
    assert receipt.server == asking.server.url.removesuffix("/v1")
    assert (receipt.model, receipt.purpose, receipt.outcome) == ("planted", "answer", "ok")
    assert receipt.files == (Source("file:///p/a.py", 4, 9),)
    assert receipt.bytes_sent == len(body)
    assert receipt.bytes_received == sum(map(len, HELLO.parts[1:]))


def test_the_receipt_is_written_first(asking: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a receipt nothing leaves: a full disk is an error, and the server hears nothing."""
    asking.engine.load(CancelToken())
    before = len(asking.server.requests)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("leanvibe_lsp.engine.remote.receipts.os.write", full)
    with pytest.raises(Withheld, match="No space left on device"):
        asking()
    assert len(asking.server.requests) == before


# The key


def test_the_key_is_shown_to_the_server_alone(
    asking: Asking, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """A server that echoes it everywhere finds it nowhere: no log, no error, no repr, no receipt."""
    caplog.set_level(logging.DEBUG)
    key = "sk-planted/0123456789+abc"
    echo = {"error": {"message": f"bad Authorization: Bearer {key}"}}
    asking.server.on("/v1/models", document({"data": [{"id": f"model-{key}"}]}, Authorization=f"Bearer {key}"))
    asking.server.on(
        CHAT,
        document(echo, 401, **{"X-Echo": key}),
        reply(b"", 302, headers={"Location": f"http://x.example/?key={key}"}),
        reply(f"<b>{key}</b>".encode(), 403, "text/html"),
        stream(event(echo)),
        stream(f"data: {key}\n\n".encode()),
        stream(f"data: {'x' * (80 - len(key) // 2)}{key}\n\n".encode()),
        reply(key.encode(), 200, f"text/{key}"),
    )
    asking.make({"LEANVIBE_REMOTE_KEY": key, "LEANVIBE_REMOTE_URL": asking.server.url})
    seen = [repr(asking.engine), repr(Key(key))]
    for _ in range(7):
        with pytest.raises(RemoteError) as caught:
            asking()
        seen += [str(caught.value), repr(caught.value)]
    assert {request.headers["authorization"] for request in asking.server.requests} == {f"Bearer {key}"}
    seen += [record.getMessage() for record in caplog.records]
    seen += [
        asking.receipts.path.read_text(),
        *capsys.readouterr(),
        asking.engine.model,
        repr(vars(asking.engine._wire)),
    ]
    assert any("http11" in record.name for record in caplog.records), "the library's own log was looked at"
    assert [text for text in seen if key[:8] in text or key.replace("/", "%2F") in text] == []


def test_a_key_is_found_in_the_environment_for_its_own_server() -> None:
    """A project's settings cannot send it to another one than the environment names, nor when it names none."""
    key = {"LEANVIBE_REMOTE_KEY": "k1"}
    assert find_key("https://a.example/v1", key).headers == {}
    meant = {**key, "LEANVIBE_REMOTE_URL": "https://a.example/v1"}
    assert find_key("https://a.example:443/v1", meant).headers == {"Authorization": "Bearer k1"}
    assert find_key("https://b.example/v1", meant).headers == {}
    assert find_key("https://b.example/v1", {}).headers == {}


def test_a_key_that_no_header_can_carry_is_refused() -> None:
    """A line break would write a header of its own; the error does not show it."""
    with pytest.raises(UsageError) as caught:
        find_key(
            "https://a.example/v1",
            {"LEANVIBE_REMOTE_KEY": "secret\r\nHost: x", "LEANVIBE_REMOTE_URL": "https://a.example"},
        )
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
def test_the_way_to_this_machine_takes_no_proxy(asking: Asking, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A proxy of the environment would be given the code of a question meant for this machine."""
    monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert asking().text == "Hello"


# Known answers


def completion(prompt: str, *, flat: bool) -> dict[str, object]:
    from leanvibe_lsp.engine.models.selftest import KNOWN_ANSWERS

    word = dict(KNOWN_ANSWERS)[prompt]
    if flat:
        return {"choices": [{"logprobs": {"top_logprobs": [{word: -0.1, " zz": -3.0}]}}]}
    top = [{"token": " zz", "logprob": -3.0}, {"token": word.replace(" ", "\u0120"), "logprob": -0.1}]
    return {"choices": [{"logprobs": {"content": [{"top_logprobs": top}]}}]}


@pytest.mark.parametrize("flat", [True, False], ids=["vLLM", "llama.cpp"])
def test_a_server_is_proven_by_the_known_answers(asking: Asking, flat: bool) -> None:
    """In either form of a completion's probabilities; one receipt for all of it."""
    from leanvibe_lsp.engine.models.selftest import KNOWN_ANSWERS

    asking.server.on(COMPLETIONS, *(document(completion(prompt, flat=flat)) for prompt, _ in KNOWN_ANSWERS))
    loaded = asking.engine.load(CancelToken())
    verdict = asking.engine.prove(loaded, CancelToken())
    assert verdict is not None
    assert verdict.state == "verified"
    assert [receipt.purpose for receipt in asking.receipts.read()] == ["models", "known answers"]


def test_a_wrong_model_is_not_proven(asking: Asking) -> None:
    """Probabilities of other words count for nothing."""
    asking.server.on(COMPLETIONS, document({"choices": [{"logprobs": {"top_logprobs": [{" zz": -0.1}]}}]}))
    verdict = asking.engine.prove(asking.engine.load(CancelToken()), CancelToken())
    assert verdict is not None
    assert verdict.state == "unverified"


@pytest.mark.parametrize("planted", [document({"error": "no"}, 404), document({"choices": [{"text": " b"}]})])
def test_without_probabilities_nothing_is_proven(asking: Asking, planted: Reply) -> None:
    """Neither verified nor refused: not known."""
    asking.server.on(COMPLETIONS, planted)
    assert asking.engine.prove(asking.engine.load(CancelToken()), CancelToken()) is None


def test_messages_that_are_no_utf8_can_be_sent(asking: Asking) -> None:
    """A lone half of a pair in a file's text is no reason to fail."""
    asking(asked(messages=(Message("user", "a\ud83d"),)))
    assert json.loads(asking.server.requests[-1].body)["messages"][0]["content"] == "a?"


def test_closing_twice_is_one(asking: Asking) -> None:
    """And a closed engine says so."""
    asking.server.on("/v1/models", MODELS)
    asking.engine.load(CancelToken())
    asking.engine.close()
    asking.engine.close()
    with pytest.raises(RemoteError, match="not asked for its models"):
        asking.engine.generate(asked(), lambda _: None, CancelToken(), Deadline.never())
