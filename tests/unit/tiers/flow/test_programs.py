"""Short programs of the kind that is written by hand or by a model."""

from __future__ import annotations

import pytest

from leanvibe_lsp.core.text import LineIndex
from leanvibe_lsp.documents.grammars import grammar
from leanvibe_lsp.documents.syntax import syntax_of
from leanvibe_lsp.tiers.finding import Finding
from leanvibe_lsp.tiers.flow.look import look
from leanvibe_lsp.tiers.rules import rules_for


def found(text: str) -> list[Finding]:
    """What all flow rules of the library find in a text."""
    language = grammar("python")
    assert language is not None
    return list(look(syntax_of(LineIndex(text), language), rules_for("python")).findings)


_PROGRAMS = {
    "a path parameter of an API in a statement": (
        ["sql"],
        """
from fastapi import FastAPI, Depends
import sqlite3
app = FastAPI()
@app.get("/items/{item_id}")
def read_item(item_id: str, q: str | None = None):
    conn = sqlite3.connect("a.db")
    cur = conn.cursor()
    cur.execute(f"SELECT * FROM items WHERE id = {item_id}")
    return cur.fetchall()
""",
    ),
    "a number of an API in a statement": (
        [],
        """
from fastapi import FastAPI
app = FastAPI()
@app.get("/items/{item_id}")
def read_item(item_id: int, db):
    db.execute(f"SELECT * FROM items WHERE id = {item_id}")
    return {}
""",
    ),
    "a model of an API in a shell": (
        ["command"],
        """
from fastapi import FastAPI
from pydantic import BaseModel
import subprocess
app = FastAPI()
class Cmd(BaseModel):
    command: str
@app.post("/run")
async def run(cmd: Cmd):
    result = subprocess.run(cmd.command, shell=True, capture_output=True, text=True)
    return {"stdout": result.stdout}
""",
    ),
    "an upload under its own name": (
        ["path"],
        """
import os
from flask import Flask, request
app = Flask(__name__)
UPLOAD_FOLDER = "uploads"
@app.route("/upload", methods=["POST"])
def upload():
    f = request.files["file"]
    filename = f.filename
    f.save(os.path.join(UPLOAD_FOLDER, filename))
    return "ok"
""",
    ),
    "an upload of which only the ending is checked": (
        ["path"],
        """
import os
from flask import Flask, request
app = Flask(__name__)
ALLOWED = {"png"}
def allowed_file(filename):
    return "." in filename and filename.rsplit(".", 1)[1].lower() in ALLOWED
@app.route("/upload", methods=["POST"])
def upload():
    f = request.files["file"]
    if f and allowed_file(f.filename):
        f.save(os.path.join("up", f.filename))
    return "ok"
""",
    ),
    "a login by a statement put together": (
        ["sql"],
        """
from flask import Flask, request
import mysql.connector
app = Flask(__name__)
db = mysql.connector.connect(host="x")
@app.route("/login", methods=["POST"])
def login():
    data = request.get_json()
    username = data["username"]
    password = data.get("password")
    cursor = db.cursor()
    query = "SELECT * FROM users WHERE username='%s' AND password='%s'" % (username, password)
    cursor.execute(query)
    if cursor.fetchone():
        return "Welcome"
    return "no"
""",
    ),
    "a template put together": (
        ["template"],
        """
from flask import Flask, request, render_template_string
app = Flask(__name__)
@app.route("/greet")
def greet():
    name = request.args.get("name", "Guest")
    template = f"<h1>Hello, {name}!</h1>"
    return render_template_string(template)
""",
    ),
    "a search page": (
        ["html", "sql"],
        """
from django.http import HttpResponse
from django.db import connection
def search(request):
    q = request.GET.get("q", "")
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM p WHERE name LIKE '%%%s%%'" % q)
        rows = cursor.fetchall()
    return HttpResponse("Results for " + q)
""",
    ),
    "a download by name": (
        ["path"],
        """
from flask import Flask, request, send_file
import os
app = Flask(__name__)
@app.route("/download")
def download():
    filename = request.args.get("file")
    path = os.path.join("/var/www/files", filename)
    if not os.path.exists(path):
        return "not found", 404
    return send_file(path)
""",
    ),
    "a download out of a folder": (
        [],
        """
from flask import Flask, send_from_directory
app = Flask(__name__)
@app.route("/files/<path:name>")
def files(name):
    return send_from_directory("files", name)
""",
    ),
    "a proxy": (
        ["ssrf"],
        """
from flask import Flask, request, jsonify
import requests
app = Flask(__name__)
@app.route("/fetch")
def fetch():
    url = request.args.get("url")
    if not url:
        return jsonify(error="missing"), 400
    r = requests.get(url, timeout=5)
    return r.text
""",
    ),
    "an archive unpacked by hand": (
        ["path"],
        """
import zipfile, os
def extract(zip_path, dest):
    with zipfile.ZipFile(zip_path) as z:
        for member in z.infolist():
            target = os.path.join(dest, member.filename)
            with open(target, "wb") as f:
                f.write(z.read(member))
""",
    ),
    "a command line that pings": (
        ["command"],
        """
import os, argparse
def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("host")
    args = parser.parse_args()
    os.system("ping -c 1 " + args.host)
main()
""",
    ),
    "a command line that opens a file": (
        [],
        """
import argparse
def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    args = parser.parse_args()
    with open(args.file) as f:
        print(f.read())
""",
    ),
    "a calculator": (
        ["code"],
        """
def calc():
    while True:
        expr = input("> ")
        if expr == "q":
            break
        try:
            print(eval(expr))
        except Exception as e:
            print(e)
""",
    ),
    "a calculator that checks each letter": (
        [],
        """
def calc():
    expr = input("> ")
    if not all(c in "0123456789+-*/(). " for c in expr):
        print("no")
        return
    print(eval(expr))
""",
    ),
    "a server of files": (
        ["path"],
        """
from http.server import BaseHTTPRequestHandler
import os
class H(BaseHTTPRequestHandler):
    def do_GET(self):
        path = self.path[1:]
        with open(path, "rb") as f:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(f.read())
""",
    ),
    "a remote shell": (
        ["command"],
        """
import socket, subprocess
def serve():
    s = socket.socket()
    s.bind(("127.0.0.1", 1))
    s.listen()
    c, addr = s.accept()
    while True:
        data = c.recv(1024).decode()
        out = subprocess.check_output(data, shell=True)
        c.send(out)
""",
    ),
    "a login that sends on": (
        ["redirect"],
        """
from flask import Flask, request, redirect, url_for
app = Flask(__name__)
@app.route("/login", methods=["GET","POST"])
def login():
    if request.method == "POST":
        next_url = request.args.get("next")
        return redirect(next_url or url_for("index"))
    return "form"
""",
    ),
    "a lookup by an ORM": (
        [],
        """
from flask import Flask, request, jsonify
from models import User
app = Flask(__name__)
@app.route("/u")
def u():
    user = User.query.filter_by(name=request.args.get("name")).first()
    if user is None:
        return jsonify({"error": "no"}), 404
    return jsonify({"name": user.name})
""",
    ),
    "a statement with bound values": (
        [],
        """
from sqlalchemy import text
from flask import request
def f(session):
    return session.execute(text("SELECT * FROM u WHERE n = :n"), {"n": request.args["n"]}).all()
""",
    ),
    "an order out of a table": (
        [],
        """
from flask import request
def f(cur):
    order = {"a": "name", "b": "age"}.get(request.args.get("o"), "name")
    cur.execute(f"SELECT * FROM t ORDER BY {order}")
""",
    ),
    "columns out of a request": (
        ["sql"],
        """
from flask import request
def update(cur, uid):
    data = request.json
    sets = ", ".join(f"{k} = %s" for k in data.keys())
    cur.execute(f"UPDATE t SET {sets} WHERE id = %s", list(data.values()) + [uid])
""",
    ),
    "a repository of rows": (
        ["sql"],
        """
import sqlite3
class Repo:
    def __init__(self, path):
        self.conn = sqlite3.connect(path)
    def find(self, name):
        q = "SELECT * FROM u WHERE name = '" + name + "'"
        return self.conn.execute(q).fetchall()
    def ok(self, name):
        return self.conn.execute("SELECT * FROM u WHERE name = ?", (name,)).fetchall()
""",
    ),
    "a settings file": (
        [],
        """
import yaml
def load():
    with open("c.yml") as f:
        return yaml.load(f, Loader=yaml.SafeLoader)
""",
    ),
    "code that a model wrote": (
        ["code"],
        """
import openai
client = openai.OpenAI()
def run(q):
    r = client.chat.completions.create(model="x", messages=[{"role": "user", "content": q}])
    exec(r.choices[0].message.content)
""",
    ),
    "a page of tornado": (
        ["html"],
        """
import tornado.web
class M(tornado.web.RequestHandler):
    def get(self):
        name = self.get_argument("name")
        self.write("<b>" + name + "</b>")
""",
    ),
    "a page of aiohttp": (
        ["html"],
        """
from aiohttp import web
async def h(request):
    name = request.query.get("name")
    return web.Response(text=f"<h1>{name}</h1>", content_type="text/html")
""",
    ),
    "a token that is checked": (
        [],
        """
import jwt
from flask import request
def f(key):
    t = request.headers.get("Authorization").split()[1]
    return jwt.decode(t, key, algorithms=["HS256"])
""",
    ),
    "arguments as a list": (
        [],
        """
import subprocess
from flask import request
def f():
    host = request.args.get("host")
    out = subprocess.check_output(["ping", "-c", "1", host])
    return out
""",
    ),
    "an address that is checked": (
        [],
        """
import ipaddress, os
from flask import request
def f():
    host = request.args.get("host")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return "bad", 400
    os.system("ping " + host)
""",
    ),
    "an environment variable in a shell": (
        ["command"],
        """
import os
def f():
    os.system("rm -rf " + os.environ["TARGET"])
""",
    ),
    "a function that writes a file": (
        [],
        """
def save(path, text):
    with open(path, "w") as f:
        f.write(text)
""",
    ),
    "an object out of a form": (
        ["deserialize"],
        """
import pickle, base64
from flask import Flask, request
app = Flask(__name__)
@app.route("/load", methods=["POST"])
def load():
    data = request.form["data"]
    obj = pickle.loads(base64.b64decode(data))
    return str(obj)
""",
    ),
    "a shell under another name": (
        ["command"],
        """
import os
from flask import request
run = os.system
def f():
    run("ls " + request.args["folder"])
""",
    ),
    "another function under the name of a variable": (
        [],
        """
import os
from flask import request
run = os.path.exists
def f():
    return {"there": run("ls " + request.args["folder"])}
""",
    ),
    "a shell in a lambda of the file": (
        ["command"],
        """
import os
from flask import request
run = lambda folder: os.system("ls " + folder)
def f():
    os.system("date")
    run(request.args["folder"])
""",
    ),
    "a lambda that gives back a constant": (
        [],
        """
import os
from flask import request
def f():
    pick = lambda folder: "ls"
    os.system(pick(request.args["folder"]))
""",
    ),
    "a lambda that calls itself": (
        ["command"],
        """
import os
from flask import request
again = lambda text: again(text)
def f():
    again = lambda text: again(text)
    os.system(again(request.args["folder"]))
""",
    ),
    "numbers by map": (
        [],
        """
from flask import request
def f(cursor):
    numbers = ",".join(map(str, map(int, request.args.getlist("id"))))
    cursor.execute(f"SELECT * FROM a WHERE id IN ({numbers})")
""",
    ),
    "words by map": (
        ["sql"],
        """
from flask import request
def f(cursor):
    words = ",".join(map(lambda word: "'" + word + "'", request.args.getlist("word")))
    cursor.execute(f"SELECT * FROM a WHERE name IN ({words})")
""",
    ),
    "a table's name put in by psycopg": (
        [],
        """
from flask import request
from psycopg2 import sql
def f(cursor):
    fields = request.json
    query = sql.SQL("INSERT INTO {} ({})").format(
        sql.Identifier(request.args["table"]), sql.SQL(", ").join(map(sql.Identifier, fields))
    )
    cursor.execute(query)
""",
    ),
    "a template in a plain environment beside a sandbox": (
        ["template"],
        """
import jinja2
from jinja2.sandbox import SandboxedEnvironment
from flask import request
def f():
    safe = SandboxedEnvironment().from_string(request.form["a"])
    return jinja2.Environment().from_string(request.form["b"])
""",
    ),
    "a parser that another function makes": (
        [],
        """
from lxml import etree
from flask import request
def f(make):
    return etree.fromstring(request.data, parser=make()).tag
""",
    ),
    "the content of a file that was sent, and its name": (
        ["path"],
        """
import io
from PIL import Image
from fastapi import FastAPI, UploadFile
app = FastAPI()
@app.post("/picture")
async def f(file: UploadFile):
    Image.open(file.file)
    Image.open(io.BytesIO(await file.read()))
    open("pictures/" + file.filename, "wb")
    return {}
""",
    ),
    "the fields of a model": (
        [],
        """
from fastapi import FastAPI
from pydantic import BaseModel
app = FastAPI()
class User(BaseModel):
    name: str
@app.put("/user")
def f(body: User, user):
    for key, value in body.model_dump(exclude_unset=True).items():
        setattr(user, key, value)
    return {}
""",
    ),
    "a request to a constant address": (
        [],
        """
import requests
def f(url):
    return requests.get("https://api.example.com", headers={"a": url}, timeout=3)
""",
    ),
}


@pytest.mark.parametrize("program", _PROGRAMS)
def test_whole_programs(program: str) -> None:
    """What people write: the rules that speak of it, and no other."""
    rules, text = _PROGRAMS[program]
    assert sorted({one.rule.removeprefix("python/flow-") for one in found(text)}) == rules


def test_what_a_variable_of_the_top_level_is_made_of_is_told_once() -> None:
    """A function that reads the variable has nothing to do with how it was made."""
    text = """import os
data = os.popen("ls " + input()).read()
def f():
    os.system(data)
"""
    assert [(one.rule, one.quote) for one in found(text)] == [("python/flow-command", '"ls " + input()')]


def test_what_an_argument_of_a_lambda_does_is_told_at_the_call() -> None:
    """A place is always in the unit that is looked at, with the lambda elsewhere."""
    text = """import os
from flask import request
run = lambda folder: os.system("ls " + folder)
def f():
    os.system("date")
    run(request.args["folder"])
"""
    assert [one.quote for one in found(text)] == ['run(request.args["folder"])']
