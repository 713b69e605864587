from __future__ import annotations

import json

import jsonschema

from leanvibe_lsp.config.layers import NAMES
from leanvibe_lsp.config.schema import json_schema, vscode_properties

GOOD = {
    "engine": "mlx",
    "remote": {"url": "https://host", "deny": ["*.sql"], "plainHttp": False},
    "diagnostics": {"enabled": False, "severity": {"todo": "hint"}},
    "context": {"secrets": ["*.dump"]},
    "logLevel": None,
}


def test_the_schema_takes_what_the_reader_takes() -> None:
    """It is a JSON schema; good options fit, a misspelled one does not."""
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    assert validator.is_valid(GOOD)
    assert validator.is_valid({"remote": False})
    assert not validator.is_valid({"modell": "x"})
    assert not validator.is_valid({"diagnostics": {"severity": {"a": "loud"}}})
    assert "workspace" not in json.dumps(schema)


def test_vs_code_has_every_setting() -> None:
    """Each with help, null for "not said", and, where it chooses what runs or is sent, out of a folder's reach."""
    properties = vscode_properties()
    assert list(properties) == [f"leanvibe.{name}" for name in NAMES]
    for one in properties.values():
        assert one["description"].endswith(".")
        assert one["default"] is None
        assert one["type"][-1] == "null"
    machine = {name for name, one in properties.items() if one["scope"] == "machine"}
    assert machine == {"leanvibe.engine", "leanvibe.model", "leanvibe.remote", "leanvibe.logLevel"}
    assert properties["leanvibe.hover.summary"]["description"].endswith("Default: true.")
    assert properties["leanvibe.remote"]["type"] == ["object", "boolean", "null"]
