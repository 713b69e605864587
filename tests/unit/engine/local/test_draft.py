from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.engine.local.draft import Drafter, DraftPolicy, NgramIndex

IDS = st.lists(st.integers(0, 2), max_size=40)
STEP = 1.0  # what a plain pass costs here, in any unit


def naive(ids: list[int], count: int, shortest: int, longest: int) -> list[int]:
    """The definition: look back for the longest end of `ids`, and go on as the text did there."""
    for size in range(longest, shortest - 1, -1):
        for begin in range(len(ids) - size - 1, -1, -1):
            if ids[begin : begin + size] == ids[len(ids) - size :]:
                text = list(ids)
                for at in range(begin + size, begin + size + count):
                    text.append(text[at])
                return text[len(ids) :]
    return []


@given(IDS, IDS, st.integers(1, 3), st.integers(0, 3), st.integers(1, 6))
def test_the_last_longest_run(prompt: list[int], answer: list[int], shortest: int, more: int, count: int) -> None:
    """The guess is what followed the longest known run where it stood last, in the prompt or in the answer."""
    index = NgramIndex(prompt, shortest=shortest, longest=shortest + more)
    for token_id in answer:
        index.append(token_id)
    assert index.propose(count) == naive(prompt + answer, count, shortest, shortest + more)


def test_a_run_goes_on() -> None:
    """Where the text repeats itself the guess is as long as it may be, not only up to the end of the text."""
    assert NgramIndex([5, 6] * 3, shortest=2, longest=4).propose(5) == [5, 6, 5, 6, 5]


def passes(policy: DraftPolicy, tokens: int, right: int, cost: float) -> tuple[int, float]:
    """Let a policy make `tokens` where of each guess the first `right` are right; give passes and cost."""
    count, spent = 0, 0.0
    while tokens > 0:
        drafted = policy.length
        accepted = min(drafted, right)
        seconds = STEP + cost * drafted
        if drafted:
            policy.verified(drafted, accepted, seconds)
        else:
            policy.stepped(seconds)
        tokens -= 1 + accepted
        count, spent = count + 1, spent + seconds
    return count, spent


def test_it_measures_before_it_guesses() -> None:
    """The first token is computed plainly: without its cost nobody can say whether guessing pays."""
    policy = DraftPolicy()
    assert policy.length == 0
    policy.stepped(STEP)
    assert policy.length == limit("draft.tokens_min")


def test_right_guesses_grow() -> None:
    """Guesses that come out right get longer up to the limit, and a copy takes a fraction of the passes."""
    policy = DraftPolicy()
    lengths = []
    for _ in range(8):
        lengths.append(policy.length)
        if policy.length:
            policy.verified(policy.length, policy.length, STEP)
        else:
            policy.stepped(STEP)
    assert all(before <= after for before, after in pairwise(lengths))
    assert lengths[-1] == limit("draft.tokens_max")
    assert passes(DraftPolicy(), 1_000, right=1_000, cost=0.1)[0] < 100


def test_wrong_guesses_cost_little() -> None:
    """Where every guess is wrong, or a pass over several tokens is too dear, the whole costs 3 percent more at most."""
    for right, cost in ((0, 0.15), (1_000, 1.5)):
        spent = passes(DraftPolicy(), 1_000, right=right, cost=cost)[1]
        assert STEP * 1_000 <= spent <= STEP * 1_000 * 1.03


def test_it_looks_again() -> None:
    """After a long stretch of wrong guesses a copy is found within the longest rest."""
    policy = DraftPolicy()
    passes(policy, 2_000, right=0, cost=0.15)
    assert passes(policy, 2_000, right=1_000, cost=0.1)[0] < limit("draft.rest_max") + 2_000 // 8


def test_a_wrong_end_shortens() -> None:
    """Of a guess that was right up to a place, the next is about that long."""
    policy = DraftPolicy()
    policy.stepped(STEP)
    policy.verified(4, 4, STEP)
    policy.verified(8, 5, STEP)
    assert policy.length == 6


def test_one_slow_step_changes_nothing() -> None:
    """A pause or a busy machine makes one plain step look dear; the measure is the median of several."""
    policy = DraftPolicy()
    for seconds in (STEP, STEP, 1_000.0):
        policy.stepped(seconds)
    policy.verified(4, 0, 1.5 * STEP)
    assert policy.length == 0


def test_room() -> None:
    """A drafter never proposes more than there is room for."""
    drafter = Drafter([1, 2, 3, 4, 1, 2, 3])
    drafter.policy.stepped(STEP)
    assert drafter.propose(2) == [4, 1]
    assert drafter.propose(0) == []
    drafter.append(9)
    assert drafter.propose(4) == []
