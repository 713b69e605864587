"""A file as units that are walked one by one, and what each depends on beside its own text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b

from tree_sitter import Node

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.tiers.flow.module import Module
from leanvibe_lsp.tiers.flow.words import CALL, MARKS, Told, groups_in, with_renamed, words_of


@dataclass(frozen=True, slots=True)
class Unit:
    """A definition by its name (`Class.method`), or all loose code, whose name is empty."""

    name: str
    nodes: tuple[Node, ...]
    data: bytes
    words: set[bytes]

    @property
    def called(self) -> bytes:
        """The word by which it is called."""
        return self.name.rpartition(".")[2].encode("utf-8", "replace") + CALL


class Units:
    """`told` are the words behind which strangers may write: `strangers`, and names of the file that stand for them.

    `starts` are the first bytes of the functions in which something is read that strangers write.
    """

    def __init__(self, module: Module, names: Mapping[bytes, bytes], strangers: Told) -> None:
        self.module = module
        data = module.lowering.data
        loose = b"\n".join(data[node.start_byte : node.end_byte] for node in module.loose)
        self.units = [Unit("", tuple(module.loose), loose, with_renamed(words_of(loose), names))]
        for name, node in module.functions.items():
            text = data[node.start_byte : node.end_byte]
            self.units.append(Unit(name, (node,), text, with_renamed(words_of(text), names)))
        self._by_word: dict[bytes, list[Unit]] = {}
        self._groups: dict[str, frozenset[str]] = {}
        told = dict(strangers)
        for unit in self.units[1:]:
            self._by_word.setdefault(unit.called, []).append(unit)
            groups = self._groups[unit.name] = groups_in(unit.words, strangers)
            if groups and not unit.name.endswith("__"):
                told[unit.called] = told.get(unit.called, frozenset()) | groups
        if groups_in(self.units[0].words, strangers):
            for name, node in module.variables.items():
                groups = groups_in(words_of(data[node.start_byte : node.end_byte]), strangers)
                told |= {name.encode("utf-8", "replace") + mark: groups for mark in MARKS if groups}
        self.told: Told = told
        self.starts = frozenset(module.start(name) for name, groups in self._groups.items() if groups)

    def key(self, unit: Unit) -> bytes:
        """What the findings of a unit depend on, as a digest."""
        loose = self.units[0]
        seen, todo = {unit.name: unit, loose.name: loose}, [unit]
        for _ in range(int(limit("flow.calls"))):
            called = [other for at in todo for word in at.words & self._by_word.keys() for other in self._by_word[word]]
            todo = [other for other in {other.name: other for other in called}.values() if other.name not in seen]
            seen |= {other.name: other for other in todo}
        digest = blake2b(unit.name.encode("utf-8", "replace"), digest_size=16)
        if not unit.name:  # what stands between its parts is none of it, but moves them
            digest.update(repr([node.start_byte - unit.nodes[0].start_byte for node in unit.nodes]).encode())
        for name in (unit.name, *sorted(seen)):
            about = f"\0{name}\0{sorted(self._groups.get(name, ()))}\0".encode("utf-8", "replace")
            digest.update(about + seen[name].data)
        return digest.digest()
