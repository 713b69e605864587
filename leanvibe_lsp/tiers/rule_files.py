"""Rules as data: one YAML document each, in ast-grep's own format with fields of ours beside it.

`rule`, `constraints`, `utils`, `transform` and `fix` are ast-grep's; `flow` stands in the place of `rule` for one that
follows data. `needs` is a regular expression of Python's that every statement or definition of the top level matches
in which the rule finds something: it is never searched for, the words that it spells out are. `valid` and `invalid`
are texts on which the rule finds nothing and something; `fixed` is what its fix makes of each text in `invalid`. They
are run as tests.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.errors import UsageError
from leanvibe_lsp.tiers.finding import Category, Tag
from leanvibe_lsp.tiers.outlook import looks_outside
from leanvibe_lsp.tiers.patterns import LANGUAGES, Tree
from leanvibe_lsp.tiers.rule import Rule, rule_of
from leanvibe_lsp.tiers.words import Needed, Word, needed_words, words_of_regex

if TYPE_CHECKING:
    from pydantic import BaseModel

_ALIASES = {"py": "python", "js": "javascript", "jsx": "javascript", "ts": "typescript", "c++": "cpp", "cs": "csharp"}
_FLOW_LANGUAGES = ("python",)


@dataclass(frozen=True, slots=True)
class RuleProblem:
    """Why a document of a file is no rule; `line` counts from 1."""

    line: int
    message: str


@dataclass(frozen=True, slots=True)
class RuleFile:
    """What a file holds: of each good document the checked values and its first line, of each bad one the problem."""

    values: tuple[Mapping[str, Any], ...]
    lines: tuple[int, ...]
    problems: tuple[RuleProblem, ...]


def read_rules(text: str, *, source: str) -> tuple[Rule, ...]:
    """The rules of a file that is ours: one YAML document each. Those of severity "off" are left out.

    Raises UsageError, which names `source`, the line and what is wrong, for what is no rule or what ast-grep refuses.
    """
    read = read_file(text, trusted=True)
    if read.problems:
        said = "; ".join(f"line {one.line}: {one.message}" for one in read.problems)
        raise UsageError(f"{source} is no rule that can be used: {said.rstrip('.')}.", next_step="Correct the file.")
    return tuple(map(rule_of, read.values))


def read_file(text: str, *, trusted: bool) -> RuleFile:
    """What a file of rules holds. Never raises: a bad document costs itself, bad YAML what stands behind it too.

    One that is not `trusted` is somebody else's, and may not do what takes for ever.
    """
    import yaml

    kept: list[Mapping[str, Any]] = []
    lines: list[int] = []
    problems: list[RuleProblem] = []
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        _check_size(text, loader)
        documents = loader(text)
        try:
            while documents.check_node():
                node = documents.get_node()
                try:
                    document = documents.construct_document(node)
                    if not _is_off(document):
                        kept.append(checked(document, trusted=trusted))
                        lines.append(_line(node, ("id",)))
                except _Wrong as wrong:
                    problems += (RuleProblem(_line(node, one.path), one.message) for one in wrong.faults)
        finally:
            documents.dispose()
    except yaml.YAMLError as error:
        problems.append(_not_yaml(error))
    except _Wrong as wrong:
        problems += (RuleProblem(one.path[0], one.message) for one in wrong.faults)
    return RuleFile(tuple(kept), tuple(lines), tuple(problems))


def checked(document: object, *, trusted: bool) -> Mapping[str, Any]:
    """The values of a rule as `rule_of` takes them, of JSON's types alone. Raises _Wrong."""
    from pydantic import ValidationError

    _check_parts(document)
    try:
        given: Any = _form().model_validate(document)
    except ValidationError as error:
        raise _Wrong(*(_fault_of(one) for one in error.errors())) from None
    languages = _languages(given.language)
    matcher = {name: value for name in _MATCHER if (value := getattr(given, name)) is not None}
    needs = given.needs
    try:
        if given.flow is not None:
            needed = _flow_words(given.flow, languages)
        else:
            needed = _structure(matcher, languages, trusted=trusted)
    except UsageError as error:
        raise _Wrong(_Fault(("flow" if given.flow is not None else "rule",), error.message)) from None
    words = words_of_regex(needs, whole=True) if needs is not None else ()
    values = given.model_dump(mode="json", exclude={*_MATCHER, "language", "metadata", "labels", "fix", "rewriters"})
    return {
        **values,
        "languages": languages,
        "severity": "information" if given.severity == "info" else given.severity,
        "matcher": matcher,
        "needed": _plain((*needed, *words)),
        "trusted": trusted,
        "wide": bool(matcher) and looks_outside(given.rule, given.utils or {}),
        "files": [_glob(one) for one in given.files],
        "ignores": [_glob(one) for one in given.ignores],
        "fix": _fix(given.fix),
    }


