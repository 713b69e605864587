from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from leanvibe_lsp.assist.answer import Answer, AskEvent, AskRequest, AskSink, Place, Restart, Stage, TextDelta
from leanvibe_lsp.assist.ask import ask
from leanvibe_lsp.assist.changes.complaints import findings
from leanvibe_lsp.assist.changes.run import change, fix_of
from leanvibe_lsp.assist.changes.values import Change, ChangeKind, ChangeRequest, Complaint
from leanvibe_lsp.core.cancel import CancelToken
from leanvibe_lsp.core.edits import TextEdit, applied
from leanvibe_lsp.core.text import LineIndex, Span
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.engine.chain import Skipped
from leanvibe_lsp.engine.host import EngineHost
from leanvibe_lsp.engine.scheduler import Scheduler
from leanvibe_lsp.engine.select import Selection
from leanvibe_lsp.errors import Cancelled, LeanVibeError, UsageError
from leanvibe_lsp.tiers.finding import Finding, Severity
from tests.support.engines import WAIT, ScriptedEngine, located

_CODE = """import os


def total(prices, rate):
    x = 0
    for p in prices:
        x = x + p * rate
    return x


def show(prices):
    print(total(prices, 2))
"""


def snapshot(text: str = _CODE, name: str = "code.py", language: str = "python") -> Snapshot:
    path = Path("/project") / name
    return Snapshot(path.as_uri(), path, language, 3, text, LineIndex(text))


class Room:
    """A scripted model behind the real `ask`; what the sink heard."""

    def __init__(self, *texts: str) -> None:
        self.engine = ScriptedEngine(*texts)
        selection = Selection("llama.cpp", located(), ())
        self.host = EngineHost(lambda _: selection, lambda _: self.engine, Scheduler(capacity=4), name="scripted")
        self.workers = ThreadPoolExecutor(max_workers=1)
        self.heard: list[AskEvent] = []

    # ruff: noqa: D102 - the engine's chain, and what the tests ask of it
    def first(self) -> tuple[EngineHost, tuple[Skipped, ...]]:
        return self.host, ()

    def after(self, host: EngineHost, error: LeanVibeError) -> EngineHost | None:
        return None

    async def _ask(self, request: AskRequest, sink: AskSink, cancel: CancelToken) -> Answer:
        return await ask(request, hosts=self, workers=self.workers, sink=sink, cancel=cancel)

    async def change(self, request: ChangeRequest, cancel: CancelToken | None = None) -> Change:
        return await change(
            request, ask=self._ask, workers=self.workers, sink=self.heard.append, cancel=cancel or CancelToken()
        )

    def close(self) -> None:
        assert self.host.close(WAIT)
        self.workers.shutdown()


@pytest.fixture
def rooms() -> Iterator[list[Room]]:
    """Rooms that are closed after the test."""
    made: list[Room] = []
    yield made
    for room in made:
        room.close()


async def changed(rooms: list[Room], request: ChangeRequest, *texts: str) -> Change:
    """What comes of the request when the model says `texts`, one after the other."""
    rooms.append(Room(*texts))
    return await rooms[-1].change(request)


def asked(kind: ChangeKind, under: str, text: str = _CODE, **more: object) -> ChangeRequest:
    """A change of the place where `under` stands."""
    start = text.index(under)
    place = Place(snapshot(text), Span(start, start + len(under)))
    return ChangeRequest(kind, place, **more)  # type: ignore[arg-type]


def fix(under: str, message: str, text: str = _CODE, **more: str) -> ChangeRequest:
    """A fix of another server's diagnostic at `under`."""
    start = text.index(under)
    complaint = Complaint(Span(start, start + len(under)), message, **more)
    return ChangeRequest(ChangeKind.FIX, Place(snapshot(text), complaint.span), complaint=complaint)


def block(code: str, language: str = "python") -> str:
    return f"```{language}\n{code}\n```"


def result(made: Change, text: str = _CODE) -> str:
    """The document after the change."""
    assert made.refusal == ""
    (file,) = made.files
    return applied(text, file.edits)


def names(made: Change) -> dict[str, str]:
    """The checks: passed, failed or unknown."""
    return {one.name: "unknown" if not one.checked else "passed" if one.passed else "failed" for one in made.checks}


