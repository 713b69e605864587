"""What is read off code, and what is not."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from leanvibe_lsp.core.text import Span
from leanvibe_lsp.tiers.finding import Category, Finding, Severity
from leanvibe_lsp.tiers.risk.assessment import features_of


def _of(text, language="python", span=None, findings=()):
    return features_of(text, language, span or Span(0, len(text)), findings)


def test_a_call_is_known_by_its_imported_name():
    """Under every name that it was given; a method of that name of something else is not it."""
    for text in (
        "import os\nos.system(x)\n",
        "from os import system as run\nrun(x)\n",
        "import os as o\no.system(x)\n",
    ):
        assert "call shell" in _of(text), text
    assert "call shell" not in _of("class A:\n    def f(self):\n        self.system(x)\n")


def test_what_a_call_is_given_is_told_apart():
    """Fixed, put together, of a caller, of a stranger."""
    assert "fixed shell" in _of("import os\nos.system('ls')\n")
    assert "bare shell" not in _of("import os\nos.system('ls')\n")
    assert "spliced shell" in _of("import os\nos.system('ls ' + d)\n")
    assert "spliced shell" in _of("import os\ncmd = f'ls {d}'\nos.system(cmd)\n")
    assert "given shell" in _of("import os\ndef f(d):\n    os.system(d)\n")
    stranger = _of("import os\nfrom flask import request\ndef f():\n    d = request.args['d']\n    os.system(d)\n")
    assert "stranger shell" in stranger
    assert "given shell" not in stranger


def test_a_safeguard_beside_it_is_seen_in_the_function_and_not_in_another():
    """Also when only a hunk is asked about."""
    text = "import os, shlex\ndef f(d):\n    d = shlex.quote(d)\n\n    os.system(d)\ndef g(d):\n    os.system(d)\n"
    at = text.index("    os.system(d)\n")
    assert "guarded shell" in _of(text, span=Span(at, at + 17))
    other = text.rindex("    os.system(d)\n")
    assert "guarded shell" not in _of(text, span=Span(other, len(text)))
    assert "open shell" in _of(text, span=Span(other, len(text)))


def test_comments_and_docstrings_say_nothing():
    """What code says of itself proves nothing, for it or against it."""
    plain = "import os\ndef f(d):\n    os.system(d)\n"
    told = 'import os\ndef f(d):\n    """Password: quote(d) abort"""\n    os.system(d)  # login_required, escape\n'
    assert _of(plain) == _of(told)


def test_an_endpoint_is_open_until_somebody_is_asked_for():
    """A decorator, or a word in its body, that knows who the user is."""
    text = "@app.route('/x', methods=['POST'])\n{}def f():\n    save()\n"
    assert "endpoint open writes" in _of(text.format(""))
    assert "endpoint known user" in _of(text.format("@login_required\n"))
    assert "endpoint open" not in _of(text.format("@login_required\n"))
    assert "endpoint" not in _of("def f():\n    save()\n")


def test_findings_count_where_they_lie():
    """Those of another place do not; one of quality is no security rule."""
    text = "def f():\n    pass\ndef g():\n    pass\n"
    finding = Finding("x", "m", Severity.WARNING, Span(4, 5), "f", 0.8, category=Category.SECURITY, cwe=78)
    first = _of(text, span=Span(0, 18), findings=[finding])
    assert (first["rule"], first["rule shell"]) == (0.8, 0.8)
    assert "rule" not in _of(text, span=Span(18, len(text)), findings=[finding])
    quality = Finding("y", "m", Severity.HINT, Span(4, 5), "f", 0.6, category=Category.CLARITY)
    assert _of(text, findings=[quality]).keys() >= {"rule of quality"}
    assert "rule" not in _of(text, findings=[quality])


def test_other_languages_are_read_by_calls_and_words():
    """No tree is needed; comments are left out there too."""
    found = _of('func f(name string) {\n\t// password\n\texec.Command("sh", "-c", name)\n}\n', "go")
    assert "call shell" in found
    assert "word password" not in found


@settings(max_examples=150, deadline=None)
@given(
    st.text(alphabet="import os.system(x)def f\n:'\"{}=+#[]@\\é\ud800\0", max_size=120), st.integers(0, 120), st.data()
)
def test_any_text_has_features_between_0_and_5(text, start, data):
    """Broken code and lone surrogates too, in any span, in Python or not."""
    start = min(start, len(text))
    end = data.draw(st.integers(start, len(text)))
    for language in ("python", "go", "no such language"):
        assert all(0 <= value <= 5 for value in _of(text, language, Span(start, end)).values())
