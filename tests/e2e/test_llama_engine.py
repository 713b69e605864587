"""llama.cpp with a real model: structures, pauses and lanes."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leanvibe_lsp.core.cancel import CancelToken, Deadline
from leanvibe_lsp.engine.base import NO_PAUSE, Chunk, Event, Finished, GenerationRequest, Job, Loaded, Pause, Prefill
from leanvibe_lsp.engine.llama import LlamaEngine, backend
from leanvibe_lsp.engine.models.registry import resolve
from leanvibe_lsp.engine.structured import Structure
from leanvibe_lsp.errors import Cancelled, Incomplete

pytestmark = pytest.mark.real_model

CODE = "def fibonacci(n):\n"
# Its next tokens are clear. llama.cpp rounds activations to 8 bits: where two are nearly tied, how a prompt was cut and
# what else is in the cache may turn the balance.
LONG = "".join(f"item {number}\n" for number in range(1, 90))


class Llama:
    """SmolLM2 on llama.cpp."""

    def __init__(self, engine: LlamaEngine) -> None:
        self.engine = engine
        self.loaded: Loaded = engine.load(CancelToken())

    def request(self, text: str, tokens: int = 24, **options: Any) -> GenerationRequest:
        """A greedy request for what follows a text."""
        assert self.loaded.tokenizer is not None
        return GenerationRequest(tuple(self.loaded.tokenizer.encode(text)), max_tokens=tokens, **options)

    def ask(
        self, request: GenerationRequest, pause: Pause = NO_PAUSE, cancel: CancelToken | None = None
    ) -> tuple[Finished, list[Event]]:
        """The answer and its events."""
        events: list[Event] = []
        finished = self.engine.generate(request, events.append, cancel or CancelToken(), Deadline.never(), pause)
        return finished, events

    def batch(self, jobs: list[Job], pause: Pause = NO_PAUSE) -> None:
        """Run them together."""
        left = list(jobs)

        def take(count: int) -> list[Job]:
            given = left[:count]
            del left[:count]
            return given

        self.engine.generate_batch(take, pause)


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Llama]:
    """Loaded once."""
    found = Llama(LlamaEngine(resolve("smollm2", cache=tmp_path_factory.mktemp("cache"))))
    yield found
    found.engine.close()


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Callable[[], Llama]]:
    """Makes engines that hold nothing yet."""
    made: list[Llama] = []

    def make() -> Llama:
        made.append(Llama(LlamaEngine(resolve("smollm2", cache=tmp_path))))
        return made[-1]

    yield make
    for one in made:
        one.engine.close()


class EveryLook:
    """Wanted at every look up to `times`; then urgent work is asked of the same engine."""

    def __init__(self, times: int, urgent: Callable[[], object]) -> None:
        self.times = times
        self.urgent = urgent

    @property
    def wanted(self) -> bool:
        """True `times` times."""
        return self.times > 0

    def run(self) -> None:
        """The urgent work."""
        self.times -= 1
        self.urgent()


def ids(events: list[Event]) -> list[int | None]:
    return [event.token_id for event in events if isinstance(event, Chunk)]


def job(request: GenerationRequest) -> Job:
    return Job(request, lambda _: None, CancelToken(), Deadline.never(), Future())


SCHEMAS: list[dict[str, Any]] = [
    {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False},
    {"type": "array", "items": {"enum": ["é", "日本", '"q"\n']}, "minItems": 2, "maxItems": 3},
    {"type": "string", "minLength": 3, "maxLength": 9},
    {"type": "integer", "minimum": 10, "maximum": 99},
    {"anyOf": [{"type": "boolean"}, {"type": "null"}]},
    {"type": "string", "pattern": "^[A-Z]{2}-[0-9]{3}$"},
    {"$ref": "#/$defs/tree", "$defs": {"tree": {"type": "array", "items": {"$ref": "#/$defs/tree"}, "maxItems": 2}}},
    {"type": "array", "prefixItems": [{"type": "boolean"}, {"const": {"k": 1}}], "items": False, "minItems": 2},
]


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: next(iter(schema.values())).__str__()[:12])
def test_an_answer_fits_its_schema(llama: Llama, schema: dict[str, Any]) -> None:
    """Whatever the model would say, what comes out is a document of the schema."""
    structure = Structure.of_schema(schema)
    finished, _ = llama.ask(llama.request("Once upon a time", 64, structure=structure))
    structure.parse(finished.text)


@pytest.mark.parametrize(
    "choices", [("yes", "yes, but no", "no"), ("日本", "日本語", "🎉🎉"), ('a" | "b', "c\\d", "[e]"), ("one",)]
)
def test_an_answer_is_one_of_the_choices(llama: Llama, choices: tuple[str, ...]) -> None:
    """Also where one begins another, in any script, and with every sign that grammars are written with."""
    finished, _ = llama.ask(llama.request("Answer:", 24, structure=Structure.of_choices(choices)))
    assert finished.text in choices


# SmolLM2 has no token for some control characters, nor for what is beyond this plane and no emoji.
TEXT = st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs", "Cc"]), min_size=1, max_size=6)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(TEXT, min_size=1, max_size=5))
def test_any_choices(llama: Llama, choices: list[str]) -> None:
    """Any texts may be the choices; one of them comes out, as it is."""
    finished, _ = llama.ask(llama.request("Answer:", 64, structure=Structure.of_choices(choices)))
    assert finished.text in choices


def test_a_choice_the_model_cannot_say(llama: Llama) -> None:
    """No token stands for it: an error, where llama.cpp's own grammars would end the process."""
    with pytest.raises(Incomplete):
        llama.ask(llama.request("Answer:", 8, structure=Structure.of_choices(["\x04"])))
    assert llama.ask(llama.request(CODE, 4))[0].usage.completion_tokens == 4


