"""`poe bench [--rounds N] [--only NAME ...] [--readme]`: measure, print the table, keep every number as JSON.

With `--readme` the table between the README's two marks is made anew from all results kept so far.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.benchmarks import (
    actions,
    ask_stream,
    cancels,
    contexts,
    diagnostics,
    drafting,
    hovers,
    lanes,
    memory,
    prefixes,
    risk,
    rules,
    startup,
    stock,
    structures,
    trees,
)
from tests.benchmarks.figures import Figure, from_json, markdown, table

_RESULTS = Path(__file__).parent / "results"
_README = Path(__file__).parents[2] / "README.md"
_MARKS = ("<!-- poe bench -->\n", "<!-- end -->")
_PER_BACKEND = {
    "ask": ask_stream.measure,
    "contexts": contexts.measure,
    "prefixes": prefixes.measure,
    "drafting": drafting.measure,
    "structures": structures.measure,
    "cancels": cancels.measure,
    "lanes": lanes.measure,
}
_BENCHMARKS: dict[str, Callable[[int], list[Figure]]] = {
    "startup": startup.measure,
    "memory": memory.measure,
    "stock": stock.measure,
    "actions": actions.measure,
    "trees": trees.measure,
    "diagnostics": diagnostics.measure,
    "risk": risk.measure,
    "rules": rules.measure,
    "hovers": hovers.measure,
    **{
        f"{name}-{short}": partial(measure, backend)
        for name, measure in _PER_BACKEND.items()
        for short, backend in (("llama", "llama.cpp"), ("mlx", "mlx"))
    },
}


def main() -> None:
    """Run what was asked for; each benchmark's results are kept as soon as it ends."""
    parser = argparse.ArgumentParser(prog="poe bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="pairs measured for each figure (9)")
    parser.add_argument("--only", nargs="+", choices=sorted(_BENCHMARKS), help="these benchmarks alone")
    parser.add_argument("--readme", action="store_true", help="write the README's table from all results kept")
    given = parser.parse_args()
    _RESULTS.mkdir(exist_ok=True)
    print(f"{platform.system()} {platform.machine()}, Python {platform.python_version()}, ", end="")
    print(", ".join(f"{name} {version(name)}" for name in ("xllamacpp", "mlx", "mlx-lm", "pygls")))
    for name in given.only or _BENCHMARKS:
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        with TemporaryDirectory() as cache:
            os.environ["LEANVIBE_CACHE_DIR"] = cache  # answers of an earlier run would cost nothing
            figures = _BENCHMARKS[name](given.rounds)
        print(table(figures), flush=True)
        (_RESULTS / f"{name}.json").write_text(json.dumps([figure.as_json() for figure in figures], indent=2))
    if given.readme:
        _write_readme()


def _write_readme() -> None:
    kept = [_RESULTS / f"{name}.json" for name in _BENCHMARKS]
    figures = [from_json(one) for path in kept if path.is_file() for one in json.loads(path.read_text())]
    before, _, rest = _README.read_text(encoding="utf-8").partition(_MARKS[0])
    _, mark, after = rest.partition(_MARKS[1])
    assert mark, f"the README lacks the marks {_MARKS}"
    _README.write_text(before + _MARKS[0] + markdown(figures) + mark + after, encoding="utf-8")


if __name__ == "__main__":
    main()
