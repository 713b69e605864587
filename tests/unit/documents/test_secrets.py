"""Nothing that looks like a secret is shown, lines and places hold, and what was hidden can be put back."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leanvibe_lsp.core.text import LineIndex, Span
from leanvibe_lsp.documents.secrets import cover, covered, covered_text, refuse, withheld
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.documents.store import DocumentStore
from leanvibe_lsp.errors import UsageError
from tests.support.secrets import PEM, SECRETS, planted

_ORDINARY = [
    'token_type = "bearer"',
    "password = get_password()",
    'api_key = os.environ["API_KEY"]',
    "token = next_token(stream)",
    'password: str = ""',
    "secret = self.secrets[name]",
    "max_tokens = 1_000_000",
    'key = "hello"',
    'api_key="${API_KEY}"',
    'PASSWORD = "changeme"',
    "def login(password: SecretStr, token: int = 5): ...",
    "auth = requests.auth.HTTPBasicAuth",
    'url = "https://example.org/a:b/c@d"',
    'risk-free = "sk-"',
    'raise ValueError("password, token or secret missing")',
]


def snapshot_of(text: str, uri: str = "untitled:x.py", language: str = "python") -> Snapshot:
    return DocumentStore().open(uri, language, 1, text)


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_is_hidden(secret: str) -> None:
    """Of each kind, in its usual surroundings, in code, in a configuration and in plain text."""
    for language in ("python", "yaml", ""):
        for line in planted(secret):
            found = cover(snapshot_of(f"a = 1\n{line}\nb = 2\n", language=language))
            assert found is not None, line
            assert secret not in found.lines.text
            assert found.count >= 1


@pytest.mark.parametrize("line", _ORDINARY)
def test_ordinary_code_stays(line: str) -> None:
    """Words, placeholders, calls, types and numbers are no secrets."""
    assert cover(snapshot_of(line + "\n")) is None


@pytest.mark.parametrize(
    ("line", "hidden"),
    [
        ("password: hunter2x", "password: [secret 1]"),
        ("export DB_PASSWORD=hunter2x", "export DB_PASSWORD=[secret 1]"),
        ("curl -d 'token=abc123def&x=1'", "curl -d 'token=[secret 1]&x=1'"),
    ],
)
def test_a_configuration_has_strings_without_quotes(line: str, hidden: str) -> None:
    """What is an expression in a program is a string there."""
    assert covered_text(line) == hidden


_VALUE = "Zx9Qw3Er7Ty1Ui5Op2As"
# fmt: off
_SPELLINGS = [
    ("python", line)
    for line in (
        "CLIENT_SECRET_VALUE = '%s'", "DB_PASSWORDS = '%s'", "API_KEY_ID = '%s'", "AUTH_TOKEN_HASH = '%s'",
        "APITOKENS = '%s'", "password = os.getenv('X', '%s')", "password = os.getenv('X') or '%s'",
        "password = (\n    '%s'\n)", "password = \\\n    '%s'", "password += '%s'", "db_pass = '%s'", "PASS='%s'",
        "secret = base64.b64decode('%s')", "token = '''\n%s\n'''", "password = 'abc' '%s'", "user.set_password('%s')",
        "PASSWORDS = {'bob': '%s'}", "password = '%s", "cmd = 'curl -u bob:%s https://x'",
    )
] + [
    ("javascript", "const token = process.env.TOKEN ?? '%s'"), ("javascript", "const token = process.env.X || '%s'"),
    ("javascript", "pass: '%s',"), ("rust", 'let token: &str = "%s";'), ("rust", 'let password = String::from("%s");'),
    ("rust", "const TOKEN: &'static str = \"%s\";"), ("go", 'var token string = "%s"'),
    ("csharp", 'string password = @"%s";'), ("csharp", 'var password = $"%s";'), ("yaml", "password: |\n  %s"),
    ("yaml", "- name: DB_PASSWORD\n  value: %s"), ("json", '{"name":"password","value":"%s"}'),
    ("xml", "<password>%s</password>"), ("xml", '<add key="password" value="%s"/>'),
    ("sql", "CREATE USER x IDENTIFIED BY '%s';"), ("dockerfile", "ENV PASSWORD %s"),
    ("shellscript", "cmd --password %s"), ("shellscript", "curl -u bob:%s x"), ("shellscript", "export PASSWORD=$'%s'"),
    ("terraform", 'variable "db_password" {\n  type = string\n  default = "%s"\n}'),
]
# fmt: on


@pytest.mark.parametrize(("language", "line"), _SPELLINGS)
def test_a_secret_is_hidden_however_it_is_written(language: str, line: str) -> None:
    """Behind a call, an alternative, a bracket, a type, or what another language has there."""
    found = cover(snapshot_of(f"a\n{line % _VALUE}\n", language=language))
    assert found is not None
    assert _VALUE not in found.lines.text


_BODY = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQDh"
_INDENTED = f"            {_BODY}\n" * 3


@pytest.mark.parametrize(
    "text",
    [
        f"-----BEGIN PRIVATE KEY-----\n{_INDENTED}",
        f"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: DES-EDE3-CBC,AA\n\n{_BODY}\n",
        f"---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\n{_BODY}\n---- END SSH2 ENCRYPTED PRIVATE KEY ----",
        f"PuTTY-User-Key-File-2: ssh-rsa\nPrivate-Lines: 8\n{_BODY}\n",
        f"-----begin private key-----\n{_BODY}\n-----end private key-----",
        f'k = (\n            "-----BEGIN PRIVATE KEY-----\\n"\n            "{_BODY}\\n"\n            "{_BODY}\\n"\n)',
    ],
)
def test_a_private_key_is_hidden_without_its_end(text: str) -> None:
    """Indented, with headers, in other formats; what follows it stays."""
    shown = covered_text(f"{text}\nafter = 1\n")
    assert _BODY not in shown
    assert shown.endswith("\nafter = 1\n")


@pytest.mark.parametrize(
    "unit",
    ["AccountKey=", "glpat-", "password=", "password='", "token=a_", "password=(", "-----BEGIN PRIVATE KEY-----\n"],
)
def test_time_grows_with_the_text(unit: str) -> None:
    """Not with its square: four times the text takes less than eight times as long."""
    took = []
    for size in (50_000, 200_000):
        begin = time.process_time()
        covered_text((unit * size)[:size])
        took.append(time.process_time() - begin)
    assert took[1] < 8 * took[0] + 0.2


@given(st.lists(st.text("ab1", min_size=6, max_size=12), min_size=17, max_size=40), st.text("ab1", max_size=80))
def test_many_values_are_hidden_as_few_are(values: list[str], text: str) -> None:
    """Nothing of a long list stays in a text, and what is shown can be put back."""
    values = [value for value in values if not value.isalpha()]
    found = cover(snapshot_of(text, language="yaml"), values)
    assert any(value in text for value in values) == (found is not None)
    if found is not None:
        assert not any(value in found.lines.text for value in values)
        assert found.restored(found.lines.text, text) == text


def test_a_marker_says_which_and_keeps_the_lines() -> None:
    """One value has one number wherever it stands, and a key of many lines stays as many lines."""
    text = f'password = "hunter2x"\r\nkey = """{PEM}"""\r\nlogin("admin", "hunter2x")\r\n'
    found = cover(snapshot_of(text))
    assert found is not None
    assert found.lines.line_count == LineIndex(text).line_count
    assert found.lines.line_text(0) == 'password = "[secret 1]"'
    assert found.lines.line_text(1) == 'key = """[secret 2]'
    assert found.lines.line_text(found.lines.line_count - 2) == 'login("admin", "[secret 1]")'
    assert found.restored(found.lines.text, text) == text


