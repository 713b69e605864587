"""`pull` against a hub on the loopback interface: whole, resumed, damaged, refused, offline, too big, stopped."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import os
import random
import shutil
import sys

import pytest

from leanvibe_lsp.config import limits
from leanvibe_lsp.core.cancel import CancelToken
from leanvibe_lsp.engine.models import cache as store
from leanvibe_lsp.engine.models import fetch
from leanvibe_lsp.engine.models.fetch import pull
from leanvibe_lsp.engine.models.formats import Format
from leanvibe_lsp.engine.models.registry import ModelSpec, State, resolve, spec_of, state_of
from leanvibe_lsp.errors import Cancelled, DownloadError, ModelDamaged, ModelFormatError, ModelNotFound, UsageError
from tests.support.gguf import gguf_bytes
from tests.support.hub import COMMIT, FakeHub, serve

REPO = "org/repo"
WEIGHTS = gguf_bytes({"a": "text"}, {"t": (50_000,)})  # about 200 kB of zeros ...
WEIGHTS = WEIGHTS[:-200_000] + random.Random(1).randbytes(200_000)  # ... replaced, so that misplaced bytes show
FILE = "q4.gguf"


def _limit(monkeypatch, name, value):
    monkeypatch.setitem(limits.LIMITS, name, dataclasses.replace(limits.LIMITS[name], default=value))


@pytest.fixture
def hub(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    for name, value in (("download.chunk_bytes", 10_000), ("download.retry_seconds", 0), ("download.free_bytes", 0)):
        _limit(monkeypatch, name, value)
    with serve(FakeHub(files={REPO: {FILE: WEIGHTS, "README.md": b"hello"}}, large={FILE})) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def _pull(cache, name=REPO, *, progress=None, cancel=None):
    return pull(spec_of(name), cache=cache, progress=progress or (lambda _: None), cancel=cancel or CancelToken())


def _partial(cache, name=REPO):
    return store.partial_of(store.folder_of(cache, name))


def test_a_whole_pull_is_checked_recorded_and_in_place(hub, cache):
    """The bytes, the manifest with commit and digests, the progress up to the end, and nothing left over."""
    seen = []
    located = _pull(cache, progress=seen.append)
    assert located.path.read_bytes() == WEIGHTS
    assert located.format is Format.GGUF
    assert located.digest == hashlib.sha256(WEIGHTS).hexdigest()
    manifest = store.read_manifest(located.path.parent)
    assert (manifest.repo, manifest.revision, manifest.name) == (REPO, COMMIT, REPO)
    assert manifest.files == (store.FileRecord(FILE, len(WEIGHTS), located.digest),)
    assert sorted(path.name for path in cache.rglob("*") if path.is_file()) == ["manifest.json", FILE]
    assert [progress.done for progress in seen] == sorted(progress.done for progress in seen)
    assert (seen[-1].done, seen[-1].total) == (len(WEIGHTS), len(WEIGHTS))
    asked = [path for _, path, _, _ in hub.requests]
    assert asked == [f"/api/models/{REPO}/revision/main", f"/{REPO}/resolve/{COMMIT}/{FILE}"]


def test_what_is_here_is_not_asked_for_again(hub, cache):
    """A second pull sends nothing to the hub."""
    _pull(cache)
    before = len(hub.requests)
    _pull(cache)
    assert len(hub.requests) == before


def test_a_safetensors_repository_comes_with_its_companions_and_no_code(hub, cache, folder):
    """Weights, config, tokenizer; never Python, pickles, other folders or the README."""
    whole = {path.name: path.read_bytes() for path in folder.iterdir()}
    evil = dict.fromkeys(
        ("modeling.py", "pytorch_model.bin", "model.pt", "../../up.safetensors", "onnx/model.onnx"), b"evil"
    )
    hub.files[REPO] = {**whole, **evil}
    hub.large = {"model.safetensors"}
    located = _pull(cache)
    assert located.format is Format.SAFETENSORS
    assert sorted(path.name for path in located.path.iterdir()) == sorted([*whole, "manifest.json"])
    assert not list(cache.parent.rglob("up.safetensors"))


def test_an_interrupted_pull_goes_on_where_it_stopped(hub, cache, monkeypatch):
    """No byte that arrived is sent again; the range says so."""
    _limit(monkeypatch, "download.retries", 0)
    hub.cut_after[FILE] = [90_000, 0]
    with pytest.raises(DownloadError, match=r"connection to http.* failed"):
        _pull(cache)
    assert state_of(spec_of(REPO), cache) is State.UNFINISHED
    with pytest.raises(ModelNotFound, match="not finished"):
        resolve(REPO, cache=cache)
    kept = sum(path.stat().st_size for path in _partial(cache).glob("*.part"))
    assert 0 < kept <= 90_000
    sent = hub.sent[FILE]
    assert _pull(cache).path.read_bytes() == WEIGHTS
    assert hub.bodies()[-1][1] == f"bytes={kept}-"
    assert hub.sent[FILE] - sent == len(WEIGHTS) - kept


def test_a_dropped_connection_is_taken_up_within_one_pull(hub, cache, monkeypatch):
    """As long as something comes each time, a pull goes on."""
    _limit(monkeypatch, "download.retries", 0)
    hub.cut_after[FILE] = [40_000, 40_000, 40_000]
    assert _pull(cache).path.read_bytes() == WEIGHTS
    assert len(hub.bodies()) == 4


def test_a_server_that_ignores_the_range_starts_again(hub, cache):
    """Its bytes are not put behind those that were here."""
    hub.cut_after[FILE] = [50_000]
    hub.ignore_range = True
    assert _pull(cache).path.read_bytes() == WEIGHTS


def test_a_finished_file_of_an_unfinished_pull_is_not_sent_again(hub, cache, folder, monkeypatch):
    """It is hashed where it lies."""
    _limit(monkeypatch, "download.retries", 0)
    hub.files[REPO] = {path.name: path.read_bytes() for path in folder.iterdir()}
    hub.large = {"model.safetensors"}
    largest = max(hub.files[REPO], key=lambda name: len(hub.files[REPO][name]))
    hub.cut_after[largest] = [0]
    with pytest.raises(DownloadError):
        _pull(cache)
    before = {path for path, _ in hub.bodies()}
    assert len(before) > 1
    _pull(cache)
    again = hub.bodies()[len(before) :]
    assert {path.rpartition("/")[2] for path, _ in again} == {largest}


def test_a_corrupted_body_is_kept_out(hub, cache):
    """One wrong byte: an error with the digest's name, and nothing in the cache that looks like a model."""
    hub.corrupt.add(FILE)
    with pytest.raises(ModelDamaged, match=r"q4\.gguf came with another digest"):
        _pull(cache)
    assert not store.folder_of(cache, REPO).exists()
    assert not [path for path in cache.rglob("*") if path.suffix in (".part", ".gguf")]
    hub.corrupt.clear()
    assert _pull(cache).path.read_bytes() == WEIGHTS


