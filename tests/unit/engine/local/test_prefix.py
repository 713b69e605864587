from __future__ import annotations

import gc
import logging
from dataclasses import replace
from typing import Any

import pytest

from leanvibe_lsp.engine.local import prefix
from leanvibe_lsp.engine.local.kv import kind_of, make_prompt_cache
from leanvibe_lsp.engine.local.prefix import CacheKey, PrefixTree, Session, prefix_room
from leanvibe_lsp.errors import EngineError, Incomplete

TOKEN_BYTES = 2 * 2 * 2 * 8 * 4  # layers, keys and values, heads, width, bytes of a number


def make_tree(model: Any, room: int = 1 << 20) -> PrefixTree:
    """A tree with room for `room` bytes."""
    return PrefixTree(model, CacheKey("tiny", "", "", kind_of(make_prompt_cache(model))), room)


def run(tree: PrefixTree, prompt: list[int]) -> int:
    """Compute all of a prompt; the number of tokens that were known."""
    with tree.session(prompt) as session:
        known = len(session.seen)
        session.fill(prompt[known:])
    return known


def test_any_beginning_is_known_again(tiny_model: Any) -> None:
    """Not just the last prompt's: each is found as far as it was computed, never with its last token."""
    tree = make_tree(tiny_model)
    assert run(tree, [1, 2, 3, 4, 5]) == 0
    assert run(tree, [1, 2, 3, 9, 9, 9]) == 3
    assert run(tree, [7, 7]) == 0
    assert run(tree, [1, 2, 3, 4, 5, 6]) == 5
    assert run(tree, [1, 2, 3, 9, 9, 9]) == 5
    assert tree.nbytes == 11 * TOKEN_BYTES


def test_resumed_logits_are_those_of_a_fresh_run(tiny_model: Any) -> None:
    """Joined from three segments, the next token's logits differ by no more than the rounding of 32 bits."""
    from leanvibe_lsp.engine.local.arrays import mx

    tree = make_tree(tiny_model)
    prompt = [(7 * index) % 40 for index in range(40)]
    for stop in (11, 12, 30):
        run(tree, prompt[:stop])
    run(tree, [*prompt[:5], 47])
    session = tree.begin(prompt)
    assert session.seen == prompt[:30]
    resumed = tiny_model(mx.array([prompt[30:]]), cache=session.layers)[0, -1]
    fresh = tiny_model(mx.array([prompt]))[0, -1]
    assert float(mx.abs(resumed - fresh).max()) < 1e-5 * float(mx.abs(fresh).max())


def test_sessions_are_independent(tiny_model: Any) -> None:
    """Two alive at once with the same beginning, and the tree between them, never touch each other's states."""
    tree = make_tree(tiny_model)
    run(tree, [1, 2, 3])
    one, other = tree.begin([1, 2, 3, 4, 5]), tree.begin([1, 2, 3, 4, 5])
    one.fill([9, 9])
    other.fill([4, 5])
    tree.end(one)
    alone = make_tree(tiny_model).begin([0])
    alone.fill([1, 2, 3, 4, 5])
    for mine, expected in zip(other.layers, alone.layers, strict=True):
        assert mine.keys[..., :5, :].flatten().tolist() == pytest.approx(
            expected.keys[..., :5, :].flatten().tolist(), abs=1e-5
        )


def test_a_trimmed_session_keeps_what_is_left(tiny_model: Any) -> None:
    """Tokens that were taken back are not known afterwards."""
    tree = make_tree(tiny_model)
    with tree.session([1, 2, 3]) as session:
        session.fill([1, 2, 3, 4, 5])
        assert session.trimmable
        session.trim(0)
        session.trim(2)
        assert session.seen == [1, 2, 3]
    assert run(tree, [1, 2, 3, 4, 5]) == 3


def test_what_failed_in_a_step_is_not_kept(tiny_model: Any) -> None:
    """A session is kept when its work was stopped between two steps, dropped when it failed in one."""
    tree = make_tree(tiny_model)

    def fail(error: Exception) -> None:
        with tree.session([1, 2, 3]) as session:
            session.fill([1, 2, 3])
            raise error

    for error, known in ((EngineError("in a step"), 0), (KeyError("anything"), 0), (Incomplete("cut"), 2)):
        with pytest.raises(type(error)):
            fail(error)
        assert len(tree.begin([1, 2, 3]).seen) == known