_MATCHER = ("rule", "constraints", "utils", "transform")


@dataclass(frozen=True, slots=True)
class _Fault:
    """Where in a document, by keys and numbers (or the line, for what is no document), and what is wrong there."""

    path: tuple[Any, ...]
    message: str


class _Wrong(Exception):
    """A document that is no rule."""

    def __init__(self, *faults: _Fault) -> None:
        super().__init__(*faults)
        self.faults = faults


def _structure(matcher: Mapping[str, Any], languages: list[str], *, trusted: bool) -> Needed:
    """The words that the rule needs. Raises UsageError for what ast-grep refuses."""
    rule, utils = matcher["rule"], matcher.get("utils", {})
    most = limit("rules.far")
    if not trusted and (far := max(map(_far, (rule, *utils.values())))) > most:
        raise UsageError(f"{far} relations that search all below a node stand in each other, and {most} may")
    for transform in matcher.get("transform", {}).values():
        if isinstance(transform, Mapping) and "rewrite" in transform:
            raise UsageError("transform: rewrite is not supported here; take another transform, or none")
    for language in languages:
        Tree("", language).find(matcher)
    return needed_words(rule, utils)


def _flow_words(flow: Mapping[str, Any], languages: list[str]) -> Needed:
    from leanvibe_lsp.tiers.flow.spec import read_flow

    if other := [name for name in languages if name not in _FLOW_LANGUAGES]:
        raise UsageError(f"flow is for {', '.join(_FLOW_LANGUAGES)} only, not for {other[0]}")
    words = [tuple(sink.words()) for sink in read_flow(flow).sinks]
    return (frozenset(Word(word) for one in words for word in one),) if all(words) else ()


def _languages(given: str | list[str]) -> list[str]:
    names = [given] if isinstance(given, str) else given
    languages = [_ALIASES.get(name.lower(), name.lower()) for name in names]
    if unknown := [name for name in languages if name not in LANGUAGES]:
        message = f"language: there is no {unknown[0]!r}; there are: {', '.join(sorted(LANGUAGES))}"
        raise _Wrong(_Fault(("language",), message))
    return languages


def _fix(given: str | Mapping[str, Any] | None) -> str | None:
    """The text to put in; ast-grep's longer form says it under `template`."""
    if given is None or isinstance(given, str):
        return given
    if list(given) == ["template"] and isinstance(given["template"], str):
        return given["template"]
    raise _Wrong(_Fault(("fix",), "fix: only a text, or `template` with one, is supported here"))


def _glob(given: str | Mapping[str, Any]) -> str:
    """A glob; ast-grep's longer form says it under `glob`. Case never matters here."""
    return given if isinstance(given, str) else str(given["glob"])


def _plain(needed: Needed) -> list[list[list[Any]]]:
    return [[list(word) for word in sorted(choices)] for choices in dict.fromkeys(needed)]


def _is_off(document: object) -> bool:
    """True for a rule that is switched off, and for an empty document; to YAML 1.1 a bare `off` is false."""
    return document is None or (isinstance(document, Mapping) and document.get("severity") in ("off", False))


def _far(rule: object) -> int:
    """How many relations that search all below a node, or all beside it, stand in each other."""
    if isinstance(rule, list):
        return max(map(_far, rule), default=0)
    if not isinstance(rule, Mapping):
        return 0
    depths = [0]
    for name, value in rule.items():
        far = name in ("has", "follows", "precedes") and isinstance(value, Mapping)
        depths.append(_far(value) + (far and value.get("stopBy", "neighbor") != "neighbor"))
    return max(depths)


