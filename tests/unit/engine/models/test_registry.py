"""Names and paths: what they mean, where they are, and what the error says when they are nowhere."""

from __future__ import annotations

import re
import socket

import pytest

from leanvibe_lsp.engine.models import cache as store
from leanvibe_lsp.engine.models import registry
from leanvibe_lsp.engine.models.formats import Format
from leanvibe_lsp.engine.models.registry import (
    REGISTRY,
    Embedded,
    HubRepo,
    LocalPath,
    ModelSpec,
    State,
    resolve,
    spec_of,
    state_of,
)
from leanvibe_lsp.errors import ModelDamaged, ModelFormatError, ModelNotFound
from tests.support.gguf import llama_metadata, llama_shapes, write_gguf


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    """Whatever is resolved here, nobody opens a connection."""

    def refuse(*args, **options):
        raise AssertionError("resolve reached for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def _pulled(cache, name, content=None):
    folder = store.folder_of(cache, name)
    folder.mkdir(parents=True)
    write_gguf(folder / "weights.gguf", content or {"a": 1})
    record = store.FileRecord("weights.gguf", 1, "ab" * 32)
    store.write_manifest(folder, store.Manifest(name, "org/repo", "c0", (record,), "2026-01-01T00:00:00+00:00", "test"))
    return folder / "weights.gguf"


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("org/repo", HubRepo("org/repo")),
        ("org/repo@v1.0", HubRepo("org/repo", "v1.0")),
        ("org/repo@refs/pr/1", HubRepo("org/repo", "refs/pr/1")),
        (
            "org/repo@abc:q4.gguf",
            HubRepo("org/repo", "abc", ("q4.gguf",)),
        ),
    ],
)
def test_a_repository_is_named_with_revision_and_file(name, source):
    """org/repo[@revision][:file.gguf]."""
    assert spec_of(name).source == source


@pytest.mark.parametrize(
    "name", ["./org/repo", "/a/b", "~/m.gguf", "a/b.gguf", "m.gguf", "a/b/c", "org/repo:../x.gguf"]
)
def test_what_looks_like_a_path_is_one(name):
    """Also when nothing is there yet: the error is then about a file."""
    assert isinstance(spec_of(name).source, LocalPath)


@pytest.mark.parametrize("typed", ["phi-3", "Phi3", "phi3-ggufs", "smolm2"])
def test_a_typo_gets_a_suggestion(tmp_path, typed):
    """Near names first, then the list."""
    with pytest.raises(ModelNotFound) as raised:
        resolve(typed, cache=tmp_path)
    assert re.search("Did you mean (phi3|smollm2)", raised.value.next_step)


def test_a_name_like_nothing_gets_the_list(tmp_path):
    """No guess where nothing is near."""
    with pytest.raises(ModelNotFound) as raised:
        resolve("zzzzzz", cache=tmp_path)
    assert "leanvibe models list" in raised.value.next_step
    assert "Did you mean" not in raised.value.next_step


@pytest.mark.parametrize("name", ["phi3", "phi3-gguf", "org/repo", "org/repo@v1"])
def test_what_is_not_downloaded_says_how_to_get_it(tmp_path, name):
    """The next step is the command."""
    with pytest.raises(ModelNotFound, match="not downloaded") as raised:
        resolve(name, cache=tmp_path)
    assert f"leanvibe models pull {name}`" in raised.value.next_step


def test_an_unfinished_download_is_not_a_model(tmp_path):
    """Neither a .partial folder, nor one without a manifest."""
    store.partial_of(store.folder_of(tmp_path, "phi3")).mkdir()
    assert state_of(REGISTRY["phi3"], tmp_path) is State.UNFINISHED
    with pytest.raises(ModelNotFound, match="not finished"):
        resolve("phi3", cache=tmp_path)
    write_gguf(tmp_path / "phi3-gguf", {})
    (tmp_path / "phi3-gguf").unlink()
    (tmp_path / "phi3-gguf").mkdir()
    write_gguf(tmp_path / "phi3-gguf" / "Phi-3-mini-4k-instruct-q4.gguf", {})
    with pytest.raises(ModelNotFound, match="not finished"):
        resolve("phi3-gguf", cache=tmp_path)


