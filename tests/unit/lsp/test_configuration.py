from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from leanvibe_lsp.config.layers import command_line_layer, environment_layer, settled, user_layer
from leanvibe_lsp.config.settings import Settings
from leanvibe_lsp.lsp.assembly import make_server
from leanvibe_lsp.lsp.sharing import SharedServices
from tests.support.fake_services import FakeServices
from tests.unit.lsp.conftest import Session

PULLS = {"workspace": {"configuration": True}}


class Services(FakeServices):
    """Tells when they were closed, which happens on a thread."""

    def __init__(self) -> None:
        super().__init__()
        self.ended = threading.Event()

    def close(self) -> None:
        """Counted, and told."""
        super().close()
        self.ended.set()


Made = dict[str | None, Services]


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own file, not there yet."""
    (tmp_path / "config").mkdir()
    monkeypatch.setenv("LEANVIBE_CONFIG_DIR", str(tmp_path / "config"))
    return tmp_path / "config" / "leanvibe.toml"


@pytest.fixture
def made() -> Made:
    """The services made so far, by the model they are for."""
    return {}


@pytest.fixture
async def start(made: Made, user: Path, workers: ThreadPoolExecutor) -> AsyncIterator[Callable[..., Session]]:
    """Starts a session as a process with these options would, before initialize."""
    started: list[Session] = []

    def create(settings: Settings) -> Services:
        return made.setdefault(settings.model, Services())

    def begin(*, model: str | None = None, **environment: str) -> Session:
        layers = (user_layer(), environment_layer(environment), command_line_layer(model, None))
        server = make_server(
            SharedServices(create), settings=settled(layers), workers=workers, reads_files=True, layers=layers
        )
        started.append(Session(server, FakeServices()))
        return started[-1]

    yield begin
    for session in started:
        await session.server.finish(within=1)
        session.server.give_back_services()


def save(path: Path, text: str) -> None:
    path.write_text(text)


def folder(path: Path) -> dict[str, str]:
    path.mkdir(exist_ok=True)
    return {"uri": path.as_uri(), "name": path.name}


def shown(session: Session) -> list[str]:
    return [m["params"]["message"] for m in session.sent if m.get("method") == "window/showMessage"]


async def turn() -> None:
    """What was put off until the loop is free has happened."""
    for _ in range(3):
        await asyncio.sleep(0)


async def answer_configuration(session: Session, *results: object) -> dict[str, Any]:
    """Answer the newest question about configuration that has no answer yet."""
    asked = await session.wait_for(lambda m: m.get("method") == "workspace/configuration" and "seen" not in m)
    asked["seen"] = True
    session.respond(asked["id"], result=list(results))
    await turn()
    return asked


async def test_layers_from_file_to_command_line(start: Callable[..., Session], user: Path, tmp_path: Path) -> None:
    """User file < environment < workspace < initializationOptions < configuration < command line."""
    save(user, 'model = "user"\nhover.summary = false\ndiagnostics.enabled = false\ncodeLens.enabled = true\n')
    root = folder(tmp_path / "root")
    (tmp_path / "root" / "leanvibe.toml").write_text("diagnostics.enabled = true\ncodeLens.enabled = false\n")
    session = start(model="line", LEANVIBE_MODEL="env", LEANVIBE_HOVER_SUMMARY="1")
    options = {"model": "options", "codeLens": {"enabled": True}}
    await session.initialize(PULLS, workspaceFolders=[root], initializationOptions=options)
    await answer_configuration(session, {"model": "pulled", "codeLens": None}, {"inlineCompletion": {"enabled": True}})
    settings = session.server.settings_for((tmp_path / "root" / "a.py").as_uri())
    assert settings.model == "line"
    editor = settings.editor
    assert (editor.diagnostics, editor.code_lens, editor.hover_summary) == (True, True, True)
    assert editor.inline_completion
    assert not session.server.settings.editor.diagnostics
    assert shown(session) == []


async def test_the_innermost_root_counts(start: Callable[..., Session], tmp_path: Path) -> None:
    """A document has the settings of the longest root that holds it; what is secret in a root is so everywhere."""
    outer, inner = tmp_path / "outer", tmp_path / "outer" / "inner"
    session = start()
    folders = [folder(outer), folder(inner)]
    (outer / "leanvibe.toml").write_text('context.secrets = ["outer"]\n')
    (inner / "pyproject.toml").write_text('[tool.leanvibe]\ncontext.secrets = ["inner"]\n')
    await session.initialize(workspaceFolders=folders)
    secrets = [
        session.server.settings_for(uri).editor.secrets
        for uri in ((outer / "a.py").as_uri(), (inner / "a.py").as_uri(), (tmp_path / "a.py").as_uri(), "untitled:1")
    ]
    of_outer, of_inner = f"{outer.as_posix()}/**/outer", f"{inner.as_posix()}/**/inner"
    assert secrets == [("outer", of_inner), ("inner", of_outer), (of_outer, of_inner), (of_outer, of_inner)]
    session.notify(
        "workspace/didChangeWorkspaceFolders", {"event": {"added": [], "removed": [{**folders[1], "name": "inner"}]}}
    )
    assert session.server.roots == (outer,)
    assert session.server.settings_for((inner / "a.py").as_uri()).editor.secrets == ("outer",)


async def test_a_folder_that_joins_brings_its_rules(start: Callable[..., Session], tmp_path: Path) -> None:
    """Its globs are kept from a server from the next message on, and listeners hear that settings changed."""
    heard: list[int] = []
    session = start(LEANVIBE_REMOTE_URL="https://host", LEANVIBE_REMOTE_DENY="a")
    session.server.on_settings(lambda: heard.append(1))
    await session.initialize()
    root = folder(tmp_path / "joins")
    (tmp_path / "joins" / "leanvibe.toml").write_text('remote.deny = ["b"]\nremote.url = "https://evil"\n')
    session.notify("workspace/didChangeWorkspaceFolders", {"event": {"added": [root], "removed": []}})
    remote = session.server.settings.remote
    assert remote is not None
    assert (remote.url, remote.deny) == ("https://host/v1", ("a", "b"))
    await turn()
    assert heard == [1]
    (complaint,) = shown(session)
    assert complaint.startswith(
        f"{tmp_path / 'joins' / 'leanvibe.toml'}:1: remote: a workspace may not choose a server"
    )


async def test_a_bad_field_is_shown_once_as_long_as_it_lasts(start: Callable[..., Session], tmp_path: Path) -> None:
    """With file and line; again only after it was mended in between."""
    root = folder(tmp_path / "root")
    file = tmp_path / "root" / "leanvibe.toml"
    session = start()
    await session.initialize(workspaceFolders=[root])
    saved = {"textDocument": {"uri": file.as_uri()}}
    for text in ("hover.summary = 3\n", "hover.summary = 3\ncodeLens.enabled = true\n", "", "hover.summary = 3\n"):
        file.write_text(text)
        session.notify("textDocument/didSave", saved)
    await turn()
    assert shown(session) == [f"{file}:1: hover.summary: must be true or false, not int"] * 2


async def test_broken_toml_changes_nothing(start: Callable[..., Session], tmp_path: Path) -> None:
    """The last good settings stay while a file is half written; the line is said."""
    root = folder(tmp_path / "root")
    file = tmp_path / "root" / "leanvibe.toml"
    file.write_text('context.secrets = ["a"]\n')
    session = start()
    await session.initialize(workspaceFolders=[root])
    file.write_text('context.secrets = ["a"]\ncodeLens = = 3\n')
    session.notify("workspace/didChangeWatchedFiles", {"changes": [{"uri": file.as_uri(), "type": 2}]})
    await turn()
    assert session.server.settings_for((tmp_path / "root" / "x").as_uri()).editor.secrets == ("a",)
    (complaint,) = shown(session)
    assert complaint.startswith(f"{file}:2: cannot be read")


async def test_a_file_that_is_broken_from_the_start_is_told_once(start: Callable[..., Session], tmp_path: Path) -> None:
    """Also when another file of settings changes; nothing of it counts, and nothing else is said."""
    root = folder(tmp_path / "root")
    file, other = (tmp_path / "root" / name for name in ("leanvibe.toml", "pyproject.toml"))
    file.write_text("codeLens = = 3\n")
    session = start()
    await session.initialize(workspaceFolders=[root])
    assert session.server.settings_for((tmp_path / "root" / "x").as_uri()) == session.server.settings
    for text in ("", "[tool.leanvibe]\n"):
        other.write_text(text)
        session.notify("workspace/didChangeWatchedFiles", {"changes": [{"uri": other.as_uri(), "type": 2}]})
    await turn()
    (complaint,) = shown(session)
    assert complaint.startswith(f"{file}:1: cannot be read: ")
    assert "still counts" not in complaint


async def test_other_files_are_not_read(start: Callable[..., Session], tmp_path: Path) -> None:
    """A leanvibe.toml further down is no file of settings, nor is any other that is saved."""
    root = folder(tmp_path / "root")
    folder(tmp_path / "root" / "sub")
    session = start()
    await session.initialize(workspaceFolders=[root])
    (tmp_path / "root" / "leanvibe.toml").write_text("codeLens.enabled = true\n")
    for name in ("sub/leanvibe.toml", "a.py"):
        session.notify("textDocument/didSave", {"textDocument": {"uri": (tmp_path / "root" / name).as_uri()}})
    assert not session.server.settings_for((tmp_path / "root" / "x").as_uri()).editor.code_lens


async def test_watching_is_asked_for(start: Callable[..., Session], user: Path) -> None:
    """A client that can watch is given both names and the user's own file, and is asked to tell of changes."""
    session = start()
    dynamic = {"dynamicRegistration": True}
    await session.initialize({"workspace": {"didChangeConfiguration": dynamic, "didChangeWatchedFiles": dynamic}})
    asked = await session.method("client/registerCapability")
    configuration, files = asked["params"]["registrations"]
    assert configuration["method"] == "workspace/didChangeConfiguration"
    assert configuration["registerOptions"] == {"section": "leanvibe"}
    globs = [watcher["globPattern"] for watcher in files["registerOptions"]["watchers"]]
    rules = "**/.leanvibe/rules/**/*.{yml,yaml}"
    assert globs == ["**/leanvibe.toml", "**/pyproject.toml", rules, user.as_posix()]
    save(user, 'model = "later"\n')
    session.notify("workspace/didChangeWatchedFiles", {"changes": [{"uri": user.as_uri(), "type": 1}]})
    assert session.server.settings.model == "later"
    session.respond(asked["id"], result=None)


