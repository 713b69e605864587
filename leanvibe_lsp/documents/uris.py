"""File URIs and paths, both ways, without touching the disk.

`file:///c%3A/x` and `file:///C:/x` are the same Windows file, `file://server/share/x` is a UNC path, and a URI of any
other scheme (`untitled:`, `vscode-notebook-cell:`) has no path. Bytes that are not UTF-8 in a POSIX name survive the
round trip as Python's surrogate escapes.
"""

from __future__ import annotations

import posixpath
import re
import sys
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from urllib.parse import quote, unquote

_NOTEBOOK_SCHEMES = frozenset({"vscode-notebook-cell", "vscode-interactive-input", "jupyter-cell"})
_HALF = re.compile("[\ud800-\udc7f\udd00-\udfff]")  # the others are surrogate escapes
_DRIVE = re.compile(r"/[A-Za-z]:(?=/|$)")


def to_path(uri: str) -> Path | None:
    """The file that a URI names, or None when it names no file of this machine's kind."""
    pure = to_pure_path(uri, windows=sys.platform == "win32")
    return None if pure is None else Path(pure)


def from_path(path: Path) -> str:
    """The file URI of a path; a relative path is taken from the working directory."""
    return from_pure_path(path.absolute())


def is_notebook_cell(uri: str) -> bool:
    """True for a document that is a cell of a notebook: it is no program without the cells before it."""
    return uri.partition(":")[0].lower() in _NOTEBOOK_SCHEMES


def to_pure_path(uri: str, *, windows: bool) -> PurePath | None:
    """`to_path` for the rules of a named platform.

    None for another scheme, a NUL, half a character (no file's name has one), or a remote POSIX host.
    """
    # Not by urlsplit: it remembers what it was asked, and each of those strings keeps a whole arena of the allocator.
    scheme, _, tail = uri.partition(":")
    if scheme.lower() != "file":
        return None
    # A "?" or "#" can only be an unescaped part of the name in a file URI.
    host, name = _host_and_name(tail)
    name = unquote(name, errors="surrogateescape")
    if ".." in name.split("/"):  # a URI means what is left without them, whatever links the disk has
        anchor = name[:3] if windows and _DRIVE.match(name) else ""
        name = anchor + posixpath.normpath(name[len(anchor) :])
    host = unquote(host)
    if "\0" in name or not name or set(host) & set("[]"):  # brackets of an IPv6 host: no server of files
        return None
    if _HALF.search(host + name) is not None:
        return None
    if windows:
        if host and host.lower() != "localhost":
            return PureWindowsPath(f"//{host}{name}")
        return PureWindowsPath(name[1:] if _DRIVE.match(name) else name)
    if host and host.lower() != "localhost":
        return None
    return PurePosixPath(name)


def from_pure_path(path: PurePath) -> str:
    """The file URI of an absolute path of either platform. Raises ValueError for a relative one."""
    if not path.is_absolute():
        raise ValueError(f"{path} is relative")
    text = path.as_posix()
    if isinstance(path, PureWindowsPath):
        if text.startswith("//"):  # UNC: the server is the host
            return "file:" + quote(text)
        return "file:///" + quote(text, safe="/:")
    # A POSIX path may begin with exactly two slashes; behind an empty host that stays a path.
    return "file://" + quote(text.encode("utf-8", "surrogateescape"))


def _host_and_name(tail: str) -> tuple[str, str]:
    if not tail.startswith("//"):
        return "", tail
    host, slash, name = tail[2:].partition("/")
    return host, slash + name