def test_a_pulled_model_is_found_with_its_digest(tmp_path):
    """The manifest says which digest its file should have."""
    path = _pulled(tmp_path, "org/repo@v1")
    located = resolve("org/repo@v1", cache=tmp_path)
    assert (located.path, located.format, located.digest) == (path, Format.GGUF, "ab" * 32)
    assert state_of(spec_of("org/repo@v1"), tmp_path) is State.HERE


def test_a_pulled_model_wins_over_a_folder_of_that_name(tmp_path, monkeypatch):
    """A workspace cannot put its own file under the name of a download; without one the folder counts."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "org" / "repo").mkdir(parents=True)
    write_gguf(tmp_path / "org" / "repo" / "m.gguf", {})
    assert resolve("org/repo", cache=tmp_path / "cache").path == tmp_path / "org" / "repo" / "m.gguf"
    path = _pulled(tmp_path / "cache", "org/repo")
    assert resolve("org/repo", cache=tmp_path / "cache").path == path


def test_a_registered_name_wins_over_a_folder(tmp_path, monkeypatch):
    """`smollm2` is the registry's, `./smollm2` is one's own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "phi3").mkdir()
    write_gguf(tmp_path / "phi3" / "m.gguf", {})
    with pytest.raises(ModelNotFound):
        resolve("phi3", cache=tmp_path / "cache")
    assert resolve("./phi3", cache=tmp_path / "cache").path == tmp_path / "phi3" / "m.gguf"


def test_a_local_file_has_no_recorded_digest(tmp_path):
    """Nobody recorded one; the name is what was typed."""
    path = write_gguf(tmp_path / "m.gguf", {})
    located = resolve(str(path), cache=tmp_path)
    assert (located.name, located.path, located.digest) == (str(path), path, None)
    assert state_of(located.spec, tmp_path) is State.HERE


def test_what_is_no_model_is_refused(tmp_path):
    """By content, whatever its name."""
    (tmp_path / "m.gguf").write_text("<html>")
    with pytest.raises(ModelFormatError, match="web page"):
        resolve(str(tmp_path / "m.gguf"), cache=tmp_path)
    with pytest.raises(ModelNotFound):
        resolve(str(tmp_path / "n.gguf"), cache=tmp_path)


def test_an_embedded_model_without_its_package_says_how_to_get_it(tmp_path, monkeypatch):
    """The next step is the command that installs it."""
    spec = ModelSpec("gone", Embedded("no-such-distribution", "a.gguf", "uv pip install it"), "")
    monkeypatch.setitem(REGISTRY, "gone", spec)
    with pytest.raises(ModelNotFound, match="not installed") as raised:
        resolve("gone", cache=tmp_path)
    assert "uv pip install it" in raised.value.next_step
    assert state_of(spec, tmp_path) is State.NOT_INSTALLED


def test_an_embedded_file_of_another_size_is_damaged(tmp_path, monkeypatch):
    """Seen at once, before any digest."""
    path = write_gguf(tmp_path / "m.gguf", {})
    monkeypatch.setattr(registry, "embedded_file", lambda source: path)
    with pytest.raises(ModelDamaged, match="98,362,432"):
        resolve("smollm2", cache=tmp_path)


def test_the_registry_is_sound():
    """Real digests, a licence each."""
    for name, spec in REGISTRY.items():
        assert name == spec.name
        assert spec.licence
        assert all(re.fullmatch("[0-9a-f]{64}", digest) for _, digest in spec.digests)


@pytest.mark.real_model
def test_the_embedded_model_is_found_without_importing_its_package(tmp_path):
    """The distribution's file, its format and its recorded digest."""
    located = resolve("smollm2", cache=tmp_path)
    assert located.path.name == "SmolLM2-135M-Instruct.Q4_1.gguf"
    assert located.format is Format.GGUF
    assert located.digest == "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def test_a_manifest_does_not_replace_a_known_digest(tmp_path):
    """A folder that calls itself phi3-gguf needs the digest this program knows, whatever its own manifest says."""
    name = "Phi-3-mini-4k-instruct-q4.gguf"
    folder = tmp_path / "phi3-gguf"
    folder.mkdir()
    write_gguf(folder / name, llama_metadata(), llama_shapes())
    record = store.FileRecord(name, (folder / name).stat().st_size, "0" * 64)
    store.write_manifest(folder, store.Manifest("phi3-gguf", "a/b", "c", (record,), "2026", "test"))
    assert resolve("phi3-gguf", cache=tmp_path).digest == dict(REGISTRY["phi3-gguf"].digests)[name]
