from __future__ import annotations

import asyncio
from time import thread_time
from typing import Any

import pytest

from leanvibe_lsp.assist import analyze
from leanvibe_lsp.assist.changes.values import ChangeKind
from leanvibe_lsp.core.edits import TextEdit
from leanvibe_lsp.core.text import Span
from tests.unit.lsp.conftest import URI

TEXT = "class Box:\n    def put(self, 𝒻):\n        a = 𝒻 + 1\n        return a\n"
SELECTED = {"start": {"line": 2, "character": 8}, "end": {"line": 2, "character": 18}}
AT_PUT = {"start": {"line": 1, "character": 8}, "end": {"line": 1, "character": 8}}
ACTIONS = {
    "codeActionLiteralSupport": {"codeActionKind": {"valueSet": []}},
    "isPreferredSupport": True,
    "disabledSupport": True,
    "dataSupport": True,
    "resolveSupport": {"properties": ["edit"]},
}
EDITS = {"documentChanges": True, "resourceOperations": ["create"], "changeAnnotationSupport": {}}
MODERN = {"textDocument": {"codeAction": ACTIONS}, "workspace": {"workspaceEdit": EDITS, "applyEdit": True}}
PLAIN = {"textDocument": {"codeAction": {"codeActionLiteralSupport": {"codeActionKind": {"valueSet": []}}}}}
THEIRS = {
    "range": {"start": {"line": 2, "character": 12}, "end": {"line": 2, "character": 14}},
    "message": "Undefined name",
    "source": "ruff",
    "code": "F821",
    "severity": 1,
}


def params(where: dict[str, Any] = AT_PUT, **context: object) -> dict[str, object]:
    return {"textDocument": {"uri": URI}, "range": where, "context": {"diagnostics": [], **context}}


async def listed(session: Any, where: dict[str, Any] = AT_PUT, **context: object) -> list[dict[str, Any]]:
    return (await session.call("textDocument/codeAction", params(where, **context)))["result"]


@pytest.fixture
async def modern(new_session: Any) -> Any:
    """A session with a client that knows everything, and TEXT open at version 1."""
    new_session.announced = (await new_session.initialize(MODERN))["result"]["capabilities"]
    new_session.open(TEXT)
    return new_session


async def titled(session: Any, title: str, **context: Any) -> dict[str, Any]:
    """The one action with that title."""
    where = context.pop("where", AT_PUT)
    return next(action for action in await listed(session, where, **context) if action["title"] == title)


async def test_kinds_and_resolving_are_announced(modern: Any) -> None:
    """All kinds that are ever listed, for a client that knows literals."""
    assert modern.announced["codeActionProvider"] == {
        "codeActionKinds": [
            "quickfix",
            "refactor.rewrite",
            "refactor.extract",
            "source.document",
            "source.tests",
            "leanvibe.explain",
            "source.review.leanvibe",
        ],
        "resolveProvider": True,
    }


async def test_a_place_offers_all_kinds(modern: Any) -> None:
    """Title, kind, and how it is done; what cannot be done says why."""
    actions = await listed(modern)
    how = {action["title"]: (action["kind"], sorted(action.keys() - {"title", "kind"})) for action in actions}
    assert how == {
        "Explain with LeanVibe": ("leanvibe.explain", ["command"]),
        "Simplify 'put'": ("refactor.rewrite", ["data"]),
        "Change 'put' with LeanVibe…": ("refactor.rewrite", ["command"]),
        "Rename for clarity in 'put'": ("refactor.rewrite", ["data"]),
        "Extract into a function": ("refactor.extract", ["disabled"]),
        "Document 'put'": ("source.document", ["data"]),
        "Write tests for 'put'": ("source.tests", ["data"]),
        "Review 'put' with LeanVibe": ("source.review.leanvibe", ["command"]),
        "Review this file with LeanVibe": ("source.review.leanvibe", ["command"]),
    }
    assert (await titled(modern, "Extract into a function"))["disabled"] == {
        "reason": "Select one or more whole statements first."
    }
    assert (await titled(modern, "Extract into a function", where=SELECTED))["data"] == {
        "command": "leanvibe.change",
        "argument": {"uri": URI, "range": SELECTED, "version": 1, "kind": "extract"},
    }


