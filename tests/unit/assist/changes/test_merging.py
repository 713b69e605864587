from __future__ import annotations

from pathlib import Path

import pytest

from leanvibe_lsp.assist.changes.merging import merged
from leanvibe_lsp.core.edits import applied
from leanvibe_lsp.core.text import LineIndex
from leanvibe_lsp.documents.grammars import parse
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.errors import Incomplete


def file_of(text: str, language: str) -> Snapshot:
    return Snapshot("untitled:x", Path("/x"), language, 1, text, LineIndex(text))


def after(language: str, framework: str, text: str, written: str) -> str:
    """The test file afterwards; it parses."""
    edits = merged(file_of(text, language), written, framework)
    result = applied(text, edits)
    tree = parse(file_of(result, language))
    assert tree is not None
    assert not tree.root_node.has_error
    if language == "python":
        compile(result, "x", "exec")
    return result


_PYTEST = '"""Says."""\n\nimport os\nfrom m import (\n    f,\n)\n\n\n'
_PYTEST += "def make():\n    return 1\n\n\ndef test_a():\n    assert f(1)\n"
_UNITTEST = (
    "import unittest\nfrom m import f\n\n\nclass TestF(unittest.TestCase):\n    def test_a(self):\n        f(1)\n\n\n"
    "if __name__ == '__main__':\n    unittest.main()\n"
)
_GUARD = "\n\n\nif __name__ == '__main__':\n    unittest.main()\n"


@pytest.mark.parametrize(
    ("text", "written", "expected"),
    [
        (_PYTEST, "from m import f\n\n\ndef test_b():\n    assert f(2)",
         _PYTEST + "\n\ndef test_b():\n    assert f(2)\n"),
        (_PYTEST, "import pytest\nfrom pkg.m import f, g as h\n\n# Why.\n@pytest.mark.x\ndef test_b():\n    h(f(2))",
         _PYTEST.replace(")\n\n\ndef make", ")\nimport pytest\nfrom pkg.m import g as h\n\n\ndef make")
         + "\n\n# Why.\n@pytest.mark.x\ndef test_b():\n    h(f(2))\n"),
        (_PYTEST, "def make():\n    return 1\n\n\ndef test_b():\n    q = '''\nSELECT\n'''\n    f(q)",
         _PYTEST + "\n\ndef test_b():\n    q = '''\nSELECT\n'''\n    f(q)\n"),
        ("def test_a():\n    pass\n", "from m import f\n\n\ndef test_b():\n    f()",
         "from m import f\n\ndef test_a():\n    pass\n\n\ndef test_b():\n    f()\n"),
        ("# c\n", "from m import f\n\n\ndef test_b():\n    f()", None),
    ],
)  # fmt: skip
def test_pytest(text: str, written: str, expected: str | None) -> None:
    """Only what is not imported yet comes to the imports, what is there already is left out, tests go to the end."""
    if expected is None:
        with pytest.raises(Incomplete, match="no place for its imports"):
            after("python", "pytest", text, written)
    else:
        assert after("python", "pytest", text, written) == expected


@pytest.mark.parametrize(
    "written",
    [
        "    def test_b(self):\n        q = '''\n        x\n'''\n        f(q)",
        "def test_b(self):\n    q = '''\n        x\n'''\n    f(q)",
        "import unittest\n\n\nclass TestF(unittest.TestCase):\n    def test_a(self):\n        f(1)\n\n"
        "    def test_b(self):\n        q = '''\n        x\n'''\n        f(q)\n\n\n"
        "if __name__ == '__main__':\n    unittest.main()",
    ],
)
def test_unittest_methods_go_into_the_class(written: str) -> None:
    """Alone or in a class of the same name; strings stay as they are, and the file runs its tests as before."""
    method = "\n\n    def test_b(self):\n        q = '''\n        x\n'''\n        f(q)"
    assert after("python", "unittest", _UNITTEST, written) == _UNITTEST.replace("f(1)", f"f(1){method}")


def test_a_class_of_tests_goes_before_what_runs_them() -> None:
    """What stands at the end of a module stays there."""
    other = "class TestG(unittest.TestCase):\n    def test_b(self):\n        f(2)"
    assert after("python", "unittest", _UNITTEST, other) == _UNITTEST.replace(_GUARD, f"\n\n\n{other}{_GUARD}")


