"""What files and clients may send: the one model of it, its help, and how it is read.

A bad field costs itself and nothing else. A file of a workspace is somebody else's word: from it only what an editor
shows is taken, what switches something off, and globs of files that may not be seen or sent.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo

from leanvibe_lsp.config.layers import DENY, Problem
from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.config.settings import Override, RemoteSettings, check_glob

Text = Annotated[str, StringConstraints(min_length=1, max_length=limit("config.characters"))]
Glob = Annotated[Text, AfterValidator(check_glob)]
Globs = Annotated[list[Glob], Field(max_length=limit("config.items"))]
Shown = Literal["error", "warning", "information", "hint", "off"]
Severities = Annotated[dict[Text, Shown], Field(max_length=limit("config.items"))]

Trust = Literal["taken", "off only", "refused"]


class Group(BaseModel):
    """Fields that belong together: camelCase, types as they are, nothing else beside them."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, alias_generator=to_camel)


def _option(default: Any, help: str, workspace: Trust = "taken") -> Any:
    """`workspace`: what is made of it where a workspace's file says it."""
    return Field(default=default, description=help, json_schema_extra={"workspace": workspace})


class RemoteOptions(Group):
    """An OpenAI-compatible server that may be asked. Without one nothing leaves this machine."""

    url: Text = Field(description="Its address, as https://host:8000/v1. Without TLS only an address of this machine.")
    model: Text | None = _option(None, "The model's name there; null takes the first the server names.")
    allow: Globs = _option(["**"], "Only what quotes files that match one of these globs is sent.")
    deny: Globs = _option([], "What quotes a file that matches one of these globs is never sent.")
    plain_http: bool = _option(False, "The network between is trusted: http:// may be used to another machine.")


class OverrideOptions(Group):
    """How findings are shown in some files."""

    files: Globs = Field(min_length=1, description="Globs of the files.")
    severity: Severities = Field(description="As in diagnostics.severity; it goes before what is said there.")


class DiagnosticsOptions(Group):
    """Findings in the editor."""

    enabled: bool = _option(True, "Show findings.")
    severity: Severities = _option(
        {}, "How findings are shown: a rule's id or a glob over ids, and error, warning, information, hint or off."
    )
    overrides: Annotated[list[OverrideOptions], Field(max_length=limit("config.items"))] = _option(
        [], "The same for some files: a list of objects with files (globs) and severity."
    )
    classifier: bool = _option(True, "Hint at functions that may deserve a reviewer's eyes, by a small trained model.")
    model: Literal["off", "demand", "save"] = _option(
        "demand", "When the language model reviews code: never, when it is asked to, or at each save.", "off only"
    )


class InlineCompletionOptions(Group):
    """Completion while typing."""

    enabled: bool = _option(False, "Suggest a continuation while you type.", "off only")


class CodeLensOptions(Group):
    """Lines above symbols."""

    enabled: bool = _option(False, "Show Ask, Tests and Document above functions and classes.")


class HoverOptions(Group):
    """What is shown at the cursor."""

    summary: bool = _option(True, "Add the model's two-line summary to a hover when it is ready.", "off only")


class ContextOptions(Group):
    """What the model is told."""

    secrets: Globs = _option([], "Globs of files, beside the built-in ones, that no model may see.")


class Options(Group):
    """Settings of LeanVibe."""

    engine: Literal["llama.cpp", "mlx", "mock", "remote"] | None = _option(
        None, "The backend to use or fail; null lets the hardware decide.", "refused"
    )
    model: Text | None = _option(
        None, "A name from `leanvibe models list`, a folder or a .gguf file; null takes the default.", "refused"
    )
    remote: RemoteOptions | Literal[False] | None = _option(
        None, "An OpenAI-compatible server that may be asked; false switches off one of another file.", "refused"
    )
    diagnostics: DiagnosticsOptions = Field(default_factory=DiagnosticsOptions)
    inline_completion: InlineCompletionOptions = Field(default_factory=InlineCompletionOptions)
    code_lens: CodeLensOptions = Field(default_factory=CodeLensOptions)
    hover: HoverOptions = Field(default_factory=HoverOptions)
    context: ContextOptions = Field(default_factory=ContextOptions)
    log_level: Literal["debug", "info", "warning", "error"] | None = _option(
        None, "How much the server logs; null keeps what it was started with.", "refused"
    )


