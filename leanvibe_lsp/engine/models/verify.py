"""Proving the files of a model without running it: digests, whole shards, and tensors that fit the configuration.

What is wrong comes back as lines, not as an error: a person wants to see all of it. Nothing is loaded, nothing
executed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.cancel import CancelToken
from leanvibe_lsp.engine.models import cache as store
from leanvibe_lsp.engine.models.census import Census, take_census, zero_matrices
from leanvibe_lsp.engine.models.digest import expected_digest, recorded_digests, sha256_of
from leanvibe_lsp.engine.models.formats import Format
from leanvibe_lsp.engine.models.gguf import read_gguf
from leanvibe_lsp.engine.models.kin import likeness
from leanvibe_lsp.engine.models.safetensors_header import read_folder, read_header
from leanvibe_lsp.engine.models.shapes_gguf import check_gguf
from leanvibe_lsp.engine.models.shapes_safetensors import check_safetensors
from leanvibe_lsp.engine.models.tensor import Problem, TensorInfo
from leanvibe_lsp.errors import ModelFormatError

if TYPE_CHECKING:
    from pathlib import Path

    from leanvibe_lsp.engine.models.registry import Located


@dataclass(frozen=True, slots=True)
class VerifyProgress:
    """Bytes hashed (`done` of `total`), and the file being hashed."""

    file: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class FileDigest:
    """A file's sha256 as it is now; `expected` is None when nobody recorded one."""

    file: str
    sha256: str
    expected: str | None


@dataclass(frozen=True, slots=True)
class FileReport:
    """What the files are worth. `skipped` names what could not be checked, for example an unknown architecture.

    `suspects` are weights unlike those of the other layers, or of the model they resemble: a reason to doubt, and no
    proof.
    """

    digests: tuple[FileDigest, ...]
    problems: tuple[Problem, ...]
    skipped: tuple[str, ...] = ()
    suspects: tuple[Problem, ...] = ()

    @property
    def ok(self) -> bool:
        """True when nothing is wrong."""
        return not self.problems


def verify_files(located: Located, *, progress: Callable[[VerifyProgress], None], cancel: CancelToken) -> FileReport:
    """Check all that needs no computing. Raises Cancelled; an unreadable file is a problem, no error."""
    problems, skipped, suspects = _check_tensors(located, cancel)
    expected = _expected_digests(located)
    problems += [
        Problem(name, "the name of a file in the model's folder", "a path")
        for name in sorted(expected)
        if not store.is_plain_name(name)
    ]
    expected = {name: digest for name, digest in expected.items() if store.is_plain_name(name)}
    folder = located.path if located.path.is_dir() else located.path.parent
    present = [folder / name for name in sorted(expected) if (folder / name).is_file()]
    problems += [
        Problem(name, "the file that was downloaded", "no such file")
        for name in sorted(expected)
        if not (folder / name).is_file()
    ]
    digests, unreadable = _hash(present, expected, progress, cancel)
    problems += unreadable
    problems += [
        Problem(digest.file, f"sha256 {digest.expected}", digest.sha256)
        for digest in digests
        if digest.expected not in (None, digest.sha256)
    ]
    census = census_of(located, cancel)
    return FileReport(
        digests=tuple(digests),
        problems=(*problems, *census.problems),
        skipped=(*skipped, *census.skipped),
        suspects=(*suspects, *census.suspects),
    )


def _hash(
    files: Sequence[Path],
    expected: Mapping[str, str | None],
    progress: Callable[[VerifyProgress], None],
    cancel: CancelToken,
) -> tuple[list[FileDigest], list[Problem]]:
    """The files' digests, and those that cannot be read."""
    sizes = {file: file.stat().st_size for file in files}
    total, done = sum(sizes.values()), 0
    digests, unreadable = [], []
    for file, size in sizes.items():

        def here(count: int, name: str = file.name, before: int = done) -> None:
            progress(VerifyProgress(name, before + count, total))

        try:
            found = sha256_of(file, progress=here, cancel=cancel)
        except OSError as error:
            unreadable.append(Problem(file.name, "a file that can be read", error.strerror or str(error)))
        else:
            digests.append(FileDigest(file.name, found, expected[file.name]))
        done += size
    return digests, unreadable


def census_of(located: Located, cancel: CancelToken) -> Census:
    """The weights counted; nothing for files that cannot be read, which is a problem of another kind.

    Raises Cancelled.
    """
    try:
        return take_census(_weights(located), cancel)
    except (OSError, ModelFormatError):
        return Census()


def doubt_about(located: Located, cancel: CancelToken) -> str:
    """Why weights that give the known answers are not what they should be; "" when nothing speaks against them.

    Looks at what can be seen in a moment, and at nothing where the file's digest was checked. Raises Cancelled.
    """
    if located.digest is not None:
        return ""
    try:
        zeros = zero_matrices(_weights(located), cancel)
        like = likeness(located.path, read_gguf(located.path), cancel) if located.format is Format.GGUF else None
    except (OSError, ModelFormatError):  # cut or changed since it was loaded: whoever loads it again says so
        return ""
    if like is not None and len(like.other) <= limit("census.patched"):
        zeros += like.suspects
    return str(zeros[0]) if zeros else ""


def _weights(located: Located) -> list[tuple[Path, Mapping[str, TensorInfo]]]:
    """The files with weights, and their tensors. Raises OSError, ModelFormatError."""
    if located.format is Format.GGUF:
        return [(located.path, read_gguf(located.path).tensors)]
    return [(shard, read_header(shard)) for shard in sorted(located.path.glob("model*.safetensors"))]


def likely_fault(located: Located | None) -> str:
    """The tensor that looks least like weights, for a model that does not work; "" when none stands out."""
    if located is None:
        return ""
    census = census_of(located, CancelToken())
    return next((str(problem) for problem in (*census.problems, *census.suspects)), "")


def _check_tensors(located: Located, cancel: CancelToken) -> tuple[list[Problem], list[str], list[Problem]]:
    """Problems, what was not checked, and suspects."""
    try:
        if located.format is Format.GGUF:
            file = read_gguf(located.path)
            problems, skipped = check_gguf(file)
            like = likeness(located.path, file, cancel)
            if like is None:
                return problems, skipped, []
            return [*problems, *like.problems], skipped, list(like.suspects)
        tensors, problems = read_folder(located.path)
        more, skipped = check_safetensors(located.path / "config.json", tensors)
    except ModelFormatError as error:
        return [Problem(located.path.name, "a readable model", error.message.rstrip("."))], [], []
    return problems + more, skipped, []


def _expected_digests(located: Located) -> dict[str, str | None]:
    """File name -> recorded digest: of the manifest for a download, else of the registry; None for one's own."""
    recorded = recorded_digests(located)
    if recorded is not None:
        return {**recorded}
    if located.format is Format.GGUF:
        return {located.path.name: expected_digest(located)}
    return {file.name: None for file in sorted(located.path.glob("model*.safetensors"))}