async def test_the_words_of_a_change_are_the_clients_to_ask_for(modern: Any) -> None:
    """The command, whose argument an extension completes with `instruction`."""
    put = {"start": {"line": 1, "character": 4}, "end": {"line": 3, "character": 16}}
    assert (await titled(modern, "Change 'put' with LeanVibe…"))["command"] == {
        "title": "Change 'put' with LeanVibe…",
        "command": "leanvibe.change",
        "arguments": [{"uri": URI, "range": put, "version": 1, "kind": "rewrite"}],
    }


async def test_a_diagnostic_of_another_server_can_be_fixed_and_explained(modern: Any) -> None:
    """Each belongs to the diagnostic it is about."""
    actions = await listed(modern, only=["quickfix"], diagnostics=[THEIRS])
    assert [(action["title"], action["kind"], action["diagnostics"]) for action in actions] == [
        ("Fix with LeanVibe: Undefined name", "quickfix", [THEIRS]),
        ("Explain with LeanVibe: Undefined name", "quickfix", [THEIRS]),
    ]
    diagnostic = {name: THEIRS[name] for name in ("range", "message", "code", "source")}
    assert actions[0]["data"]["argument"] == {
        "uri": URI,
        "range": THEIRS["range"],
        "version": 1,
        "kind": "fix",
        "diagnostic": diagnostic,
    }
    assert actions[1]["command"]["arguments"] == [{"uri": URI, "range": THEIRS["range"], "diagnostic": diagnostic}]


async def ours(session: Any, *, proven: bool = False, name: str = "x") -> tuple[str, list[dict[str, Any]]]:
    """A document with a finding of ours, and the actions listed for it; at last those with a proven fix."""
    uri = "file:///project/f.py"
    session.open(f"{name} = f'abc'\n", uri)
    at = len(name) + 3
    where = {"start": {"line": 0, "character": at}, "end": {"line": 0, "character": at + 6}}
    rule = "python/f-string-without-placeholder"
    diagnostic = {"range": where, "message": "Nothing is filled in.", "source": "leanvibe", "code": rule}
    given = {
        "textDocument": {"uri": uri},
        "range": where,
        "context": {"diagnostics": [diagnostic], "only": ["quickfix"]},
    }
    while True:
        actions = (await session.call("textDocument/codeAction", given))["result"]
        if not proven or "edit" in actions[0]:
            return uri, actions


async def test_a_rules_own_fix_comes_with_its_edit(modern: Any) -> None:
    """First, preferred because it is proven, and without any model."""
    modern.services.obstacle = "No model."
    uri, (mend, explain, ignore) = await ours(modern, proven=True)
    assert (mend["title"], mend["isPreferred"]) == ("Remove the f", True)
    (change,) = mend["edit"]["documentChanges"]
    assert change["textDocument"] == {"uri": uri, "version": 1}
    assert [(edit["range"]["start"], edit["newText"]) for edit in change["edits"]] == [
        ({"line": 0, "character": 4}, "")
    ]
    assert mend["edit"]["changeAnnotations"] == {"leanvibe": {"label": "Remove the f", "needsConfirmation": False}}
    assert explain["disabled"] == {"reason": "No model."}
    assert ignore["title"] == "Ignore python/f-string-without-placeholder on this line"


async def test_a_rules_own_fix_is_proven_when_it_is_taken(modern: Any) -> None:
    """A list does not wait for the proof; resolving does, and asks no model."""
    _, (mend, *_) = await ours(modern, name="n")  # a text that no other test had proven
    assert mend.keys() == {"title", "kind", "diagnostics", "data"}
    mend = (await resolve(modern, mend))["result"]
    assert [edit["newText"] for edit in mend["edit"]["documentChanges"][0]["edits"]] == [""]
    assert modern.services.requests == []


async def test_ignoring_is_resolved_without_a_model(modern: Any) -> None:
    """The comment, in an edit that needs no confirmation."""
    _, (_, _, ignore) = await ours(modern)
    edit = (await resolve(modern, ignore))["result"]["edit"]
    (change,) = edit["documentChanges"]
    assert change["edits"][0]["newText"] == "  # leanvibe: ignore[python/f-string-without-placeholder]"
    assert edit["changeAnnotations"]["leanvibe"]["needsConfirmation"] is False
    assert modern.services.requests == []


async def test_a_fix_that_a_rule_has_asks_no_model_by_command_either(session: Any) -> None:
    """For clients that know commands only."""
    _, (mend, *_) = await ours(session)
    made = (await session.call("workspace/executeCommand", mend))["result"]
    assert (made["proven"], made["answer"]["tier"], "changes" in made["edit"]) == (True, "rules", True)
    assert session.services.requests == []


