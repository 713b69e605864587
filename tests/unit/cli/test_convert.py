"""`leanvibe models convert`: what it passes on, prints and refuses."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from leanvibe_lsp import services
from leanvibe_lsp.cli.app import app
from leanvibe_lsp.engine.local.convert import Conversion, Recipe, WriteProgress
from leanvibe_lsp.engine.models.perplexity import Perplexity, Proof
from leanvibe_lsp.engine.models.selftest import State, Verdict
from leanvibe_lsp.errors import UsageError
from tests.support.gguf import llama_metadata, llama_shapes, write_gguf


@pytest.fixture
def model(tmp_path):
    return str(write_gguf(tmp_path / "tiny.gguf", llama_metadata(), llama_shapes()))


def _run(*args):
    return CliRunner().invoke(app, ["models", "convert", *args])


def test_it_prints_both_proofs_and_the_change(model, tmp_path, monkeypatch):
    """Verdicts, perplexities, the change in percent, what was kept; progress on stderr."""
    asked = []

    def convert_model(located, target, recipe, *, progress, cancel):
        asked.append((target, recipe))
        progress(WriteProgress("model.norm", 10, 10))
        before, after = (Proof(Verdict(State.VERIFIED, 0.9, ()), Perplexity(value, 300)) for value in (4.0, 4.2))
        return Conversion(before, after, ("model.layers.0.w", "model.layers.1.w"), 2_000_000)

    monkeypatch.setattr(services, "convert_model", convert_model)
    result = _run(model, str(tmp_path / "out"), "--quantize", "4", "--group-size", "32", "--dtype", "float16")
    assert result.exit_code == 0
    assert asked == [(tmp_path / "out", Recipe(bits=4, group_size=32, dtype="float16"))]
    assert result.stdout.count("verified") == 2
    assert "perplexity 4.00" in result.stdout
    assert "perplexity +5.0%" in result.stdout
    assert "2 x model.layers.*.w" in result.stdout
    assert "100%" in result.stderr


@pytest.mark.parametrize("wrong", [("--quantize", "5"), ("--group-size", "48"), ("--dtype", "int8")])
def test_what_mlx_does_not_do_is_a_usage_error(model, tmp_path, wrong):
    """Exit code 2, nothing begun."""
    assert _run(model, str(tmp_path / "out"), *wrong).exit_code == 2
    assert isinstance(_run(model, str(tmp_path / "out"), "--group-size", "32").exception, UsageError)


def test_help_has_examples():
    """A command that can be copied."""
    assert "leanvibe models convert ./Phi-3-mini-4k-instruct ./phi3-4bit --quantize 4" in _run("--help").stdout
