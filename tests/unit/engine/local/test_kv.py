from __future__ import annotations

from typing import Any

import pytest

from leanvibe_lsp.engine.local import kv


def filled(kind: type[Any], tokens: int) -> list[Any]:
    """Two layers that were fed `tokens` random states, one after the other."""
    from leanvibe_lsp.engine.local.arrays import mx

    layers = [kind(), kind()]
    for index in range(tokens):
        for number, layer in enumerate(layers):
            state = mx.random.normal((1, 2, 1, 64), key=mx.random.key(index + 1_000 * number))
            layer.update_and_fetch(state, -state)
    return layers


def content(layer: Any) -> Any:
    """Keys and values of a layer as lists."""
    from leanvibe_lsp.engine.local.arrays import tree_flatten

    return [array.tolist() for _name, array in tree_flatten(layer.keys_and_values())]


@pytest.mark.parametrize("name", ["KVCache", "QuantizedKVCache"])
def test_joined_parts_are_the_whole(name: str) -> None:
    """Cut, split and joined again: the layers hold the same numbers, and go on as if nothing had been."""
    from leanvibe_lsp.engine.local.arrays import mx

    kind = getattr(kv._cache, name)
    layers = filled(kind, 300)
    front, back = kv.cut(layers, 0, 290).split(7)
    end = kv.cut(layers, 290, 300)
    joined = [kind(), kind()]
    kv.join(joined, [(front, 7), (back, 283), (end, 9)], room=230)
    for one, other in zip(layers, joined, strict=True):
        one.trim(1)
        assert content(one) == content(other)
        grown = other.keys[0] if name == "QuantizedKVCache" else other.keys
        assert grown.shape[2] == 768  # 529 tokens fit without another copy
        for layer in (one, other):
            layer.update_and_fetch(mx.ones((1, 2, 500, 64)), mx.zeros((1, 2, 500, 64)))
        assert content(one) == content(other)


@pytest.mark.parametrize("name", ["KVCache", "QuantizedKVCache"])
def test_bytes_of_a_token(name: str) -> None:
    """A segment takes so many times the bytes of a token."""
    layers = filled(getattr(kv._cache, name), 20)
    assert kv.cut(layers, 3, 20).nbytes == 17 * kv.token_bytes(layers)


def test_a_segment_keeps_nothing_else_alive() -> None:
    """Memory is that of the segment alone once the layers, and the other half, are gone: also with one head."""
    from leanvibe_lsp.engine.local.arrays import mx

    before = mx.get_active_memory()
    layer = kv._cache.KVCache()
    layer.update_and_fetch(mx.zeros((1, 1, 4_096, 64)), mx.zeros((1, 1, 4_096, 64)))
    segment = kv.cut([layer], 0, 2_048)
    del layer
    assert mx.get_active_memory() - before == segment.nbytes
    front, back = segment.split(1_024)
    del segment, back
    assert mx.get_active_memory() - before == front.nbytes == 2 * 1_024 * 64 * 4


def test_kinds() -> None:
    """Only caches with one state a token can be cut, and the kind says which those are."""
    plain, rotating = kv._cache.KVCache(), kv._cache.RotatingKVCache(8)
    assert kv.kind_of([plain, plain]) == "segments of KVCache"
    assert kv.kind_of([plain, rotating]) == "whole of KVCache, RotatingKVCache"
    assert kv.kind_of([kv._cache.ArraysCache(2)]) == "whole of ArraysCache"
