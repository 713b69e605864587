"""No secret is in any prompt, whoever asks and whatever was gathered; nor in what is kept of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leanvibe_lsp.assist.answer import AskRequest, Place, Turn
from leanvibe_lsp.assist.answer_cache import AnswerCache
from leanvibe_lsp.assist.fitting import build_prompt
from leanvibe_lsp.assist.preview import preview, preview_json
from leanvibe_lsp.core.cancel import CancelToken
from leanvibe_lsp.core.text import Span
from leanvibe_lsp.documents.gathered import Diagnostic, Gathered, Related
from leanvibe_lsp.documents.scopes import symbols
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.documents.store import DocumentStore
from leanvibe_lsp.engine.base import Finished, GenerationRequest, Source
from leanvibe_lsp.engine.mock import MockEngine
from leanvibe_lsp.engine.remote.receipts import Receipts
from leanvibe_lsp.errors import UsageError
from tests.support.engines import KnowingEngine
from tests.support.secrets import SECRETS, planted
from tests.unit.assist.test_ask import Room

_LOADED = MockEngine().load(CancelToken())


def snapshot_of(text: str, uri: str = "file:///w/code.py") -> Snapshot:
    return DocumentStore().open(uri, "python", 1, text)


@pytest.mark.parametrize("uri", ["file:///w/.env", "untitled:id_rsa", "file:///w/sub/private.py"])
def test_a_secret_file_gets_no_prompt(uri: str) -> None:
    """Also when whoever asks has not looked: by name, unsaved, or by a person's glob."""
    with pytest.raises(UsageError, match="is not shown to a model"):
        build_prompt(AskRequest("q", (Place(snapshot_of("x", uri)),), secrets=("private.py",)), _LOADED)


def test_a_definition_in_a_secret_file_is_left_out() -> None:
    """What was gathered is looked at again."""
    hidden = snapshot_of("def f(): ...\n", "file:///w/prod.env")
    gathered = Gathered((Related(hidden, symbols(hidden)[0], "definition of f"),)) if symbols(hidden) else Gathered()
    assert gathered.related
    prompt = build_prompt(AskRequest("q", (Place(snapshot_of("f()\n")),), gathered=gathered), _LOADED)
    assert [block.uri for block in prompt.packed.blocks] == ["file:///w/code.py"]


def test_the_question_is_the_persons_own() -> None:
    """What was typed is asked as it was typed."""
    prompt = build_prompt(AskRequest('why password = "hunter2x"?'), _LOADED)
    assert "hunter2x" in prompt.messages[-1].content


def test_a_question_that_quotes_the_code_shows_no_secret() -> None:
    """A tool's message may repeat what is hidden in the code; it has the same marker."""
    place = Place(snapshot_of('api_key = "hunter2x"\nf(api_key)\n'))
    request = AskRequest('Explain this: no Literal["hunter2x"] here', (place,))
    shown = preview(request, "mock", _LOADED)
    assert shown.parts[-1].text == 'Explain this: no Literal["[secret 1]"] here'
    assert "hunter2x" not in "".join(message.content for message in shown.prompt.messages)


_PLANTED = st.sampled_from([(secret, line) for secret in SECRETS for line in planted(secret)])


@settings(max_examples=100, deadline=None)
@given(_PLANTED, st.integers(0, 300), st.integers(0, 40), st.integers(300, 6_000), st.booleans())
def test_a_planted_secret_is_in_no_prompt(
    plant: tuple[str, str], start: int, length: int, window: int, whole: bool
) -> None:
    """Not in the messages and not in the ids: from a file, a definition, a diagnostic or an earlier turn."""
    secret, line = plant
    loaded = MockEngine(window=window).load(CancelToken())
    first = snapshot_of("import os\n\ndef f(a):\n    return g(a)\n" * 3 + f"{line}\n" + "def late(): return f(1)\n" * 3)
    other = snapshot_of(f"def g(a):\n    # {line}\n    {line}\n    return a\n", "file:///w/g.py")
    span = Span(min(start, len(first.text)), min(start + length, len(first.text)))
    request = AskRequest(
        "Why?",
        (Place(first, None if whole else span), Place(other)),
        (Turn("user", f"is {secret} right?"), Turn("assistant", f"{line} is not", ())),
        max_tokens=32,
        gathered=Gathered(
            tuple(Related(other, one, "definition of g") for one in symbols(other)),
            (Diagnostic(span, f"do not say {secret}", source="x"),),
        ),
    )
    prompt = build_prompt(request, loaded)
    half = secret[: max(6, len(secret) // 2)]
    assert half not in "".join(message.content for message in prompt.messages)
    assert half not in "".join(map(chr, prompt.ids))


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob("*.*"))


class Parrot(KnowingEngine):
    """Says all that it was told."""

    def generate(self, request: GenerationRequest, *arguments: Any) -> Finished:
        """The known answers, or the prompt."""
        known = super().generate(request, *arguments)
        told = "".join(map(chr, request.prompt))
        return known if len(told) < 200 else replace(known, text=told)


async def test_what_is_kept_has_no_secret(tmp_path: Path) -> None:
    """The answer cache holds an answer and a digest, a receipt lines and sizes: of a secret neither knows."""
    secret = "hunter2x9"
    room = Room(Parrot(), answers=AnswerCache(tmp_path / "answers.sqlite"))
    try:
        text = f'password = "{secret}"\nlogin("{secret}")\n'
        answer = await room.ask(AskRequest("What is the password?", (Place(snapshot_of(text)),)))
    finally:
        room.close()
    assert answer.answer.count("[secret 1]") == 2
    assert answer.omitted == ("2 secret-looking strings in code.py",)
    receipts = Receipts(tmp_path / "receipts.jsonl")
    with receipts.use("s", "m", "answer", [Source(one.uri, one.start_line, one.end_line) for one in answer.citations]):
        pass
    kept = everything_in(tmp_path)
    assert b"[secret 1]" in kept
    assert b"code.py" in kept
    assert secret.encode() not in kept


def test_a_preview_is_the_prompt() -> None:
    """Every part is in the messages, in order, with its tokens; the JSON says where each block is from."""
    request = AskRequest("Why?", (Place(snapshot_of("a = 1\nb = 2\n"), Span(6, 11)),))
    shown = preview(request, "mock", _LOADED)
    assert [(part.title, part.tokens) for part in shown.parts[-2:]] == [("selection", 47), ("question", 4)]
    content = "".join(message.content for message in shown.prompt.messages)
    at = 0
    for part in shown.parts:
        at = content.index(part.text, at) + len(part.text)
    body = preview_json(shown)
    assert (body["model"], body["exact"], body["promptTokens"]) == ("mock", True, len(shown.prompt.ids))
    assert body["parts"][-2] == {  # type: ignore[index]
        "what": "selection",
        "tokens": 47,
        "text": "code.py line 2 (selection):\n```python\nb = 2\n```",
        "uri": "file:///w/code.py",
        "range": {"start": {"line": 1, "character": 0}, "end": {"line": 2, "character": 0}},
    }