def test_memory_is_what_is_said(tiny_model: Any) -> None:
    """After many prompts and evictions, the arrays alive are those of the tree, up to the allocator's rounding."""
    from leanvibe_lsp.engine.local.arrays import mx

    gc.collect()
    before = mx.get_active_memory()
    tree = make_tree(tiny_model, room=50 * TOKEN_BYTES)
    for index in range(30):
        run(tree, [index % 3] * (index % 7 + 1) + [index] * (index % 5 + 1) + [5] * 9)
        assert tree.nbytes <= 50 * TOKEN_BYTES
    gc.collect()
    assert tree.nbytes > 25 * TOKEN_BYTES
    assert tree.nbytes <= mx.get_active_memory() - before < 2 * tree.nbytes


def test_no_room(tiny_model: Any) -> None:
    """Without room nothing is kept, and everything works."""
    tree = make_tree(tiny_model, room=TOKEN_BYTES - 1)
    assert [run(tree, [1, 2, 3]), run(tree, [1, 2, 3]), tree.nbytes] == [0, 0, 0]


def test_states_of_another_key_are_never_used(tiny_model: Any) -> None:
    """A session of other weights, template, adapter or kind of cache is dropped."""
    tree = make_tree(tiny_model)
    for part in ("digest", "template", "adapter", "kind"):
        foreign = Session(tiny_model, replace(tree.key, **{part: "another"}))
        foreign.fill([1, 2, 3])
        tree.end(foreign)
        assert tree.nbytes == 0


def test_a_window_that_slides_is_kept_whole(sliding: Any) -> None:
    """What cannot be cut is reused by a prompt that goes on from all of it, and by no other."""
    tree = make_tree(sliding)
    assert tree.key.kind.startswith("whole of")
    assert not tree.begin([1]).trimmable
    prompt = [index % 40 for index in range(20)]
    assert run(tree, prompt) == 0
    assert run(tree, [*prompt[:15], 44]) == 0
    assert run(tree, [*prompt[:15], 44]) == 0, "not without its last token, which cannot be taken back"
    assert run(tree, [*prompt[:15], 44, 45]) == 16
    assert tree.nbytes > 0
    going_on = [*prompt[:15], 44, 45, 46]
    assert [len(tree.begin(going_on).seen), len(tree.begin(going_on).seen)] == [17, 0], "one at a time"
    tight = make_tree(sliding, room=100)
    assert [run(tight, prompt), run(tight, [*prompt, 1]), tight.nbytes] == [0, 0, 0]


def test_a_kept_window_gives_the_same_logits(sliding: Any) -> None:
    """Past the window too, going on gives the logits of a fresh run."""
    from leanvibe_lsp.engine.local.arrays import mx

    tree = make_tree(sliding)
    prompt = [(7 * index) % 40 for index in range(30)]
    run(tree, prompt[:21])
    session = tree.begin(prompt)
    assert len(session.seen) == 21
    resumed = sliding(mx.array([prompt[21:]]), cache=session.layers)[0, -1]
    fresh = sliding(mx.array([prompt]), cache=make_prompt_cache(sliding))[0, -1]
    assert float(mx.abs(resumed - fresh).max()) < 1e-5 * float(mx.abs(fresh).max())


def test_a_prompt_that_cannot_be_kept_is_no_failure(
    tiny_model: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Without memory for the copy the answer stands; the log says why the next one is slower."""

    def fail(*_: Any) -> Any:
        raise RuntimeError("[malloc] no memory")

    tree = make_tree(tiny_model)
    monkeypatch.setattr(prefix, "cut", fail)
    with caplog.at_level(logging.WARNING):
        run(tree, [1, 2, 3])
    assert "no memory" in caplog.text
    assert tree.nbytes == 0
    monkeypatch.undo()
    assert [run(tree, [1, 2, 3]), run(tree, [1, 2, 3])] == [0, 2]


def test_room_from_free_memory() -> None:
    """A size that was set holds; otherwise it is a part of what is free."""
    assert prefix_room(8 << 30, mib=100, percent=25) == 100 << 20
    assert prefix_room(8 << 30, mib=0, percent=25) == 2 << 30
    assert prefix_room(8 << 30, mib=0, percent=0) == 0
