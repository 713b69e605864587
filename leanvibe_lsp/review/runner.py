"""Many files looked at side by side. What looks holds the interpreter's lock, so it is processes that do it.

What a file gives does not hang on the number of processes or on what else is looked at.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.documents.grammars import language_of
from leanvibe_lsp.review.look import look_at
from leanvibe_lsp.review.values import FileReport, Target, Wanted
from leanvibe_lsp.review.workspace import use_rules

Batch = tuple[Target, ...]

_TURNS = 4  # handfuls for each process, so that none waits long for the last


def processors() -> int:
    """How many processes can really work side by side here."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, count)


def run(targets: Sequence[Target], wanted: Wanted, *, jobs: int) -> Generator[FileReport, None, None]:
    """What comes of each file, in no promised order; the rules of their workspaces must be in use. Never raises.

    Closed before its end it starts nothing more, and ends when what was begun is done.
    """
    jobs, size = min(jobs, len(targets)), sum(one.size for one in targets)
    if jobs <= 1 or size <= (limit("check.alone_bytes") if _forks() else limit("check.spawn_bytes")):
        yield from (look_at(one, wanted) for one in targets)
        return
    left = dict.fromkeys(targets)
    for report in _beside(_batches(targets, size // (jobs * _TURNS)), wanted, jobs):
        left.pop(report.target, None)
        yield report
    while left:  # a process died: one file at a time, so that it is known which one it was
        batches = [(one,) for one in left]
        for report in _beside(batches, wanted, 1):
            left.pop(report.target, None)
            yield report
        if left:
            died = next(iter(left))
            left.pop(died)
            yield FileReport(died, failed="the process that looked at it died")


def _beside(batches: Sequence[Batch], wanted: Wanted, jobs: int) -> Iterator[FileReport]:
    """What comes of the files until all are done, or a process died."""
    if forks := _forks():
        _warm(batches, wanted)
    context = multiprocessing.get_context("fork" if forks else "spawn")
    roots = () if forks else tuple(wanted.settings)
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin, initargs=(roots,))
    try:
        waiting: list[Future[list[FileReport]]] = [pool.submit(_look_at_all, batch, wanted) for batch in batches]
        for done in as_completed(waiting) if jobs > 1 else waiting:
            yield from done.result()
    except BrokenProcessPool:
        return
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _forks() -> bool:
    """Whether processes are forked: quick, and safe where nothing else runs in this one."""
    return sys.platform == "linux" and threading.active_count() == 1


def _batches(targets: Sequence[Target], share: int) -> list[Batch]:
    """The files in handfuls of about one size, the largest first: the last to end should be a small one."""
    enough = min(share, limit("check.batch_bytes"))
    batches: list[Batch] = []
    batch: list[Target] = []
    size = 0
    for one in sorted(targets, key=lambda one: (-one.size, one.within)):
        batch.append(one)
        size += one.size
        if size >= enough:
            batches.append(tuple(batch))
            batch, size = [], 0
    return [*batches, tuple(batch)] if batch else batches


def _warm(batches: Sequence[Batch], wanted: Wanted) -> None:
    """Import and read once what all forked processes will need, by a look at a file that is known to be good."""
    from leanvibe_lsp.assist.rulebook import rulebook_of

    by_ending = {one.path.suffix: one for batch in batches for one in batch}
    for target in by_ending.values():
        if (language := language_of("", target.path)) is not None:
            rulebook_of(target.path).rules_for(language, target.path)
    own = Path(__file__)
    if own.suffix in by_ending:
        look_at(Target(own, by_ending[own.suffix].root, own.name, own.name), wanted)
    gc.freeze()


def _begin(roots: tuple[Path, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one who started this one decides
    use_rules(roots)


def _look_at_all(batch: Batch, wanted: Wanted) -> list[FileReport]:
    return [look_at(one, wanted) for one in batch]
