from __future__ import annotations

import asyncio
import importlib
import math
import pkgutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import leanvibe_lsp
from leanvibe_lsp.assist import ask as module
from leanvibe_lsp.assist.answer import Answer, AskEvent, AskRequest, Place, Restart, Stage, TextDelta, Turn
from leanvibe_lsp.assist.answer_cache import AnswerCache
from leanvibe_lsp.assist.answer_json import answer_json
from leanvibe_lsp.assist.ask import ask
from leanvibe_lsp.assist.fitting import build_prompt
from leanvibe_lsp.config.limits import LIMITS
from leanvibe_lsp.config.settings import RemoteSettings
from leanvibe_lsp.core.cancel import CancelToken
from leanvibe_lsp.core.text import LineIndex, Span
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.engine.base import Chunk, Engine, Loaded, Source
from leanvibe_lsp.engine.chain import Choose, EngineChain, Skipped
from leanvibe_lsp.engine.host import EngineHost
from leanvibe_lsp.engine.mock import NOTICE, TEMPLATE, CharacterTokenizer, MockEngine
from leanvibe_lsp.engine.remote import RemoteEngine
from leanvibe_lsp.engine.remote.receipts import Receipts
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
    LeanVibeError,
    RemoteError,
    UsageError,
    Withheld,
)
from tests.support.engines import WAIT, EndlessEngine, KnowingEngine, located
from tests.support.fault_server import document, serve

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

    def first(self) -> tuple[EngineHost, tuple[Skipped, ...]]:
        """The first host."""
        return self.hosts[0], ()

    def after(self, host: EngineHost, error: LeanVibeError) -> EngineHost | None:
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
    assert answer.signs is not None
    assert answer.signs.mean == answer.confidence.value
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
    assert (second.confidence, second.signs) == (first.confidence, first.signs)
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


# What a server is told


def server() -> Loaded:
    """A model behind one."""
    return Loaded(8_000, 0, "remote", None, "")


_SEEN = (Source("file:///project/seen.py", 3, 9),)


def test_a_server_is_told_of_all_that_the_prompt_quotes() -> None:
    """Each block that was packed, and what earlier turns quote: the policy judges them, and the receipt lists them."""
    history = (Turn("user", "a", ()), Turn("assistant", "b", _SEEN))
    inside = _CODE.index("return os")
    request = AskRequest("q", (place(span=Span(inside, inside + 6)), place("x = 1\n", name="other.py")), history)
    prompt = build_prompt(request, server())
    blocks = tuple(Source(block.uri, block.start_line, block.end_line) for block in prompt.packed.blocks)
    assert len({source.uri for source in blocks}) == 2
    assert prompt.sources == (*blocks, *_SEEN)
    assert module._generation(request, prompt).sources == prompt.sources
    assert [message.content for message in prompt.messages[1:3]] == ["a", "b"]


@pytest.mark.parametrize("known", [0, 2])
def test_a_server_is_not_told_of_turns_whose_files_are_not_known(known: int) -> None:
    """Nor of what was answered after them, which may repeat them; that is said. A model here is told of all."""
    turns = [Turn("user", "one", ()), Turn("assistant", "two", _SEEN)][:known]
    turns += [Turn("user", "PASSWORD", None), Turn("assistant", "it is hunter2", ()), Turn("user", "really?", ())]
    request = AskRequest("q", history=(*turns, Turn("assistant", "hunter2", ())))
    prompt = build_prompt(request, server())
    said = " ".join(message.content for message in prompt.messages)
    assert "PASSWORD" not in said
    assert "hunter2" not in said
    assert ("two" in said) is (known == 2)
    assert prompt.omitted == ("4 earlier messages: a server answers, and it is not known which files they quote",)
    here = build_prompt(request, model(8_000))
    assert here.omitted == ()
    assert "hunter2" in text_of(here.ids)


