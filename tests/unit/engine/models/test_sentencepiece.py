"""tokenizer.model: read by hand, broken in every way, and never an error without a name."""

from __future__ import annotations

import json
import shutil
import struct
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from leanvibe_lsp.config import limits
from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.engine.models.sentencepiece import merges_by_score, parse
from leanvibe_lsp.engine.models.tokenizer_folder import tokenizer_from_folder
from leanvibe_lsp.errors import ModelFormatError

FIXTURES = Path(__file__).parents[3] / "fixtures" / "tokenizers"
WHOLE = {name: (FIXTURES / name / "tokenizer.model").read_bytes() for name in ("phi3", "unigram")}


def number(field: int, value: int) -> bytes:
    out = bytes([field % 16 << 3 | 0x80, field >> 4]) if field > 15 else bytes([field << 3])
    value %= 1 << 64
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def message(field: int, data: bytes) -> bytes:
    assert len(data) < 128
    return bytes([field << 3 | 2, len(data)]) + data


def piece(text: str, kind: int = 1, score: float = 0.0) -> bytes:
    return message(1, message(1, text.encode()) + b"\x15" + struct.pack("<f", score) + number(3, kind))


SMALL = piece("<unk>", 2) + piece("a") + message(2, number(3, 2) + number(41, -1)) + message(3, number(3, 0))


def test_what_the_file_says_is_read() -> None:
    """Pieces with score and kind, the ids, and how white space is treated."""
    model = parse(WHOLE["phi3"])
    assert (model.unigram, model.byte_fallback, model.prefix_space, model.one_space_for_many) == (
        False,
        True,
        True,
        False,
    )
    assert (model.unk_id, model.bos_id, model.eos_id, model.charsmap) == (0, 1, 2, b"")
    assert [one.text for one in model.pieces[:5]] == ["<unk>", "<s>", "</s>", "<0x00>", "<0x01>"]
    assert [one.kind for one in model.pieces[:4]] == [2, 3, 3, 6]
    assert len(model.pieces) == 700
    other = parse(WHOLE["unigram"])
    assert (other.unigram, other.one_space_for_many, len(other.charsmap) > 100) == (True, True, True)
    small = parse(SMALL)
    assert (small.bos_id, small.prefix_space, small.pieces[1].text) == (-1, False, "a")


@pytest.mark.parametrize(
    ("data", "message_"),
    [
        (b"", "no vocabulary"),
        (SMALL[:-1], "cut short"),
        (b"\x0a\xff\xff\xff\xff\x0f", "cut short"),
        (b"\x0b", "no protocol buffer"),
        (b"\xff" * 20, "no protocol buffer"),
        (b"\x08\x01", "a number stands where bytes belong"),
        (SMALL + message(2, message(3, b"x")), "bytes stand where a number belongs"),
        (SMALL + piece("a"), "says a piece twice"),
        (SMALL + piece("b", score=float("nan")), "not finite"),
        (SMALL + piece(""), "a piece is empty"),
        (SMALL + message(1, message(1, b"\xff")), "utf-8"),
        (SMALL + message(1, message(1, b"x") + number(2, 1)), "no number of 32 bits"),
        (SMALL + message(2, number(3, 3)), "of the kind 3"),
        (SMALL + message(2, number(40, 9)), "unknown token is not in"),
        (SMALL + message(2, number(24, 1)), "writes spaces"),
        (SMALL + message(3, number(5, 0)), "writes spaces"),
    ],
)
def test_a_broken_file_is_refused_by_name(data: bytes, message_: str, tmp_path: Path) -> None:
    """The error says what is wrong, and a person sees a ModelFormatError."""
    with pytest.raises(ValueError, match=message_):
        parse(data)
    (tmp_path / "tokenizer.model").write_bytes(data)
    with pytest.raises(ModelFormatError, match=message_) as caught:
        tokenizer_from_folder(tmp_path)
    assert caught.value.next_step


