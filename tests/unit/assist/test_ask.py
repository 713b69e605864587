from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leanvibe_lsp.assist import ask as module
from leanvibe_lsp.assist.answer import Answer, AskEvent, AskRequest, Place, Restart, Stage, TextDelta, Turn
from leanvibe_lsp.assist.answer_cache import AnswerCache
from leanvibe_lsp.assist.answer_json import answer_json
from leanvibe_lsp.assist.ask import ask
from leanvibe_lsp.assist.fitting import build_prompt
from leanvibe_lsp.config.limits import LIMITS
from leanvibe_lsp.core.cancel import CancelToken
from leanvibe_lsp.core.text import LineIndex, Span
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.engine.base import Chunk, Engine, Loaded
from leanvibe_lsp.engine.host import EngineHost
from leanvibe_lsp.engine.mock import NOTICE, TEMPLATE, CharacterTokenizer, MockEngine
from leanvibe_lsp.engine.scheduler import Scheduler
from leanvibe_lsp.engine.select import Selection
from leanvibe_lsp.engine.structured import Structure
from leanvibe_lsp.errors import (
    BackendError,
    Busy,
    Cancelled,
    ContextTooLarge,
    DeadlineExceeded,
    EngineError,
    Incomplete,
    UsageError,
)
from tests.support.engines import WAIT, EndlessEngine, KnowingEngine, located

_CODE = "import os\n\n\ndef first(a):\n    return a\n\n\ndef second(b):\n    return os.path.join(b, b)\n"


def place(text: str = _CODE, span: Span | None = None, name: str = "code.py") -> Place:
    path = Path("/project") / name
    return Place(Snapshot(path.as_uri(), path, "python", None, text, LineIndex(text)), span)


class Room:
    """A chain of hosts over engines, a pool for the packing, and what the sink heard."""

    def __init__(self, *engines: Engine, capacity: int = 4, answers: AnswerCache | None = None) -> None:
        self.scheduler = Scheduler(capacity=capacity)
        schedulers = [self.scheduler, *(Scheduler(capacity=capacity) for _ in engines[1:])]
        self.hosts = [_host(engine, scheduler) for engine, scheduler in zip(engines, schedulers, strict=True)]
        self.host = self.hosts[0]
        self.answers = answers
        self.workers = ThreadPoolExecutor(max_workers=1)
        self.heard: list[AskEvent] = []

    async def ask(self, request: AskRequest, *, cancel: CancelToken | None = None, sink: Any = None) -> Answer:
        """Ask in this room; without a `sink`, what comes is kept in `heard`."""
        return await ask(
            request,
            hosts=self,
            workers=self.workers,
            sink=sink or self.heard.append,
            cancel=cancel or CancelToken(),
            answers=self.answers,
        )

    def first(self) -> EngineHost:
        """The first host."""
        return self.hosts[0]

    def after(self, host: EngineHost) -> EngineHost | None:
        """The one behind it."""
        return next(iter(self.hosts[self.hosts.index(host) + 1 :]), None)

    @property
    def text(self) -> str:
        """All deltas joined."""
        return "".join(event.text for event in self.heard if isinstance(event, TextDelta))

    def close(self) -> None:
        """End the engine's thread and the pool."""
        for host in self.hosts:
            assert host.close(WAIT)
        self.workers.shutdown()


def _host(engine: Engine, scheduler: Scheduler) -> EngineHost:
    real = isinstance(engine, KnowingEngine)
    selection = Selection("llama.cpp", located(), ()) if real else Selection("mock", None, ())
    return EngineHost(lambda _: selection, lambda _: engine, scheduler, name=type(engine).__name__)


@pytest.fixture
def rooms() -> Iterator[list[Room]]:
    """Rooms that are closed after the test."""
    made: list[Room] = []
    yield made
    for room in made:
        room.close()


def open_room(rooms: list[Room], *engines: Engine, **options: Any) -> Room:
    rooms.append(Room(*engines, **options))
    return rooms[-1]


