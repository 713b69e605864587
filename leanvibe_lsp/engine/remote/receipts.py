"""A receipt for every use of a server: written before anything leaves, completed afterwards.

`receipts.jsonl` in the user's state folder, for the user alone. A use is two lines of one id: what is about to leave
(forced to the disk first: what cannot be noted is not sent), and how it ended. A line that a crash tore is passed over.
All changes are made under a lock, so that processes do not mix their lines.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.engine.base import Source
from leanvibe_lsp.errors import LeanVibeError, Withheld

log = logging.getLogger(__name__)

UNFINISHED = "unfinished"
_FILE = "receipts.jsonl"


@dataclass(frozen=True, slots=True)
class Receipt:
    """One use. `time` is UTC in ISO 8601; bytes are those of the bodies, `bytes_sent` at most.

    Of an "unfinished" one the end is not known: it runs now, or its process died; `bytes_sent` is then what was to be
    sent. `purpose` is "answer", "models" or "known answers".
    """

    id: str
    time: str
    server: str
    model: str
    purpose: str
    files: tuple[Source, ...]
    bytes_sent: int
    bytes_received: int = 0
    outcome: str = UNFINISHED


@dataclass(slots=True)
class Use:
    """What a use in progress came to so far."""

    sent: int = 0
    received: int = 0


def receipts_path() -> Path:
    """Where they are. It need not exist."""
    from platformdirs import user_state_path

    return user_state_path("leanvibe", appauthor=False) / _FILE


class Receipts:
    """The receipts in one file."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or receipts_path()

    @contextmanager
    def use(
        self, server: str, model: str, purpose: str, files: Sequence[Source] = (), *, size: int = 0
    ) -> Iterator[Use]:
        """Note that about `size` bytes are to leave, and how it ended. Raises Withheld when it cannot be noted."""
        receipt = Receipt(secrets.token_hex(8), _now(), server, model, purpose, tuple(files), size)
        try:
            self._append(_begin(receipt), durable=True)
        except OSError as error:
            raise Withheld(
                f"No receipt can be written to {self.path} ({error.strerror or error}), so nothing was sent.",
                next_step="Free some space, or make that folder writable.",
            ) from error
        use = Use()
        outcome = "ok"
        try:
            yield use
        except BaseException as error:
            outcome = (
                f"{type(error).__name__}: {error.message}" if isinstance(error, LeanVibeError) else type(error).__name__
            )
            raise
        finally:
            try:
                self._append(_end(receipt.id, use, outcome), durable=False)
            except OSError as error:
                log.warning("the end of receipt %s could not be written: %s", receipt.id, error)

    def read(self) -> list[Receipt]:
        """All of them, oldest first. Raises LeanVibeError when the file cannot be read."""
        try:
            lines = self.path.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise LeanVibeError(f"{self.path} cannot be read: {error.strerror or error}.") from error
        found: dict[str, Receipt] = {}
        for line in lines:
            _lay(found, line)
        return list(found.values())

    def clear(self) -> int:
        """Throw all away; how many there were. Raises LeanVibeError when that fails."""
        count = len(self.read())
        try:
            if self.path.exists():
                with self._locked():
                    self.path.unlink(missing_ok=True)
        except OSError as error:
            raise LeanVibeError(f"{self.path} cannot be removed: {error.strerror or error}.") from error
        return count

    def _append(self, line: dict[str, Any], *, durable: bool) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._locked():
            self._shrink()
            file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
            try:
                if hasattr(os, "fchmod"):
                    os.fchmod(file, 0o600)
                size = os.fstat(file).st_size
                os.lseek(file, max(0, size - 1), os.SEEK_SET)
                torn = size > 0 and os.read(file, 1) != b"\n"
                _write_all(file, (b"\n" if torn else b"") + json.dumps(line).encode() + b"\n")
                if durable:
                    os.fsync(file)
            finally:
                os.close(file)

    def _shrink(self) -> None:
        """Drop what is too old, in steps of a day, and the older half of what is too much."""
        most = limit("receipts.kib") * 1024
        try:
            with self.path.open("rb") as file:
                first = file.readline(most)
            size = self.path.stat().st_size
        except FileNotFoundError:
            return
        if size <= most and _time_of(first) >= _ago(limit("receipts.days")):
            return
        oldest = _ago(limit("receipts.days") - 1)
        kept = [line for line in self.path.read_bytes().splitlines(keepends=True) if _time_of(line) >= oldest]
        while sum(map(len, kept)) > most // 2:
            del kept[: len(kept) // 8 + 1]
        temporary = self.path.with_suffix(".new")
        temporary.unlink(missing_ok=True)
        file_ = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
        try:
            _write_all(file_, b"".join(kept))
            os.fsync(file_)
        finally:
            os.close(file_)
        temporary.replace(self.path)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One process at a time. The lock is a file beside, since the receipts' own is replaced."""
        file = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                import fcntl
            except ImportError:  # Windows
                import msvcrt

                msvcrt.locking(file, msvcrt.LK_LOCK, 1)  # type: ignore[attr-defined]
            else:
                fcntl.flock(file, fcntl.LOCK_EX)
            yield
        finally:
            os.close(file)  # and with it the lock


def _write_all(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]


def _begin(receipt: Receipt) -> dict[str, Any]:
    return {
        "id": receipt.id,
        "time": receipt.time,
        "server": receipt.server,
        "model": receipt.model,
        "purpose": receipt.purpose,
        "files": [[file.uri, file.start_line, file.end_line] for file in receipt.files],
        "bytes": receipt.bytes_sent,
    }


def _end(identity: str, use: Use, outcome: str) -> dict[str, Any]:
    return {"id": identity, "time": _now(), "sent": use.sent, "received": use.received, "outcome": outcome}


def _lay(found: dict[str, Receipt], line: bytes) -> None:
    """Take one line; one that is torn, or of another program, says nothing."""
    try:
        said = json.loads(line)
        if "outcome" in said:
            known = found.get(said["id"])
            if known is not None:
                found[known.id] = replace(
                    known,
                    bytes_sent=int(said["sent"]),
                    bytes_received=int(said["received"]),
                    outcome=str(said["outcome"]),
                )
            return
        files = tuple(Source(str(uri), int(start), int(end)) for uri, start, end in said["files"])
        identity, written, server, model, purpose = (
            str(said[name]) for name in ("id", "time", "server", "model", "purpose")
        )
        receipt = Receipt(identity, written, server, model, purpose, files, int(said["bytes"]))
        found[receipt.id] = receipt
    except (ValueError, KeyError, TypeError, RecursionError):
        return


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _ago(days: int) -> str:
    return (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="milliseconds")


def _time_of(line: bytes) -> str:
    """When a line was written; "" (the oldest) for one that does not say."""
    try:
        return str(json.loads(line)["time"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
