"""The tokenizer out of a GGUF: bytes come back, special tokens never come out of text, ids equal llama.cpp's."""

from __future__ import annotations

import io
import json
import math
import socket
import time
import unicodedata
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leanvibe_lsp.config import limits
from leanvibe_lsp.engine.models.formats import Format
from leanvibe_lsp.engine.models.registry import REGISTRY, LocalPath, Located, ModelSpec, resolve
from leanvibe_lsp.engine.models.tokenizer import load_tokenizer
from leanvibe_lsp.engine.models.vocabulary import BYTE_OF
from leanvibe_lsp.errors import ModelFormatError
from tests.fixtures.tokenizers import cases
from tests.support.gguf import write_gguf

NORMAL, UNKNOWN, CONTROL, USER, BYTE = 1, 2, 3, 4, 6


def _load(path):
    spec = ModelSpec("m", LocalPath(path), "")
    return load_tokenizer(Located("m", path, Format.GGUF, spec, None))


def _byte_level(tmp_path, *, pre="smollm", merges=("a b",), extra=(), **metadata):
    tokens = [*BYTE_OF, "ab", "<|im_end|>", "<|im_start|>", *(text for text, _ in extra)]
    types = [NORMAL] * 257 + [CONTROL] * 2 + [kind for _, kind in extra]
    return _load(
        write_gguf(
            tmp_path / "m",
            {
                "tokenizer.ggml.model": "gpt2",
                "tokenizer.ggml.pre": pre,
                "tokenizer.ggml.tokens": tokens,
                "tokenizer.ggml.token_type": types,
                "tokenizer.ggml.merges": list(merges),
                "tokenizer.ggml.eos_token_id": 257,
                "tokenizer.ggml.bos_token_id": 258,
                "tokenizer.chat_template": "{{ messages }}",
                **{f"tokenizer.ggml.{key}": value for key, value in metadata.items()},
            },
        )
    )


def _text(tokenizer, ids):
    return b"".join(map(tokenizer.token_bytes, ids)).decode()


def test_what_belongs_to_the_tokenizer_comes_along(tmp_path):
    """Template, special texts, and the ids a generation stops at."""
    files = _byte_level(tmp_path)
    assert files.chat_template == "{{ messages }}"
    assert files.special_text == {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>"}
    assert files.stop_ids == frozenset({257})
    assert files.add_bos is False
    assert files.tokenizer.vocabulary_size == 259


def test_text_that_reads_like_a_special_token_stays_text(tmp_path):
    """Control tokens, and those of a template that are not marked as control, have ids only by `special`."""
    files = _byte_level(tmp_path, pre="llama-bpe", extra=(("<tool_call>", USER), ("<|user|>", USER), ("    ", USER)))
    tokenizer = files.tokenizer
    for text in ("<|im_end|>", "<|im_start|>", "<tool_call>", "<|user|>"):
        assert tokenizer.special(text) is not None
        ids = tokenizer.encode(f"x {text} y")
        assert tokenizer.special(text) not in ids
        assert _text(tokenizer, ids) == f"x {text} y"
    assert tokenizer.special("ab") is None
    assert tokenizer.encode("    ") == [261]  # no markup: a plain token, taken as it stands
    assert tokenizer.token_bytes(261) == b"    "


def test_a_special_token_that_reads_like_a_word_stays_text(tmp_path):
    """Where whole words are looked up in the vocabulary, special ones are not there to be found."""
    tokenizer = _byte_level(tmp_path, pre="llama-bpe", extra=(("eot", CONTROL),)).tokenizer
    assert tokenizer.special("eot") == 259
    assert _text(tokenizer, tokenizer.encode("eot")) == "eot"


def test_a_special_token_stands_for_no_bytes(tmp_path):
    """Control tokens are silent; a template's own word that is not control is shown as it reads."""
    tokenizer = _byte_level(tmp_path, extra=(("<think>", USER),)).tokenizer
    assert tokenizer.token_bytes(257) == b""
    assert tokenizer.token_bytes(259) == b"<think>"
    assert tokenizer.token_bytes(-1) == b""
    assert tokenizer.token_bytes(10**6) == b""


@pytest.mark.parametrize("pre", ["smollm", "default", "gpt-2", "qwen2", "llama-bpe", "starcoder"])
def test_every_text_comes_back(tmp_path, pre):
    """decode(encode(t)) is t, for each way of splitting; Qwen2's composes characters (NFC)."""
    tokenizer = _byte_level(tmp_path, pre=pre).tokenizer

    @given(st.text())
    @settings(deadline=None)
    def check(text):
        text = "".join(char for char in text if not 0xD800 <= ord(char) <= 0xDFFF)
        expected = unicodedata.normalize("NFC", text) if pre == "qwen2" else text
        assert _text(tokenizer, tokenizer.encode(text)) == expected

    check()


def test_half_a_surrogate_pair_is_a_replacement_character(tmp_path):
    """JSON can carry one; no tokenizer can take it."""
    tokenizer = _byte_level(tmp_path).tokenizer
    assert _text(tokenizer, tokenizer.encode("a\ud83dz")) == "a\ufffdz"
    assert tokenizer.encode("") == []


@pytest.mark.parametrize(
    ("pre", "add", "expected"), [("smollm", None, False), ("llama-bpe", None, True), ("llama-bpe", False, False)]
)
def test_whether_a_text_begins_with_bos(tmp_path, pre, add, expected):
    """As the file says; where it says nothing, as llama.cpp does."""
    said = {} if add is None else {"add_bos_token": add}
    assert _byte_level(tmp_path, pre=pre, **said).add_bos is expected


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"model": "bert"}, "of the kind 'bert'"),
        ({"pre": "unheard-of"}, "'unheard-of'.*known are default"),
        ({"tokens": []}, "weights without a tokenizer"),
        ({"token_type": [1]}, "another number of token types"),
        ({"merges": ["a zz"]}, "is broken"),
        ({"merges": ["a"]}, "is broken"),
        ({"model": "llama"}, "another number of scores"),
        ({"token_type": ["a"] * 259}, "token types that are no whole numbers"),
        ({"token_type": [math.nan] * 259}, "token types that are no whole numbers"),
        ({"token_type": [math.inf] * 259}, "token types that are no whole numbers"),
        ({"model": "llama", "scores": ["a"] * 259}, "scores that are no numbers"),
        ({"model": "llama", "scores": [math.nan] * 259}, "scores that are no numbers"),
        ({"model": "llama", "scores": [0.0] * 259, "tokens": ["a" * 1_025, *map(str, range(258))]}, "is too long"),
    ],
)
def test_a_broken_tokenizer_is_refused_by_name(tmp_path, metadata, message):
    """The library's own exceptions do not come through."""
    with pytest.raises(ModelFormatError, match=message):
        _byte_level(tmp_path, **metadata)


