"""`poe bench [--rounds N] [--only NAME]`: measure, print the table, keep every number as JSON."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from tests.benchmarks import ask_stream, startup
from tests.benchmarks.figures import Figure, table

_RESULTS = Path(__file__).parent / "results"
_BENCHMARKS: dict[str, Callable[[int], list[Figure]]] = {
    "startup": startup.measure,
    "llama": lambda rounds: ask_stream.measure("llama.cpp", rounds),
    "mlx": lambda rounds: ask_stream.measure("mlx", rounds),
}


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="poe bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="pairs measured for each figure (9)")
    parser.add_argument("--only", choices=sorted(_BENCHMARKS), help="one benchmark alone")
    given = parser.parse_args()
    figures: list[Figure] = []
    for name in [given.only] if given.only else _BENCHMARKS:
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        figures += _BENCHMARKS[name](given.rounds)
    print(f"{platform.system()} {platform.machine()}, Python {platform.python_version()}, ", end="")
    print(", ".join(f"{name} {version(name)}" for name in ("xllamacpp", "mlx", "mlx-lm", "pygls")))
    print(table(figures))
    _RESULTS.mkdir(exist_ok=True)
    (_RESULTS / "bench.json").write_text(json.dumps([figure.as_json() for figure in figures], indent=2))


if __name__ == "__main__":
    main()
