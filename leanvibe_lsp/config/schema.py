"""JSON schemas made from the model of options: for files, and for the settings page of VS Code."""

from __future__ import annotations

from typing import Any

from leanvibe_lsp.config.options import Options, RemoteOptions, fields_of, group_of

# VS Code fills in every default when it is asked: null says that the person said nothing, so that a file may.
_MACHINE = ("engine", "model", "remote", "logLevel")  # not from the settings of a folder that somebody else wrote


def json_schema() -> dict[str, Any]:
    """The schema of `leanvibe.toml`, of initializationOptions, and of the section "leanvibe" of a client's settings."""
    schema = _plain(Options.model_json_schema(by_alias=True))
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "LeanVibe"}


def vscode_properties() -> dict[str, dict[str, Any]]:
    """`contributes.configuration.properties` of the VS Code extension: one "leanvibe." property for each setting."""
    schema = _plain(Options.model_json_schema(by_alias=True))
    definitions = schema.pop("$defs")
    properties: dict[str, dict[str, Any]] = {}
    for name, one in fields_of(Options).items():
        inner = group_of(one)
        if inner is None or inner is RemoteOptions:
            properties[f"leanvibe.{name}"] = _property(schema["properties"][name], name, definitions)
            continue
        for leaf, content in definitions[inner.__name__]["properties"].items():
            properties[f"leanvibe.{name}.{leaf}"] = _property(content, name, definitions)
    return properties


def _property(schema: dict[str, Any], name: str, definitions: dict[str, Any]) -> dict[str, Any]:
    """One property: its kinds in one list with null, which is also its default."""
    kinds = [kind for kind in schema.get("anyOf", [schema]) if kind.get("type") != "null"]
    kind = kinds[0]
    if "$ref" in kind:
        kind = {**definitions[kind["$ref"].rpartition("/")[2]]}
    body = {key: value for key, value in kind.items() if key not in ("default", "description", "title", "type")}
    if "$ref" in body.get("items", {}):
        body["items"] = definitions[body["items"]["$ref"].rpartition("/")[2]]
    if "enum" in body:
        body["enum"] = [*body["enum"], None]
    default = schema.get("default")
    described = schema["description"]
    if default not in (None, [], {}):
        described += f" Default: {str(default).lower() if isinstance(default, bool) else default}."
    return {
        "type": [kind["type"], *(other["type"] for other in kinds[1:]), "null"],
        "default": None,
        "description": described,
        "scope": "machine" if name in _MACHINE else "resource",
        **body,
    }


def _plain(schema: Any) -> Any:
    """Without what only pydantic and this program read."""
    if isinstance(schema, dict):
        return {
            key: _plain(value)
            for key, value in schema.items()
            if not (key == "workspace" or (key == "title" and isinstance(value, str)))
        }
    return [_plain(one) for one in schema] if isinstance(schema, list) else schema
