"""Holding tokens to a structure with llguidance, which is imported by the first request that has one.

A JSON document comes out on one line, written as Python's `json.dumps` does: where any blank is allowed, small models
fall into endless ones.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from leanvibe_lsp.engine.structured import Structure
from leanvibe_lsp.errors import BackendError, UsageError

if TYPE_CHECKING:
    from leanvibe_lsp.engine.base import Tokenizer

_JSON = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
_PREFIX = "\x02"  # stands alone in every vocabulary


class Grammars:
    """Makes the grammars of one model. Its vocabulary is handed to llguidance once, at the first request.

    `width` is the number of logits, `stop_ids` the tokens that may end a structure that could also go on.
    """

    def __init__(self, tokenizer: Tokenizer, stop_ids: frozenset[int], width: int) -> None:
        self._tokenizer = tokenizer
        self._stop_ids = stop_ids
        self._width = width
        self._vocabulary: Any = None

    def grammar(self, structure: Structure) -> Grammar:
        """A grammar at its beginning. Raises UsageError for what llguidance cannot hold, BackendError without it."""
        library = _library()
        if self._vocabulary is None:
            self._vocabulary = _vocabulary(library, self._tokenizer, self._stop_ids)
        try:
            source = (
                library.LLMatcher.grammar_from_regex(_any_of(structure.choices))
                if structure.choices
                else library.LLMatcher.grammar_from_json_schema(structure.schema, overrides=_JSON)
            )
            matcher = library.LLMatcher(self._vocabulary, source, log_level=0)
        except ValueError as error:  # UnicodeEncodeError is one: half a surrogate pair
            raise _unusable(str(error)) from error
        if matcher.is_error():
            raise _unusable(matcher.get_error())
        return Grammar(matcher, self._stop_ids, self._width)


class Grammar:
    """Where a text stands in its structure. Raises UsageError where llguidance gives up: another request may do."""

    def __init__(self, matcher: Any, stop_ids: frozenset[int], width: int) -> None:
        self._matcher = matcher
        self._stop_ids = stop_ids
        self._width = width

    def take(self, token_id: int) -> bool:
        """Go on with an allowed token; True when the structure is whole and nothing may follow."""
        self._matcher.consume_token(token_id)
        self._check()
        return bool(self._matcher.is_stopped())

    def forced(self, count: int) -> list[int]:
        """At most `count` tokens that must come next; [] where there is a choice."""
        return list(self._matcher.compute_ff_tokens()[:count])

    def cut(self, draft: Sequence[int]) -> list[int]:
        """The beginning of `draft` that may come next and does not end the text."""
        allowed = list(draft[: self._matcher.validate_tokens(list(draft))])
        return allowed[: next((at for at, one in enumerate(allowed) if one in self._stop_ids), len(allowed))]

    def allowed(self, draft: Sequence[int]) -> Any:
        """Which tokens may come next, and which after each of `draft`: bool, shape (1 + len(draft), width), in numpy.

        After a draft that completes the structure a row may be empty.
        """
        import numpy

        rows = numpy.zeros((1 + len(draft), self._width), dtype=bool)
        for row, token_id in zip(rows, [None, *draft], strict=True):
            if token_id is not None:
                self._matcher.consume_token(token_id)
            bits = numpy.frombuffer(self._matcher.compute_bitmask(), dtype=numpy.uint8)
            self._check()
            known = numpy.unpackbits(bits, count=min(self._width, 8 * len(bits)), bitorder="little")
            row[: len(known)] = known
            if not row.any() and not self._matcher.is_stopped():
                raise _unusable("the model has no token for what it asks for")
        self._matcher.rollback(len(draft))
        self._check()
        return rows

    def _check(self) -> None:
        if self._matcher.is_error():
            raise _unusable(f"llguidance gave up: {self._matcher.get_error()}")


class _Pieces:
    """A tokenizer the way llguidance's `TokenizerWrapper` asks for it."""

    bos_token_id = None

    def __init__(self, tokenizer: Tokenizer, stop_ids: frozenset[int]) -> None:
        self._tokenizer = tokenizer
        texts = [tokenizer.token_bytes(token_id) for token_id in range(tokenizer.vocabulary_size)]
        # Without a stop token there is still a name for the end, which no logit stands for.
        self.eos_token_id = min(stop_ids, default=len(texts))
        special = {token_id for token_id, text in enumerate(texts) if not text} | stop_ids | {self.eos_token_id}
        self.special_token_ids = sorted(special)
        self.tokens = [
            b"<|%d|>" % token_id if token_id in special else texts[token_id]
            for token_id in range(max(len(texts), self.eos_token_id + 1))
        ]

    def __call__(self, data: bytes) -> list[int]:
        """Ids of UTF-8 text in the middle of a text: without the blank that SentencePiece begins one with."""
        text = data.decode(errors="replace")
        ids = self._tokenizer.encode(text)
        if b"".join(self.tokens[one] for one in ids) == data:
            return ids
        return self._tokenizer.encode(_PREFIX + text)[len(self._tokenizer.encode(_PREFIX)) :]


def _vocabulary(library: Any, tokenizer: Tokenizer, stop_ids: frozenset[int]) -> Any:
    pieces = _Pieces(tokenizer, stop_ids)
    return library.LLTokenizer(library.TokenizerWrapper(pieces), eos_token=sorted(stop_ids) or [pieces.eos_token_id])


def _any_of(choices: Sequence[str]) -> str:
    """A regular expression for these texts: every character is written as its number, so that none is an operator."""
    return "|".join("".join(f"\\x{{{ord(char):x}}}" for char in choice) for choice in choices)


def _library() -> Any:
    try:
        import llguidance
    except ImportError as error:
        raise BackendError(
            f"Structured output on MLX needs llguidance: {error}.", next_step="Run `pip install 'leanvibe-lsp[mlx]'`."
        ) from error
    return llguidance


def _unusable(said: str) -> UsageError:
    said = " ".join(re.split("<(?:backtrace|state)>", said)[0].split())  # behind these is what helps its authors alone
    return UsageError(f"This structure cannot be held: {said}.", next_step="Use a simpler JSON schema, or choices.")
