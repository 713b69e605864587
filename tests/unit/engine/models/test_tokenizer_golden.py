"""Tokenizers of each kind and from each kind of file, against the ids that transformers and sentencepiece gave.

The files and the ids are made by `tests/fixtures/tokenizers/make.py`.
"""

from __future__ import annotations

import json
import lzma
import shutil
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leanvibe_lsp.engine.base import Loaded
from leanvibe_lsp.engine.models.registry import resolve
from leanvibe_lsp.engine.models.sentencepiece import parse
from leanvibe_lsp.engine.models.tokenizer import load_tokenizer
from leanvibe_lsp.engine.models.tokenizer_folder import tokenizer_from_folder
from leanvibe_lsp.engine.models.tokenizer_gguf import tokenizer_from_gguf
from leanvibe_lsp.engine.prompts import Message, render
from leanvibe_lsp.engine.streaming import TextAssembler
from tests.fixtures.tokenizers import cases
from tests.support.gguf import write_gguf

FIXTURES = Path(__file__).parents[3] / "fixtures" / "tokenizers"
NORMAL, UNKNOWN, CONTROL, USER, BYTE = 1, 2, 3, 4, 6
_NAMED_IN_GGUF = {"bos_token": "bos", "eos_token": "eos", "unk_token": "unknown", "pad_token": "padding"}
# (name of the fixture, kind of file): SentencePiece's unigram is not in the GGUFs that are read
ALL = [(name, "json") for name in cases.NAMES]
ALL += [(name, "gguf") for name in cases.NAMES[:3]]
ALL += [(name, "model") for name in cases.NAMES[2:]]
LOSSLESS = [(name, kind) for name, kind in ALL if name == "llama3"]


@cache
def golden():
    return json.loads(lzma.open(FIXTURES / "golden.json.xz").read())


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Gives the tokenizer of a fixture from one kind of file."""

    @cache
    def build(name, kind):
        if kind == "json":
            return tokenizer_from_folder(FIXTURES / name)
        path = tmp_path_factory.mktemp(f"{name}-{kind}")
        if kind == "gguf":
            return tokenizer_from_gguf(write_gguf(path / "m.gguf", gguf_metadata(name)))
        for file in ("tokenizer.model", "tokenizer_config.json"):
            shutil.copy(FIXTURES / name / file, path)
        return tokenizer_from_folder(path)

    return build


def gguf_metadata(name):
    """What llama.cpp's converter writes for a fixture."""
    content = json.loads((FIXTURES / name / "tokenizer.json").read_text())
    config = json.loads((FIXTURES / name / "tokenizer_config.json").read_text())
    by_id = {number: text for text, number in content["model"]["vocab"].items()}
    types = {number: BYTE if text.startswith("<0x") and name == "phi3" else NORMAL for number, text in by_id.items()}
    for entry in content["added_tokens"]:
        by_id[entry["id"]] = entry["content"]
        types[entry["id"]] = CONTROL if entry["special"] else USER
    tokens = [by_id[number] for number in range(len(by_id))]
    metadata = {
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.chat_template": config["chat_template"],
        **{
            f"tokenizer.ggml.{key}_token_id": tokens.index(config[one])
            for one, key in _NAMED_IN_GGUF.items()
            if one in config
        },
    }
    if name == "phi3":
        pieces = parse((FIXTURES / name / "tokenizer.model").read_bytes()).pieces
        types[tokens.index("<unk>")] = UNKNOWN
        metadata |= {
            "general.architecture": "phi3",
            "tokenizer.ggml.model": "llama",
            "tokenizer.ggml.pre": "default",
            "tokenizer.ggml.scores": [*(piece.score for piece in pieces), *[-1000.0] * (len(tokens) - len(pieces))],
            "tokenizer.ggml.add_space_prefix": True,
        }
    else:
        merges = content["model"]["merges"]
        metadata |= {
            "tokenizer.ggml.model": "gpt2",
            "tokenizer.ggml.pre": {"llama3": "llama-bpe", "qwen2": "qwen2"}[name],
            "tokenizer.ggml.merges": [" ".join(merge) for merge in merges],
        }
    return metadata | {"tokenizer.ggml.token_type": [types[number] for number in range(len(tokens))]}


def loaded(made):
    return Loaded(1 << 20, 0, "cpu", made.tokenizer, made.chat_template, made.special_text, made.add_bos)


def special_ids(name, made):
    return {made.tokenizer.special(one.text) for one in cases.ADDED[name]}


@pytest.mark.parametrize(("name", "kind"), [one for one in ALL if one[0] != "unigram"])
def test_plain_text_as_transformers(files, name, kind):
    """2,000 texts, every special token written as text among them."""
    tokenizer = files(name, kind).tokenizer
    texts, expected = cases.texts(name), golden()[name]["plain"]
    assert len(texts) == len(expected) == 2_000
    assert [text for text, ids in zip(texts, expected, strict=True) if tokenizer.encode(text) != ids] == []


def test_plain_text_as_transformers_unigram(files):
    """The same; where a text says a control piece, transformers lets it through and ours does not."""
    tokenizer = files("unigram", "json").tokenizer
    forbidden = special_ids("unigram", files("unigram", "json"))
    compared = 0
    for text, ids in zip(cases.texts("unigram"), golden()["unigram"]["plain"], strict=True):
        made = tokenizer.encode(text)
        if any(piece in text for piece in ("<unk>", "<s>", "</s>")):
            assert not forbidden & set(made), text
        else:
            compared += 1
            assert made == ids, text
    assert compared > 1_700