async def test_the_deltas_are_the_answer(rooms: list[Room]) -> None:
    """All deltas joined are the answer, byte for byte; the mock says first what it is; stages come before."""
    room = open_room(rooms, MockEngine())
    answer = await room.ask(AskRequest("what?", (place(),)))
    assert room.text == answer.answer
    assert answer.answer.startswith(NOTICE)
    assert (answer.model, answer.backend, answer.tier, answer.finish_reason) == ("mock", "mock", "mock", "stop")
    assert list(dict.fromkeys(event.title for event in room.heard if isinstance(event, Stage))) == [
        "loading model",
        "reading context",
        "reading prompt",
    ]
    tokens = [event.tokens for event in room.heard if isinstance(event, TextDelta)]
    assert tokens == sorted(tokens)
    assert tokens[-1] == answer.usage.completion_tokens


async def test_a_real_engine_gives_confidence_and_timing(rooms: list[Room]) -> None:
    """Confidence is the raw mean token probability, and says that it is not calibrated; a loaded model is no stage."""
    room = open_room(rooms, KnowingEngine(logprob=math.log(0.9)))
    await room.ask(AskRequest("one"))
    room.heard.clear()
    answer = await room.ask(AskRequest("two"))
    assert answer.confidence.value == pytest.approx(0.9)
    assert answer.confidence.method == "mean-token-probability"
    assert not answer.confidence.calibrated
    assert answer.timing.tokens_per_second == pytest.approx(50.0)
    assert 0 <= answer.timing.first_token_seconds <= answer.timing.total_seconds
    assert "loading model" not in [event.title for event in room.heard if isinstance(event, Stage)]


async def test_citations_say_what_was_packed(rooms: list[Room]) -> None:
    """Each citation names lines that the prompt shows; a question alone has none."""
    room = open_room(rooms, MockEngine())
    answer = await room.ask(AskRequest("what?", (place(),)))
    assert [(citation.uri, citation.start_line) for citation in answer.citations] == [("file:///project/code.py", 0)]
    assert (await room.ask(AskRequest("what?"))).citations == ()
    body = answer_json(answer)["citations"]
    assert body == [
        {
            "uri": "file:///project/code.py",
            "range": {
                "start": {"line": 0, "character": 0},
                "end": {"line": answer.citations[0].end_line + 1, "character": 0},
            },
            "what": "whole file",
        }
    ]


@pytest.mark.parametrize(
    "request_",
    [
        AskRequest(""),
        AskRequest(" \n\t"),
        AskRequest("q", max_tokens=0),
        AskRequest("q", max_tokens=-5),
        AskRequest("q", temperature=-0.1),
        AskRequest("q", temperature=2.1),
        AskRequest("q", temperature=math.nan),
        AskRequest("q", temperature=math.inf),
    ],
)
async def test_a_bad_request_is_refused_before_anything_is_loaded(rooms: list[Room], request_: AskRequest) -> None:
    """An empty question, no tokens, a temperature out of range: UsageError with a next step; nothing is loaded."""
    room = open_room(rooms, MockEngine())
    with pytest.raises(UsageError) as caught:
        await room.ask(request_)
    assert caught.value.next_step
    assert room.host.status.state == "idle"
    assert room.heard == []


async def test_a_question_that_does_not_fit(rooms: list[Room]) -> None:
    """ContextTooLarge says how large the question is, and the window."""
    room = open_room(rooms, MockEngine(window=600))
    with pytest.raises(ContextTooLarge, match="window of 600"):
        await room.ask(AskRequest("x" * 1_000))


async def test_the_token_pulled_in_the_stream_stops_the_engine(rooms: list[Room]) -> None:
    """A cancel while the answer streams: Cancelled with its reason, and the engine is idle."""
    engine, token = EndlessEngine(), CancelToken()
    room = open_room(rooms, engine)

    def sink(event: AskEvent) -> None:
        room.heard.append(event)
        if isinstance(event, TextDelta):
            token.cancel("enough")

    with pytest.raises(Cancelled, match="enough"):
        await room.ask(AskRequest("q"), cancel=token, sink=sink)
    assert engine.idle.wait(WAIT)
    assert engine.stopped_by == "enough"


