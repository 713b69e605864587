"""Code, earlier turns and the question, fitted into a model's window. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from leanvibe_lsp.assist.answer import AskRequest, Turn
from leanvibe_lsp.assist.prompt import messages, newest_turns
from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.documents.context import Packed, pack
from leanvibe_lsp.documents.gathered import Gathered
from leanvibe_lsp.documents.secrets import cover, covered_text, refuse, withheld
from leanvibe_lsp.engine.base import Loaded, Message, Source
from leanvibe_lsp.engine.prompts import count_tokens, prompt_length, render
from leanvibe_lsp.errors import ContextTooLarge


@dataclass(frozen=True, slots=True)
class Prompt:
    """What goes to the model, what was packed into it and left out, and all that it may quote."""

    ids: tuple[int, ...]
    question: str
    messages: tuple[Message, ...]
    max_tokens: int
    packed: Packed
    omitted: tuple[str, ...]
    sources: tuple[Source, ...]


def build_prompt(request: AskRequest, loaded: Loaded) -> Prompt:
    """Pack code, history and question into the window.

    Pure but for links, which are followed to see what a file really is: whoever asks, and whatever was gathered, no
    file of secrets gets past here. Raises UsageError for one that is asked about, ContextTooLarge when the question
    alone does not fit.
    """
    for place in request.places:
        refuse(place.snapshot, request.secrets)
    related = tuple(one for one in request.gathered.related if withheld(one.snapshot, request.secrets) is None)
    gathered = replace(request.gathered, related=related)
    turns, question = _covered_turns(request, gathered), _covered_question(request)

    def count(text: str) -> int:
        return count_tokens(loaded, text)

    max_tokens = min(request.max_tokens or limit("answer.tokens"), loaded.window // 2)
    room = loaded.window - max_tokens
    asked = messages(question, (), ())
    bare = prompt_length(loaded, asked, render(loaded, asked))
    if bare > room:
        raise ContextTooLarge(
            f"The question takes {bare} tokens; the model's window of {loaded.window} leaves {room} "
            f"beside an answer of {max_tokens}.",
            next_step="Ask a shorter question, or for a shorter answer.",
        )
    known = _known(loaded, turns)
    history, bare = _remember(loaded, question, known, bare, room, count)
    places = [(place.snapshot, place.span) for place in request.places]
    budget = min(limit("context.tokens"), room - bare)
    packed, conversation, ids = _fit(
        loaded, question, history, lambda size: pack(places, size, count, gathered), budget, room
    )
    unknown, forgotten = len(turns) - len(known), len(known) - len(history)
    omitted = packed.omitted + ((f"{forgotten} earlier messages",) if forgotten else ())
    if any(turn not in request.history for turn in history):
        omitted += ("secret-looking strings in earlier messages",)
    if unknown:
        omitted += (f"{unknown} earlier messages: a server answers, and it is not known which files they quote",)
    return Prompt(ids, question, conversation, max_tokens, packed, omitted, _sources(packed, known if history else ()))


def _covered_question(request: AskRequest) -> str:
    """The question as it was asked, but for secrets of the places: it may quote what a tool says about the code."""
    question = request.question
    for place in request.places:
        if (found := cover(place.snapshot)) is not None:
            question = found.hidden(question)
    return question


def _covered_turns(request: AskRequest, gathered: Gathered) -> tuple[Turn, ...]:
    """The conversation without secrets: not those of the files either, which an earlier version may have shown."""
    snapshots = [place.snapshot for place in request.places] + [one.snapshot for one in gathered.related]
    values = {value for one in map(cover, snapshots) if one is not None for value in one.values}
    return tuple(replace(turn, content=covered_text(turn.content, values)) for turn in request.history)


def _known(loaded: Loaded, history: tuple[Turn, ...]) -> tuple[Turn, ...]:
    """The turns that a model may see: one behind a server none whose files are not known, nor what followed on it."""
    if loaded.tokenizer is not None:
        return history
    return tuple(takewhile(lambda turn: turn.sources is not None, history))


def _sources(packed: Packed, turns: Sequence[Turn]) -> tuple[Source, ...]:
    """What files may be quoted. An answer may repeat what it was told before, so turns that were forgotten count."""
    shown = [Source(block.uri, block.start_line, block.end_line) for block in packed.blocks]
    return tuple(dict.fromkeys((*shown, *(source for turn in turns for source in turn.sources or ()))))


def _remember(
    loaded: Loaded, question: str, turns: Sequence[Turn], bare: int, room: int, count: Callable[[str], int]
) -> tuple[tuple[Turn, ...], int]:
    """The newest turns that fit beside the question, and the length of the prompt with them and no code yet."""
    budget = min(limit("history.tokens"), room // 4, room - bare)
    history, _ = newest_turns(turns, budget, count)
    while history:
        asked = messages(question, (), history)
        length = prompt_length(loaded, asked, render(loaded, asked))
        if length <= room:
            return history, length
        # The words around the turns made it too long: forget the oldest one, and an answer that then stands first.
        history, _ = newest_turns(history[1:], budget, count)
    return (), bare


def _fit(
    loaded: Loaded,
    question: str,
    history: Sequence[Turn],
    packer: Callable[[int], Packed],
    budget: int,
    room: int,
) -> tuple[Packed, tuple[Message, ...], tuple[int, ...]]:
    """Pack, and pack less while the words around the blocks make the whole too long: tokens do not add up exactly."""
    while True:
        packed = packer(max(0, budget))
        conversation = messages(question, packed.blocks, history)
        ids = render(loaded, conversation)
        length = prompt_length(loaded, conversation, ids)
        if length <= room or not packed.blocks:
            return packed, tuple(conversation), ids
        budget = min(budget, packed.tokens) - max(1, length - room)
