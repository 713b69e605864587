"""One document at one moment, frozen. Work that runs beside the event loop sees a snapshot and nothing else."""

from __future__ import annotations

import codecs
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.text import LineIndex
from leanvibe_lsp.documents import uris
from leanvibe_lsp.errors import UsageError


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A document's text and what the client said about it.

    `path` is None for a document that is no file; `language_id` is "" and `version` None when it was read from disk.
    """

    uri: str
    path: Path | None
    language_id: str
    version: int | None
    text: str
    lines: LineIndex


def read_regular_file(path: Path) -> Snapshot:
    """`read_snapshot` for a server: a pipe or a device, which could keep it waiting for ever, is refused too."""
    with suppress(OSError, ValueError):  # what these mean for a person, `read_snapshot` says
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise UsageError(f"{path} is not a regular file.", next_step="Name a text file.")
    return read_snapshot(path)


def read_snapshot(path: Path) -> Snapshot:
    """Read a UTF-8 file, with or without a byte order mark; line endings stay as they are.

    Raises UsageError for what cannot be read, is larger than `document.read_bytes`, or is not text.
    """
    data = _read(path)
    if b"\0" in data:
        raise UsageError(f"{path} is a binary file: byte {data.index(0)} is NUL.", next_step="Ask about a text file.")
    body = data.removeprefix(codecs.BOM_UTF8)
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        at = error.start + len(data) - len(body)
        raise UsageError(
            f"{path} is not UTF-8: byte {at} (0x{data[at]:02x}) cannot be decoded.",
            next_step="Save the file as UTF-8 and ask again.",
        ) from None
    return Snapshot(
        uri=uris.from_path(path), path=path.absolute(), language_id="", version=None, text=text, lines=LineIndex(text)
    )


def _read(path: Path) -> bytes:
    """The file's bytes. One byte more than allowed is read, so a file that grows or lies about its size is caught."""
    most = limit("document.read_bytes")
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist.", next_step="Check the path.") from None
    except IsADirectoryError:
        raise UsageError(f"{path} is a folder.", next_step="Name a file in it.") from None
    except PermissionError:
        if path.is_dir():  # how Windows says it
            raise UsageError(f"{path} is a folder.", next_step="Name a file in it.") from None
        raise UsageError(f"{path} may not be read.", next_step="Check the file's permissions.") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise UsageError(f"{path} cannot be read: {error}.", next_step="Check the path.") from None
    if len(data) > most:
        raise UsageError(
            f"{path} is larger than {most:,} bytes.",
            next_step="Ask about a smaller file, or copy the part in question into one.",
        )
    return data
