"""What flows, and what a program does that ends it: whole programs, each with what is found in it."""

from __future__ import annotations

import pytest

from leanvibe_lsp.core.text import LineIndex
from leanvibe_lsp.documents.grammars import grammar
from leanvibe_lsp.documents.syntax import syntax_of
from leanvibe_lsp.tiers.finding import Finding
from leanvibe_lsp.tiers.flow.look import look
from leanvibe_lsp.tiers.rules import rules_for

_HEAD = """import os, subprocess, sqlite3, base64, re, pickle
from flask import Flask, request, redirect, session, make_response, abort

app = Flask(__name__)
"""


def found(text: str) -> list[Finding]:
    """What all flow rules of the library find in a text, those about the log aside."""
    language = grammar("python")
    assert language is not None
    looked = look(syntax_of(LineIndex(text), language), rules_for("python"))
    return [finding for finding in looked.findings if finding.rule != "python/flow-log"]


_REACHES = {
    "the last element of a list": (
        ("command", "values[-1]"),
        """
def f():
    values = ["date", "time", request.args["a"]]
    os.system(values[-1])
""",
    ),
    "a form, through base64": (
        ("command", 'f"echo {bar}"'),
        """
@app.route("/x", methods=["POST"])
def f():
    values = request.form.getlist("a")
    param = ""
    if values:
        param = values[0]
    bar = "" if not param else base64.b64decode(base64.b64encode(param.encode("utf-8"))).decode("utf-8")
    os.system(f"echo {bar}")
    return ""
""",
    ),
    "a key of a dictionary": (
        ("command", '"ls " + bar'),
        """
def f():
    m = {}
    m["a"] = "const"
    m["b"] = request.args.get("q")
    bar = m["a"]
    bar = m["b"]
    os.popen("ls " + bar)
""",
    ),
    "a case that is certainly taken": (
        ("code", "bar"),
        """
def f():
    param = request.cookies.get("X")
    guess = "ABC"[1]
    match guess:
        case "A":
            bar = param
        case "B":
            bar = param
        case _:
            bar = "x"
    eval(bar)
""",
    ),
    "an element of a list": (
        ("code", "bar"),
        """
def f():
    param = request.cookies.get("X")
    l = []
    l.append("safe"); l.append(param); l.append("more")
    l.pop(0)
    bar = l[0]
    exec(bar)
""",
    ),
    "the arm that is certainly taken": (
        ("code", "bar"),
        """
def f():
    param = request.cookies.get("X")
    bar = "x" if 7 * 18 + 1 < 20 else param
    exec(bar)
""",
    ),
    "a slice of the query string": (
        ("sql", "sql"),
        """
def f():
    qs = request.query_string.decode("utf-8")
    i = qs.find("a=")
    param = qs[i + 2:]
    import urllib.parse
    param = urllib.parse.unquote_plus(param)
    conn = sqlite3.connect("x")
    cur = conn.cursor()
    sql = "SELECT * from USERS where USERNAME='%s'" % (param)
    cur.execute(sql)
""",
    ),
    "a section's key": (
        ("command", '"echo " + bar'),
        """
def f():
    import configparser
    param = request.args.get("a")
    conf = configparser.ConfigParser()
    conf.add_section("s")
    conf.set("s", "keyA", "v")
    conf.set("s", "keyB", param)
    bar = conf.get("s", "keyB")
    subprocess.run("echo " + bar, shell=True)
""",
    ),
    "a route inside of a function": (
        ("html", "out"),
        """
def create(app):
    @app.route("/x/<name>")
    def g(name):
        out = ""
        out += f"<p>{name}</p>"
        return out
""",
    ),
    "a try block": (
        ("path", "param"),
        """
def f():
    param = request.args.get("a")
    try:
        fd = os.open(param, os.O_RDONLY)
    except OSError:
        pass
""",
    ),
    "a with block": (
        ("path", 'f"/data/{name}"'),
        """
def f():
    name = request.args.get("a")
    with open(f"/data/{name}", "rb") as fd:
        return fd.read()
""",
    ),
    "a parameter of a method": (
        ("command", '"ping " + host'),
        """
class A:
    def run(self, host):
        subprocess.call("ping " + host, shell=True)
""",
    ),
    "an assignment in passing": (
        ("code", "q"),
        """
def f():
    if (q := request.args.get("q")):
        eval(q)
""",
    ),
    "a check of the ending alone": (
        ("path", 'os.path.join("img", name)'),
        """
def f():
    name = request.args.get("q")
    if not name.endswith(".png"):
        abort(400)
    return open(os.path.join("img", name)).read()
""",
    ),
    "text grown in a loop": (
        ("command", "cmd"),
        """
def f():
    cmd = "ls"
    for a in request.args.getlist("a"):
        cmd = cmd + " " + a
    os.system(cmd)
""",
    ),
    "a function of the file that reads it": (
        ("command", "c"),
        """
def get():
    return request.args.get("x")

def f():
    c = get()
    os.system(c)
""",
    ),
    "a function of the file that uses it": (
        ("path", 'run(request.args["x"])'),
        """
def run(c):
    with open(c) as f:
        return f.read()

def f():
    return run(request.args["x"])
""",
    ),
    "the command line": (
        ("command", '"ls " + sys.argv[1]'),
        """
import sys
if __name__ == "__main__":
    os.system("ls " + sys.argv[1])
""",
    ),
    "a parameter in a statement": (
        ("sql", "f\"SELECT * FROM users WHERE name = '{username}'\""),
        """
def get_user(db, username):
    c = db.cursor()
    c.execute(f"SELECT * FROM users WHERE name = '{username}'")
    return c.fetchone()
""",
    ),
    "an event": (
        ("command", '"echo " + event["body"]'),
        """
def lambda_handler(event, context):
    os.system("echo " + event["body"])
""",
    ),
    "the session": (
        ("session", 'session["k"]'),
        """
def f():
    bar = request.form.get("a")
    session["k"] = bar
""",
    ),
    "a default beside it": (
        ("redirect", "bar"),
        """
def f():
    bar = request.form.get("a") or "x"
    return redirect(bar)
""",
    ),
    "one of several names at once": (
        ("code", "a"),
        """
def f():
    a, b = request.form["a"], "x"
    eval(a)
""",
    ),
    "an early exit elsewhere": (
        ("code", "x"),
        """
def f():
    a = request.form["a"]
    try:
        x = a.strip()
    except Exception:
        return "no"
    eval(x)
""",
    ),
    "behind a constant of the file": (
        ("path", 'BASE + "/" + request.args["f"]'),
        """
BASE = "/srv"
def f():
    return open(BASE + "/" + request.args["f"]).read()
""",
    ),
    "a method of the class": (
        ("code", "self._q()"),
        """
class H:
    def _q(self):
        return request.args["x"]
    def get(self):
        eval(self._q())
""",
    ),
    "a method of a dictionary": (
        ("command", 'd.get("cmd")'),
        """
def f():
    d = {"cmd": request.args["x"], "k": "v"}
    os.system(d.get("cmd"))
""",
    ),
}