async def test_by_itself_the_editor_is_told_only_about_diagnostics(modern: Any) -> None:
    """A light bulb at every word would say nothing."""
    assert await listed(modern, SELECTED, triggerKind=2) == []
    assert len(await listed(modern, SELECTED, triggerKind=2, diagnostics=[THEIRS])) == 2
    assert len(await listed(modern, SELECTED, triggerKind=1)) == 9


SOURCE_KINDS = ("source.document", "source.tests", "source.review.leanvibe")


@pytest.mark.parametrize(
    ("only", "kinds"),
    [
        ([], set()),
        (
            [""],
            {"quickfix", "refactor.rewrite", "refactor.extract", "leanvibe.explain", *SOURCE_KINDS},
        ),
        (["quickfix"], {"quickfix"}),
        (["refactor"], {"refactor.rewrite", "refactor.extract"}),
        (["refactor.extract"], {"refactor.extract"}),
        (["refactor.extract.function"], set()),
        (["source"], set(SOURCE_KINDS)),
        (["source.organizeImports"], set()),
        (["leanvibe", "source.tests"], {"leanvibe.explain", "source.tests"}),
        (["lean", "refact", "source.doc"], set()),
    ],
)
async def test_only_is_a_tree(modern: Any, only: list[str], kinds: set[str]) -> None:
    """A kind asks for itself and all below it."""
    assert {action["kind"] for action in await listed(modern, SELECTED, only=only, diagnostics=[THEIRS])} == kinds


async def test_clients_that_cannot_grey_out_are_not_shown_what_cannot_be(new_session: Any) -> None:
    """Without disabledSupport those are left out; without resolveSupport each has its command."""
    await new_session.initialize(PLAIN)
    new_session.open(TEXT)
    actions = await listed(new_session)
    assert "Extract into a function" not in [action["title"] for action in actions]
    assert {action["command"]["command"] for action in actions} == {
        "leanvibe.explain",
        "leanvibe.change",
        "leanvibe.judge",
    }


async def test_clients_without_literals_get_commands(session: Any) -> None:
    """Bare commands, and no kinds announced."""
    session.open(TEXT)
    commands = [action["command"] for action in await listed(session)]
    assert commands == ["leanvibe.explain", *["leanvibe.change"] * 5, *["leanvibe.judge"] * 2]


