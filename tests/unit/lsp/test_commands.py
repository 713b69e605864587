from __future__ import annotations

import asyncio
from typing import Any

import pytest

from leanvibe_lsp.assist.answer_json import answer_json
from leanvibe_lsp.assist.changes.standing import standing
from leanvibe_lsp.assist.changes.values import Change, FileChange
from leanvibe_lsp.core.edits import TextEdit
from leanvibe_lsp.core.text import LineIndex, Span
from leanvibe_lsp.documents.snapshot import Snapshot
from tests.support.fake_services import answer_of
from tests.unit.lsp.conftest import URI

TEXT = "class Box:\n    def 𝒻x(self):\n        return 1\n"
RANGE = {"start": {"line": 1, "character": 4}, "end": {"line": 2, "character": 16}}
CAPABILITIES = {
    "workspace": {"applyEdit": True, "workspaceEdit": {"documentChanges": True}, "codeLens": {"refreshSupport": True}}
}
ONE = Span(TEXT.index("1"), TEXT.index("1") + 1)


def argument(**fields: object) -> dict[str, object]:
    return {"uri": URI, "range": RANGE, **fields}


def run(session: Any, command: str, given: object, **params: object) -> int | str:
    return session.request("workspace/executeCommand", {"command": command, "arguments": [given], **params})


async def result(session: Any, command: str, given: object, **params: object) -> Any:
    reply = await session.reply(run(session, command, given, **params))
    return reply.get("result", reply.get("error"))


def shown(session: Any) -> list[str]:
    return [m["params"]["message"] for m in session.sent if m.get("method") == "window/showMessage"]


@pytest.fixture
async def editor(new_session: Any) -> Any:
    """A session with a client that applies edits, and TEXT open; `1` is to become `2`."""
    await new_session.initialize(CAPABILITIES)
    new_session.open(TEXT)
    new_session.services.edits = (TextEdit(ONE, "2"),)
    return new_session


async def test_explain_asks_about_the_range_and_shows(session: Any) -> None:
    """The command's result is that of leanvibe/ask; a client that opens no documents is shown the text."""
    session.open(TEXT)
    assert await result(session, "leanvibe.explain", argument()) == answer_json(answer_of("The answer."))
    place = session.services.requests[0].places[0]
    assert TEXT[place.span.start : place.span.end].startswith("def 𝒻x")
    assert shown(session) == ["The answer."]


async def test_explain_explains_a_diagnostic(session: Any) -> None:
    """The question is about what the other server said."""
    session.open(TEXT)
    await result(session, "leanvibe.explain", argument(diagnostic={"range": RANGE, "message": "x is unused"}))
    assert session.services.requests[0].question == "Explain this problem and how to mend it: x is unused"


async def test_explain_streams_to_a_token(session: Any) -> None:
    """A token in the argument gets the text as it comes, and no message box repeats it."""
    session.open(TEXT)
    answer = await result(session, "leanvibe.explain", argument(partialResultToken="t"))
    assert "".join(session.progress("t")) == answer["answer"]
    assert shown(session) == []


async def test_an_explanation_is_never_lost(new_session: Any) -> None:
    """A client without a token is shown the answer, whatever else it could show."""
    await new_session.initialize({"window": {"showDocument": {"support": True}}})
    new_session.open(TEXT)
    answer = await result(new_session, "leanvibe.explain", argument())
    assert shown(new_session) == [answer["answer"]]


def edit_of(session: Any) -> Any:
    return session.method("workspace/applyEdit")


VERSIONED = {
    "documentChanges": [
        {
            "textDocument": {"uri": URI, "version": 1},
            "edits": [
                {
                    "range": {"start": {"line": 2, "character": 15}, "end": {"line": 2, "character": 16}},
                    "newText": "2",
                }
            ],
        }
    ]
}