def test_a_text_that_speaks_of_markers() -> None:
    """A marker is never mistaken for a text that was there before."""
    text = 'note = "[secret 1]"\npassword = "hunter2x"\n'
    found = cover(snapshot_of(text))
    assert found is not None
    assert found.lines.text == 'note = "[secret 1]"\npassword = "[_secret 1]"\n'
    assert found.restored(found.lines.text, text) == text


def test_what_is_known_of_other_texts_changes_no_number() -> None:
    """Values found elsewhere are hidden too, and numbered after the text's own."""
    snapshot = snapshot_of('login("from9elsewhere")\npassword = "hunter2x"\n')
    own, all_ = cover(snapshot), cover(snapshot, {"from9elsewhere"})
    assert own is not None
    assert all_ is not None
    assert all_.lines.text == 'login("[secret 2]")\npassword = "[secret 1]"\n'
    assert own.restored('password = "[secret 1]"', snapshot.text) == 'password = "hunter2x"'


def test_without_secrets_nothing_changes() -> None:
    """The document itself is what may be seen; it is looked at once."""
    snapshot = snapshot_of("def f(): pass\n")
    assert cover(snapshot) is None
    assert covered(snapshot, None) is snapshot


_PARTS = st.lists(
    st.one_of(st.sampled_from([line for secret in SECRETS for line in planted(secret)]), st.text(max_size=12)),
    max_size=6,
)