_ENDS = {
    "a difference that is certainly small": (
        """
def f():
    param = request.headers.get("X")
    num = 86
    bar = "x" if 7 * 42 - num < 300 else param
    os.popen("ls " + bar)
"""
    ),
    "the last element of a list": (
        """
def f():
    values = [request.args["a"], "date"]
    os.system(values[-1])
"""
    ),
    "the last element taken out": (
        """
def f():
    values = ["date", request.args["a"]]
    values.pop()
    os.system(values.pop())
"""
    ),
    "another key of a dictionary": """
def f():
    m = {}
    m["a"] = "const"
    m["b"] = request.args.get("q")
    bar = m["b"]
    bar = m["a"]
    os.popen("ls " + bar)
""",
    "the arm that is certainly left out": """
def f():
    param = request.headers.get("X")
    num = 106
    bar = "x" if 7 * 18 + num > 200 else param
    os.popen("ls " + bar)
""",
    "a case that is certainly left out": """
def f():
    param = request.cookies.get("X")
    guess = "ABC"[1]
    match guess:
        case "A":
            bar = param
        case "B":
            bar = "bob"
        case _:
            bar = "x"
    eval(bar)
""",
    "another element of a list": """
def f():
    param = request.cookies.get("X")
    l = []
    l.append("safe"); l.append(param); l.append("more")
    l.pop(0)
    bar = l[1]
    exec(bar)
""",
    "another key of a section": """
def f():
    import configparser
    param = request.args.get("a")
    conf = configparser.ConfigParser()
    conf.add_section("s")
    conf.set("s", "keyA", "v")
    conf.set("s", "keyB", param)
    bar = conf.get("s", "keyA")
    subprocess.run("echo " + bar, shell=True)
""",
    "a set of allowed values": """
def f():
    cmd = request.args.get("c")
    if cmd not in {"ls", "df"}:
        abort(400)
    os.system(cmd)
""",
    "a function of the file that raises": """
def check(x):
    if not x.isalnum():
        raise ValueError(x)

def f():
    cmd = request.args.get("c")
    check(cmd)
    os.system(cmd)
""",
    "a function of the file that asks": """
def is_ok(x):
    return x in ("a", "b")

def f():
    cmd = request.args.get("c")
    if not is_ok(cmd):
        return "no"
    os.system(cmd)
""",
    "a regular expression": """
def f():
    h = request.args.get("c")
    if not re.fullmatch(r"[a-z0-9.-]{1,40}", h):
        return "no", 400
    os.system("ping " + h)
""",
    "a number": """
def f():
    h = request.args.get("c")
    try:
        int(h)
    except ValueError:
        return "no", 400
    os.system("ping " + h)
""",
    "the result of a check in a variable": """
def f():
    h = request.args.get("c")
    ok = h in ("a", "b")
    if not ok:
        return "no", 400
    os.system("ping " + h)
""",
    "values beside a statement": """
def f(db):
    db.execute("SELECT * FROM t WHERE a = ? AND b = ?", (request.args["a"], request.args["b"]))
""",
    "placeholders": """
def f(db, ids):
    marks = ",".join("?" for _ in ids)
    db.execute(f"SELECT * FROM t WHERE a IN ({marks})", ids)
""",
    "the common path": """
def f():
    p = os.path.realpath(os.path.join("/srv", request.args["f"]))
    if os.path.commonpath([p, "/srv"]) != "/srv":
        return "no"
    return open(p).read()
""",
    "no way up": """
def f():
    p = request.args["f"]
    if ".." in p or p.startswith("/"):
        return "no"
    return open("/srv/" + p).read()
""",
    "a table": """
COMMANDS = {"a": "ls", "b": "df"}
def f():
    os.system(COMMANDS[request.args["c"]])
    os.system(COMMANDS.get(request.args["c"], "true"))
""",
    "letters taken out": """
def f():
    h = re.sub(r"[^a-z]", "", request.args["c"])
    os.system("ping " + h)
""",
    "a constant over it": """
def f():
    h = request.args["c"]
    h = "x"
    os.system(h)
""",
    "branches with constants": """
def f():
    a = request.args["a"]
    if a == "x":
        c = "ls"
    elif a == "y":
        c = "df"
    else:
        c = "true"
    os.system(c)
""",
    "one of two constants": """
def f():
    a = request.args["a"]
    if a == "x" or a == "y":
        os.system(a)
""",
    "a check of each letter": """
def f():
    a = request.args["a"]
    if not all(ch.isalnum() for ch in a):
        return "x"
    os.system("ls " + a)
""",
    "an answer that is no page": """
@app.route("/x")
def f():
    return {"a": request.args["a"]}
""",
    "escaped text": """
import html
@app.route("/x")
def f():
    name = html.escape(request.args["a"])
    return "<b>" + name + "</b>"
""",
    "a length": """
@app.route("/x")
def f():
    return f"<b>{len(request.args['a'])}</b>"
""",
    "a parameter that is a number": """
def f(n: int, db):
    db.execute(f"SELECT {n}")
""",
    "the parents of a path": """
from pathlib import Path
BASE = Path("/srv")
def f():
    p = (BASE / request.args["f"]).resolve()
    if BASE not in p.parents:
        abort(403)
    return p.read_text()
""",
    "the beginning of a resolved path": """
from pathlib import Path
BASE = Path("/srv").resolve()
def f():
    p = (BASE / request.args["f"]).resolve()
    if not str(p).startswith(str(BASE)):
        abort(403)
    return p.read_text()
""",
    "relative_to that raises": """
from pathlib import Path
BASE = Path("/srv").resolve()
def f():
    p = (BASE / request.args["f"]).resolve()
    try:
        p.relative_to(BASE)
    except ValueError:
        abort(403)
    return p.read_text()
""",
    "a function that asks for the host": """
from urllib.parse import urlparse
def is_safe_url(u):
    p = urlparse(u)
    return not p.netloc and not p.scheme
def f():
    n = request.args.get("next")
    if not n or not is_safe_url(n):
        n = "/"
    return redirect(n)
""",
}


