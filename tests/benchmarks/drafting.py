"""Drafting from the prompt: decode on ten edits that repeat most of their input, and on free text."""

from __future__ import annotations

from dataclasses import replace

from leanvibe_lsp.engine.base import Engine, GenerationRequest, Loaded
from tests.benchmarks.edit_cases import edit_cases
from tests.benchmarks.engine_runs import open_engine, run
from tests.benchmarks.figures import Figure

_FREE_TOKENS = 96


def measure(backend: str, rounds: int) -> list[Figure]:
    """Ours with drafting against ours without, token for token the same text."""
    with open_engine(backend) as (engine, loaded):
        tokenizer = loaded.tokenizer
        assert tokenizer is not None
        edits = []
        for case in edit_cases():
            length = len(tokenizer.encode(case.code))
            edits.append(GenerationRequest(tuple(tokenizer.encode(case.prompt())), length, top_logprobs=1))
        free = [
            GenerationRequest(_chat(loaded, number), _FREE_TOKENS, top_logprobs=1) for number in range(max(10, rounds))
        ]
        return [
            _figure(f"{backend}, decode of ten edits", engine, edits),
            _figure(f"{backend}, decode of free text", engine, free),
        ]


def _chat(loaded: Loaded, number: int) -> tuple[int, ...]:
    from leanvibe_lsp.engine.prompts import Message, render

    topics = ("rivers", "bread", "clocks", "bridges", "bees", "glass", "maps", "tea", "wool", "stars")
    return render(loaded, [Message("user", f"Tell me something about {topics[number % 10]}, part {number // 10 + 1}.")])


def _figure(name: str, engine: Engine, requests: list[GenerationRequest]) -> Figure:
    """Both ways after a run that filled the prompt's cache, another one first each time."""
    ours: list[float] = []
    theirs: list[float] = []
    for number, request in enumerate(requests):
        plain = replace(request, draft=False)
        run(engine, replace(plain, max_tokens=2))
        runs = {one.draft: run(engine, one) for one in ((request, plain) if number % 2 else (plain, request))}
        assert runs[True].tokens == runs[False].tokens, "drafting changed the text"
        ours.append(runs[True].tokens_per_second)
        theirs.append(runs[False].tokens_per_second)
    return Figure(name, tuple(ours), tuple(theirs), "tok/s", "the same engine without drafting")
