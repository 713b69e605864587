from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leanvibe_lsp.assist.changes.drafts import code_of, fence_words
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
    assert code_of(answer, _REGION, "python") == code


@pytest.mark.parametrize("answer", ["", "Sorry.", "```python\nx = 1", "text\n```\nx\n~~~", "x = 1"])
def test_half_an_answer_is_none(answer: str) -> None:
    """No block, or one that does not end: an error, and never a guess."""
    with pytest.raises(Incomplete):
        code_of(answer, _REGION, "python")


_BASH = "f() {\n  rm -rf $1\n}"


@pytest.mark.parametrize(
    ("region", "answer", "code"),
    [
        ("run $a", "Install:\n```\nnpm install x\n```\nThen\n```\nrun \"$a\"\n```", 'run "$a"'),
        ("def f(x):\n    y = x\n    return y",
         "Now:\n```\ndef f(x):\n    y=x\n    return y\n```\nNew:\n```\ndef f(x):\n    return x\n```",
         "def f(x):\n    return x"),
        ("def f(x):\n    y = x", "```\nf(1)\n```\n```\ndef f(x):\n    return x\n```", "def f(x):\n    return x"),
        ('def f():\n    """\n    ```\n    f()\n    ```\n    """\n    x = 1',
         '```\ndef f():\n    """\n    ```\n    f()\n    ```\n    """\n```',
         'def f():\n    """\n    ```\n    f()\n    ```\n    """'),
        ("# T\n```\nx\n```", "````markdown\n# U\n```\nx\n```\n````", "# U\n```\nx\n```"),
        ("a\n- b", "```\n- a\n- b\n```", "- a\n- b"),
        (_BASH, 'f() {\n  rm -rf "$1"\n}', 'f() {\n  rm -rf "$1"\n}'),
        ("f({\n  a: 1,\n});", "f({\n  a: 2,\n});", "f({\n  a: 2,\n});"),
    ],
)  # fmt: skip
def test_the_block_that_is_about_the_code(region: str, answer: str, code: str) -> None:
    """The one that begins as the code does and is not the code itself; fences inside of it stay."""
    assert code_of(answer, region, "python") == code


_NESTED = "```markdown\n# T\n\nnew\n\n```\ncode\n```\n\nend\n```"
_DIFF = "```{}\n f() {{\n-  a=1\n-  echo $a\n{} }}\n```"


@pytest.mark.parametrize(
    ("region", "language", "answer", "reason"),
    [
        ("# T\n\nold\n\n```\ncode\n```\n\nend", "markdown", _NESTED, "more than one way"),
        ("# T\n\nold", "markdown", _NESTED, "more than one way"),
        ("send(x)\nlog(x)", "python", "Add\n```\nimport re\n```\nthen\n```\nsend(x); log(x)\n```", "other places"),
        ("x = 1", "python", "```\nx = 2\n```\nor\n```\nx = 3\n```", "which block"),
        ("x = 1", "python", "```\npip install a\n```\n```\nnpm install x\n```", "which block"),
        ("f() {\n  a=1\n  echo $a\n}", "bash", _DIFF.format("diff", "+  echo 1\n"), "differences"),
        ("f() {\n  a=1\n  echo $a\n}", "bash", _DIFF.format("", ""), "differences"),
        (_BASH, "bash", 'f() {\n  rm -rf "$1"\n}\n\nThis function removes the directory given', "other text"),
        ("def f(a)\n  a + 1\nend", "ruby", "def f(a)\n  a.succ\nend\n\nThis works now", "other text"),
        ("function f() {\n  g();\n}", "javascript", "function f() {\n  h();\n}\n\nDone", "other text"),
    ],
)
def test_what_is_not_plain_is_no_code(region: str, language: str, answer: str, reason: str) -> None:
    """Fences in fences, code for elsewhere, two drafts, a diff, words behind code without a fence: refused."""
    with pytest.raises(Incomplete, match=reason):
        code_of(answer, region, language)


def test_a_longer_fence_is_asked_for() -> None:
    """Only where the code holds fences itself."""
    assert "`````," in fence_words("a\n````\nb\n````")
    assert fence_words("a = '```'") == ""


@given(st.text(st.sampled_from("ab`~ \n\t\r:"), max_size=60), st.text(st.sampled_from("ab `\n\t"), max_size=20))
@settings(max_examples=300, deadline=None)
def test_any_answer_is_code_or_an_error(answer: str, region: str) -> None:
    """No text of a model breaks the reading of it; line endings come out plain."""
    try:
        code = code_of(answer, region, "")
    except Incomplete:
        return
    assert "\r" not in code