async def test_pushed_settings_count_where_a_client_cannot_be_asked(start: Callable[..., Session]) -> None:
    """What is under "leanvibe"; each push replaces the one before."""
    session = start()
    await session.initialize()
    for settings in ({"leanvibe": {"model": "pushed"}}, {"other": 1}, [1], None):
        session.notify("workspace/didChangeConfiguration", {"settings": settings})
        assert session.server.settings.model == (
            "pushed" if isinstance(settings, dict) and "leanvibe" in settings else None
        )


async def test_other_settings_of_the_engine_switch_services(start: Callable[..., Session], made: Made) -> None:
    """A running answer keeps its engine, which stops when it has ended; the next question has the new one."""
    session = start()
    await session.initialize(initializationOptions={"model": "old"})
    assert session.server.services is made["old"]
    made["old"].gate = asyncio.Event()
    running = session.request("leanvibe/ask", {"question": "why?"})
    await made["old"].asked.wait()
    session.notify("workspace/didChangeConfiguration", {"settings": {"leanvibe": {"model": "new"}}})
    assert "result" in await session.call("leanvibe/ask", {"question": "why?"})
    assert len(made["new"].requests) == 1
    assert session.replies(running) == []
    assert made["old"].closed == 0
    made["old"].gate.set()
    assert "result" in await session.reply(running)
    assert await asyncio.to_thread(made["old"].ended.wait, 20)
    assert made["new"].closed == 0


