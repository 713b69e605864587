"""Paths as people and editors write them, and the globs that fit them. Pure.

A glob without a slash is looked for at any depth; a relative one too; one that begins with a slash or a drive is
absolute. `*` and `?` stay inside a name, `**` crosses folders, and a glob that fits a folder fits all below it. Case
does not matter.
"""

from __future__ import annotations

import posixpath
import re
import unicodedata
from fnmatch import fnmatchcase
from urllib.parse import unquote

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")  # one letter is a drive


def paths_of(uri: str) -> tuple[str, ...]:
    """What a URI of any scheme may mean as a path, most likely first; at least one, with forward slashes."""
    scheme = _SCHEME.match(uri)
    is_file = scheme is None or scheme[0].lower() == "file:"
    whole = uri[scheme.end() :] if scheme else uri
    bare = re.split(r"[?#]", whole, maxsplit=1)[0]
    # "?" and "#" are part of a file's name when an editor forgot to escape them; elsewhere they end the path.
    meant, other = (whole, bare) if is_file else (bare, whole)
    # An authority is the server of a UNC path, and elsewhere no part of a path.
    kept = _path(meant, authority=True)
    first = kept if is_file else _path(meant, authority=False)
    return tuple(dict.fromkeys((first, kept, _path(other, authority=True), _path(other, authority=False))))


def covers(glob: str, path: str) -> bool:
    """Whether `glob` fits `path`, or a folder that holds it."""
    pattern, parts = names_of(glob), names_of(path)
    if not _is_absolute(glob):
        pattern = ["**", *pattern]
    places = {0}
    for piece in pattern:
        if piece == "**":
            places = set(range(min(places), len(parts) + 1))
        else:
            places = {at + 1 for at in places if at < len(parts) and fnmatchcase(parts[at], piece)}
        if not places:
            return False
    return True


def below(folder: str, glob: str) -> str:
    """The glob that fits in `folder` what `glob` fits anywhere; an absolute one as it is."""
    plain = re.sub(r"([*?[])", r"[\1]", folder).rstrip("/")
    return glob if _is_absolute(glob) else f"{plain}/**/{glob}"


def names_of(path: str) -> list[str]:
    """The names in a path, in one form of letters; "a/./b/../c" is "a/c"."""
    plain = posixpath.normpath(unicodedata.normalize("NFC", path.replace("\\", "/")).casefold())
    return [part for part in plain.split("/") if part not in ("", ".")]


def _path(text: str, *, authority: bool) -> str:
    path = unquote(text, errors="surrogateescape").replace("\\", "/")
    path = re.sub(r"^//(localhost)?(?=/)", "", path, flags=re.IGNORECASE)
    if path.startswith("//") and not authority:
        path = "/" + path[2:].partition("/")[2]
    return re.sub(r"^/(?=[A-Za-z]:(/|$))", "", path)


def _is_absolute(glob: str) -> bool:
    return re.match(r"[/\\]|[A-Za-z]:([/\\]|$)", glob) is not None
