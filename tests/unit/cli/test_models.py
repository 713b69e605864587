"""`leanvibe models`: what it prints, what it refuses, its exit codes."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import signal
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from leanvibe_lsp import services
from leanvibe_lsp.cli import models
from leanvibe_lsp.config import limits
from leanvibe_lsp.engine.models import cache as store
from leanvibe_lsp.engine.models.perplexity import Perplexity, Proof
from leanvibe_lsp.engine.models.selftest import State as Verified
from leanvibe_lsp.errors import ModelNotFound, UsageError
from tests.support.gguf import llama_metadata, llama_shapes, write_gguf
from tests.support.hub import FakeHub, serve


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LEANVIBE_MODELS_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def model(tmp_path):
    """A whole tiny GGUF of one's own."""
    return write_gguf(tmp_path / "tiny.gguf", llama_metadata(), llama_shapes())


@pytest.fixture
def pulled(cache, model):
    """The same as a download called org/repo."""
    folder = store.folder_of(cache, "org/repo")
    folder.mkdir(parents=True)
    data = model.read_bytes()
    (folder / "tiny.gguf").write_bytes(data)
    record = store.FileRecord("tiny.gguf", len(data), hashlib.sha256(data).hexdigest())
    store.write_manifest(folder, store.Manifest("org/repo", "org/repo", "c0", (record,), "t", "x"))
    return folder


def _run(*args, **options):
    return CliRunner().invoke(models.app, list(args), **options)


def _answers(monkeypatch, state, recorded=None):
    probe = SimpleNamespace(prompt="a b", expected=" c", probability=0.9, passed=True)
    verdict = SimpleNamespace(state=Verified(state), probes=(probe,), summary=f"{state}: 1 of 1")
    proof = Proof(verdict, Perplexity(3.5, 301, recorded))
    monkeypatch.setattr(services, "prove_model", lambda located: proof)


def test_list_shows_names_sizes_states_and_the_default(pulled):
    """The registry and the downloads, in a table."""
    result = _run("list")
    assert result.exit_code == 0
    rows = {line.split()[0]: line for line in result.stdout.splitlines() if line.strip()}
    assert "(default)" in rows["smollm2"] or "(default)" in rows["phi3"]
    assert "not downloaded" in rows["phi3-gguf"]
    assert "2,393 MB" in rows["phi3-gguf"]
    assert "here" in rows["org/repo"]


def test_list_json_is_for_programs(pulled, cache):
    """One object a model, sizes in bytes."""
    store.partial_of(store.folder_of(cache, "phi3")).mkdir()
    rows = {row["name"]: row for row in json.loads(_run("list", "--json").stdout)}
    assert rows["org/repo"]["status"] == "here"
    assert rows["org/repo"]["revision"] == "c0"
    assert rows["org/repo"]["size"] == (pulled / "tiny.gguf").stat().st_size
    assert rows["phi3"]["status"] == "unfinished"
    assert rows["phi3"]["kind"] == "hub"
    assert rows["smollm2"]["kind"] == "package"
    assert sum(row["default"] for row in rows.values()) == 1


def test_path_prints_the_path_only(pulled, model):
    """So that it can be used in a command."""
    assert _run("path", "org/repo").stdout == f"{pulled / 'tiny.gguf'}\n"
    assert _run("path", str(model)).stdout == f"{model}\n"
    assert isinstance(_run("path", "phi3").exception, ModelNotFound)


def test_pull_of_what_is_here_says_so(pulled, model):
    """Nothing is asked of anybody."""
    assert "already here" in _run("pull", "org/repo").stdout
    assert "already here" in _run("pull", str(model)).stdout


@pytest.fixture
def hub(monkeypatch, tmp_path, model):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    row = dataclasses.replace(limits.LIMITS["download.free_bytes"], default=0)
    monkeypatch.setitem(limits.LIMITS, "download.free_bytes", row)
    with serve(FakeHub(files={"org/new": {"tiny.gguf": model.read_bytes()}}, large={"tiny.gguf"})) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub


def test_pull_downloads_and_shows_progress_on_stderr(hub, cache):
    """The result on stdout, the progress on stderr, plain because nobody watches."""
    result = _run("pull", "org/new")
    assert result.exit_code == 0
    assert result.stdout == f"org/new is here: {cache / 'org--new' / 'tiny.gguf'}\n"
    assert "100%" in result.stderr
    assert "\x1b" not in result.stderr


class _Terminal:
    """What `sys.stdin` is to somebody at a keyboard."""

    def __init__(self, wrapped):
        self._wrapped = wrapped

    def __getattr__(self, name):
        return getattr(self._wrapped, name)

    def isatty(self):
        """Yes."""
        return True


def _at_a_terminal(monkeypatch):
    real = sys
    monkeypatch.setattr(
        models, "sys", SimpleNamespace(stdin=_Terminal(real.stdin), stdout=real.stdout, stderr=real.stderr)
    )


def test_pull_asks_at_a_terminal(hub, cache, monkeypatch):
    """No means no; --yes does not ask."""
    _at_a_terminal(monkeypatch)
    result = _run("pull", "org/new", input="n\n")
    assert result.exit_code == 0
    assert hub.requests == []
    assert "Download org/new" in result.stderr
    assert _run("pull", "org/new", "--yes").exit_code == 0
    assert (cache / "org--new" / "tiny.gguf").is_file()