@pytest.mark.parametrize("way", _REACHES)
def test_what_a_stranger_writes_is_followed_through(way: str) -> None:
    """It is found once, at the argument of the sink."""
    (rule, quote), text = _REACHES[way]
    assert [(one.rule, one.quote) for one in found(_HEAD + text)] == [(f"python/flow-{rule}", quote)]


@pytest.mark.parametrize("way", _ENDS)
def test_what_ends_a_flow_is_known(way: str) -> None:
    """Nothing is found behind it."""
    assert [(one.rule, one.quote) for one in found(_HEAD + _ENDS[way])] == []


def test_a_finding_tells_source_way_and_weight() -> None:
    """The message names the source, the related places lead from there to the sink, text stands under every span."""
    text = _HEAD + 'def f():\n    host = request.args.get("host")\n    line = f"ping {host}"\n    os.system(line)\n'
    (one,) = found(text)
    assert one.message == "`request.args` reaches a shell command."
    assert [text[place.span.start : place.span.end] for place in one.related] == ["request.args", "host", "line"]
    assert (text[one.span.start : one.span.end], one.quote, one.cwe) == ("line", "line", 78)


def test_a_sink_in_another_function_is_named() -> None:
    """A call that hands a stranger's text to a function of the file says which."""
    text = _HEAD + "def run(name):\n    return open(name)\n\ndef f():\n    run(request.form['n'])\n"
    (one,) = found(text)
    assert one.message == "`request.form` decides which file is used in `run()`."


def test_weaker_sources_and_longer_ways_weigh_less() -> None:
    """A request weighs more than the command line, and that more than what an unknown function made of it."""
    texts = ("request.args['a']", "sys.argv[1]", "elsewhere.make(sys.argv[1])")
    weights = [
        found(f"{_HEAD}import sys, elsewhere\n\ndef f():\n    os.system({one})\n")[0].confidence for one in texts
    ]
    assert weights == sorted(weights, reverse=True)
    assert len(set(weights)) == 3


def test_one_way_into_one_harm_is_told_once() -> None:
    """What went into a sink is not told again where its result goes on."""
    text = "from markupsafe import Markup\n\n@app.route('/')\ndef f():\n    return Markup(request.args['a'])\n"
    assert [one.quote for one in found(_HEAD + text)] == ["request.args['a']"]


def test_bytes_and_characters_are_told_apart() -> None:
    """Spans count characters, also behind others than ASCII."""
    text = _HEAD + "def f():\n    größe = 'ä€😀' + request.args['ß']\n    os.system(größe)\n"
    (one,) = found(text)
    assert text[one.span.start : one.span.end] == "größe"
