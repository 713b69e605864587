"""Telling model files apart by what is in them, never by what they are called.

Accepted: a GGUF file, or a folder with config.json and safetensors weights. For anything else the error says what it
is.
"""

from __future__ import annotations

import struct
import zipfile
from enum import StrEnum
from typing import TYPE_CHECKING

from leanvibe_lsp.engine.models import gguf, safetensors_header
from leanvibe_lsp.engine.models.adapter import adapter_base, adapter_weights
from leanvibe_lsp.errors import ModelFormatError, ModelNotFound

if TYPE_CHECKING:
    from pathlib import Path

ACCEPTED = "Accepted are a GGUF file, or a folder with config.json and *.safetensors (`leanvibe models list`)."
_SNIFF = 512
_CONTAINERS = (
    (b"version https://git-lfs", "a git-lfs pointer, not the file it points to"),
    (b"\x89HDF", "an HDF5 file (Keras)"),
    (b"ggjt", "a ggml file from before GGUF"),
    (b"tjgg", "a ggml file from before GGUF"),
    (b"lmgg", "a ggml file from before GGUF"),
    (b"\x1f\x8b", "a gzip archive"),
)


class Format(StrEnum):
    """The two kinds of weights that are read."""

    GGUF = "gguf"
    SAFETENSORS = "safetensors"


def detect(path: Path) -> Format:
    """What the weights at `path` are, by content. Raises as `find_weights` does."""
    return find_weights(path)[1]


def find_weights(path: Path) -> tuple[Path, Format]:
    """Where the weights are and what they are: a GGUF file (also when alone in its folder), or a safetensors folder.

    Headers are read and checked; weights are not. Raises ModelNotFound or ModelFormatError.
    """
    if path.is_dir():
        return _in_folder(path)
    if not path.exists():
        raise ModelNotFound(f"There is no file or folder {path}.", next_step=ACCEPTED)
    if not path.is_file():  # opening a pipe may wait for ever
        raise ModelFormatError(f"{path} is no file, but a pipe or a device.", next_step=ACCEPTED)
    head = _head(path)
    if head.startswith(gguf.MAGIC):
        gguf.read_gguf(path)
        return path, Format.GGUF
    raise ModelFormatError(f"{path} is {describe(path, head)}. No model can be loaded from it.", next_step=ACCEPTED)


def _in_folder(folder: Path) -> tuple[Path, Format]:
    files = sorted(file for file in folder.iterdir() if file.is_file())
    heads = {file: _head(file) for file in files}
    shards = [file for file in files if file.match("model*.safetensors")]
    whole = any(looks_like_safetensors(heads[file], file.stat().st_size) for file in shards)
    if whole or (folder / safetensors_header.INDEX).is_file():
        _tensors, problems = safetensors_header.read_folder(folder)
        if problems:
            raise ModelFormatError(f"{folder} is not whole: {problems[0]}.", next_step="Download it again.")
        if not (folder / "config.json").is_file():
            raise ModelFormatError(f"{folder} has safetensors weights and no config.json.", next_step=ACCEPTED)
        return folder, Format.SAFETENSORS
    weights = [file for file, head in heads.items() if head.startswith(gguf.MAGIC)]
    if len(weights) > 1:
        names = ", ".join(file.name for file in weights)
        raise ModelFormatError(f"{folder} holds more than one GGUF file: {names}.", next_step="Name the one you want.")
    if weights:
        return find_weights(weights[0])
    if adapter_weights(folder) is not None:
        base = adapter_base(folder)
        raise ModelFormatError(
            f"{folder} is an adapter{f' for {base}' if base else ''}, not a model.",
            next_step="Give the model it was trained on.",
        )
    raise ModelFormatError(f"{folder} holds no weights: {_contents(heads)}.", next_step=ACCEPTED)


def _contents(heads: dict[Path, bytes]) -> str:
    telling = [f"{file.name} is {describe(file, head)}" for file, head in heads.items() if _is_telling(file, head)]
    if telling:
        return "; ".join(telling[:3])
    return "it is empty" if not heads else f"its {len(heads)} files are none"


def _is_telling(file: Path, head: bytes) -> bool:
    return file.suffix in {".gguf", ".safetensors", ".bin", ".pt", ".pth"} or head.startswith((b"PK", b"\x80"))


def looks_like_safetensors(head: bytes, size: int) -> bool:
    """True when `head` is the begin of a safetensors file of `size` bytes: a length, then that much JSON."""
    return len(head) > 8 and head[8:9] == b"{" and struct.unpack_from("<Q", head)[0] <= max(size, 1 << 26) - 8


def describe(path: Path, head: bytes) -> str:
    """What a file that is no model seems to be, as the end of a sentence: "an empty file"."""
    if not head:
        return "an empty file"
    for prefix, name in _CONTAINERS:
        if head.startswith(prefix):
            return name
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype", b"<html", b"<head", b"<?xml")):
        return "a web page, saved in place of the model"
    if head.startswith(b"PK\x03\x04"):
        return _describe_zip(path)
    if head[0] == 0x80 and len(head) > 1 and head[1] <= 5:
        return "a Python pickle (PyTorch), which could run code and is never opened"
    if looks_like_safetensors(head, path.stat().st_size):
        return "a single safetensors file; give a folder with config.json and model*.safetensors"
    if text.startswith((b"{", b"[")):
        return "a JSON text"
    return f"something unknown that begins with {head[:8].hex(' ')}"


def _describe_zip(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            pickled = any(name.endswith(".pkl") for name in archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError):
        pickled = False
    if pickled:
        return "a PyTorch archive with a pickle inside, which could run code and is never opened"
    return "a zip archive"


def _head(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(_SNIFF)
    except OSError as error:
        raise ModelFormatError(f"{file} cannot be read: {error.strerror or error}.") from error
