"""The cache: names stay inside it, a manifest makes a model, nothing outside is ever deleted."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from leanvibe_lsp.engine.models import cache as store
from leanvibe_lsp.errors import LeanVibeError, UsageError

MANIFEST = store.Manifest(
    "org/repo", "org/repo", "c0", (store.FileRecord("a", 3, "00"), store.FileRecord("b", 4, "11")), "t", "x"
)


def test_the_place_can_be_moved(monkeypatch, tmp_path):
    """LEANVIBE_MODELS_DIR wins over the platform's cache folder."""
    monkeypatch.setenv("LEANVIBE_MODELS_DIR", str(tmp_path / "m"))
    assert store.models_dir() == tmp_path / "m"
    monkeypatch.delenv("LEANVIBE_MODELS_DIR")
    assert store.models_dir().parts[-2:] == ("leanvibe", "models")


@given(st.text())
def test_no_name_leaves_the_cache(name):
    """Whatever is in it: dots, slashes, nothing."""
    from pathlib import Path

    cache = Path("/cache")
    try:
        folder = store.folder_of(cache, name)
    except UsageError:
        return
    assume(folder.name)
    assert folder.parent == cache
    assert folder.name not in (".", "..")
    assert folder.resolve().parent == cache.resolve()


@pytest.mark.parametrize("name", ["", "..", "///", "a.partial"])
def test_a_name_that_is_no_folder_is_refused(tmp_path, name):
    """Nothing is left of it, or it would be mistaken for an unfinished download."""
    if name == "///":
        assert store.folder_of(tmp_path, "a///b").parent == tmp_path
    with pytest.raises(UsageError):
        store.folder_of(tmp_path, name)


def test_a_manifest_comes_back_as_written(tmp_path):
    """And is found in the list of downloads; other folders are not."""
    folder = store.folder_of(tmp_path, "org/repo")
    folder.mkdir()
    (tmp_path / "x.partial").mkdir()
    (tmp_path / "empty").mkdir()
    store.write_manifest(folder, MANIFEST)
    assert store.read_manifest(folder) == MANIFEST
    assert MANIFEST.size == 7
    assert store.manifests(tmp_path) == [MANIFEST]
    assert [path.name for path in folder.iterdir()] == ["manifest.json"]
    assert store.manifests(tmp_path / "nothing") == []


_WITH = '{"name": "a", "repo": "b", "revision": "c", "pulled_at": "", "tool": "", "files": [%s]%s}'


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"name": 1, "files": [{}]}',
        "{" * 10,
        "[" * 100_000,
        _WITH % ('{"path": "x", "size": Infinity, "sha256": ""}', ""),
        _WITH % ("", ', "perplexity": 0'),
        _WITH % ("", ', "perplexity": NaN'),
    ],
)
def test_a_broken_manifest_is_none(tmp_path, content):
    """It cannot be followed, so the folder is no model."""
    (tmp_path / "manifest.json").write_text(content)
    assert store.read_manifest(tmp_path) is None


def test_remove_takes_the_download_and_its_rest(tmp_path):
    """Finished and unfinished; the bytes freed are told."""
    for name in ("m", "m.partial"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_bytes(b"12345")
    (tmp_path / "other").mkdir()
    assert store.remove(tmp_path, "m") == 10
    assert [path.name for path in tmp_path.iterdir()] == ["other"]
    assert store.remove(tmp_path, "m") == 0


def test_remove_does_not_follow_a_link(tmp_path):
    """A link out of the cache is left alone, and so is what it points to."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x")
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "m").symlink_to(outside)
    with pytest.raises(UsageError, match="is a link"):
        store.remove(cache, "m")
    (cache / "n").mkdir()
    (cache / "n" / "inner").symlink_to(outside)
    assert store.remove(cache, "n") == 0
    assert (outside / "precious").exists()


def test_a_folder_that_cannot_be_removed_is_an_error_with_a_name(tmp_path, monkeypatch):
    """The operating system's error is mapped."""
    (tmp_path / "m").mkdir()

    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(store.shutil, "rmtree", refuse)
    with pytest.raises(LeanVibeError, match="Permission denied"):
        store.remove(tmp_path, "m")
