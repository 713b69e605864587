"""Which files hold secrets, by name: one table for what goes into a prompt and what leaves the machine."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase, translate

from leanvibe_lsp.core.globs import covers, names_of

# fmt: off
_NAMES = (
    ".env*", "*.env", ".dev.vars", "local.settings.json",
    ".netrc", "_netrc", ".npmrc", ".yarnrc.yml", ".pypirc", ".pgpass", ".my.cnf", ".htpasswd",
    ".git-credentials", ".vault-token", ".vault_pass*", ".boto", ".s3cfg", ".dockercfg", ".dockerconfigjson",
    ".terraformrc", "terraform.rc", "rclone.conf", ".*_history",
    "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*",
    "*.pem", "*.key", "*.p8", "*.p12", "*.pfx", "*.ppk", "*.jks", "*.keystore", "*.keytab", "*.kdbx", "*.kdb",
    "*.gpg", "*.asc", "*.age", "*.ovpn", "*.tfstate", "*.tfstate.*", "*.tfvars", "*.tfvars.json", "wallet.dat",
    "credentials", "credentials.json", "credentials.toml", "credentials.ini", "credentials.y*ml", "credentials.csv",
    "application_default_credentials.json", "client_secret*.json", "service-account*.json", "service_account*.json",
    "secrets", "secrets.json", "secrets.toml", "secrets.ini", "secrets.y*ml",
    "secret", "secret.json", "secret.toml", "secret.ini", "secret.y*ml", "secrets.*.y*ml", "secrets.*.json",
    "*[-_.]secret.y*ml", "*[-_.]secrets.y*ml", "*[-_.]secret.json", "*[-_.]secrets.json", "secrets.txt", "secret.txt",
    "password.txt", "passwords.txt", "credentials.txt", "token.txt", "tokens.txt", "serviceaccount*.json",
    "firebase-adminsdk*.json", "auth.json", "pgpass.conf", ".xauthority", "*.pkcs12", "*.pkcs8", "*.pvk",
    "*.env.example", "*.env.local", "*.env.sample", "*.env.template", "*.env.prod*", "*.env.dev*", "*.env.test",
    "settings-security.xml", "cookies.txt", "credentials.y*ml.enc", "credentials.tfrc.json",
    "shadow", "shadow-", "gshadow", "sudoers", "kubeconfig", "*.kubeconfig",
)
_FOLDERS = (".ssh", ".gnupg", ".aws", ".azure", ".gcloud", ".kube", ".docker", ".password-store")
_PLACES = (".git/config", ".m2/settings.xml", "gh/hosts.yml", ".gradle/gradle.properties")
# Below a folder of this name all that is no program.
_KEPT_APART = ("secret", "secrets", ".secrets")
_DATA = (".txt", ".json", ".yml", ".yaml", ".toml", ".ini", ".conf", ".cfg", ".properties", ".xml", ".csv")
# fmt: on
# What editors and people put behind or around a name when they copy a file; ".", " " and "::$DATA" open the same one
# on Windows.
_COPY = re.compile(r"(~|[. ]+|::\$data|\.(bak|backup|old|orig|save|copy|txt|sw[a-p]|tmp|[\d-]+))+$")
_ANY = re.compile("|".join(map(translate, _NAMES)))  # most names fit none, and that is to be known quickly


def secret_file(path: str, globs: Sequence[str] = ()) -> str | None:
    """Why a file of this name is taken for one of secrets, or None. `globs` are a person's own, see `core.globs`."""
    parts = names_of(path)
    name = parts[-1] if parts else ""
    plain = _COPY.sub("", name).strip("#")
    for one in (name, plain, plain.removeprefix(".#")):
        if _ANY.match(one):
            glob = next(glob for glob in _NAMES if fnmatchcase(one, glob))
            return f"files like {glob!r} hold secrets"
    if (folder := next((folder for folder in parts if folder.rstrip(". ") in _FOLDERS), None)) is not None:
        return f"the folder {folder!r} holds secrets"
    if "/".join(parts[-2:]) in _PLACES:
        return f"files like {'/'.join(parts[-2:])!r} hold secrets"
    if any(folder in _KEPT_APART for folder in parts[:-1]) and name[name.rfind(".") :] in _DATA:
        return "a file of data in a folder of secrets"
    return next((f"it matches {glob!r} in your list of secrets" for glob in globs if covers(glob, path)), None)