def test_a_vocabulary_beyond_the_limit_is_refused(tmp_path, monkeypatch):
    """By the number of its tokens."""
    row = limits.LIMITS["tokenizer.tokens"]
    monkeypatch.setitem(limits.LIMITS, "tokenizer.tokens", replace(row, default=258))
    with pytest.raises(ModelFormatError, match=r"tokenizer\.ggml\.tokens of 259 items"):
        _byte_level(tmp_path)


def test_a_failure_inside_the_library_is_an_error_with_a_name(tmp_path, monkeypatch):
    """Its panics are no Exception, and would pass by every handler."""

    class PanicException(BaseException):
        """As pyo3 calls it."""

    class Panics:
        def __init__(self, *_arguments, **_named):
            pass

        def encode(self, _text, **_named):
            raise PanicException("index out of bounds")

    monkeypatch.setattr("tokenizers.Tokenizer", Panics)
    tokenizer = _byte_level(tmp_path).tokenizer
    with pytest.raises(ModelFormatError, match="fails on a text"):
        tokenizer.encode("x")


def test_without_token_types_the_named_ids_are_special(tmp_path):
    """Old files have no types: what bos and eos name must still not come out of text."""
    path = write_gguf(
        tmp_path / "m",
        {
            "tokenizer.ggml.model": "gpt2",
            "tokenizer.ggml.tokens": [*BYTE_OF, "ab", "<|endoftext|>"],
            "tokenizer.ggml.merges": ["a b"],
            "tokenizer.ggml.eos_token_id": 257,
        },
    )
    tokenizer = _load(path).tokenizer
    assert tokenizer.special("<|endoftext|>") == 257
    assert 257 not in tokenizer.encode("<|endoftext|>")
    assert tokenizer.encode("ab") == [256]


@pytest.fixture(scope="module")
def trained():
    """A small SentencePiece model: (its processor, its pieces)."""
    sentencepiece = pytest.importorskip("sentencepiece")
    corpus = ["def add(a, b): return a + b", "the quick brown fox jumps over the lazy dog", "class Point: pass"] * 20
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus),
        model_writer=model,
        model_type="bpe",
        vocab_size=330,
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        minloglevel=2,
    )
    return sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())


def _sentencepiece(tmp_path, trained, **metadata):
    count = trained.get_piece_size()

    def kind(number):
        if trained.is_unknown(number):
            return UNKNOWN
        return CONTROL if trained.is_control(number) else BYTE if trained.is_byte(number) else NORMAL

    return _load(
        write_gguf(
            tmp_path / "m",
            {
                "tokenizer.ggml.model": "llama",
                "tokenizer.ggml.tokens": [trained.id_to_piece(number) for number in range(count)],
                "tokenizer.ggml.scores": [float(trained.get_score(number)) for number in range(count)],
                "tokenizer.ggml.token_type": [kind(number) for number in range(count)],
                "tokenizer.ggml.bos_token_id": trained.bos_id(),
                "tokenizer.ggml.eos_token_id": trained.eos_id(),
                **{f"tokenizer.ggml.{key}": value for key, value in metadata.items()},
            },
        )
    )


