"""Drafts as models write them, through the whole way from the answer to the verdict: the wrong and the right ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from leanvibe_lsp.assist.answer import Place
from leanvibe_lsp.assist.changes.complaints import findings
from leanvibe_lsp.assist.changes.rewriting import rewriting
from leanvibe_lsp.assist.changes.task import Verdict
from leanvibe_lsp.assist.changes.values import ChangeKind, ChangeRequest, Complaint
from leanvibe_lsp.core.edits import applied
from leanvibe_lsp.core.text import LineIndex, Span
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.errors import UsageError

_UNUSED = ("Local variable `{}` is assigned to but never used", "F841")
_UNDEFINED = ("Undefined name `{}`", "F821")
_IMPORTED = ("`{}` imported but unused", "F401")
_INVALID = ("SyntaxError: unexpected token at `{}`", "E999")


def snapshot(text: str, language: str) -> Snapshot:
    path = Path("/project/code")
    return Snapshot(path.as_uri(), path, language, 1, text, LineIndex(text))


def judged(kind: ChangeKind, language: str, text: str, under: str, draft: str, **more: object) -> Verdict:
    """What comes of the draft for the place where `under` stands; an empty selection but for what is extracted."""
    start = text.index(under)
    end = start + len(under) if kind in (ChangeKind.EXTRACT, ChangeKind.REWRITE) else start
    place = Place(snapshot(text, language), Span(start, end))
    request = ChangeRequest(kind, place, instruction="change it", **more)  # type: ignore[arg-type]
    return rewriting(request).judge(f"```{language}\n{draft}\n```")


def fixed(language: str, text: str, under: str, said: tuple[str, str], draft: str) -> Verdict:
    """The same for a fix of what another server says about the first `under`."""
    at = Span(text.index(under), text.index(under) + len(under))
    complaint = Complaint(at, said[0].format(under), said[1], "Other")
    return judged(ChangeKind.FIX, language, text, under, draft, complaint=complaint)


_SAVE = (
    "def save(user, path):\n    tmp = 1\n    check(user)\n    with open(path) as f:\n        f.write(user.name)\n"
    "    audit(user)\n    return True\n"
)
_FIRST = "def save(user, path):\n    check(user)\n"
_CACHED = "@cache\ndef f(a, b=1, *, key):\n    tmp = a\n    return b\n"
_PLUGIN = "import os\nimport sys\nimport plugin  # registers\nfrom a import b, c\n\nprint(sys.argv, b, c)\n"


@pytest.mark.parametrize(
    ("text", "under", "said", "draft", "reason"),
    [
        (_SAVE, "tmp", _UNUSED, _FIRST + "    # ... rest of the function stays the same", "answer is whole"),
        (_SAVE, "tmp", _UNUSED, "def save(user, path):\n    ...", "answer is whole"),
        (_SAVE, "tmp", _UNUSED, _FIRST + "    return True", "effects kept"),
        ("def f(x):\n    for i in range(3:\n        log(x)\n    return x\n", "range(3:", _INVALID,
         "def f(x):\n    pass", "answer is whole"),
        (_CACHED, "tmp", _UNUSED, "def f(a):\n    return a", "signature kept"),
        (_CACHED, "tmp", _UNUSED, "def f(a, b=1, *, key):\n    return b", "signature kept"),
        (_PLUGIN, "os", _IMPORTED, "import sys\nfrom a import b, c", "names kept"),
        ("def f(a):\n    tmp = a\n    return a\n", "tmp", _UNUSED, "def f(a):\n    os.remove(a)", "effects kept"),
        ("def f(a):\n    tmp = a\n    return a\n", "tmp", _UNUSED, "import os\nos.remove(a)\n\n\ndef f(a):\n"
         "    return a",
         "nothing beside it"),
        ("def f():\n    if a == None:\n        go()\n    stop()\n", "a == None", ("Comparison to None", "E711"),
         "def f():\n    if a is None:\n        go()", "effects kept"),
    ],
)  # fmt: skip
def test_wrong_fixes_are_refused(text: str, under: str, said: tuple[str, str], draft: str, reason: str) -> None:
    """Bodies left out, headers and other imports changed, calls and ways out dropped, statements added."""
    verdict = fixed("python", text, under, said, draft)
    assert verdict.file is None
    assert f'"{reason}"' in verdict.problem


@pytest.mark.parametrize(
    ("text", "under", "said", "draft", "proven"),
    [
        (_SAVE, "tmp", _UNUSED, _SAVE.replace("    tmp = 1\n", "").rstrip(), True),
        (_SAVE, "tmp", _UNUSED, _SAVE.replace("    tmp = 1\n", "").replace("True", "user").rstrip(), False),
        ("def f(q):\n    n = q.pop()\n    return q\n", "n", _UNUSED, "def f(q):\n    return q", False),
        ("def f(q):\n    n = q.pop()\n    return q\n", "n", _UNUSED, "def f(q):\n    q.pop()\n    return q", True),
        ("def f(q):\n    n = q  # why\n    return q\n", "n", _UNUSED, "def f(q):\n    return q", False),
        ("def f(a, b):\n    return a\n", "b", ("Unused argument `{}`", "ARG001"), "def f(a):\n    return a", False),
        ("import os\nimport sys\n\nprint(sys.argv)\n", "os", _IMPORTED, "import sys", True),
        ("from a import b, c\n\nprint(c)\n", "b", _IMPORTED, "from a import c", True),
        ("def f(x):\n    log(x)\n    return foo(x)\n", "foo", _UNDEFINED, "def f(x):\n    log(x)\n    return 1", False),
        ("def f(x):\n    log(y)\n    return x\n", "y", _UNDEFINED, "def f(x):\n    log(x)\n    return x", True),
        ("def f(x):\n    log(y)\n    return x\n", "y", _UNDEFINED, "def f(x):\n    log(z)\n    return x", False),
        ("def f(x):\n    log(y)\n    return x\n", "y", _UNDEFINED, "def f(x):\n    log(x)\n    return x + 1", False),
        ("def f(x):\n    log(x\n    return x\n", "log(x", _INVALID, "def f(x):\n    log(x)\n    return x", True),
    ],
)  # fmt: skip
def test_a_fix_is_proven_by_its_footprint(
    text: str, under: str, said: tuple[str, str], draft: str, proven: bool
) -> None:
    """Only where nothing but the statement changed, and that only as the complaint calls for."""
    verdict = fixed("python", text, under, said, draft)
    assert verdict.problem == ""
    assert verdict.proven is proven


def test_our_own_rule_is_not_mended_by_an_empty_body() -> None:
    """A finding that is gone with everything else is not mended."""
    text = "def f():\n    send()\n    try:\n        go()\n    except:\n        pass\n    store()\n"
    (found,) = findings(snapshot(text, "python"))
    complaint = Complaint(found.span, found.message, found.rule, "leanvibe", found.rule)
    verdict = judged(ChangeKind.FIX, "python", text, "except", "def f():\n    pass", complaint=complaint)
    assert '"answer is whole"' in verdict.problem
    less = "def f():\n    send()\n    try:\n        pass\n    except ValueError:\n        raise\n    store()"
    assert judged(ChangeKind.FIX, "python", text, "except", less, complaint=complaint).file is None


_CLASS = "class A:\n    x = 1\n\n    def f(self):\n        return 1\n\n    def g(self):\n        return 2\n"
_JS = "function f(a) {\n  const b = a;\n  save(b);\n  return b;\n}\n"
_JAVA = "class A {\n    int f(int a) {\n        int b = a;\n        save(b);\n        return b;\n    }\n}\n"
_RUST = "fn f(a: i32) -> i32 {\n    let b = a;\n    save(b);\n    b\n}\n"
_DECORATED = "class A:\n    @staticmethod\n    def f(x):\n        y = g(x)\n        return y\n"


@pytest.mark.parametrize(
    ("language", "text", "under", "draft", "reason"),
    [
        ("python", _SAVE, "check", "def save(user, path):\n    # ... existing code ...\n"
         "    return True", "answer is whole"),
        ("python", _CLASS, "x = 1", "class A:\n    x = 1\n\n    def f(self):\n        return 1\n\n"
         "    # ... other methods unchanged", "answer is whole"),
        ("python", _CLASS, "class", _CLASS.replace("    x = 1\n\n", "").rstrip(), "signature kept"),
        ("python", _CLASS, "class", _CLASS[: _CLASS.index("\n    def g")].rstrip(), "signature kept"),
        ("javascript", _JS, "return", "function f(a) {\n  // ...\n  return a;\n}", "answer is whole"),
        ("java", _JAVA, "save", "    int f(int a) {\n        // ... existing code ...\n        return a;\n    }",
         "answer is whole"),
        ("rust", _RUST, "save", "fn f(a: i32) -> i32 {\n    // same as before\n    a\n}", "answer is whole"),
        ("rust", _RUST, "save", "fn f(a: i32) -> i32 {\n    todo!()\n}", "answer is whole"),
        ("javascript", _JS, "return", "function f(a) {\n  return a;\n}", "effects kept"),
        ("java", _JAVA, "save", "    int f(int a) {\n        return a;\n    }", "effects kept"),
        ("rust", _RUST, "save", "fn f(a: i32) -> i32 {\n    a\n}", "effects kept"),
        ("python", "async def f(x):\n    y = await g(x)\n    return y\n", "return", "async def f(x):\n    return g(x)",
         "effects kept"),
        ("python", "def f(x):\n    # SAFETY: must stay\n    y = x\n    return y\n", "return", "def f(x):\n    return x",
         "comments kept"),
        ("python", "def f(x):\n    y = x  # type: ignore\n    return y\n", "return", "def f(x):\n    return x",
         "comments kept"),
        ("python", _DECORATED, "return", "    def f(x):\n        return g(x)", "signature kept"),
        ("python", "@cache\ndef f(x):\n    y = g(x)\n    return y\n", "return", "def f(x):\n    return g(x)",
         "signature kept"),
        ("javascript", "export default async function f(x) {\n  const y = await g(x);\n  return y;\n}\n", "return",
         "function f(x) {\n  return g(x);\n}", "signature kept"),
        ("rust", "pub unsafe fn f(x: i32) -> i32 {\n    let y = x;\n    return y;\n}\n", "return",
         "fn f(x: i32) -> i32 {\n    x\n}", "signature kept"),
        ("csharp", "class A\n{\n    [Authorize]\n    public int F(int x)\n    {\n        var y = x;\n"
         "        return y;\n"
         "    }\n}\n", "return", "    public int F(int x)\n    {\n        return x;\n    }", "signature kept"),
        ("php", "<?php\nclass A {\n    #[Auth]\n    public static function f($x) {\n        $y = $x;\n"
         "        return $y;\n"
         "    }\n}\n", "return", "    function f($x) {\n        return $x;\n    }", "signature kept"),
        ("python", "def f(x):\n    y = x\n    return y\n", "return", "def f(x):\n    return x\n\n\nprint(f(1))",
         "nothing beside it"),
        ("python", "def f(x):\n    y = x < 1\n    return y\n", "return", "def f(x):\n"
         "    return x &lt; 1", "answer is whole"),
    ],
)  # fmt: skip
def test_wrong_simplifications_are_refused(language: str, text: str, under: str, draft: str, reason: str) -> None:
    """What is left out, lost or added."""
    verdict = judged(ChangeKind.SIMPLIFY, language, text, under, draft)
    assert verdict.file is None
    assert f'"{reason}"' in verdict.problem


@pytest.mark.parametrize(
    ("language", "text", "under", "draft"),
    [
        ("python", "def f(xs):\n    out = []\n    for x in xs:\n        out.append(x * 2)\n    return out\n", "out = ",
         "def f(xs):\n    return [x * 2 for x in xs]"),
        ("python", _DECORATED, "return", "    @staticmethod\n    def f(x):\n        return g(x)"),
        ("python", _CLASS, "class", _CLASS.replace("x = 1", "x: int = 1").rstrip()),
        ("javascript", _JS, "return", "function f(a) {\n  save(a);\n  return a;\n}"),
        ("typescript", "const f = (a: number) => {\n  const b = a;\n  return b;\n};\n", "return",
         "const f = (a: number) => {\n  return a;\n};"),
        ("go", "package m\n\nfunc f(a bool) bool {\n\tif a {\n\t\treturn true\n\t}\n\treturn false\n}\n", "if",
         "func f(a bool) bool {\n\treturn a\n}"),
        ("java", _JAVA, "save", "    int f(int a) {\n        save(a);\n        return a;\n    }"),
        ("rust", _RUST, "save", "fn f(a: i32) -> i32 {\n    save(a);\n    a\n}"),
        ("csharp", "class A\n{\n    int F(int x)\n    {\n        var y = x;\n        return y;\n    }\n}\n", "return",
         "    int F(int x)\n    {\n        return x;\n    }"),
        ("ruby", "def f(a)\n  b = a\n  return b\nend\n", "return", "def f(a)\n  a\nend"),
        ("php", "<?php\nfunction f($a) {\n  $b = $a;\n  return $b;\n}\n", "return", "function f($a) {\n"
         "  return $a;\n}"),
        ("shellscript", "f() {\n  local a=$1\n  echo $a\n}\n", "echo", "f() {\n  echo \"$1\"\n}"),
        ("c", "int f(int a) {\n  int b = a;\n  return b;\n}\n", "return", "int f(int a) {\n  return a;\n}"),
    ],
)  # fmt: skip
def test_right_simplifications_are_taken(language: str, text: str, under: str, draft: str) -> None:
    """In each language one that is nothing but simpler."""
    verdict = judged(ChangeKind.SIMPLIFY, language, text, under, draft)
    assert verdict.problem == ""
    assert verdict.file is not None
    assert draft in applied(text, verdict.file.edits)


_METHOD = "class A:\n    def f(self, x):\n        a = x + 1\n        send(a)\n        return a\n"
_HEAD = "    def f(self, x):\n        a = x + 1\n"
_SUM = "def total(prices, rate):\n    x = 0\n    for p in prices:\n        x = x + p * rate\n    return x\n"
_LOOP = "def total(prices, rate):\n    x = 0\n    for p in prices:\n        "
_JS_METHOD = "class A {\n  f(x) {\n    this.n = x;\n    log(this.n);\n    return x;\n  }\n}\n"
_GO = "package m\n\nfunc f(x int) int {\n\ty := x + 1\n\tlog(y)\n\treturn y\n}\n"


@pytest.mark.parametrize(
    ("language", "text", "under", "draft", "reason"),
    [
        ("python", _METHOD, "        send(a)", _HEAD + "        helper(a)\n        return a\n\n"
         "    def helper(self, a):\n        send(a)", "not called as one"),
        ("python", _METHOD, "        send(a)", _HEAD + "        self.helper(a)\n        return a\n\n"
         "    def helper(self, a):\n        pass", "`send` is not called any more"),
        ("python", _METHOD, "        send(a)", _HEAD + "        self.helper(a)\n        return a\n\n"
         "    def helper(self, a):\n        send", "not what the new function does"),
        ("python", "def f(xs):\n    for x in xs:\n        if x:\n            y = g(x)\n            break\n"
         "    return y\n",
         "            y = g(x)\n            break", "def f(xs):\n    for x in xs:\n        if x:\n"
         "            y = helper(x)\n"
         "    return y\n\n\ndef helper(x):\n    y = g(x)\n    return y", "more than they changed"),
        ("python", "def f(x):\n    a = g(x)\n    b = h(a)\n    return b\n", "    a = g(x)",
         "def f(x):\n    a = g(x)\n    return helper(a)\n\n\ndef helper(a):\n    b = h(a)\n    return b",
         "more than they changed"),
        ("python", "def f(x):\n    a = g(x)\n    b = h(a)\n    return b\n", "    b = h(a)",
         "def f(x):\n    a = g(x)\n    b = helper()\n    return b\n\n\ndef helper():\n    b = h(a)\n    return b",
         "`a` does not come into"),
        ("python", _SUM, "        x = x + p * rate", "def add(x, p, rate):\n    x = x + p * rate\n    return x\n\n\n"
         f"{_LOOP}add(x, p, rate)\n    return x", "`x` does not come out"),
        ("python", _SUM, "        x = x + p * rate", "def add(x, p, rate):\n    x = x + p * rate\n    return x\n\n\n"
         f"{_LOOP}x = add(x, rate, p)\n    return x", "not what the new function does"),
        ("python", _SUM, "        x = x + p * rate", "def charge(price, rate):\n    return p * rate\n\n\n"
         f"{_LOOP}x = x + charge(p, rate)\n    return x", "not what the new function does"),
        ("python", "def f(x):\n    if x:\n        return 1\n    return 2\n", "    if x:\n        return 1",
         "def f(x):\n    return helper(x)\n    return 2\n\n\ndef helper(x):\n    if x:\n"
         "        return 1", "never reached"),
        ("python", "def f(x):\n    a = g(x)\n    send(a)\n    return a\n", "    send(a)",
         "def f(x):\n    a = g(x)\n    helper()\n    return a\n\n    def helper():\n"
         "        send(a)", "before it is there"),
        ("javascript", _JS_METHOD, "    this.n = x;\n    log(this.n);", "  f(x) {\n    helper(x);\n    return x;\n"
         "  }\n}\n\n"
         "function helper(x) {\n  this.n = x;\n  log(this.n);", "does not belong"),
        ("go", _GO, "\ty := x + 1", "func f(x int) int {\n\thelper(x)\n\tlog(y)\n\treturn y\n}\n\n"
         "func helper(x int) {\n\ty := x + 1\n\t_ = y\n}", "new function"),
    ],
)  # fmt: skip
def test_wrong_extractions_are_refused(language: str, text: str, under: str, draft: str, reason: str) -> None:
    """Lines that are lost, changed or others; names that do not come in or out; loops, methods and order."""
    verdict = judged(ChangeKind.EXTRACT, language, text, under, draft)
    assert verdict.file is None
    assert reason in verdict.problem


@pytest.mark.parametrize(
    ("language", "text", "under", "draft"),
    [
        ("python", _METHOD, "        send(a)", _HEAD + "        self.helper(a)\n        return a\n\n"
         "    def helper(self, a):\n        send(a)"),
        ("python", _SUM, "        x = x + p * rate", "def add(x, p, rate):\n    x = x + p * rate\n    return x\n\n\n"
         f"{_LOOP}x = add(x, p, rate)\n    return x"),
        ("python", _SUM, "        x = x + p * rate", "def charge(price, rate):\n    return price * rate\n\n\n"
         f"{_LOOP}x = x + charge(p, rate)\n    return x"),
        ("python", "def f(x):\n    a = g(x)\n    b = h(x)\n    return a + b\n", "    a = g(x)\n    b = h(x)",
         "def f(x):\n    a, b = both(x)\n    return a + b\n\n\ndef both(x):\n    a = g(x)\n    b = h(x)\n"
         "    return a, b"),
        ("javascript", _JS_METHOD, "    this.n = x;\n    log(this.n);", "  f(x) {\n    this.keep(x);\n"
         "    return x;\n  }\n\n"
         "  keep(x) {\n    this.n = x;\n    log(this.n);\n  }"),
        ("typescript", "function f(a: number) {\n  const c = a * 2;\n  return c;\n}\n", "  const c = a * 2;",
         "function f(a: number) {\n  const c = twice(a);\n  return c;\n}\n\nfunction twice(a: number): number {\n"
         "  return a * 2;\n}"),
        ("go", _GO, "\ty := x + 1\n\tlog(y)", "func f(x int) int {\n\ty := next(x)\n\treturn y\n}\n\n"
         "func next(x int) int {\n\ty := x + 1\n\tlog(y)\n\treturn y\n}"),
        ("java", _JAVA, "        save(b);", "    int f(int a) {\n        int b = a;\n        keep(b);\n"
         "        return b;\n"
         "    }\n\n    private void keep(int b) {\n        save(b);\n    }"),
        ("rust", _RUST, "    save(b);", "fn f(a: i32) -> i32 {\n    let b = a;\n    keep(b);\n    b\n}\n\n"
         "fn keep(b: i32) {\n    save(b);\n}"),
        ("ruby", "def f(a)\n  b = a + 1\n  save(b)\n  b\nend\n", "  save(b)",
         "def f(a)\n  b = a + 1\n  keep(b)\n  b\nend\n\ndef keep(b)\n  save(b)\nend"),
        ("php", "<?php\nfunction f($a) {\n  $b = $a + 1;\n  save($b);\n  return $b;\n}\n", "  save($b);",
         "function f($a) {\n  $b = $a + 1;\n  keep($b);\n  return $b;\n}\n\nfunction keep($b) {\n  save($b);\n}"),
    ],
)  # fmt: skip
def test_right_extractions_are_taken(language: str, text: str, under: str, draft: str) -> None:
    """Statements and values, functions and methods, with parameters of the same and of other names."""
    verdict = judged(ChangeKind.EXTRACT, language, text, under, draft)
    assert verdict.problem == ""
    assert verdict.file is not None
    assert draft in applied(text, verdict.file.edits)


@pytest.mark.parametrize(
    "draft",
    [
        "def f(a, b):\n    x = 1\n      y = 2\n    return x",
        "def f(a, b):\n    if a:\n        x = 1\n      y = 2\n    return x",
        "def f(a, b):\n    x = 1\n\ty = 2\n    return x",
        "def f(a, b):\n    return g(a=1, b)",
        "def f(a, b):\n    # nothing",
        "def f(a, b):\n    print 'x'\n    return a",
        "def f(a, b):\n    try:\n        return a\n    except E, e:\n        return b",
        "def f(a, b):\n    return await a",
        "def f(a, b):\n    break\n    return a",
        "def f(a, b):\n    nonlocal q\n    q = 1\n    return q",
        "def f(a, b):\n    q = 1\n    global q\n    return q",
        "def f(a, b):\n    x := 1\n    return x",
        "def f(a, b):\n    return *a",
    ],
)
def test_python_that_python_does_not_take_is_refused(draft: str) -> None:
    """Each is fine for the editor's grammar or nearly so; what did not compile before is not held to it."""
    verdict = judged(ChangeKind.REWRITE, "python", "def f(a, b):\n    y = a\n    return y\n", "def f(a, b)", draft)
    assert verdict.file is None
    assert '"compiles"' in verdict.problem or '"parses"' in verdict.problem
    old = "def f(a, b):\n    print 'x'\n    return a\n"
    verdict = judged(ChangeKind.SIMPLIFY, "python", old, "return", "def f(a, b):\n    print 'y'\n    return a")
    assert verdict.file is not None


