"""What a request wants: a slash command says it, else clear words that are right often enough, else the model. Pure."""

from __future__ import annotations

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.tiers.intent.features import features
from leanvibe_lsp.tiers.intent.model import IntentModel, log_odds, shipped
from leanvibe_lsp.tiers.intent.values import Intent, IntentGuess, Location, Verdict
from leanvibe_lsp.tiers.intent.words import clearest, command

_REASONS = 3


def classify(
    text: str, *, location: Location, has_selection: bool | None = None, model: IntentModel | None = None
) -> IntentGuess:
    """The likeliest intent of a request, typed into code or into a panel. The model is the shipped one unless given.

    `has_selection`: whether code is selected; None where the client does not say. It moves a model only as far as rows
    of its data say it: those of the shipped one do not.
    """
    model = model or shipped()
    said = command(text)
    if said is not None:
        return IntentGuess(said, 1.0, "command", (), (text.split(maxsplit=1)[0],))
    weighted = model.vocabulary.weighted(features(text, location, has_selection))
    likely = model.probabilities(weighted)
    clear = clearest(text)
    if clear is not None:
        name, intent = clear
        share = model.phrases.get(name, 0.0)
        # Where the model is sure of something else, the words were not clear.
        if share * 100 >= limit("intent.words_percent") and likely[intent] * 100 >= limit("intent.agreed_percent"):
            return IntentGuess(intent, share, "words", _others(likely, intent, share), (name,))
    best = next(iter(likely))
    sure = model.calibration(log_odds(likely[best]))
    return IntentGuess(best, sure, "model", _others(likely, best, sure), model.moved(weighted, best, _REASONS))


def decide(guess: IntentGuess) -> Verdict:
    """Whether the guess is acted on, or a further rung is asked."""
    return Verdict.ALONE if guess.confidence * 100 >= limit("intent.alone_percent") else Verdict.DOUBT


def _others(likely: dict[Intent, float], chosen: Intent, sure: float) -> tuple[tuple[Intent, float], ...]:
    """What is left of the probability, by the model's opinion."""
    left = 1.0 - likely[chosen]
    return tuple((one, share / left * (1.0 - sure)) for one, share in likely.items() if one is not chosen and left > 0)
