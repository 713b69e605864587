"""Strings that look like secrets, made up, and lines in which such strings are found."""

from __future__ import annotations

_BODY = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj"
PEM = f"-----BEGIN RSA PRIVATE KEY-----\r\n{_BODY}\r\n{_BODY}\r\n-----END RSA PRIVATE KEY-----"

# Put together here, so that no scanner takes this file for a leak.
KNOWN_BY_FORM = [
    "AKIA" + "IOSFODNN7EXAMPLE",
    "ghp" + "_16C7e42F292c6912E7710c838347Ae178B4a",
    "github" + "_pat_11ABCDEFG0abcdefghijkl_mnopqrstuvwxyz012345",
    "glpat" + "-abcDEF123456ghiJKL78",
    "xoxb" + "-123456789012-abcdefABCDEF",
    "sk" + "-proj-abcdefghij0123456789ABCDEF",
    "sk" + "_live_4eC39HqLyjWDarjtT1",
    "AIza" + "SyA1234567890abcdefghijklmnopqrstuvw",
    "npm" + "_abcdefghijklmnopqrstuvwxyz0123456789",
    "hf" + "_abcdefghijklmnopqrstuvwxyzABCDEFGH",
    "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxMjM0NTY3ODkwIn0" + ".dozjgNryP4J3jVmNHl0w5N",
    PEM,
]
KNOWN_BY_NAME = ["hunter2x", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "9f8e7d6c5b4a3210", "p4ss-W0rd!"]
SECRETS = KNOWN_BY_FORM + KNOWN_BY_NAME


def planted(secret: str) -> list[str]:
    """Lines as people write them; a secret that is known by its form needs no name."""
    if secret == PEM:
        return [f'KEY = """{secret}"""', secret]
    named = [
        f'password = "{secret}"',
        f"AWS_SECRET_ACCESS_KEY: str = '{secret}'",
        f'    client(token="{secret}", retries=3)',
        f'{{"api_key": "{secret}"}}',
        f"define('DB_PASSWORD', '{secret}');",
        f'os.environ["SECRET_TOKEN"] = "{secret}"',
        f'if passphrase == "{secret}":',
        f'let auth_token := "{secret}"',
    ]
    return named if secret in KNOWN_BY_NAME else [*named, f'x = "{secret}"', f"# {secret}", f"see {secret} there"]
