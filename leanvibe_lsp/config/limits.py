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
    Limit("engine.mlx_dense_mib", 2_048, 0, 1 << 20, "MiB", "Memory for weights that MLX may expand to 32 bits on a CPU, where it is many times faster with them."),
    Limit("engine.top_alternatives", 20, 1, 20, "tokens", "Alternatives a backend returns for one token, at most."),
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
    Limit("document.signature_characters", 400, 80, 4_000, "characters", "Longest signature of a symbol; a longer one is cut."),
    Limit("context.characters_per_token", 32, 8, 256, "characters", "Text longer than this many characters for each token of room is taken as too large without counting it."),
    Limit("context.omitted", 20, 1, 1_000, "sentences", "How many things that were left out are named one by one."),
    Limit("document.read_bytes", 10 << 20, 1 << 10, 1 << 30, "bytes", "Largest file that is read as context."),
    Limit("model.header_bytes", 256 << 20, 1 << 20, 1 << 31, "bytes", "Longest front of a model file (metadata, tensor table) that is read."),
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