@dataclass(slots=True)
class Reading:
    """What could be used, by names with dots, and what could not."""

    values: dict[str, Any] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def read_options(raw: object, *, workspace: bool = False) -> Reading:
    """Read what somebody sent. `workspace`: it is a file of the workspace, which says less. Never raises."""
    reading = Reading()
    if raw is not None:
        _read(Options, raw, "", reading, workspace)
    return reading


def _read(group: type[Group], raw: object, prefix: str, reading: Reading, workspace: bool) -> None:
    if not isinstance(raw, Mapping):
        message = f"{'must' if prefix else 'options must'} be an object, not {_shown(raw)}"
        reading.problems.append(Problem(prefix.removesuffix("."), message))
        return
    if len(raw) > limit("config.items"):
        reading.problems.append(Problem(prefix.removesuffix("."), f"more than {limit('config.items')} settings"))
        return
    fields = fields_of(group)
    for key, value in raw.items():
        name = f"{prefix}{key}"[: limit("config.characters")]
        if (one := fields.get(key) if isinstance(key, str) else None) is None:
            reading.problems.append(Problem(name, _unknown(str(key), fields)))
        elif (inner := group_of(one)) is not None and inner is not RemoteOptions:
            _read(inner, value, f"{name}.", reading, workspace)
        elif workspace and name == "remote" and isinstance(value, Mapping):
            _read_denied(value, reading)
        elif workspace and (refusal := _refusal(one, value)):
            reading.problems.append(Problem(name, refusal, refused=True))
        elif name == "diagnostics.severity" and isinstance(value, Mapping) and len(value) <= limit("config.items"):
            _read_severities(one, value, reading)
        elif name == "diagnostics.overrides":
            _read_overrides(value, reading)
        else:
            _take(one, name, value, reading)


def _read_severities(one: FieldInfo, value: Mapping[Any, Any], reading: Reading) -> None:
    """A bad entry costs itself."""
    taken: dict[str, str] = {}
    for rule, severity in value.items():
        try:
            _checked(one, {rule: severity}, quoted=True)
        except ValueError:
            entry = f"diagnostics.severity.{rule}"[: limit("config.characters")]
            reading.problems.append(Problem(entry, _wrong_severity(rule, severity)))
        else:
            taken[rule] = severity
    if taken or not value:
        reading.values["diagnostics.severity"] = tuple(taken.items())


def _wrong_severity(rule: object, severity: object) -> str:
    known = get_args(Shown)
    if severity in known:
        most = limit("config.characters")
        return f"the name of a rule, or a glob, has 1 to {most:,} characters, not {len(str(rule)):,}"
    near = difflib.get_close_matches(severity[:64], known, n=1) if isinstance(severity, str) else ()
    guess = f"; did you mean {near[0]!r}?" if near else ""
    return f"must be one of {', '.join(known)}, not {_shown(severity)}{guess}"


def _read_overrides(value: object, reading: Reading) -> None:
    """A bad entry costs itself."""
    if not isinstance(value, list) or len(value) > limit("config.items"):
        message = f"must be a list of at most {limit('config.items')} objects, not {_shown(value)}"
        reading.problems.append(Problem("diagnostics.overrides", message))
        return
    taken: list[Override] = []
    for number, entry in enumerate(value):
        try:
            one = OverrideOptions.model_validate(entry)
            taken.append(Override(tuple(one.files), tuple(one.severity.items())))
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]
            said = str(problem["ctx"]["error"]) if problem["type"] == "value_error" else problem["msg"]
            place = ".".join(map(str, ("diagnostics.overrides", number, *problem["loc"])))
            reading.problems.append(Problem(place[: limit("config.characters")], said))
    if taken or not value:
        reading.values["diagnostics.overrides"] = tuple(taken)


def _take(one: FieldInfo, name: str, value: object, reading: Reading) -> None:
    try:
        if name == "remote":
            reading.values[name] = _remote(value)
            return
    except ValueError as error:  # quotes nothing: there may be a password in it
        reading.problems.append(Problem(name, str(error)))
        return
    try:
        reading.values[name] = _checked(one, value, quoted=True)
    except ValueError as error:
        reading.problems.append(Problem(name, str(error)))


