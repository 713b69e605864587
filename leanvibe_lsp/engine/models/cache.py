"""Where downloaded models live, and the manifest that makes a folder a model.

    <cache>/<folder>/manifest.json, config.json, ...     a finished download
    <cache>/<folder>.partial/                            an unfinished one, kept for the next `pull`

The manifest is written last and the folder is renamed into place as a whole: a folder without a readable manifest is
not a model.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from leanvibe_lsp.errors import LeanVibeError, UsageError

MANIFEST = "manifest.json"
PARTIAL = ".partial"


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One downloaded file: its path inside the folder, bytes, and the sha256 it had when it came."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a finished download or conversion is. `revision` is the commit; `pulled_at` is UTC in ISO 8601.

    `perplexity` is what a conversion measured of its result.
    """

    name: str
    repo: str
    revision: str
    files: tuple[FileRecord, ...]
    pulled_at: str
    tool: str
    perplexity: float | None = None

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(file.size for file in self.files)


def is_plain_name(name: str) -> bool:
    """True for the name of a file right in a folder, on every platform: a manifest must not lead out of its own."""
    return name not in ("", "..") and name == PurePosixPath(name).name == PureWindowsPath(name).name


def models_dir() -> Path:
    """The cache: LEANVIBE_MODELS_DIR, or the platform's cache folder. It need not exist."""
    override = os.environ.get("LEANVIBE_MODELS_DIR")
    if override:
        return Path(override).expanduser().absolute()
    from platformdirs import user_cache_path

    return user_cache_path("leanvibe", appauthor=False) / "models"


def folder_of(cache: Path, name: str) -> Path:
    """The folder of the model called `name`; always directly inside `cache`, whatever the name holds."""
    slug = re.sub(r"[^A-Za-z0-9._@+-]", "--", name).lstrip(".-")
    if not slug or slug.endswith(PARTIAL):
        raise UsageError(f"{name!r} cannot be the name of a model.", next_step="See `leanvibe models list`.")
    return cache / slug


def partial_of(folder: Path) -> Path:
    """Where an unfinished download of `folder` is kept."""
    return folder.with_name(folder.name + PARTIAL)


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a finished download; None when there is none, or it is not ours."""
    try:
        content = json.loads((folder / MANIFEST).read_bytes())
        files = tuple(
            FileRecord(str(file["path"]), int(file["size"]), str(file["sha256"])) for file in content["files"]
        )
        perplexity = None if content.get("perplexity") is None else float(content["perplexity"])
        if perplexity is not None and not 0 < perplexity < float("inf"):
            raise ValueError("perplexity")
        return Manifest(
            name=str(content["name"]),
            repo=str(content["repo"]),
            revision=str(content["revision"]),
            files=files,
            pulled_at=str(content["pulled_at"]),
            tool=str(content["tool"]),
            perplexity=perplexity,
        )
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write it so that it is there whole or not at all."""
    temporary = folder / (MANIFEST + ".new")
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(asdict(manifest), file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(folder / MANIFEST)


def manifests(cache: Path) -> list[Manifest]:
    """All finished downloads, by name."""
    if not cache.is_dir():
        return []
    found = [read_manifest(folder) for folder in sorted(cache.iterdir()) if not folder.name.endswith(PARTIAL)]
    return [manifest for manifest in found if manifest is not None]


def remove(cache: Path, name: str) -> int:
    """Delete a download, finished or not, and return the bytes freed. Nothing outside `cache` is ever touched."""
    folder = folder_of(cache, name)
    freed = 0
    for target in (folder, partial_of(folder)):
        if target.is_symlink():
            raise UsageError(f"{target} is a link to somewhere else.", next_step="Remove it by hand.")
        if target.is_dir():
            freed += folder_size(target)
            try:
                shutil.rmtree(target)
            except OSError as error:
                raise LeanVibeError(f"{target} could not be removed: {error.strerror or error}.") from error
    return freed


def folder_size(folder: Path) -> int:
    """Bytes in all files below `folder`; links are not followed."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