async def test_a_cancelled_task_stops_the_engine_and_says_nothing_more(rooms: list[Room]) -> None:
    """When the awaiting task is cancelled the engine stops, and no late token reaches the sink."""
    engine = EndlessEngine()
    room = open_room(rooms, engine)
    speaking = asyncio.Event()

    def sink(event: AskEvent) -> None:
        room.heard.append(event)
        if isinstance(event, TextDelta):
            speaking.set()

    task = asyncio.ensure_future(room.ask(AskRequest("q"), sink=sink))
    await asyncio.wait_for(speaking.wait(), WAIT)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    heard = len(room.heard)
    assert await asyncio.get_running_loop().run_in_executor(None, engine.idle.wait, WAIT)
    assert engine.stopped_by == "the question is closed"
    await asyncio.get_running_loop().run_in_executor(None, lambda: None)  # let what the engine handed over come through
    assert len(room.heard) == heard


async def test_a_sink_that_fails_ends_the_question(rooms: list[Room]) -> None:
    """The reader went away: its error is the question's, and the engine does not run on for nobody."""
    engine = EndlessEngine()
    room = open_room(rooms, engine)

    def sink(event: AskEvent) -> None:
        if isinstance(event, TextDelta):
            raise BrokenPipeError("gone")

    with pytest.raises(BrokenPipeError):
        await room.ask(AskRequest("q"), sink=sink)
    assert engine.idle.wait(WAIT)
    quick = open_room(rooms, MockEngine())
    with pytest.raises(BrokenPipeError):
        await quick.ask(AskRequest("q"), sink=sink)


