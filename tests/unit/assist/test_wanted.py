from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from leanvibe_lsp.assist.answer import AskRequest
from leanvibe_lsp.assist.wanted import planned, wanted
from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.tiers.intent.values import Intent, IntentGuess


def test_a_command_is_put_into_words() -> None:
    """A model knows no slash commands: it is told what they mean, and the rest as it was written."""
    request = AskRequest("/explain the  second loop")
    guess = wanted(request)
    assert guess is not None
    assert (guess.intent, guess.method) == (Intent.EXPLAIN, "command")
    assert planned(request, guess).question == "Explain this code. the  second loop"


def test_mere_talk_gets_little_room() -> None:
    """What is about no code needs no long answer; a person's own limit counts all the same."""
    chat = IntentGuess(Intent.CHAT, 0.99, "words")
    assert planned(AskRequest("hello"), chat).max_tokens == limit("answer.chat_tokens")
    assert planned(AskRequest("hello", max_tokens=9), chat).max_tokens == 9


def test_what_the_program_asks_is_not_guessed_at() -> None:
    """A fix's prompt is no person's request."""
    assert wanted(AskRequest("/explain", task="fix")) is None


@given(st.text(min_size=1).filter(lambda text: text.strip() and not text.lstrip().startswith("/")), st.floats(0, 1))
def test_a_question_is_never_rewritten(question: str, sure: float) -> None:
    """Whatever is guessed, and however surely: the words that reach the model are the person's."""
    for intent in Intent:
        request = AskRequest(question)
        assert planned(request, IntentGuess(intent, sure, "model")).question == question


def test_a_doubtful_guess_changes_nothing() -> None:
    """Below the confidence that is needed the request goes on as it came."""
    request = AskRequest("hello")
    assert planned(request, IntentGuess(Intent.CHAT, 0.5, "model")) == request
