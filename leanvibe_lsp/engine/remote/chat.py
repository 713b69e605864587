"""Chat completions: a request as the server wants it, and its stream as our events. Pure but for the sink."""

from __future__ import annotations

import codecs
import json
import math
import re
import time
from collections.abc import Collection, Mapping
from typing import Any

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.engine.base import (
    Alternative,
    Chunk,
    Finished,
    FinishReason,
    GenerationRequest,
    Sink,
    Timing,
    Usage,
)
from leanvibe_lsp.engine.streaming import TextAssembler
from leanvibe_lsp.engine.structured import Structure
from leanvibe_lsp.errors import Incomplete

# What an answer can do without, and servers are known to refuse.
OPTIONAL = ("top_logprobs", "logprobs", "stream_options")

_REASONS = {"stop": FinishReason.STOP, "length": FinishReason.LENGTH}
_ROUNDING = 0.01  # a logprob may be this much above 0, in half precision


class BadEvent(ValueError):
    """An event that is not what the protocol says; its text says how."""


def body_of(request: GenerationRequest, model: str, without: Collection[str]) -> dict[str, Any]:
    """The request's JSON, less the optional fields in `without`."""
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": message.role, "content": message.content} for message in request.messages],
        "max_tokens": _room(request),
        "temperature": request.temperature,
        "stream": True,
        "stream_options": {"include_usage": True},
        "logprobs": True,
    }
    if request.top_logprobs:
        body["top_logprobs"] = request.top_logprobs
    if request.temperature > 0:
        body["seed"] = request.seed
    if request.stop:
        body["stop"] = list(request.stop)
    if request.structure is not None:
        schema = {"name": "answer", "strict": True, "schema": _schema_of(request.structure)}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    if "logprobs" in without:  # OpenAI's rule: no alternatives without them
        without = {*without, "top_logprobs"}
    return {name: value for name, value in body.items() if name not in without}


def refused_field(body: Mapping[str, Any], status: int, said: str) -> str | None:
    """The optional field of `body` that an error names, or None."""
    if status not in (400, 422):
        return None
    return next((name for name in OPTIONAL if name in body and re.search(rf"\b{name}\b", said)), None)


def _schema_of(structure: Structure) -> Any:
    """Choices go as an object with one field: some servers want an object, and all know `enum`."""
    if not structure.choices:
        return json.loads(structure.schema)
    choice = {"type": "string", "enum": list(structure.choices)}
    return {"type": "object", "properties": {"choice": choice}, "required": ["choice"], "additionalProperties": False}


def _room(request: GenerationRequest) -> int:
    """`max_tokens`, and what the object around a choice takes."""
    around = limit("remote.choice_tokens") if request.structure is not None and request.structure.choices else 0
    return request.max_tokens + around


