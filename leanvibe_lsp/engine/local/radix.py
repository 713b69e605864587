"""A radix tree over token ids with room for so many tokens; the least recently used leaf goes first. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Generic, Protocol, Self, TypeVar


class Part(Protocol):
    """What is held for a run of tokens. It never changes."""

    def split(self, at: int) -> tuple[Self, Self]:
        """The first `at` tokens, and the others; neither keeps the whole alive."""
        ...


P = TypeVar("P", bound=Part)


class _Node(Generic[P]):
    __slots__ = ("children", "ids", "part", "siblings", "used")

    def __init__(self, ids: tuple[int, ...], part: P, siblings: _Level[P], used: int) -> None:
        self.ids = ids
        self.part = part
        self.siblings = siblings  # where it is found by its first token
        self.children: _Level[P] = {}
        self.used = used


_Level = dict[int, _Node[P]]


class RadixTree(Generic[P]):
    """Every token of every sequence is held once, whoever begins with it. `size` is in tokens."""

    def __init__(self) -> None:
        self._top: _Level[P] = {}
        self._now = 0
        self.size = 0

    def find(self, ids: Sequence[int]) -> list[tuple[P, int]]:
        """The longest known beginning of `ids`: parts in order, each with how many of its tokens belong to it."""
        path = self._path(ids)
        self._touch(path)
        return [(node.part, count) for node, count in path]

    def insert(self, ids: Sequence[int], make: Callable[[int, int], P], capacity: int) -> None:
        """Hold `ids`, or as much of its beginning as `capacity` tokens let; never more than those in all.

        `make(start, stop)` gives what is held for `ids[start:stop]`. Nothing is changed when it raises, but others may
        have gone to make room.
        """
        path = self._path(ids)
        known = sum(count for _, count in path)
        stop = min(len(ids), capacity)
        if stop > known and path:
            self._split(*path[-1])
        self._touch(path)
        if stop <= known:
            return
        self._evict(capacity - (stop - known))
        level = path[-1][0].children if path else self._top
        level[ids[known]] = _Node(tuple(ids[known:stop]), make(known, stop), level, self._now)
        self.size += stop - known

    def parts(self) -> Iterator[P]:
        """Everything that is held."""
        return (node.part for node in self._nodes())

    def _path(self, ids: Sequence[int]) -> list[tuple[_Node[P], int]]:
        """The nodes along `ids`, each with how many of its tokens fit: all of them, but in the last."""
        path: list[tuple[_Node[P], int]] = []
        level, at = self._top, 0
        while at < len(ids) and (node := level.get(ids[at])) is not None:
            count = _common(node.ids, ids[at : at + len(node.ids)])
            path.append((node, count))
            if count < len(node.ids):
                break
            level, at = node.children, at + count
        return path

    def _touch(self, path: list[tuple[_Node[P], int]]) -> None:
        self._now += 1
        for node, _count in path:
            node.used = self._now

    def _split(self, node: _Node[P], at: int) -> None:
        """Let `node` end after `at` tokens and go on in a child, which stays as old as it was."""
        if at == len(node.ids):
            return
        front, back = node.part.split(at)
        level: _Level[P] = {}
        child = level[node.ids[at]] = _Node(node.ids[at:], back, level, node.used)
        child.children = node.children
        node.ids, node.part, node.children = node.ids[:at], front, level

    def _evict(self, size: int) -> None:
        """Drop leaves until `size` tokens are held at most."""
        while self.size > size:
            leaf = min((node for node in self._nodes() if not node.children), key=lambda node: node.used)
            del leaf.siblings[leaf.ids[0]]
            self.size -= len(leaf.ids)

    def _nodes(self) -> Iterator[_Node[P]]:
        waiting = list(self._top.values())
        while waiting:
            node = waiting.pop()
            waiting.extend(node.children.values())
            yield node


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens the two begin with in common."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((index for index, (a, b) in pairs if a != b), min(len(one), len(other)))