def test_a_structure_that_was_cut_is_an_error(llama: Llama) -> None:
    """Half a document never comes out; and the next request is a free one."""
    with pytest.raises(Incomplete):
        llama.ask(llama.request("Answer:", 3, structure=Structure.of_schema(SCHEMAS[0])))
    free, _ = llama.ask(llama.request(CODE, 4))
    assert free.usage.completion_tokens == 4


def test_probabilities_are_the_models_own(llama: Llama) -> None:
    """Under a structure the first token's alternatives are those of the free answer."""

    def first(structure: Structure | None) -> tuple[Any, ...]:
        _, events = llama.ask(llama.request("Answer:", 8, top_logprobs=3, structure=structure))
        return next(event for event in events if isinstance(event, Chunk)).top

    held, free = first(Structure.of_choices(["zzz"])), first(None)
    assert [one.token_id for one in held] == [one.token_id for one in free]
    assert [one.logprob for one in held] == pytest.approx([one.logprob for one in free], abs=0.01)


@pytest.mark.parametrize("text", [CODE, LONG])
def test_a_paused_answer_is_the_same(fresh: Callable[[], Llama], text: str) -> None:
    """With other work in between, at prompt chunks and at tokens, every token is that of an answer without pauses."""
    plain = fresh()
    request = plain.request(text, 24)
    whole, expected = plain.ask(request)
    llama = fresh()
    pause = EveryLook(9, lambda: llama.ask(llama.request("What is the capital of France?", 3)))
    finished, events = llama.ask(request, pause)
    assert pause.times == 0
    assert ids(events) == ids(expected)
    assert (finished.text, finished.usage) == (whole.text, whole.usage)


def test_a_pause_loses_no_prompt(llama: Llama) -> None:
    """Progress through the prompt only grows: what was computed before a pause is not computed again."""
    between = llama.request("What is the capital of Spain?", 3)
    request = llama.request("y = 2\n" * 150, 2)
    _, events = llama.ask(request, EveryLook(3, lambda: llama.ask(between)))
    done = [event.done for event in events if isinstance(event, Prefill)]
    assert done == sorted(done)
    assert done[-1] == len(request.prompt)


def test_a_structure_is_not_paused(llama: Llama) -> None:
    """Its grammar would begin anew: urgent work waits for its end."""
    pause = EveryLook(1, lambda: None)
    llama.ask(llama.request("Answer:", 8, structure=Structure.of_choices(["yes", "no"])), pause)
    assert pause.times == 1