def test_what_a_forgotten_turn_quotes_counts_while_a_later_one_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The later answer was given by a model that knew it; without any earlier turn it counts no more."""
    history = (
        Turn("user", "x" * 90, ()),
        Turn("assistant", "y" * 90, _SEEN),
        Turn("user", "u", ()),
        Turn("assistant", "v", ()),
    )
    monkeypatch.setitem(LIMITS, "history.tokens", replace(LIMITS["history.tokens"], default=10))
    prompt = build_prompt(AskRequest("q", history=history), server())
    assert [message.content for message in prompt.messages[1:3]] == ["u", "v"]
    assert prompt.sources == _SEEN
    assert build_prompt(AskRequest("q", history=history[:2]), server()).sources == ()


@pytest.mark.parametrize("structure", [None, Structure.of_schema({"type": "object"})])
def test_a_structure_may_say_the_same_over_and_over(structure: Structure | None) -> None:
    """A list of equal things is no loop; text without a structure is watched for them."""
    request = AskRequest("q", structure=structure)
    assert module._generation(request, build_prompt(request, model(8_000))).stop_loops is (structure is None)


class Chained:
    """A real chain over engines by the names of their models, best first; `built` are all that were made."""

    def __init__(self, **engines: Callable[[], Engine]) -> None:
        self.engines = engines
        self.built: list[tuple[str, Any]] = []
        self.chain = EngineChain(
            lambda: tuple(Selection("llama.cpp", located(name=name), ()) for name in self.engines), self._make
        )
        self.workers = ThreadPoolExecutor(max_workers=2)
        self.heard: list[AskEvent] = []

    def _make(self, choose: Choose, name: str) -> EngineHost:
        return EngineHost(choose, self._build, Scheduler(capacity=16), name=name)

    def _build(self, selection: Selection) -> Engine:
        engine = self.engines[selection.model]()
        self.built.append((selection.model, engine))
        return engine

    async def ask(self, question: str = "q") -> Answer:
        """Ask down the chain."""
        return await ask(
            AskRequest(question),
            hosts=self.chain,
            workers=self.workers,
            sink=self.heard.append,
            cancel=CancelToken(),
        )

    @property
    def held(self) -> list[str]:
        """The models in memory."""
        return [name for name, engine in self.built if not engine.closed]


@pytest.fixture
def chained() -> Iterator[Callable[..., Chained]]:
    """Chains that are closed after the test."""
    made: list[Chained] = []

    def make(**engines: Callable[[], Engine]) -> Chained:
        made.append(Chained(**engines))
        return made[-1]

    yield make
    for one in made:
        assert one.chain.close(WAIT)
        one.workers.shutdown()


MakeChained = Callable[..., Chained]


async def test_an_engine_that_is_left_alone_is_named_in_each_answer(chained: MakeChained) -> None:
    """Nobody is answered by the second one without being told why, however long the first one is left alone."""
    room = chained(one=Failing, two=KnowingEngine)
    for question in ("a", "b"):
        answer = await room.ask(question)
        assert answer.model == "two"
        assert [(one.engine, one.reason) for one in answer.fallbacks] == [("one on llama.cpp", "it broke.")]


async def test_what_may_not_leave_is_asked_of_the_engine_here_although_it_failed(chained: MakeChained) -> None:
    """It is well again: it answers, and the answer says what happened; it is not: the refusal says so."""
    room = chained(one=Failing, server=KnowingEngine)
    await room.ask("a")
    room.engines["one"] = KnowingEngine
    room.built[-1][1].generate = Failing(error=Withheld("secret.py may not leave.")).generate
    answer = await room.ask("b")
    assert answer.model == "one"
    assert [(one.engine, one.reason) for one in answer.fallbacks] == [
        ("server on llama.cpp", "secret.py may not leave.")
    ]
    room = chained(one=Failing, server=KnowingEngine)
    await room.ask("a")
    room.built[-1][1].generate = Failing(error=Withheld("secret.py may not leave.")).generate
    with pytest.raises(Withheld, match=r"may not leave\. Before that, one on llama\.cpp: it broke\."):
        await room.ask("b")
    assert [name for name, _ in room.built] == ["one", "server", "one"]


def _every_error() -> list[type[LeanVibeError]]:
    """All classes of errors that the package defines, wherever."""
    for found in pkgutil.walk_packages(leanvibe_lsp.__path__, "leanvibe_lsp."):
        if not found.name.endswith("__main__") and ".local." not in found.name:  # MLX may not be here
            importlib.import_module(found.name)
    kinds = [LeanVibeError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    return [kind for kind in kinds if kind.__module__.startswith("leanvibe_lsp.")]


def test_every_error_can_say_what_went_before() -> None:
    """With a constructor of its own too: the same class and fields; first the errors, then each next step once."""
    before = {"a on mlx": EngineError("A broke.", next_step="Ask."), "b on mlx": EngineError("B.", next_step="Look.")}
    kinds = _every_error()
    assert {kind.__name__ for kind in kinds} >= {"Refused", "ConnectFailed", "TemplateRefused", "Withheld", "Busy"}
    for kind in kinds:
        error = kind.__new__(kind)
        LeanVibeError.__init__(error, "It broke.", next_step="Look.")
        error.status = 500  # type: ignore[attr-defined]
        told = module._with_history(error, before)
        assert (type(told), vars(told)) == (
            kind,
            {
                "message": "It broke. Before that, a on mlx: A broke. Before that, b on mlx: B.",
                "next_step": "Look. Ask.",
                "status": 500,
            },
        )
        assert str(error) == "It broke. Look."


@pytest.mark.parametrize("status", [401, 429, 500])
async def test_what_a_server_refuses_has_its_name(
    chained: MakeChained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    """A real engine for a real server that says no, behind one here that failed: one error, which names both."""
    monkeypatch.setitem(LIMITS, "remote.retry_milliseconds", replace(LIMITS["remote.retry_milliseconds"], default=1))
    receipts = Receipts(tmp_path / "receipts.jsonl")
    with serve() as found:
        found.on("/v1/chat/completions", document({"error": {"message": "boom"}}, status))
        remote = RemoteSettings(url=found.url)
        room = chained(one=Failing, two=lambda: RemoteEngine(remote, receipts=receipts, environment={}))
        with pytest.raises(RemoteError) as caught:
            await room.ask()
    assert caught.value.message.endswith(f" answered {status}: boom. Before that, one on llama.cpp: it broke.")
    assert caught.value.exit_code == 4


async def test_an_error_that_others_see_too_stays_as_it_is(chained: MakeChained) -> None:
    """The history is the asker's; the engine's own status has the engine's own error."""
    room = chained(one=Failing, two=lambda: Failing(error=EngineError("two broke.")))
    with pytest.raises(EngineError, match=r"two broke\. Before that, one"):
        await room.ask()
    failure = room.chain.hosts()[1].status.failure
    assert failure is not None
    assert failure.message == "two broke."


