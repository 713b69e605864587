"""Steps of a tokenizer.json that would blow a text up are refused before the library runs them."""

from __future__ import annotations

import base64
import struct

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.engine.models.tokenizer_growth import _growth, check_growth


def _replace(pattern, content):
    return {"type": "Replace", "pattern": pattern, "content": content}


def _doubling(count):
    steps = [_replace({"String": "a"}, "aa")] * count
    return {"normalizer": {"type": "Sequence", "normalizers": steps}}


def test_growth_multiplies_over_the_steps():
    """Ten doublings are at the limit, eleven beyond."""
    assert limit("tokenizer.growth") == 2**10
    check_growth(_doubling(10))
    with pytest.raises(ValueError, match="2,048 times as long"):
        check_growth(_doubling(11))
    with pytest.raises(ValueError, match="67,108,864 times as long"):
        check_growth(_doubling(26))


def test_both_kinds_of_steps_count_together():
    """What a normalizer made, a pre-tokenizer makes longer, also in a sequence of sequences."""
    level = {"type": "Sequence", "pretokenizers": [{"type": "Sequence", "pretokenizers": [{"type": "ByteLevel"}]}]}
    with pytest.raises(ValueError, match="2,048"):
        check_growth(_doubling(10) | {"pre_tokenizer": level})


@pytest.mark.parametrize(
    ("step", "growth"),
    [
        (_replace({"String": " "}, "\u2581"), 1),
        (_replace({"String": "abc"}, "d"), 1),
        (_replace({"String": "ab"}, "abc"), 2),
        (_replace({"Regex": " {2,}"}, " "), 2),
        (_replace({"Regex": ""}, "abc"), 4),
        (_replace({"String": ""}, "abc"), 4),
        ({"type": "NFKC"}, 18),
        ({"type": "Strip"}, 1),
        (None, 1),
    ],
)
def test_the_growth_of_one_step(step, growth):
    """Characters out for one in, rounded up."""
    assert _growth(step) == growth


def test_a_table_of_characters_counts_by_its_longest_entry():
    """SentencePiece's: a size, a trie, and texts."""
    charsmap = struct.pack("<I", 4) + bytes(4) + b"ab\0" + b"x" * 5_000 + b"\0"
    step = {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(charsmap).decode()}
    assert _growth(step) == 5_000
    assert _growth(step | {"precompiled_charsmap": ""}) == 1


@pytest.mark.parametrize(
    ("build", "step", "text"),
    [
        (normalizers.NFKD, {"type": "NFKD"}, "\ufdfa" * 20),
        (normalizers.NFC, {"type": "NFC"}, "\U0001d160" * 20),
        (normalizers.NFD, {"type": "NFD"}, "\u0390" * 20),
        (normalizers.Lowercase, {"type": "Lowercase"}, "\u0130" * 20),
        (normalizers.BertNormalizer, {"type": "BertNormalizer"}, "\u4e2d" * 20),
        (lambda: normalizers.Replace("", "abc"), _replace({"String": ""}, "abc"), "xy" * 20),
    ],
)
def test_the_library_never_grows_more_than_is_counted(build, step, text):
    """On the texts that grow most under each."""
    assert len(build().normalize_str(text)) <= _growth(step) * len(text) + 3


def test_byte_level_doubles_at_most():
    """Each byte becomes a character of one or two bytes."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    ((piece, _span),) = tokenizer.pre_tokenizer.pre_tokenize_str("\u00e9" * 9)
    assert len(piece.encode()) == _growth({"type": "ByteLevel"}) * len(("\u00e9" * 9).encode())
