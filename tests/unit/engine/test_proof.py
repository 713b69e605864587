from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from leanvibe_lsp.engine import proof
from leanvibe_lsp.engine.models.formats import Format
from leanvibe_lsp.engine.models.registry import Located
from leanvibe_lsp.engine.proof import Stamps, file_stamps, identity
from leanvibe_lsp.engine.select import Selection
from tests.support.engines import located


@pytest.fixture
def folder(tmp_path: Path) -> Located:
    """A folder of two shards, a config and a tokenizer."""
    for name in ("model-00001.safetensors", "model-00002.safetensors", "config.json", "tokenizer.json", "README.md"):
        (tmp_path / name).write_text("one", encoding="utf-8")
    return replace(located(Format.SAFETENSORS), path=tmp_path)


@pytest.mark.parametrize("name", ["model-00002.safetensors", "config.json", "tokenizer.json"])
def test_a_change_in_any_file_of_the_model_is_seen(folder: Located, name: str) -> None:
    """Another size, the same size written again, or gone."""
    stamps = file_stamps(folder)
    assert file_stamps(folder) == stamps
    (folder.path / name).write_text("three", encoding="utf-8")
    longer = file_stamps(folder)
    assert longer != stamps
    os.utime(folder.path / name, ns=(1, 1))
    touched = file_stamps(folder)
    assert touched != longer
    (folder.path / name).unlink()
    assert set(touched) - set(file_stamps(folder)) == {name}


def test_another_backend_device_file_or_version_is_another_identity(
    folder: Located, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer is exact for what computed it, so each part of that is in its name."""
    stamps = file_stamps(folder)

    def name(
        backend: str = "mlx", device: str = "cpu", files: Stamps = stamps, digest: str | None = None
    ) -> str | None:
        proof._versions.cache_clear()
        return identity(Selection(backend, replace(folder, digest=digest), ()), device, files)

    names = [name(), name("llama.cpp"), name(device="gpu"), name(files={}), name(digest="d"), name(digest="e")]
    monkeypatch.setattr(proof, "__version__", "later")
    names.append(name())
    monkeypatch.undo()
    installed = proof.metadata.version
    for changed in ("mlx", "mlx-lm", "llguidance"):
        monkeypatch.setattr(
            proof.metadata, "version", lambda one, changed=changed: "later" if one == changed else installed(one)
        )
        names.append(name())
        monkeypatch.undo()
    assert name() == names[0]
    assert len(set(names)) == len(names) == 10
    assert None not in names


def test_a_backend_that_is_no_distribution_has_an_identity_too(
    folder: Located, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was built in place: there is no version to know."""

    def none(name: str) -> str:
        raise proof.metadata.PackageNotFoundError(name)

    proof._versions.cache_clear()
    monkeypatch.setattr(proof.metadata, "version", none)
    assert '"mlx": null' in (identity(Selection("mlx", folder, ()), "cpu", {}) or "")
    proof._versions.cache_clear()


def test_what_is_no_part_of_the_model_does_not_count(folder: Located) -> None:
    """A README may change."""
    stamps = file_stamps(folder)
    (folder.path / "README.md").write_text("changed", encoding="utf-8")
    assert file_stamps(folder) == stamps


def test_a_model_that_is_gone_or_elsewhere_has_no_stamps(tmp_path: Path) -> None:
    """A file that was removed differs from one that was there; a server's model has no files."""
    path = tmp_path / "model.gguf"
    path.write_bytes(b"x")
    here = replace(located(), path=path)
    assert set(file_stamps(here)) == {"model.gguf"}
    path.unlink()
    assert file_stamps(here) == {}
    assert file_stamps(None) == {}
