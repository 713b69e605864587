from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanvibe_lsp.engine.base import Alternative, Loaded
from leanvibe_lsp.engine.mock import CharacterTokenizer
from leanvibe_lsp.engine.models.selftest import KNOWN_ANSWERS, Probe, State, Verdict, judge, run_selftest

LOADED = Loaded(64, 0, "cpu", CharacterTokenizer(), "")


def probes(*probabilities: float) -> list[Probe]:
    return [Probe(f"prompt {index}", " answer", value) for index, value in enumerate(probabilities)]


@pytest.mark.parametrize(
    ("figures", "state"),
    [
        ([0.9] * 8, State.VERIFIED),
        ([0.89, 0.77, 0.99, 0.95, 0.8, 0.9, 0.85, 0.97], State.VERIFIED),  # about SmolLM2's own
        ([0.7] * 8, State.VERIFIED),
        ([0.6] * 8, State.DEGRADED),
        ([0.9] * 7 + [0.0], State.DEGRADED),
        ([0.9] * 6 + [0.1, 0.1], State.DEGRADED),
        ([0.9] * 5 + [0.0] * 3, State.UNVERIFIED),
        ([0.4] * 8, State.UNVERIFIED),
        ([0.0] * 8, State.UNVERIFIED),
        ([1 / 49_152] * 8, State.UNVERIFIED),  # random weights
        ([0.25] * 8, State.UNVERIFIED),
    ],
)
def test_the_verdict_over_planted_figures(figures: list[float], state: State) -> None:
    """Real models are verified, weak ones degraded, random and damaged ones refused."""
    verdict = judge(probes(*figures))
    assert verdict.state is state
    assert verdict.mean == pytest.approx(sum(figures) / len(figures))
    assert f"of {len(figures)} known answers" in verdict.summary
    assert verdict.summary.startswith(str(state))


@given(st.lists(st.floats(0, 1), min_size=8, max_size=8), st.integers(0, 7), st.floats(0, 1))
def test_a_better_answer_never_worsens_the_verdict(figures: list[float], index: int, better: float) -> None:
    """Raising one probability never lowers the state."""
    order = [State.UNVERIFIED, State.DEGRADED, State.VERIFIED]
    raised = figures.copy()
    raised[index] = max(raised[index], better)
    assert order.index(judge(probes(*raised)).state) >= order.index(judge(probes(*figures)).state)


def answering(text: str, logprob: float) -> list[Probe]:
    """The probes of a model that says `text` to everything."""

    def next_token(prompt: tuple[int, ...]) -> Sequence[Alternative]:
        return [Alternative(0, text, logprob)]

    return list(run_selftest(LOADED, next_token).probes)


def planted(*alternatives: tuple[str, float]) -> float:
    """The probability that the first known answer, " b", gets when the model says these."""

    def next_token(prompt: tuple[int, ...]) -> Sequence[Alternative]:
        return [Alternative(index, text, logprob) for index, (text, logprob) in enumerate(alternatives)]

    return run_selftest(LOADED, next_token).probes[0].probability


def test_every_known_answer_is_asked_with_its_own_prompt() -> None:
    """Each prompt is encoded by the model's tokenizer and asked once; an engine that knows them is verified."""
    asked: list[str] = []

    def next_token(prompt: tuple[int, ...]) -> Sequence[Alternative]:
        asked.append("".join(map(chr, prompt)))
        return [Alternative(0, dict(KNOWN_ANSWERS)[asked[-1]], math.log(0.9))]

    verdict = run_selftest(LOADED, next_token)
    assert verdict.state is State.VERIFIED
    assert asked == [prompt for prompt, _ in KNOWN_ANSWERS]


class TokenizerWithBegin(CharacterTokenizer):
    """Has one special token, <bos>, with the id 7."""

    def special(self, text: str) -> int | None:
        """7, or None."""
        return 7 if text == "<bos>" else None


@pytest.mark.parametrize(
    ("add_bos", "special_text", "begin"),
    [(True, {"bos_token": "<bos>"}, (7,)), (False, {"bos_token": "<bos>"}, ()), (True, {}, ())],
)
def test_a_model_that_wants_a_begin_gets_it(
    add_bos: bool, special_text: dict[str, str], begin: tuple[int, ...]
) -> None:
    """Each prompt begins with the BOS of a model that has one and wants it, and with none for others."""
    asked: list[tuple[int, ...]] = []

    def next_token(prompt: tuple[int, ...]) -> Sequence[Alternative]:
        asked.append(prompt)
        return []

    run_selftest(
        replace(LOADED, tokenizer=TokenizerWithBegin(), special_text=special_text, add_bos=add_bos), next_token
    )
    assert asked == [(*begin, *map(ord, prompt)) for prompt, _ in KNOWN_ANSWERS]


def test_prefixes_and_longer_tokens_count() -> None:
    """Tokenizers cut differently: " b" is met by " b" and by " by"; their probabilities add up."""
    assert planted((" b", math.log(0.5))) == pytest.approx(0.5)
    assert planted((" b", math.log(0.5)), (" b)", math.log(0.25))) == pytest.approx(0.75)
    assert planted((" x", math.log(0.9))) == 0.0
    point = next(index for index, (_, expected) in enumerate(KNOWN_ANSWERS) if expected == " Paris")
    assert answering(" Par", math.log(0.8))[point].probability == pytest.approx(0.8)


@pytest.mark.parametrize("text", ["", " ", "\n", "\t ", "\u00a0"])
def test_white_space_never_counts(text: str) -> None:
    """A model that says white space to everything knows nothing, though each answer begins with a space."""
    assert all(probe.probability == 0.0 for probe in answering(text, 0.0))


@pytest.mark.parametrize("logprob", [math.nan, math.inf, 5.0, 1_000.0])
def test_what_is_no_probability_counts_as_zero(logprob: float) -> None:
    """NaN, infinity and logprobs far above 0, as damaged weights give, are 0: never a pass, never an exception."""
    assert planted((" b", logprob)) == 0.0
    assert planted((" b", -0.1), (" b)", logprob)) == 0.0


def test_minus_infinity_and_rounding() -> None:
    """-inf is a plain 0; a hair above 0 is rounding, and counts as certain."""
    assert planted((" b", -math.inf)) == 0.0
    assert planted((" b", 1e-6)) == 1.0
    assert planted((" b", math.log(0.7)), (" b)", math.log(0.31))) == 1.0


def test_an_engine_that_says_nothing_is_unverified() -> None:
    """No alternatives at all: every probe is 0."""
    verdict = run_selftest(LOADED, lambda _: [])
    assert verdict.state is State.UNVERIFIED
    assert verdict.mean == 0.0


@pytest.mark.parametrize(
    ("state", "doubt", "becomes"),
    [
        (State.VERIFIED, "", State.VERIFIED),
        (State.VERIFIED, "w: zeros alone", State.DEGRADED),
        (State.DEGRADED, "w: zeros alone", State.DEGRADED),
        (State.UNVERIFIED, "w: zeros alone", State.UNVERIFIED),
    ],
)
def test_no_model_with_a_doubt_is_verified(state, doubt, becomes):
    """The known answers look at eight moments; zeros in a matrix are seen without them."""
    assert Verdict(state, 0.9, ()).doubted(doubt).state == becomes
