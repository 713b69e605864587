from __future__ import annotations

import asyncio
from typing import Any

import pytest

from leanvibe_lsp.assist.judged import REVIEW, UNSURE, Judged, JudgeRequest, NotLookedAt, UnitJudged
from leanvibe_lsp.assist.units import units_of
from leanvibe_lsp.core.text import Span
from leanvibe_lsp.tiers.finding import Finding, Related, Severity
from leanvibe_lsp.tiers.policy import Action, Decision
from leanvibe_lsp.tiers.rung import Cost, Opinion, Rung
from tests.unit.lsp.conftest import URI

TEXT = "def 𝒻(a):\n    b = a\n    return b\n\n\ndef g(a):\n    return a\n"
CAPABILITIES = {
    "textDocument": {
        "publishDiagnostics": {"versionSupport": True, "dataSupport": True, "relatedInformation": True},
        "codeAction": {
            "codeActionLiteralSupport": {"codeActionKind": {"valueSet": []}},
            "disabledSupport": True,
            "dataSupport": True,
            "resolveSupport": {"properties": ["edit"]},
        },
    },
    "workspace": {"applyEdit": True, "workspaceEdit": {"documentChanges": True}},
}
F = {"start": {"line": 0, "character": 5}, "end": {"line": 0, "character": 5}}
QUIET = {"diagnostics": {"classifier": False}}


def judged_of(request: JudgeRequest) -> Judged:
    """The first function has a finding at `b = a`, of the others nobody is sure."""
    text, units = request.snapshot.text, []
    for number, unit in enumerate(units_of(request.snapshot, request.spans)):
        if "b = a" in text[unit.span.start : unit.span.end]:
            at = text.index("b = a")
            finding = Finding(REVIEW, "It copies.", Severity.WARNING, Span(at, at + 5), "b = a", 0.8, rung="model")
            decision = Decision(Action.ACCEPT, Rung.MODEL, "risky", 0.8, ("sure",))
        else:
            related = (Related(unit.mark, "fake, not verified: odd"),)
            message = f"LeanVibe is not sure about {unit.name}. Tried: rules: nothing found."
            finding = Finding(
                UNSURE, message, Severity.INFORMATION, unit.mark, "g", 0.0, rung="person", related=related
            )
            decision = Decision(Action.PERSON, Rung.PERSON, "risky", None, ("doubt",))
        opinions = (Opinion(Rung.RULES, "fine", None),)
        shown = f"prompt {number}"
        units.append(UnitJudged(unit.name, unit.span, unit.mark, decision, opinions, (finding,), shown))
    return Judged(request.snapshot, tuple(units), {Rung.MODEL: Cost(1.0, 10)})


@pytest.fixture
async def editor(new_session: Any) -> Any:
    """A session with TEXT open, whose services judge as above."""
    await new_session.initialize(CAPABILITIES, initializationOptions=QUIET)
    new_session.services.judged = judged_of
    new_session.open(TEXT)
    return new_session


def command(session: Any, name: str = "leanvibe.judge", **argument: Any) -> int | str:
    given = {"command": name, "arguments": [{"uri": URI, **argument}]}
    return session.request("workspace/executeCommand", {**given, "workDoneToken": "w"})


async def result(session: Any, name: str = "leanvibe.judge", **argument: Any) -> Any:
    reply = await session.reply(command(session, name, **argument))
    return reply.get("result", reply.get("error"))


def shown(session: Any) -> list[str]:
    return [m["params"]["message"] for m in session.sent if m.get("method") == "window/showMessage"]


async def published(session: Any, *rules: str, version: int = 1) -> list[dict[str, Any]]:
    """The diagnostics of a version, once they are of these rules."""
    message = await session.wait_for(
        lambda m: (
            m.get("method") == "textDocument/publishDiagnostics"
            and m["params"].get("version") == version
            and [one["code"] for one in m["params"]["diagnostics"]] == list(rules)
        )
    )
    found: list[dict[str, Any]] = message["params"]["diagnostics"]
    return found


