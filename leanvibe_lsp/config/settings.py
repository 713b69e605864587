"""What a person chose, resolved and frozen. Replaced whole, never changed."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from ipaddress import ip_address
from urllib.parse import urlsplit

ENGINES = ("llama.cpp", "mlx", "mock", "remote")
MODEL_REVIEWS = ("off", "demand", "save")
LOG_LEVELS = ("debug", "info", "warning", "error")


@dataclass(frozen=True, slots=True)
class RemoteSettings:
    """An OpenAI-compatible server that may be asked; there is none unless a person switched one on.

    Only what quotes files that match `allow` and not `deny` (globs on the path, see `core.globs`) is sent.
    Without TLS it is sent to this machine only, unless `plain_http` says that the network between is trusted.
    Raises ValueError for what cannot be used: then nothing is sent anywhere.
    """

    url: str  # up to and with "/v1", which is added to an address without a path
    model: str | None = None  # None: the first the server names
    allow: tuple[str, ...] = ("**",)
    deny: tuple[str, ...] = ()
    plain_http: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "url", _server_url(self.url, plain_http=self.plain_http))
        for glob in (*self.allow, *self.deny):
            check_glob(glob)


@dataclass(frozen=True, slots=True)
class Override:
    """How findings are shown in files whose path matches one of the globs; pairs as in `EditorSettings.severity`."""

    files: tuple[str, ...]
    severity: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class EditorSettings:
    """What an editor shows. None of it changes which engine runs or what may be sent where.

    `severity`: pairs of a rule's id or a glob over ids, and error, warning, information, hint or off; the last that
    matches counts. `overrides` are for some files, and count before that, the last one first. `secrets`: globs of files
    beside the built-in ones that no model may see.
    """

    diagnostics: bool = True
    severity: tuple[tuple[str, str], ...] = ()
    inline_completion: bool = False
    code_lens: bool = False
    hover_summary: bool = True
    secrets: tuple[str, ...] = ()
    log_level: str | None = None  # None: as the process was started
    overrides: tuple[Override, ...] = ()
    classifier: bool = True
    model_review: str = "demand"  # when a model judges code: one of MODEL_REVIEWS


@dataclass(frozen=True, slots=True)
class Settings:
    """`engine` and `model` override the choice by hardware; None leaves it to `engine/select.py`."""

    engine: str | None = None
    model: str | None = None
    remote: RemoteSettings | None = None
    editor: EditorSettings = EditorSettings()

    @property
    def engine_part(self) -> Settings:
        """What decides which engine runs and what it may send: the rest as if nobody had said anything."""
        return replace(self, editor=EditorSettings())


def check_glob(glob: str) -> str:
    """The glob itself. Raises ValueError for one that would be understood in another way than it was meant."""
    if not glob.strip("/\\ ") or re.search(r"[{}]|^!", glob):
        raise ValueError(f"{glob!r} is no glob that is understood: write two instead of braces, and no '!'")
    if re.search(r"^~|[$%]\w|(?:^|[/\\])\.\.(?:[/\\]|$)", glob):
        raise ValueError(f"{glob!r} would match nothing: write the whole path instead of '~', a variable or '..'")
    return glob


def is_loopback(host: str) -> bool:
    """Whether a host's name or address can only be this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _server_url(url: str, *, plain_http: bool) -> str:
    """The address in one form. Raises ValueError; its text quotes nothing, for there may be a password in it."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or parts.scheme not in ("http", "https") or port == 0 or not url.isascii() or re.search(r"\s", url):
        raise ValueError("needs an address like https://host:8000/v1 as url")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("takes no password, query or fragment in its url; the key goes into LEANVIBE_REMOTE_KEY")
    if parts.scheme == "http" and not plain_http and not is_loopback(host):
        raise ValueError(
            f"would send code to {host} in the clear: use https://, an SSH tunnel to this machine, or plainHttp where "
            "the network between is trusted"
        )
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/') or '/v1'}"
