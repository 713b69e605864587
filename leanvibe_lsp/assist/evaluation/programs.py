"""Programs and their tests: run in the sandbox, test by test, and what a change did to them."""

from __future__ import annotations

import json
import secrets
import shutil
import sys
from dataclasses import dataclass
from enum import StrEnum

from leanvibe_lsp.assist.evaluation.cases import Program
from leanvibe_lsp.assist.evaluation.sandbox import Ran, run_in_scratch
from leanvibe_lsp.config.limits import limit

# Each says on a line of its own, behind a word that the program cannot know: begin, 1 or 0 and the test, end.
_PYTHON = """
import json, sys
mark = sys.argv[1]
space = {"__name__": "program"}
exec(compile(open("program.py", encoding="utf-8").read(), "program.py", "exec"), space)
print(mark, "begin", flush=True)
for test in json.load(open("tests.json", encoding="utf-8")):
    told = test
    try:
        passed = bool(eval(test, space))
    except Exception as error:
        passed, told = False, f"{test} raises {type(error).__name__}: {error}"
    print(mark, int(passed), " ".join(told.split()), flush=True)
print(mark, "end", flush=True)
"""
_JAVASCRIPT = """(() => {
  const fs = require("fs"), lines = fs.readFileSync(__filename, "utf8").split("\\n");
  const say = (...words) => fs.writeSync(1, ["MARK", ...words].join(" ") + "\\n");
  console.assert = (passed) => {
    const caller = new Error().stack.split("\\n")[2] || "";
    const at = Number((/:(\\d+):\\d+\\)?$/.exec(caller) || [0, 1])[1]) - 1;
    let told = "";
    for (const line of lines.slice(at, at + 6)) { told += " " + line.trim(); if (line.trim().endsWith(")")) break; }
    say(passed ? 1 : 0, told.trim());
  };
  process.on("exit", (code) => { if (code === 0) say("end"); });
  say("begin");
})();
"""
_CPP = """#include<assert.h>
#include<stdio.h>
static void leanvibe_check(bool passed, const char* told) { printf("MARK %d %s\\n", passed, told); fflush(stdout); }
static const int leanvibe_begun = (printf("MARK begin\\n"), fflush(stdout), 0);
#undef assert
#define assert(...) leanvibe_check(bool(__VA_ARGS__), #__VA_ARGS__)
"""
_TOOLS = {"python": sys.executable, "javascript": "node", "cpp": "g++"}


class Effect(StrEnum):
    """What a change of a program did to its tests."""

    FIXED = "fixed"  # all pass
    BROKEN = "broken"  # one that passed does not, or it does not run any more
    UNTOUCHED = "untouched"  # neither: the bug is still there
    REFUSED = "refused"  # nothing was offered


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the tests went, in their order, as far as they came; `failure` is what the first one that failed says."""

    begun: bool
    passed: tuple[bool, ...]
    finished: bool
    failure: str = ""

    @property
    def all_passed(self) -> bool:
        """Whether all ran and passed."""
        return self.finished and bool(self.passed) and all(self.passed)


def no_tool(language: str) -> str:
    """Why programs of that language cannot be run here; "" when they can."""
    tool = _TOOLS.get(language)
    if tool is None:
        return f"nobody knows how to run {language} here"
    return "" if shutil.which(tool) else f"{tool} is not installed"


def outcome(program: Program, text: str) -> Outcome:
    """The tests of the program on a text of it."""
    mark = secrets.token_hex(8)
    ran = _RUN[program.language](program, text, mark)
    said = [line.removeprefix(f"{mark} ") for line in ran.output.splitlines() if line.startswith(f"{mark} ")]
    results = [one.split(" ", 1) for one in said if one.startswith(("0", "1"))]
    failed = [told for passed, told in results if passed == "0"]
    finished = "end" in said or (program.language == "cpp" and ran.code == 0)
    failure = "" if finished else f"{_last(ran)}"
    return Outcome("begin" in said, tuple(one[0] == "1" for one in results), finished, failed[0] if failed else failure)


def effect(before: Outcome, after: Outcome) -> Effect:
    """What became of the tests. Pure."""
    if after.all_passed and len(after.passed) >= len(before.passed):
        return Effect.FIXED
    kept = (*after.passed, *(False for _ in before.passed[len(after.passed) :]))
    lost = any(had and not has for had, has in zip(before.passed, kept, strict=False))
    ended = (before.begun and not after.begun) or (before.finished and not after.finished)
    return Effect.BROKEN if lost or ended else Effect.UNTOUCHED


def _last(ran: Ran) -> str:
    if ran.timed_out:
        return f"it does not end in {limit('evaluation.test_seconds')} s"
    lines = [line for line in ran.errors.splitlines() if line.strip()]
    told = [line for line in lines if "error" in line.lower()] or lines
    return told[-1].strip() if told else f"it ends with status {ran.code}"


def _python(program: Program, text: str, mark: str) -> Ran:
    files = {"program.py": text, "tests.json": json.dumps(program.tests), "run.py": _PYTHON}
    return run_in_scratch(files, (sys.executable, "-I", "-S", "-B", "run.py", mark))


def _javascript(program: Program, text: str, mark: str) -> Ran:
    parts = (_JAVASCRIPT.replace("MARK", mark), text, *program.tests)
    return run_in_scratch({"program.js": "\n".join(parts)}, ("node", "program.js"))


def _cpp(program: Program, text: str, mark: str) -> Ran:
    tests = "\n".join(program.tests).replace("#include<assert.h>", _CPP.replace("MARK", mark), 1)
    compiler = ("g++", "-std=c++17", "-w", "-o", "program", "program.cpp")
    return run_in_scratch({"program.cpp": f"{text}\n{tests}"}, ("./program",), compiler=compiler)


_RUN = {"python": _python, "javascript": _javascript, "cpp": _cpp}
