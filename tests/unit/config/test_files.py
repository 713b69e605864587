from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanvibe_lsp.config.files import lines_of, read_layer, workspace_layers
from leanvibe_lsp.config.layers import USER_FILE, WORKSPACE, settled
from leanvibe_lsp.config.limits import limit

TEXT = """\
model = "phi3"

[remote]  # ours
url = "https://host"
[diagnostics]
severity = { todo = "loud" }
"""


def test_values_and_problems_have_their_lines(tmp_path: Path) -> None:
    """A field is found by file and line, counted from 1; what stands in an inline table by the table's line."""
    file = tmp_path / "leanvibe.toml"
    file.write_text(TEXT)
    layer = read_layer(file, USER_FILE)
    assert layer.place("model") == f"{file}:1"
    assert layer.place("remote") == f"{file}:3"
    (complaint,) = layer.complaints()
    assert complaint.startswith(f"{file}:6: diagnostics.severity.todo: must be one of error, warning, ")


def test_lines_of_dotted_and_quoted_keys() -> None:
    """Keys count by what they mean, not by how they are written."""
    text = "a.b = 1\n[x.\"y.z\"]\n'q' = 2\n[[tables]]\nnot a key\n"
    assert lines_of(text) == {"a": 1, "a.b": 1, "x": 2, "x.y.z": 2, "x.y.z.q": 3}
    assert lines_of("[tool.leanvibe]\nmodel = 1\n[tool.other]\nx = 1\n", ("tool", "leanvibe")) == {"model": 2}


def test_a_workspace_has_two_files(tmp_path: Path) -> None:
    """`leanvibe.toml` is laid over the table in pyproject.toml; globs add up; other tools' tables are left alone."""
    (tmp_path / "pyproject.toml").write_text(
        '[tool.other]\nmodel = 1\n[tool.leanvibe]\ncontext.secrets = ["a"]\ndiagnostics.enabled = false\n'
    )
    (tmp_path / "leanvibe.toml").write_text('context.secrets = ["b"]\ndiagnostics.enabled = true\n')
    layers = workspace_layers(tmp_path, {})
    assert [layer.problems for layer in layers] == [(), ()]
    editor = settled(layers).editor
    assert (editor.diagnostics, editor.secrets) == (True, ("a", "b"))


def test_a_pyproject_without_our_table_says_nothing(tmp_path: Path) -> None:
    """Nor does one whose `tool` is no table."""
    for text in ("[project]\nname = 'x'\n", "tool = 3\n"):
        (tmp_path / "pyproject.toml").write_text(text)
        (layer,) = workspace_layers(tmp_path, {})
        assert (dict(layer.values), layer.problems) == ({}, ())


def test_broken_toml_leaves_what_was_there(tmp_path: Path) -> None:
    """The last good reading counts on, also after a second broken one; the line of the error is said."""
    file = tmp_path / "leanvibe.toml"
    file.write_text('context.secrets = ["a"]\n')
    good = read_layer(file, WORKSPACE)
    file.write_text("ok = 1\ncontext.secrets = [\n\n")
    broken = read_layer(file, WORKSPACE, good)
    again = read_layer(file, WORKSPACE, broken)
    for layer in (broken, again):
        assert layer.values == {"context.secrets": ("a",)}
        (complaint,) = layer.complaints()
        assert complaint.startswith(f"{file}:")
        assert complaint.endswith("; what it said before still counts")
    (alone,) = read_layer(file, WORKSPACE).complaints()
    assert "cannot be read" in alone


def test_a_line_of_broken_toml_is_said(tmp_path: Path) -> None:
    """Where the parser says it."""
    file = tmp_path / "leanvibe.toml"
    file.write_text("a = 1\nb = = 2\n")
    (complaint,) = read_layer(file, WORKSPACE).complaints()
    assert complaint.startswith(f"{file}:2: cannot be read:")


def test_what_is_no_text_file_is_said(tmp_path: Path) -> None:
    """A folder, bytes that are no UTF-8, a file too large: one problem each, nothing raised."""
    folder = tmp_path / "leanvibe.toml"
    folder.mkdir()
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\x00")
    large = tmp_path / "large"
    large.write_bytes(b"#" * (limit("config.file_bytes") + 1))
    said = [problem.message for path in (folder, binary, large) for problem in read_layer(path, WORKSPACE).problems]
    assert said == [
        "cannot be read: Is a directory",
        "cannot be read: it is not UTF-8",
        f"cannot be read: is larger than {limit('config.file_bytes')} bytes",
    ]


@given(st.text(max_size=60))
def test_lines_never_fail(text: str) -> None:
    """Whatever a file holds, every line that is found is one of its lines."""
    assert all(1 <= line <= len(text.splitlines()) for line in lines_of(text).values())


@pytest.mark.parametrize("part", ["a", '"a"', r'"\""', "''"])
def test_a_key_of_many_parts_is_refused(tmp_path: Path, part: str) -> None:
    """Before it is parsed: the parser takes the square of their number."""
    for key in (
        ".".join([part] * 9_000),
        f"[{' . '.join([part] * 9_000)}]",
        f"x = {{ {'.'.join([part] * 9_000)} = 1 }}",
    ):
        (tmp_path / "leanvibe.toml").write_text(f"\n{key} = 1\n")
        (problem,) = read_layer(tmp_path / "leanvibe.toml", WORKSPACE).problems
        assert problem.message == "cannot be read: a key has more than 16 parts (at line 2, column 1)"