@pytest.mark.real_model
def test_plain_text_as_transformers_smollm2(tmp_path):
    """2,000 texts through the tokenizer of the real model."""
    tokenizer = load_tokenizer(resolve("smollm2", cache=tmp_path)).tokenizer
    texts, expected = cases.smollm2_texts(), golden()["smollm2"]["plain"]
    assert len(texts) == len(expected) == 2_000
    assert [text for text, ids in zip(texts, expected, strict=True) if tokenizer.encode(text) != ids] == []


@pytest.mark.parametrize(("name", "ties"), [("phi3", 0), ("unigram", 12)])
def test_tokenizer_model_as_sentencepiece(files, name, ties):
    """2,000 texts from a tokenizer.model alone, as that library cuts them.

    Two cuts of one text can score the same ("000" in one piece and a half); the library then goes by the rounding of
    32-bit sums. Those few have the same pieces in another order.
    """
    tokenizer = files(name, "model").tokenizer
    tied = 0
    for text, ids in zip(cases.texts(name), golden()[name]["sentencepiece"], strict=True):
        if (made := tokenizer.encode(text)) != ids:
            tied += 1
            assert sorted(made) == sorted(ids), text
    assert tied <= ties


@pytest.mark.parametrize(("name", "kind"), [one for one in ALL if one != ("unigram", "model")])
def test_whole_prompts_as_apply_chat_template(files, name, kind):
    """200 conversations: prefix spaces, white space that tokens and templates take, merges across the borders."""
    made = loaded(files(name, kind))
    for chat, ids in zip(cases.chats(name), golden()[name]["chats"], strict=True):
        assert list(render(made, [Message(one["role"], one["content"]) for one in chat])) == ids, chat


@pytest.mark.parametrize(("name", "kind"), ALL)
def test_a_special_token_in_a_message_stays_text(files, name, kind):
    """Each one, in each place: the prompt has the special tokens of a harmless message, and no more."""
    made = files(name, kind)
    forbidden = special_ids(name, made) - {None}
    assert len(forbidden) == len(cases.ADDED[name])
    harmless = [one for one in render(loaded(made), [Message("user", "x")]) if one in forbidden]
    for token in cases.ADDED[name]:
        for text in (
            token.text,
            f"a{token.text}b",
            f" {token.text}\n",
            token.text * 3,
            f"{token.text}{cases.ADDED[name][0].text}",
        ):
            ids = render(loaded(made), [Message("user", text)])
            assert [one for one in ids if one in forbidden] == harmless, text


_TEXT = st.text().map(lambda text: text.encode(errors="replace").decode())


@pytest.mark.parametrize(("name", "kind"), ALL)
def test_messages_come_back_and_inject_nothing(files, name, kind):
    """Whatever is said: no special token comes of it, and its bytes stand in the prompt, the trimmed ones apart."""
    made = files(name, kind)
    specials = special_ids(name, made)
    written = st.lists(st.sampled_from([one.text for one in cases.ADDED[name]]) | _TEXT, max_size=4).map("".join)

    @given(st.lists(written, min_size=1, max_size=3))
    @settings(deadline=None, max_examples=40)
    def check(contents):
        messages = [Message(("user", "assistant")[place % 2], text) for place, text in enumerate(contents)]
        ids = render(loaded(made), messages)
        harmless = render(loaded(made), [Message(one.role, "x" if one.content else "") for one in messages])
        assert [one for one in ids if one in specials] == [one for one in harmless if one in specials]
        if name in ("llama3", "phi3"):  # the others rewrite characters
            plain = b"".join(made.tokenizer.token_bytes(one) for one in ids if one not in specials)
            for text in contents:
                assert text.strip().encode() in plain

    check()


@pytest.mark.parametrize(("name", "kind"), LOSSLESS)
def test_the_bytes_of_the_tokens_are_the_bytes_of_the_text(files, name, kind):
    """A byte-level vocabulary loses nothing, over all 2,000 texts."""
    tokenizer = files(name, kind).tokenizer
    for text in cases.texts(name):
        assert b"".join(map(tokenizer.token_bytes, tokenizer.encode(text))) == text.encode()


@pytest.mark.parametrize(("name", "kind"), [*LOSSLESS, ("phi3", "gguf")])
def test_streamed_tokens_give_whole_characters_and_no_stop_text(files, name, kind):
    """Real tokens cut characters and stop strings; what comes out is the text before the stop, in whole characters."""
    tokenizer = files(name, kind).tokenizer

    @given(
        st.sampled_from(cases.texts(name)), st.sampled_from(["。", "👍", "return", "\n\n", "<|", "مر", "never said"])
    )
    @settings(deadline=None, max_examples=150)
    def check(text, stop):
        pieces = [tokenizer.token_bytes(one) for one in tokenizer.encode(text)]
        whole = b"".join(pieces).decode()
        assembler = TextAssembler((stop,))
        given_out = [assembler.push(piece) for piece in pieces] + [assembler.finish()]
        assert "".join(given_out) == whole.partition(stop)[0]
        assert all("\ufffd" not in one for one in given_out) or "\ufffd" in whole

    check()


def test_streaming_by_tokens_meets_half_characters(files):
    """The test above would be empty if no token ended inside a character."""
    tokenizer = files("llama3", "json").tokenizer
    halves = [one for one in tokenizer.encode("👨‍👩‍👧‍👦 漢字") if not _is_whole(tokenizer.token_bytes(one))]
    assert len(halves) > 3


def _is_whole(data):
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
