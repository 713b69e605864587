"""What a question wants, and what follows from it for the prompt and the room. Pure.

Only a guess that is good enough to act on changes anything; of any other the question is taken as it stands.
"""

from __future__ import annotations

from dataclasses import replace

from leanvibe_lsp.assist.answer import AskRequest
from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.documents.gathered import NOTHING
from leanvibe_lsp.tiers.intent.classify import classify, decide
from leanvibe_lsp.tiers.intent.values import Intent, IntentGuess, Verdict

# What a slash command says to a model, which knows none.
_SAID = {
    Intent.EXPLAIN: "Explain this code.",
    Intent.GENERATE: "Write this code.",
    Intent.EDIT: "Change this code.",
    Intent.DOCUMENT: "Write documentation for this code.",
    Intent.TESTS: "Write tests for this code.",
    Intent.FIX: "Say what is wrong with this code, and give the corrected code.",
    Intent.REVIEW: "Review this code: name what is wrong or risky in it, and why.",
    Intent.SEARCH: "Say where in this code it is.",
}


def wanted(request: AskRequest) -> IntentGuess | None:
    """What a person's question wants, most likely; None for a question that the program itself has written."""
    if request.task != "answer" or not request.question.strip():
        return None
    selected = any(place.span is not None for place in request.places)
    return classify(request.question, location="inline" if selected else "panel", has_selection=selected)


def planned(request: AskRequest, guess: IntentGuess | None) -> AskRequest:
    """The request as it is put to a model: a command in words; for mere talk little room, and no code from around."""
    if guess is None or decide(guess) is not Verdict.ALONE:
        return request
    if guess.method == "command":
        rest = request.question.split(maxsplit=1)[1:]
        request = replace(request, question=" ".join((_SAID[guess.intent], *rest)))
    if guess.intent is Intent.CHAT:
        request = replace(request, gathered=NOTHING)
        if request.max_tokens is None and request.structure is None:
            request = replace(request, max_tokens=limit("answer.chat_tokens"))
    return request