async def test_the_deadline(rooms: list[Room], monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that takes too long is DeadlineExceeded, and the engine stops."""
    monkeypatch.setitem(LIMITS, "answer.seconds", replace(LIMITS["answer.seconds"], default=1))
    engine = EndlessEngine()
    room = open_room(rooms, engine)
    with pytest.raises(DeadlineExceeded) as caught:
        await room.ask(AskRequest("q"))
    assert caught.value.next_step
    assert await asyncio.get_running_loop().run_in_executor(None, engine.idle.wait, WAIT)


async def test_a_full_queue_is_busy(rooms: list[Room]) -> None:
    """When as many wait as may, the next question is refused at once."""
    engine = EndlessEngine()
    room = open_room(rooms, engine, capacity=1)
    tasks = [asyncio.ensure_future(room.ask(AskRequest("q")))]
    assert await asyncio.get_running_loop().run_in_executor(None, engine.started.wait, WAIT)
    waiting = room.scheduler.submit(lambda _: None, priority=0, cancel=CancelToken(), deadline=module.Deadline.never())
    with pytest.raises(Busy):
        await room.ask(AskRequest("q"))
    tasks[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await tasks[0]
    assert waiting.result(WAIT) is None


async def test_errors_of_the_engine_are_the_askers(rooms: list[Room]) -> None:
    """An EngineError comes out as it is."""

    with pytest.raises(EngineError, match="broken"):
        await open_room(rooms, Failing(error=EngineError("broken"))).ask(AskRequest("q"))


class Failing(KnowingEngine):
    """Proves itself; then says `words` words and fails."""

    def __init__(self, *, words: int = 0, error: Exception | None = None) -> None:
        super().__init__()
        self._words = words
        self._error = error or EngineError("it broke.")

    def generate(self, request: Any, sink: Any, *rest: Any) -> Any:
        """The known answers come; nothing else does."""
        if request.max_tokens == 1:
            return super().generate(request, sink, *rest)
        for _ in range(self._words):
            sink(Chunk("half ", 1, -0.1))
        raise self._error


class Unloadable(KnowingEngine):
    """Cannot be loaded."""

    def load(self, cancel: CancelToken) -> Loaded:
        """Never."""
        raise BackendError("no such library.")


async def test_when_an_engine_fails_the_next_one_answers_and_the_answer_says_so(rooms: list[Room]) -> None:
    """Each failure is named, in order; the deltas are the last engine's answer alone."""
    room = open_room(rooms, Unloadable(), Failing(), KnowingEngine())
    answer = await room.ask(AskRequest("q"))
    assert answer.answer == room.text == "yes."
    assert [(one.engine, one.reason) for one in answer.fallbacks] == [
        ("planted on llama.cpp", "no such library."),
        ("planted on llama.cpp", "it broke."),
    ]
    assert not any(isinstance(event, Restart) for event in room.heard)
    assert answer_json(answer)["fallbacks"] == [
        {"engine": "planted on llama.cpp", "reason": "no such library."},
        {"engine": "planted on llama.cpp", "reason": "it broke."},
    ]


async def test_text_of_an_engine_that_failed_is_taken_back(rooms: list[Room]) -> None:
    """What was told before the restart is no part of the answer; what comes after it is all of it."""
    room = open_room(rooms, Failing(words=3), KnowingEngine())
    answer = await room.ask(AskRequest("q"))
    (restart,) = [event for event in room.heard if isinstance(event, Restart)]
    assert restart.reason == "planted on llama.cpp failed: it broke."
    after = room.heard[room.heard.index(restart) :]
    assert "".join(event.text for event in after if isinstance(event, TextDelta)) == answer.answer == "yes."
    assert any(isinstance(event, TextDelta) for event in room.heard[: room.heard.index(restart)])


async def test_a_sink_that_cannot_take_text_back_ends_the_question(rooms: list[Room]) -> None:
    """Its error is the question's."""
    room = open_room(rooms, Failing(words=3), KnowingEngine())

    def sink(event: AskEvent) -> None:
        if isinstance(event, Restart):
            raise EngineError("cannot take it back")

    with pytest.raises(EngineError, match="cannot take it back"):
        await room.ask(AskRequest("q"), sink=sink)


async def test_when_all_fail_each_failure_is_named(rooms: list[Room]) -> None:
    """The last error comes out, and says what went before."""
    room = open_room(rooms, Unloadable(), Failing())
    with pytest.raises(EngineError, match=r"it broke\. Before that, planted on llama\.cpp: no such library\."):
        await room.ask(AskRequest("q"))


@pytest.mark.parametrize("error", [Busy("b"), Cancelled("c"), DeadlineExceeded("d"), Incomplete("i")])
async def test_what_is_the_requests_own_doing_is_no_reason_to_ask_another(
    rooms: list[Room], error: EngineError
) -> None:
    """No other engine is loaded for it."""
    second = KnowingEngine()
    with pytest.raises(type(error)):
        await open_room(rooms, Failing(error=error), second).ask(AskRequest("q"))
    assert second.loads == 0


async def test_the_very_same_question_is_answered_from_the_cache(rooms: list[Room], tmp_path: Path) -> None:
    """Same text, same confidence, nothing generated; the answer says that it was kept."""
    engine = KnowingEngine(logprob=math.log(0.9))
    room = open_room(rooms, engine, answers=AnswerCache(tmp_path / "answers.sqlite"))
    first = await room.ask(AskRequest("q", (place(),)))
    made = engine.generations
    room.heard.clear()
    second = await room.ask(AskRequest("q", (place(),)))
    assert engine.generations == made
    assert (first.remembered, second.remembered) == (False, True)
    assert second.answer == first.answer == room.text
    assert second.confidence == first.confidence
    assert second.citations == first.citations
    assert second.usage.cached_tokens == second.usage.prompt_tokens == first.usage.prompt_tokens
    assert answer_json(second)["remembered"] is True


@pytest.mark.parametrize(
    "other",
    [
        AskRequest("p", (place(),)),
        AskRequest("q"),
        AskRequest("q", (place(_CODE + " "),)),
        AskRequest("q", (place(),), max_tokens=17),
        AskRequest("q", (place(),), history=(Turn("user", "a"), Turn("assistant", "b"))),
        AskRequest("q", (place(),), structure=Structure.of_choices(["yes."])),
        AskRequest("q", (place(),), temperature=0.5),
    ],
)
async def test_any_other_question_is_asked(rooms: list[Room], tmp_path: Path, other: AskRequest) -> None:
    """Change any part, and it is a miss; what is drawn is asked each time."""
    engine = KnowingEngine()
    room = open_room(rooms, engine, answers=AnswerCache(tmp_path / "answers.sqlite"))
    await room.ask(AskRequest("q", (place(),)))
    made = engine.generations
    assert not (await room.ask(other)).remembered
    assert engine.generations == made + 1
    again = await room.ask(other)
    assert again.remembered == (other.temperature == 0)


async def test_the_mock_is_never_kept(rooms: list[Room], tmp_path: Path) -> None:
    """Scripted text is no answer to keep."""
    answers = AnswerCache(tmp_path / "answers.sqlite")
    room = open_room(rooms, MockEngine(), answers=answers)
    for _ in range(2):
        assert not (await room.ask(AskRequest("q"))).remembered
    assert answers.status().answers == 0


def model(window: int) -> Loaded:
    return Loaded(window, 0, "cpu", CharacterTokenizer(), TEMPLATE)


def text_of(ids: tuple[int, ...]) -> str:
    return "".join(map(chr, ids))


def test_history_is_trimmed_newest_first_and_said() -> None:
    """The newest turns stay, the oldest go, and `omitted` says how many."""
    history = tuple(
        Turn("user" if index % 2 == 0 else "assistant", f"[turn {index}]" + "." * 40) for index in range(20)
    )
    prompt = build_prompt(AskRequest("why?", history=history, max_tokens=500), model(2_000))
    text = text_of(prompt.ids)
    kept = [index for index in range(20) if f"[turn {index}]" in text]
    assert kept == list(range(kept[0], 20))
    assert kept[0] % 2 == 0
    assert 0 < kept[0] < 20
    assert f"{kept[0]} earlier messages" in prompt.omitted
    assert text.index("[turn 19]") < text.index("why?")


def test_history_gives_way_to_the_question() -> None:
    """A question that fits alone is asked, whatever the conversation before it was."""
    history = (Turn("user", "a" * 30), Turn("assistant", "b" * 30))
    alone = len(build_prompt(AskRequest("q" * 200, max_tokens=100), model(4_000)).ids)
    tight = model(alone + 100 + 10)
    prompt = build_prompt(AskRequest("q" * 200, history=history, max_tokens=100), tight)
    assert len(prompt.ids) == alone
    assert "2 earlier messages" in prompt.omitted


def test_the_stable_part_comes_first() -> None:
    """Instructions, then code, then the question: a cached beginning stays valid when only the question changes."""
    first, second = (build_prompt(AskRequest(q, (place(),)), model(8_000)).ids for q in ("one?", "two?"))
    same = next(index for index, (a, b) in enumerate(zip(first, second, strict=False)) if a != b)
    assert _CODE.strip() in text_of(first[:same])


def test_max_tokens_leave_room_for_the_prompt() -> None:
    """However long an answer is asked for, half of the window is the prompt's."""
    assert build_prompt(AskRequest("q", max_tokens=10**30), model(1_000)).max_tokens == 500
    assert build_prompt(AskRequest("q", max_tokens=7), model(1_000)).max_tokens == 7


_TURNS = st.lists(
    st.builds(Turn, st.sampled_from(["user", "assistant"]), st.text(alphabet="ab `\n", max_size=120)), max_size=8
)


@settings(deadline=None)
@given(
    st.integers(400, 3_000),
    st.integers(1, 4_000),
    st.text(alphabet="q ?`\n", min_size=1, max_size=600).filter(str.strip),
    _TURNS,
    st.lists(st.text(alphabet="def x():\n  `#", max_size=1_500), max_size=3),
)
def test_a_prompt_never_exceeds_its_room(
    window: int, max_tokens: int, question: str, history: list[Turn], files: list[str]
) -> None:
    """Prompt and answer together fit the window, whatever is asked; the question stands whole; or it is too large."""
    places = tuple(place(text, name=f"f{index}.py") for index, text in enumerate(files))
    request = AskRequest(question, places, tuple(history), max_tokens)
    try:
        prompt = build_prompt(request, model(window))
    except ContextTooLarge:
        with pytest.raises(ContextTooLarge):
            build_prompt(AskRequest(question, max_tokens=max_tokens), model(window))
        return
    assert len(prompt.ids) + prompt.max_tokens <= window
    assert 1 <= prompt.max_tokens <= max_tokens
    assert question in text_of(prompt.ids)
    for block in prompt.packed.blocks:
        assert block.text.rstrip() in text_of(prompt.ids)
