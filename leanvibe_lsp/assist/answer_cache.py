"""Answers that were computed before, kept on disk: asking the very same thing again costs nothing.

The key is a digest of everything that decides an exact answer; neither the question nor the code is stored, the answer
is. SQLite in the user's cache folder, shared by all processes. A cache that is broken, locked or on a full disk costs
its use and nothing else.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.engine.base import FinishReason, GenerationRequest
from leanvibe_lsp.engine.confidence import Signs

log = logging.getLogger(__name__)
T = TypeVar("T")

_SCHEMA = 2
_TABLE = """
CREATE TABLE IF NOT EXISTS answers (
    key BLOB PRIMARY KEY, content TEXT NOT NULL, bytes INTEGER NOT NULL, made REAL NOT NULL, used REAL NOT NULL
) WITHOUT ROWID
"""
# The least recently used that do not fit beside the others.
_TRIM = """
DELETE FROM answers WHERE key IN (
    SELECT key FROM (SELECT key, sum(bytes) OVER (ORDER BY used DESC, key) AS total FROM answers) WHERE total > ?
)
"""
_SECONDS_A_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Remembered:
    """What an answer was: its text, why it ended, its tokens, and what they say of how sure the model was.

    `signs` is None where the model did not say.
    """

    text: str
    reason: FinishReason
    prompt_tokens: int
    completion_tokens: int
    signs: Signs | None


@dataclass(frozen=True, slots=True)
class CacheStatus:
    """How much is kept, and where."""

    path: Path
    answers: int
    bytes: int


def answers_path() -> Path:
    """Where answers are kept: in LEANVIBE_CACHE_DIR, or the platform's cache folder. It need not exist."""
    override = os.environ.get("LEANVIBE_CACHE_DIR")
    if override:
        return Path(override).expanduser().absolute() / "answers.sqlite"
    from platformdirs import user_cache_path

    return user_cache_path("leanvibe", appauthor=False) / "answers.sqlite"


def answer_key(model: str, chat_template: str, request: GenerationRequest) -> bytes:
    """The key of an exact answer. `model` names the weights, adapter and backend; change any part, and it differs.

    Pure. Only for temperature 0: a drawn answer is not repeatable.
    """
    assert request.temperature == 0, "a drawn answer is never kept"
    parts = asdict(request)
    # What changes the speed alone, or says the same as `prompt`.
    for name in ("draft", "messages", "sources", "top_logprobs", "seed", "temperature"):
        del parts[name]
    text = json.dumps([_SCHEMA, model, chat_template, parts], sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).digest()


class AnswerCache:
    """One file. Every method may be called from any thread; each opens the file for itself and never raises."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self.path = path
        self._clock = clock

    def get(self, key: bytes) -> Remembered | None:
        """The answer kept under `key`, or None; one that is too old is none."""
        query = "UPDATE answers SET used = ? WHERE key = ? AND made > ? RETURNING content"
        row = self._use(lambda database: database.execute(query, (self._clock(), key, self._oldest())).fetchone())
        return _parsed(row[0]) if row is not None else None

    def put(self, key: bytes, answer: Remembered) -> None:
        """Keep an answer; the old and the least recently used make room."""
        content = json.dumps(asdict(answer))
        now = self._clock()
        row = (key, content, len(key) + len(content.encode()), now, now)

        def write(database: sqlite3.Connection) -> None:
            database.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?)", row)
            database.execute("DELETE FROM answers WHERE made <= ?", (self._oldest(),))
            database.execute(_TRIM, (limit("answers.mib") << 20,))

        self._use(write)

    def status(self) -> CacheStatus:
        """What is there now."""
        query = "SELECT count(*), coalesce(sum(bytes), 0) FROM answers"
        found = self._use(lambda database: database.execute(query).fetchone()) if self.path.exists() else None
        return CacheStatus(self.path, *(found or (0, 0)))

    def clear(self) -> None:
        """Forget everything, while others may use it: no text stays in the file. Raises OSError."""
        if not self.path.exists():
            return
        try:
            with closing(self._connect()) as database:
                with database:
                    database.execute("DELETE FROM answers")
                database.execute("VACUUM")
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.OperationalError as error:
            raise OSError(f"it cannot be used: {error}") from error
        except sqlite3.DatabaseError:
            self._remove()

    def _remove(self) -> None:
        """Remove the files of a damaged cache. Raises OSError."""
        for suffix in ("", "-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)

    def _oldest(self) -> float:
        return self._clock() - limit("answers.days") * _SECONDS_A_DAY

    def _use(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        """Do `work` in a transaction of its own; None when the file cannot be used. A damaged file is removed."""
        try:
            with closing(self._connect()) as database, database:
                return work(database)
        except sqlite3.OperationalError as error:  # locked, or a full disk
            log.warning("the answer cache %s cannot be used: %s", self.path, error)
        except sqlite3.DatabaseError as error:
            log.warning("the answer cache %s is damaged and begins anew: %s", self.path, error)
            with suppress(OSError):
                self._remove()
        except OSError as error:
            log.warning("the answer cache %s cannot be used: %s", self.path, error)
        return None

    def _connect(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not self.path.exists():  # answers quote code: for this user alone
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        database = sqlite3.connect(self.path, timeout=limit("answers.lock_milliseconds") / 1000)
        try:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            (version,) = database.execute("PRAGMA user_version").fetchone()
            if version not in (0, _SCHEMA):
                database.execute("DROP TABLE IF EXISTS answers")
            database.execute(_TABLE)
            database.execute(f"PRAGMA user_version = {_SCHEMA}")
        except BaseException:
            database.close()
            raise
        return database


def _parsed(content: str) -> Remembered | None:
    """What was written, or None for what somebody else wrote."""
    try:
        fields = json.loads(content)
        signs = Signs(**fields["signs"]) if fields["signs"] is not None else None
        return Remembered(**{**fields, "reason": FinishReason(fields["reason"]), "signs": signs})
    except (ValueError, TypeError, KeyError):
        return None