_JEST = "const { f } = require('./m');\n\ntest('a', () => {\n  f(1);\n});\n"
_VITEST = "import { test } from 'vitest';\nimport { f } from './m';\n\ntest('a', () => {\n  f(1);\n});\n"
_NEW_JS = "test('b', () => {\n  f(2);\n});"
_GO = 'package m\n\nimport (\n\t"testing"\n)\n\nfunc TestA(t *testing.T) {\n\tF(1)\n}\n'
_NEW_GO = "func TestB(t *testing.T) {\n\tq := `\na\n`\n\tF(q)\n}"
_JAVA = (
    "package p;\n\nimport org.junit.Test;\n\npublic class ATest {\n    @Test\n    public void a() {\n    }\n} // {x}\n"
)
_NEW_JAVA = "@Test\npublic void b() {\n    new A().f(2);\n}"
_JAVA_BODY = "\n\n    @Test\n    public void b() {\n        new A().f(2);\n    }"
_PHP = "<?php\n\nnamespace T;\n\nuse A\\B;\n\n"
_PHP += "class ATest extends TestCase\n{\n    public function testA()\n    {\n    }\n}\n"
_NEW_PHP = "public function testB()\n{\n    f(2);\n}"
_PHP_BODY = "\n\n    public function testB()\n    {\n        f(2);\n    }"
_RSPEC = "require 'm'\n\nRSpec.describe 'f' do\n  it 'a' do\n    f(1)\n  end\nend\n"
_MINITEST = "require 'minitest/autorun'\n\nclass FTest < Minitest::Test\n  def test_a\n    f(1)\n  end\nend\n"
_RUST = "fn f() {}\n\n#[cfg(test)]\nmod tests {\n    use super::*;\n\n    #[test]\n    fn a() {\n    }\n}\n"
_RUST_BODY = "\n\n    #[test]\n    fn b() {\n        f();\n    }"


@pytest.mark.parametrize(
    ("language", "framework", "text", "written", "expected"),
    [
        ("javascript", "jest", _JEST, f"const {{ f }} = require('./m.js');\n\n{_NEW_JS}", f"{_JEST}\n{_NEW_JS}\n"),
        ("javascript", "jest", _JEST, f"const {{ f, g }} = require('./m');\n\n{_NEW_JS}",
         _JEST.replace("('./m');\n", "('./m');\nconst { g } = require('./m');\n") + f"\n{_NEW_JS}\n"),
        ("typescript", "vitest", _VITEST,
         f'import {{ expect, test }} from "vitest";\nimport {{ f }} from "./m.js";\n{_NEW_JS}',
         _VITEST.replace("'./m';\n", "'./m';\nimport { expect } from \"vitest\";\n") + f"\n{_NEW_JS}\n"),
        ("javascript", "jest", "describe('x', () => {\n  test('a', () => {});\n});\n",
         "test('b', () => {\n  f(1);\n});",
         "describe('x', () => {\n  test('a', () => {});\n\n  test('b', () => {\n    f(1);\n  });\n});\n"),
        ("java", "junit 4", f"{_JAVA}class Other {{\n    int a;\n}}\n", _NEW_JAVA,
         _JAVA.replace("    }\n}", f"    }}{_JAVA_BODY}\n}}") + "class Other {\n    int a;\n}\n"),
        ("go", "go test", _GO, f'package m\n\nimport (\n\t"reflect"\n\t"testing"\n)\n\n{_NEW_GO}',
         _GO.replace(")\n\nfunc", ')\nimport "reflect"\n\nfunc') + f"\n{_NEW_GO}\n"),
        ("java", "junit 4", _JAVA, f"import java.util.List;\nimport org.junit.Test;\n\n{_NEW_JAVA}",
         _JAVA.replace("Test;\n", "Test;\nimport java.util.List;\n").replace("    }\n}", f"    }}{_JAVA_BODY}\n}}")),
        ("java", "junit 4", _JAVA, f"package p;\n\npublic class ATest {{\n{_JAVA_BODY[2:]}\n}}",
         _JAVA.replace("    }\n}", f"    }}{_JAVA_BODY}\n}}")),
        ("php", "phpunit", _PHP, _NEW_PHP, _PHP.replace("    }\n}", f"    }}{_PHP_BODY}\n}}")),
        ("php", "phpunit", _PHP, f"<?php\nuse A\\B;\nclass ATest extends TestCase\n{{\n{_PHP_BODY[2:]}\n}}",
         _PHP.replace("    }\n}", f"    }}{_PHP_BODY}\n}}")),
        ("ruby", "rspec", _RSPEC, "it 'b' do\n  f(2)\nend",
         _RSPEC.replace("  end\nend", "  end\n\n  it 'b' do\n    f(2)\n  end\nend")),
        ("ruby", "rspec", _RSPEC, "require 'm'\n\nRSpec.describe 'g' do\n  it 'b' do\n  end\nend",
         _RSPEC + "\nRSpec.describe 'g' do\n  it 'b' do\n  end\nend\n"),
        ("ruby", "minitest", _MINITEST, "def test_b\n  f(2)\nend",
         _MINITEST.replace("  end\nend", "  end\n\n  def test_b\n    f(2)\n  end\nend")),
        ("ruby", "minitest", _MINITEST,
         "require 'minitest/autorun'\nclass FTest < Minitest::Test\n  def test_b\n  end\nend",
         _MINITEST.replace("  end\nend", "  end\n\n  def test_b\n  end\nend")),
        ("rust", "cargo test", _RUST, "use super::*;\nuse std::fs;\n\n#[test]\nfn b() {\n    f();\n}",
         _RUST.replace("*;\n", "*;\n    use std::fs;\n").replace("    }\n}", f"    }}{_RUST_BODY}\n}}")),
        ("rust", "cargo test", _RUST, "#[cfg(test)]\nmod tests {\n    use super::*;\n" + _RUST_BODY[1:] + "\n}",
         _RUST.replace("    }\n}", f"    }}{_RUST_BODY}\n}}")),
    ],
)  # fmt: skip
def test_tests_go_where_they_run(language: str, framework: str, text: str, written: str, expected: str) -> None:
    """Into the class, the group or the module that has tests, and imports to the imports."""
    assert after(language, framework, text, written) == expected


