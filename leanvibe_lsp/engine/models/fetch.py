"""`pull`: bringing a model into the cache. The only code of the program that downloads, and only when a person said so.

Bytes go to `<folder>.partial/<file>.<digest>.part` and stay there when anything stops; the next pull goes on behind
them. A file whose digest is right loses the suffix; when all are right the manifest is written and the folder renamed
into place.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import threading
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, BinaryIO

from leanvibe_lsp import __version__
from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.engine.models import cache as store
from leanvibe_lsp.engine.models import hub
from leanvibe_lsp.engine.models.registry import HubRepo, Located, ModelSpec, resolve
from leanvibe_lsp.errors import Cancelled, DownloadError, ModelDamaged

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from leanvibe_lsp.core.cancel import CancelToken


@dataclass(frozen=True, slots=True)
class PullProgress:
    """Bytes of the whole model that are here (`done` of `total`), and the file being worked on."""

    file: str
    done: int
    total: int


_LOCK = ".lock"

Progress = Callable[[PullProgress], None]


def pull(spec: ModelSpec, *, cache: Path, progress: Progress, cancel: CancelToken) -> Located:
    """Download what is missing, check it, and put it in place. What is here already is not asked for again.

    Raises Cancelled, DownloadError (offline, disk full), ModelNotFound, ModelDamaged (wrong digest), UsageError.
    """
    if not isinstance(spec.source, HubRepo):
        return resolve(spec.name, cache=cache)
    folder = store.folder_of(cache, spec.name)
    if store.read_manifest(folder) is not None:
        return resolve(spec.name, cache=cache)
    listing = hub.list_files(spec.source)
    _check_recorded(spec, listing)
    partial = store.partial_of(folder)
    with _on_disk_errors(cache), _only_one(partial), _resumable(spec):
        if store.read_manifest(folder) is not None:  # another process finished it meanwhile
            shutil.rmtree(partial, ignore_errors=True)
            return resolve(spec.name, cache=cache)
        _check_space(partial, listing)
        records = _download_all(listing, partial, progress, cancel)
        _put_in_place(spec, listing, records, partial, folder)
    return resolve(spec.name, cache=cache)


def _check_recorded(spec: ModelSpec, listing: hub.Listing) -> None:
    recorded = dict(spec.digests)
    for file in listing.files:
        if file.sha256 and recorded.get(file.name, file.sha256) != file.sha256:
            raise ModelDamaged(
                f"The hub's {file.name} has the digest {file.sha256}, and this version of leanvibe-lsp knows it as "
                f"{recorded[file.name]}.",
                next_step=f"If you trust the new file: `leanvibe models pull {listing.repo}:{file.path}`.",
            )


def _download_all(
    listing: hub.Listing, partial: Path, progress: Progress, cancel: CancelToken
) -> tuple[store.FileRecord, ...]:
    total = sum(file.size for file in listing.files)
    records: list[store.FileRecord] = []
    for file in sorted(listing.files, key=lambda file: (file.size, file.path)):
        before = sum(record.size for record in records)

        def here(size: int, name: str = file.name, before: int = before) -> None:
            progress(PullProgress(name, before + size, total))

        records.append(_download(listing, file, partial, here, cancel))
    return tuple(sorted(records, key=lambda record: record.path))


def _download(
    listing: hub.Listing, file: hub.HubFile, partial: Path, here: Callable[[int], None], cancel: CancelToken
) -> store.FileRecord:
    """One file, resumed and retried. A dropped connection costs a try only when nothing came since the last one."""
    target, part = partial / file.name, _part_of(partial, file)
    if target.is_file():
        target.replace(part)  # finished by an earlier pull: hashed again below, nothing is sent
    with part.open("ab+") as opened:
        arriving = _Arriving(opened, file)
        arriving.take_up(here, cancel)
        tries = limit("download.retries")
        while arriving.size < file.size:
            before = arriving.size
            try:
                with hub.mapped_errors(listing.repo):
                    _stream(listing, arriving, here, cancel)
            except hub.ConnectionDropped:
                tries = limit("download.retries") if arriving.size > before else tries - 1
                if tries < 0:
                    raise
                _pause(limit("download.retry_seconds"), cancel)
        opened.flush()
        os.fsync(opened.fileno())
    if not arriving.right:
        part.unlink()
        raise ModelDamaged(
            f"{file.name} came with another digest than the hub says it has ({file.sha256 or file.blob_id}).",
            next_step="It was thrown away; run the same command again.",
        )
    part.replace(target)
    return store.FileRecord(file.name, arriving.size, arriving.sha256)


def _stream(listing: hub.Listing, arriving: _Arriving, here: Callable[[int], None], cancel: CancelToken) -> None:
    before = arriving.size
    with hub.open_stream(listing, arriving.file, before) as (begin, chunks):
        if begin != before:
            arriving.restart()
        for chunk in chunks:
            cancel.check()
            arriving.append(chunk)
            here(min(arriving.size, arriving.file.size))
            if arriving.size > arriving.file.size:
                return
    if arriving.size < arriving.file.size and arriving.size <= before:
        raise hub.ConnectionDropped(
            f"The hub sent nothing of {arriving.file.name}.", next_step="Run the same command again."
        )


class _Arriving:
    """A file on its way in: the bytes on disk and their digests, always of the same length."""

    def __init__(self, opened: BinaryIO, file: hub.HubFile) -> None:
        self.file = file
        self._opened = opened
        self._start_digests()

    def _start_digests(self) -> None:
        self.size = 0
        self._sha256 = hashlib.sha256()
        # What git calls a blob; it names small files on the hub, and is no protection but against accidents.
        self._blob = hashlib.sha1(b"blob %d\0" % self.file.size, usedforsecurity=False)

    def take_up(self, here: Callable[[int], None], cancel: CancelToken) -> None:
        """Count and hash what an earlier pull left."""
        self._opened.seek(0)
        while block := self._opened.read(limit("download.chunk_bytes")):
            cancel.check()
            self._count(block)
            here(min(self.size, self.file.size))

    def append(self, chunk: bytes) -> None:
        """Write at the end."""
        self._opened.write(chunk)
        self._count(chunk)

    def restart(self) -> None:
        """Begin again with nothing."""
        self._opened.seek(0)
        self._opened.truncate()
        self._start_digests()

    def _count(self, block: bytes) -> None:
        self._sha256.update(block)
        self._blob.update(block)
        self.size += len(block)

    @property
    def sha256(self) -> str:
        """Of all bytes so far."""
        return self._sha256.hexdigest()

    @property
    def right(self) -> bool:
        """True when size and digest are what the hub says."""
        if self.size != self.file.size:
            return False
        if self.file.sha256 is not None:
            return self.sha256 == self.file.sha256
        return self.file.blob_id in (None, self._blob.hexdigest())


def _part_of(partial: Path, file: hub.HubFile) -> Path:
    return partial / f"{file.name}.{(file.sha256 or file.blob_id or 'unknown')[:12]}.part"


def _put_in_place(
    spec: ModelSpec,
    listing: hub.Listing,
    records: tuple[store.FileRecord, ...],
    partial: Path,
    folder: Path,
) -> None:
    wanted = {record.path for record in records}
    for file in partial.iterdir():
        if file.name not in wanted and file.name != _LOCK and file.is_file():
            file.unlink()  # parts of files that the repository has replaced since
    manifest = store.Manifest(
        name=spec.name,
        repo=listing.repo,
        revision=listing.commit,
        files=records,
        pulled_at=datetime.now(UTC).isoformat(timespec="seconds"),
        tool=f"leanvibe-lsp {__version__}",
    )
    store.write_manifest(partial, manifest)
    if folder.is_dir():
        shutil.rmtree(folder)  # it has no manifest, or the pull would have ended before
    partial.rename(folder)
    (folder / _LOCK).unlink(missing_ok=True)  # not before: who waits would lock another file, and begin again


def _check_space(partial: Path, listing: hub.Listing) -> None:
    have = sum(
        path.stat().st_size
        for file in listing.files
        for path in (_part_of(partial, file), partial / file.name)
        if path.is_file()
    )
    needed = max(sum(file.size for file in listing.files) - have, 0)
    spare = limit("download.free_bytes")
    free = shutil.disk_usage(partial).free
    if free < needed + spare:
        raise DownloadError(
            f"The download needs {megabytes(needed)} and leaves {megabytes(spare)} of disk free; {partial.parent} has "
            f"{megabytes(free)}.",
            next_step="Free some space, or set LEANVIBE_MODELS_DIR to a folder on another disk.",
        )


def megabytes(size: int) -> str:
    """A number of bytes for a person, in units of 1,000,000 bytes."""
    return f"{size / 1e6:,.1f} MB" if size < 100e6 else f"{size / 1e6:,.0f} MB"


@contextmanager
def _resumable(spec: ModelSpec) -> Iterator[None]:
    """However a pull is stopped by hand, it ends as Cancelled, and says how to go on."""
    try:
        yield
    except (KeyboardInterrupt, Cancelled) as error:
        raise Cancelled(
            f"Stopped; what came of {spec.name} so far is kept.",
            next_step=f"`leanvibe models pull {spec.name}` goes on from there.",
        ) from error


@contextmanager
def _only_one(partial: Path) -> Iterator[None]:
    """Hold the folder for this process: two writers would mix their bytes."""
    partial.mkdir(parents=True, exist_ok=True)
    try:
        import fcntl
    except ImportError:  # Windows: no lock; a file whose bytes were mixed has the wrong digest and is thrown away
        yield
        return
    with (partial / _LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DownloadError(
                "Another process is downloading this model.", next_step="Wait for it, or stop it."
            ) from error
        yield


@contextmanager
def _on_disk_errors(cache: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DownloadError(
                f"The disk of {cache} is full; what came so far is kept.",
                next_step="Free some space, or set LEANVIBE_MODELS_DIR, and run the same command again.",
            ) from error
        raise DownloadError(
            f"{cache} cannot be written: {error.strerror or error}.",
            next_step="Set LEANVIBE_MODELS_DIR to a folder of yours.",
        ) from error


def _pause(seconds: float, cancel: CancelToken) -> None:
    stopped = threading.Event()
    cancel.on_cancel(stopped.set)
    stopped.wait(seconds)
    cancel.check()
