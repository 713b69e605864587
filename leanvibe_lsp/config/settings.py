"""What a person chose, resolved and frozen. Replaced whole, never changed."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from leanvibe_lsp.errors import UsageError

ENGINES = ("llama.cpp", "mlx", "mock", "remote")

_SETTINGS = ("engine", "model", "remote")
_REMOTE_FIELDS = ("url", "model", "allow", "deny", "plainHttp")


@dataclass(frozen=True, slots=True)
class RemoteSettings:
    """An OpenAI-compatible server that may be asked; there is none unless a person switched one on.

    Only what quotes files that match `allow` and not `deny` (globs on the path, see `engine/remote/policy.py`) is sent.
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
            if not glob.strip("/\\ ") or re.search(r"[{}]|^!", glob):
                raise ValueError(f"{glob!r} is no glob that is understood: write two instead of braces, and no '!'")


@dataclass(frozen=True, slots=True)
class EditorSettings:
    """What an editor shows. None of it changes which engine runs or what may be sent where.

    `severity`: pairs of a rule's id or a glob over ids, and error, warning, information, hint or off; the last that
    matches counts. `secrets`: globs of files beside the built-in ones that no model may see.
    """

    diagnostics: bool = True
    severity: tuple[tuple[str, str], ...] = ()
    inline_completion: bool = False
    code_lens: bool = False
    hover_summary: bool = True
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Settings:
    """`engine` and `model` override the choice by hardware; None leaves it to `engine/select.py`."""

    engine: str | None = None
    model: str | None = None
    remote: RemoteSettings | None = None
    editor: EditorSettings = EditorSettings()


@dataclass(frozen=True, slots=True)
class Problem:
    """A field that was given and not used, and why."""

    field: str
    message: str


def with_options(settings: Settings, options: object) -> tuple[Settings, tuple[Problem, ...]]:
    """Lay the fields of `options` (from a client or the environment) over `settings`; a bad field costs itself.

    `remote` is one field, an object or null. With any problem, there or elsewhere, no server is asked, be it of the
    earlier settings: what may leave this machine must be all that a person said about it.
    """
    if options is None:
        return settings, ()
    if not isinstance(options, Mapping):
        problem = Problem("", f"options must be an object, not {type(options).__name__}")
        return _without_server(settings, [problem])
    problems: list[Problem] = []
    for name, value in options.items():
        try:
            changes: dict[str, Any] = {name: _checked(name, value)}
            settings = replace(settings, **changes)
        except ValueError as error:
            problems.append(Problem(str(name), str(error)))
    return _without_server(settings, problems) if problems else (settings, ())


def _without_server(settings: Settings, problems: list[Problem]) -> tuple[Settings, tuple[Problem, ...]]:
    if settings.remote is not None:
        problems.append(Problem("remote", "no server is asked, because not all of these options were understood"))
    return replace(settings, remote=None), tuple(problems)


def chosen(model: str | None, engine: str | None, environment: Mapping[str, str] = os.environ) -> Settings:
    """What a person chose by option, or else by LEANVIBE_MODEL and LEANVIBE_ENGINE (empty means not set).

    LEANVIBE_REMOTE_URL switches a server on; _MODEL, _ALLOW and _DENY (globs, with commas between) and _PLAIN_HTTP (1)
    say more about it. An override is met or it is an error: raises UsageError for one that cannot be.
    """
    settings = Settings()
    remote = _remote_options(environment)
    for name, given in (("model", model), ("engine", engine), ("remote", None)):
        variable = "LEANVIBE_REMOTE_*" if name == "remote" else f"LEANVIBE_{name.upper()}"
        fallback = remote if name == "remote" else environment.get(variable) or None
        source, value = (f"--{name}", given) if given is not None else (variable, fallback)
        try:
            changes: dict[str, Any] = {name: _checked(name, value)}
        except ValueError as error:
            raise UsageError(f"{source} {error}.", next_step="See `leanvibe doctor`.") from error
        settings = replace(settings, **changes)
    return settings


def is_loopback(host: str) -> bool:
    """Whether a host's name or address can only be this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _remote_options(environment: Mapping[str, str]) -> dict[str, Any] | None:
    """What the environment says about a server, as a client would say it; None without an address: it is off."""
    if not environment.get("LEANVIBE_REMOTE_URL"):
        return None
    options: dict[str, Any] = {}
    for name in ("url", "model", "allow", "deny"):
        if given := environment.get(f"LEANVIBE_REMOTE_{name.upper()}"):
            options[name] = [glob.strip() for glob in given.split(",")] if name in ("allow", "deny") else given
    if plain := environment.get("LEANVIBE_REMOTE_PLAIN_HTTP"):
        options["plainHttp"] = {"1": True, "0": False}.get(plain, plain)
    return options


def _checked(name: object, value: object) -> object:
    """The value as a field of Settings. Raises ValueError with what is wrong, as the rest of a sentence."""
    if name not in _SETTINGS:
        raise ValueError(f"there is no such setting; there are: {', '.join(_SETTINGS)}")
    if name == "remote":
        return None if value is None else _checked_remote(value)
    if value is not None and (not isinstance(value, str) or not value):
        raise ValueError(f"must be a non-empty string or null, not {value!r}")
    if name == "engine" and value is not None and value not in ENGINES:
        raise ValueError(f"must be one of {', '.join(ENGINES)}, not {value!r}")
    return value


def _checked_remote(value: object) -> RemoteSettings:
    if not isinstance(value, Mapping):
        raise ValueError(f"must be an object or null, not {value!r}")
    unknown = sorted(str(name) for name in value if name not in _REMOTE_FIELDS)
    if unknown:
        raise ValueError(f"has no {unknown[0]!r}; there are: {', '.join(_REMOTE_FIELDS)}")

    def part(name: str, wanted: str, fits: Callable[[Any], bool], default: Any) -> Any:
        given = value.get(name, default)
        if not fits(given):
            raise ValueError(f"needs {wanted} as {name}, not {given!r}")
        return given

    def is_text(given: object) -> bool:
        return isinstance(given, str) and given != ""

    def is_list(given: object) -> bool:
        return isinstance(given, Sequence) and not isinstance(given, str) and all(map(is_text, given))

    return RemoteSettings(
        url=part("url", "an address", is_text, None),
        model=part("model", "a name or null", lambda given: given is None or is_text(given), None),
        allow=tuple(part("allow", "a list of globs", is_list, ("**",))),
        deny=tuple(part("deny", "a list of globs", is_list, ())),
        plain_http=part("plainHttp", "true or false", lambda given: isinstance(given, bool), False),
    )


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
