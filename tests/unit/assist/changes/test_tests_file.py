from __future__ import annotations

import pytest

from leanvibe_lsp.assist.changes.tests_file import TestPlan, holds_a_test, planned

_CASES = [
    ("python", "pkg/a.py", "", "pytest", "tests/test_a.py", "pkg/a.py"),
    ("python", "pkg/a.py", "", "pytest", "tests/test_a.py", "pkg/a.py tests/test_b.py"),
    ("python", "pkg/a.py", "", "pytest", "pkg/test_a.py", "pkg/a.py pkg/test_b.py"),
    ("python", "pkg/core/a.py", "", "pytest", "tests/unit/core/test_a.py",
     "pkg/core/a.py tests/unit/core/test_b.py tests/unit/io/test_c.py tests/e2e/test_d.py"),
    ("python", "src/pkg/a.py", "import unittest", "unittest", "tests/a_test.py", "src/pkg/a.py tests/b_test.py"),
    ("python", "pkg/a.py", "", "pytest", "tests/x/test_a.py!", "pkg/a.py tests/x/test_a.py tests/test_b.py"),
    ("python", "pkg/b/a.py", "", "pytest", "tests/b/test_a.py!", "pkg/b/a.py tests/b/test_a.py tests/c/test_a.py"),
    ("typescript", "src/a.ts", "", "node:test", "src/a.test.ts", "src/a.ts"),
    ("typescript", "src/a.ts", '"vitest": "1"', "vitest", "src/a.spec.ts", "src/a.ts src/b.spec.ts"),
    ("tsx", "src/a.tsx", "", "jest", "src/__tests__/a.test.tsx", "src/a.tsx src/__tests__/b.test.tsx jest.config.js"),
    ("javascript", "lib/a.js", "", "mocha", "test/a.test.js", "lib/a.js test/b.test.js .mocharc.json"),
    ("go", "x/a.go", "", "go test", "x/a_test.go", "x/a.go"),
    ("go", "x/a.go", "", "go test", "x/a_test.go!", "x/a.go x/a_test.go"),
    ("rust", "src/a.rs", "", "cargo test", "src/a.rs!", "src/a.rs"),
    ("java", "src/main/java/com/x/A.java", "", "junit 5", "src/test/java/com/x/ATest.java",
     "src/main/java/com/x/A.java"),
    ("java", "src/main/java/com/x/A.java", "import org.junit.Test;", "junit 4", "src/test/java/com/x/ATest.java",
     "src/main/java/com/x/A.java src/test/java/com/x/BTest.java src/test/java/com/y/CTest.java"),
    ("ruby", "lib/x/a.rb", "", "rspec", "spec/x/a_spec.rb", "lib/x/a.rb spec/x/b_spec.rb"),
    ("ruby", "lib/a.rb", "", "minitest", "test/a_test.rb", "lib/a.rb test/b_test.rb"),
    ("php", "src/A.php", "", "phpunit", "tests/ATest.php", "src/A.php tests/BTest.php"),
    ("bash", "bin/a.sh", "", "bats", "test/a.bats", "bin/a.sh test/b.bats"),
]  # fmt: skip


@pytest.mark.parametrize(("language", "source", "told", "framework", "path", "files"), _CASES)
def test_where_tests_go(language: str, source: str, told: str, framework: str, path: str, files: str) -> None:
    """In the file that is there (!), else where the others stand and called as they are called."""
    plan = planned(source, language, files.split(), told)
    assert plan == TestPlan(path.rstrip("!"), framework, exists=path.endswith("!"))


def test_a_language_that_is_not_tested() -> None:
    """Better no file than one in the wrong place."""
    assert planned("a.css", "css", ["a.css"]) is None


@pytest.mark.parametrize(
    ("framework", "text"),
    [
        ("pytest", "def test_a():\n    pass"),
        ("unittest", "class A(TestCase):\n    def test_a(self): pass"),
        ("jest", "test('a', () => {})"),
        ("mocha", "describe('x', () => { it('a', f) })"),
        ("go test", "func TestA(t *testing.T) {}"),
        ("cargo test", "#[test]\nfn a() {}"),
        ("junit 5", "@Test\nvoid a() {}"),
        ("rspec", "it 'adds' do"),
        ("minitest", "  def test_a\n  end"),
        ("phpunit", "public function testA() {}"),
        ("bats", "@test 'a' {"),
    ],
)
def test_what_a_test_looks_like(framework: str, text: str) -> None:
    """Each framework's own form, and not a word about tests."""
    assert holds_a_test(framework, text)
    assert not holds_a_test(framework, "Here are some tests.\nassert f(1) == 2")
