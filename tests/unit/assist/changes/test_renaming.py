from __future__ import annotations

import json
from pathlib import Path

import pytest

from leanvibe_lsp.assist.answer import Place
from leanvibe_lsp.assist.changes.renaming import renaming
from leanvibe_lsp.assist.changes.task import Task
from leanvibe_lsp.assist.changes.values import ChangeKind, ChangeRequest
from leanvibe_lsp.core.edits import applied
from leanvibe_lsp.core.text import LineIndex, Span
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.errors import UsageError


def task(text: str, language: str, under: str) -> Task:
    path = Path("/project/code")
    snapshot = Snapshot(path.as_uri(), path, language, 1, text, LineIndex(text))
    at = text.index(under)
    return renaming(ChangeRequest(ChangeKind.RENAME, Place(snapshot, Span(at, at))))


def offered(text: str, language: str, under: str) -> list[str]:
    """The names that may be changed."""
    try:
        structure = task(text, language, under).structure
    except UsageError:
        return []
    assert structure is not None
    return list(json.loads(structure.schema)["properties"])


def answer(text: str, language: str, under: str, names: dict[str, str]) -> str:
    """What a model says that changes these names alone."""
    return json.dumps({one: names.get(one, one) for one in offered(text, language, under)})


_PHP = (
    "<?php\nfunction f($xs) {\n  $n = 1;\n  foreach ($xs as $k => $x) { $n += $x; }\n"
    '  return g(n: $n) . "$n {$n}" . $this->n;\n}\n'
)
_JAVA = (
    "class A {\n  int f(int a) {\n    int n = a, m = 2;\n    for (int x : xs) { n += x; }\n"
    "    for (int i = 0; i < 2; i++) { n += i; }\n    return this.n + n + n();\n  }\n}\n"
)


