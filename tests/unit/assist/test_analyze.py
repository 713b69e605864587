from __future__ import annotations

import gc
import logging
from collections.abc import Iterator
from dataclasses import replace
from weakref import ref

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leanvibe_lsp.assist.analyze import analyze
from leanvibe_lsp.config.settings import EditorSettings, Override
from leanvibe_lsp.core.edits import applied
from leanvibe_lsp.core.text import Encoding, Position, Span
from leanvibe_lsp.documents import grammars
from leanvibe_lsp.documents.snapshot import Snapshot
from leanvibe_lsp.documents.store import Change, DocumentStore
from leanvibe_lsp.documents.syntax import Syntax
from leanvibe_lsp.tiers.finding import Severity
from leanvibe_lsp.tiers.matching.plan import Hit, Plan, hits

PLAIN = EditorSettings()
BAD = "def put(item, box=[]):\n    return box is 'x'\n"
URI = "file:///project/a.py"
_BAD_BITS = (
    "x is 'é'",
    "f'\U0001f600'",
    "box=[]",
    "NaN == a",
    "debugger;",
    "# leanvibe: ignore",
    "\r\n",
    "\n",
    "def f(",
    ")",
    ":",
)


def snapshot_of(text: str, language_id: str = "python", uri: str = URI) -> Snapshot:
    return DocumentStore().open(uri, language_id, 1, text)


def rules_in(text: str, editor: EditorSettings = PLAIN) -> list[str]:
    return [finding.rule for finding in analyze(snapshot_of(text), editor)]


def test_findings_come_in_the_order_of_the_text() -> None:
    """Each with its quote and where it stands."""
    found = [(one.rule, one.span, one.quote) for one in analyze(snapshot_of(BAD), PLAIN)]
    assert found == [
        ("python/mutable-default", Span(18, 20), "[]"),
        ("python/is-literal", Span(34, 44), "box is 'x'"),
    ]


@pytest.mark.parametrize(
    ("chosen", "severities"),
    [
        ([], ["warning", "error"]),
        ([("python/*", "hint")], ["hint", "hint"]),
        ([("python/*", "off"), ("python/is-literal", "information")], ["information"]),
        ([("python/is-literal", "error"), ("*", "off")], []),
        ([("javascript/*", "off")], ["warning", "error"]),
    ],
)
def test_severity_by_settings(chosen: list[tuple[str, str]], severities: list[str]) -> None:
    """By id or glob; the last that matches counts."""
    found = analyze(snapshot_of(BAD), replace(PLAIN, severity=tuple(chosen)))
    assert [one.severity for one in found] == [Severity(one) for one in severities]


@pytest.mark.parametrize(
    ("overrides", "severities"),
    [
        ([(("*.go",), "off")], ["warning", "error"]),
        ([(("/project/**",), "hint")], ["hint", "hint"]),
        ([(("project",), "hint"), (("a.py", "b.py"), "off")], []),
    ],
)
def test_severity_by_file(overrides: list[tuple[tuple[str, ...], str]], severities: list[str]) -> None:
    """It goes before what is said for all files; of several that match the last counts."""
    said = tuple(Override(files, (("python/*", severity),)) for files, severity in overrides)
    chosen = replace(PLAIN, severity=(("python/nothing", "off"),), overrides=said)
    assert [one.severity for one in analyze(snapshot_of(BAD), chosen)] == [Severity(one) for one in severities]


def test_a_comment_silences_and_one_that_does_not_is_named() -> None:
    """In the languages' own comments; a text that only looks like one is none."""
    assert rules_in("ok = x is 'a'  # leanvibe: ignore[python/is-literal] as it was\n") == []
    assert rules_in("ok = x is '# leanvibe: ignore[python/is-literal]'\n") == ["python/is-literal"]
    assert rules_in("ok = 1  # leanvibe: ignore[python/is-literal]\n") == ["leanvibe/unused-suppression"]
    chosen = replace(PLAIN, severity=(("leanvibe/*", "off"),))
    assert rules_in("ok = 1  # leanvibe: ignore[python/is-literal]\n", chosen) == []
    script = snapshot_of("debugger; // leanvibe: ignore[javascript/debugger]\n", "javascript", "file:///a.js")
    assert analyze(script, PLAIN) == ()


@pytest.mark.parametrize(
    ("snapshot", "reason"),
    [
        (snapshot_of("a = 1\n" * 400_000, uri="file:///large.py"), "the text is larger than 2,097,152 bytes"),
        (snapshot_of("a = '\0'", uri="file:///binary.py"), "the text is binary: it has a NUL character"),
    ],
    ids=["large", "binary"],
)
def test_what_is_not_parsed_has_no_findings(snapshot: Snapshot, reason: str, caplog: pytest.LogCaptureFixture) -> None:
    """The log says so once."""
    with caplog.at_level(logging.INFO, "leanvibe_lsp.assist.analyze"):
        assert [analyze(snapshot, PLAIN) for _ in range(3)] == [(), (), ()]
    assert [record.getMessage() for record in caplog.records] == [f"No findings for {snapshot.uri}: {reason}."]


