from __future__ import annotations

import itertools
import re

from hypothesis import given
from hypothesis import strategies as st

from leanvibe_lsp.assist.answer import Turn
from leanvibe_lsp.assist.prompt import SYSTEM, fenced, messages, newest_turns
from leanvibe_lsp.documents.context import Block


def test_the_order_of_a_conversation() -> None:
    """Instructions, earlier turns, then the code with its lines, and the question last."""
    block = Block("file:///a.py", "a.py lines 3-4", 2, 3, "x = 1\ny = 2\n", "selection")
    found = messages("Why?", [block], [Turn("user", "Hi"), Turn("assistant", "Hello")])
    assert [(message.role, message.content) for message in found] == [
        ("system", SYSTEM),
        ("user", "Hi"),
        ("assistant", "Hello"),
        ("user", "a.py lines 3-4 (selection):\n```\nx = 1\ny = 2\n```\n\nWhy?"),
    ]


@given(st.text(alphabet="`ab\n"))
def test_nothing_inside_closes_the_fence(text: str) -> None:
    """The fence is longer than every run of backticks inside."""
    lines = fenced(text).split("\n")
    assert lines[0] == lines[-1]
    assert re.fullmatch("`{3,}", lines[0])
    assert lines[0] not in "\n".join(lines[1:-1])


_TURNS = st.lists(st.builds(Turn, st.sampled_from(["user", "assistant"]), st.text(max_size=9)), max_size=12)


@given(_TURNS, st.integers(-5, 60))
def test_the_newest_turns_within_the_budget(history: list[Turn], budget: int) -> None:
    """A run of the newest turns, beginning with the user's, within the budget; the rest is counted."""
    kept, dropped = newest_turns(history, budget, len)
    assert list(kept) == history[dropped:]
    assert sum(len(turn.content) for turn in kept) <= max(0, budget)
    assert not kept or kept[0].role == "user"


@given(_TURNS)
def test_roles_take_turns(history: list[Turn]) -> None:
    """Whatever the history, no two neighbours have one role, and every word is still there in order."""
    found = messages("Why?", [], history)
    assert all(first.role != second.role for first, second in itertools.pairwise(found))
    assert "\n\n".join(message.content for message in found) == "\n\n".join(
        (SYSTEM, *(t.content for t in history), "Why?")
    )
