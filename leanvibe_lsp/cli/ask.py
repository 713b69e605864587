"""`leanvibe ask`: a question about code, answered by the local model, streamed to the terminal."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from leanvibe_lsp.assist.answer import Answer, AskRequest, Place
from leanvibe_lsp.assist.answer_json import answer_json
from leanvibe_lsp.cli.notices import notices, told
from leanvibe_lsp.cli.options import EngineOption, ModelOption
from leanvibe_lsp.cli.output import harmless, print_json
from leanvibe_lsp.cli.targets import place_of
from leanvibe_lsp.config.settings import Settings
from leanvibe_lsp.core.cancel import CancelToken
from leanvibe_lsp.documents.gathered import NOTHING, Gathered, Surroundings
from leanvibe_lsp.engine.structured import Structure
from leanvibe_lsp.errors import Cancelled, UsageError

SchemaOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="A JSON schema; the answer is a JSON document that fits it, or an error."),
]
ChoiceOption = Annotated[
    list[str] | None, typer.Option(metavar="TEXT", help="The answer is one of these texts; give it several times.")
]


def ask(
    question: Annotated[str, typer.Argument(help="The question; [bold]-[/bold] reads it from standard input.")],
    targets: Annotated[
        list[str] | None,
        typer.Argument(metavar="FILE[:LINE[-LINE]]", help="The code it is about. Lines count from 1."),
    ] = None,
    model: ModelOption = None,
    engine: EngineOption = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Longest answer, in tokens.")] = None,
    temperature: Annotated[float, typer.Option(min=0, max=2, help="0 is exact and repeatable.")] = 0.0,
    schema: SchemaOption = None,
    choice: ChoiceOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, as leanvibe/ask returns it.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Say what the model was shown, and what was left out.")
    ] = False,
    context: Annotated[
        bool, typer.Option("--show-context", help="Print what the model would be shown, and do not ask it.")
    ] = False,
) -> None:
    """Ask the local model about code.

    [bold]Examples[/bold]

      leanvibe ask "What does this module do?" src/app.py

      leanvibe ask "Why can this be None?" src/app.py:42

      leanvibe ask "Explain this loop" src/app.py:40-58 --json

      git diff | leanvibe ask - src/app.py

      leanvibe ask "Is this a test?" src/app.py --choice yes --choice no

      leanvibe ask "Why is this slow?" src/app.py:42 --show-context

    [bold]Exit codes[/bold]  0 answered, 2 usage, 3 no usable model, 4 the engine failed, 130 cancelled
    """
    settings = told(model, engine)
    places = tuple(place_of(target) for target in targets or ())
    request = AskRequest(
        question=_question(question),
        places=places,
        max_tokens=max_tokens,
        temperature=temperature,
        structure=_structure(schema, choice),
        gathered=_gathered(places, settings),
        secrets=settings.editor.secrets,
    )
    if context:
        _preview(request, settings, as_json=as_json)
        return
    structured = request.structure is not None
    with notices():
        answer = asyncio.run(_run(request, settings, quiet=as_json or structured))
    if as_json:
        print_json(answer_json(answer))
    else:
        _show(answer, whole=structured, verbose=verbose)
    _remember(request, answer)


def _remember(request: AskRequest, answer: Answer) -> None:
    """For `leanvibe feedback`: which answer was the last one, without its words."""
    from leanvibe_lsp.assist.sureness import sureness

    sureness().remember(request, answer)


def _show(answer: Answer, *, whole: bool, verbose: bool) -> None:
    """What was not shown while it came: all of a structured answer, of which a half is worth nothing; the facts."""
    from leanvibe_lsp.cli.render import show_context, show_footer

    if whole and sys.stdout is not None:
        print(harmless(answer.answer) if sys.stdout.isatty() else answer.answer, flush=True)
    if verbose:
        show_context(answer)
    show_footer(answer)


def _gathered(places: tuple[Place, ...], settings: Settings) -> Gathered:
    """What belongs to the places: of the repository around the working directory, else of that directory."""
    if not places:
        return NOTHING
    from leanvibe_lsp.assist.gathering import gather

    here = Path.cwd()
    root = next((folder for folder in (here, *here.parents) if (folder / ".git").exists()), here)
    return gather(places, Surroundings(roots=(root,), settings=settings.editor))


def _preview(request: AskRequest, settings: Settings, *, as_json: bool) -> None:
    from leanvibe_lsp.assist.preview import preview, preview_json
    from leanvibe_lsp.cli.render import show_preview
    from leanvibe_lsp.services import unloaded_model

    shown = preview(request, *unloaded_model(settings))
    if as_json:
        print_json(preview_json(shown))
    else:
        show_preview(shown)


def _structure(schema: Path | None, choices: list[str] | None) -> Structure | None:
    if schema is not None and choices:
        raise UsageError("--schema and --choice exclude each other.", next_step="Leave out one of the two.")
    if choices:
        return Structure.of_choices(choices)
    if schema is None:
        return None
    try:
        content = json.loads(schema.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        said = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"{schema} is no JSON schema: {said}.", next_step="See https://json-schema.org.") from error
    return Structure.of_schema(content)


def _question(argument: str) -> str:
    if argument != "-":
        return argument
    if sys.stdin is None:  # started with standard input closed
        raise UsageError("There is no standard input to read the question from.", next_step="Write the question out.")
    if sys.stdin.isatty():
        print("Type the question, then Ctrl-D.", file=sys.stderr)
    try:
        # Bytes: in a C locale Python would take anything for text.
        return sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"The question is not UTF-8: {error.reason}.", next_step="Send UTF-8 text.") from error


async def _run(request: AskRequest, settings: Settings, *, quiet: bool) -> Answer:
    """Ask, and show what comes; Ctrl-C stops the engine and says so."""
    from leanvibe_lsp.cli.render import AnswerView
    from leanvibe_lsp.services import create

    services = create(settings)
    cancel = CancelToken()
    loop = asyncio.get_running_loop()
    asking = asyncio.ensure_future(services.ask(request, (view := AnswerView(quiet=quiet)).take, cancel))

    def interrupt() -> None:
        cancel.cancel("you interrupted it")
        asking.cancel()  # a library that is still loading weights need not be waited for

    for number in (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
        try:
            loop.add_signal_handler(number, interrupt)
        except NotImplementedError:  # Windows: KeyboardInterrupt ends asyncio.run, which ends the task
            break
    try:
        with view:
            return await asking
    except (Cancelled, asyncio.CancelledError) as error:
        view.interrupted()
        raise Cancelled(f"Stopped: {cancel.reason}.") from error
    finally:
        services.close()
