"""Which files may be quoted to a server. Pure.

A glob without a slash is looked for at any depth; a relative one too; one that begins with a slash or a drive is
absolute. `*` and `?` stay inside a name, `**` crosses folders, and a glob that fits a folder fits all below it. Case
does not matter. Names of secrets are refused whatever was allowed.
"""

from __future__ import annotations

import posixpath
import re
import unicodedata
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from urllib.parse import unquote

_NAMES = (
    *(".env*", "*.env", ".netrc", "_netrc", ".npmrc", ".yarnrc.yml", ".pypirc", ".pgpass", ".my.cnf", ".htpasswd"),
    *(
        ".git-credentials",
        ".vault-token",
        ".boto",
        ".s3cfg",
        ".dockercfg",
        ".terraformrc",
        "terraform.rc",
        ".*_history",
    ),
    *("id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", "*.pem", "*.key", "*.p8", "*.p12", "*.pfx", "*.ppk", "*.jks"),
    *("*.keystore", "*.kdbx", "*.kdb", "*.gpg", "*.asc", "*.age", "*.ovpn", "*.tfstate", "*.tfvars", "wallet.dat"),
    *("credentials", "credentials.json", "credentials.toml", "credentials.ini", "credentials.y*ml", "credentials.csv"),
    *("secrets", "secrets.json", "secrets.toml", "secrets.ini", "secrets.y*ml", "service-account*.json"),
    *("shadow", "shadow-", "gshadow", "sudoers", "kubeconfig"),
)
_FOLDERS = (".ssh", ".gnupg", ".aws", ".azure", ".gcloud", ".kube", ".docker", ".password-store")
# What editors and people put behind or around a name when they copy a file; ".", " " and "::$DATA" open the same one
# on Windows.
_COPY = re.compile(r"(~|[. ]+|::\$data|\.(bak|old|orig|save|sw[a-p]|tmp|\d+))+$")
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


def _path(text: str, *, authority: bool) -> str:
    path = unquote(text, errors="surrogateescape").replace("\\", "/")
    path = re.sub(r"^//(localhost)?(?=/)", "", path, flags=re.IGNORECASE)
    if path.startswith("//") and not authority:
        path = "/" + path[2:].partition("/")[2]
    return re.sub(r"^/(?=[A-Za-z]:(/|$))", "", path)


def covers(glob: str, path: str) -> bool:
    """Whether `glob` fits `path`, or a folder that holds it."""
    pattern, parts = _parts(glob), _parts(path)
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


def refusal(paths: Iterable[str], allow: Sequence[str], deny: Sequence[str]) -> str | None:
    """The rule that keeps a file here, or None. `paths` are all that it is called: each must pass."""
    for path in paths:
        rule = _secret(path) or next((f"it matches {glob!r} in deny" for glob in deny if covers(glob, path)), None)
        if rule is None and not any(covers(glob, path) for glob in allow):
            rule = "nothing in allow matches it"
        if rule is not None:
            return rule
    return None


def _secret(path: str) -> str | None:
    parts = _parts(path)
    name = parts[-1] if parts else ""
    plain = _COPY.sub("", name).strip("#")
    for glob in _NAMES:
        if fnmatchcase(name, glob) or fnmatchcase(plain, glob) or fnmatchcase(plain.removeprefix(".#"), glob):
            return f"files like {glob!r} hold secrets"
    found = next((folder for folder in parts if folder.rstrip(". ") in _FOLDERS), None)
    return f"the folder {found!r} holds secrets" if found is not None else None


def _parts(path: str) -> list[str]:
    """The names in a path, in one form of letters; "a/./b/../c" is "a/c"."""
    plain = posixpath.normpath(unicodedata.normalize("NFC", path.replace("\\", "/")).casefold())
    return [part for part in plain.split("/") if part not in ("", ".")]


def _is_absolute(glob: str) -> bool:
    return re.match(r"[/\\]|[A-Za-z]:([/\\]|$)", glob) is not None
