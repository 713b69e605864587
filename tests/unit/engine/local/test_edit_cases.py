from __future__ import annotations

from tests.benchmarks.edit_cases import edit_cases


def test_the_ten_edits_can_be_read() -> None:
    """There are ten, each with its file twice in the prompt before the answer begins."""
    cases = edit_cases()
    assert len(cases) == 10
    for case in cases:
        assert case.prompt().count(case.code) == 2
        assert case.prompt().endswith(f"```{case.language}\n")
        assert case.code.count("\n") > 12