class Reading:
    """One stream, read event by event. `complete`: nothing more is needed; `ended`: only counts may follow."""

    def __init__(self, request: GenerationRequest, sink: Sink) -> None:
        self._request = request
        self._sink = sink
        self._assembler = TextAssembler(request.stop, stop_loops=request.stop_loops)
        # JSON can hold one half of a UTF-16 pair, and the other half comes with the next event.
        self._pairs = codecs.getincrementaldecoder("utf-16-le")(errors="replace")
        self._chosen = request.structure is not None and bool(request.structure.choices)
        self._texts: list[str] = []
        self._begin = time.monotonic()
        self._first: float | None = None
        self._reason: FinishReason | None = None
        self._usage: Mapping[str, Any] = {}
        self.tokens = 0
        self.complete = False

    @property
    def ended(self) -> bool:
        """True when the answer's text is whole."""
        return self._reason is not None

    def take(self, data: bytes) -> None:
        """One event's data. Raises BadEvent."""
        if data.strip() == b"[DONE]":
            self.complete = True
            return
        try:
            event = json.loads(data.decode())
        except (ValueError, RecursionError) as error:
            raise BadEvent(f"an event is no JSON: {data.decode(errors='replace')}") from error
        _expect(event, dict, "an event")
        if failure := event.get("error"):
            said = failure.get("message", failure) if isinstance(failure, dict) else failure
            raise BadEvent(f"it failed in the middle: {said}")
        if isinstance(event.get("usage"), dict):
            self._usage = event["usage"]
        choices = _expect(event.get("choices", []), list, "choices")
        if choices and not self.ended:
            self._choice(_expect(choices[0], dict, "a choice"))

    def _choice(self, choice: dict[str, Any]) -> None:
        delta = _expect(choice.get("delta") or {}, dict, "a delta")
        content = _expect(delta.get("content") or "", str, "content")
        logprobs = _expect(choice.get("logprobs") or {}, dict, "logprobs")
        entries = _expect(logprobs.get("content") or [], list, "logprobs")
        if content or entries:
            self._say(content, [_expect(entry, dict, "a logprob") for entry in entries])
        if self._assembler.stopped or self._assembler.looping:
            self._reason = FinishReason.STOP if self._assembler.stopped else FinishReason.LOOP
        elif choice.get("finish_reason") is not None:
            said = choice["finish_reason"]
            if said not in _REASONS:
                raise BadEvent(f"it ended the answer for a reason of its own: {said!r}")
            self._reason = _REASONS[said]
            return
        elif self.tokens > _room(self._request):
            self._reason = FinishReason.LENGTH
        self.complete = self.ended

    def _say(self, content: str, entries: list[dict[str, Any]]) -> None:
        if self._first is None:
            self._first = time.monotonic()
        plain = self._pairs.decode(content.encode("utf-16-le", "surrogatepass"))
        text = self._assembler.push(plain.encode())
        self._texts.append(text)
        self.tokens += max(1, len(entries))
        shown = "" if self._chosen else text
        for entry in entries[:-1]:
            self._sink(self._chunk("", entry))
        self._sink(self._chunk(shown, entries[-1] if entries else {}))

    def _chunk(self, text: str, entry: dict[str, Any]) -> Chunk:
        top = tuple(
            Alternative(_identity(one), token_text(one), logprob_of(one))
            for one in _expect(entry.get("top_logprobs") or [], list, "top_logprobs")[: self._request.top_logprobs]
            if isinstance(one, dict)
        )
        logprob = logprob_of(entry)
        # At temperature 0 the chosen token is the likeliest; mlx_lm.server gives any of them as the chosen one.
        if self._request.temperature == 0 and any(one.logprob > logprob + _ROUNDING for one in top):
            logprob = math.nan
        return Chunk(text, _identity(entry), logprob, top)

    def finished(self, prompt_tokens: int) -> Finished:
        """The end. `prompt_tokens` is an estimate for a server that does not count. Raises BadEvent, Incomplete."""
        if self._reason is None:
            raise BadEvent("the answer was cut in the middle")
        text = "".join(self._texts) + self._assembler.finish()
        structure = self._request.structure
        if structure is not None:
            text = _unwrapped(text) if self._chosen else text
            structure.parse(text)
        details = self._usage.get("prompt_tokens_details")
        end = time.monotonic()
        first = self._first if self._first is not None else end
        return Finished(
            text,
            self._reason,
            Usage(
                _count(self._usage, "prompt_tokens", prompt_tokens),
                _count(details if isinstance(details, dict) else {}, "cached_tokens", 0),
                _count(self._usage, "completion_tokens", self.tokens),
            ),
            Timing(first - self._begin, end - first),
        )

    @property
    def counted(self) -> bool:
        """Whether the server said how many tokens there were."""
        return bool(self._usage)


def _unwrapped(text: str) -> str:
    try:
        choice = json.loads(text)["choice"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise Incomplete("The answer is none of the choices.", next_step="Ask again with more room.") from error
    return choice if isinstance(choice, str) else ""


def token_text(entry: Mapping[str, Any]) -> str:
    """What a token says. Some servers give it as the vocabulary spells it, with a sign for the space."""
    token = entry.get("token")
    return token.replace("\u0120", " ").replace("\u2581", " ") if isinstance(token, str) else ""


def logprob_of(entry: Mapping[str, Any]) -> float:
    """NaN when the server does not say, or says what no logprob can be."""
    value = entry.get("logprob")
    if not isinstance(value, int | float) or isinstance(value, bool) or value > _ROUNDING:
        return math.nan
    return float(value)


def _identity(entry: Mapping[str, Any]) -> int | None:
    value = entry.get("id")
    return value if isinstance(value, int) else None


def _count(usage: Mapping[str, Any], name: str, otherwise: int) -> int:
    value = usage.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else otherwise


def _expect(value: Any, kind: type, name: str) -> Any:
    if not isinstance(value, kind):
        raise BadEvent(f"{name} should be {kind.__name__}, not {type(value).__name__}")
    return value