_TOTAL = "def total(prices, rate):\n    x = 0\n    for p in prices:\n        x = x + p * rate\n    return x"
_SHORT = "def total(prices, rate):\n    return sum(p * rate for p in prices)"


async def test_a_simpler_body_becomes_small_edits(rooms: list[Room]) -> None:
    """Prose around the block is left out, every check is named, and only the lines that differ are replaced."""
    made = await changed(rooms, asked(ChangeKind.SIMPLIFY, "total"), f"Sure!\n\n{block(_SHORT)}\nIt is shorter.")
    assert result(made) == _CODE.replace(_TOTAL, _SHORT)
    assert set(names(made).values()) == {"passed"}
    assert list(names(made)) == [
        *("changes something", "parses", "compiles", "answer is whole", "nothing new", "nothing twice", "names kept"),
        *("signature kept", "nothing beside it", "effects kept", "comments kept"),
    ]
    assert (made.title, made.proven, made.attempts) == ("Simplify `total`", False, 1)
    (file,) = made.files
    start = _CODE.index("    x = 0")
    assert file.edits[0].span.start >= start
    assert file.snapshot.version == 3
    assert made.sources[0].uri == "file:///project/code.py"


async def test_a_failed_check_is_told_to_the_model_once(rooms: list[Room]) -> None:
    """The second question has what was wrong; text told so far is taken back; the second draft counts."""
    made = await changed(
        rooms, asked(ChangeKind.SIMPLIFY, "total"), block("def total(prices, rate):\n    return sum("), block(_SHORT)
    )
    assert result(made) == _CODE.replace(_TOTAL, _SHORT)
    assert made.attempts == 2
    room = rooms[0]
    assert 'the check "parses" failed' in room.engine.asked[1]
    assert "return sum(\n" in room.engine.asked[1]
    kinds = [type(one) for one in room.heard if not isinstance(one, Stage)]
    assert kinds == [TextDelta, Restart, TextDelta]
    assert Stage("checking") in room.heard


async def test_after_two_drafts_it_says_that_it_could_not(rooms: list[Room]) -> None:
    """No file, a sentence with the check that failed, and the draft as text."""
    worse = block("def total(prices):\n    return sum(prices)")
    made = await changed(rooms, asked(ChangeKind.SIMPLIFY, "total"), worse, worse)
    assert made.files == ()
    assert made.refusal == (
        'The model\'s draft was not used, because the check "signature kept" failed '
        "(it was `def total(prices, rate)`), also after it was told what was wrong (2 tries)."
    )
    assert made.draft == "def total(prices):\n    return sum(prices)"
    assert not made.proven


@pytest.mark.parametrize(
    ("answer", "failed"),
    [
        ("I cannot do that.", "answer is whole"),
        ("```python\ndef total(prices, rate):\n    return 1", "answer is whole"),
        (block(_TOTAL), "changes something"),
        (block(""), "changes something"),
        (block("def total(prices, rate):\n    return (1"), "parses"),
        (block("def all_of(prices, rate):\n    return 1"), "names kept"),
        (block(f"{_TOTAL}\n\n\ndef show(prices):\n    print(1)"), "nothing twice"),
        (block("def total(prices, rate, more=[]):\n    return 1"), "nothing new"),
    ],
)
async def test_each_check_refuses(rooms: list[Room], answer: str, failed: str) -> None:
    """One draft for each check that it must not pass."""
    made = await changed(rooms, asked(ChangeKind.SIMPLIFY, "total"), answer, answer)
    assert made.files == ()
    assert names(made)[failed] == "failed"


async def test_our_own_rule_proves_its_fix(rooms: list[Room]) -> None:
    """Proven: the rule is silent and only its place changed; not so with more; a fix that only silences it is none."""
    text = "def f(items=[]):\n    return items\n"
    (found,) = findings(snapshot(text))
    complaint = Complaint(found.span, found.message, code=found.rule, source="leanvibe", rule=found.rule)
    request = ChangeRequest(ChangeKind.FIX, Place(snapshot(text), found.span), complaint=complaint)
    good = "def f(items=None):\n    return items"
    made = await changed(rooms, request, block(good))
    assert result(made, text) == good + "\n"
    assert made.proven
    better = "def f(items=None):\n    return items or []"
    made = await changed(rooms, request, block(better))
    assert (result(made, text), made.proven) == (better + "\n", False)
    assert names(made)["only its place changed"] == "unknown"
    silenced = block(f"def f(items=[]):  # leanvibe: ignore[{found.rule}]\n    return items")
    made = await changed(rooms, request, silenced, silenced)
    assert "silenced, not mended" in made.refusal