def _read_denied(value: Mapping[Any, Any], reading: Reading) -> None:
    """A workspace may not say which server is asked, but it may say what no server is told."""
    if "deny" in value:
        _take(RemoteOptions.model_fields["deny"], DENY, value["deny"], reading)
    if any(key != "deny" for key in value):
        refusal = "a workspace may not choose a server or what may be sent; only deny is taken from its files"
        reading.problems.append(Problem("remote", refusal, refused=True))


def _refusal(one: FieldInfo, value: object) -> str:
    extra = one.json_schema_extra
    trust = extra.get("workspace") if isinstance(extra, dict) else None
    if trust == "refused":
        return "a workspace may not choose this; say it in your editor, or in your own file (`leanvibe config path`)"
    if trust == "off only" and (value is True or value == "save"):
        return "a workspace may switch this off, not on; switch it on in your own settings"
    return ""


def _remote(value: object) -> RemoteSettings | None:
    """One field, met whole or not at all: what may leave is what a person said, or nothing."""
    if value is None or value is False:
        return None
    if not isinstance(value, Mapping):
        raise ValueError("must be an object, false or null")
    fields = fields_of(RemoteOptions)
    for key in value:
        if key not in fields:
            raise ValueError(f"{key}: {_unknown(str(key), fields)}")
    if "url" not in value:
        raise ValueError("needs an address like https://host:8000/v1 as url")
    parts: dict[str, Any] = {}
    for key, part in value.items():
        try:
            parts[key] = _checked(fields[key], part, quoted=False)
        except ValueError as error:
            raise ValueError(f"{key} {error}") from None
    plain = parts.pop("plainHttp", False)
    return RemoteSettings(**parts, plain_http=plain)


def _checked(one: FieldInfo, value: object, *, quoted: bool) -> object:
    """The value as settings keep it: lists and tables as tuples. Raises ValueError, the rest of a sentence."""
    try:
        checked = _adapter(one).validate_python(value)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        if problem["type"] == "value_error":
            raise ValueError(str(problem["ctx"]["error"])) from None
        found = f", not {_shown(problem['input'])}" if quoted else ""
        raise ValueError(f"must be {accepted(one)}{found}") from None
    if isinstance(checked, list):
        return tuple(checked)
    return tuple(checked.items()) if isinstance(checked, dict) else checked


def fields_of(group: type[Group]) -> dict[str, FieldInfo]:
    """The fields of a group by their names on the wire."""
    return {one.alias or name: one for name, one in group.model_fields.items()}


def group_of(one: FieldInfo) -> type[Group] | None:
    """The group that a field holds, or None for a plain value."""
    if get_origin(one.annotation) is list:
        return None
    kinds = (one.annotation, *get_args(one.annotation))
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Group)), None)


def accepted(one: FieldInfo) -> str:
    """The values that a field takes, as the rest of "must be"."""
    schema = _adapter(one).json_schema()
    kinds = [kind for kind in schema.get("anyOf", [schema]) if kind.get("type") != "null"]
    null = " or null" if len(kinds) < len(schema.get("anyOf", [schema])) else ""
    kind = kinds[0]
    if "enum" in kind:
        return f"one of {', '.join(kind['enum'])}{null}"
    if kind["type"] == "object":
        return f"an object of ids or globs, each with one of {', '.join(kind['additionalProperties']['enum'])}"
    words = {"boolean": "true or false", "string": "a non-empty string", "array": "a list of globs"}
    return f"{words[kind['type']]}{null}"


def _adapter(one: FieldInfo) -> TypeAdapter[Any]:
    kind: Any = one.annotation
    return _adapter_of(kind, tuple(one.metadata))


@cache
def _adapter_of(annotation: Any, metadata: tuple[Any, ...]) -> TypeAdapter[Any]:
    kind: Any = Annotated[annotation, *metadata] if metadata else annotation
    return TypeAdapter(kind, config=ConfigDict(strict=True))


def _unknown(key: str, fields: Mapping[str, FieldInfo]) -> str:
    near = difflib.get_close_matches(key[:64], fields, n=1)
    guess = f"did you mean {near[0]!r}? " if near else ""
    return f"there is no such setting; {guess}there are: {', '.join(fields)}"


def _shown(value: object) -> str:
    """A value in a message: a container by its kind, text in quotes and cut."""
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, str):
        return repr(value if len(value) <= 40 else f"{value[:40]}…")
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(type(value).__name__)
