"""The cases that stand in a file of rules, run: what each rule must find, must leave alone, and what its fix makes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path
from typing import Any

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.core.edits import applied
from leanvibe_lsp.errors import UsageError
from leanvibe_lsp.tiers.finding import Finding
from leanvibe_lsp.tiers.rule import Rule, rule_of
from leanvibe_lsp.tiers.rule_files import read_file
from leanvibe_lsp.tiers.rules import LIBRARY
from leanvibe_lsp.tiers.scan import scan


@dataclass(frozen=True, slots=True)
class Failure:
    """A case that is not as it should be, or a file that holds no rule; `line` counts from 1."""

    file: Path
    line: int
    rule: str
    message: str

    def __str__(self) -> str:
        named = f" {self.rule}:" if self.rule else ""
        return f"{self.file}:{self.line}:{named} {self.message}"


@dataclass(frozen=True, slots=True)
class Tested:
    """What the cases of a file came to; `bare` are its rules without any."""

    rules: int
    cases: int
    bare: tuple[str, ...]
    failures: tuple[Failure, ...]


def run_cases(file: Path) -> Tested:
    """Run all cases of a file. Never raises."""
    try:
        with file.open("rb") as opened:
            data = opened.read(limit("rules.file_bytes") + 1)
        if len(data) > limit("rules.file_bytes"):
            raise ValueError(f"it is larger than {limit('rules.file_bytes'):,} bytes")
        text = data.decode("utf-8-sig")
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        said = str(error) if type(error) is ValueError else said
        return Tested(0, 0, (), (Failure(file, 1, "", f"cannot be read: {said}"),))
    read = read_file(text, trusted=file.resolve().is_relative_to(LIBRARY))
    failures = [Failure(file, one.line, "", one.message) for one in read.problems]
    cases, bare = 0, list[str]()
    lines = _lines(text)
    for values, start in zip(read.values, read.lines, strict=True):
        rule = rule_of(values)
        count = len(rule.valid) + len(rule.invalid) + len(rule.fixed)
        cases += count
        if not count:
            bare.append(rule.id)
        places = lines.get(start, {})
        failures += (
            Failure(file, places.get((name, number), start), rule.id, message)
            for name, number, message in _failures(rule)
        )
    return Tested(len(read.values), cases, tuple(bare), tuple(sorted(failures, key=lambda one: one.line)))


def _failures(rule: Rule) -> Iterator[tuple[str, int, str]]:
    """The kind of a case, its number (-1: the whole list), and what is wrong."""
    for language in rule.languages:
        of = f" in {language}" if len(rule.languages) > 1 else ""
        for number, text in enumerate(rule.valid):
            if found := scan(text, language, [rule]):
                yield "valid", number, f"nothing should be found{of}, and this was: {_places(found, text)}"
        for number, text in enumerate(rule.invalid):
            found = scan(text, language, [rule])
            if not found:
                yield "invalid", number, f"something should be found{of}, and nothing was in: {_short(text)}"
            elif number < len(rule.fixed):
                yield from (("fixed", number, one) for one in _not_fixed(rule, language, number, found))
    if rule.fixed and len(rule.fixed) != len(rule.invalid):
        yield "fixed", -1, f"fixed has {len(rule.fixed)} texts and invalid {len(rule.invalid)}: one for each is needed"
    if rule.fixed and rule.fix is None:
        yield "fixed", -1, "the rule has no fix"


def _not_fixed(rule: Rule, language: str, number: int, found: Sequence[Finding]) -> Iterator[str]:
    text, wanted = rule.invalid[number], rule.fixed[number]
    try:
        made = applied(text, [edit for one in found for edit in one.fix])
    except ValueError:
        yield "the fixes of two places overlap"
        return
    if made != wanted:
        pairs = list(unified_diff(wanted.splitlines(), made.splitlines(), "wanted", "made", lineterm="", n=1))
        yield "\n".join(("the fix makes something else:", *(f"    {line}" for line in pairs)))
    elif scan(made, language, [rule]):
        yield f"the rule still finds something in what its fix made: {_short(made)}"


def _places(found: Sequence[Finding], text: str) -> str:
    return "; ".join(f"line {text.count(chr(10), 0, one.span.start) + 1} `{_short(one.quote)}`" for one in found)


def _short(text: str) -> str:
    line, most = " ".join(text.split()), limit("check.excerpt_characters")
    return line if len(line) <= most else f"{line[: most - 1]}…"


def _lines(text: str) -> Mapping[int, Mapping[tuple[str, int], int]]:
    """The line of each case, by the line of its rule's id, then by its kind and number; -1 is the whole list."""
    import yaml

    found: dict[int, Mapping[tuple[str, int], int]] = {}
    try:
        for document in yaml.compose_all(text, Loader=yaml.SafeLoader):
            pairs = document.value if isinstance(document, yaml.MappingNode) else []
            keys: dict[str, tuple[int, Any]] = {key.value: (key.start_mark.line + 1, value) for key, value in pairs}
            places: dict[tuple[str, int], int] = {}
            for name in ("valid", "invalid", "fixed"):
                line, value = keys.get(name, (0, None))
                if isinstance(value, yaml.SequenceNode):
                    places[name, -1] = line
                    places |= {(name, number): one.start_mark.line + 1 for number, one in enumerate(value.value)}
            if "id" in keys:
                found[keys["id"][0]] = places
    except yaml.YAMLError:  # what is wrong, reading the rules says
        pass
    return found


def template(name: str, language: str) -> str:
    """The text of a new file with one rule, which passes its own cases. Raises UsageError for no such language."""
    if language not in _SAMPLES:
        raise UsageError(
            f"There is no template for {language}.",
            next_step=f"Take one of {', '.join(sorted(_SAMPLES))}, and edit it.",
        )
    return _TEMPLATE.format(name=name, language=language, end=_SAMPLES[language])


# What ends a statement, by language.
_SAMPLES = {"python": "", "ruby": "", "javascript": ";", "typescript": ";", "tsx": ";"}

_TEMPLATE = """\
# A rule of this workspace. `leanvibe rules test` runs its cases; the editor takes it up when you save it.
id: {name}
language: {language}

# How loud (error, warning, information, hint or off), what about (security, bug, resource, async, test, clarity,
# custom), and of ten places it finds, how many deserve a second look.
severity: warning
category: custom
confidence: 0.7

# What is wrong, as it is shown; $X is the text that stands for X in the rule. Then why, and how to do it right.
message: "`forbidden($X)` is not to be called."
note: Nobody should call it any more.
mend: Call `allowed` instead.
# cwe: 477
# url: https://example.com/why

# What is looked for, as ast-grep has it: https://ast-grep.github.io/guide/rule-config.html. $X stands for one part of
# the code, $$$X for any number of them.
rule:
  pattern: forbidden($X)

# What the place becomes; leave both out when no text is always right.
fix: allowed($X)
fixTitle: Call allowed

# The files that it is about, by globs from the workspace's folder on; without these lines it is all of the language.
# files: ["src/**"]
# ignores: ["tests/**"]

# The tests: texts in which nothing may be found, texts in which something must be, and what the fix makes of those.
valid:
  - allowed(1){end}
  - "'forbidden(1)'{end}"
  - other.forbidden(1){end}
invalid:
  - forbidden(1){end}
  - f(forbidden(a + b)){end}
  - "x = forbidden('a'){end}"
fixed:
  - allowed(1){end}
  - f(allowed(a + b)){end}
  - "x = allowed('a'){end}"
"""