def test_a_corrupted_small_file_is_kept_out_too(hub, cache, folder):
    """Files outside LFS are checked by their git id."""
    hub.files[REPO] = {path.name: path.read_bytes() for path in folder.iterdir()}
    hub.corrupt.add("config.json")
    with pytest.raises(ModelDamaged, match=r"config\.json"):
        _pull(cache)


def test_a_longer_body_than_announced_is_kept_out(hub, cache, monkeypatch):
    """A server that does not stop sending does not fill the disk."""
    real = fetch.hub.list_files
    short = lambda source: dataclasses.replace(  # noqa: E731
        listing := real(source),
        files=tuple(dataclasses.replace(file, size=file.size - 50_000) for file in listing.files),
    )
    monkeypatch.setattr(fetch.hub, "list_files", short)
    with pytest.raises(ModelDamaged):
        _pull(cache)


def test_a_file_other_than_the_recorded_one_is_not_asked_for(hub, cache):
    """Where this version knows the digest, the hub cannot change the file."""
    spec = ModelSpec("known", spec_of(REPO).source, "", digests=((FILE, "0" * 64),))
    with pytest.raises(ModelDamaged, match="knows it as"):
        pull(spec, cache=cache, progress=lambda _: None, cancel=CancelToken())
    assert hub.bodies() == []


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("org/nothing", ModelNotFound, "hub has no org/nothing"),
        ("org/repo@v9", ModelNotFound, "hub has no org/repo@v9"),
        ("org/repo:q9.gguf", ModelNotFound, r"has no file q9\.gguf"),
        ("org/re--po", UsageError, "not a name"),
    ],
)
def test_what_the_hub_does_not_have(hub, cache, name, error, message):
    """Repository, revision, file, and a name that cannot be one; each with a next step."""
    with pytest.raises(error, match=message) as raised:
        _pull(cache, name)
    assert raised.value.next_step


