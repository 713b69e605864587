from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from leanvibe_lsp.assist.summary import Summary
from leanvibe_lsp.config.limits import LIMITS
from leanvibe_lsp.errors import EngineError
from leanvibe_lsp.lsp.features.hover import _Summaries
from tests.unit.lsp.conftest import URI

TEXT = "def add(a, b=[]):\n    return a + b\n\n\ndef other():\n    pass\n"
FACTS = "```python\ndef add(a, b=[])\n```\n\n*function* · 2 lines"
MARKDOWN = {"textDocument": {"hover": {"contentFormat": ["markdown", "plaintext"]}}}
PLAIN = {"textDocument": {"hover": {"contentFormat": ["plaintext"]}}}
QUIET = {"diagnostics": {"enabled": False}}


def at(line: int, character: int) -> dict[str, object]:
    return {"textDocument": {"uri": URI}, "position": {"line": line, "character": character}}


async def hover(session: Any, line: int = 0, character: int = 5) -> str:
    result = (await session.call("textDocument/hover", at(line, character)))["result"]
    return "" if result is None else result["contents"]["value"]


@pytest.fixture
async def session(new_session: Any) -> Any:
    """A session with a client that shows Markdown."""
    await new_session.initialize(MARKDOWN)
    return new_session


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hover does not wait for a summary that is not there."""
    monkeypatch.setitem(LIMITS, "summary.milliseconds", replace(LIMITS["summary.milliseconds"], default=0))


async def test_findings_at_the_place(session: Any) -> None:
    """Message, rule, link and why, where they are; also on what is no definition."""
    session.open(TEXT)
    assert await hover(session, 0, 13) == (
        "**warning** `[]` is made once and shared by all calls. [python/mutable-default]"
        "(https://docs.python.org/3/reference/compound_stmts.html#function-definitions)  \n"
        "A default is evaluated when the function is defined. What one call puts into it, the next call finds there."
        "  \n*How to mend it:* Take None as the default and make the value inside: `if box is None: box = []`.  \n"
        "rules, confidence 0.85 · silence it with `leanvibe: ignore[python/mutable-default]` in a comment"
    )
    assert await hover(session) == FACTS


async def test_findings_in_plain_text(new_session: Any) -> None:
    """The same without mark-up."""
    await new_session.initialize(PLAIN)
    new_session.open(TEXT)
    assert await hover(new_session, 0, 13) == (
        "warning: `[]` is made once and shared by all calls. (python/mutable-default, "
        "https://docs.python.org/3/reference/compound_stmts.html#function-definitions)\n"
        "A default is evaluated when the function is defined. What one call puts into it, the next call finds there.\n"
        "How to mend it: Take None as the default and make the value inside: `if box is None: box = []`.\n"
        "rules, confidence 0.85 · silence it with leanvibe: ignore[python/mutable-default] in a comment"
    )


async def test_no_findings_where_diagnostics_are_off(new_session: Any) -> None:
    """A person who wants no diagnostics has none in a hover either."""
    await new_session.initialize(MARKDOWN, initializationOptions=QUIET)
    new_session.open(TEXT)
    assert [await hover(new_session, 0, column) for column in (13, 14)] == ["", ""]


async def test_the_summary_says_whose_it_is(session: Any) -> None:
    """The model's name, that nobody checked it, two lines; no mark-up of the model's own."""
    session.services.said = Summary("Adds `a`.\n![x](http://y)", "a_model")
    session.open(TEXT)
    assert await hover(session) == (FACTS + "\n\n*a\\_model, not verified:* Adds \\`a\\`.  \n\\!\\[x\\](http://y)")
    (request,) = session.services.summaries
    assert request.snapshot.text[request.span.start : request.span.end] == TEXT[: TEXT.index("\n\n")]


async def test_the_summary_in_plain_text(new_session: Any) -> None:
    """As it is."""
    await new_session.initialize(PLAIN)
    new_session.services.said = Summary("Adds `a`.\nTwo.", "a_model")
    new_session.open(TEXT)
    shown = await hover(new_session)
    assert shown == "def add(a, b=[])\nfunction · 2 lines\n\na_model, not verified: Adds `a`.\nTwo."


async def test_no_summary_where_it_is_not_wanted(new_session: Any) -> None:
    """`hover.summary` off: the services are not asked."""
    await new_session.initialize(MARKDOWN, initializationOptions={"hover": {"summary": False}})
    new_session.open(TEXT)
    assert await hover(new_session) == FACTS
    assert new_session.services.summaries == []


async def test_a_failure_leaves_the_facts(session: Any) -> None:
    """What the model cannot say costs the hover nothing."""
    session.services.error = EngineError("It broke.")
    session.open(TEXT)
    assert await hover(session) == FACTS


@pytest.mark.usefixtures("at_once")
async def test_a_slow_summary_is_made_in_the_background(session: Any) -> None:
    """Facts at once; the work goes on, once for the same code, and is there at the next hover."""
    services = session.services
    services.gate, services.said = asyncio.Event(), Summary("Adds.", "fake")
    session.open(TEXT)
    assert [await hover(session) for _ in range(3)] == [FACTS] * 3
    assert len(services.summaries) == 1
    assert not services.tokens[0].cancelled


async def test_a_summary_in_time_is_shown(session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hover that comes while it is made waits for it too."""
    services, waiting, real = session.services, asyncio.Semaphore(0), _Summaries.of

    async def of(*given: Any) -> Summary | None:
        waiting.release()
        return await real(*given)

    monkeypatch.setattr(_Summaries, "of", of)
    services.gate, services.said = asyncio.Event(), Summary("Adds.", "fake")
    session.open(TEXT)
    requests = [session.request("textDocument/hover", at(0, 5)) for _ in range(2)]
    for _ in requests:
        await waiting.acquire()
    services.gate.set()
    shown = [(await session.reply(one))["result"]["contents"]["value"] for one in requests]
    assert [one.endswith("Adds.") for one in shown] == [True, True]
    assert len(services.summaries) == 1


@pytest.mark.usefixtures("at_once")
async def test_one_summary_at_a_time(session: Any) -> None:
    """Looking at something else stops the one before."""
    session.services.gate = asyncio.Event()
    session.open(TEXT)
    await hover(session)
    await hover(session, 4, 5)
    assert [token.cancelled for token in session.services.tokens] == [True, False]


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize(("line", "column", "stopped"), [(1, 4, True), (5, 8, False)])
async def test_an_edit_of_the_code_stops_its_summary(session: Any, line: int, column: int, stopped: bool) -> None:
    """A change in the definition does; one elsewhere does not."""
    session.services.gate = asyncio.Event()
    session.open(TEXT)
    await hover(session)
    session.change("x", {"line": line, "character": column})
    assert session.services.tokens[0].cancelled is stopped


@pytest.mark.usefixtures("at_once")
async def test_closing_the_document_stops_its_summary(session: Any) -> None:
    """Nobody looks at it any more."""
    session.services.gate = asyncio.Event()
    session.open(TEXT)
    await hover(session)
    session.notify("textDocument/didClose", {"textDocument": {"uri": URI}})
    assert session.services.tokens[0].cancelled
