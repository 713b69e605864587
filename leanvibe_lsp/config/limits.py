"""Every limit of the program, in one table. No bare numeric limit anywhere else.

Part of the contract: a row has a name, a default, a range, a unit and a sentence of help. `limit(name)` gives the value in force.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limit:
    """One row: the default and the range it may be moved in."""

    name: str
    default: float
    minimum: float
    maximum: float
    unit: str
    help: str


# fmt: off
_ROWS = (
    Limit("answer.tokens", 512, 1, 32_768, "tokens", "How long an answer may get when the request does not say."),
    Limit("answer.seconds", 300, 1, 3_600, "seconds", "How long one answer may take, the time in the queue included."),
    Limit("answers.mib", 64, 1, 65_536, "MiB", "How much of past answers is kept on disk."),
    Limit("answers.days", 30, 0, 3_650, "days", "How long an answer is kept; 0 keeps none."),
    Limit("answers.lock_milliseconds", 200, 0, 10_000, "milliseconds", "How long the answer cache may be waited for while another process writes."),
    Limit("context.tokens", 3_072, 64, 1 << 20, "tokens", "How much code goes into one prompt, beside the model's own window."),
    Limit("history.tokens", 1_024, 0, 1 << 20, "tokens", "How much of the earlier conversation goes into one prompt."),
    Limit("doctor.tokens", 24, 2, 512, "tokens", "How many tokens `leanvibe doctor` generates to time the model."),
    Limit("answer.loop_characters", 200, 40, 4_000, "characters", "How much of an answer may be one piece repeated before it is ended."),
    Limit("answer.loop_window", 2_048, 160, 16_000, "characters", "How far back an answer is searched for a piece that repeats."),
    Limit("answer.loop_stride", 64, 1, 4_000, "characters", "How much new text comes between two such searches."),
    Limit("stream.updates_per_second", 20, 2, 60, "updates", "How often a client is told about new text."),
    Limit("stream.reports_per_second", 4, 1, 60, "reports", "How often a progress bar hears how many tokens were made."),
    Limit("engine.queue", 16, 1, 256, "requests", "How many requests may wait for the model; one more is refused at once."),
    Limit("engine.layers", 512, 1, 512, "layers", "Layers that llama.cpp takes; it ends the process for more."),
    Limit("engine.window", 4_096, 256, 131_072, "tokens", "Window to reserve memory for, at most; the model's own may be smaller."),
    Limit("engine.prefill_chunk", 128, 16, 2_048, "tokens", "Prompt tokens computed between two looks at the cancel token."),
    Limit("engine.close_milliseconds", 1_000, 0, 30_000, "milliseconds", "How long the engine may take to stop when the program ends."),
    Limit("context.workers", 2, 1, 64, "threads", "Threads that read context beside the event loop."),
    Limit("engine.prompt_cache_mib", 256, 0, 65_536, "MiB", "Memory for prompts that llama.cpp may resume."),
    Limit("engine.lanes", 4, 1, 16, "requests", "How many requests in no hurry run together where that is faster; one more is always possible for an urgent one."),
    Limit("structure.characters", 65_536, 1, 1 << 24, "characters", "Longest JSON schema or list of choices that llama.cpp is given."),
    Limit("structure.items", 1_000, 1, 50_000, "items", "Largest count of items or properties in such a schema; llama.cpp's grammars give up on more."),
    Limit("structure.steps", 200_000, 1_000, 100_000_000, "steps", "How much is looked at when an answer is held against its schema once more."),
    Limit("structure.pattern_characters", 256, 1, 4_096, "characters", "Longest regular expression in it; some long ones take for ever."),
    Limit("structure.pattern_repeats", 100, 1, 1_000, "times", "How often a regular expression in it may repeat something, at most."),
    Limit("engine.prefix_cache_mib", 0, 0, 1 << 20, "MiB", "Memory for prompts that MLX may resume; 0 takes a part of the memory that is free."),
    Limit("engine.prefix_cache_percent", 25, 0, 90, "%", "That part; 0 keeps nothing."),
    Limit("engine.mlx_dense_mib", 2_048, 0, 1 << 20, "MiB", "Memory for weights that MLX may expand to 32 bits on a CPU, where it is many times faster with them."),
    Limit("draft.ngram_min", 3, 1, 16, "tokens", "How many tokens must have been seen before for what followed them to be a guess."),
    Limit("draft.ngram_max", 8, 1, 64, "tokens", "How many tokens are compared at most to find the best such place."),
    Limit("draft.tokens_min", 4, 1, 64, "tokens", "How much is guessed at first, and after a wrong guess."),
    Limit("draft.tokens_max", 16, 1, 64, "tokens", "How much is guessed at most."),
    Limit("draft.rest_min", 4, 1, 1_024, "tokens", "How long nothing is guessed after a guess that cost more than it saved."),
    Limit("draft.rest_max", 256, 1, 65_536, "tokens", "How long at most, after many of them."),
    Limit("draft.measured_steps", 5, 1, 64, "tokens", "Of how many plain steps the median is what a guess must beat."),
    Limit("engine.memory_mib", 0, 0, 1 << 24, "MiB", "Memory that models may take together; 0 is what the system has available, less a reserve."),
    Limit("engine.memory_reserve_mib", 512, 0, 1 << 20, "MiB", "That reserve: what is left to the system and to other programs."),
    Limit("engine.idle_seconds", 900, 0, 604_800, "seconds", "How long a model that nobody asks stays in memory; 0 is for ever."),
    Limit("engine.warm_milliseconds", 200, 0, 60_000, "milliseconds", "How long nothing is asked before the instructions' part of the prompt is computed ahead."),
    Limit("engine.asleep_seconds", 5, 1, 86_400, "seconds", "Sleep of the machine after which a model is proven again."),
    Limit("engine.cooldown_seconds", 60, 0, 86_400, "seconds", "How long an engine that failed is left alone while another one can answer."),
    Limit("health.milliseconds", 250, 10, 60_000, "milliseconds", "How long the engine is waited for when it is asked whether it is alive."),
    Limit("health.silent_seconds", 60, 1, 86_400, "seconds", "How long a step of a running generation may take before the engine reads as stalled."),
    Limit("health.loading_seconds", 600, 1, 86_400, "seconds", "How long a model may take to load before it reads as stalled."),
    Limit("health.proof_seconds", 3_600, 0, 604_800, "seconds", "How old a proof may be before `leanvibe doctor` asks the known answers again."),
    Limit("engine.top_alternatives", 20, 1, 20, "tokens", "Alternatives a backend returns for one token, at most."),
    Limit("remote.window", 8_192, 256, 1 << 24, "tokens", "Window of a server's model when the server does not say."),
    Limit("remote.connect_seconds", 10, 1, 120, "seconds", "How long a connection to a server may take."),
    Limit("remote.first_byte_seconds", 120, 1, 3_600, "seconds", "How long a server may read a prompt before it says anything."),
    Limit("remote.between_seconds", 60, 1, 3_600, "seconds", "How long a server may stay silent in the middle of an answer."),
    Limit("remote.tail_seconds", 2, 0, 60, "seconds", "How long the token counts that follow an answer are waited for."),
    Limit("remote.poll_milliseconds", 20, 1, 1_000, "milliseconds", "How often a cancel is looked for while a server is silent."),
    Limit("remote.tries", 4, 1, 20, "tries", "How often a request is sent to a server that is busy or cannot be reached."),
    Limit("remote.retry_milliseconds", 500, 0, 60_000, "milliseconds", "Pause before a request is sent again; doubles each time."),
    Limit("remote.retry_seconds", 30, 0, 3_600, "seconds", "Longest pause a server may ask for; with more the request fails."),
    Limit("remote.breaker_failures", 5, 1, 100, "failures", "Failures in a row after which a server is left alone."),
    Limit("remote.breaker_seconds", 30, 1, 3_600, "seconds", "How long it is left alone then."),
    Limit("remote.event_bytes", 1 << 20, 1 << 10, 64 << 20, "bytes", "Longest event of a stream that is taken from a server."),
    Limit("remote.answer_bytes", 64 << 20, 1 << 16, 1 << 31, "bytes", "Longest answer that is taken from a server, the format around it included."),
    Limit("remote.pieces", 16, 1, 1_024, "pieces", "Pieces of up to 64 KiB that are read from a server ahead of their use."),
    Limit("remote.quote_characters", 300, 40, 4_000, "characters", "How much of a server's error is shown."),
    Limit("remote.choice_tokens", 24, 0, 256, "tokens", "Room for the JSON that a server writes around a choice."),
    Limit("remote.proof_alternatives", 5, 1, 20, "tokens", "Alternatives a server is asked for with each known answer."),
    Limit("receipts.kib", 4_096, 64, 1 << 20, "KiB", "How much of past receipts is kept; the oldest half goes first."),
    Limit("receipts.days", 90, 2, 3_650, "days", "How long a receipt is kept."),
    Limit("rpc.message_bytes", 256 << 20, 1 << 16, 1 << 31, "bytes", "Largest message taken from a client; a larger one is skipped and reported."),
    Limit("rpc.header_bytes", 8_192, 256, 1 << 20, "bytes", "Longest header line; of a longer one only the end is looked at."),
    Limit("rpc.read_bytes", 1 << 16, 1 << 10, 1 << 24, "bytes", "How much is read from a client at once."),
    Limit("rpc.unsent_bytes", 64 << 20, 1 << 20, 1 << 31, "bytes", "Unread messages kept for a client; with more it counts as gone."),
    Limit("rpc.client_reply_seconds", 5, 1, 120, "seconds", "How long a client's reply to our own request is waited for."),
    Limit("rpc.shutdown_milliseconds", 700, 50, 10_000, "milliseconds", "How long running requests have to end after a shutdown."),
    Limit("rpc.exit_milliseconds", 2_000, 100, 30_000, "milliseconds", "How long an orderly end may take before the process just ends."),
    Limit("rpc.parent_poll_milliseconds", 1_000, 100, 60_000, "milliseconds", "How often the editor's process is looked for where the system cannot tell."),
    Limit("rpc.workers", 4, 1, 64, "threads", "Threads that read and parse files beside the event loop."),
    Limit("rpc.connections", 32, 1, 1_024, "clients", "Clients served at the same time over TCP or WebSocket."),
    Limit("document.parse_bytes", 2 << 20, 1 << 10, 64 << 20, "bytes", "Largest text that is parsed; a larger one is served without symbols."),
    Limit("document.line_characters", 20_000, 1_000, 1 << 20, "characters", "Longest line of a text that is parsed; longer ones are minified code or data."),
    Limit("document.journal_edits", 256, 0, 65_536, "edits", "How many edits of an open document are remembered, to carry an answer over them."),
    Limit("document.signature_characters", 400, 80, 4_000, "characters", "Longest signature of a symbol; a longer one is cut."),
    Limit("context.characters_per_token", 32, 8, 256, "characters", "Text longer than this many characters for each token of room is taken as too large without counting it."),
    Limit("context.omitted", 20, 1, 1_000, "sentences", "How many things that were left out are named one by one."),
    Limit("document.read_bytes", 10 << 20, 1 << 10, 1 << 30, "bytes", "Largest file that is read as context."),
    Limit("template.source_characters", 1 << 17, 1_000, 1 << 22, "characters", "Longest chat template that is taken."),
    Limit("template.characters", 1 << 17, 1_000, 1 << 24, "characters", "Longest value that a chat template may make."),
    Limit("template.product", 1 << 26, 1_000, 1 << 32, "characters", "Product of the sizes that go into one step of a chat template: what it could make of them."),
    Limit("template.work", 4_000_000, 1_000, 1 << 32, "steps", "How much a chat template may do: rounds and characters."),
    Limit("model.header_bytes", 256 << 20, 1 << 20, 1 << 31, "bytes", "Longest front of a model file (metadata, tensor table) that is read."),
    Limit("model.header_items", 1 << 22, 1 << 10, 1 << 26, "items", "How many tensors, values and items of lists such a front may have in all."),
    Limit("model.alignment", 1 << 16, 32, 1 << 24, "bytes", "Largest alignment of the tensors in a GGUF file."),
    Limit("tokenizer.bytes", 128 << 20, 1 << 20, 1 << 31, "bytes", "Largest file of a tokenizer, or settings beside it, that is read."),
    Limit("tokenizer.tokens", 1 << 20, 1 << 10, 1 << 26, "tokens", "Largest vocabulary; no token's id may be this or more."),
    Limit("tokenizer.piece_characters", 1_024, 16, 1 << 20, "characters", "Longest token that is split into the pairs it may be made of."),
    Limit("tokenizer.splits", 1 << 23, 1 << 10, 1 << 28, "splits", "How many such pairs are looked at for a vocabulary."),
    Limit("tokenizer.growth", 1_024, 1, 1 << 20, "times", "How much longer a tokenizer's own rules may make a text."),
    Limit("perplexity.tolerance_percent", 2, 0, 100, "percent", "How far a model's perplexity on the fixed text may be from the recorded one."),
    Limit("perplexity.plausible", 50, 2, 100_000, "perplexity", "The worst perplexity on the fixed text that a model nobody recorded may have."),
    Limit("census.piece_bytes", 1 << 17, 1 << 10, 64 << 20, "bytes", "Weights looked at in one go."),
    Limit("census.sample", 64, 1, 4_096, "numbers", "Numbers of each such piece that are looked at one by one."),
    Limit("census.peak_doublings", 6, 1, 200, "doublings", "How far a tensor's largest scale may be from its siblings' in other layers."),
    Limit("census.factor", 16, 2, 1 << 20, "times", "How far a tensor's usual scale may be from its siblings' in other layers."),
    Limit("convert.shard_bytes", 5 << 30, 1 << 10, 1 << 40, "bytes", "Size of a file of weights that a conversion writes; so much is in memory at once."),
    Limit("convert.free_bytes", 512 << 20, 0, 1 << 40, "bytes", "Disk space that must stay free after a conversion."),
    Limit("download.free_bytes", 512 << 20, 0, 1 << 40, "bytes", "Disk space that must stay free after a download."),
    Limit("download.timeout_seconds", 30, 1, 600, "seconds", "How long the hub may stay silent."),
    Limit("download.retries", 3, 0, 100, "tries", "Tries in a row that bring nothing before a download gives up."),
    Limit("download.retry_seconds", 1, 0, 60, "seconds", "Pause before a download is tried again."),
    Limit("download.chunk_bytes", 1 << 20, 1 << 10, 64 << 20, "bytes", "Read and written at once; a cancel waits for one."),
)
# fmt: on

LIMITS = {row.name: row for row in _ROWS}


def limit(name: str) -> int:
    """The value in force of an integer limit. Raises KeyError for a name that is not in the table."""
    return int(LIMITS[name].default)
