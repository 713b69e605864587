"""Asking the Hugging Face hub what a repository holds, and opening one of its files. Used by `pull` only.

huggingface_hub 2.x throws a partial download away when it is interrupted, so the bytes are streamed here, through its
own HTTP client; the metadata and the errors are its. A stored token is sent only after the hub refused to answer
without one.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.engine.models.registry import COMPANION_PATTERNS, SAFETENSORS_PATTERNS, HubRepo
from leanvibe_lsp.errors import DownloadError, ModelFormatError, ModelNotFound, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

NEVER = (".py", ".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".h5", ".sh")


@dataclass(frozen=True, slots=True)
class HubFile:
    """One file of a repository. `sha256` is known for large files (LFS), the git blob id for the others."""

    path: str
    size: int
    sha256: str | None
    blob_id: str | None

    @property
    def name(self) -> str:
        """What it is called in the cache: the last part of its path."""
        return PurePosixPath(self.path).name


@dataclass(frozen=True, slots=True)
class Listing:
    """The files that are needed, at one commit. `token` is what the hub wanted to see, or False."""

    repo: str
    commit: str
    files: tuple[HubFile, ...]
    token: str | bool = False


def list_files(source: HubRepo) -> Listing:
    """Find the commit behind the revision, and choose files. Raises ModelNotFound, DownloadError, UsageError."""
    _quiet()
    from huggingface_hub import HfApi, get_token
    from huggingface_hub.errors import HfHubHTTPError

    def ask(token: str | bool) -> Any:
        return HfApi(endpoint=_endpoint()).model_info(
            source.repo,
            revision=source.revision,
            files_metadata=True,
            timeout=limit("download.timeout_seconds"),
            token=token,
        )

    token: str | bool = False
    with mapped_errors(source.repo, source.revision):
        try:
            info = ask(token)
        except HfHubHTTPError as error:
            stored = get_token() if _status(error) in (401, 403) else None
            if stored is None:
                raise
            token = stored
            info = ask(token)
        else:
            # A gated repository lists its files to everybody, and refuses only their bytes.
            token = (get_token() or False) if info.gated else False
    offered = [
        HubFile(
            entry.rfilename,
            entry.lfs.size if entry.lfs else entry.size or 0,
            entry.lfs.sha256 if entry.lfs else None,
            entry.blob_id,
        )
        for entry in info.siblings or []
    ]
    return Listing(source.repo, str(info.sha), tuple(choose(source, offered)), token)


def choose(source: HubRepo, offered: list[HubFile]) -> list[HubFile]:
    """The files a model needs: those the source names, else safetensors with their companions, else the only GGUF."""
    safe = [file for file in offered if not file.path.lower().endswith(NEVER)]
    top = [file for file in safe if "/" not in file.path]
    if source.files:
        missing = sorted(set(source.files) - {file.path for file in safe})
        if missing:
            raise ModelNotFound(f"{source.repo} has no file {missing[0]}.", next_step=_ggufs(source, safe))
        return [file for file in safe if file.path in source.files]
    if _matching(top, SAFETENSORS_PATTERNS):
        return _matching(top, (*SAFETENSORS_PATTERNS, *COMPANION_PATTERNS))
    weights = [file for file in safe if file.path.endswith(".gguf")]
    if len(weights) == 1:
        return weights
    if weights:
        raise UsageError(f"{source.repo} holds {len(weights)} GGUF files.", next_step=_ggufs(source, safe))
    raise ModelFormatError(
        f"{source.repo} holds neither safetensors nor GGUF weights.",
        next_step="Weights in pickles (.bin, .pt) are never loaded; look for a converted copy of the model.",
    )


def _matching(files: list[HubFile], patterns: tuple[str, ...]) -> list[HubFile]:
    return [file for file in files if any(fnmatchcase(file.path, pattern) for pattern in patterns)]


def _ggufs(source: HubRepo, files: list[HubFile]) -> str:
    names = [file.path for file in files if file.path.endswith(".gguf")]
    if not names:
        return f"See https://huggingface.co/{source.repo}/tree/{source.revision}."
    return f"Name one, for example `leanvibe models pull {source.repo}:{names[0]}`. There are: {', '.join(names)}."


@contextmanager
def open_stream(listing: Listing, file: HubFile, offset: int) -> Iterator[tuple[int, Iterator[bytes]]]:
    """The bytes of `file`, as (where they begin, chunks): a server may ignore `offset` and begin at 0."""
    _quiet()
    from huggingface_hub import get_session, hf_hub_url
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status  # type: ignore[attr-defined]

    url = hf_hub_url(listing.repo, file.path, revision=listing.commit, endpoint=_endpoint())
    headers = build_hf_headers(token=listing.token, library_name="leanvibe-lsp")
    headers["Accept-Encoding"] = "identity"  # sizes and ranges are those of the file itself
    if offset:
        headers["Range"] = f"bytes={offset}-"
    seconds = limit("download.timeout_seconds")
    with get_session().stream("GET", url, headers=headers, timeout=seconds, follow_redirects=True) as response:
        hf_raise_for_status(response)
        begin = offset if response.status_code == 206 else 0
        if begin and not response.headers.get("Content-Range", "").startswith(f"bytes {begin}-"):
            raise DownloadError(f"The server sent another part of {file.path} than was asked for.")
        yield begin, response.iter_bytes(limit("download.chunk_bytes"))


@contextmanager
def mapped_errors(repo: str, revision: str = "") -> Iterator[None]:
    """Turn what huggingface_hub and its HTTP client raise into our errors, each with a next step."""
    from huggingface_hub import errors as hub_errors

    at = f"{repo}@{revision}" if revision and revision != "main" else repo
    try:
        yield
    except hub_errors.GatedRepoError as error:
        raise DownloadError(
            f"{repo} is gated: its owner wants you to agree to terms first.",
            next_step=f"Agree at https://huggingface.co/{repo}, set HF_TOKEN (or run `hf auth login`), pull again.",
        ) from error
    except (
        hub_errors.RepositoryNotFoundError,
        hub_errors.RevisionNotFoundError,
        hub_errors.EntryNotFoundError,
    ) as error:
        raise ModelNotFound(
            f"The hub has no {at}, or it is private.",
            next_step="Check the spelling; for a private one set HF_TOKEN (or run `hf auth login`).",
        ) from error
    except hub_errors.HFValidationError as error:
        raise UsageError(f"{at} is not a name the hub can have.", next_step="It looks like org/repo.") from error
    except hub_errors.OfflineModeIsEnabled as error:
        raise DownloadError(
            "HF_HUB_OFFLINE is set: nothing may be downloaded.", next_step="Unset it and pull again."
        ) from error
    except hub_errors.HfHubHTTPError as error:
        raise DownloadError(
            f"The hub answered {_status(error)} for {at}.", next_step="Wait a little and run the same command again."
        ) from error
    except _transport_errors() as error:
        raise ConnectionDropped(
            f"The connection to {_endpoint() or 'https://huggingface.co'} failed: {error or type(error).__name__}.",
            next_step="Check the network (or HTTPS_PROXY) and run the same command again; it goes on where it stopped.",
        ) from error


class ConnectionDropped(DownloadError):
    """The network failed; the same request may well succeed a moment later."""


def _transport_errors() -> tuple[type[Exception], ...]:
    # huggingface_hub 1.x stands on httpx, 2.x on httpx2; both hand their base class through its errors module.
    from huggingface_hub import errors as hub_errors

    base: type[Exception] = vars(hub_errors)["HTTPError"]
    return (base, ConnectionError, TimeoutError)


def _status(error: Any) -> int:
    return int(error.response.status_code)


def _endpoint() -> str | None:
    # Read here and not by the library, which looks only once, when it is imported.
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or None


def _quiet() -> None:
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