def test_a_text_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """All who ask about a text share one look, whatever their settings; after an edit only what it touched is new."""
    looks: list[Span | None] = []

    def counted(plan: Plan, parsed: Syntax, span: Span | None) -> Iterator[Hit]:
        looks.append(span)
        return hits(plan, parsed, span)

    monkeypatch.setattr("leanvibe_lsp.tiers.look.hits", counted)
    parts = [f"def f{number}(box=[]):\n" + f"    call({number})\n" * 100 for number in range(5)]
    store = DocumentStore()
    snapshot = store.open(URI, "python", 1, "".join(parts))
    assert len(analyze(snapshot, PLAIN)) == 5
    assert len(analyze(snapshot, replace(PLAIN, severity=(("*", "hint"),)))) == 5
    assert looks == [None]
    edited = store.change(URI, 2, [Change("XX", Position(202, 4), Position(202, 4))], Encoding.UTF16)
    found = analyze(edited, PLAIN)
    assert [edited.text[one.span.start : one.span.end] for one in found] == ["[]"] * 5
    start = len("".join(parts[:2]))
    assert looks[1:] == [Span(start, start + len(parts[2]) + 2)]


def test_what_was_found_goes_with_the_text() -> None:
    """Nothing holds a text that nobody has any more."""
    snapshot = snapshot_of(BAD)
    analyze(snapshot, PLAIN)
    lines = ref(snapshot.lines)
    del snapshot
    gc.collect()
    assert lines() is None


@settings(deadline=None, max_examples=150)
@given(
    st.lists(st.sampled_from(_BAD_BITS) | st.text(max_size=20), max_size=12).map("".join),
    st.sampled_from(["python", "javascript", "typescript", "typescriptreact", "go", "rust", "php", "html", "nonsense"]),
)
def test_any_text_of_any_language_has_true_findings(text: str, language_id: str) -> None:
    """Never an exception; every quote is the text under its span, and every fix can be made."""
    snapshot = snapshot_of(text, language_id, "untitled:one")
    found = analyze(snapshot, PLAIN)
    assert [one.quote for one in found] == [snapshot.text[one.span.start : one.span.end] for one in found]
    for one in found:
        applied(snapshot.text, one.fix)
    assert list(found) == sorted(found, key=lambda one: (one.span.start, one.span.end, one.rule))


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_after_edits_it_is_as_if_the_text_were_new(data: st.DataObject) -> None:
    """Of texts that parse: what is found after any edits is what is found in the same text opened anew."""
    store = DocumentStore()
    names = st.sampled_from(
        ["def f(box=[]):\n    return box is 'x'\n", "said = f'\U0001f600'\n", "ok = 1\n", "# leanvibe: ignore\n"]
    )
    parts = data.draw(st.lists(names, min_size=1, max_size=30))
    snapshot = store.open(URI, "python", 1, "".join(parts))
    analyze(snapshot, PLAIN)
    for version in range(2, 6):
        at = data.draw(st.integers(0, len(parts) - 1))
        start = Position("".join(parts[:at]).count("\n"), 0)
        end = Position("".join(parts[: at + 1]).count("\n"), 0)
        parts[at] = data.draw(names)
        snapshot = store.change(URI, version, [Change(parts[at], start, end)], Encoding.UTF16)
        found = analyze(snapshot, PLAIN) if data.draw(st.booleans()) else None
    fresh = snapshot_of(snapshot.text)
    assert snapshot.text == "".join(parts)
    assert (found or analyze(snapshot, PLAIN)) == analyze(fresh, PLAIN)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from(["ok = x is 'a'", "said = f'b'", "y = 1"]), min_size=1, max_size=8), st.data())
def test_silencing_and_taking_it_back_is_a_round_trip(statements: list[str], data: st.DataObject) -> None:
    """A comment takes away what is on its line and nothing else; without the fault, its own fix takes it out again."""
    at = data.draw(st.integers(0, len(statements) - 1))
    clean = [*statements[:at], "y = 1", *statements[at + 1 :]]
    noted = [*statements[:at], f"{statements[at]}  # leanvibe: ignore", *statements[at + 1 :]]
    expected = [one for one in rules_in("\n".join(clean)) if one]
    if statements[at] != "y = 1":
        assert rules_in("\n".join(noted)) == expected
    unused = "\n".join([*clean[:at], f"{clean[at]}  # leanvibe: ignore", *clean[at + 1 :]])
    (hint,) = (one for one in analyze(snapshot_of(unused), PLAIN) if one.rule == "leanvibe/unused-suppression")
    assert applied(unused, hint.fix) == "\n".join(clean)


def test_a_cell_of_a_notebook_and_a_language_without_rules() -> None:
    """Nothing, and nothing is parsed."""
    assert analyze(snapshot_of(BAD, uri="vscode-notebook-cell:/project/a.ipynb#1"), PLAIN) == ()
    assert analyze(snapshot_of("{}", "json", "file:///a.json"), PLAIN) == ()
    assert grammars.obstacle(snapshot_of("{}", "json", "file:///a.json")) == ""
