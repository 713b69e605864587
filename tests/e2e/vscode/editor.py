"""A real VS Code for tests: code-server from the npm registry, and a browser in front of it. All of it on loopback."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CODE_SERVER = "4.100.3"  # VS Code 1.100.3; what follows wants a newer node
PLAYWRIGHT = "1.65.1"
ROOT = Path(__file__).parents[3]
EXTENSION = ROOT / "editors" / "vscode"
BROWSERS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
NPM = ("--no-fund", "--no-audit", "--loglevel=error")
START_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Installed:
    """Where the programs are."""

    code_server: Path
    playwright: Path
    browser: str


def missing() -> str:
    """Why there is no VS Code here; empty when all that is needed is there."""
    if not all(map(shutil.which, ("node", "npm"))):
        return "node and npm are not here; install Node 20 or newer and run the tests again"
    if browser() is None:
        return "no Chromium here; `apt-get install chromium` and run the tests again"
    return ""


def browser() -> str | None:
    """The browser to use: that of LEANVIBE_BROWSER, or the first that is installed."""
    return os.environ.get("LEANVIBE_BROWSER") or next(filter(None, map(shutil.which, BROWSERS)), None)


def cache_folder() -> Path:
    """Where what was installed stays for the next run."""
    given = os.environ.get("LEANVIBE_E2E_CACHE")
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(given) if given else base / "leanvibe-e2e"


def install() -> Installed:
    """What a test needs beside the extension, from the registry alone; a second call finds it."""
    chosen = browser()
    assert chosen is not None
    return Installed(
        code_server=_once("code-server", CODE_SERVER, _code_server),
        playwright=_once(
            "playwright-core", PLAYWRIGHT, lambda at: _npm(at, "install", f"playwright-core@{PLAYWRIGHT}")
        ),
        browser=chosen,
    )


def build_extension() -> None:
    """Build `editors/vscode` as a person would; its packages are installed when its lock file changed."""
    digest = hashlib.sha256((EXTENSION / "package-lock.json").read_bytes()).hexdigest()
    seal = EXTENSION / "node_modules" / ".lock-digest"
    if not seal.exists() or seal.read_text() != digest:
        _npm(EXTENSION, "ci")
        seal.write_text(digest)
    _npm(EXTENSION, "run", "lint")
    _npm(EXTENSION, "run", "build")


def package_extension(into: Path) -> Path:
    """The .vsix, as it would be published."""
    _npm(EXTENSION, "run", "package", "--", "--out", str(into))
    return into


@dataclass(frozen=True, slots=True)
class Editor:
    """A running code-server."""

    installed: Installed
    port: int

    def drive(self, driver: str, given: Mapping[str, Any], report: Path, *, seconds: float) -> dict[str, Any]:
        """Run a driver (a script beside this file) against this window, and return the facts it reports."""
        whole = {
            **given,
            "host": f"127.0.0.1:{self.port}",
            "playwright": str(self.installed.playwright),
            "browser": self.installed.browser,
            "report": str(report),
        }
        command = ["node", str(Path(__file__).with_name(driver)), json.dumps(whole)]
        with _process(command, log=report.with_suffix(".log")) as process, suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        said = report.with_suffix(".log").read_text(encoding="utf-8")
        assert report.exists(), said
        facts: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
        assert facts.get("error") is None, f"{facts}\n{said}"
        return facts


@contextmanager
def editor(
    installed: Installed,
    folder: Path,
    *,
    settings: Mapping[str, Any],
    environment: Mapping[str, str],
    vsix: Path | None,
) -> Iterator[Editor]:
    """A code-server of the test's own, with nobody's settings and no gallery; ended with all its children."""
    port = _free_port()
    data = folder / "data"
    for name in ("User", "Machine"):  # what has the scope of a machine is read from the second alone
        (data / name).mkdir(parents=True)
        (data / name / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    (data / "config.yaml").write_text(f"bind-addr: 127.0.0.1:{port}\nauth: none\ncert: false\n")
    entry = installed.code_server / "node_modules" / "code-server" / "out" / "node" / "entry.js"
    command = ["node", str(entry), "--config", str(data / "config.yaml")]
    command += ["--user-data-dir", str(data), "--extensions-dir", str(data / "extensions")]
    everything = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("LEANVIBE_", "VSCODE_"))},
        "EXTENSIONS_GALLERY": '{"serviceUrl":"","itemUrl":"","resourceUrlTemplate":""}',
        **environment,
    }
    if vsix is not None:
        _run([*command, "--install-extension", str(vsix)], environment=everything)
    command += ["--disable-telemetry", "--disable-update-check", "--disable-workspace-trust"]
    command += ["--disable-getting-started-override"]
    with _process(command, log=folder / "code-server.log", environment=everything) as process:
        _await_health(port, process, folder / "code-server.log")
        yield Editor(installed, port)


def _code_server(at: Path) -> None:
    _npm(at, "install", f"code-server@{CODE_SERVER}", "--ignore-scripts")
    inner = at / "node_modules" / "code-server" / "lib" / "vscode"
    _npm(inner, "install", "--omit=dev", "--ignore-scripts")
    (inner / "node_modules.asar").symlink_to("node_modules")
    _npm(at, "rebuild", "argon2")  # the one native module that it does not start without


def _once(name: str, version: str, make: Callable[[Path], None]) -> Path:
    """The folder of a package in the cache. It gets its name when it is whole, so that half of one is never found."""
    folder = cache_folder() / f"{name}-{version}"
    if not folder.exists():
        draft = folder.with_name(f".{folder.name}.{os.getpid()}")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        (draft / "package.json").write_text('{"private": true}')
        make(draft)
        with suppress(OSError):  # another run was quicker
            draft.rename(folder)
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def _npm(folder: Path, *arguments: str) -> None:
    # Headers of node itself where they are beside it: then none are fetched to build a native module.
    prefix = Path(shutil.which("node") or "").resolve().parents[1]
    headers = {"npm_config_nodedir": str(prefix)} if (prefix / "include" / "node").is_dir() else {}
    first, *rest = arguments
    _run(["npm", first, *NPM, *rest], folder=folder, environment={**os.environ, **headers})


def _run(command: Sequence[str], *, folder: Path | None = None, environment: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"


@contextmanager
def _process(
    command: Sequence[str], *, log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process with a group of its own, which ends with all of it."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield process
    finally:
        for last in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError, PermissionError):  # macOS forbids it for one that has ended
                os.killpg(process.pid, last)
            with suppress(subprocess.TimeoutExpired):
                process.wait(5)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _await_health(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        with suppress(urllib.error.URLError, OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=1).close()
            return
        time.sleep(0.1)
    raise AssertionError(f"code-server did not start:\n{log.read_text(encoding='utf-8', errors='replace')}")