def test_a_gated_repository_says_what_to_do(hub, cache):
    """Agree, and give a token; nobody is prompted."""
    hub.gated.add(REPO)
    with pytest.raises(DownloadError, match="is gated") as raised:
        _pull(cache)
    assert "HF_TOKEN" in raised.value.next_step


def test_a_token_is_sent_only_when_the_hub_wants_one(hub, cache, monkeypatch):
    """An open repository never sees it; a gated one gets it, and opens."""
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    _pull(cache)
    assert {auth for *_, auth in hub.requests} == {None}
    hub.files["org/gated"] = hub.files[REPO]
    hub.gated.add("org/gated")
    hub.token = "hf_secret"
    assert _pull(cache, "org/gated").path.read_bytes() == WEIGHTS


def test_a_gated_repository_that_lists_its_files_gets_the_token_too(hub, cache, monkeypatch):
    """The hub refuses only the bytes: with a token they come, without one the terms are named."""
    hub.gated_bodies.add(REPO)
    hub.token = "hf_secret"
    with pytest.raises(DownloadError, match="is gated"):
        _pull(cache)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert _pull(cache).path.read_bytes() == WEIGHTS


def test_a_server_error_is_told(hub, cache):
    """With its status."""
    hub.status = 500
    with pytest.raises(DownloadError, match="answered 500"):
        _pull(cache)


def test_offline_is_told(hub, cache, monkeypatch):
    """Connection refused: what to check, and that it goes on."""
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(DownloadError, match=r"connection to http.* failed") as raised:
        _pull(cache)
    assert "Check the network" in raised.value.next_step


