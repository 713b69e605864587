"""What prompts begin with, computed once: a session is one prompt at work, the tree keeps what sessions computed.

A session's arrays are copies of its own, so what the tree lets go is never missed by one that is alive. A copy costs
less than a hundredth of computing the same tokens.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from leanvibe_lsp.engine.local.arrays import compute_errors, mx
from leanvibe_lsp.engine.local.kv import (
    Segment,
    can_cut,
    cut,
    join,
    make_prompt_cache,
    nbytes_of,
    token_bytes,
    trim_prompt_cache,
)
from leanvibe_lsp.engine.local.radix import RadixTree
from leanvibe_lsp.errors import Cancelled, DeadlineExceeded, EngineError, Incomplete

log = logging.getLogger(__name__)


def prefix_room(available: int, mib: int, percent: int) -> int:
    """Bytes for the tree: `mib` MiB, or with 0 that many percent of the `available` bytes of memory."""
    return mib << 20 if mib else available * percent // 100


@dataclass(frozen=True, slots=True)
class CacheKey:
    """What key/value states depend on beside the tokens; states of another key are never used.

    `kind` says what the layers' caches are and whether parts of them can be kept (`kv.kind_of`).
    """

    digest: str
    template: str
    adapter: str
    kind: str


class Session:
    """One prompt and its answer at work. `layers` is what mlx_lm's models take as `cache`.

    Between two steps the layers hold the tokens `seen`, no more and no fewer. Whoever feeds the model calls `append`
    with what was fed; a session whose step failed half-way is thrown away.
    """

    __slots__ = ("_model", "key", "layers", "seen")

    def __init__(self, model: Any, key: CacheKey) -> None:
        self._model = model
        self.key = key
        self.layers: list[Any] = make_prompt_cache(model)
        self.seen: list[int] = []

    @property
    def trimmable(self) -> bool:
        """Whether `trim` can be called, now and later."""
        return can_cut(self.layers)

    def append(self, ids: Sequence[int]) -> None:
        """Note that the model has been fed `ids`."""
        self.seen.extend(ids)

    def trim(self, count: int) -> None:
        """Forget the last `count` tokens; only where `trimmable`."""
        if count:
            trim_prompt_cache(self.layers, count)
            del self.seen[-count:]

    def fill(self, ids: Sequence[int]) -> None:
        """Compute a part of the prompt that nothing is predicted from. Raises EngineError."""
        with compute_errors():
            self._model(mx.array(ids)[None], cache=self.layers)
            mx.eval([layer.state for layer in self.layers])
            mx.clear_cache()
        self.append(ids)


class PrefixTree:
    """The states that sessions of one key left behind, at most `room` bytes, the least recently used dropped first.

    Caches that cannot be cut (`kv.can_cut`) are kept whole, the last one only, for a prompt that goes on from it.
    """

    def __init__(self, model: Any, key: CacheKey, room: int) -> None:
        self._model = model
        self._room = room
        self._tree: RadixTree[Segment] = RadixTree()
        self._whole: Session | None = None
        self.key = key

    @property
    def nbytes(self) -> int:
        """Bytes held for prompts to come."""
        return sum(part.nbytes for part in self._tree.parts()) + (nbytes_of(self._whole.layers) if self._whole else 0)

    @contextmanager
    def session(self, prompt: Sequence[int]) -> Iterator[Session]:
        """A session that is kept when its work ends between two steps, and dropped when it fails in one."""
        session = self.begin(prompt)
        try:
            yield session
        except (Cancelled, DeadlineExceeded, Incomplete):
            self.end(session)
            raise
        self.end(session)

    def begin(self, prompt: Sequence[int]) -> Session:
        """A session that already holds the longest known beginning of `prompt`, never its last token.

        Raises EngineError.
        """
        if self._whole is not None and _goes_on(self._whole.seen, prompt):
            session, self._whole = self._whole, None
            return session
        session = Session(self._model, self.key)
        if runs := self._tree.find(prompt[:-1]):
            held = sum(count for _segment, count in runs)
            with compute_errors():
                join(session.layers, runs, room=len(prompt) - held)
            session.append(prompt[:held])
        return session

    def end(self, session: Session) -> None:
        """Keep what `session` computed, also when it was stopped: `seen` says what is there. It is not used any more.

        A session of another key, begun before the weights were changed, is dropped.
        """
        if session.key != self.key or not session.seen:
            return
        try:
            with compute_errors():
                if can_cut(session.layers):
                    self._keep_segments(session)
                else:
                    self._keep_whole(session)
        except EngineError as error:  # the answer is there all the same
            log.warning("A prompt is not kept for the next one: %s", error)

    def _keep_segments(self, session: Session) -> None:
        capacity = self._room // token_bytes(session.layers)
        self._tree.insert(session.seen, lambda start, stop: cut(session.layers, start, stop), capacity)
        mx.clear_cache()

    def _keep_whole(self, session: Session) -> None:
        mx.eval([layer.state for layer in session.layers])
        self._whole = session if nbytes_of(session.layers) <= self._room else None


def _goes_on(seen: Sequence[int], prompt: Sequence[int]) -> bool:
    """Whether `prompt` begins with all of `seen` and has more."""
    return len(seen) < len(prompt) and list(prompt[: len(seen)]) == list(seen)
