"""What the head of a draft brings in, and which of that a file lacks. Pure.

Only what is known for sure is added: a name that the file has from elsewhere, or another package, is a refusal.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tree_sitter import Node

from leanvibe_lsp.errors import Incomplete

_HEADS = {
    "python": {"import_statement", "import_from_statement", "future_import_statement"},
    "javascript": {"import_statement"},
    "go": {"package_clause", "import_declaration"},
    "java": {"package_declaration", "import_declaration"},
    "php": {"php_tag", "namespace_definition", "namespace_use_declaration", "declare_statement"},
    "rust": {"use_declaration"},
}
# Heads of other types, by their words.
_WORDS = {
    "javascript": re.compile(r"(?:const|let|var)\s[^=]+=\s*require\s*\([^()]*\)(?:\.\w+)?\s*;?$"),
    "ruby": re.compile(r"(?:require|require_relative|load)\b"),
    "php": re.compile(r"(?:require|include)(?:_once)?\b"),
}
_PLACES = re.compile(r"package\b|namespace\b")
_JS = re.compile(
    r"import\s+(?P<type>type\s+)?(?:(?P<default>[\w$]+)\s*,?\s*)?(?:\{(?P<names>[^}]*)\}|\*\s*as\s+(?P<space>[\w$]+))?"
    r"\s*from\s*(?P<module>['\"][^'\"]+['\"]);?$"
)
_CALL = re.compile(
    r"(?P<word>const|let|var)\s*\{(?P<names>[^}=]*)\}\s*=\s*(?P<call>require\s*\((?P<module>[^()]*)\));?$"
)
_NAMED_CALL = re.compile(r"(?:const|let|var)\s+(?P<name>[\w$]+)\s*=\s*require\s*\((?P<module>[^()]*)\)(?:\.[\w$]+)?;?$")


@dataclass(frozen=True, slots=True)
class Import:
    """One name that a file brings in: the statement is `before`, the names with commas between, and `behind`."""

    bound: str  # "" where it is not known; then `before` is all of the statement
    module: str
    before: str
    name: str = ""
    behind: str = ""


def is_head(node: Node, language: str) -> bool:
    """Whether a statement belongs to what a file begins with."""
    text = _words(node)
    kind = node.type in _HEADS.get(language, ()) and not (language == "php" and node.child_by_field_name("body"))
    return kind or (language in _WORDS and _WORDS[language].match(text) is not None)


def imports(nodes: Iterable[Node], language: str) -> tuple[Import, ...]:
    """What these heads bring in, in order."""
    return tuple(one for node in nodes for one in _read(_words(node), language))


def lacking(wanted: Iterable[Import], there: Iterable[Import], language: str) -> tuple[str, ...]:
    """The statements to be added to a file that has `there`. Raises Incomplete where that cannot be done."""
    known = tuple(there)
    bound = {one.bound: one for one in known if one.bound}
    whole = {_plain(one) for one in known}
    new: dict[tuple[str, str], list[str]] = {}
    for one in wanted:
        if _plain(one) in whole or one.before.startswith(("<?", "declare")):
            continue
        if _PLACES.match(one.before) or one.module == "__future__":
            raise _unmergeable(f"the test file has no `{one.before}{one.name}`")
        if one.bound in bound:
            if not _agree(bound[one.bound].module, one.module, language):
                raise _unmergeable(f"`{one.bound}` is something else in the test file")
            continue
        names = new.setdefault((one.before, one.behind), [])
        if one.name not in names:
            names.append(one.name)
    added = "import" if any(before.startswith("import") for before, _ in new) else "require"
    kinds = {"import" if one.before.startswith("import") else "require" for one in known}
    if language == "javascript" and new and kinds and added not in kinds:
        raise _unmergeable(f"it does not use `{added}`")
    return tuple(before + ", ".join(names) + behind for (before, behind), names in new.items())


def _unmergeable(reason: str) -> Incomplete:
    return Incomplete(f"The tests do not fit into the file: {reason}.", next_step="Use the imports that are there.")


def _words(node: Node) -> str:
    return " ".join((node.text or b"").decode("utf-8", "replace").split())


def _plain(one: Import) -> str:
    return re.sub(r"[\s;]+", " ", f"{one.before}{one.name}{one.behind}").replace("'", '"').strip()


def _agree(one: str, other: str, language: str) -> bool:
    """Whether two names of a module may be of the same: by the folders or packages that both name, without endings."""
    if language not in ("python", "javascript"):
        return one == other
    mine, theirs = _parts(one), _parts(other)
    least = min(len(mine), len(theirs))
    return mine[-least:] == theirs[-least:] and (
        language == "python" or one.strip("'\" ")[:1] == other.strip("'\" ")[:1]
    )


def _parts(module: str) -> list[str]:
    path = re.sub(r"\.[cm]?[jt]sx?$", "", module.strip("'\" "))
    return [part for part in re.split(r"[./]", path) if part]


def _read(text: str, language: str) -> Iterator[Import]:
    read = {"python": _python, "javascript": _javascript, "go": _go, "java": _java, "php": _php, "rust": _rust}
    found = list(read[language](text)) if language in read else []
    yield from found or (Import("", "", text),)


def _named(names: str, module: str, before: str, behind: str) -> Iterator[Import]:
    for name in names.split(","):
        if name.strip():
            yield Import(re.split(r"[\s:]+", name.strip())[-1], module, before, name.strip(), behind)


def _python(text: str) -> Iterator[Import]:
    if (found := re.match(r"from (\S+) import \(?([^()*]+)\)?$", text)) is not None:
        yield from _named(found[2], found[1], f"from {found[1]} import ", "")
    elif text.startswith("import "):
        for name in text.removeprefix("import ").split(","):
            yield Import(name.split()[-1], name.split()[0], f"import {name.strip()}")


def _javascript(text: str) -> Iterator[Import]:
    if (found := _JS.match(text)) is not None:
        kind, module = found["type"] or "", found["module"]
        for name, form in ((found["default"], "{}"), (found["space"], "* as {}")):
            if name:
                yield Import(name, module, f"import {kind}{form.format(name)} from {module};")
        yield from _named(found["names"] or "", module, f"import {kind}{{ ", f" }} from {module};")
    elif (found := _CALL.match(text)) is not None:
        yield from _named(found["names"], found["module"], f"{found['word']} {{ ", f" }} = {found['call']};")
    elif (found := _NAMED_CALL.match(text)) is not None:
        yield Import(found["name"], found["module"], text)


def _go(text: str) -> Iterator[Import]:
    if text.startswith("import"):
        for alias, path in re.findall(r"([\w.]+ )?\"([^\"]+)\"", text.removeprefix("import")):
            yield Import(alias.strip() or path.rpartition("/")[2], path, f'import {alias}"{path}"')


def _java(text: str) -> Iterator[Import]:
    if (found := re.match(r"import (?:static )?([\w.]+)\.(\w+) ?;", text)) is not None:
        yield Import(found[2], found[1], text)


def _php(text: str) -> Iterator[Import]:
    if (found := re.match(r"use ([\w\\]+?)(\w+)(?: as (\w+))? ?;", text)) is not None:
        yield Import(found[3] or found[2], found[1] + found[2], text)


def _rust(text: str) -> Iterator[Import]:
    if (found := re.match(r"use ([\w:]+)::\{([^{}]*)\} ?;", text)) is not None:
        for name in found[2].split(","):
            if name.strip():
                yield Import(name.split()[-1], found[1], f"use {found[1]}::{name.strip()};")
    elif (found := re.match(r"use (?:([\w:]+)::)?(\w+)(?: as (\w+))? ?;", text)) is not None:
        yield Import(found[3] or found[2], found[1] or "", text)
