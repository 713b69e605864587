"""What a model's own probabilities say about its answer. Pure.

Raw: it says how sure the model was of its words, not how often such an answer is right. `tiers/calibrated.py` makes a
probability of it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.engine.base import Alternative, Chunk
from leanvibe_lsp.engine.structured import Structure

_JSON_STRING = re.compile(r'("(?:[^"\\]|\\.)*")(\s*:)?')


@dataclass(frozen=True, slots=True)
class Signs:
    """What one generation shows of its own sureness; every number is finite.

    `mean` and `worst` are probabilities: of all tokens, and of the least probable span (its geometric mean).
    `entropy` (nats) and `doubtful` (the share of improbable ones) are of the tokens that decide. `choice` is the
    probability of the chosen text against the other choices; None where there was nothing to choose from. `whole` is
    False for a text that was cut or began to repeat itself.
    """

    tokens: int
    mean: float
    worst: float
    entropy: float
    doubtful: float
    choice: float | None = None
    whole: bool = True


def signs_of(
    chunks: Sequence[Chunk], *, prompt: Sequence[int] = (), structure: Structure | None = None, whole: bool = True
) -> Signs:
    """The signs of a generation, in the order of its chunks.

    The tokens that decide are those with letters or digits, without JSON's own words and without what only goes on
    repeating the `prompt`; without any such token, all of them. Tokens without a probability count as impossible.
    """
    probabilities = [_probability(chunk.logprob) for chunk in chunks]
    schema = structure is not None and bool(structure.schema)
    deciding = list(_deciding(chunks, prompt, schema=schema)) or list(range(len(chunks)))
    doubtful = sum(probabilities[at] * 100 < limit("confidence.doubtful_percent") for at in deciding)
    choices = structure.choices if structure is not None else ()
    return Signs(
        tokens=len(chunks),
        mean=_mean(probabilities),
        worst=worst_span([chunk.logprob for chunk in chunks], limit("confidence.window")),
        entropy=_mean([entropy_of(chunks[at]) for at in deciding]),
        doubtful=doubtful / len(deciding) if deciding else 0.0,
        choice=choice_probability(chunks, choices) if choices else None,
        whole=whole,
    )


def mean_token_probability(logprobs: Sequence[float]) -> float:
    """Arithmetic mean of the chosen tokens' probabilities, 0.0 to 1.0; 0.0 for none. NaN counts as 0.0."""
    return _mean([_probability(one) for one in logprobs])


def worst_span(logprobs: Sequence[float], window: int) -> float:
    """The lowest geometric mean of the probabilities of `window` tokens in a row, or of all of fewer; 0.0 for none."""
    if not logprobs:
        return 0.0
    held = [math.log(one) if (one := _probability(logprob)) > 0 else -math.inf for logprob in logprobs]
    size = max(1, min(window, len(held)))
    return min(math.exp(min(0.0, sum(held[at : at + size]) / size)) for at in range(len(held) - size + 1))


def entropy_of(chunk: Chunk) -> float:
    """How undecided the model was at a token, in nats: by its alternatives, else by that token's probability alone.

    What is not listed counts as one more token, so it is never more than the true entropy.
    """
    listed = {_key(one): _probability(one.logprob) for one in chunk.top}
    listed[chunk.token_id if chunk.token_id is not None else chunk.text] = _probability(chunk.logprob)
    rest = max(0.0, 1.0 - math.fsum(listed.values()))
    return math.fsum(-one * math.log(one) for one in (*listed.values(), rest) if one > 0)


def choice_probability(chunks: Sequence[Chunk], choices: Sequence[str]) -> float:
    """How probable the chosen text was among `choices`, from the tokens at which they part; 0.0 for no choice.

    Exact where the alternatives show every choice that is left; one they do not show counts as much as the least they
    do, so of the likeliest choice it is never more than the truth.
    """
    answer = "".join(chunk.text for chunk in chunks)
    if answer not in choices:
        return 0.0
    end = chunks[-1].token_id if chunks and not chunks[-1].text else None
    found, said = 1.0, ""
    for chunk in chunks:
        left = [one for one in choices if one.startswith(said)]
        if len(left) < 2:
            break
        found *= _share(chunk, said, answer, left, end)
        said += chunk.text
    return found


def _share(chunk: Chunk, said: str, answer: str, left: Sequence[str], end: int | None) -> float:
    """The probability of the tokens that go on towards `answer`, among those that go on towards any of `left`."""
    taken = _probability(chunk.logprob)
    others = [one for one in chunk.top if _key(one) != (chunk.token_id if chunk.token_id is not None else chunk.text)]
    shown = {one for one in left if _goes_on(one, said, chunk.text)}
    towards, away = taken, 0.0
    for other in others:
        text = "" if other.token_id == end is not None else other.text
        if not text and other.token_id != end:
            continue
        reached = {one for one in left if _goes_on(one, said, text)}
        shown |= reached
        if answer in reached:
            towards += _probability(other.logprob)
        elif reached:
            away += _probability(other.logprob)
    least = min((_probability(one.logprob) for one in others), default=taken)
    away += min(taken, least) * len(set(left) - shown)
    return towards / (towards + away) if towards > 0 else 0.0


def _goes_on(choice: str, said: str, text: str) -> bool:
    """Whether a choice is still possible after `text`, or is whole where nothing follows."""
    return choice.startswith(said + text) if text else choice == said


def _deciding(chunks: Sequence[Chunk], prompt: Sequence[int], *, schema: bool) -> Iterator[int]:
    """The places of the tokens that decide something."""
    size = limit("confidence.copied_tokens")
    known = {tuple(prompt[at : at + size]) for at in range(len(prompt) - size + 1)}
    ids = [chunk.token_id for chunk in chunks]
    scaffold = _scaffolding("".join(chunk.text for chunk in chunks)) if schema else frozenset()
    begin = 0
    for at, chunk in enumerate(chunks):
        end = begin + len(chunk.text)
        own = [chunk.text[place - begin] for place in range(begin, end) if place not in scaffold]
        begin = end
        copied = at + 1 >= size and tuple(ids[at + 1 - size : at + 1]) in known
        if not copied and any(one.isalnum() for one in own):
            yield at


def _scaffolding(text: str) -> frozenset[int]:
    """The places of a JSON document's keys."""
    keys = (found.span(1) for found in _JSON_STRING.finditer(text) if found[2])
    return frozenset(place for begin, end in keys for place in range(begin, end))


def _key(one: Alternative) -> int | str:
    return one.token_id if one.token_id is not None else one.text


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else 0.0


def _probability(logprob: float) -> float:
    # Rounding can put a logprob a little above 0. NaN is no certainty: min(0.0, nan) would be 0.0, and so 1.0.
    return 0.0 if math.isnan(logprob) else math.exp(min(0.0, logprob))