async def test_an_unused_import_is_proven_by_its_name(rooms: list[Room]) -> None:
    """Another server's pattern: the name is gone and nothing else; the line goes with its line ending."""
    request = fix("import os", "`os` imported but unused", code="F401", source="Ruff")
    made = await changed(rooms, request, block(""))
    assert result(made) == _CODE.removeprefix("import os\n")
    assert made.proven
    kept = block("import os as os")
    assert names(await changed(rooms, request, kept, kept))["complaint gone"] == "failed"


async def test_a_used_import_is_not_removed(rooms: list[Room]) -> None:
    """Whatever the other server says: what the rest of the file uses stays."""
    text = "import os\nimport sys\n\nprint(os.sep, sys.argv)\n"
    made = await changed(rooms, fix("import os", "`os` imported but unused", text), *[block("import sys")] * 2)
    assert names(made)["names kept"] == "failed"


async def test_an_undefined_name(rooms: list[Room]) -> None:
    """Gone where it is not used any more; unknown where something binds it now; failed where nothing changed for it."""
    text = _CODE.replace("return x", "return y")
    request = fix("y", "Undefined name `y`", text, code="F821")
    start = text.index("return y") + 7
    complaint = Complaint(Span(start, start + 1), "Undefined name `y`", "F821", "Ruff")
    request = ChangeRequest(ChangeKind.FIX, Place(snapshot(text), complaint.span), complaint=complaint)
    made = await changed(rooms, request, block(_TOTAL))
    assert (result(made, text), made.proven) == (_CODE, True)
    made = await changed(rooms, request, block(_TOTAL.replace("x", "y").replace("return y", "y = 0\n    return y")))
    assert (names(made)["complaint gone"], made.proven) == ("unknown", False)
    other = block(_TOTAL.replace("x = 0", "x = 1").replace("return x", "return y"))
    assert names(await changed(rooms, request, other, other))["complaint gone"] == "failed"


async def test_a_syntax_error(rooms: list[Room]) -> None:
    """Gone when the grammar reads the lines; another one elsewhere in the file does not matter."""
    text = "def f(a:\n    return a\n\n\ndef g():\n    return (1\n"
    request = fix("def f(a:", "SyntaxError: '(' was never closed", text)
    made = await changed(rooms, request, block("def f(a):\n    return a"), block("def f(a):\n    return a"))
    assert names(made)["changes something"] == "passed"


async def test_an_unknown_complaint_is_fixed_and_not_proven(rooms: list[Room]) -> None:
    """Only the server that said it can say whether it is gone."""
    made = await changed(rooms, fix("x = x + p * rate", "x is a bad name", source="Taste"), block(_SHORT))
    assert result(made) == _CODE.replace(_TOTAL, _SHORT)
    assert (names(made)["complaint gone"], made.proven) == ("unknown", False)


async def test_renamed_locals(rooms: list[Room]) -> None:
    """A model says the names, as JSON; each edit is one word."""
    named = _TOTAL.replace("x", "charged").replace(" p ", " price ")
    made = await changed(rooms, asked(ChangeKind.RENAME, "total"), json.dumps({"x": "charged", "p": "price"}))
    assert result(made) == _CODE.replace(_TOTAL, named)
    (file,) = made.files
    assert {one.text for one in file.edits} == {"charged", "price"}
    assert "`x`, `p`" in rooms[0].engine.asked[0]


async def test_a_rename_that_cannot_be_is_refused(rooms: list[Room]) -> None:
    """Two names made one; the names are kept as text."""
    draft = json.dumps({"x": "rate", "p": "p"})
    made = await changed(rooms, asked(ChangeKind.RENAME, "total"), draft, draft)
    assert names(made) == {"only names changed": "failed"}
    assert "two things would be called `rate`" in made.refusal
    assert made.draft == "x -> rate"