def test_jobs_of_a_batch(llama: Llama) -> None:
    """More jobs than lanes, a structured and a cancelled one among them, and a pause: each gets its own end."""
    jobs = [job(llama.request(f"Once upon a time there was a {who}", 12)) for who in ("dog", "cat", "king", "bee")]
    choice = job(llama.request("Answer:", 12, structure=Structure.of_choices(["yes", "no"])))
    dropped = job(llama.request("Once upon a time", 4_000))

    def urgent() -> None:
        dropped.cancel.cancel("enough")
        llama.ask(llama.request("What is the capital of Italy?", 3))

    pause = EveryLook(1, urgent)
    llama.batch([*jobs, choice, dropped], pause)
    assert [one.future.result(0).usage.completion_tokens for one in jobs] == [12] * 4
    assert choice.future.result(0).text in ("yes", "no")
    assert isinstance(dropped.future.exception(0), Cancelled)
    assert pause.times == 0


def test_a_prompt_is_reused_across_slots(llama: Llama) -> None:
    """After other requests on other slots, the beginning is still there; what is said to be cached is."""
    first, _ = llama.ask(llama.request(LONG, 2))
    for text in ("Bread is", "Water is", "Iron is"):
        llama.ask(llama.request(text, 2))
    again, _ = llama.ask(llama.request(LONG + "    return", 2))
    assert again.usage.cached_tokens >= first.usage.prompt_tokens - 1
    assert llama.engine.cache_bytes > 0


PIECES = ("import os\n", "def total(prices):\n", "    return sum(prices)\n", "# café\n", "x = 1\n" * 30)
PROMPTS = st.lists(st.sampled_from(PIECES), min_size=1, max_size=5).map("".join)
NEAR_TIE = 0.25  # of a logarithm: what the cut of a prompt may move an 8-bit activation's outcome by


def same_but_for_ties(said: list[Event], fresh: list[Event]) -> bool:
    """Token for token equal, up to one that a fresh run finds nearly as likely as its own."""
    for mine, its in zip(*([e for e in events if isinstance(e, Chunk)] for events in (said, fresh)), strict=False):
        if mine.token_id != its.token_id:
            near = {one.token_id for one in its.top if its.top[0].logprob - one.logprob < NEAR_TIE}
            return {mine.token_id, its.token_id} <= near
    return True


def without_reuse(llama: Llama, request: GenerationRequest, real: Callable[..., dict[str, Any]]) -> list[Event]:
    """The events of an answer whose prompt is computed from its first token on."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backend, "completion", lambda *args, **options: real(*args, **options) | {"cache_prompt": False})
        finished, events = llama.ask(request)
    assert finished.usage.cached_tokens == 0
    return events


@settings(deadline=None, derandomize=True, max_examples=6)
@given(requests=st.lists(st.tuples(PROMPTS, st.none() | st.integers(0, 6)), min_size=2, max_size=4))
def test_reuse_changes_nothing(llama: Llama, requests: list[tuple[str, int | None]]) -> None:
    """Whatever was asked or cancelled before: the greedy answer is that of a run that reuses nothing."""
    reused = 0
    for text, cancel_at in requests:
        request = llama.request(text, 8, top_logprobs=4)
        cancel = CancelToken()
        said: list[Event] = []

        def sink(
            event: Event, said: list[Event] = said, stop: CancelToken = cancel, at: int | None = cancel_at
        ) -> None:
            said.append(event)
            if len(said) - 1 == at:
                stop.cancel()

        with suppress(Cancelled):
            llama.engine.generate(request, sink, cancel, Deadline.never())
        again, events = llama.ask(request)
        expected = without_reuse(llama, request, backend.completion)
        assert same_but_for_ties(said, expected)
        assert same_but_for_ties(events, expected)
        reused += again.usage.cached_tokens
    assert reused > 0


def test_closing_under_a_generation(fresh: Callable[[], Llama]) -> None:
    """What runs ends as cancelled at its next token, nothing hangs, and a second close does nothing."""
    llama = fresh()
    with pytest.raises(Cancelled):
        llama.engine.generate(
            llama.request(CODE, 1_000), lambda _: llama.engine.close(), CancelToken(), Deadline.never()
        )
    llama.engine.close()


@pytest.mark.performance
def test_lanes_are_faster_than_a_queue(llama: Llama) -> None:
    """Four answers at once take less time than one after the other: the median of three tries, in turn."""
    requests = [llama.request(f"Once upon a time there was a {who}", 48) for who in ("dog", "cat", "king", "bee")]
    ratios = []
    for _ in range(3):
        begin = time.perf_counter()
        for request in requests:
            llama.ask(request)
        between = time.perf_counter()
        llama.batch([job(request) for request in requests])
        ratios.append((between - begin) / (time.perf_counter() - between))
    assert statistics.median(ratios) > 1.0, ratios


HOSTILE = """
import json, sys
from pathlib import Path
from leanvibe_lsp.core.cancel import CancelToken, Deadline
from leanvibe_lsp.engine.base import GenerationRequest
from leanvibe_lsp.engine.llama import LlamaEngine
from leanvibe_lsp.engine.models.registry import resolve
from leanvibe_lsp.engine.structured import Structure
from leanvibe_lsp.errors import LeanVibeError