@pytest.mark.parametrize("deep", ["-" * 20_000 + "1", "a" + ".a" * 20_000, "1 + " * 20_000 + "1", "(" * 5_000])
def test_code_that_is_nested_too_deep_does_no_harm(deep: str) -> None:
    """It is a draft like any other: refused or taken, and the server lives."""
    text = "def f(a, b):\n    y = a\n    return y\n"
    verdict = judged(ChangeKind.REWRITE, "python", text, "return y", f"    return {deep}")
    assert not verdict.proven


@pytest.mark.parametrize(
    ("text", "draft", "taken"),
    [
        ("def f(p):\n    h = open(p)\n    h.close()\n    return h\n", "def f(p):\n    return open(p)", False),
        ("def f(p):\n    h = open(p)\n    h.close()\n    return h\n",
         "def f(p):\n    with open(p) as h:\n        return h", True),
        ("def f(q):\n    a = q.pop()\n    b = q\n    return b\n", "def f(q):\n    return q", False),
        ("def f(q):\n    n = len(q)\n    return n > 0\n", "def f(q):\n    return bool(q)", True),
        ("def f(xs):\n    xs.append(1)\n    y = xs\n    return y\n", "def f(xs):\n    return xs", False),
        ("def f(db, x):\n    db.insert(x)\n    y = x\n    return y\n", "def f(db, x):\n    return x", False),
        ("def f(xs):\n    y = g(xs)\n    y.sort()\n    return y\n", "def f(xs):\n    return sorted(g(xs))", True),
    ],
)  # fmt: skip
def test_a_call_may_go_where_something_does_the_same(text: str, draft: str, taken: bool) -> None:
    """A `close` for a `with`, a `sort` for `sorted`; never for nothing."""
    assert (judged(ChangeKind.SIMPLIFY, "python", text, "return", draft).file is not None) is taken


def test_nothing_is_extracted_from_a_shell_script() -> None:
    """It is said before a model is asked."""
    with pytest.raises(UsageError, match="cannot be extracted"):
        judged(ChangeKind.EXTRACT, "shellscript", "f() {\n  echo $1\n}\n", "  echo $1", "g() {\n  echo $1\n}")


def test_a_lost_comment_is_named() -> None:
    """It refuses nothing, and stands in the report."""
    text = "def f(x):\n    y = x  # the price\n    return y\n"
    verdict = judged(ChangeKind.SIMPLIFY, "python", text, "return", "def f(x):\n    return x")
    said = {check.name: check.detail for check in verdict.checks}
    assert said["comments kept"] == "gone: `# the price`"
    assert verdict.file is not None