async def test_an_extracted_function(rooms: list[Room]) -> None:
    """There is a new function, it is called, and the old one looks the same from outside."""
    new = (
        "def charge(price, rate):\n    return price * rate\n\n\n"
        "def total(prices, rate):\n    x = 0\n    for p in prices:\n        x = x + charge(p, rate)\n    return x"
    )
    request = asked(ChangeKind.EXTRACT, "x = x + p * rate")
    made = await changed(rooms, request, block(new))
    assert result(made) == _CODE.replace(_TOTAL, new)
    assert "x = x + p * rate" in rooms[0].engine.asked[0].split("Move these lines")[1]
    uncalled = block(new.replace("charge(p, rate)", "p * rate"))
    made = await changed(rooms, request, uncalled, uncalled)
    assert names(made)["new function called"] == "failed"


async def test_a_persons_own_words(rooms: list[Room]) -> None:
    """A rewrite needs an instruction, gets it into the question, and may change the signature."""
    request = asked(ChangeKind.REWRITE, _TOTAL, instruction="default rate of 1")
    new = _TOTAL.replace("rate):", "rate=1):")
    assert result(await changed(rooms, request, block(new))) == _CODE.replace(_TOTAL, new)
    assert "as follows: default rate of 1\n" in rooms[0].engine.asked[0]
    with pytest.raises(UsageError, match="not said how"):
        await changed(rooms, asked(ChangeKind.REWRITE, _TOTAL))


def docstring(text: str) -> str:
    return json.dumps({"docstring": text})


async def test_a_docstring_in_the_files_style(rooms: list[Room]) -> None:
    """The words come as JSON; where they stand is ours; the code stays as it is."""
    made = await changed(rooms, asked(ChangeKind.DOCUMENT, "total"), docstring("Add up all prices at a rate."))
    header = "def total(prices, rate):\n"
    assert result(made) == _CODE.replace(header, f'{header}    """Add up all prices at a rate."""\n')
    assert names(made)["code unchanged"] == "passed"
    (file,) = made.files
    assert len(file.edits) == 1


_SLIPS = (
    "Adds. Adds up it all. Adds up it all.",
    "def total(prices, rate) does it",
    "This is a JSON document that describes it.",
)


@pytest.mark.parametrize("said", ["Total.", *_SLIPS])
async def test_words_that_say_nothing_are_refused(rooms: list[Room], said: str) -> None:
    """A model's typical slips are no documentation."""
    made = await changed(rooms, asked(ChangeKind.DOCUMENT, "total"), docstring(said), docstring(said))
    assert names(made) == {"says something": "failed"}
    assert made.draft == said


async def test_tests_in_a_new_file(rooms: list[Room], tmp_path: Path) -> None:
    """A new file in the project's place and framework; without a version and with one edit."""
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_other.py").write_text("import pytest\n\n\ndef test_it():\n    pass\n")
    source = tmp_path / "shop" / "code.py"
    place = Place(Snapshot(source.as_uri(), source, "python", 1, _CODE, LineIndex(_CODE)), Span(15, 15))
    code = "from shop.code import total\n\n\ndef test_total():\n    assert total([1], 2) == 2"
    made = await changed(rooms, ChangeRequest(ChangeKind.TESTS, place), block(code))
    (file,) = made.files
    assert file.creates
    assert file.snapshot.path == tmp_path / "tests" / "test_code.py"
    assert (file.snapshot.version, file.edits) == (None, (TextEdit(Span(0, 0), code + "\n"),))
    question = rooms[0].engine.asked[0]
    assert "with pytest" in question
    assert "`from shop.code import total`" in question
    assert "def test_it" in question
    none = block("total([1], 2)")
    made = await changed(rooms, ChangeRequest(ChangeKind.TESTS, place), none, none)
    assert names(made)["has a test"] == "failed"


