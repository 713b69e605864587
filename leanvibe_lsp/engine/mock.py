"""A scripted engine for tests and demonstrations. Only by name (`--engine mock`); its answers begin by saying so."""

from __future__ import annotations

import time
from collections.abc import Sequence

from leanvibe_lsp.core.cancel import CancelToken, Deadline
from leanvibe_lsp.engine.base import (
    NO_PAUSE,
    Chunk,
    Finished,
    FinishReason,
    GenerationRequest,
    Loaded,
    Pause,
    Prefill,
    Sink,
    Timing,
    Usage,
)
from leanvibe_lsp.errors import UsageError

NOTICE = "[mock engine: this is a scripted text, no model was asked] "
SCRIPT = (
    "The ",
    "selected ",
    "code ",
    "was ",
    "received. ",
    "Choose ",
    "a ",
    "real ",
    "engine ",
    "for ",
    "an ",
    "answer.",
)
TEMPLATE = "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"


class CharacterTokenizer:
    """One token a code point; there are no special tokens."""

    vocabulary_size = 0x110000

    def encode(self, text: str) -> list[int]:
        """The code points of `text`."""
        return [ord(character) for character in text]

    def encode_prompt(self, parts: Sequence[str]) -> list[int]:
        """The same: nothing is special here."""
        return self.encode("".join(parts))

    def special(self, text: str) -> int | None:
        """None: nothing is special here."""
        return None

    def token_bytes(self, token_id: int) -> bytes:
        """UTF-8 of the code point; a lone surrogate becomes "?"."""
        return chr(token_id).encode(errors="replace")


class MockEngine:
    """Says NOTICE and then `script`, one piece a token, `pause` seconds apart; stops as the real ones do."""

    backend = "mock"
    cache_bytes = 0

    def __init__(self, script: tuple[str, ...] = SCRIPT, *, pause: float = 0.0, window: int = 16_384) -> None:
        self._script = (NOTICE, *script)
        self._pause = pause
        self._window = window

    def load(self, cancel: CancelToken) -> Loaded:
        """Nothing is read; the window is `window` characters."""
        cancel.check()
        return Loaded(self._window, 0, "none", CharacterTokenizer(), TEMPLATE)

    def generate(
        self,
        request: GenerationRequest,
        sink: Sink,
        cancel: CancelToken,
        deadline: Deadline,
        pause: Pause = NO_PAUSE,
    ) -> Finished:
        """Play the script. See `engine.base.Engine`."""
        if request.structure is not None:
            raise UsageError(
                "The mock engine says scripted text, which fits no structure.", next_step="Leave out `--engine mock`."
            )
        begin = time.monotonic()
        total = len(request.prompt)
        sink(Prefill(done=total, total=total, cached=0))
        said: list[str] = []
        for piece in self._script[: request.max_tokens]:
            cancel.check()
            deadline.check()
            said.append(piece)
            sink(Chunk(piece, len(said), 0.0))
            if self._pause:
                _wait(cancel, self._pause)
        reason = FinishReason.STOP if len(said) == len(self._script) else FinishReason.LENGTH
        return Finished("".join(said), reason, Usage(total, 0, len(said)), Timing(0.0, time.monotonic() - begin))

    def warm(self, prompt: tuple[int, ...], cancel: CancelToken, pause: Pause = NO_PAUSE) -> None:
        """Nothing to compute."""

    def close(self) -> None:
        """Nothing to free."""


def _wait(cancel: CancelToken, seconds: float) -> None:
    """Sleep that a cancel ends."""
    until = Deadline.after(seconds)
    while not until.passed and not cancel.cancelled:
        time.sleep(min(seconds, 0.005))