@pytest.mark.parametrize(
    ("language", "under", "text", "names", "expected"),
    [
        ("python", "t = 0", "def f(xs):\n    t = 0  # t\n    for x in xs:\n        t += x\n    return t\n",
         {"t": "total", "x": "item"},
         "def f(xs):\n    total = 0  # t\n    for item in xs:\n        total += item\n    return total\n"),
        ("python", "return", "class A:\n    def f(self):\n        n = self.n\n        return g(n=n)\n", {"n": "count"},
         "class A:\n    def f(self):\n        count = self.n\n        return g(n=count)\n"),
        ("python", "return", "def f(n):\n    s = 'a\\n'\n    return f'{s:>10}'\n", {"s": "said"},
         "def f(n):\n    said = 'a\\n'\n    return f'{said:>10}'\n"),
        ("python", "return", "def f(a):\n    with open(a) as h:\n        return [x for x in h]\n"
         "", {"h": "file", "x": "line"},
         "def f(a):\n    with open(a) as file:\n        return [line for line in file]\n"),
        ("javascript", "return", "function f(a) {\n  'use strict';\n  const n = a;\n  for (const q of n) { log(q); }\n"
         "  return `x${n}`;\n}\n", {"n": "items", "q": "item"},
         "function f(a) {\n  'use strict';\n  const items = a;\n  for (const item of items) { log(item); }\n"
         "  return `x${items}`;\n}\n"),
        ("javascriptreact", "return", "function F({ a }) {\n  const n = a;\n  return <p id={n}>n {n}</p>;\n}\n",
         {"n": "count"}, "function F({ a }) {\n  const count = a;\n  return <p id={count}>n {count}</p>;\n}\n"),
        ("javascript", "return", "function outer() {\n  let n = 0;\n  function inc() { n = n + 1; }\n  return n;\n}\n",
         {"n": "count"}, "function outer() {\n  let count = 0;\n  function inc() { count = count + 1; }\n"
         "  return count;\n}\n"),
        ("typescript", "return", "function f(o: T) {\n  const { x, y: z } = o;\n  return x + z;\n}\n", {"z": "depth"},
         "function f(o: T) {\n  const { x, y: depth } = o;\n  return x + depth;\n}\n"),
        ("go", "n :=", "package m\n\nfunc f(xs []int) int {\n\tn := 0\n\tfor _, x := range xs {\n\t\tn += x\n\t}\n"
         "\treturn n\n}\n",
         {"n": "sum", "x": "value"},
         "package m\n\nfunc f(xs []int) int {\n\tsum := 0\n\tfor _, value := range xs {\n\t\tsum += value\n\t}\n"
         "\treturn sum\n}\n"),
        ("java", "return", _JAVA, {"n": "sum", "x": "value", "i": "index"},
         _JAVA.replace("n = a", "sum = a").replace("int x", "int value").replace("n += x", "sum += value")
         .replace("int i = 0; i < 2; i++", "int index = 0; index < 2; index++").replace("n += i", "sum += index")
         .replace("+ n +", "+ sum +")),
        ("csharp", "return", "class A\n{\n  int F()\n  {\n    var n = 1;\n    return G(n: n);\n  }\n}\n"
         "", {"n": "count"},
         "class A\n{\n  int F()\n  {\n    var count = 1;\n    return G(n: count);\n  }\n}\n"),
        ("rust", "let", "fn f(a: i32) -> i32 {\n    let mut n = a;\n    for i in 0..3 { n += i; }\n"
         "    println!(\"{}\", n);\n    n\n}\n",
         {"n": "sum", "i": "step"},
         "fn f(a: i32) -> i32 {\n    let mut sum = a;\n    for step in 0..3 { sum += step; }\n"
         "    println!(\"{}\", sum);\n    sum\n}\n"),
        ("php", "return", _PHP, {"n": "sum", "k": "key", "x": "value"},
         _PHP.replace("$n", "$sum").replace("$k", "$key").replace("$x ", "$value ").replace("$x)", "$value)")
         .replace("$x;", "$value;")),
        ("ruby", "puts", "def f(xs)\n  n = 0\n  xs.each { |x| n += x }\n  puts \"#{n}\"\n  n\nend\n", {"n": "sum"},
         "def f(xs)\n  sum = 0\n  xs.each { |x| sum += x }\n  puts \"#{sum}\"\n  sum\nend\n"),
        ("shellscript", "echo", "f() {\n  local n=1\n  n=$((n + 1))\n  echo \"$n\" ${n}\n}\n", {"n": "count"},
         "f() {\n  local count=1\n  count=$((count + 1))\n  echo \"$count\" ${count}\n}\n"),
        ("c", "return", "int f(int a) {\n  int n = a, *p;\n  p = &n;\n  return s.n + n;\n}\n"
         "", {"n": "count", "p": "place"},
         "int f(int a) {\n  int count = a, *place;\n  place = &count;\n  return s.n + count;\n}\n"),
        ("cpp", "return", "int f(int a) {\n  auto n = a;\n  for (auto x : xs) n += x;\n  return this->n + n;\n}\n",
         {"n": "sum", "x": "value"},
         "int f(int a) {\n  auto sum = a;\n  for (auto value : xs) sum += value;\n  return this->n + sum;\n}\n"),
    ],
)  # fmt: skip
def test_local_names_change_and_nothing_else(
    language: str, under: str, text: str, names: dict[str, str], expected: str
) -> None:
    """Everywhere they stand in the routine; members, keys, arguments' names, strings and comments stay."""
    verdict = task(text, language, under).judge(answer(text, language, under, names))
    assert verdict.problem == ""
    assert verdict.file is not None
    assert applied(text, verdict.file.edits) == expected
    assert not verdict.proven