async def test_a_change_is_applied_and_told(editor: Any) -> None:
    """The edit is sent with its title; the result says what was done, how it was checked, who wrote it."""
    request = run(editor, "leanvibe.change", argument(kind="rewrite", instruction=" Make it 2. "))
    asked = await edit_of(editor)
    assert asked["params"] == {"label": "A rewrite", "edit": VERSIONED}
    editor.respond(asked["id"], result={"applied": True})
    assert (await editor.reply(request))["result"] == {
        "title": "A rewrite",
        "applied": True,
        "proven": False,
        "checks": [{"name": "parses", "passed": True, "checked": True, "detail": ""}],
        "attempts": 1,
        "refusal": "",
        "draft": "The answer.",
        "answer": answer_json(answer_of("The answer.")),
    }
    assert editor.services.changes[0].instruction == "Make it 2."
    assert shown(editor) == []


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        ({"result": {"applied": False, "failureReason": "read only"}}, "read only"),
        ({"result": {"applied": False}}, "the editor did not apply it, and does not say why"),
        ({"error": {"code": -32601, "message": "no such method"}}, "the editor refused: no such method"),
    ],
)
async def test_an_edit_that_the_client_refuses_is_said(editor: Any, outcome: dict[str, Any], reason: str) -> None:
    """With the client's own reason; the edit comes back for whoever can apply it, the draft for who reads it."""
    request = run(editor, "leanvibe.change", argument(kind="simplify"))
    editor.respond((await edit_of(editor))["id"], **outcome)
    made = (await editor.reply(request))["result"]
    assert (made["applied"], made["reason"], made["edit"]) == (False, reason, VERSIONED)
    assert (made["refusal"], made["draft"]) == (f"A simplify: not applied, {reason}.", "The answer.")
    assert shown(editor) == [f"{made['refusal']}\n\nNot applied. What the model wrote:\n\nThe answer."]


async def test_a_refused_edit_and_its_draft_are_left_to_a_client_that_streams(editor: Any) -> None:
    """It has the words, and in the result why they were not applied: no message says it twice."""
    request = run(editor, "leanvibe.change", argument(kind="simplify", partialResultToken="t"))
    editor.respond((await edit_of(editor))["id"], result={"applied": False, "failureReason": "read only"})
    made = (await editor.reply(request))["result"]
    assert "".join(editor.progress("t")) == made["draft"] == "The answer."
    assert made["refusal"] == "A simplify: not applied, read only."
    assert shown(editor) == []


@pytest.mark.parametrize("how", ["$/cancelRequest", "leanvibe.cancel"])
@pytest.mark.parametrize("applied", [True, False])
async def test_a_cancel_does_not_take_back_an_edit_that_was_sent(editor: Any, how: str, applied: bool) -> None:
    """The editor is applying it: what it answers is the result, not that the request was stopped."""
    request = run(editor, "leanvibe.change", argument(kind="simplify"))
    asked = await edit_of(editor)
    if how == "leanvibe.cancel":
        assert await result(editor, how, {}) == {"cancelled": 0}
    else:
        editor.notify(how, {"id": request})
    await asyncio.sleep(0)
    editor.respond(asked["id"], result={"applied": applied})
    assert (await editor.reply(request))["result"]["applied"] is applied


