from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from leanvibe_lsp.engine.models.formats import Format
from leanvibe_lsp.engine.models.registry import Located
from leanvibe_lsp.engine.proof import file_stamps
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
