"""`leanvibe check` against the commands that people run for the same purpose, on one real tree and in the same run.

The tree is the Python source of mypy, a tool of the dev group: above 100,000 lines. Peers are run by `uvx`, which keeps
them out of our own environment; one that cannot be had is said and left out. What each looks for: we all our rules and
data flow, ruff its `S` rules, bandit all its own, semgrep `check_semgrep.yml`, ast-grep the library's structural rules
for Python. Wall time says little on a busy machine, so processor time, of all processes, stands beside it.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import yaml

from leanvibe_lsp.tiers.rules import LIBRARY
from tests.benchmarks.figures import Figure

_ROUNDS = 3  # each takes minutes
_SAMPLE_SECONDS = 0.05
_COLD_FILES = 20
_CONFIG = Path(__file__).with_name("check_semgrep.yml")
_AST_GREP = ("id", "language", "severity", "message", "note", "rule", "constraints", "utils", "transform")
_UVX_SECONDS = 600
_FOUND = (0, 1)  # what they end with when they did their work


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a command: seconds on the wall and of processors, peak memory of all its processes."""

    seconds: float
    processor_seconds: float
    peak_mib: float


def measure(rounds: int) -> list[Figure]:
    """Seconds and memory on the whole tree, in turn; and what 20 files of middling size take."""
    with _tree() as tree, TemporaryDirectory() as scratch:
        _say_size(tree)
        by_size = sorted(tree.rglob("*.py"), key=lambda one: (one.stat().st_size, one))
        middle = (len(by_size) - _COLD_FILES) // 2
        few = [str(one) for one in by_size[middle : middle + _COLD_FILES]]
        peers = dict(_peers(Path(scratch)))
        whole = _in_turn(
            min(rounds, _ROUNDS), _ours([str(tree)]), {name: of([str(tree)]) for name, of in peers.items()}
        )
        cold = _in_turn(rounds, _ours(few), {name: peers[name](few) for name in ("ruff", "bandit") if name in peers})
    parts = (("seconds", "s"), ("processor_seconds", "s"), ("peak_mib", "MiB"))
    names = {"seconds": "check, wall", "processor_seconds": "check, processors", "peak_mib": "check, peak memory"}
    figures = [
        Figure(names[part], _values(ours, part), _values(theirs, part), unit, name)
        for part, unit in parts
        for name, (ours, theirs) in whole.items()
    ]
    title = f"check of {_COLD_FILES} files, start to end"
    figures += [
        Figure(f"{title}, {said}", _values(ours, part), _values(theirs, part), "s", name)
        for part, said in (("seconds", "wall"), ("processor_seconds", "processors"))
        for name, (ours, theirs) in cold.items()
    ]
    return figures


def _values(runs: Sequence[Run], part: str) -> tuple[float, ...]:
    return tuple(getattr(one, part) for one in runs)


def _in_turn(rounds: int, ours: list[str], theirs: dict[str, list[str]]) -> dict[str, tuple[list[Run], list[Run]]]:
    """Ours and each peer after it, round by round; a first round fills the caches and does not count."""
    found: dict[str, tuple[list[Run], list[Run]]] = {name: ([], []) for name in theirs}
    for number in range(rounds + 1):
        own = _run(ours)
        for name, command in theirs.items():
            other = _run(command)
            if number:
                found[name][0].append(own)
                found[name][1].append(other)
    return found


def _run(command: list[str]) -> Run:
    before, begin, peak = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter(), 0.0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=_environment()) as process:
        watched = psutil.Process(process.pid)
        while True:
            try:
                process.wait(_SAMPLE_SECONDS)
                break
            except subprocess.TimeoutExpired:
                peak = max(peak, _memory(watched))
        seconds = time.perf_counter() - begin
        said = process.stderr.read().decode(errors="replace") if process.stderr is not None else ""
    assert process.returncode in _FOUND, f"{command[0]} ended with {process.returncode}: {said[-2000:]}"
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Run(seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, peak)