async def test_what_an_editor_shows_restarts_nothing(start: Callable[..., Session], made: Made) -> None:
    """The services stay the same."""
    session = start()
    await session.initialize(initializationOptions={"model": "old"})
    services = session.server.services
    settings = {"leanvibe": {"model": "old", "codeLens": {"enabled": True}, "context": {"secrets": ["a"]}}}
    session.notify("workspace/didChangeConfiguration", {"settings": settings})
    assert session.server.settings.editor.code_lens
    assert session.server.services is services
    assert list(made) == ["old"]


async def test_the_log_level_follows_its_setting(start: Callable[..., Session]) -> None:
    """And goes back to what the process was started with."""
    session = start()
    before = logging.getLogger().level
    await session.initialize()
    for level, expected in (("debug", logging.DEBUG), ("error", logging.ERROR), (None, before)):
        settings = {"leanvibe": {} if level is None else {"logLevel": level}}
        session.notify("workspace/didChangeConfiguration", {"settings": settings})
        assert logging.getLogger().level == expected


async def test_a_client_that_refuses_to_say_its_configuration_is_served(start: Callable[..., Session]) -> None:
    """An error, or a reply of another length, changes nothing."""
    session = start()
    await session.initialize(PULLS, initializationOptions={"model": "m"})
    asked = await session.method("workspace/configuration")
    assert asked["params"]["items"] == [{"section": "leanvibe"}]
    session.respond(asked["id"], error={"code": -32603, "message": "no"})
    session.notify("workspace/didChangeConfiguration", {"settings": None})
    session.sent.remove(asked)
    await answer_configuration(session, {"model": "x"}, {"model": "y"})
    assert session.server.settings.model == "m"
    assert "result" in await session.call("leanvibe/ask", {"question": "why?"})


