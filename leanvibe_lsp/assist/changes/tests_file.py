"""Where the tests of a file belong, and in which framework, from the names of the project's files alone. Pure.

A test file that is there is used. Otherwise the new one stands where the project's other tests stand: beside the code,
in a folder of its own, or in the mirror of the code's folder.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath


@dataclass(frozen=True, slots=True)
class _Convention:
    """How the tests of a language are called: `{}` is the tested file's stem; the first is the default."""

    names: tuple[str, ...]
    folders: tuple[str, ...]  # where tests live in a project that has none yet; "" is beside the code
    stripped: tuple[str, ...] = ()  # folders of code that the mirror leaves out


_JS = ("{}.test", "{}.spec")
_CONVENTIONS = {
    "python": _Convention(("test_{}.py", "{}_test.py"), ("tests",), ("src", "lib")),
    "go": _Convention(("{}_test.go",), ("",)),
    "java": _Convention(("{}Test.java", "{}Tests.java"), ("src/test/java",), ("src/main/java",)),
    "ruby": _Convention(("{}_spec.rb", "{}_test.rb", "test_{}.rb"), ("spec",), ("lib", "app")),
    "php": _Convention(("{}Test.php",), ("tests",), ("src", "app")),
    "bash": _Convention(("{}.bats", "test_{}.bats"), ("test",)),
}
# What marks a framework in a test file or a manifest of the project; the first that is found counts.
_SIGNS = {
    "python": (("unittest", r"import unittest|from unittest"), ("pytest", "")),
    "javascript": (
        ("vitest", r"vitest"),
        ("jest", r"\bjest\b"),
        ("mocha", r"\bmocha\b|\.mocharc"),
        ("node:test", ""),
    ),
    "java": (("junit 4", r"org\.junit\.Test\b|\bjunit:junit\b"), ("junit 5", "")),
    "ruby": (("minitest", r"minitest|Minitest|_test\.rb\b|\btest_\w+\.rb\b"), ("rspec", "")),
    "go": (("go test", ""),),
    "rust": (("cargo test", ""),),
    "php": (("phpunit", ""),),
    "bash": (("bats", ""),),
}
# What a test of each framework has in it at least.
_TESTS = {
    "pytest": r"^\s*(?:async )?def test_\w+",
    "unittest": r"^\s+def test\w+",
    "vitest": r"\b(?:it|test)\s*\(",
    "jest": r"\b(?:it|test)\s*\(",
    "mocha": r"\bit\s*\(",
    "node:test": r"\b(?:it|test)\s*\(",
    "go test": r"^func Test\w*\(\w+ \*testing\.T\)",
    "cargo test": r"#\[test\]",
    "junit 4": r"@Test\b",
    "junit 5": r"@Test\b",
    "rspec": r"\bit\b",
    "minitest": r"^\s*(?:def test_|test ['\"])",
    "phpunit": r"function test\w+|#\[Test\]|@test",
    "bats": r"^@test ",
}


@dataclass(frozen=True, slots=True)
class TestPlan:
    """The test file, relative to the project with "/" between: made anew, or added to when it `exists`.

    `path` of a Rust file is that file: its tests stand in a module of their own at its end.
    """

    __test__ = False  # no test case, whatever pytest thinks of the name

    path: str
    framework: str
    exists: bool


def planned(source: str, language: str, files: Sequence[str], told: str = "") -> TestPlan | None:
    """The plan for the tests of `source`, one of `files`; None for a language whose tests we do not know.

    `told` is text that may name the framework: a test file that is there, a manifest.
    """
    family = _family(language)
    if family not in _SIGNS:
        return None
    signs = "\n".join((told, *(PurePosixPath(name).name for name in files)))
    framework = next(name for name, sign in _SIGNS[family] if re.search(sign, signs))
    if family == "rust":
        return TestPlan(source, framework, exists=True)
    convention = _CONVENTIONS.get(family) or _script(source)
    path = PurePosixPath(source)
    tests = [PurePosixPath(name) for name in files if _is_test(name, convention)]
    own = [test for test in tests if test.name in {name.format(path.stem) for name in convention.names}]
    if own:
        best = max(own, key=lambda test: (_shared(test, path), -len(test.parts)))
        return TestPlan(str(best), framework, exists=True)
    name = _usual_name(convention, tests, framework).format(path.stem)
    return TestPlan(str(_folder(path, convention, tests) / name), framework, exists=False)