async def test_a_model_that_no_prompt_can_be_written_for_is_freed(chained: MakeChained) -> None:
    """Its template is at fault: the next one answers, with the memory to itself."""
    room = chained(one=lambda: KnowingEngine(chat="{{ raise_exception('no such role') }}"), two=KnowingEngine)
    answer = await room.ask()
    assert answer.model == "two"
    assert "no such role" in answer.fallbacks[0].reason
    assert room.held == ["two"]
    assert "no such role" in str(room.chain.first()[1][0].error)


async def test_those_who_wait_for_a_dead_engine_do_not_load_it_again(chained: MakeChained) -> None:
    """Six questions at once, and one load of each engine."""
    dead: list[Unloadable] = []
    go_on = threading.Event()

    class Held(Unloadable):
        def load(self, cancel: CancelToken) -> Loaded:
            dead.append(self)
            assert go_on.wait(WAIT)
            return super().load(cancel)

    room = chained(one=Held, two=KnowingEngine)
    tasks = [asyncio.ensure_future(room.ask(str(number))) for number in range(6)]
    async with asyncio.timeout(WAIT):
        while room.chain.first()[0].queue_depth < 5:  # noqa: ASYNC110 - nothing is told when one joins the queue
            await asyncio.sleep(0)
    go_on.set()
    answers = await asyncio.gather(*tasks)
    assert {(answer.model, len(answer.fallbacks)) for answer in answers} == {("two", 1)}
    assert [name for name, _ in room.built] == ["one", "two"]
    assert len(dead) == 1


async def test_a_prompt_is_written_anew_for_another_model(
    chained: MakeChained, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model is freed and another one pulled while the prompt is written: it never sees the first one's prompt."""
    seen: list[tuple[str, str]] = []

    class Recording(KnowingEngine):
        def __init__(self, name: str) -> None:
            super().__init__(chat=name + ": {{ messages[-1].content }}")
            self.name = name

        def generate(self, request: Any, *rest: Any) -> Any:
            if request.max_tokens > 1:
                seen.append((self.name, text_of(request.prompt)))
            return super().generate(request, *rest)

    room = chained(one=lambda: Recording("one"))

    def build(request: AskRequest, loaded: Loaded) -> Any:
        prompt = build_prompt(request, loaded)
        if "one" in room.engines:
            del room.engines["one"]
            room.engines["two"] = lambda: Recording("two")
            room.chain.first()[0].unload(CancelToken()).result(WAIT)
        return prompt

    monkeypatch.setattr(module, "build_prompt", build)
    answer = await room.ask("q")
    assert answer.model == "two"
    assert [(name, text.split(":")[0]) for name, text in seen] == [("two", "two")]
    assert answer.fallbacks == ()


async def test_text_is_taken_back_once(rooms: list[Room]) -> None:
    """A second engine that fails without a word has nothing to take back."""
    room = open_room(rooms, Failing(words=3), Failing(), KnowingEngine())
    await room.ask(AskRequest("q"))
    assert len([event for event in room.heard if isinstance(event, Restart)]) == 1
