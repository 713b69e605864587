"""`leanvibe models convert` with a real model: from GGUF to a folder that two loaders read, and that proves itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from leanvibe_lsp.cli.app import app

pytestmark = [pytest.mark.real_model, pytest.mark.slow]


def test_smollm2_becomes_a_folder_and_the_folder_8_bit(tmp_path: Path) -> None:
    """GGUF, float16, 8 bits: each keeps known answers and perplexity; `verify` holds the last to its manifest."""
    full, small = tmp_path / "full", tmp_path / "small"
    steps = (["smollm2", str(full), "--dequantize", "--dtype", "float16"], [str(full), str(small), "--quantize", "8"])
    for step in steps:
        result = CliRunner().invoke(app, ["models", "convert", *step])
        assert result.exit_code == 0, result.output
        assert "before            verified: 8 of 8" in result.stdout
        assert "after             verified: 8 of 8" in result.stdout
        change = float(result.stdout.split("change            perplexity ")[1].split("%")[0])
        assert abs(change) < 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full", "small"]

    checked = CliRunner().invoke(app, ["models", "verify", str(small)])
    assert checked.exit_code == 0, checked.output
    assert "WRONG" not in checked.stdout
    assert "as recorded" in checked.stdout.splitlines()[-1]

    from mlx_lm import generate, load

    model, tokenizer = load(str(small))
    assert generate(model, tokenizer, "def add(a, b):\n    return", max_tokens=4).strip().startswith("a + b")