def _memory(process: psutil.Process) -> float:
    """MiB of the process and all below it; what they share counts once where the system can tell."""
    total = 0
    try:
        family = [process, *process.children(recursive=True)]
    except psutil.Error:
        return 0.0
    for one in family:
        try:
            about = one.memory_full_info() if sys.platform == "linux" else one.memory_info()
        except psutil.Error:
            continue
        total += getattr(about, "pss", about.rss)
    return total / (1 << 20)


def _environment() -> dict[str, str]:
    return {**os.environ, "SEMGREP_ENABLE_VERSION_CHECK": "0", "SEMGREP_SEND_METRICS": "off"}


def _ours(paths: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "leanvibe_lsp", "check", *paths, "--format", "json"]


def _peers(scratch: Path) -> Iterator[tuple[str, Callable[[Sequence[str]], list[str]]]]:
    """How each peer is told to look at paths."""
    ruff = shutil.which("ruff") or str(Path(sys.executable).with_name("ruff"))
    options = ("check", "--isolated", "--no-cache", "--select", "S", "--output-format", "json")
    yield "ruff", lambda paths: [ruff, *options, *paths]
    if bandit := _tool("bandit", "bandit"):
        yield "bandit", lambda paths: [bandit, "-q", "-r", "-f", "json", *paths]
    if semgrep := _tool("semgrep", "semgrep"):
        # It finds its other half by the PATH.
        head = ("env", f"PATH={Path(semgrep).parent}:{os.environ['PATH']}", semgrep, "scan", "--config", str(_CONFIG))
        rest = ("--metrics", "off", "--disable-version-check", "--quiet", "--json", "--no-git-ignore")
        yield "semgrep", lambda paths: [*head, *rest, *paths]
    if ast_grep := _tool("ast-grep-cli", "ast-grep"):
        config = _ast_grep_config(scratch)
        yield "ast-grep", lambda paths: [ast_grep, "scan", "--config", str(config), "--json=compact", *paths]


def _tool(package: str, program: str) -> str | None:
    """Where uvx put a program; None, and a word about it, where it cannot be had."""
    command = ["uvx", "--from", package, "python", "-c", "import sys; print(sys.prefix)"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_UVX_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        print(f"{package} is left out: {error}", file=sys.stderr)
        return None
    return str(Path(done.stdout.strip()) / "bin" / program)


def _ast_grep_config(scratch: Path) -> Path:
    """The library's structural rules for Python as ast-grep takes them."""
    folder = scratch / "rules"
    folder.mkdir()
    for file in sorted((LIBRARY / "python").glob("*.yml")):
        rule = yaml.safe_load(file.read_text(encoding="utf-8"))
        if "rule" not in rule:
            continue
        kept = {name: rule[name] for name in _AST_GREP if name in rule}
        kept["id"] = file.stem
        kept["severity"] = {"information": "info"}.get(kept["severity"], kept["severity"])
        (folder / file.name).write_text(yaml.safe_dump(kept, allow_unicode=True, width=10_000), encoding="utf-8")
    config = scratch / "sgconfig.yml"
    config.write_text("ruleDirs: [rules]\n", encoding="utf-8")
    return config


@contextmanager
def _tree() -> Iterator[Path]:
    """A copy outside of any repository, in which nothing is ignored."""
    spec = find_spec("mypy")
    assert spec is not None
    assert spec.submodule_search_locations
    source = Path(spec.submodule_search_locations[0])
    with TemporaryDirectory() as folder:
        tree = Path(folder) / "mypy"
        for file in sorted(source.rglob("*.py")):
            copy = tree / file.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
        yield tree


def _say_size(tree: Path) -> None:
    files = list(tree.rglob("*.py"))
    lines = sum(one.read_bytes().count(b"\n") for one in files)
    assert lines >= 100_000, f"the tree has {lines} lines only"
    print(f"{len(files)} files, {lines:,} lines, {psutil.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