def test_a_sentencepiece_vocabulary_gives_sentencepiece_ids(tmp_path, trained):
    """Merges made of scores cut text as SentencePiece itself does, byte fallback included."""
    files = _sentencepiece(tmp_path, trained)
    texts = [
        "def add(a, b): return a + b",
        "the lazy fox",
        "  two  spaces",
        "naïve ü 你好 😀",
        "a\n\tb",
        "</s><s><unk>",
    ]
    for text in texts:
        assert files.tokenizer.encode(text) == trained.encode(text), text
    assert files.add_bos is True
    assert files.stop_ids == frozenset({trained.eos_id()})
    assert files.tokenizer.special("</s>") == trained.eos_id()


def test_the_prefix_space_is_added_only_where_the_file_wants_it(tmp_path, trained):
    """`add_space_prefix` false: the text comes back as it went in."""
    tokenizer = _sentencepiece(tmp_path, trained, add_space_prefix=False).tokenizer
    for text in ("the fox", " x", "é😀"):
        assert _text(tokenizer, tokenizer.encode(text)) == text
    assert tokenizer.token_bytes(trained.piece_to_id("<0xC3>")) == b"\xc3"


# --- the embedded model ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def smollm2(tmp_path_factory):
    return load_tokenizer(resolve("smollm2", cache=tmp_path_factory.mktemp("cache")))


@pytest.mark.real_model
def test_each_special_token_of_the_embedded_model_stays_text(smollm2):
    """All 17, alone and inside a sentence."""
    tokenizer = smollm2.tokenizer
    ids = {tokenizer.special(text) for text in cases.SMOLLM2}
    assert None not in ids
    for text in cases.SMOLLM2:
        for around in (text, f"a{text}b", f" {text}\n", text * 3):
            assert not ids & set(tokenizer.encode(around)), around
    assert smollm2.stop_ids == frozenset({0, 2})


@pytest.mark.real_model
@given(text=st.text())
@settings(deadline=None)
def test_every_text_comes_back_from_the_embedded_tokenizer(smollm2, text):
    """decode(encode(t)) is t without the bytes that this vocabulary has no token for: it was trained without them."""
    text = "".join(char for char in text if not 0xD800 <= ord(char) <= 0xDFFF)
    tokenizer = smollm2.tokenizer
    lacking = set(range(256)) - {byte[0] for number in range(49_152) if len(byte := tokenizer.token_bytes(number)) == 1}
    expected = bytes(byte for byte in text.encode() if byte not in lacking)
    assert b"".join(map(tokenizer.token_bytes, tokenizer.encode(text))) == expected


@pytest.mark.real_model
def test_ids_equal_those_of_llama_cpp(smollm2, tmp_path):
    """2,000 strings, every special token written as text among them, against llama.cpp's own tokenizer.

    It takes U+001C to U+001F for white space, which Unicode, transformers and so we do not.
    """
    xllamacpp = pytest.importorskip("xllamacpp")
    path = resolve("smollm2", cache=tmp_path).path
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_ctx, params.verbosity, params.warmup, params.ui = 256, -1, False, False
    where = str(tmp_path / "x.sock")
    params.hostnames, params.api_keys = [where], ["k"]
    server = xllamacpp.Server(params)
    texts = [text for text in cases.smollm2_texts() if not set(text) & set("\x1c\x1d\x1e\x1f")]
    expected = [_ask(where, text) for text in texts]
    wrong = [text for text, ids in zip(texts, expected, strict=True) if smollm2.tokenizer.encode(text) != ids]
    del server
    assert len(texts) > 1_900
    assert wrong == []


def _ask(where, text):
    body = json.dumps({"content": text, "add_special": False, "parse_special": False}).encode()
    head = f"POST /tokenize HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\nContent-Length: {len(body)}\r\n"
    head += "Content-Type: application/json\r\nConnection: close\r\n\r\n"
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(where)
        connection.sendall(head.encode() + body)
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    return json.loads(answer.partition(b"\r\n\r\n")[2])["tokens"]


@pytest.mark.real_model
def test_loading_the_tokenizer_is_quick(smollm2, tmp_path):
    """Prints the time to build it and to encode 100 kB; asserts only that it works."""
    located = resolve("smollm2", cache=tmp_path)
    begin = time.perf_counter()
    tokenizer = load_tokenizer(located).tokenizer
    built = time.perf_counter()
    count = len(tokenizer.encode("def add(a, b):\n    return a + b\n" * 3_000))
    print(f"build {built - begin:.3f} s, encode {count} tokens {time.perf_counter() - built:.3f} s")
    assert count > 0
    assert REGISTRY["smollm2"].name == located.name