async def test_a_review_is_shown_beside_the_rules(editor: Any) -> None:
    """Progress, diagnostics with rung, confidence and how to silence them, a summary, and the whole as the result."""
    said = await result(editor)
    assert said["answeredOn"] == {"model": 1, "person": 1}
    assert (said["stale"], said["summary"]) == (0, "Reviewed 2 pieces of code: 1 to look at, 1 not sure about.")
    assert shown(editor) == [said["summary"]]
    found = await published(editor, REVIEW, UNSURE)
    assert found[0]["range"] == {"start": {"line": 1, "character": 4}, "end": {"line": 1, "character": 9}}
    assert found[0]["message"] == "It copies. (model, 0.80)"
    assert found[0]["data"] == {
        "rule": REVIEW,
        "fix": False,
        "rung": "model",
        "confidence": 0.8,
        "silence": f"leanvibe: ignore[{REVIEW}]",
    }
    assert found[1]["severity"] == 3
    assert found[1]["message"].startswith("LeanVibe is not sure about 'g'.")
    assert found[1]["message"].endswith("(for a person to decide)")
    assert found[1]["relatedInformation"][0]["message"] == "fake, not verified: odd"
    kinds = [value["kind"] for value in editor.progress("w")]
    assert (kinds[0], kinds[-1]) == ("begin", "end")
    assert {"kind": "report", "cancellable": True, "message": "rules and classifier"} in editor.progress("w")


async def test_a_range_is_the_function_there(editor: Any) -> None:
    """The cursor's column is the client's; a quiet client is shown nothing."""
    await result(editor, range=F, quiet=True)
    (request,) = editor.services.reviews
    assert [unit.name for unit in units_of(request.snapshot, request.spans)] == ["'𝒻'"]
    assert (request.allow_model, request.allow_bigger, request.insist) == (True, False, False)
    assert shown(editor) == []
    await result(editor, range=F, bigger=True)
    assert (editor.services.reviews[1].allow_bigger, editor.services.reviews[1].insist) == (True, True)


async def test_the_settings_switch_the_model_off(new_session: Any) -> None:
    """The rungs below judge alone."""
    await new_session.initialize(initializationOptions={"diagnostics": {"model": "off"}})
    new_session.open(TEXT)
    await result(new_session)
    assert new_session.services.reviews[0].allow_model is False


async def test_findings_stand_until_their_code_is_edited(editor: Any) -> None:
    """They move with it; an edit of the quote takes the finding, one anywhere in the function the doubt."""
    await result(editor)
    await published(editor, REVIEW, UNSURE)
    editor.change("# more\n", {"line": 0, "character": 0})
    found = await published(editor, REVIEW, UNSURE, version=2)
    assert found[0]["range"]["start"] == {"line": 2, "character": 4}
    editor.change("x", {"line": 3, "character": 12})
    assert len(await published(editor, REVIEW, UNSURE, version=3)) == 2
    editor.change("x", {"line": 7, "character": 12})
    await published(editor, REVIEW, version=4)
    editor.change("x", {"line": 2, "character": 6})
    await published(editor, version=5)


async def test_a_second_review_takes_the_place_of_the_first(editor: Any) -> None:
    """Of the pieces that it looked at; what was found in others stays."""
    await result(editor)
    await result(editor, range=F)
    await published(editor, REVIEW, UNSURE)
    editor.services.judged = None
    await result(editor)
    await published(editor, REVIEW, UNSURE)  # nothing was judged, so nothing is known better


async def test_an_edit_in_the_middle_drops_what_it_was_about(editor: Any) -> None:
    """What was not touched is shown, in its new place; the rest is said to be of no use."""
    editor.services.gate = asyncio.Event()
    request = command(editor)
    await editor.services.asked.wait()
    editor.change("x", {"line": 1, "character": 9})
    editor.change("\n\n", {"line": 3, "character": 0})
    editor.services.gate.set()
    said = (await editor.reply(request))["result"]
    assert said["stale"] == 1
    assert said["summary"].endswith("1 of them edited meanwhile: review again.")
    found = await published(editor, UNSURE, version=3)
    assert found[0]["range"]["start"]["line"] == 7