@pytest.mark.parametrize(
    ("language", "under", "text", "expected"),
    [
        ("python", "return", "n = 0\n\n\ndef f():\n    global n\n    n = 1\n    return n\n", []),
        ("python", "return n\n    i", "def o():\n    n = 0\n\n    def inc():\n        nonlocal n\n        n = n + 1\n"
         "        return n\n    inc()\n", []),
        ("python", "return", "def f():\n    class A:\n        n = 1\n    m = A.n\n    return m\n", ["m"]),
        ("python", "return", "def f(n):\n    s = n\n    return f'{s=}'\n", []),
        ("python", "return", "def f(a):\n    n = a\n    return locals()['n']\n", []),
        ("python", "return", "def f(a):\n    n = a\n    return frame.query('n > 1')\n", []),
        ("python", "return", "def f(a):\n    n = a\n    import os as n\n    return n\n", []),
        ("python", "return", "def f(xs):\n    a = [n for n in xs]\n    return n\n", ["a"]),
        ("python", "return", "def f(xs):\n    return [n for n in n]\n", []),
        ("python", "return", "def f(a):\n    n = 1\n    match a:\n        case P(n=n):\n            pass\n"
         "    return n\n", []),
        ("python", "return", "def f(a=n):\n    n = a\n    return n\n", []),
        ("javascript", "n = n + 1", "function o() {\n  let n = 0;\n  function inc() {\n    n = n + 1;\n  }\n}\n", []),
        ("javascript", "n += 1", "function o() {\n  let n = 0;\n  const inc = () => {\n    n += 1;\n  };\n}\n", []),
        ("javascript", "n = n + 1", "let n = 0;\nfunction inc() {\n  n = n + 1;\n}\n", []),
        ("javascript", "return", "function f(a) {\n  const n = a;\n  return { n };\n}\n", []),
        ("javascript", "return", "function f(a) {\n  if (a) { const name = a; log(name); }\n  return name;\n}\n", []),
        ("go", "n = n", "package m\n\nvar n int\n\nfunc inc() int {\n\tn = n + 1\n\treturn n\n}\n", []),
        ("go", "n :=", "package m\n\nfunc inc() int {\n\tn := n + 1\n\treturn n\n}\n", []),
        ("go", "return", "package m\n\nfunc f() T {\n\tname := 1\n\treturn T{name: name}\n}\n", []),
        ("java", "n = n", "class A {\n  private int n;\n\n  void inc() {\n    n = n + 1;\n  }\n}\n", []),
        ("csharp", "n = n", "class A\n{\n  private int n;\n\n  void Inc()\n  {\n    n = n + 1;\n  }\n}\n", []),
        ("csharp", "return", "class A\n{\n  B F()\n  {\n    var N = 1;\n    return new { N };\n  }\n}\n", []),
        ("rust", "N = N", "static mut N: i32 = 0;\n\nfn inc() {\n    unsafe { N = N + 1; }\n}\n", []),
        ("rust", "let n", "fn f() -> i32 {\n    let n = 1;\n    println!(\"{n} is\");\n    n\n}\n", []),
        ("rust", "P {", "fn f() -> P {\n    let x = 1;\n    let y = 2;\n    P { x, y }\n}\n", []),
        ("rust", "x + y", "fn f(o: P) -> i32 {\n    let P { x, y } = o;\n    x + y\n}\n", []),
        ("php", "$n + 1", "<?php\nfunction inc() {\n  global $n;\n  $n = $n + 1;\n  return $n;\n}\n", []),
        ("php", "$n =", "<?php\nfunction inc() {\n  $n = 1;\n  return compact('n');\n}\n", []),
        ("shellscript", "echo", "inc() {\n  n=$((n + 1))\n  echo $n\n}\n", []),
        ("shellscript", "echo", "f() {\n  local n=1\n  echo \"$n\"\n}\n\ng() { echo $n; }\n", []),
        ("shellscript", "echo", "f() {\n  local n=1\n  echo \"$n\"\n  export n\n}\n", []),
        ("ruby", "m:", "def f(a)\n  n = a\n  { n: n, m: }\nend\n", []),
        ("ruby", "n =", "def f(a)\n  a = n\n  n = a\nend\n", []),
        ("ruby", "q\n", "def f(a)\n  a.each { q = 1 }\n  q\nend\n", []),
    ],
)  # fmt: skip
def test_what_may_not_be_local_is_not_offered(language: str, under: str, text: str, expected: list[str]) -> None:
    """Globals, closures, fields, shorthands, what a string could name, what another scope could mean."""
    assert offered(text, language, under) == expected


@pytest.mark.parametrize(
    ("new", "reason"),
    [
        ("class", "`class` has a meaning of its own here"),
        ("self", "`self` has a meaning of its own here"),
        ("2x", "`2x` is no name for a variable"),
        ("x y", "`x y` is no name for a variable"),
        ("__x", "`__x` is no name for a variable"),
        ("a", "two things would be called `a`"),
        ("n", "two things would be called `n`"),
        ("m", "no name changed"),
    ],
)
def test_a_name_that_cannot_be_taken_is_refused(new: str, reason: str) -> None:
    """Keywords, other variables, what is no name."""
    text = "def f(a):\n    n = a\n    m = n\n    return n + m\n"
    verdict = task(text, "python", "return").judge(answer(text, "python", "return", {"m": new}))
    assert verdict.file is None
    assert reason in verdict.problem


def test_two_names_stay_two() -> None:
    """Also where both are new; and an answer of another form is refused."""
    text = "def f(a):\n    n = a\n    m = n\n    return n + m\n"
    both = answer(text, "python", "return", {"m": "x", "n": "x"})
    assert "two things would be called `x`" in task(text, "python", "return").judge(both).problem
    assert task(text, "python", "return").judge("{}").file is None