@pytest.mark.parametrize(
    ("language", "framework", "text", "written", "reason"),
    [
        ("python", "pytest", _PYTEST, "def test_a():\n    assert f(2)", "`test_a` is there already"),
        ("python", "pytest", _PYTEST, "def make():\n    return 2\n\n\ndef test_b():\n    f()", "`make` is there"),
        ("python", "pytest", _PYTEST, "def test_a():\n    assert f(1)", "nothing new"),
        ("python", "pytest", _PYTEST, "from other import f\n\n\ndef test_b():\n    f()", "`f` is something else"),
        ("python", "pytest", _PYTEST.replace("m import", "a.m import"), "from b.m import f\n\n\ndef test_b():\n    f()",
         "`f` is something else"),
        ("python", "pytest", _PYTEST, "from m import make\n\n\ndef test_b():\n    f()", "`make` is something else"),
        ("java", "junit 4", "class A {\n    int a;\n}\n", _NEW_JAVA, "where `@Test"),
        ("java", "junit 4", _JAVA.replace("    @Test", "    int n = 1;\n    @Test"), f"int n = 2;\n{_NEW_JAVA}",
         "`n` is there"),
        ("rust", "cargo test", "mod tests;\n", "#[test]\nfn b() {\n}", "not in this file"),
        ("python", "pytest", _PYTEST, "def setup_module():\n    f()\n\n\ndef test_b():\n    f()", "would run for"),
        ("python", "unittest", _UNITTEST, "class TestF:\n    def setUp(self):\n        f()", "would run for"),
        ("java", "junit 4", _JAVA, f"@Before\npublic void c() {{\n}}\n\n{_NEW_JAVA}", "would run for"),
        ("php", "phpunit", _PHP, f"protected function setUp(): void\n{{\n}}\n\n{_NEW_PHP}", "would run for"),
        ("go", "go test", _GO, f"func TestMain(m *testing.M) {{\n}}\n\n{_NEW_GO}", "would run for"),
        ("ruby", "minitest", _MINITEST, "def setup\nend\n\ndef test_b\n  f(2)\nend", "would run for"),
        ("javascript", "jest", _JEST, f"import x from 'y';\n{_NEW_JS}", "does not use `import`"),
        ("python", "pytest", _PYTEST, "from __future__ import annotations\n\n\ndef test_b():\n    f()",
         "has no `from __fut"),
        ("python", "pytest", _PYTEST, "os.remove('x')\n\n\ndef test_b():\n    f()", "where `os.remove"),
        ("python", "pytest", _PYTEST, "def test_b(self):\n    f()", "where `def test_b"),
        ("python", "unittest", _UNITTEST, "def test_b():\n    f()", "where `def test_b"),
        ("python", "pytest", _PYTEST, "def test_b(:\n    f()", "syntax error"),
        ("python", "pytest", "def f(:\n", "def test_b():\n    f()", "test file has a syntax error"),
        ("javascript", "jest", _JEST, f"const {{ f }} = require('./other');\n{_NEW_JS}", "`f` is something else"),
        ("javascript", "jest", _JEST, f"beforeEach(() => {{}});\n{_NEW_JS}", "where `beforeEach"),
        ("javascript", "jest", _JEST, f"jest.mock('./m');\n{_NEW_JS}", "where `jest.mock"),
        ("go", "go test", _GO, f"package other\n\n{_NEW_GO}", "has no `package other`"),
        ("java", "junit 4", _JAVA, f"import org.junit.jupiter.api.Test;\n\n{_NEW_JAVA}", "`Test` is something else"),
        ("java", "junit 4", _JAVA, f"class BTest {{\n{_JAVA_BODY}\n}}", "where `class BTest"),
        ("ruby", "rspec", _RSPEC, "let(:x) { 1 }\nit 'b' do\n  f(x)\nend", "where `let"),
        ("ruby", "rspec", "require 'm'\n", "it 'b' do\n  f(2)\nend", "where `it 'b'"),
        ("ruby", "minitest", "require 'm'\n", "def test_b\n  f(2)\nend", "where `def test_b"),
        ("unheard-of", "pytest", "x\n", "y", "not known"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(language: str, framework: str, text: str, written: str, reason: str) -> None:
    """What is there by that name, what would change other tests, what has no place."""
    with pytest.raises(Incomplete, match=reason.replace("(", r"\(").replace("[", r"\[")):
        after(language, framework, text, written)


def test_line_endings_stay() -> None:
    """ "\\r\\n" in the head and in the tests."""
    text = _RSPEC.replace("\n", "\r\n")
    written = "require 'x'\n\nit 'b' do\n  f(2)\nend"
    expected = after("ruby", "rspec", _RSPEC, written).replace("\n", "\r\n")
    assert after("ruby", "rspec", text, written) == expected