async def test_a_closed_document_keeps_nothing(editor: Any) -> None:
    """Opened again, it is as if nobody had looked."""
    await result(editor)
    await published(editor, REVIEW, UNSURE)
    editor.notify("textDocument/didClose", {"textDocument": {"uri": URI}})
    editor.sent.clear()
    editor.open(TEXT)
    await published(editor)


async def test_a_cancel_reaches_the_ladder(editor: Any) -> None:
    """By the progress bar: one reply, the token pulled, nothing shown."""
    editor.services.gate = asyncio.Event()
    request = command(editor)
    await editor.services.asked.wait()
    editor.notify("window/workDoneProgress/cancel", {"token": "w"})
    assert (await editor.reply(request))["error"]["code"] == -32800
    assert editor.services.tokens[-1].cancelled
    assert editor.progress("w")[-1] == {"kind": "end", "message": "cancelled"}
    assert shown(editor) == []


async def test_what_the_budget_left_out_is_said(editor: Any) -> None:
    """By name and reason, to the person and in the result."""

    def judged(request: JudgeRequest) -> Judged:
        whole = judged_of(request)
        never = NotLookedAt("'g'", whole.units[1].span, "the budget of this review was used up")
        return Judged(whole.snapshot, whole.units, whole.costs, (never,))

    editor.services.judged = judged
    said = await result(editor)
    assert said["notLookedAt"] == [
        {"name": "'g'", "startLine": 6, "endLine": 7, "reason": "the budget of this review was used up"}
    ]
    assert "No model looked at 'g': the budget of this review was used up." in shown(editor)[0]


async def actions(session: Any, diagnostic: dict[str, Any]) -> dict[str, dict[str, Any]]:
    params = {
        "textDocument": {"uri": URI},
        "range": diagnostic["range"],
        "context": {"diagnostics": [diagnostic], "only": ["quickfix"]},
    }
    reply = await session.call("textDocument/codeAction", params)
    return {action["title"]: action for action in reply["result"]}


async def test_who_is_asked_has_choices(editor: Any) -> None:
    """Ask the bigger model (not without a server), mark as fine, see what the model saw; no made-up fix."""
    await result(editor)
    _, unsure = await published(editor, REVIEW, UNSURE)
    offered = await actions(editor, unsure)
    assert list(offered) == [
        "Ask the bigger model",
        f"Mark as fine (ignore {UNSURE} here)",
        "Show what the model was shown",
    ]
    assert "No server is switched on" in offered["Ask the bigger model"]["disabled"]["reason"]
    context = offered["Show what the model was shown"]["command"]
    said = (await editor.call("workspace/executeCommand", context))["result"]
    assert said == {"text": "prompt 1"}
    assert shown(editor)[-1] == "prompt 1"


async def test_with_a_server_the_bigger_model_may_be_asked(new_session: Any) -> None:
    """The action is the command with `bigger`."""
    options = {**QUIET, "remote": {"url": "http://localhost:9/v1"}}
    await new_session.initialize(CAPABILITIES, initializationOptions=options)
    new_session.services.judged = judged_of
    new_session.open(TEXT)
    await result(new_session)
    _, unsure = await published(new_session, REVIEW, UNSURE)
    bigger = (await actions(new_session, unsure))["Ask the bigger model"]["command"]
    assert bigger["arguments"][0]["bigger"] is True
    await new_session.call("workspace/executeCommand", bigger)
    assert new_session.services.reviews[-1].allow_bigger