def _check_size(text: str, loader: Any) -> None:
    """Nesting that would end the process in YAML's own reader. Raises _Wrong, and what that reader raises."""
    import yaml

    depth = 0
    for event in yaml.parse(text, Loader=loader):
        if isinstance(event, yaml.events.CollectionStartEvent):
            depth += 1
            if depth > limit("rules.depth"):
                line = event.start_mark.line + 1 if event.start_mark is not None else 1
                raise _Wrong(_Fault((line,), f"more than {limit('rules.depth')} levels stand in each other"))
        elif isinstance(event, yaml.events.CollectionEndEvent):
            depth -= 1


def _check_parts(document: object) -> None:
    """What is named once and used often counts each time."""
    todo, count = [document], 0
    while todo:
        count += 1
        if count > limit("rules.parts"):
            raise _Wrong(_Fault((), f"has more than {limit('rules.parts')} parts"))
        one = todo.pop()
        todo += one.values() if isinstance(one, Mapping) else one if isinstance(one, list) else ()


def _not_yaml(error: Any) -> RuleProblem:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    said = getattr(error, "problem", None) or str(error).partition("\n")[0]
    return RuleProblem(mark.line + 1 if mark is not None else 1, f"this is no YAML: {said}")


def _fault_of(error: Mapping[str, Any]) -> _Fault:
    path = tuple(error["loc"])
    if error["type"] == "extra_forbidden":
        return _Fault(path, f"{path[0]}: there is no such field")
    return _Fault(path, f"{'.'.join(map(str, path)) or 'rule'}: {error['msg'].removeprefix('Value error, ')}")


def _line(node: Any, path: tuple[Any, ...]) -> int:
    """The line on which a value of a document begins, as far as the path leads; its key's line in a mapping."""
    line = int(node.start_mark.line)
    for part in path:
        found = next(_children(node, part), None)
        if found is None:
            break
        line, node = found
    return line + 1


def _children(node: Any, part: Any) -> Iterator[tuple[int, Any]]:
    if isinstance(part, int) and isinstance(node.value, list) and part < len(node.value):
        one = node.value[part]
        if not isinstance(one, tuple):
            yield one.start_mark.line, one
    elif isinstance(node.value, list):
        for pair in node.value:
            if isinstance(pair, tuple) and pair[0].value == part:
                yield pair[0].start_mark.line, pair[1]


@cache
def _form() -> type[BaseModel]:
    from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

    globs = Annotated[list[str | dict[str, Any]], AfterValidator(_globs)]

    class RuleForm(BaseModel):
        """A rule as it stands in a file. `metadata` and `labels` are taken and not used."""

        model_config = ConfigDict(extra="forbid")

        id: str = Field(min_length=1)
        language: str | list[str]
        message: str = ""
        severity: Literal["error", "warning", "information", "info", "hint"] = "hint"
        note: str = ""
        mend: str = ""
        category: Category = Category.CUSTOM
        url: str = ""
        cwe: int | None = None
        confidence: float = Field(default=0.7, ge=0, le=1)
        tags: list[Tag] = []
        rule: dict[str, Any] | None = None
        flow: dict[str, Any] | None = None
        needs: Annotated[str | None, AfterValidator(_regex)] = None
        files: globs = []
        ignores: globs = []
        constraints: dict[str, Any] | None = None
        utils: dict[str, Any] | None = None
        transform: dict[str, Any] | None = None
        rewriters: Annotated[Any, AfterValidator(_absent)] = None
        fix: str | dict[str, Any] | None = None
        fix_title: str = Field(default="", alias="fixTitle")
        valid: list[str] = []
        invalid: list[str] = []
        fixed: list[str] = []
        metadata: Any = None
        labels: Any = None

        @model_validator(mode="after")
        def _is_one_kind(self) -> RuleForm:
            if (self.rule is None) == (self.flow is None):
                raise ValueError("one of `rule` (a structure) and `flow` (a way of data) is needed, and not both")
            if self.flow is not None and (self.constraints or self.utils or self.transform):
                raise ValueError("`constraints`, `utils` and `transform` are for `rule`, not for `flow`")
            return self

    return RuleForm


def _regex(given: str | None) -> str | None:
    try:
        re.compile(given or "")
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"is no regular expression of Python's: {error}") from None
    return given


def _globs(given: list[str | dict[str, Any]]) -> list[str | dict[str, Any]]:
    if any(isinstance(one, dict) and not isinstance(one.get("glob"), str) for one in given):
        raise ValueError("a list of globs is needed")
    return given


def _absent(given: Any) -> Any:
    if given:
        raise ValueError("they are not supported here; write the fix without them, or leave it out")
    return given
