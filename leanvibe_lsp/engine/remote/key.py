"""The key that a server wants to see: where it comes from, and that nobody else sees it."""

from __future__ import annotations

import importlib
import json
import logging
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from leanvibe_lsp.errors import UsageError

log = logging.getLogger(__name__)

VARIABLE = "LEANVIBE_REMOTE_KEY"
_HIDDEN = "[key]"


class Key:
    """A secret, or none (""). Its text leaves this object in `headers` only."""

    __slots__ = ("_forms", "_value")

    def __init__(self, value: str) -> None:
        self._value = value
        # As it is, as JSON writes it, as an address writes it: what a server may echo.
        self._forms = {value, json.dumps(value)[1:-1], quote(value), quote(value, safe="")} if value else set()

    def __repr__(self) -> str:
        return "Key(set)" if self._value else "Key(none)"

    @property
    def headers(self) -> dict[str, str]:
        """What shows it to the server."""
        return {"Authorization": f"Bearer {self._value}"} if self._value else {}

    def redact(self, text: str) -> str:
        """`text` without the key in it."""
        for form in sorted(self._forms, key=len, reverse=True):
            text = text.replace(form, _HIDDEN)
        return text

    def filter(self, record: logging.LogRecord) -> bool:
        """A logging filter: the HTTP library's own records, which may quote a server that echoes the key."""
        said = record.getMessage()
        if (clean := self.redact(said)) != said:
            record.msg, record.args = clean, None
        return True


def origin_of(url: str) -> str:
    """scheme://host:port, without a path or a person's name."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


def find_key(url: str, environment: Mapping[str, str]) -> Key:
    """LEANVIBE_REMOTE_KEY, or what the keyring has under "leanvibe" for this server; no key where neither knows one.

    The variable's key is for the server of LEANVIBE_REMOTE_URL alone, and for none without that: settings that come
    with a project must not send it elsewhere. Raises UsageError for what no header can carry.
    """
    origin = origin_of(url)
    meant = environment.get("LEANVIBE_REMOTE_URL")
    value = environment.get(VARIABLE, "").strip()
    if not meant or origin_of(meant) != origin:
        value = ""
    value = value or _from_keyring(origin)
    if not all("!" <= character <= "~" for character in value):
        raise UsageError(
            f"The key for {origin} holds a character that no HTTP header can carry.", next_step=f"Look at {VARIABLE}."
        )
    return Key(value)


def _from_keyring(origin: str) -> str:
    try:
        keyring = importlib.import_module("keyring")
    except ImportError:
        return ""
    try:
        return str(keyring.get_password("leanvibe", origin) or "").strip()
    except Exception as error:  # noqa: BLE001 - each system's keyring raises its own
        log.warning("the keyring could not be read: %s", type(error).__name__)
        return ""
