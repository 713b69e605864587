"""Formats are told apart by content; what is refused is called by its name."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import zipfile
from pathlib import Path

import pytest

from leanvibe_lsp.engine.models.formats import Format, detect, find_weights
from leanvibe_lsp.engine.models.registry import REGISTRY, embedded_file
from leanvibe_lsp.engine.models.safetensors_header import INDEX
from leanvibe_lsp.errors import ModelFormatError, ModelNotFound
from tests.support.gguf import gguf_bytes, safetensors_bytes, write_gguf

SAFETENSORS = safetensors_bytes({"a": ("F32", (2,), 8)})


@pytest.mark.parametrize("name", ["model.gguf", "model.safetensors", "model.bin", "no-suffix"])
def test_a_gguf_is_one_by_its_content(tmp_path, name):
    """The name of the file says nothing."""
    assert detect(write_gguf(tmp_path / name, {"a": 1})) is Format.GGUF


def test_a_folder_with_config_and_weights_is_safetensors(tmp_path):
    """Both parts are needed: the weights, and the config.json that explains them."""
    (tmp_path / "model.safetensors").write_bytes(SAFETENSORS)
    with pytest.raises(ModelFormatError, match=r"no config\.json"):
        detect(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    assert find_weights(tmp_path) == (tmp_path, Format.SAFETENSORS)


def test_a_folder_with_one_gguf_means_that_file(tmp_path):
    """As a download leaves it; two of them are a question."""
    path = write_gguf(tmp_path / "one.gguf", {"a": 1})
    (tmp_path / "manifest.json").write_text("{}")
    assert find_weights(tmp_path) == (path, Format.GGUF)
    write_gguf(tmp_path / "two.gguf", {"a": 1})
    with pytest.raises(ModelFormatError, match=r"one\.gguf, two\.gguf"):
        find_weights(tmp_path)


def test_a_missing_shard_or_a_cut_one_is_no_model(tmp_path):
    """A folder is a model when its shards are whole."""
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": {"a": "model-1.safetensors"}}))
    with pytest.raises(ModelFormatError, match="no such file"):
        detect(tmp_path)
    (tmp_path / "model-1.safetensors").write_bytes(SAFETENSORS[:-3])
    with pytest.raises(ModelFormatError, match="cut short"):
        detect(tmp_path)


def _torch_zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}))


def _plain_zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "an empty file"),
        (b"\n <!DOCTYPE html><html>", "a web page"),
        (b"<html><body>404", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "a git-lfs pointer"),
        (pickle.dumps({"weight": [1]}), "pickle.*never opened"),
        (_torch_zip, "pickle inside.*never opened"),
        (_plain_zip, "a zip archive"),
        (b"PK\x03\x04broken", "a zip archive"),
        (SAFETENSORS, "a single safetensors file"),
        (b'{"error": "Repository not found"}', "a JSON text"),
        (b"ggjt" + bytes(60), "before GGUF"),
        (b"\x1f\x8b\x08" + bytes(60), "a gzip archive"),
        (b"\x01\x02\x03", "something unknown that begins with 01 02 03"),
        (gguf_bytes({}, {"a": (64,)})[:-1], "cut short"),
        (b"GGUF", "cut short"),
    ],
)
@pytest.mark.parametrize("name", ["model.gguf", "other"])
def test_what_is_no_model_is_called_by_its_name(tmp_path, content, message, name):
    """The error says what was found, and what is accepted."""
    path = tmp_path / name
    content(path) if callable(content) else path.write_bytes(content)
    with pytest.raises(ModelFormatError, match=message) as raised:
        detect(path)
    assert raised.value.next_step


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (None, b"", "it is empty"),
        ("readme.md", b"hello", "its 1 files are none"),
        ("pytorch_model.bin", pickle.dumps({}), r"pytorch_model\.bin is a Python pickle"),
        (
            "model.safetensors",
            b"version https://git-lfs.github.com/spec/v1",
            r"model\.safetensors is a git-lfs pointer",
        ),
        ("weights.safetensors", SAFETENSORS, r"model\*\.safetensors"),
    ],
)
def test_a_folder_without_weights_says_what_it_holds(tmp_path, name, content, message):
    """An empty folder, and one with the wrong kind of weights."""
    if name:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelFormatError, match=message):
        detect(tmp_path)


def test_nothing_there_is_not_found(tmp_path):
    """A wrong path is not a wrong format."""
    with pytest.raises(ModelNotFound, match="no file or folder"):
        detect(tmp_path / "nothing")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no named pipes")
def test_a_pipe_is_no_model_and_is_never_opened(tmp_path):
    """Opening one waits for a writer, for ever."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ModelFormatError, match="pipe is no file"):
        detect(tmp_path / "pipe")
    with pytest.raises(ModelFormatError, match="null is no file"):
        detect(Path(os.devnull))


def test_a_file_nobody_may_read_is_an_error_with_a_name(tmp_path, monkeypatch):
    """The operating system's error is mapped."""

    def refuse(*args, **options):
        raise PermissionError(13, "Permission denied")

    path = write_gguf(tmp_path / "m", {})
    monkeypatch.setattr(type(path), "open", refuse)
    with pytest.raises(ModelFormatError, match="Permission denied"):
        detect(path)


@pytest.mark.real_model
@pytest.mark.parametrize("kept", [0, 3, 20, 1_000, 1_000_000, 1_800_000, 98_362_431])
def test_a_cut_copy_of_the_embedded_model_is_refused(tmp_path, kept):
    """Wherever a download broke off."""
    source = embedded_file(REGISTRY["smollm2"].source)
    assert detect(source) is Format.GGUF
    copy = tmp_path / "copy.gguf"
    shutil.copyfile(source, copy)
    with copy.open("r+b") as file:
        file.truncate(kept)
    with pytest.raises(ModelFormatError):
        detect(copy)
