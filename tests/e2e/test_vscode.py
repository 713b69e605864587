"""The VS Code extension, in a real extension host and in a real window, against the real server and SmolLM2.

`vscode/host/index.js` and `vscode/ui.mjs` act and report; what must hold is said here.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.vscode import editor as vscode

HERE = Path(__file__).parent / "vscode"
SERVER = Path(sys.executable).with_name("leanvibe-lsp")
SOURCE = '''"""A shop's basket."""

VAT = 0.25


def total(prices: list[float], vat: float = VAT) -> float:
    """The sum of all prices, with value added tax."""
    return sum(prices) * (1 + vat)


def add(item: str, basket=[]) -> list[str]:
    """Put an item into the basket."""
    basket.append(item)
    return basket


def discount(price: float, coupon: str) -> float:
    """The price, with a coupon taken off."""
    return price * 0.9 if coupon is "SPRING" else price
'''
QUESTION = "What does total do? Answer in one sentence."
LONG = "Explain this file line by line, in great detail, and then write tests for it."
FIX, FIXED = "Compare with ==", 'coupon == "SPRING"'
TYPED = "VAT_IN_PERCENT = "
IGNORE = "Ignore python/mutable-default on this line"
SETTINGS = {
    "leanvibe.model": "smollm2",
    "leanvibe.server.path": str(SERVER),
    "security.workspace.trust.enabled": False,
    "extensions.autoCheckUpdates": False,
    "extensions.autoUpdate": False,
    "workbench.startupEditor": "none",
    "workbench.tips.enabled": False,
    "chat.commandCenter.enabled": False,
    "git.enabled": False,
    "editor.minimap.enabled": False,
    "workbench.activityBar.location": "hidden",
    "workbench.reduceMotion": "on",
}

pytestmark = [
    pytest.mark.editor,
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.real_model,
    pytest.mark.timeout(600),  # the first run installs an editor
    pytest.mark.skipif(bool(vscode.missing()), reason=vscode.missing() or "all is here"),
]


@pytest.fixture(scope="module")
def installed() -> vscode.Installed:
    """code-server, Playwright and a browser; the extension built."""
    found = vscode.install()
    vscode.build_extension()
    return found


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots are kept."""
    given = os.environ.get("LEANVIBE_ARTIFACTS")
    folder = Path(given) / "vscode" if given else tmp_path_factory.mktemp("pictures")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def put_installer(home: Path) -> None:
    """A program that has the name of uv, where uv puts programs: it is offered, and never run."""
    program = home / ".local" / "bin" / "uv"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    program.chmod(0o755)


@contextmanager
def opened(installed: vscode.Installed, folder: Path, vsix: Path | None = None) -> Iterator[vscode.Editor]:
    """A window's server, on a workspace with one file in it."""
    (folder / "shop").mkdir()
    (folder / "shop" / "shop.py").write_text(SOURCE, encoding="utf-8")
    put_installer(folder)
    node = Path(shutil.which("node") or "").parent
    environment = {
        "LEANVIBE_CACHE_DIR": str(folder / "answers"),
        "HOME": str(folder),
        "PATH": f"{node}:/usr/bin:/bin",  # not the server of the environment that runs the tests
    }
    with vscode.editor(installed, folder, settings=SETTINGS, environment=environment, vsix=vsix) as running:
        yield running


@pytest.fixture(scope="module")
def steps(installed: vscode.Installed, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What each step found in the extension host."""
    folder = tmp_path_factory.mktemp("host")
    facts = folder / "facts.json"
    given = {"workspace": str(folder / "shop"), "facts": str(facts), "server": str(SERVER), "seconds": 100}
    (folder / "given.json").write_text(json.dumps(given), encoding="utf-8")
    with opened(installed, folder) as running:
        suite = {"extension": str(vscode.EXTENSION), "suite": str(HERE / "host"), "workspace": given["workspace"]}
        seen = running.drive("host.mjs", suite, folder / "report.json", seconds=240)
    assert facts.exists(), seen
    found: dict[str, Any] = json.loads(facts.read_text(encoding="utf-8"))["steps"]
    print({name: step["milliseconds"] for name, step in found.items()})
    assert {name: step["error"] for name, step in found.items() if "error" in step} == {}
    assert seen["code"] == 0, seen
    return found


def test_it_starts_the_server(steps: dict[str, Any]) -> None:
    """The server runs, every contributed command is there, and none has the name of one of the server's."""
    facts = steps["activates"]
    assert facts["server"]["name"] == "leanvibe-lsp"
    commands = ("explain", "change", "suppress", "cancel", "judge", "context")
    assert facts["serverCommands"] == [f"leanvibe.{name}" for name in commands]
    assert facts["missing"] == []
    assert facts["clashing"] == []


def test_hover_and_code_actions_answer(steps: dict[str, Any]) -> None:
    """A symbol's signature and docstring are shown; what can be done with it is listed."""
    assert "def total(prices: list[float], vat: float = VAT) -> float" in steps["hovers"]["text"]
    assert "The sum of all prices, with value added tax." in steps["hovers"]["text"]
    assert {"Explain with LeanVibe", "Simplify 'total'", "Document 'total'", "Write tests for 'total'"} <= set(
        steps["lists_actions"]["titles"]
    )


def test_an_answer_streams_into_the_view(steps: dict[str, Any]) -> None:
    """Text grows piece by piece to exactly the answer; the last line says where it came from."""
    pages, outcome = steps["streams"]["pages"], steps["streams"]["outcome"]
    assert outcome["kind"] == "answered"
    answer = outcome["answer"]
    texts = [page["text"] for page in pages]
    assert len(texts) > 5
    assert all(answer["answer"].startswith(text) for text in texts)
    assert pages[-1]["text"] == answer["answer"]
    assert pages[-1]["state"] == "answered"
    assert pages[-1]["status"].startswith(f"smollm2 · {answer['backend']} · model · confidence ")


def test_the_status_bar_says_model_rung_and_state(steps: dict[str, Any]) -> None:
    """After an answer: who gave it, by which rung, and that the next can be given."""
    assert steps["reports_health"]["status"] == "$(sparkle) smollm2 · model · ready"
    assert "| model | smollm2 (ready) |" in steps["reports_health"]["page"]["text"]


def test_the_servers_explain_is_shown_in_the_view(steps: dict[str, Any]) -> None:
    """The command behind the code action streams like a question of a person's own."""
    page = steps["explains"]["page"]
    assert (page["title"], page["text"] != "") == ("Explain", True)


def test_a_cancel_stops_the_model_and_keeps_the_text(steps: dict[str, Any]) -> None:
    """The question ends at once, and the next is answered long before the first one could have been."""
    facts = steps["cancels"]
    assert facts["outcome"] == {"kind": "cancelled"}
    assert (facts["page"]["status"], facts["page"]["state"]) == ("stopped", "ended")
    assert len(facts["page"]["text"]) > 40
    assert facts["nextTokens"] == 1
    assert facts["nextAfter"] < 10_000


def test_a_new_question_takes_the_place_of_the_running_one(steps: dict[str, Any]) -> None:
    """The first is cancelled, the second answered, and the view shows the second alone."""
    facts = steps["a_new_question_takes_over"]
    first, second = facts["outcomes"]
    assert first == {"kind": "cancelled"}
    assert second["kind"] == "answered"
    assert facts["page"]["title"] == QUESTION
    assert facts["page"]["text"] == second["answer"]["answer"]


def test_fix_applies_a_rules_own_fix(steps: dict[str, Any]) -> None:
    """The edit is made and proven without a model, the diagnostic is gone, and one undo takes it back."""
    facts = steps["fixes"]
    assert facts["found"] == ["python/is-literal", "python/mutable-default"]
    assert facts["line"].endswith(f"if {FIXED} else price")
    assert facts["left"] == ["python/mutable-default"]
    assert (facts["result"]["applied"], facts["result"]["proven"], facts["result"]["attempts"]) == (True, True, 0)
    assert facts["undone"]


def test_a_change_is_cancelled_while_the_model_writes(steps: dict[str, Any]) -> None:
    """It ends at once, and nothing was changed."""
    facts = steps["cancels_a_change"]
    assert facts["result"] is None
    assert facts["untouched"]
    assert facts["endedAfter"] < 2_000


def test_settings_reach_the_server_while_it_runs(steps: dict[str, Any]) -> None:
    """Code lenses come and diagnostics go without a restart. Only what a person set is told, nothing of ours."""
    facts = steps["takes_settings_live"]
    assert facts["before"] == {"lenses": 0, "codes": 2}
    assert facts["during"] == {"lenses": ["Ask", "Tests", "Document"] * 3, "codes": []}
    told, other = facts["told"]
    assert {name: value for name, value in told.items() if value != {}} == {
        "model": "smollm2",
        "diagnostics": {"enabled": False},
        "codeLens": {"enabled": True},
    }
    assert other is None
    assert facts["sameServer"]


def test_the_server_restarts(steps: dict[str, Any]) -> None:
    """Another server takes the open documents over."""
    assert (steps["restarts"]["another"], steps["restarts"]["hovers"]) == (True, 1)


def test_without_a_server_the_status_bar_says_so(steps: dict[str, Any]) -> None:
    """A path that names nothing is shown at once; one that is right again starts the server."""
    assert steps["says_when_there_is_no_server"]["status"] == "$(warning) LeanVibe · no server"


@pytest.fixture(scope="module")
def seen(installed: vscode.Installed, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a person saw in the window, with the extension installed from its .vsix."""
    folder = tmp_path_factory.mktemp("window")
    vsix = vscode.package_extension(folder / "leanvibe.vsix")
    given = {
        "workspace": str(folder / "shop"),
        "pictures": str(pictures),
        "settings": str(folder / "data" / "Machine" / "settings.json"),
        "seconds": 60,
        "typed": TYPED,
        "fix": FIX,
        "fixed": FIXED,
        "ignore": IGNORE,
        "question": QUESTION,
        "long": LONG,
    }
    with opened(installed, folder, vsix) as running:
        return running.drive("ui.mjs", given, folder / "report.json", seconds=200)


def test_a_finding_is_underlined_and_explains_itself(seen: dict[str, Any]) -> None:
    """A squiggle under the text it is about; hovering over it gives message, source and rule."""
    assert seen["warning"].startswith("`[]` is made once and shared by all calls.leanvibepython/mutable-default")


def test_a_symbol_has_a_hover(seen: dict[str, Any]) -> None:
    """Signature and docstring, where the pointer is."""
    assert "def total(prices: list[float], vat: float = VAT) -> float" in seen["symbol"]
    assert "The sum of all prices, with value added tax." in seen["symbol"]


def test_the_bulb_applies_a_rules_own_fix(seen: dict[str, Any]) -> None:
    """It is the first in the menu; taking it mends the line, and the squiggle is gone."""
    assert seen["mend"]["titles"][:2] == ["Quick Fix", FIX]
    assert seen["mend"]["text"].endswith(f"if {FIXED} else price")


def test_the_bulb_silences_a_finding(seen: dict[str, Any]) -> None:
    """Ignoring it writes the comment that a reader understands, and the squiggle is gone."""
    assert IGNORE in seen["suppress"]["titles"]
    assert seen["suppress"]["text"].endswith("# leanvibe: ignore[python/mutable-default]")


def test_a_person_sees_the_answer_grow(seen: dict[str, Any]) -> None:
    """From the palette to the last word: every text that was to be seen is a beginning of the whole."""
    texts = seen["ask"]["texts"]
    assert len(texts) > 5
    assert all(texts[-1].startswith(text.rstrip()) for text in texts)
    assert seen["ask"]["title"] == QUESTION
    assert seen["ask"]["status"].startswith("smollm2 · ")
    assert seen["status"] == "smollm2 · model · ready"


def test_the_view_loads_nothing_from_elsewhere(seen: dict[str, Any]) -> None:
    """Its policy allows its own style sheet and its own script."""
    rules = dict(rule.strip().split(" ", 1) for rule in seen["policy"].split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"].startswith("'nonce-")
    assert sorted(rules) == ["default-src", "form-action", "script-src", "style-src"]


HOSTILE = (
    '<img src="https://host/a"><script>go()</script> ![b](https://host/b) **c** '
    "[d](javascript:go()) [e](https://host/e)"
)
HARMLESS = (
    '<p>&lt;img src=&quot;https://host/a&quot;&gt;&lt;script&gt;go()&lt;/script&gt; !<a href="https://host/b">b</a> '
    '<strong>c</strong> [d](javascript:go()) <a href="https://host/e">e</a></p>\n'
)


def test_what_a_model_writes_fetches_and_runs_nothing(installed: vscode.Installed, tmp_path: Path) -> None:
    """HTML is shown as text, an image is a link at most, a script is no address."""
    bundle = tmp_path / "markdown.cjs"
    esbuild = vscode.EXTENSION / "node_modules" / "esbuild" / "bin" / "esbuild"
    options = ["--bundle", "--platform=node", f"--outfile={bundle}", "--log-level=error"]
    subprocess.run([esbuild, vscode.EXTENSION / "src" / "markdown.ts", *options], check=True)
    script = f"process.stdout.write(require({json.dumps(str(bundle))}).toHtml({json.dumps(HOSTILE)}))"
    html = subprocess.run(["node", "-e", script], capture_output=True, text=True, check=True).stdout
    assert html == HARMLESS


def test_a_follow_up_is_stopped_by_its_button(seen: dict[str, Any]) -> None:
    """Stop keeps what came, says so, and goes away."""
    stopped = seen["stop"]
    assert (stopped["status"], stopped["hidden"]) == ("stopped", True)
    assert stopped["text"] != ""


def test_a_suggestion_stands_behind_the_cursor(seen: dict[str, Any]) -> None:
    """Once switched on, without a restart; Tab takes it over."""
    facts = seen["suggestion"]
    assert facts["suggested"] != ""
    assert facts["after"] == f"{TYPED}{facts['suggested']}"


def test_without_a_server_the_next_step_is_offered(seen: dict[str, Any]) -> None:
    """A wrong path is named; where there is none, the command that installs it is one click away."""
    named = "LeanVibe: leanvibe.server.path names /nowhere/leanvibe-lsp, which is no program."
    assert {named, "Open Settings"} <= set(seen["wrongPath"])
    assert {"LeanVibe: leanvibe-lsp was not found.", "Run uv tool install leanvibe-lsp"} <= set(seen["notFound"])


def test_the_screenshot_is_a_picture_of_it(seen: dict[str, Any], pictures: Path) -> None:
    """It is kept with the artefacts; LEANVIBE_SCREENSHOT=1 also puts it into the extension's README."""
    picture = pictures / "window.png"
    assert 20_000 < picture.stat().st_size < 250_000
    if os.environ.get("LEANVIBE_SCREENSHOT"):
        shutil.copy(picture, vscode.EXTENSION / "media" / "screenshot.png")
