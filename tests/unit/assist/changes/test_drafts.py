from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leanvibe_lsp.assist.changes.drafts import code_of, laid
from leanvibe_lsp.errors import Incomplete

_REGION = "    def f(self):\n        return 1"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("```python\nx = 1\n```", "x = 1"),
        ("Here you are:\n\n```py title=\"a.py\"\nx = 1\n```\nDone.", "x = 1"),
        ("~~~\nx = 1\n~~~", "x = 1"),
        ("````\n```\nx\n```\n````", "```\nx\n```"),
        ("  ```python\r\nx = 1\r\n  ```", "x = 1"),
        ("First:\n```\n    def f(self):\n        return 1\n```\nNow:\n```\n    def f(self):\n        return 2\n```",
         "    def f(self):\n        return 2"),
        ("def f(self):\n    return 2", "def f(self):\n    return 2"),
        ("```python\n\n```", ""),
    ],
)  # fmt: skip
def test_the_code_of_an_answer(answer: str, code: str) -> None:
    """Words, languages, other fences, a repeated block first, no fence at all where it begins as the code does."""
    assert code_of(answer, _REGION) == code


@pytest.mark.parametrize("answer", ["", "Sorry.", "```python\nx = 1", "text\n```\nx\n~~~", "x = 1"])
def test_half_an_answer_is_none(answer: str) -> None:
    """No block, or one that does not end: an error, and never a guess."""
    with pytest.raises(Incomplete):
        code_of(answer, _REGION)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("    def f(self):\n        return 2", "    def f(self):\n        return 2"),
        ("def f(self):\n    return 2", "    def f(self):\n        return 2"),
        ("def f(self):\n        return 2", "    def f(self):\n        return 2"),
        ("        def f(self):\n            return 2", "    def f(self):\n        return 2"),
        ("def f(self):\n\treturn 2", "    def f(self):\n        return 2"),
        ("import os\n\nclass A:\n    def f(self):\n        return 2", "    def f(self):\n        return 2"),
        ("import os\n\nclass A:\n    def f(self):\n        return 2\n\n    def g(self):\n        pass",
         "    def f(self):\n        return 2"),
        ("def f(self):\n    return 2\n\ndef h():\n    pass",
         "    def f(self):\n        return 2\n\n    def h():\n        pass"),
    ],
)  # fmt: skip
def test_code_is_laid_onto_its_lines(code: str, text: str) -> None:
    """Too far left or right, its first line alone, tabs, the rest of the file around it; new code stays."""
    assert laid(code, "import os\n\nclass A:\n", _REGION, "\n\n    def g(self):\n        pass\n") == text


def test_the_documents_blanks_and_line_endings_are_kept() -> None:
    """Tabs where it has tabs, "\\r\\n" where it has those."""
    region = "\tif a:\r\n\t\tb()"
    assert laid("if a:\n    c()", "def f():\r\n", region, "\r\n") == "\tif a:\r\n\t\tc()"
    assert laid("a\nb", "x\r\n", "one", "\r\n") == "a\r\nb"


@given(st.text(st.sampled_from("ab`~ \n\t\r:"), max_size=60), st.text(st.sampled_from("ab \n\t"), max_size=20))
@settings(max_examples=300, deadline=None)
def test_any_answer_is_code_or_an_error(answer: str, region: str) -> None:
    """No text of a model breaks the reading of it; line endings come out plain."""
    try:
        code = code_of(answer, region)
    except Incomplete:
        return
    assert "\r" not in code
    assert "\r" not in laid(code, "", region, "")