async def test_what_is_marked_as_fine_is_silent(editor: Any) -> None:
    """The comment silences the finding, in this review and the next, and is not called unused."""
    await result(editor)
    _, unsure = await published(editor, REVIEW, UNSURE)
    mark = (await actions(editor, unsure))[f"Mark as fine (ignore {UNSURE} here)"]
    edit = (await editor.call("codeAction/resolve", mark))["result"]["edit"]
    (one,) = edit["documentChanges"][0]["edits"]
    assert one["newText"] == f"  # leanvibe: ignore[{UNSURE}]"
    editor.change(one["newText"], one["range"]["start"])
    await published(editor, REVIEW, version=2)
    await result(editor)
    editor.change("\n", {"line": 7, "character": 0})
    await published(editor, REVIEW, version=3)


async def test_findings_of_a_model_are_in_the_hover(editor: Any) -> None:
    """With who says so, how sure that is, and how to silence it."""
    await result(editor)
    at = {"textDocument": {"uri": URI}, "position": {"line": 1, "character": 5}}
    said = (await editor.call("textDocument/hover", at))["result"]["contents"]["value"]
    assert "warning: It copies. (leanvibe/review)" in said
    assert f"model, confidence 0.80 · silence it with leanvibe: ignore[{REVIEW}] in a comment" in said


async def test_a_persons_severities_count_for_them_too(new_session: Any) -> None:
    """Off is off."""
    options = {"diagnostics": {"classifier": False, "severity": {"leanvibe/unsure": "off", REVIEW: "error"}}}
    await new_session.initialize(CAPABILITIES, initializationOptions=options)
    new_session.services.judged = judged_of
    new_session.open(TEXT)
    await result(new_session)
    (found,) = await published(new_session, REVIEW)
    assert found["severity"] == 1


async def test_what_nobody_judged_has_no_context(editor: Any) -> None:
    """An error with the next step."""
    error = await result(editor, "leanvibe.context", range=F)
    assert error["message"] == "No model has looked at this code as it is now. Review it first."
    error = await result(editor, uri="file:///other.py")
    assert "is not open here" in error["message"]


SAVES = {"diagnostics": {"classifier": False, "model": "save"}}


@pytest.fixture
async def saving(new_session: Any) -> Any:
    """The same with a client that wants a review at each save."""
    await new_session.initialize(CAPABILITIES, initializationOptions=SAVES)
    new_session.services.judged = judged_of
    new_session.open(TEXT)
    return new_session


def save(session: Any) -> None:
    session.notify("textDocument/didSave", {"textDocument": {"uri": URI}})


async def test_a_save_is_reviewed_where_that_is_wanted(saving: Any) -> None:
    """In the background and without a message."""
    save(saving)
    await published(saving, REVIEW, UNSURE)
    assert saving.services.reviews[0].spans is None
    assert shown(saving) == []


async def test_a_save_is_not_reviewed_otherwise(editor: Any) -> None:
    """On demand means on demand."""
    save(editor)
    await result(editor)
    assert len(editor.services.reviews) == 1


async def test_typing_and_another_save_stop_a_review(saving: Any) -> None:
    """What it would find is of no use any more."""
    saving.services.gate = asyncio.Event()
    save(saving)
    await saving.services.asked.wait()
    saving.change("x", {"line": 1, "character": 9})
    assert saving.services.tokens[0].cancelled
    saving.services.asked.clear()
    save(saving)
    await saving.services.asked.wait()
    saving.services.asked.clear()
    save(saving)
    await saving.services.asked.wait()
    assert [token.cancelled for token in saving.services.tokens] == [True, True, False]


async def test_cancel_all_reaches_a_review_that_nobody_asked_for(saving: Any) -> None:
    """`leanvibe.cancel` stops everything that a model works on for this client."""
    saving.services.gate = asyncio.Event()
    save(saving)
    await saving.services.asked.wait()
    reply = await saving.call("workspace/executeCommand", {"command": "leanvibe.cancel"})
    assert reply["result"] == {"cancelled": 1}
    assert saving.services.tokens[0].cancelled
