from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from leanvibe_lsp.core.cancel import CancelToken
from leanvibe_lsp.engine.models import cache as store
from leanvibe_lsp.engine.models import digest
from leanvibe_lsp.engine.models.digest import check_digest, expected_digest, sha256_of
from leanvibe_lsp.engine.models.formats import Format
from leanvibe_lsp.engine.models.gguf import read_gguf
from leanvibe_lsp.engine.models.registry import LocalPath, Located, ModelSpec, resolve
from leanvibe_lsp.errors import Cancelled, ModelDamaged
from tests.support.gguf import llama_metadata, llama_shapes, write_gguf


@pytest.fixture
def located(tmp_path: Path) -> Located:
    """A small model of one's own, that nobody knows."""
    path = write_gguf(tmp_path / "own.gguf", llama_metadata(), llama_shapes())
    return resolve(str(path), cache=tmp_path)


def _digest(located: Located) -> str:
    return hashlib.sha256(located.path.read_bytes()).hexdigest()


def check(located: Located, tmp_path: Path) -> str | None:
    """Check with the stamps of this test."""
    return check_digest(located, stamps=tmp_path / "cache" / "digests.json", cancel=CancelToken())


def test_an_unknown_model_has_no_digest(located: Located, tmp_path: Path) -> None:
    """A file that no record and no header names is neither right nor wrong."""
    assert check(located, tmp_path) is None


def test_a_recorded_digest_is_checked(located: Located, tmp_path: Path) -> None:
    """The file with its recorded digest passes; with another one it is damaged, and the error names both."""
    right = replace(located, digest=_digest(located))
    assert check(right, tmp_path) == _digest(located)
    with pytest.raises(ModelDamaged, match=f"{_digest(located)}.*{'0' * 64}"):
        check(replace(located, digest="0" * 64), tmp_path)


def test_a_checked_file_is_not_read_again(located: Located, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second check reads the stamp, not the file; a touched file is read again."""
    right = replace(located, digest=_digest(located))
    check(right, tmp_path)
    read: list[Path] = []

    def count(path: Path, **_: object) -> str:
        read.append(path)
        return _digest(located)

    monkeypatch.setattr(digest, "sha256_of", count)
    assert check(right, tmp_path) == right.digest
    assert read == []
    located.path.touch()
    check(right, tmp_path)
    assert read == [located.path]


@pytest.mark.parametrize("content", ["", "[]", "{", '{"a": 1}'])
def test_broken_stamps_cost_only_time(content: str, located: Located, tmp_path: Path) -> None:
    """A stamp file of any content is replaced, not believed."""
    (tmp_path / "cache").mkdir()
    stamps = tmp_path / "cache" / "digests.json"
    stamps.write_text(content)
    assert check(replace(located, digest=_digest(located)), tmp_path) == _digest(located)
    assert str(located.path) in json.loads(stamps.read_text())


def test_a_cache_that_cannot_be_written_is_no_error(located: Located, tmp_path: Path) -> None:
    """Without a place for stamps the check works all the same."""
    (tmp_path / "cache").write_text("a file, not a folder")
    assert check(replace(located, digest=_digest(located)), tmp_path) == _digest(located)


def test_a_copy_of_a_known_model_is_known_by_its_header(
    located: Located, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file with a known model's header must have that model's digest, whatever it is called."""
    header = located.path.read_bytes()[: read_gguf(located.path).data_offset]
    monkeypatch.setattr(digest, "_HEADERS", {hashlib.sha256(header).hexdigest(): "smollm2"})
    assert expected_digest(located) == "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
    with pytest.raises(ModelDamaged):
        check(located, tmp_path)


def downloaded(folder: Path, *names: str, also: tuple[str, ...] = ()) -> Located:
    """A download of `names` with contents of their own, recorded; `also` names files that only the record has."""
    folder.mkdir()
    for name in names:
        (folder / name).write_text(f"weights of {name}")
    records = [store.FileRecord(name, 0, hashlib.sha256((folder / name).read_bytes()).hexdigest()) for name in names]
    records += [store.FileRecord(name, 0, "0" * 64) for name in also]
    store.write_manifest(folder, store.Manifest("m", "org/m", "c", tuple(records), "t", "x"))
    return Located("m", folder, Format.SAFETENSORS, ModelSpec("m", LocalPath(folder), ""), None)


def test_a_downloaded_file_of_weights_is_known_by_its_record(tmp_path: Path) -> None:
    """A folder with one file of weights has that file's digest; other files and own folders have none."""
    one = downloaded(tmp_path / "one", "model.safetensors", "config.json")
    assert check(one, tmp_path) == hashlib.sha256(b"weights of model.safetensors").hexdigest()
    (one.path / store.MANIFEST).unlink()
    assert check(one, tmp_path) is None


@pytest.mark.parametrize("name", ["model-1.safetensors", "model-2.safetensors"])
def test_each_shard_of_a_download_is_checked(name: str, tmp_path: Path) -> None:
    """Whole shards have no one digest; one that was changed or removed is damaged, and named."""
    shards = downloaded(tmp_path / "m", "model-1.safetensors", "model-2.safetensors")
    assert check(shards, tmp_path) is None
    (shards.path / name).write_text("other weights!")
    with pytest.raises(ModelDamaged, match=name):
        check(shards, tmp_path)
    (shards.path / name).unlink()
    with pytest.raises(ModelDamaged, match=f"{name}.*cannot be read"):
        check(shards, tmp_path)


def test_each_shard_has_its_own_stamp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of checked shards, only the one that was touched is read again."""
    shards = downloaded(tmp_path / "m", "model-1.safetensors", "model-2.safetensors")
    check(shards, tmp_path)
    read: list[str] = []

    def count(path: Path, **_: object) -> str:
        read.append(path.name)
        return hashlib.sha256(path.read_bytes()).hexdigest()

    monkeypatch.setattr(digest, "sha256_of", count)
    check(shards, tmp_path)
    assert read == []
    (shards.path / "model-2.safetensors").touch()
    check(shards, tmp_path)
    assert read == ["model-2.safetensors"]


def test_a_record_cannot_point_out_of_its_folder(tmp_path: Path) -> None:
    """What is not in the folder is not loaded, and so not read."""
    located = downloaded(tmp_path / "m", also=("../other.safetensors",))
    (tmp_path / "other.safetensors").write_text("private")
    assert check(located, tmp_path) is None


def test_reading_stops_at_a_cancel(located: Located) -> None:
    """A cancel ends the reading before the next block."""
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(Cancelled):
        sha256_of(located.path, progress=lambda _: None, cancel=cancel)


def test_a_full_disk_leaves_no_half_file_behind(
    located: Located, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check works without stamps, and the file that could not be written is removed."""

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(digest.json, "dump", fail)
    assert check(replace(located, digest=_digest(located)), tmp_path) == _digest(located)
    assert list((tmp_path / "cache").iterdir()) == []
