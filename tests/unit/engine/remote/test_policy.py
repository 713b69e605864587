"""What may leave this machine: globs, secrets, and all the ways to write a path."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanvibe_lsp.config.settings import RemoteSettings
from leanvibe_lsp.core.globs import paths_of
from leanvibe_lsp.engine.base import Source
from leanvibe_lsp.engine.remote.engine import check_sources
from leanvibe_lsp.engine.remote.policy import refusal
from leanvibe_lsp.errors import Withheld

SECRETS = [
    *(".env", ".env.local", "prod.env", "server.PEM", "a.key", "id_rsa", "id_rsa.old", "ID_ED25519", "credentials"),
    *(".netrc", ".npmrc", ".pypirc", "vault.kdbx", ".git-credentials", "terraform.tfstate", ".bash_history"),
    *("server.key~", "server.key.bak", ".server.key.swp", "#server.key#", ".#server.key", "secrets.yaml"),
    *(".env.", ".env ", "a.pem::$DATA"),
]
FOLDERS = [".ssh", ".aws", ".GnuPG", ".kube"]


_NAME = st.text(st.characters(exclude_characters="/\\\0%?#:", exclude_categories=["Cs"]), min_size=1, max_size=8)


@given(st.lists(_NAME, max_size=4), st.sampled_from(SECRETS), st.lists(st.booleans(), min_size=80, max_size=80))
def test_a_secret_is_refused_in_every_spelling(folders: list[str], name: str, coins: list[bool]) -> None:
    """Wherever it lies, whatever its case, however its URI is encoded, whatever was allowed."""
    path = "/" + "/".join([*folders, name])
    cased = "".join(one.upper() if coin else one.lower() for one, coin in zip(path, coins, strict=False))
    encoded = "".join(
        f"%{byte:02X}" if coin or byte > 127 or byte in b"#?" else chr(byte)
        for byte, coin in zip(cased.encode(), [*coins[1:], *coins, *coins], strict=False)
    )
    for text in (path, cased):
        assert refusal([text], ["**", text], []) is not None
    for uri in (
        f"file://{encoded}",
        f"file:///C:{encoded}",
        f"untitled:{encoded}",
        f"x:/{encoded}",
        f"git:{encoded}?y",
    ):
        assert any(refusal([one], ["**"], []) for one in paths_of(uri))


@given(st.sampled_from(FOLDERS), _NAME.filter(lambda name: name != ".."))
def test_what_lies_in_a_secret_folder_is_refused(folder: str, name: str) -> None:
    """Keys have names of their own there."""
    assert refusal([f"/home/a/{folder}/{name}"], ["**"], []) is not None


@given(st.lists(_NAME, min_size=1, max_size=5), st.lists(st.sampled_from(["*", "**", "a", "?"]), max_size=3))
def test_what_is_denied_is_refused_whatever_is_allowed(parts: list[str], more: list[str]) -> None:
    """`deny` wins; a path's own name denies it, and so does each of its folders."""
    path = "/" + "/".join(parts)
    for size in range(1, len(parts) + 1):
        glob = "".join(f"[{one}]" if one in "*?[" else one for one in "/" + "/".join(parts[:size]))
        if "." in parts or ".." in parts:
            continue
        assert refusal([path], ["**", *more], [glob]) is not None


@given(_NAME)
def test_what_is_not_allowed_is_refused(name: str) -> None:
    """An empty list allows nothing; each of a file's paths must be allowed."""
    assert refusal([f"/w/{name}"], [], []) is not None
    assert refusal([f"/w/{name}.py", f"/elsewhere/{name}.py"], ["/w/**"], []) is not None


@pytest.mark.parametrize("name", ["a.py", "environment.py", "keyboard.ts", "credentials.py", "monkey.md", "README"])
def test_ordinary_files_are_allowed(name: str) -> None:
    """A name that only reminds of a secret is none."""
    assert refusal([f"/home/me/work/{name}"], ["**"], []) is None


@pytest.mark.skipif(os.name == "nt", reason="links need a right of their own on Windows")
def test_a_link_is_judged_by_where_it_leads(tmp_path: Path) -> None:
    """An innocent name for a secret, and an allowed name for a file outside."""
    (tmp_path / "in").mkdir()
    (tmp_path / ".env").write_text("x")
    (tmp_path / "out.py").write_text("x")
    (tmp_path / "in" / "notes.txt").symlink_to(tmp_path / ".env")
    (tmp_path / "in" / "out.py").symlink_to(tmp_path / "out.py")
    everything = RemoteSettings("http://localhost")
    inside = RemoteSettings("http://localhost", allow=(f"{tmp_path.resolve()}/in/**",))
    with pytest.raises(Withheld, match=r"notes\.txt \(really .*/\.env\) may not leave this machine: files like"):
        check_sources([Source((tmp_path / "in" / "notes.txt").as_uri(), 0, 1)], everything)
    with pytest.raises(
        Withheld, match=r"in/out\.py \(really .*/out\.py\) may not leave this machine: nothing in allow"
    ):
        check_sources([Source((tmp_path / "in" / "out.py").as_uri(), 0, 1)], inside)
    check_sources([Source((tmp_path / "in" / "out.py").as_uri(), 0, 1)], everything)
    check_sources([Source("untitled:Untitled-1", 0, 1)], everything)


@pytest.mark.skipif(os.name == "nt", reason="links need a right of their own on Windows")
def test_an_allowed_folder_is_named_as_it_really_is(tmp_path: Path) -> None:
    """Through a link it allows nothing, and the error says the path that it has to fit."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.py").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    seen = [Source((tmp_path / "link" / "a.py").as_uri(), 0, 1)]
    with pytest.raises(Withheld) as caught:
        check_sources(seen, RemoteSettings("http://localhost", allow=(f"{tmp_path}/link/**",)))
    assert f"{tmp_path}/link/a.py (really {(tmp_path / 'real' / 'a.py').resolve()})" in caught.value.message
    both = (f"{tmp_path}/link/**", f"{tmp_path.resolve()}/real/**")
    check_sources(seen, RemoteSettings("http://localhost", allow=both))


def test_a_query_hides_nothing() -> None:
    """`.env` behind a question mark is still `.env`."""
    with pytest.raises(Withheld):
        check_sources([Source("file:///a/.env?x=.py", 0, 1)], RemoteSettings("http://localhost"))
