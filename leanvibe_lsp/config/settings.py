"""What a person chose, resolved and frozen. Replaced whole, never changed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from leanvibe_lsp.errors import UsageError

ENGINES = ("llama.cpp", "mlx", "mock")


@dataclass(frozen=True, slots=True)
class RemoteSettings:
    """An OpenAI-compatible server that may be asked; there is none unless a person switched one on.

    Only what quotes files that match `allow` and not `deny` (globs on the path) is sent.
    """

    url: str  # up to and with "/v1"
    model: str | None = None  # None: the first the server names
    allow: tuple[str, ...] = ("**",)
    deny: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Settings:
    """`engine` and `model` override the choice by hardware; None leaves it to `engine/select.py`."""

    engine: str | None = None
    model: str | None = None
    remote: RemoteSettings | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """A field that was given and not used, and why."""

    field: str
    message: str


def with_options(settings: Settings, options: object) -> tuple[Settings, tuple[Problem, ...]]:
    """Lay the fields of `options` (from a client or the environment) over `settings`; a bad field costs itself."""
    if options is None:
        return settings, ()
    if not isinstance(options, Mapping):
        return settings, (Problem("", f"options must be an object, not {type(options).__name__}"),)
    problems: list[Problem] = []
    for name, value in options.items():
        problem = _check(name, value)
        if problem is None:
            changes: dict[str, Any] = {name: value}
            settings = replace(settings, **changes)
        else:
            problems.append(Problem(str(name), problem))
    return settings, tuple(problems)


def _check(name: object, value: object) -> str | None:
    if name not in ("engine", "model"):
        return "there is no such setting; there are: engine, model"
    if value is not None and (not isinstance(value, str) or not value):
        return f"must be a non-empty string or null, not {value!r}"
    if name == "engine" and value is not None and value not in ENGINES:
        return f"must be one of {', '.join(ENGINES)}, not {value!r}"
    return None


def chosen(model: str | None, engine: str | None, environment: Mapping[str, str] = os.environ) -> Settings:
    """What a person chose by option, or else by LEANVIBE_MODEL and LEANVIBE_ENGINE (empty means not set).

    An override is met or it is an error: raises UsageError for one that cannot be.
    """
    settings = Settings()
    for name, given in (("model", model), ("engine", engine)):
        variable = f"LEANVIBE_{name.upper()}"
        source, value = (f"--{name}", given) if given is not None else (variable, environment.get(variable) or None)
        problem = _check(name, value)
        if problem is not None:
            raise UsageError(f"{source} {problem}.", next_step="See `leanvibe doctor`.")
        changes: dict[str, Any] = {name: value}
        settings = replace(settings, **changes)
    return settings