async def test_at_most_some_complaints_are_shown(start: Callable[..., Session]) -> None:
    """A hundred misspelled settings do not bury the person, and a later one is shown again; the log has all of them."""
    session = start()
    await session.initialize(initializationOptions={f"x{number}": 1 for number in range(100)})
    await turn()
    assert len(shown(session)) == 10
    session.notify("workspace/didChangeConfiguration", {"settings": {"leanvibe": {"modle": "m"}}})
    await turn()
    assert len(shown(session)) == 11


TRACED = [
    ("messages", "Received request 'leanvibe/health - (h)'.", False),
    ("verbose", "Received request 'leanvibe/health - (h)'.", True),
]


@pytest.mark.parametrize(("level", "first", "verbose"), TRACED)
async def test_a_trace_tells_what_came_and_went(session: Any, level: str, first: str, verbose: bool) -> None:
    """$/logTrace for requests, notifications and replies; params only when verbose; nothing when it is off again."""
    session.notify("$/setTrace", {"value": level})
    await session.reply(session.request("leanvibe/health", {"a": 1}, "h"))
    traced = [m["params"] for m in session.sent if m.get("method") == "$/logTrace"]
    assert [one["message"].partition(" after")[0] for one in traced] == [
        first,
        "Sending response 'leanvibe/health - (h)'",
    ]
    assert traced[0].get("verbose") == ('{"a": 1}' if verbose else None)
    session.notify("$/setTrace", {"value": "off"})
    session.sent.clear()
    await session.call("leanvibe/health")
    assert [m for m in session.sent if m.get("method") == "$/logTrace"] == []


@pytest.mark.skipif(os.name == "nt", reason="links need a right of their own on Windows")
async def test_a_path_through_a_link_has_the_settings_of_its_root(
    start: Callable[..., Session], tmp_path: Path
) -> None:
    """However the client spells it."""
    root = folder(tmp_path / "root")
    (tmp_path / "link").symlink_to(tmp_path / "root")
    (tmp_path / "root" / "leanvibe.toml").write_text("codeLens.enabled = true\n")
    session = start()
    await session.initialize(workspaceFolders=[root])
    assert session.server.settings_for((tmp_path / "link" / "x.py").as_uri()).editor.code_lens
    assert not session.server.settings_for((tmp_path / "x.py").as_uri()).editor.code_lens


async def test_null_is_what_nobody_said(start: Callable[..., Session], user: Path) -> None:
    """Pushed, or in initializationOptions, it leaves what a file says, and the server that it switched on."""
    save(user, '[remote]\nurl = "https://host"\n')
    session = start()
    nulls = {"remote": None, "engine": None, "diagnostics": {"enabled": None, "severity": None}}
    await session.initialize(initializationOptions=nulls)
    assert session.server.settings.remote is not None
    session.notify("workspace/didChangeConfiguration", {"settings": {"leanvibe": nulls}})
    assert session.server.settings.remote is not None
    await turn()
    assert shown(session) == []


async def test_a_folder_that_joins_is_asked_about(start: Callable[..., Session], tmp_path: Path) -> None:
    """What the client has for it counts, as for those that were there before."""
    session = start()
    await session.initialize(PULLS)
    await answer_configuration(session, {})
    root = folder(tmp_path / "joins")
    session.notify("workspace/didChangeWorkspaceFolders", {"event": {"added": [root], "removed": []}})
    asked = await answer_configuration(session, {}, {"codeLens": {"enabled": True}})
    assert [item.get("scopeUri") for item in asked["params"]["items"]] == [None, root["uri"]]
    assert session.server.settings_for(f"{root['uri']}/x.py").editor.code_lens


async def test_what_is_secret_in_a_root_is_in_no_question_about_another(
    start: Callable[..., Session], made: Made, tmp_path: Path
) -> None:
    """An open document of one root is judged by that root's globs, and the same folder of the other root is not."""
    first, second = tmp_path / "first", tmp_path / "second"
    folders = [folder(first), folder(second)]
    (first / "leanvibe.toml").write_text('context.secrets = ["private/**"]\n')
    session = start()
    await session.initialize(workspaceFolders=folders)
    session.open("def classified(x): ...\n", uri=(first / "private" / "inner.py").as_uri())
    session.open("def ordinary(x): ...\n", uri=(second / "private" / "inner.py").as_uri())
    asked = (second / "x.py").as_uri()
    session.open("classified(1)\nordinary(1)\n", uri=asked)
    both = {"start": {"line": 0, "character": 0}, "end": {"line": 1, "character": 11}}
    await session.call("leanvibe/ask", {"question": "why?", "textDocument": {"uri": asked}, "range": both})
    (request,) = made[None].requests
    assert [one.symbol.name for one in request.gathered.related] == ["ordinary"]
    assert f"{first.as_posix()}/**/private/**" in request.secrets
