from __future__ import annotations

from pathlib import Path

import pytest

from leanvibe_lsp.assist.answer import Place
from leanvibe_lsp.assist.changes.task import Verdict
from leanvibe_lsp.assist.changes.testing import testing
from leanvibe_lsp.assist.changes.values import ChangeKind, ChangeRequest
from leanvibe_lsp.core.edits import applied
from leanvibe_lsp.core.text import LineIndex, Span
from leanvibe_lsp.documents.grammars import parse
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.errors import UsageError


def judged(folder: Path, name: str, language: str, text: str, answer: str, *opened: Snapshot) -> Verdict:
    """What comes of an answer for the definition at `f(` of a file in `folder`."""
    path = folder / name
    at = text.index("f(")
    place = Place(Snapshot(path.as_uri(), path, language, 7, text, LineIndex(text)), Span(at, at))
    request = ChangeRequest(ChangeKind.TESTS, place, open_documents=opened)
    return testing(request).judge(f"```\n{answer}\n```")


def text_of(verdict: Verdict) -> str:
    """The test file afterwards; it parses."""
    assert verdict.problem == ""
    assert verdict.file is not None
    after = applied(verdict.file.snapshot.text, verdict.file.edits)
    before = verdict.file.snapshot
    tree = parse(Snapshot(before.uri, before.path, before.language_id, None, after, LineIndex(after)))
    assert tree is not None
    assert not tree.root_node.has_error
    return after


_RUST = "fn f(a: i32) -> i32 {\n    a + 1\n}\n"
_RUST_TEST = "#[test]\nfn adds() {\n    assert_eq!(f(1), 2);\n}"


def test_rust_tests_stand_in_a_module_of_the_same_file(tmp_path: Path) -> None:
    """Made at the end of the file, whether the model writes the module or not; added to when it is there."""
    module = "#[cfg(test)]\nmod tests {\n    use super::*;\n\n"
    module += "    #[test]\n    fn adds() {\n        assert_eq!(f(1), 2);\n    }\n}"
    (tmp_path / "Cargo.toml").write_text("")
    made = judged(tmp_path, "a.rs", "rust", _RUST, _RUST_TEST)
    assert text_of(made) == f"{_RUST}\n{module}\n"
    assert made.file is not None
    assert made.file.snapshot.version == 7
    assert text_of(judged(tmp_path, "a.rs", "rust", _RUST, module)) == f"{_RUST}\n{module}\n"
    more = judged(tmp_path, "a.rs", "rust", f"{_RUST}\n{module}\n", _RUST_TEST.replace("adds", "more"))
    assert text_of(more).endswith("    #[test]\n    fn more() {\n        assert_eq!(f(1), 2);\n    }\n}\n")


def test_java_tests_stand_inside_of_the_class_that_is_there(tmp_path: Path) -> None:
    """Before its last brace, without the imports that it has."""
    (tmp_path / "pom.xml").write_text("")
    code, tests = tmp_path / "src/main/java", tmp_path / "src/test/java"
    code.mkdir(parents=True)
    tests.mkdir(parents=True)
    old = "import org.junit.jupiter.api.Test;\n\nclass ATest {\n    @Test\n    void one() {\n    }\n}\n"
    (tests / "ATest.java").write_text(old)
    source = "class A {\n    int f(int a) { return a; }\n}\n"
    answer = "import org.junit.jupiter.api.Test;\n\n@Test\nvoid two() {\n    new A().f(1);\n}"
    made = judged(code, "A.java", "java", source, answer)
    assert text_of(made) == old.removesuffix("}\n") + "\n    @Test\n    void two() {\n        new A().f(1);\n    }\n}\n"


def test_go_tests_get_a_file_of_their_own_beside_the_code(tmp_path: Path) -> None:
    """Named by Go's own rule."""
    (tmp_path / "go.mod").write_text("module m\n")
    answer = 'package m\n\nimport "testing"\n\nfunc TestF(t *testing.T) {\n\tif f(1) != 2 {\n\t\tt.Fail()\n\t}\n}'
    made = judged(tmp_path, "a.go", "go", "package m\n\nfunc f(a int) int { return a }\n", answer)
    assert text_of(made) == answer + "\n"
    assert made.file is not None
    assert made.file.creates
    assert made.file.snapshot.path == tmp_path / "a_test.go"


@pytest.mark.parametrize("on_disk", [None, "def test_old():\n    pass\n"])
@pytest.mark.parametrize("shown", ["", "from a import f\n\n\ndef test_a():\n    f(1)\n"])
def test_an_open_test_file_is_what_it_is_in_the_editor(tmp_path: Path, on_disk: str | None, shown: str) -> None:
    """Also unsaved, and also where there is none on the disk: its version is changed, and none is made."""
    path = tmp_path / "tests" / "test_a.py"
    (tmp_path / "pyproject.toml").write_text("")
    if on_disk is not None:
        path.parent.mkdir()
        path.write_text(on_disk)
    there = Snapshot(path.as_uri(), path, "python", 4, shown, LineIndex(shown))
    answer = "from a import f\n\n\ndef test_b():\n    f(2)"
    made = judged(tmp_path, "a.py", "python", "def f(a):\n    return a\n", answer, there)
    assert text_of(made) == (f"{shown}\n\ndef test_b():\n    f(2)\n" if shown else f"{answer}\n")
    assert made.file is not None
    assert (made.file.snapshot, made.file.creates) == (there, False)


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ("@test 'b' {\n  f\n}", ""),
        ("load x\n\n@test 'b' {\n  f\n}", ""),
        (
            "setup() {\n  f\n}\n@test 'b' {\n  f\n}",
            "the tests do not fit into the file: `setup() {` is more than a new test",
        ),
        ("@test 'a' {\n  f\n}", "the tests do not fit into the file: `@test 'a' {` is more than a new test"),
    ],
)
def test_bats_tests_go_to_the_end(tmp_path: Path, answer: str, problem: str) -> None:
    """No grammar knows them: only tests are added, and none by a name that is there."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "a.bats").write_text("load x\n\n@test 'a' {\n  true\n}\n")
    made = judged(tmp_path, "a.sh", "shellscript", "f() {\n  true\n}\n", answer)
    assert made.problem == problem
    if not problem:
        assert made.file is not None
        text = applied(made.file.snapshot.text, made.file.edits)
        assert text == "load x\n\n@test 'a' {\n  true\n}\n\n@test 'b' {\n  f\n}\n"


def test_line_endings_are_those_of_the_test_file(tmp_path: Path) -> None:
    """ "\\r\\n" stays "\\r\\n"."""
    (tmp_path / "package.json").write_text('{"devDependencies": {"vitest": "1"}}')
    (tmp_path / "a.test.js").write_bytes(b"test('a', () => {});\r\n")
    made = judged(tmp_path, "a.js", "javascript", "function f(a) { return a; }\n", "test('b', () => {\n  f(1);\n});")
    assert text_of(made) == "test('a', () => {});\r\n\r\ntest('b', () => {\r\n  f(1);\r\n});\r\n"


def test_what_has_no_place_for_tests_is_said(tmp_path: Path) -> None:
    """A language whose tests we do not know, and a file that was never saved."""
    with pytest.raises(UsageError, match="not known how c is tested"):
        judged(tmp_path, "a.c", "c", "int f(int a) { return a; }\n", "")
    unsaved = Snapshot("untitled:x", None, "python", 1, "def f():\n    pass\n", LineIndex("def f():\n    pass\n"))
    with pytest.raises(UsageError, match="never saved"):
        testing(ChangeRequest(ChangeKind.TESTS, Place(unsaved, Span(4, 4))))