async def test_tests_are_added_to_the_file_that_is_there(rooms: list[Room], tmp_path: Path) -> None:
    """New tests at its end, imports that it has are not written again, no test of a name that is taken."""
    (tmp_path / "pyproject.toml").write_text("")
    old = "from code import total\n\n\ndef test_a():\n    assert total([], 1) == 0\n"
    (tmp_path / "test_code.py").write_text(old)
    source = tmp_path / "code.py"
    place = Place(Snapshot(source.as_uri(), source, "python", 1, _CODE, LineIndex(_CODE)), Span(15, 15))
    new = "from code import total\n\n\ndef test_b():\n    assert total([1], 2) == 2"
    made = await changed(rooms, ChangeRequest(ChangeKind.TESTS, place), block(new))
    assert result(made, old) == f"{old}\n\ndef test_b():\n    assert total([1], 2) == 2\n"
    assert not made.files[0].creates
    again = block(new.replace("test_b", "test_a"))
    made = await changed(rooms, ChangeRequest(ChangeKind.TESTS, place), again, again)
    assert names(made)["fits the file"] == "failed"


async def test_a_cancel_between_two_tries_ends_it(rooms: list[Room]) -> None:
    """The second question is not asked after a cancel."""
    rooms.append(Room("no code", "no code"))
    cancel = CancelToken()
    room = rooms[0]
    room.heard = _Cancelling(cancel)
    with pytest.raises(Cancelled):
        await room.change(asked(ChangeKind.SIMPLIFY, "total"), cancel)
    assert len(room.engine.asked) == 1


class _Cancelling(list[AskEvent]):
    """Cancels at the first check."""

    def __init__(self, cancel: CancelToken) -> None:
        super().__init__()
        self._cancel = cancel

    def append(self, event: AskEvent) -> None:
        super().append(event)
        if event == Stage("checking"):
            self._cancel.cancel("enough")


async def test_a_secret_file_is_refused_before_a_model_is_asked(rooms: list[Room]) -> None:
    """No part of it enters a prompt."""
    place = Place(snapshot("KEY=1\n", ".env", "shellscript"), Span(0, 5))
    with pytest.raises(UsageError):
        await changed(rooms, ChangeRequest(ChangeKind.REWRITE, place, "change it"))
    assert rooms[0].engine.asked == []


async def test_a_secret_in_the_code_is_hidden_and_put_back(rooms: list[Room]) -> None:
    """The model sees a marker, writes it again, and the document keeps the secret."""
    secret = "ghp_" + "a1B2" * 9
    text = f'def f():\n    token = "{secret}"\n    x = token\n    return x\n'
    rooms.append(Room(block('def f():\n    token = "[secret 1]"\n    return token')))
    made = await rooms[0].change(asked(ChangeKind.SIMPLIFY, "def f", text))
    assert secret not in rooms[0].engine.asked[0]
    assert result(made, text) == f'def f():\n    token = "{secret}"\n    return token\n'


async def test_what_cannot_be_changed_is_said_before_a_model_is_asked(rooms: list[Room]) -> None:
    """No definition, too much code, no language that is known how to document."""
    with pytest.raises(UsageError, match="no function or class"):
        await changed(rooms, asked(ChangeKind.DOCUMENT, "import os"))
    long = "x = 1\n" * 5_000
    with pytest.raises(UsageError, match="Select less"):
        await changed(rooms, asked(ChangeKind.REWRITE, long, long, instruction="shorter"))
    assert all(not room.engine.asked for room in rooms)


def test_a_rules_own_fix_is_held_to_the_same_checks() -> None:
    """One that mends is given back as it is; one that breaks the file, or mends nothing, is not."""
    text = "def f(items=[]):\n    return items\n"
    (found,) = findings(snapshot(text))

    def fixed(*edits: TextEdit) -> Finding:
        return Finding(found.rule, found.message, Severity.WARNING, found.span, found.quote, 0.9, fix=edits)

    at = text.index("[]")
    good = fixed(TextEdit(Span(at, at + 2), "None"))
    made = fix_of(good, snapshot(text))
    assert made is not None
    assert made.edits == good.fix
    assert fix_of(fixed(TextEdit(Span(at, at + 2), "(")), snapshot(text)) is None
    assert fix_of(fixed(TextEdit(Span(at, at + 2), "[ ]")), snapshot(text)) is None
    assert fix_of(fixed(), snapshot(text)) is None
