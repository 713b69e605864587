"""Which names are those of secrets. Every spelling of them is in `tests/unit/engine/remote/test_policy.py`."""

from __future__ import annotations

import pytest

from leanvibe_lsp.config.secret_files import secret_file


@pytest.mark.parametrize(
    "path",
    [
        "/w/.env.production",
        "/w/terraform.tfstate.backup",
        "/w/prod.auto.tfvars.json",
        "/w/client_secret_1234.json",
        "/w/service_account-prod.json",
        "/w/dev.kubeconfig",
        "/w/krb5.keytab",
        "/w/local.settings.json",
        "/w/.kube/config",
        "/w/SERVER.PEM.backup",
        "/w/server.pem.txt",
        "/w/server.pem.copy",
        "/w/server.pem.2024-01-01",
        "/w/secret.yaml",
        "/w/secrets/db.txt",
        "/w/secrets.prod.yaml",
        "/w/my-secrets.yaml",
        "/w/serviceAccountKey.json",
        "/w/x.pkcs12",
        "/w/.git/config",
        "/h/.m2/settings.xml",
        "/h/.config/gh/hosts.yml",
        "/w/auth.json",
        "/w/password.txt",
        "/w/credentials.txt",
        "/w/pgpass.conf",
        "/w/.Xauthority",
        "/w/x.env.example",
    ],
)
def test_names_of_secrets(path: str) -> None:
    """By name or folder, in any case, also a copy."""
    assert secret_file(path) is not None


@pytest.mark.parametrize(
    "path",
    [
        "/w/settings.json",
        "/w/environment.ts",
        "/w/keys.py",
        "/w/tokens.py",
        "/w/state.tf",
        "/w/secrets.py",
        "/w/test_secrets.py",
        "/w/secrets/a.py",
        "/w/credentials.go",
        "/w/config",
        "/w/x.env.d.ts",
        "/w/notes.txt",
        "",
    ],
)
def test_ordinary_names(path: str) -> None:
    """A name that only reminds of a secret is none."""
    assert secret_file(path) is None


def test_a_reason_names_its_rule() -> None:
    """What a person reads says which rule it was."""
    assert secret_file("/w/a.PEM") == "files like '*.pem' hold secrets"
    assert secret_file("/home/a/.ssh/known") == "the folder '.ssh' holds secrets"
    assert secret_file("/w/own/x", ("own/*",)) == "it matches 'own/*' in your list of secrets"
