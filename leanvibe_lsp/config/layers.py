"""Settings in layers: what each source says, and what comes of all of them together. Pure but for the environment.

Lowest first: the user's file, the environment, a workspace's file, the client's initializationOptions, its
configuration, the command line. A workspace's file is somebody else's word: see `options.read_options`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from leanvibe_lsp.config.settings import ENGINES, LOG_LEVELS, MODEL_REVIEWS, RemoteSettings, Settings, check_glob
from leanvibe_lsp.errors import UsageError

USER_FILE = "user file"
ENVIRONMENT = "environment"
WORKSPACE = "workspace"
INITIALIZATION = "initializationOptions"
CONFIGURATION = "configuration"
COMMAND_LINE = "command line"

FILES = ("pyproject.toml", "leanvibe.toml")  # a workspace's own; the second says more

_log = logging.getLogger(__name__)

# Names on the wire and in files, and the fields of EditorSettings that they are.
_EDITOR = {
    "diagnostics.enabled": "diagnostics",
    "diagnostics.severity": "severity",
    "diagnostics.overrides": "overrides",
    "diagnostics.classifier": "classifier",
    "diagnostics.model": "model_review",
    "inlineCompletion.enabled": "inline_completion",
    "codeLens.enabled": "code_lens",
    "hover.summary": "hover_summary",
    "context.secrets": "secrets",
    "logLevel": "log_level",
}
ADDED = ("diagnostics.severity", "diagnostics.overrides", "context.secrets")  # every layer adds to the ones below
DENY = "remote.deny"  # what a workspace adds to the globs of a server that a person switched on
WITHHELD = "remote: no server is asked, because not all of these settings were understood"
NAMES = ("engine", "model", "remote", *_EDITOR)
_SWITCHES = {"1": True, "true": True, "0": False, "false": False}


@dataclass(frozen=True, slots=True)
class Problem:
    """A field that was given and not used, and why. `refused`: it was understood, and may not come from there."""

    field: str
    message: str
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Layer:
    """What one source says: checked values by their names, and what of it could not be used.

    `lines` count from 1, by names as in `values` and by those of problems.
    """

    name: str
    values: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    problems: tuple[Problem, ...] = ()
    file: Path | None = None
    lines: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))

    def place(self, name: str) -> str:
        """Where a person finds a field of this layer: FILE:LINE, or what the layer is called."""
        if self.file is None:
            return self.name
        return f"{self.file}:{self.lines[name]}" if name in self.lines else str(self.file)

    def complaints(self) -> list[str]:
        """The problems as sentences for a person."""
        if self.name == ENVIRONMENT:
            return [f"{one.field} {one.message}" for one in self.problems]
        if self.file is None:
            return [f"{self.name}{one.field and '.'}{one.field}: {one.message}" for one in self.problems]
        return [f"{self.place(one.field)}: {one.field}{one.field and ': '}{one.message}" for one in self.problems]


def settled(layers: Iterable[Layer], start: Settings = Settings()) -> Settings:  # noqa: B008 - frozen
    """The settings that the layers make of `start`, lowest first.

    With any problem that is not a mere refusal no server is asked, be it of another layer: what may leave this machine
    must be all that was said about it.
    """
    settings, denied, unclear = start, list[str](), False
    for layer in layers:
        unclear = unclear or any(not problem.refused for problem in layer.problems)
        for name, value in layer.values.items():
            if name == DENY:
                denied += value
            elif name in _EDITOR:
                of = _EDITOR[name]
                settled_value = _added(getattr(settings.editor, of), value) if name in ADDED else value
                changes: dict[str, Any] = {of: settled_value}
                settings = replace(settings, editor=replace(settings.editor, **changes))
            else:
                changes = {name: value}
                settings = replace(settings, **changes)
    if settings.remote is not None and unclear:
        return replace(settings, remote=None)
    if settings.remote is not None and denied:
        return replace(settings, remote=replace(settings.remote, deny=_added(settings.remote.deny, tuple(denied))))
    return settings


def value_of(settings: Settings, name: str) -> object:
    """The value of a setting by its name on the wire."""
    return getattr(settings.editor, _EDITOR[name]) if name in _EDITOR else getattr(settings, name)


def without_server(layers: Iterable[Layer]) -> bool:
    """Whether a server that was switched on is left alone because something was not understood."""
    layers = tuple(layers)
    meant = settled(replace(layer, problems=()) for layer in layers)
    return meant.remote is not None and settled(layers).remote is None


def environment_layer(environment: Mapping[str, str] = os.environ) -> Layer:
    """What LEANVIBE_* say; an empty one is not set. A bad one costs itself.

    But an override of engine, model or server is met or it is an error: raises UsageError.

    LEANVIBE_REMOTE_URL switches a server on; _MODEL, _ALLOW and _DENY (globs, with commas between) and _PLAIN_HTTP (1)
    say more about it.
    """
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    for name in ("engine", "model", *_EDITOR):
        variable = variable_of(name)
        if variable is None or not (given := environment.get(variable)):
            continue
        try:
            values[name] = _from_text(name, given)
        except ValueError as error:
            if name not in _EDITOR:
                raise UsageError(f"{variable} {error}.", next_step="Correct it, or unset it.") from error
            problems.append(Problem(variable, str(error)))
    try:
        if (remote := _remote(environment)) is not None:
            values["remote"] = remote
    except ValueError as error:
        raise UsageError(f"LEANVIBE_REMOTE_* {error}.", next_step="Correct it, or unset it.") from error
    return Layer(ENVIRONMENT, values, tuple(problems))


def command_line_layer(model: str | None, engine: str | None) -> Layer:
    """What --model and --engine say. Raises UsageError for what cannot be met."""
    values: dict[str, Any] = {}
    for name, given in (("model", model), ("engine", engine)):
        if given is not None:
            try:
                values[name] = _from_text(name, given)
            except ValueError as error:
                raise UsageError(f"--{name} {error}.", next_step="See `leanvibe doctor`.") from error
    return Layer(COMMAND_LINE, values)


def process_layers(
    model: str | None, engine: str | None, environment: Mapping[str, str] = os.environ
) -> tuple[Layer, ...]:
    """What a process knows without a client or a workspace: the user's file, the environment, its own options.

    Raises UsageError for a bad option or variable; what is wrong in the file is in its layer's problems.
    """
    command_line = command_line_layer(model, engine)
    overruled = {variable_of(name) for name in command_line.values}
    effective = {name: value for name, value in environment.items() if name not in overruled}
    return (user_layer(), environment_layer(effective), command_line)


def user_layer(last_good: Layer | None = None) -> Layer:
    """The user's file, read; an empty layer where there is none. `last_good` counts on while the file is broken."""
    path = user_file()
    if not path.is_file():
        return Layer(USER_FILE, file=path)
    from leanvibe_lsp.config.files import read_layer

    return read_layer(path, USER_FILE, last_good)