async def test_a_client_that_never_answers_an_edit_is_not_waited_for_for_ever(
    editor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After `rpc.person_reply_seconds` the request has its reply, and the person the draft."""
    monkeypatch.setattr("leanvibe_lsp.lsp.client.limit", {"rpc.person_reply_seconds": 0.01}.__getitem__)
    made = await result(editor, "leanvibe.change", argument(kind="simplify"))
    assert (made["applied"], made["reason"]) == (False, "the editor did not say whether it did it")
    assert shown(editor)[0].endswith("What the model wrote:\n\nThe answer.")


async def test_a_client_that_applies_nothing_gets_the_edit(session: Any) -> None:
    """In the plain form when it knows no document changes."""
    session.open(TEXT)
    session.services.edits = (TextEdit(ONE, "2"),)
    made = await result(session, "leanvibe.change", argument(kind="simplify"))
    assert made["applied"] is False
    assert made["edit"] == {"changes": {URI: VERSIONED["documentChanges"][0]["edits"]}}
    assert shown(session)[0].startswith("A simplify: not applied, this editor applies no edits for a server.")
    assert shown(session)[0].endswith("What the model wrote:\n\nThe answer.")
    assert not [m for m in session.sent if m.get("method") == "workspace/applyEdit"]


async def test_what_did_not_pass_its_checks_is_shown_and_never_applied(editor: Any) -> None:
    """The refusal and the draft, in the result and as a message."""
    editor.services.refusal = "It did not parse."
    made = await result(editor, "leanvibe.change", argument(kind="simplify"))
    assert (made["applied"], made["refusal"], made["draft"]) == (False, "It did not parse.", "The answer.")
    assert "edit" not in made
    assert shown(editor) == ["It did not parse.\n\nNot applied. What the model wrote:\n\nThe answer."]


async def test_a_client_that_streams_shows_the_draft_itself(editor: Any) -> None:
    """It gets the words as they come, and no message."""
    editor.services.refusal = "It did not parse."
    await result(editor, "leanvibe.change", argument(kind="simplify", partialResultToken="t"))
    assert "".join(editor.progress("t")) == "The answer."
    assert shown(editor) == []


async def gated(editor: Any, **fields: object) -> int | str:
    """A change that runs until `editor.services.gate` opens."""
    editor.services.gate = asyncio.Event()
    request = run(editor, "leanvibe.change", argument(kind="simplify", **fields))
    await editor.services.asked.wait()
    return request


async def test_an_edit_follows_what_was_typed_elsewhere(editor: Any) -> None:
    """The document moved on: the edit is one of the version of now."""
    request = await gated(editor)
    editor.change("import os\n", {"line": 0, "character": 0})
    editor.services.gate.set()
    asked = await edit_of(editor)
    (change,) = asked["params"]["edit"]["documentChanges"]
    assert change["textDocument"]["version"] == 2
    assert change["edits"][0]["range"] == {"start": {"line": 3, "character": 15}, "end": {"line": 3, "character": 16}}
    editor.respond(asked["id"], result={"applied": True})
    assert (await editor.reply(request))["result"]["applied"] is True


async def modified(editor: Any, request: int | str, message: str) -> None:
    editor.services.gate.set()
    error = (await editor.reply(request))["error"]
    assert (error["code"], error["message"]) == (-32801, message)
    assert error["data"]["retryable"] is True
    assert error["data"]["draft"] == "The answer."
    assert shown(editor) == [f"{message}\n\nNot applied. What the model wrote:\n\nThe answer."]
    assert not [m for m in editor.sent if m.get("method") == "workspace/applyEdit"]


async def test_an_edit_is_refused_where_its_place_was_typed_in(editor: Any) -> None:
    """ContentModified, retryable, the draft kept and shown."""
    request = await gated(editor)
    editor.change("3", {"line": 2, "character": 15})
    await modified(editor, request, "What was to be changed was edited meanwhile. Try again.")


@pytest.mark.parametrize("carried", [False, True])
async def test_what_was_typed_meanwhile_was_in_no_proof(new_session: Any, carried: bool) -> None:
    """Carried over other text, an edit is a person's to confirm, and the result says so too."""
    annotated = {"documentChanges": True, "changeAnnotationSupport": {}}
    await new_session.initialize({"workspace": {"applyEdit": True, "workspaceEdit": annotated}})
    new_session.open(TEXT)
    new_session.services.edits, new_session.services.proven = (TextEdit(ONE, "2"),), True
    request = await gated(new_session)
    if carried:
        new_session.change("import os\n", {"line": 0, "character": 0})
    new_session.services.gate.set()
    asked = await edit_of(new_session)
    assert asked["params"]["edit"]["changeAnnotations"]["leanvibe"]["needsConfirmation"] is carried
    new_session.respond(asked["id"], result={"applied": True})
    assert (await new_session.reply(request))["result"]["proven"] is not carried


@pytest.mark.parametrize(
    ("line", "text", "lands"),
    [
        (5, "    print(n)\n", False),  # in the routine, outside of what is edited
        (7, "    print(n)\n", False),  # one more statement at its end
        (3, "@cache", False),  # a decorator
        (10, "    n = 3\n", True),  # in another routine
    ],
)
async def test_an_edit_never_lands_in_a_routine_that_changed(editor: Any, line: int, text: str, lands: bool) -> None:
    """A name that is not renamed there would be left behind; what a fix takes away may be in use by now."""
    code = "import os\n\n\n\ndef f(a):\n    n = a\n    return n\n\n\ndef g():\n    pass\n"
    editor.open(code)
    snapshot = editor.server.documents.get(URI)
    start = code.index("n = a")
    edits = (TextEdit(Span(start, start + 1), "count"), TextEdit(Span(start + 17, start + 18), "count"))
    file = FileChange(snapshot, edits, region=standing(snapshot, Span(start, start + 18)))
    editor.services.made = Change("Rename", (file,), (), False, "", "", answer_of("x"))
    request = await gated(editor)
    editor.change(text, {"line": line, "character": 0})
    editor.services.gate.set()
    if lands:
        asked = await edit_of(editor)
        editor.respond(asked["id"], result={"applied": True})
    reply = await editor.reply(request)
    assert ("error" in reply, reply.get("error", {}).get("code")) == ((False, None) if lands else (True, -32801))


async def test_an_edit_is_refused_when_the_document_was_closed(editor: Any) -> None:
    """No edit goes to a document that is not open any more."""
    request = await gated(editor)
    editor.notify("textDocument/didClose", {"textDocument": {"uri": URI}})
    await modified(editor, request, "The document was closed while the model worked. Open it and try again.")


async def test_an_edit_is_refused_when_the_document_was_opened_anew(editor: Any) -> None:
    """What lies between is not known, so nothing is carried over."""
    request = await gated(editor)
    editor.open(TEXT + "# more\n")
    await modified(editor, request, "What was to be changed was edited meanwhile. Try again.")


async def test_a_change_wants_an_open_document(editor: Any) -> None:
    """A closed one is an error with the next step."""
    error = await result(editor, "leanvibe.change", {**argument(kind="simplify"), "uri": "file:///b.py"})
    assert error["message"] == ("uri: 'file:///b.py' is not open here. Open the document in the editor first.")


async def test_a_change_wants_the_version_it_was_listed_for(editor: Any) -> None:
    """When the argument names one."""
    assert (await result(editor, "leanvibe.change", argument(kind="simplify", version=7)))["code"] == -32801


async def test_words_that_are_missing_are_asked_for(editor: Any) -> None:
    """LSP has no free text: one of a few, and none is a cancel."""
    for picked, instruction in (({"title": "Handle errors"}, "Handle errors"), (None, None)):
        editor.sent.clear()
        request = run(editor, "leanvibe.change", argument(kind="rewrite"))
        asked = await editor.method("window/showMessageRequest")
        assert asked["params"]["actions"][1] == {"title": "Handle errors"}
        editor.respond(asked["id"], result=picked)
        if instruction is None:
            assert (await editor.reply(request))["error"]["code"] == -32800
        else:
            editor.respond((await edit_of(editor))["id"], result={"applied": True})
            assert (await editor.reply(request))["result"]["applied"]
            assert editor.services.changes[-1].instruction == instruction


async def test_a_client_that_cannot_ask_is_told_what_is_missing(editor: Any) -> None:
    """An error that names the field."""
    request = run(editor, "leanvibe.change", argument(kind="rewrite"))
    asked = await editor.method("window/showMessageRequest")
    editor.respond(asked["id"], error={"code": -32601, "message": "unknown"})
    error = (await editor.reply(request))["error"]
    assert error["message"] == "instruction: needed to rewrite code. Send it in the command's argument."


async def test_progress_begins_and_ends(editor: Any) -> None:
    """Under the command's own token."""
    request = run(editor, "leanvibe.change", argument(kind="simplify"), workDoneToken="w")
    editor.respond((await edit_of(editor))["id"], result={"applied": True})
    await editor.reply(request)
    kinds = [value["kind"] for value in editor.progress("w")]
    assert (kinds[0], kinds[-1]) == ("begin", "end")


@pytest.mark.parametrize("how", ["request", "token", "command"])
async def test_a_change_can_be_cancelled(editor: Any, how: str) -> None:
    """By request id, by the progress token, and by leanvibe.cancel: one reply, the model is left alone."""
    editor.services.gate = asyncio.Event()
    request = run(editor, "leanvibe.change", argument(kind="simplify"), workDoneToken="w")
    await editor.services.asked.wait()
    if how == "request":
        editor.notify("$/cancelRequest", {"id": request})
    elif how == "token":
        editor.notify("window/workDoneProgress/cancel", {"token": "w"})
    else:
        reply = await editor.call("workspace/executeCommand", {"command": "leanvibe.cancel"})
        assert reply["result"] == {"cancelled": 1}
    assert (await editor.reply(request))["error"]["code"] == -32800
    assert editor.services.stopped == 1
    assert len(editor.replies(request)) == 1


async def test_cancel_stops_every_generation_of_this_client(editor: Any) -> None:
    """Questions, explanations and changes; with nothing running it is 0."""
    editor.services.gate = asyncio.Event()
    asked = [
        editor.request("leanvibe/ask", {"question": "why?"}),
        run(editor, "leanvibe.explain", argument()),
        run(editor, "leanvibe.change", argument(kind="simplify")),
    ]
    for count in (3, 0):
        reply = await editor.call("workspace/executeCommand", {"command": "leanvibe.cancel"})
        assert reply["result"] == {"cancelled": count}
        assert [(await editor.reply(request))["error"]["code"] for request in asked] == [-32800] * 3


async def test_suppress_writes_the_comment(editor: Any) -> None:
    """No model is asked."""
    where = {"start": {"line": 2, "character": 8}, "end": {"line": 2, "character": 16}}
    request = run(editor, "leanvibe.suppress", {"uri": URI, "range": where, "rule": "python/mutable-default"})
    asked = await edit_of(editor)
    (change,) = asked["params"]["edit"]["documentChanges"]
    assert change["edits"] == [
        {
            "range": {"start": {"line": 2, "character": 16}, "end": {"line": 2, "character": 16}},
            "newText": "  # leanvibe: ignore[python/mutable-default]",
        }
    ]
    editor.respond(asked["id"], result={"applied": True})
    assert (await editor.reply(request))["result"] == {"title": "Ignore python/mutable-default", "applied": True}
    assert editor.services.changes == []


async def test_suppress_knows_its_rules(editor: Any) -> None:
    """A comment for a rule that does not exist would silence nothing, and be told as such for ever."""
    where = {"start": {"line": 2, "character": 8}, "end": {"line": 2, "character": 16}}
    error = await result(editor, "leanvibe.suppress", {"uri": URI, "range": where, "rule": "python/mutable-defualt"})
    assert error["code"] == -32602
    assert error["message"].startswith("rule: there is no rule 'python/mutable-defualt' here.")


async def test_suppress_says_where_no_comment_can_stand(editor: Any) -> None:
    """An error with the next step."""
    editor.open('{"a": 1}\n', "file:///a.json", "json")
    where = {"start": {"line": 0, "character": 1}, "end": {"line": 0, "character": 2}}
    error = await result(
        editor, "leanvibe.suppress", {"uri": "file:///a.json", "range": where, "rule": "python/mutable-default"}
    )
    assert error["message"] == (
        "No comment can stand there to ignore python/mutable-default. Switch the rule off in the settings instead."
    )


@pytest.mark.parametrize("typed", [(0, "import os\n"), (2, "x")])
async def test_a_comment_follows_what_was_typed(session: Any, typed: tuple[int, str]) -> None:
    """Elsewhere: it stands where it was meant, also for clients without versions. On its line: ContentModified."""
    session.open(TEXT)
    await session.method("textDocument/publishDiagnostics")  # which is looked for in the same way
    beside = session.server.beside

    async def then_typed(work: Any) -> Any:
        found = await beside(work)
        # Findings are looked for beside it too.
        if "suppress" in work.__qualname__ and session.server.beside is then_typed:
            session.server.beside = beside
            session.change(typed[1], {"line": typed[0], "character": 0})
        return found

    session.server.beside = then_typed
    where = {"start": {"line": 2, "character": 8}, "end": {"line": 2, "character": 16}}
    made = await result(session, "leanvibe.suppress", {"uri": URI, "range": where, "rule": "python/mutable-default"})
    if typed[0]:
        assert made["code"] == -32801
    else:
        behind = {"line": 3, "character": 16}
        comment = {"range": {"start": behind, "end": behind}, "newText": "  # leanvibe: ignore[python/mutable-default]"}
        assert made["edit"]["changes"] == {URI: [comment]}


async def test_a_file_that_cannot_be_made_is_a_refusal(editor: Any) -> None:
    """Where clients look for one: what is missing, and what to do."""
    new = Snapshot("file:///project/test_a.py", None, "python", None, "", LineIndex(""))
    file = FileChange(new, (TextEdit(Span(0, 0), "x\n"),), creates=True)
    editor.services.made = Change("Write tests", (file,), (), False, "x", "", answer_of("x"))
    made = await result(editor, "leanvibe.change", argument(kind="tests", partialResultToken="t"))
    assert (made["applied"], made["draft"]) == (False, "x")
    assert made["refusal"] == (
        "This editor makes no new files for a server, and file:///project/test_a.py does not exist. "
        "Create an empty file there and try again."
    )
    assert shown(editor) == []


@pytest.mark.parametrize(
    ("command", "given", "named"),
    [
        ("leanvibe.change", [], "takes one argument, an object with kind, uri, range"),
        ("leanvibe.change", [1, 2], "takes one argument"),
        ("leanvibe.change", [None], "params"),
        ("leanvibe.change", [argument()], "kind"),
        ("leanvibe.change", [argument(kind="dance")], "kind"),
        ("leanvibe.change", [argument(kind="fix")], "diagnostic"),
        ("leanvibe.change", [argument(kind="fix", diagnostic={"message": "x"})], "diagnostic.range"),
        ("leanvibe.change", [argument(kind="rewrite", instruction=5)], "instruction"),
        ("leanvibe.change", [{**argument(kind="simplify"), "range": {"start": {"line": -1}}}], "range.start.line"),
        ("leanvibe.suppress", [argument()], "rule"),
        ("leanvibe.suppress", [argument(rule="a]\nb")], "rule"),
        ("leanvibe.explain", [], "an object with uri"),
        ("leanvibe.explain", [argument(diagnostic=5)], "diagnostic"),
        ("leanvibe.dance", [], "there are: leanvibe.explain, leanvibe.change, leanvibe.suppress, leanvibe.cancel"),
    ],
)
async def test_malformed_arguments_name_the_field(editor: Any, command: str, given: list[object], named: str) -> None:
    """-32602, with what was wrong."""
    reply = await editor.call("workspace/executeCommand", {"command": command, "arguments": given})
    assert reply["error"]["code"] == -32602
    assert named in reply["error"]["message"]
