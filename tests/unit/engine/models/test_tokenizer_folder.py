"""The tokenizer of a safetensors folder: the same promises, from tokenizer.json."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leanvibe_lsp.config import limits
from leanvibe_lsp.engine.models.registry import resolve
from leanvibe_lsp.engine.models.tokenizer import load_tokenizer
from leanvibe_lsp.engine.models.tokenizer_folder import tokenizer_from_folder
from leanvibe_lsp.errors import ModelFormatError


def _load(folder):
    return load_tokenizer(resolve(str(folder), cache=folder.parent / "cache"))


def _edit(folder, name, **changes):
    file = folder / name
    content = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps({**content, **changes}))


def test_what_belongs_to_the_tokenizer_comes_along(folder):
    """Template, special texts, stops, and bos by the post-processor."""
    files = _load(folder)
    assert files.chat_template == "{{ m }}"
    assert files.special_text == {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>"}
    assert files.stop_ids == frozenset({257})
    assert files.add_bos is True
    assert files.tokenizer.vocabulary_size == 260


@pytest.mark.parametrize("text", ["<|im_end|>", "<|im_start|>", "<tool_call>"])
def test_no_added_token_comes_out_of_text(folder, text):
    """Neither a special one nor one that is only added, alone or in a sentence, and text is never cut."""
    tokenizer = _load(folder).tokenizer
    assert tokenizer.special(text) in (257, 258, 259)
    for around in (text, f"a {text} b", text * 2):
        ids = tokenizer.encode(around)
        assert not {257, 258, 259} & set(ids)
        assert b"".join(map(tokenizer.token_bytes, ids)).decode() == around


def test_special_is_silent_and_added_is_shown(folder):
    """A reader of the answer sees <tool_call>, and never <|im_end|>."""
    tokenizer = _load(folder).tokenizer
    assert [tokenizer.token_bytes(number) for number in (256, 257, 258, 259)] == [b"ab", b"", b"", b"<tool_call>"]


@given(st.text())
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
def test_every_text_comes_back(folder, text):
    """decode(encode(t)) is t; a lone surrogate is U+FFFD."""
    expected = "".join("\ufffd" if 0xD800 <= ord(char) <= 0xDFFF else char for char in text)
    tokenizer = _load(folder).tokenizer
    assert b"".join(map(tokenizer.token_bytes, tokenizer.encode(text))).decode() == expected


def test_ends_come_from_the_generation_config_too(folder):
    """A list of ends is taken whole; ids outside the vocabulary are not."""
    _edit(folder, "generation_config.json", eos_token_id=[256, 257, 9_999])
    assert _load(folder).stop_ids == frozenset({256, 257})


def test_add_bos_token_wins_over_the_post_processor(folder):
    """tokenizer_config.json is asked first."""
    _edit(folder, "tokenizer_config.json", add_bos_token=False)
    assert _load(folder).add_bos is False


def test_no_post_processor_means_no_bos(folder):
    """Where nothing adds it, nothing is added."""
    _edit(folder, "tokenizer.json", post_processor=None)
    assert _load(folder).add_bos is False


def test_the_template_is_found_in_each_place(folder):
    """A file beside, a list with a default, chat_template.json, nothing."""
    _edit(
        folder,
        "tokenizer_config.json",
        chat_template=[{"name": "rag", "template": "r"}, {"name": "default", "template": "d"}],
    )
    assert _load(folder).chat_template == "d"
    _edit(folder, "tokenizer_config.json", chat_template=None)
    assert _load(folder).chat_template == ""
    _edit(folder, "chat_template.json", chat_template="j")
    assert _load(folder).chat_template == "j"
    (folder / "chat_template.jinja").write_text("file")
    assert _load(folder).chat_template == "file"
    (folder / "chat_template.jinja").write_bytes(b"\xff")
    with pytest.raises(ModelFormatError, match="chat_template"):
        _load(folder)


def test_sentencepiece_pieces_are_spelled_out(folder):
    """With byte fallback, a visible space is a space and <0xNN> a byte."""
    content = json.loads((folder / "tokenizer.json").read_text())
    bytes_ = {f"<0x{byte:02X}>": byte for byte in range(256)}
    content["model"] |= {
        "vocab": {**bytes_, "\u2581": 256, "a": 257, "<unk>": 258},
        "merges": [],
        "byte_fallback": True,
        "unk_token": "<unk>",
    }
    content["added_tokens"] = [{**content["added_tokens"][0], "id": 258, "content": "<unk>"}]
    content["normalizer"] = {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}
    content["pre_tokenizer"] = content["decoder"] = content["post_processor"] = None
    (folder / "tokenizer.json").write_text(json.dumps(content))
    tokenizer = _load(folder).tokenizer
    ids = tokenizer.encode("a ü<unk>")
    assert ids[:4] == [257, 256, 0xC3, 0xBC]
    assert 258 not in ids
    assert b"".join(map(tokenizer.token_bytes, ids)).decode() == "a ü<unk>"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": {"type": "WordPiece", "vocab": {"a": 0}}, "pre_tokenizer": None, "decoder": None}, "not known here"),
        ({"model": {"type": "BPE"}}, "malformed"),
        ({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [["x", "y"]]}}, "not accepted"),
        ({"added_tokens": [{"id": "x", "content": "<|a|>", "special": True}]}, "malformed"),
        ({"added_tokens": [{"id": 1 << 20, "content": "<|a|>", "special": True}]}, "id is not from 0 to 1,048,575"),
        ({"added_tokens": [{"id": 10**13, "content": "<|a|>", "special": True}]}, "id is not from 0 to 1,048,575"),
        ({"added_tokens": [{"id": -1, "content": "a", "special": False}]}, "id is not from 0 to 1,048,575"),
        ({"model": {"type": "BPE", "vocab": {"a": 10**10}, "merges": []}}, "id is not from 0 to 1,048,575"),
        ({"added_tokens": [{"id": float("inf"), "content": "<|a|>", "special": True}]}, "malformed"),
        (
            {
                "normalizer": {
                    "type": "Sequence",
                    "normalizers": [{"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}] * 26,
                }
            },
            "134,217,728 times",
        ),
    ],
)
def test_a_broken_tokenizer_json_is_refused_by_name(folder, change, message):
    """The library's own exceptions do not come through."""
    _edit(folder, "tokenizer.json", **change)
    with pytest.raises(ModelFormatError, match=message):
        _load(folder)