def user_file() -> Path:
    """`leanvibe.toml` in LEANVIBE_CONFIG_DIR, or in the platform's folder for settings. It need not exist."""
    if folder := os.environ.get("LEANVIBE_CONFIG_DIR"):
        return Path(folder) / "leanvibe.toml"
    from platformdirs import user_config_path

    return user_config_path("leanvibe", appauthor=False) / "leanvibe.toml"


def chosen(model: str | None, engine: str | None, environment: Mapping[str, str] = os.environ) -> Settings:
    """What counts for a command: a person's option, or the environment, or their own file, and this folder's files.

    Raises UsageError for an option or variable that cannot be met, and for their own file when not all of it is
    understood. What is wrong in the folder's files costs itself and is logged as a warning; but a server that was
    switched on and is left alone for it is an error.
    """
    from leanvibe_lsp.config.files import workspace_layers

    layers = (*process_layers(model, engine, environment), *workspace_layers(Path.cwd(), {}))
    withheld = without_server(layers)
    for layer in layers:
        unclear = replace(layer, problems=tuple(problem for problem in layer.problems if not problem.refused))
        complaints = unclear.complaints()
        if complaints and (withheld or layer.name != WORKSPACE):
            raise UsageError(f"{'; '.join(complaints)}.", next_step="Mend it, or see `leanvibe config show --origin`.")
        for text in complaints:
            _log.warning("%s", text)
    return settled(layers)


def variable_of(name: str) -> str | None:
    """The environment variable of a setting, or None: a table does not fit into one."""
    if name in ("remote", "diagnostics.severity", "diagnostics.overrides"):
        return None
    words = "".join(f"_{letter}" if letter.isupper() else letter for letter in name.replace(".", "_"))
    return f"LEANVIBE_{words.upper()}"


def _from_text(name: str, given: str) -> object:
    """A value written as text, as a variable or an option has it. Raises ValueError with the rest of a sentence."""
    choices = {"engine": ENGINES, "logLevel": LOG_LEVELS, "diagnostics.model": MODEL_REVIEWS}.get(name)
    if choices is not None and given not in choices:
        raise ValueError(f"must be one of {', '.join(choices)}, not {given!r}")
    if name == "model" and not given:
        raise ValueError("must be a name or a path, not an empty text")
    if choices is not None or name == "model":
        return given
    if name == "context.secrets":
        return _globs(given)
    if given.lower() not in _SWITCHES:
        raise ValueError(f"must be one of {', '.join(_SWITCHES)}, not {given!r}")
    return _SWITCHES[given.lower()]


def _remote(environment: Mapping[str, str]) -> RemoteSettings | None:
    given = {name: environment.get(f"LEANVIBE_REMOTE_{name.upper()}") for name in ("url", "model", "allow", "deny")}
    if not given["url"]:
        return None
    plain = environment.get("LEANVIBE_REMOTE_PLAIN_HTTP") or "0"
    if plain not in ("0", "1"):
        raise ValueError(f"needs 1 or 0 as plainHttp, not {plain!r}")
    return RemoteSettings(
        url=given["url"],
        model=given["model"] or None,
        allow=_globs(given["allow"]) if given["allow"] else ("**",),
        deny=_globs(given["deny"]) if given["deny"] else (),
        plain_http=plain == "1",
    )


def _globs(given: str) -> tuple[str, ...]:
    return tuple(check_glob(glob.strip()) for glob in given.split(","))


def _added(below: tuple[Any, ...], above: tuple[Any, ...]) -> tuple[Any, ...]:
    """Both, each once, where it was said last."""
    return tuple(dict.fromkeys(reversed((*below, *above))))[::-1]