def test_ctrl_c_leaves_a_state_that_goes_on(hub, cache, model):
    """A real process, a real SIGINT in the middle of the body: exit code 130, the next step said, the bytes kept."""
    release = threading.Event()
    data = model.read_bytes() + bytes(3 << 20)
    hub.files["org/new"]["tiny.gguf"] = data

    def hold(name, sent):
        if sent >= 2 << 20 and not release.is_set():
            release.wait(60)

    hub.on_bytes = hold
    command = [sys.executable, "-m", "leanvibe_lsp", "models", "pull", "org/new"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        assert "% of 3 MB" in process.stderr.readline()  # the first chunk is on disk; the rest is held back
        process.send_signal(signal.SIGINT)
        _out, said = process.communicate(timeout=60)
    finally:
        release.set()
        process.kill()
    assert process.returncode == 130, said
    assert "`leanvibe models pull org/new` goes on from there." in said
    assert sum(path.stat().st_size for path in cache.rglob("*.part")) >= 1 << 20


def test_at_a_terminal_the_progress_is_a_bar(hub, cache, monkeypatch):
    """Drawn on stderr by rich."""
    _at_a_terminal(monkeypatch)
    monkeypatch.setattr(models.sys, "stderr", _Terminal(models.sys.stderr))
    assert _run("pull", "org/new", "--yes").exit_code == 0
    assert (cache / "org--new" / "tiny.gguf").is_file()


@pytest.mark.parametrize(("state", "code"), [("verified", 0), ("degraded", 0), ("unverified", 3)])
def test_verify_prints_files_and_known_answers(monkeypatch, model, state, code):
    """Exit code 3 when the model may not be used."""
    _answers(monkeypatch, state)
    result = _run("verify", str(model))
    assert result.exit_code == code
    assert "files             good" in result.stdout
    assert "nobody recorded one" in result.stdout
    assert f"self-test         {state}" in result.stdout


@pytest.mark.parametrize(("recorded", "code", "said"), [(3.5, 0, "as recorded"), (3.0, 3, "not as recorded")])
def test_verify_holds_the_perplexity_to_the_record(monkeypatch, model, recorded, code, said):
    """A model that gives the known answers and costs the fixed text another figure is not the one that was recorded."""
    _answers(monkeypatch, "verified", recorded)
    result = _run("verify", str(model))
    assert result.exit_code == code
    assert f"perplexity        3.50 over 301 tokens, {said} (recorded: {recorded:.2f}," in result.stdout


def test_verify_does_not_ask_a_damaged_model(monkeypatch, pulled):
    """A wrong digest ends it: exit code 3, the file named, no engine started."""
    monkeypatch.setattr(services, "prove_model", lambda located: pytest.fail("asked"))
    data = bytearray((pulled / "tiny.gguf").read_bytes())
    data[-1] ^= 1
    (pulled / "tiny.gguf").write_bytes(data)
    result = _run("verify", "org/repo")
    assert result.exit_code == 3
    assert "WRONG" in result.stdout
    assert "PROBLEM           tiny.gguf: expected sha256" in result.stdout


def test_verify_says_what_it_could_not_check(monkeypatch, tmp_path):
    """An unknown architecture is not called good without a word."""
    _answers(monkeypatch, "verified")
    path = write_gguf(tmp_path / "m.gguf", {"general.architecture": "gemma"}, {"a": (8,)})
    assert "not checked       tensor shapes" in _run("verify", str(path)).stdout


def test_verify_takes_the_model_that_would_answer(monkeypatch):
    """Without a name it is the first default that is here, as for `ask`; `list` marks the same one."""
    _answers(monkeypatch, "verified")
    marked = [row["name"] for row in json.loads(_run("list", "--json").stdout) if row["default"]]
    assert f"model             {marked[0]} (" in _run("verify").stdout


def test_remove_deletes_the_download(pulled, cache):
    """And says what it freed; a second time there is nothing."""
    result = _run("remove", "org/repo", "--yes")
    assert result.exit_code == 0
    assert "is removed" in result.stdout
    assert list(cache.iterdir()) == []
    assert isinstance(_run("remove", "org/repo", "--yes").exception, ModelNotFound)


def test_remove_asks(pulled, monkeypatch):
    """No keeps it; without anybody to ask it is refused."""
    assert isinstance(_run("remove", "org/repo").exception, UsageError)
    _at_a_terminal(monkeypatch)
    assert _run("remove", "org/repo", input="n\n").exit_code == 1
    assert pulled.is_dir()
    assert _run("remove", "org/repo", input="y\n").exit_code == 0
    assert not pulled.exists()


def test_remove_refuses_what_is_not_a_download(model):
    """An embedded model, and a file of one's own."""
    for name in ("smollm2", str(model)):
        result = _run("remove", name, "--yes")
        assert isinstance(result.exception, UsageError)
        assert result.exception.next_step
    assert model.exists()


def test_help_has_examples():
    """Each command explains itself."""
    assert "leanvibe models pull phi3-gguf" in _run("--help").stdout
    for command in ("list", "pull", "verify", "remove", "path"):
        assert _run(command, "--help").exit_code == 0


@pytest.mark.real_model
def test_verify_of_the_embedded_model(monkeypatch):
    """Digest as recorded, shapes good; the known answers have their own tests."""
    _answers(monkeypatch, "verified")
    result = _run("verify", "smollm2")
    assert result.exit_code == 0
    assert "as recorded" in result.stdout


def test_the_command_imports_nothing_heavy():
    """Help and list must not wait for libraries that only pull, or a loaded tokenizer, need."""
    heavy = ("tokenizers", "huggingface_hub", "jinja2", "numpy", "mlx", "xllamacpp", "transformers")
    rooms = "leanvibe_lsp.cli.models, leanvibe_lsp.engine.models.tokenizer, leanvibe_lsp.engine.models.fetch"
    code = f"import sys, {rooms}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
