"""Is the loaded model what it should be, and is it still what lies on the disk?"""

from __future__ import annotations

import json
from fnmatch import fnmatch
from functools import cache
from importlib import metadata
from typing import Protocol, runtime_checkable

from leanvibe_lsp import __version__
from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.cancel import CancelToken, Deadline
from leanvibe_lsp.engine.base import Alternative, Chunk, Engine, GenerationRequest, Loaded
from leanvibe_lsp.engine.models.digest import file_stamp
from leanvibe_lsp.engine.models.formats import Format
from leanvibe_lsp.engine.models.registry import COMPANION_PATTERNS, SAFETENSORS_PATTERNS, Located
from leanvibe_lsp.engine.models.selftest import State, Verdict, run_selftest
from leanvibe_lsp.engine.models.verify import doubt_about, likely_fault
from leanvibe_lsp.engine.select import Selection
from leanvibe_lsp.errors import ModelUnverified

_DISTRIBUTIONS = {"llama.cpp": ("xllamacpp", "llguidance"), "mlx": ("mlx", "mlx-lm", "llguidance")}
# File name -> size, times and inode.
Stamps = dict[str, str]


@runtime_checkable
class SelfProving(Protocol):
    """An engine that knows best how its model is proven: a server's."""

    def prove(self, loaded: Loaded, cancel: CancelToken) -> Verdict | None:
        """The verdict; None when it cannot be had."""
        ...


def prove(engine: Engine, loaded: Loaded, selection: Selection, cancel: CancelToken) -> Verdict | None:
    """Ask the known answers, and glance at the weights; None for the mock, and a server that gives no probabilities.

    An unverified model has a verdict too; `refuse` turns it away. Raises what the engine raises.
    """
    if selection.is_mock:
        return None
    if isinstance(engine, SelfProving):
        return engine.prove(loaded, cancel)
    verdict = run_selftest(loaded, lambda prompt: next_token(engine, prompt, cancel))
    if selection.located is None or verdict.state is State.UNVERIFIED:
        return verdict
    return verdict.doubted(doubt_about(selection.located, cancel))


def refuse(verdict: Verdict | None, selection: Selection) -> None:
    """Raise ModelUnverified for a model that did not give the known answers."""
    if verdict is None or verdict.state is not State.UNVERIFIED:
        return
    name = selection.model
    raise ModelUnverified(
        f"{name} loaded, but does not give the known answers ({verdict.summary}): "
        f"{likely_fault(selection.located) or 'its weights or its tokenizer are not what they should be'}.",
        next_step=f"Run `leanvibe models verify {name}`, then remove and pull it again."
        if selection.located is not None
        else "See which model the server runs.",
    )


def next_token(engine: Engine, prompt: tuple[int, ...], cancel: CancelToken) -> tuple[Alternative, ...]:
    """What the model would say next, most probable first. Raises what `Engine.generate` raises."""
    chunks: list[Chunk] = []
    request = GenerationRequest(prompt, max_tokens=1, top_logprobs=limit("engine.top_alternatives"))
    engine.generate(
        request,
        lambda event: chunks.append(event) if isinstance(event, Chunk) else None,
        cancel,
        Deadline.never(),
    )
    return chunks[0].top if chunks else ()


def file_stamps(located: Located | None) -> Stamps:
    """The files a model is made of as they are now: weights, configuration, tokenizer. Reads none of them.

    A file that is gone has no stamp; a model behind a server has no files.
    """
    if located is None:
        return {}
    try:
        if located.format is Format.GGUF:
            return {located.path.name: file_stamp(located.path)}
        patterns = (*SAFETENSORS_PATTERNS, *COMPANION_PATTERNS)
        return {
            path.name: file_stamp(path)
            for path in located.path.iterdir()
            if any(fnmatch(path.name, pattern) for pattern in patterns)
        }
    except OSError:
        return {}


def identity(selection: Selection, device: str, stamps: Stamps) -> str | None:
    """What exactly answers: the digest of the weights, or the stamps of a file nobody knows; backend and device, and
    the versions of all that computes.

    None for the mock and for a server, whose weights may change behind its name.
    """
    located = selection.located
    if located is None:
        return None
    weights = located.digest or [str(located.path), sorted(stamps.items())]
    return json.dumps([weights, selection.backend, device, _versions(selection.backend)])


@cache
def _versions(backend: str) -> dict[str, str | None]:
    """Of this program and of what the backend is made of; None for what has no distribution of its own."""
    versions: dict[str, str | None] = {"leanvibe-lsp": __version__}
    for name in _DISTRIBUTIONS[backend]:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = None
    return versions
