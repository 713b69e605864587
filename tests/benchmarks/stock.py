"""MLX on this CPU as we run it, against stock `mlx_lm.stream_generate` on the file's own 4-bit weights.

The stock library runs in a process of its own, where nothing has loaded OpenBLAS before MLX.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time

from leanvibe_lsp.engine.base import GenerationRequest
from tests.benchmarks.engine_runs import Run, code_prompts, open_engine, run
from tests.benchmarks.figures import Figure
from tests.benchmarks.raw import RawRun, smollm2

_LENGTH = 128
_NEW_TOKENS = 16


def measure(rounds: int) -> list[Figure]:
    """Prefill and decode, pair by pair; the stock process lives as long as the measurement."""
    command = [sys.executable, "-m", "tests.benchmarks.stock"]
    with (
        open_engine("mlx") as (engine, loaded),
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as peer,
    ):
        prompts = code_prompts(loaded, _LENGTH)
        ours: list[Run] = []
        theirs: list[RawRun] = []
        assert peer.stdin is not None
        assert peer.stdout is not None
        for _ in range(rounds + 1):
            prompt = next(prompts)
            ours.append(run(engine, GenerationRequest(prompt, _NEW_TOKENS, top_logprobs=1)))
            peer.stdin.write(json.dumps(prompt) + "\n")
            peer.stdin.flush()
            theirs.append(RawRun(*json.loads(peer.stdout.readline())))
        peer.stdin.close()
    prefills = (tuple(_LENGTH / one.first_seconds for one in runs[1:]) for runs in (ours, theirs))
    decodes = (tuple(one.tokens_per_second for one in runs[1:]) for runs in (ours, theirs))
    name = "stock mlx_lm.stream_generate, 4-bit"
    return [
        Figure(f"mlx on the CPU, prefill of {_LENGTH} tokens", *prefills, "tok/s", name),
        Figure("mlx on the CPU, decode", *decodes, "tok/s", name),
    ]


def _serve() -> None:
    """The peer: a prompt of ids a line in, [seconds to first token, tokens a second, tokens] a line out."""
    import mlx.core as mx
    import mlx.nn as nn
    from mlx_lm import stream_generate
    from mlx_lm.models import llama
    from mlx_lm.tokenizer_utils import TokenizerWrapper
    from transformers import PreTrainedTokenizerFast

    from leanvibe_lsp.engine.local.gguf_layout import config_of, module_path
    from leanvibe_lsp.engine.models.gguf import read_gguf

    config = config_of(read_gguf(smollm2()), {})
    model = llama.Model(llama.ModelArgs.from_dict(config))
    weights = {module_path(name, "llama"): array for name, array in mx.load(str(smollm2())).items()}

    def packed(name: str, _: object) -> dict[str, int] | bool:
        scales = weights.get(f"{name}.scales")
        return scales is not None and {
            "group_size": 32,
            "bits": weights[f"{name}.weight"].shape[-1] // scales.shape[-1],
        }

    nn.quantize(model, class_predicate=packed)
    model.load_weights(list(weights.items()))
    mx.eval(model.parameters())
    tokenizer = TokenizerWrapper(_tokenizer(PreTrainedTokenizerFast))
    for line in sys.stdin:
        stamps: list[float] = []
        begin = time.perf_counter()
        for _ in stream_generate(model, tokenizer, json.loads(line), max_tokens=_NEW_TOKENS):
            stamps.append(time.perf_counter())  # noqa: PERF401 - the time of each
        speed = (len(stamps) - 1) / (stamps[-1] - stamps[0])
        print(json.dumps([stamps[0] - begin, speed, len(stamps)]), flush=True)


def _tokenizer(kind: type) -> object:
    """A tokenizer that never meets an end: the work is a number of tokens, not a text."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel

    words = {f"t{number}": number for number in range(49_152)}
    return kind(tokenizer_object=Tokenizer(WordLevel(words, unk_token="t0")), eos_token="</none>")


if __name__ == "__main__":
    _serve()