def is_testable(language: str) -> bool:
    """Whether it is known how that language is tested."""
    return _family(language) in _SIGNS


def test_files(language: str, files: Sequence[str]) -> tuple[str, ...]:
    """Those of the files that are tests by their names."""
    family = _family(language)
    if family == "javascript":
        return tuple(name for name in files if re.search(r"\.(?:test|spec)\.[cm]?[jt]sx?$", name))
    convention = _CONVENTIONS.get(family)
    return tuple(name for name in files if convention is not None and _is_test(name, convention))


test_files.__test__ = False  # type: ignore[attr-defined]


def holds_a_test(framework: str, text: str) -> bool:
    """Whether a text has at least one test of the framework in it, by its words."""
    return re.search(_TESTS[framework], text, re.MULTILINE) is not None


def _script(source: str) -> _Convention:
    ending = PurePosixPath(source).suffix
    return _Convention(tuple(f"{name}{ending}" for name in _JS), ("",), ("src", "lib"))


def _is_test(name: str, convention: _Convention) -> bool:
    last = PurePosixPath(name).name
    return any(
        last.startswith(head) and last.endswith(tail) and len(last) > len(head) + len(tail)
        for head, _, tail in (form.partition("{}") for form in convention.names)
    )


def _usual_name(convention: _Convention, tests: Sequence[PurePosixPath], framework: str) -> str:
    """The form of name that most of the tests have."""
    if framework == "minitest" and not tests:
        return "{}_test.rb"
    seen = Counter(
        form
        for form in convention.names
        for test in tests
        if test.name.startswith(form.partition("{}")[0]) and test.name.endswith(form.partition("{}")[2])
    )
    return max(convention.names, key=lambda form: seen[form])


def _folder(source: PurePosixPath, convention: _Convention, tests: Sequence[PurePosixPath]) -> PurePosixPath:
    """Beside the code where tests stand so, else the folder of tests whose path is most like the code's."""
    if any(test.parent == source.parent for test in tests) or (not tests and "" in convention.folders):
        return source.parent
    nested = source.parent / "__tests__"
    if any(test.parent == nested for test in tests) or any(test.parent.name == "__tests__" for test in tests):
        return nested
    inner = _inner(source.parent, convention)
    folders = sorted({test.parent for test in tests}, key=lambda folder: (len(folder.parts), folder))
    beside = Counter("" if _is_beside(test, tests) else "apart" for test in tests)
    if tests and beside[""] == len(tests) and "" in convention.folders:
        return source.parent
    if not folders:
        return PurePosixPath(convention.folders[0]).joinpath(*inner if convention.stripped != ("src", "lib") else ())
    best = max(folders, key=lambda folder: (_tail(folder.parts, inner), -len(folder.parts)))
    if _tail(best.parts, inner):
        return best
    root = folders[0]
    mirrors = any(root in folder.parents for folder in folders)
    return root.joinpath(*inner) if mirrors else root


def _is_beside(test: PurePosixPath, tests: Sequence[PurePosixPath]) -> bool:
    return test.parent.parts[:1] not in (("test",), ("tests",), ("spec",)) and bool(tests)


def _inner(folder: PurePosixPath, convention: _Convention) -> tuple[str, ...]:
    """The code's folder without the part that stands for "the code"."""
    for start in convention.stripped:
        parts = PurePosixPath(start).parts
        if folder.parts[: len(parts)] == parts:
            return folder.parts[len(parts) :]
    return folder.parts


def _tail(parts: tuple[str, ...], inner: tuple[str, ...]) -> int:
    """How many of the last parts two paths have in common."""
    same = 0
    for one, other in zip(reversed(parts), reversed(inner), strict=False):
        if one != other:
            break
        same += 1
    return same


def _family(language: str) -> str:
    return "javascript" if language in ("typescript", "tsx") else language


def _shared(test: PurePosixPath, source: PurePosixPath) -> int:
    """How near a test stands to the code: folders of the same name, from either end."""
    return _tail(test.parent.parts, source.parent.parts) + (test.parent == source.parent)
