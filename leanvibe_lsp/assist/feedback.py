"""Which answers were right: marked by a person on this machine, kept on this machine, and what is fitted from it.

Nothing of what was asked or said is kept: a mark is a task, the digest of a model's weights, the signs of a generation,
the checks it passed, right or wrong, and when. SQLite in the user's data folder, shared by all processes. A store that
is broken, locked or on a full disk costs its use and nothing else.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import sqlite3
import time
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.engine.confidence import Signs
from leanvibe_lsp.errors import LeanVibeError, UsageError
from leanvibe_lsp.tiers.calibrated import TASKS, Calibrated, Case, Task, check_signs, shipped

log = logging.getLogger(__name__)
T = TypeVar("T")

_SCHEMA = 1
_TABLES = """
CREATE TABLE IF NOT EXISTS marks (
    number INTEGER PRIMARY KEY AUTOINCREMENT, answer TEXT NOT NULL UNIQUE, task TEXT NOT NULL, digest TEXT NOT NULL,
    content TEXT NOT NULL, correct INTEGER NOT NULL, made REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS fits (
    task TEXT NOT NULL, digest TEXT NOT NULL, number INTEGER NOT NULL, base TEXT NOT NULL, content TEXT NOT NULL,
    PRIMARY KEY (task, digest)
);
CREATE TABLE IF NOT EXISTS last (only INTEGER PRIMARY KEY CHECK (only = 1), content TEXT NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Said:
    """An answer that may be marked, without its words. `answer` names it: marked again, the new mark counts."""

    task: Task
    model: str
    digest: str
    signs: Signs
    checks: Mapping[str, float] = field(default_factory=dict)
    answer: str = field(default_factory=lambda: secrets.token_hex(8))


@dataclass(frozen=True, slots=True)
class Mark:
    """One answer that was marked. `made`: seconds since 1970."""

    said: Said
    right: bool
    made: float


def feedback_path() -> Path:
    """Where marks are kept: in LEANVIBE_DATA_DIR, or the platform's folder for data. It need not exist."""
    override = os.environ.get("LEANVIBE_DATA_DIR")
    if override:
        return Path(override).expanduser().absolute() / "feedback.sqlite"
    from platformdirs import user_data_path

    return user_data_path("leanvibe", appauthor=False) / "feedback.sqlite"


class Feedback:
    """One file. Every method may be called from any thread; each opens the file for itself."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self.path = path
        self._clock = clock
        self._known: tuple[str, dict[tuple[str, str], Calibrated]] = "", {}

    def record(self, said: Said, *, right: bool) -> bool:
        """Keep a mark, and fit anew when there are enough new ones; False when it could not be kept. Never raises."""
        content = json.dumps(_said_json(said))
        row = (said.answer, said.task, said.digest, content, int(right), self._clock())

        def write(database: sqlite3.Connection) -> bool:
            columns = "answer, task, digest, content, correct, made"
            database.execute(f"INSERT OR REPLACE INTO marks ({columns}) VALUES (?, ?, ?, ?, ?, ?)", row)
            kept = "SELECT number FROM marks ORDER BY number DESC LIMIT ?"
            database.execute(f"DELETE FROM marks WHERE number NOT IN ({kept})", (limit("feedback.cases"),))
            return True

        kept = self._use(write) or False
        if kept and self._new_marks(said.task, said.digest) >= limit("feedback.refit"):
            self.refit(said.task, said.digest, said.model)
        return kept

    def refit(self, task: Task, digest: str, model: str) -> Calibrated | None:
        """Fit the confidence of a task from what came with the program and what was marked here.

        None, and nothing changes, where that is too little.
        """
        from leanvibe_lsp.tiers.fitting import fit

        marks = [one for one in self.marks() if (one.said.task, one.said.digest) == (task, digest)]
        base = shipped(task, digest)
        # Where nothing came with the program, there is nothing to count more than.
        times = limit("feedback.weight") if base is not None else 1
        own = [Case(one.said.signs, one.right, dict(one.said.checks), f"own {one.said.answer}") for one in marks]
        try:
            cases = [*(base[1] if base is not None else ()), *(case for case in own for _ in range(times))]
            made = fit(cases, task=task, model=model, digest=digest, own=len(own))
        except UsageError as error:
            log.info("the confidence of %s is not fitted anew: %s", task, error)
            return None
        content = json.dumps(made.to_json())

        def write(database: sqlite3.Connection) -> None:
            (number,) = database.execute("SELECT coalesce(max(number), 0) FROM marks").fetchone()
            row = (task, digest, number, _base(task, digest), content)
            database.execute("INSERT OR REPLACE INTO fits VALUES (?, ?, ?, ?, ?)", row)

        self._use(write)
        return made

    def fitted(self, task: Task, digest: str) -> Calibrated | None:
        """What was fitted here; None where nothing was, or where the program came with something newer since."""
        stamp = self._stamp()
        if stamp != self._known[0]:
            self._known = stamp, self._use(_read_fits) or {} if stamp else {}
        return self._known[1].get((task, digest))

    def marks(self) -> tuple[Mark, ...]:
        """All marks, oldest first."""
        query = "SELECT content, correct, made FROM marks ORDER BY number"
        rows = self._use(lambda database: database.execute(query).fetchall()) if self.path.exists() else None
        return tuple(mark for row in rows or () if (mark := _mark(*row)) is not None)

    def remember(self, said: Said) -> None:
        """Keep it as the last answer of the terminal. Never raises."""
        content = json.dumps(_said_json(said))
        self._use(lambda database: database.execute("INSERT OR REPLACE INTO last VALUES (1, ?)", (content,)).rowcount)

    def last(self) -> Said | None:
        """The last answer of the terminal."""
        query = "SELECT content FROM last"
        row = self._use(lambda database: database.execute(query).fetchone()) if self.path.exists() else None
        return _said(row[0]) if row is not None else None

    def clear(self) -> None:
        """Forget all marks, and all that was fitted from them. Raises OSError."""
        for suffix in ("", "-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)

    def _new_marks(self, task: Task, digest: str) -> int:
        query = (
            "SELECT count(*) FROM marks WHERE task = ? AND digest = ? AND number > "
            "coalesce((SELECT number FROM fits WHERE fits.task = marks.task AND fits.digest = marks.digest), 0)"
        )
        found = self._use(lambda database: database.execute(query, (task, digest)).fetchone())
        return int(found[0]) if found is not None else 0

    def _stamp(self) -> str:
        """Another one when anything was written; "" where there is nothing to read."""
        found = []
        for suffix in ("", "-wal"):
            with suppress(OSError):
                facts = self.path.with_name(self.path.name + suffix).stat()
                found.append(f"{facts.st_size} {facts.st_mtime_ns} {facts.st_ino}")
        return ", ".join(found)

    def _use(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        """Do `work` in a transaction of its own; None when the file cannot be used. A damaged file is removed."""
        try:
            with closing(self._connect()) as database, database:
                return work(database)
        except sqlite3.OperationalError as error:  # locked, or a full disk
            log.warning("the marks in %s cannot be used: %s", self.path, error)
        except sqlite3.DatabaseError as error:
            log.warning("the marks in %s are damaged and begin anew: %s", self.path, error)
            with suppress(OSError):
                self.clear()
        except OSError as error:
            log.warning("the marks in %s cannot be used: %s", self.path, error)
        return None

    def _connect(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not self.path.exists():  # a person's own judgements: for this user alone
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        database = sqlite3.connect(self.path, timeout=limit("feedback.lock_milliseconds") / 1000)
        try:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            (version,) = database.execute("PRAGMA user_version").fetchone()
            if version not in (0, _SCHEMA):
                for table in ("marks", "fits", "last"):
                    database.execute(f"DROP TABLE IF EXISTS {table}")
            if version != _SCHEMA:
                database.executescript(_TABLES)
                database.execute(f"PRAGMA user_version = {_SCHEMA}")
        except BaseException:
            database.close()
            raise
        return database


def _read_fits(database: sqlite3.Connection) -> dict[tuple[str, str], Calibrated]:
    found = {}
    for task, digest, base, content in database.execute("SELECT task, digest, base, content FROM fits"):
        try:
            made = Calibrated.from_json(json.loads(content))
        except (LeanVibeError, ValueError) as error:
            log.warning("what was fitted for %s is left out: %s", task, error)
            continue
        if base == _base(made.task, digest):
            found[task, digest] = made
    return found


def _base(task: Task, digest: str) -> str:
    """What came with the program, in one word."""
    found = shipped(task, digest)
    return "" if found is None else f"{found[0].fitted} {found[0].intercept}"


def _said_json(said: Said) -> dict[str, Any]:
    return asdict(said) | {"signs": asdict(said.signs), "checks": dict(said.checks)}


def _said(content: str) -> Said | None:
    """What was written, or None for what somebody else wrote."""
    try:
        fields = json.loads(content)
        signs = Signs(**fields["signs"])
        check_signs(signs)
        checks = {str(name): float(passed) for name, passed in fields["checks"].items()}
        said = Said(**{**fields, "signs": signs, "checks": checks})
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    return said if said.task in TASKS else None


def _mark(content: str, right: int, made: float) -> Mark | None:
    said = _said(content)
    return None if said is None else Mark(said, bool(right), made)