def test_without_tokenizer_json_the_error_says_what_is_there(folder):
    """Nothing at all, only SentencePiece's own file, or no JSON."""
    (folder / "tokenizer.json").write_text("[1]")
    with pytest.raises(ModelFormatError, match="no JSON object"):
        _load(folder)
    (folder / "tokenizer.json").write_text("{")
    with pytest.raises(ModelFormatError, match="no JSON"):
        _load(folder)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ModelFormatError, match=r"no tokenizer\.json and no tokenizer\.model"):
        _load(folder)
    (folder / "tokenizer.model").write_bytes(b"x")
    with pytest.raises(ModelFormatError, match=r"tokenizer\.model cannot be read: it is cut short"):
        _load(folder)


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json", "config.json"])
def test_a_file_that_is_too_large_is_not_read(folder, name, monkeypatch):
    """Whatever it holds."""
    row = limits.LIMITS["tokenizer.bytes"]
    monkeypatch.setitem(limits.LIMITS, "tokenizer.bytes", replace(row, default=20_000))
    with (folder / name).open("ab") as file:
        file.write(b" " * 20_000)
    with pytest.raises(ModelFormatError, match=f"{name} cannot be read: it is too large"):
        tokenizer_from_folder(folder)


@pytest.mark.parametrize("listed", [False, True])
def test_no_special_token_is_left_in_the_vocabulary(folder, listed):
    """Where a word of the vocabulary is taken whole, and by the pieces of a list: its letters come out, not its id."""
    content = json.loads((folder / "tokenizer.json").read_text())
    content["added_tokens"] = [{**content["added_tokens"][0], "content": "eot", "id": 257}]
    content["model"]["vocab"]["eot"] = content["model"]["vocab"].pop("<|im_end|>")
    if listed:
        pieces = sorted(content["model"]["vocab"].items(), key=lambda item: item[1])
        content["model"] = {"type": "Unigram", "unk_id": 0, "vocab": [[piece, -1.0] for piece, _id in pieces]}
    (folder / "tokenizer.json").write_text(json.dumps(content))
    tokenizer = _load(folder).tokenizer
    ids = tokenizer.encode("eot")
    assert tokenizer.special("eot") == 257
    assert 257 not in ids
    assert b"".join(map(tokenizer.token_bytes, ids)) == b"eot"