def but_reviews(actions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that need a model: a review has rungs that need none."""
    return [action for action in actions if action["kind"] != "source.review.leanvibe"]


async def test_without_a_usable_model_the_reason_is_said(modern: Any) -> None:
    """What is known of the model disables all it would have to do; listing asks no model."""
    modern.services.obstacle = "No model. Run: leanvibe models pull phi3"
    actions = but_reviews(await listed(modern, diagnostics=[THEIRS]))
    assert {action["disabled"]["reason"] for action in actions} == {"No model. Run: leanvibe models pull phi3"}
    assert modern.services.requests == []


async def test_a_secret_file_is_shown_to_no_model(modern: Any) -> None:
    """The reason names the pattern."""
    uri = "file:///project/.env"
    modern.open("A=1\n", uri, "shellscript")
    given = {**params(), "textDocument": {"uri": uri}}
    actions = but_reviews((await modern.call("textDocument/codeAction", given))["result"])
    assert {action["disabled"]["reason"] for action in actions} == {
        "No model is shown this file: files like '.env*' hold secrets."
    }


async def test_nothing_for_a_document_that_is_not_open(modern: Any) -> None:
    """An empty list, not an error."""
    given = {**params(), "textDocument": {"uri": "file:///other.py"}}
    assert (await modern.call("textDocument/codeAction", given))["result"] == []


async def test_many_diagnostics_are_not_all_listed(modern: Any) -> None:
    """A whole file's worth of them costs no more than a few."""
    many = [{**THEIRS, "message": f"No. {number}"} for number in range(500)]
    assert len(await listed(modern, only=["quickfix"], diagnostics=many)) == 2 * 8


async def resolve(session: Any, action: dict[str, Any]) -> dict[str, Any]:
    return await session.call("codeAction/resolve", action)


async def test_resolving_has_the_model_work(modern: Any) -> None:
    """The edit: versioned, in the client's columns, annotated with what was checked."""
    action = await titled(modern, "Extract into a function", where=SELECTED)
    modern.services.edits = (TextEdit(Span(TEXT.index("𝒻 + 1"), TEXT.index(" + 1")), "thing"),)
    result = (await resolve(modern, action))["result"]
    assert {name: result[name] for name in action} == action
    assert result["edit"] == {
        "documentChanges": [
            {
                "textDocument": {"uri": URI, "version": 1},
                "edits": [
                    {
                        "range": {"start": {"line": 2, "character": 12}, "end": {"line": 2, "character": 14}},
                        "newText": "thing",
                        "annotationId": "leanvibe",
                    }
                ],
            }
        ],
        "changeAnnotations": {
            "leanvibe": {
                "label": "A extract",
                "needsConfirmation": True,
                "description": "confidence 0.50 (not calibrated); parses: yes",
            }
        },
    }
    request = modern.services.changes[0]
    assert request.kind is ChangeKind.EXTRACT
    assert TEXT[request.place.span.start : request.place.span.end] == "a = 𝒻 + 1"


async def test_a_fix_carries_the_diagnostic(modern: Any) -> None:
    """What another server said reaches the model, its columns converted."""
    action = await titled(modern, "Fix with LeanVibe: Undefined name", diagnostics=[THEIRS])
    assert "edit" in (await resolve(modern, action))["result"]
    complaint = modern.services.changes[0].complaint
    assert (complaint.message, complaint.code, complaint.source, complaint.rule) == (
        "Undefined name",
        "F821",
        "ruff",
        "",
    )
    assert TEXT[complaint.span.start : complaint.span.end] == "𝒻"


async def test_resolving_an_old_action_is_refused(modern: Any) -> None:
    """The document changed since it was listed: ContentModified, and no model is asked."""
    action = await titled(modern, "Simplify 'put'")
    modern.change("x", {"line": 0, "character": 0})
    assert (await resolve(modern, action))["error"] == {
        "code": -32801,
        "message": "The document changed since this was offered. Choose it again.",
        "data": {"kind": "contentModified", "nextStep": "Choose it again.", "retryable": True},
    }
    assert modern.services.changes == []


async def test_a_refusal_is_an_error_with_the_draft(modern: Any) -> None:
    """A reply that should be an edit cannot be one; the draft is shown and kept."""
    action = await titled(modern, "Simplify 'put'")
    modern.services.refusal = "It did not parse."
    error = (await resolve(modern, action))["error"]
    assert error == {
        "code": -32803,
        "message": "It did not parse.",
        "data": {
            "kind": "refused",
            "nextStep": "",
            "retryable": False,
            "draft": "The answer.",
            "checks": [{"name": "parses", "passed": False, "checked": True, "detail": ""}],
        },
    }
    shown = (await modern.method("window/showMessage"))["params"]
    assert shown["message"] == "It did not parse.\n\nNot applied. What the model wrote:\n\nThe answer."


async def test_resolving_can_be_cancelled(modern: Any) -> None:
    """By request id; the work stops."""
    modern.services.gate = asyncio.Event()
    action = await titled(modern, "Simplify 'put'")
    request = modern.request("codeAction/resolve", action)
    await modern.services.asked.wait()
    modern.notify("$/cancelRequest", {"id": request})
    assert (await modern.reply(request))["error"]["code"] == -32800
    assert modern.services.stopped == 1


@pytest.mark.parametrize(
    ("data", "named"),
    [
        ({"command": "rm", "argument": {}}, "command"),
        ({"command": "leanvibe.change"}, "argument"),
        ({"command": "leanvibe.change", "argument": {"uri": URI, "range": SELECTED, "kind": "dance"}}, "kind"),
        ({"command": "leanvibe.change", "argument": {"uri": URI, "kind": "simplify"}}, "range"),
        ({"command": "leanvibe.change", "argument": {"uri": URI, "range": SELECTED, "kind": "fix"}}, "diagnostic"),
        ({"command": "leanvibe.suppress", "argument": {"uri": URI, "range": SELECTED, "rule": "a b"}}, "rule"),
        (5, "params"),
    ],
)
async def test_malformed_data_is_an_error_with_the_field(modern: Any, data: object, named: str) -> None:
    """Data that this server never sent is refused by name."""
    error = (await resolve(modern, {"title": "x", "data": data}))["error"]
    assert error["code"] == -32602
    assert named in error["message"]


async def test_an_action_without_data_comes_back_as_it_is(modern: Any) -> None:
    """There is nothing to resolve."""
    assert (await resolve(modern, {"title": "x"}))["result"] == {"title": "x"}


async def looked_at(session: Any, text: str, uri: str = "file:///project/f.py") -> tuple[dict[str, Any], Any]:
    """A document that was opened and looked at: the middle one of its findings, and what lists the actions for it."""
    session.open(text, uri)
    reply = await session.call("textDocument/diagnostic", {"textDocument": {"uri": uri}})
    found = reply["result"]["items"]
    one = found[len(found) // 2]

    async def actions(at: dict[str, Any]) -> Any:
        context = {"diagnostics": [{**one, "range": at}], "only": ["quickfix"]}
        given = {"textDocument": {"uri": uri}, "range": at, "context": context}
        return (await session.call("textDocument/codeAction", given))["result"]

    return one["range"], actions


PULLING = {**MODERN, "textDocument": {"codeAction": ACTIONS, "diagnostic": {}}}


async def test_after_an_edit_elsewhere_a_list_looks_at_nothing(
    new_session: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was found in the text before has moved with it: its fix is offered where it is now."""
    await new_session.initialize(PULLING)
    _, actions = await looked_at(new_session, "def f():\n    return f'abc'\n")
    new_session.change("import os\n", {"line": 0, "character": 0}, "file:///project/f.py")
    moved = {"start": {"line": 2, "character": 11}, "end": {"line": 2, "character": 17}}
    with monkeypatch.context() as patch:
        patch.setattr(analyze, "analyze", None)
        mend, *_ = await actions(moved)
    assert (mend["title"], mend["data"]["argument"]["range"]) == ("Remove the f", moved)


async def test_a_finding_that_was_typed_in_is_looked_for(new_session: Any) -> None:
    """What is known of it says nothing any more."""
    await new_session.initialize(PULLING)
    _, actions = await looked_at(new_session, "x = f'abc'\n")
    new_session.change("d", {"line": 0, "character": 9}, "file:///project/f.py")
    grown = {"start": {"line": 0, "character": 4}, "end": {"line": 0, "character": 11}}
    assert (await actions(grown))[0]["title"] == "Remove the f"


async def test_a_list_right_after_an_edit_takes_under_10_ms(new_session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a processor, in a file of 2,000 lines with hundreds of findings; the best of five edits."""
    await new_session.initialize(PULLING)
    piece = "def fun{0}(a, b):\n    t = a + {0}\n    for x in range(b):\n        t += f'x'\n    return t\n\n\n\n"
    text = "".join(piece.format(number) for number in range(250))
    where, actions = await looked_at(new_session, text)

    async def here(work: Any) -> Any:
        return work()

    monkeypatch.setattr(new_session.server, "beside", here)
    taken = []
    for _ in range(5):
        new_session.change(" ", {"line": 1_991, "character": 4}, "file:///project/f.py")
        began = thread_time()
        assert (await actions(where))[0]["title"] == "Remove the f"
        taken.append(thread_time() - began)
    assert min(taken) < 0.01, taken


@pytest.mark.parametrize("edits", [EDITS, {}])
async def test_a_list_for_a_text_that_is_gone(new_session: Any, edits: dict[str, Any]) -> None:
    """A client that cannot tell an old edit from a new one asks again; one that can gets edits with their version."""
    await new_session.initialize({**MODERN, "workspace": {"workspaceEdit": edits}})
    uri, _ = await ours(new_session, proven=True, name="gone")
    where = {"start": {"line": 0, "character": 7}, "end": {"line": 0, "character": 13}}
    rule = "python/f-string-without-placeholder"
    diagnostic = {"range": where, "message": "Nothing is filled in.", "source": "leanvibe", "code": rule}
    context = {"diagnostics": [diagnostic], "only": ["quickfix"]}
    given = {"textDocument": {"uri": uri}, "range": where, "context": context}
    beside = new_session.server.beside

    async def typed(work: Any) -> Any:
        found = await beside(work)
        new_session.server.beside = beside
        new_session.change("import os\n", {"line": 0, "character": 0}, uri)
        return found

    new_session.server.beside = typed
    reply = await new_session.call("textDocument/codeAction", given)
    if edits:
        (change,) = reply["result"][0]["edit"]["documentChanges"]
        assert change["textDocument"]["version"] == 1
    else:
        assert reply["error"]["code"] == -32801


@pytest.mark.parametrize("message", [{"kind": "markdown", "value": "**x**"}, None, 5])
async def test_an_odd_diagnostic_costs_only_itself(modern: Any, message: object) -> None:
    """One that does not fit is left out; the others have their actions."""
    actions = await listed(modern, only=["quickfix"], diagnostics=[{**THEIRS, "message": message}, THEIRS])
    assert [action["diagnostics"] for action in actions] == [[THEIRS], [THEIRS]]
