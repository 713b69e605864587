from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from leanvibe_lsp.assist.completion_cache import Asked, CompletionCache
from leanvibe_lsp.config.limits import limit

ASKED = Asked("file:///a.py", "model", "return ", "\n")


def test_the_same_again() -> None:
    """The same place gives the same completion, also when there was nothing to say."""
    cache = CompletionCache()
    cache.put(ASKED, "a + b")
    cache.put(replace(ASKED, before="x"), "")
    assert cache.get(ASKED) == "a + b"
    assert cache.get(replace(ASKED, before="x")) == ""


def test_every_part_of_the_key_counts() -> None:
    """Another file, model, text before or behind: not known."""
    cache = CompletionCache()
    cache.put(ASKED, "a + b")
    for other in ({"uri": "file:///b.py"}, {"model": "other"}, {"before": "neturn "}, {"after": ""}):
        assert cache.get(replace(ASKED, **other)) is None


@given(text=st.text(min_size=1, max_size=20), size=st.integers(0, 19))
def test_typing_on_gives_what_is_left(text: str, size: int) -> None:
    """What was typed of a completion and what is given make the completion."""
    cache = CompletionCache()
    cache.put(ASKED, text)
    typed = text[: min(size, len(text) - 1)]
    assert cache.get(replace(ASKED, before=ASKED.before + typed)) == text[len(typed) :]


def test_typing_something_else_gives_nothing() -> None:
    """Neither another character, nor all of it: what follows then is not known."""
    cache = CompletionCache()
    cache.put(ASKED, "a + b")
    assert cache.get(replace(ASKED, before="return b")) is None
    assert cache.get(replace(ASKED, before="return a + b")) is None


def test_the_least_used_makes_room() -> None:
    """No more are kept than the limit says."""
    cache = CompletionCache()
    count = limit("completion.kept")
    for number in range(count):
        cache.put(replace(ASKED, uri=str(number)), "x")
    assert cache.get(replace(ASKED, uri="0")) == "x"
    cache.put(replace(ASKED, uri="one more"), "x")
    assert cache.get(replace(ASKED, uri="0")) == "x"
    assert cache.get(replace(ASKED, uri="1")) is None