engine = LlamaEngine(resolve("smollm2", cache=Path(sys.argv[1])))
engine.load(CancelToken())

def ask(structure):
    request = GenerationRequest((1, 2, 3), max_tokens=6, structure=structure)
    return engine.generate(request, lambda _: None, CancelToken(), Deadline.never())

deep = {"type": "integer"}
for _ in range(400):
    deep = {"type": "array", "items": deep}
schemas = [
    deep,
    {"type": "array", "items": {}, "minItems": 10**9},
    {"type": "array", "maxItems": 1000, "items": {"type": "array", "maxItems": 1000, "items": {"type": "string"}}},
    {"type": "string", "minLength": 10**9},
    {"type": "string", "pattern": "a?" * 100 + "a" * 56},
    {"type": "string", "pattern": "((a{1,100}){1,100}){1,100}b"},
    {"type": "string", "pattern": "(.*a){50}(.*b){50}"},
    {"type": "string", "pattern": "^*$"},
    {"$ref": "#"},
    {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(1000)}, "minProperties": 900},
    {"enum": [f"v{n}" for n in range(5000)]},
]
ends = []
for structure in [Structure(schema=json.dumps(one)) for one in schemas] + [
    Structure(choices=tuple(f"choice {n}" for n in range(4000))),
    Structure(choices=("x" * 60_000,)),
    Structure(choices=("\\0", "\\ud800")),
]:
    try:
        ask(structure)
        ends.append("whole")
    except LeanVibeError as error:
        ends.append(type(error).__name__)
free = ask(None)
engine.close()
sys.stderr.write(json.dumps([ends, free.usage.completion_tokens]))
"""


def test_no_structure_ends_the_process(tmp_path: Path) -> None:
    """Nothing a person can ask for kills or blocks llama.cpp: each ends in an answer or our own error.

    And a whole life of the engine prints nothing to stdout.
    """
    command = [sys.executable, "-c", textwrap.dedent(HOSTILE), str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (ended.returncode, ended.stdout) == (0, "")
    ends, completion = json.loads(ended.stderr.splitlines()[-1])
    assert set(ends) <= {"whole", "Incomplete", "UsageError"}
    assert completion == 6


CUT = """
import os, shutil, sys
from pathlib import Path
from leanvibe_lsp.core.cancel import CancelToken, Deadline
from leanvibe_lsp.engine.base import Chunk, GenerationRequest
from leanvibe_lsp.engine.llama import LlamaEngine
from leanvibe_lsp.engine.models.registry import resolve

folder = Path(sys.argv[1])
model = folder / "model.gguf"
shutil.copy(resolve("smollm2", cache=folder).path, model)
engine = LlamaEngine(resolve(str(model), cache=folder))
engine.load(CancelToken())
request = GenerationRequest(tuple(range(40, 60)), max_tokens=16)

def ask(cut):
    sink = lambda event: os.truncate(model, 1_000) if cut and isinstance(event, Chunk) else None
    return engine.generate(request, sink, CancelToken(), Deadline.never()).text

same = ask(cut=False) == ask(cut=True)
engine.close()
sys.stderr.write(f"{same} {model.stat().st_size}")
"""


def test_a_file_cut_under_an_answer_ends_nothing(tmp_path: Path) -> None:
    """`cp new.gguf model.gguf` while it answers: the weights are in memory, the process lives, the answer is whole."""
    command = [sys.executable, "-c", textwrap.dedent(CUT), str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (ended.returncode, ended.stderr.splitlines()[-1:]) == (0, ["True 1000"])