@settings(max_examples=150, deadline=None)
@given(_PARTS, st.integers(0, 400), st.integers(0, 40))
def test_places_hold(parts: list[str], start: int, length: int) -> None:
    """A span of the original is the same text in what is shown, but for secrets, which are all in it or not."""
    text = "\n".join(parts)
    snapshot = snapshot_of(text)
    found = cover(snapshot)
    if found is None:
        return
    span = Span(min(start, len(text)), min(start + length, len(text)))
    moved = found.moved(span)
    assert 0 <= moved.start <= moved.end <= len(found.lines.text)
    assert found.lines.line_count == snapshot.lines.line_count
    assert found.lines.line_of(moved.start) <= snapshot.lines.line_of(span.start)
    assert found.restored(found.lines.text, text) == text
    if not any(edit.span.start < span.end and span.start < edit.span.end for edit in found.edits) and length:
        assert found.lines.text[moved.start : moved.end] == text[span.start : span.end]


@pytest.mark.parametrize(
    "uri",
    [
        "file:///w/.env",
        "file:///w/.ENV.local",
        "file:///w/%2Eenv",
        "untitled:.env",
        "file:///c%3A/w/server.KEY",
        "git:/w/id_rsa?ref=1",
        "file:///home/a/.ssh/config",
        "vscode-userdata:/x/.netrc",
    ],
)
def test_a_secret_file_is_refused_by_name(uri: str) -> None:
    """In any case, encoding and scheme, saved or not; the error says why and what to do."""
    with pytest.raises(UsageError, match=r"is not shown to a model: .* secrets") as caught:
        refuse(snapshot_of("x", uri))
    assert "Copy" in caught.value.next_step


@pytest.mark.skipif(os.name == "nt", reason="links need a right of their own on Windows")
def test_a_link_is_judged_by_where_it_leads(tmp_path: Path) -> None:
    """An innocent name does not open a secret; a link that leads nowhere is no error."""
    (tmp_path / ".env").write_text("A=1")
    (tmp_path / "notes.txt").symlink_to(tmp_path / ".env")
    (tmp_path / "round.txt").symlink_to(tmp_path / "round.txt")
    assert withheld(snapshot_of("", (tmp_path / "notes.txt").as_uri())) == "files like '.env*' hold secrets"
    assert withheld(snapshot_of("", (tmp_path / "round.txt").as_uri())) is None


def test_a_persons_own_globs() -> None:
    """They add to the built-in list."""
    snapshot = snapshot_of("", "file:///w/internal/a.py")
    assert withheld(snapshot) is None
    assert withheld(snapshot, ("internal/**",)) == "it matches 'internal/**' in your list of secrets"


@pytest.mark.performance
def test_speed_on_two_thousand_lines() -> None:
    """Prints what the search costs on a file of 2,000 lines, the first time and again."""
    own = Path(__file__).parents[3] / "leanvibe_lsp"
    text = "\n".join(path.read_text() for path in sorted(own.rglob("*.py")))
    snapshot = snapshot_of("\n".join(text.split("\n")[4_000:6_000]))
    for _ in range(2):
        begin = time.perf_counter()
        cover(snapshot)
        print(f"{(time.perf_counter() - begin) * 1e3:.2f} ms")