def test_a_disk_that_is_too_small_is_told_before_anything_is_sent(hub, cache, monkeypatch):
    """With the numbers."""
    _limit(monkeypatch, "download.free_bytes", 1_000_000)
    usage = shutil.disk_usage("/")._replace(free=1_100_000)
    monkeypatch.setattr(fetch.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(DownloadError, match=r"needs 0\.2 MB and leaves 1\.0 MB.*has 1\.1 MB") as raised:
        _pull(cache)
    assert "LEANVIBE_MODELS_DIR" in raised.value.next_step
    assert hub.bodies() == []


@pytest.mark.parametrize(("number", "message"), [(28, "is full"), (13, "cannot be written")])
def test_a_disk_that_refuses_is_told(hub, cache, monkeypatch, number, message):
    """Full in the middle, or not writable."""

    def refuse(self, chunk):
        raise OSError(number, "no")

    monkeypatch.setattr(fetch._Arriving, "append", refuse)
    with pytest.raises(DownloadError, match=message):
        _pull(cache)


def test_a_cancel_keeps_what_came(hub, cache):
    """Stopped at a chunk, the next pull goes on behind it."""
    cancel = CancelToken()

    def stop(progress):
        if progress.done >= 50_000:
            cancel.cancel("enough")

    with pytest.raises(Cancelled, match="is kept") as raised:
        _pull(cache, progress=stop, cancel=cancel)
    assert f"pull {REPO}`" in raised.value.next_step
    assert raised.value.exit_code == 130
    kept = sum(path.stat().st_size for path in _partial(cache).glob("*.part"))
    assert kept >= 50_000
    _pull(cache)
    assert hub.bodies()[-1][1] == f"bytes={kept}-"


def test_ctrl_c_keeps_what_came(hub, cache):
    """KeyboardInterrupt in the middle is a cancel."""

    def stop(progress):
        if progress.done >= 50_000:
            raise KeyboardInterrupt

    with pytest.raises(Cancelled, match="is kept"):
        _pull(cache, progress=stop)
    assert state_of(spec_of(REPO), cache) is State.UNFINISHED


def test_two_pulls_of_one_model_do_not_mix(hub, cache):
    """The second is told at once."""
    inner = []

    def second(progress):
        if not inner:
            with pytest.raises(DownloadError, match="Another process") as raised:
                _pull(cache)
            inner.append(raised.value)

    _pull(cache, progress=second)
    assert len(inner) == 1


def test_a_pull_that_was_finished_meanwhile_is_kept(hub, cache, monkeypatch):
    """Another process ends between the look and the lock: its folder stays, nothing is sent or left over."""
    real = fetch.hub.list_files

    def list_slowly(source):
        monkeypatch.setattr(fetch.hub, "list_files", real)
        _pull(cache)
        return real(source)

    monkeypatch.setattr(fetch.hub, "list_files", list_slowly)
    assert _pull(cache).path.read_bytes() == WEIGHTS
    assert len(hub.bodies()) == 1
    assert not _partial(cache).exists()


def test_the_lock_is_held_until_the_folder_is_in_place(hub, cache, monkeypatch):
    """A pull that starts just before the renaming is told, and does not begin again."""
    inner = []
    real = store.write_manifest

    def write(folder, manifest):
        with pytest.raises(DownloadError, match="Another process") as raised:
            _pull(cache)
        inner.append(raised.value)
        real(folder, manifest)

    monkeypatch.setattr(store, "write_manifest", write)
    _pull(cache)
    assert len(inner) == 1


def test_all_bytes_are_with_the_system_when_it_is_asked_to_keep_them(hub, cache, monkeypatch):
    """What is still in this process's buffer would not be kept by fsync."""
    sizes = []
    monkeypatch.setattr(fetch.os, "fsync", lambda number: sizes.append(os.fstat(number).st_size))
    _pull(cache)
    assert sizes[0] == len(WEIGHTS)


def test_without_file_locks_a_pull_works(hub, cache, monkeypatch):
    """Windows has no fcntl: the module is imported and pulls all the same."""
    monkeypatch.setitem(sys.modules, "fcntl", None)
    found = importlib.util.spec_from_file_location("fetch_elsewhere", fetch.__file__)
    elsewhere = importlib.util.module_from_spec(found)
    monkeypatch.setitem(sys.modules, "fetch_elsewhere", elsewhere)
    found.loader.exec_module(elsewhere)
    located = elsewhere.pull(spec_of(REPO), cache=cache, progress=lambda _: None, cancel=CancelToken())
    assert located.path.read_bytes() == WEIGHTS
    assert sorted(path.name for path in located.path.parent.iterdir()) == ["manifest.json", FILE]


def test_parts_of_a_file_that_was_replaced_are_thrown_away(hub, cache):
    """What an older commit left is not put in front of new bytes."""
    _partial(cache).mkdir(parents=True)
    (_partial(cache) / f"{FILE}.000000000000.part").write_bytes(b"old")
    located = _pull(cache)
    assert sorted(path.name for path in located.path.parent.iterdir()) == ["manifest.json", FILE]


@pytest.mark.parametrize(
    ("files", "error", "message"),
    [
        ({"a.gguf": b"", "b.gguf": b""}, UsageError, "2 GGUF files"),
        ({"pytorch_model.bin": b""}, ModelFormatError, "neither safetensors nor GGUF"),
    ],
)
def test_a_repository_without_one_answer_is_a_question(hub, cache, files, error, message):
    """Several GGUF files: name one. Only pickles: none of them."""
    hub.files[REPO] = files
    with pytest.raises(error, match=message) as raised:
        _pull(cache)
    assert raised.value.next_step


def test_one_file_of_many_is_pulled_by_name(hub, cache):
    """org/repo:folder/file.gguf."""
    hub.files[REPO] = {"a.gguf": b"", f"sub/{FILE}": WEIGHTS}
    located = _pull(cache, f"{REPO}:sub/{FILE}")
    assert located.path.name == FILE
    assert hub.requests[-1][1].endswith(f"sub/{FILE}")


def test_an_embedded_model_and_a_file_are_not_pulled(hub, cache, tmp_path):
    """They are where they are; the hub is not asked."""
    path = tmp_path / "m.gguf"
    path.write_bytes(WEIGHTS)
    assert _pull(cache, str(path)).path == path
    assert hub.requests == []


def test_offline_by_wish_is_told(hub, cache, monkeypatch):
    """HF_HUB_OFFLINE is respected."""
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    huggingface_hub.utils.close_session() if hasattr(huggingface_hub.utils, "close_session") else None
    with pytest.raises(DownloadError, match="HF_HUB_OFFLINE"):
        _pull(cache)
