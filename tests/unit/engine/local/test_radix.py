from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leanvibe_lsp.engine.local.radix import RadixTree

SEQUENCES = st.lists(st.integers(0, 2), max_size=12).map(tuple)  # few tokens: beginnings are shared


class Text(tuple[int, ...]):
    """A part that is the tokens it is held for."""

    def split(self, at: int) -> tuple[Text, Text]:
        """Both sides."""
        return Text(self[:at]), Text(self[at:])


class Tree:
    """A radix tree of `Text`s."""

    def __init__(self, capacity: int = 1_000) -> None:
        self.tree: RadixTree[Text] = RadixTree()
        self.capacity = capacity

    def insert(self, ids: tuple[int, ...]) -> None:
        """Hold `ids`."""
        self.tree.insert(ids, lambda start, stop: Text(ids[start:stop]), self.capacity)

    def found(self, ids: tuple[int, ...]) -> tuple[int, ...]:
        """The known beginning of `ids`, as the parts say."""
        return tuple(token for part, count in self.tree.find(ids) for token in part[:count])


def test_a_beginning_is_held_once() -> None:
    """Three sequences that begin alike are found whole, and hold their common beginning once."""
    tree = Tree()
    for ids in ((1, 2, 3, 4), (1, 2, 3, 5, 6), (1, 2, 7)):
        tree.insert(ids)
    assert tree.found((1, 2, 3, 4, 9)) == (1, 2, 3, 4)
    assert tree.found((1, 2, 3, 5, 6)) == (1, 2, 3, 5, 6)
    assert tree.found((1, 2, 8)) == (1, 2)
    assert tree.found((2,)) == ()
    assert sorted(tree.tree.parts()) == [(1, 2), (3,), (4,), (5, 6), (7,)]
    assert tree.tree.size == 7


def test_the_least_recently_used_goes_first() -> None:
    """Finding and inserting are uses; what others begin with stays longest."""
    tree = Tree(capacity=6)
    tree.insert((1, 2, 3))
    tree.insert((1, 2, 4))
    tree.insert((5, 6))
    tree.found((1, 2, 3))
    tree.insert((7,))
    assert tree.found((1, 2, 4)) == (1, 2)
    assert tree.found((1, 2, 3)) == (1, 2, 3)
    tree.insert((8, 8))
    assert tree.found((5, 6)) == ()
    tree.insert((9,) * 6)
    assert list(tree.tree.parts()) == [(9,) * 6]


def test_of_what_is_too_long_the_beginning_is_held() -> None:
    """A sequence above the capacity is cut at its end; without any capacity nothing is held."""
    tree = Tree(capacity=4)
    tree.insert((1, 2))
    tree.insert((1, 2, 3, 4, 5, 6))
    assert tree.found((1, 2, 3, 4, 5, 6)) == (1, 2, 3, 4)
    nothing = Tree(capacity=0)
    nothing.insert((1, 2))
    assert nothing.tree.size == 0


def test_a_failure_changes_nothing_that_is_held() -> None:
    """When a part cannot be made, the tree is as right as before."""
    tree = Tree()
    tree.insert((1, 2, 3))

    def fail(start: int, stop: int) -> Text:
        raise MemoryError

    with pytest.raises(MemoryError):
        tree.tree.insert((1, 2, 4), fail, 1_000)
    assert tree.found((1, 2, 4)) == (1, 2)
    assert tree.found((1, 2, 3)) == (1, 2, 3)
    assert tree.tree.size == 3


@settings(deadline=None)
@given(st.lists(SEQUENCES, max_size=20), st.integers(0, 40))
def test_whatever_comes_in_what_order(sequences: list[tuple[int, ...]], capacity: int) -> None:
    """What is found is a beginning of what was asked and was inserted; never more is held than the capacity."""
    tree, past = Tree(capacity), set[tuple[int, ...]]()
    for ids in sequences:
        longest = max((one for one in past if ids[: len(one)] == one), key=len, default=())
        found = tree.found(ids)
        assert found == ids[: len(found)]
        assert len(found) <= len(longest)
        if capacity >= sum(map(len, sequences)):
            assert found == longest
        tree.insert(ids)
        past.update(ids[:stop] for stop in range(len(ids) + 1))
        assert tree.found(ids) == ids[:capacity]
        assert tree.tree.size == sum(map(len, tree.tree.parts())) <= capacity