@given(
    st.sampled_from(sorted(WHOLE)),
    st.lists(st.tuples(st.integers(0, 1 << 20), st.binary(max_size=6)), max_size=4),
    st.integers(0, 1 << 20),
)
@example("unigram", [(9_600, b"\xff\xff")], 1 << 20)
@settings(deadline=None, max_examples=120)
def test_damage_is_an_error_with_a_name_or_none_at_all(tmp_path_factory, name, damage, end) -> None:
    """Bytes changed anywhere, and the end cut off: a tokenizer that works, or ModelFormatError, and nothing else."""
    data = bytearray(WHOLE[name])
    for place, written in damage:
        at = place % len(data)
        data[at : at + len(written)] = written
    folder = tmp_path_factory.mktemp("damaged")
    (folder / "tokenizer.model").write_bytes(data[:end])
    try:
        made = tokenizer_from_folder(folder).tokenizer
        assert all(0 <= one < made.vocabulary_size for one in made.encode("def a():  é ﬁ\n"))
    except ModelFormatError:
        return
    finally:
        shutil.rmtree(folder)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_error_or_a_model(data: bytes) -> None:
    """ValueError, and no other."""
    try:
        parse(data)
    except ValueError:
        return


def test_merges_go_by_score() -> None:
    """The best joint token first; each way to split it."""
    assert merges_by_score({"a": 0, "b": 0, "ab": -2, "ba": -1, "aba": -3}) == [
        ("b", "a"),
        ("a", "b"),
        ("a", "ba"),
        ("ab", "a"),
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(FIXTURES / "phi3" / "tokenizer.model", tmp_path)
    return tmp_path


def test_a_model_alone_has_its_own_special_tokens(folder: Path) -> None:
    """Without any other file: beginning, end and unknown by their ids; the end is where a generation stops."""
    files = tokenizer_from_folder(folder)
    assert files.special_text == {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    assert (files.add_bos, files.stop_ids, files.chat_template) == (True, frozenset({2}), "")
    assert files.tokenizer.token_bytes(2) == b""


def test_added_tokens_json_adds_tokens(folder: Path) -> None:
    """The older file, which has no flags."""
    (folder / "added_tokens.json").write_text('{"<|user|>": 700, "    ": 701}')
    tokenizer = tokenizer_from_folder(folder).tokenizer
    assert tokenizer.special("<|user|>") == 700
    assert tokenizer.special("    ") is None
    assert 700 not in tokenizer.encode("<|user|>")
    assert 701 in tokenizer.encode("a    b")


def test_legacy_false_puts_the_prefix_space_only_at_the_beginning(folder: Path) -> None:
    """As it is named in tokenizer_config.json; without it each piece after a special token has one."""
    old = tokenizer_from_folder(folder).tokenizer
    (folder / "tokenizer_config.json").write_text('{"legacy": false}')
    new = tokenizer_from_folder(folder).tokenizer
    said = [b"".join(map(made.token_bytes, made.encode_prompt(["x</s>y"]))) for made in (old, new)]
    assert said == [b" x y", b" xy"]
    assert old.encode("x") == new.encode("x")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("added_tokens.json", {"<|x|>": 10**13}),
        ("added_tokens.json", {"<|x|>": -1}),
        ("tokenizer_config.json", {"added_tokens_decoder": {str(10**13): {"content": "<|x|>", "special": True}}}),
    ],
)
def test_an_added_token_with_an_id_of_its_own_mind_is_refused(folder: Path, name: str, value: object) -> None:
    """A list of pieces is as long as its largest id."""
    (folder / name).write_text(json.dumps(value))
    with pytest.raises(ModelFormatError, match="id is not from 0 to"):
        tokenizer_from_folder(folder)


def test_what_would_take_too_long_to_split_is_refused() -> None:
    """One long token, and many that are long together; the longest that is taken is."""
    merges_by_score({"a": 0, "a" * limit("tokenizer.piece_characters"): -1})
    with pytest.raises(ValueError, match="one of its tokens is too long"):
        merges_by_score({"a" * (limit("tokenizer.piece_characters") + 1): -1})
    many = {f"{number:01000}": 0.0 for number in range(limit("tokenizer.splits") // 1000 + 1)}
    with pytest.raises(ValueError, match="too long together"):
        merges_by_score(many)


def test_a_file_that_is_too_large_is_not_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it holds."""
    monkeypatch.setitem(limits.LIMITS, "tokenizer.bytes", replace(limits.LIMITS["tokenizer.bytes"], default=1_000))
    with pytest.raises(ModelFormatError, match=r"tokenizer\.model cannot be read: it is too large"):
        tokenizer_from_folder(folder)


def test_a_vocabulary_beyond_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the number of its pieces."""
    monkeypatch.setitem(limits.LIMITS, "tokenizer.tokens", replace(limits.LIMITS["tokenizer.tokens"], default=1))
    with pytest.raises(ValueError, match="it has 2 tokens"):
        parse(SMALL)
