"""Our labelled snippets: what the training and every figure about it rely on."""

from __future__ import annotations

import ast
import io
import json
import re
import tokenize
from collections import defaultdict

from leanvibe_lsp.tiers.training.risk_data import OWN, blind_examples, own_examples

_GIVEAWAY = re.compile(
    r"(?i)\b(unsafe|insecure|vulnerab\w*|secure version|safe version|danger\w*|exploit\w*|injection|attack\w*|risky"
    r"|malicious|cwe|owasp|xss|ssrf|sanitiz\w*|mitigat\w*)\b"
)
_NAMES = frozenset({"mark_safe", "unsafe_load"})  # of libraries


def _rows():
    return [json.loads(line) for line in OWN.read_text(encoding="utf-8").splitlines()]


def test_there_is_enough_of_both_kinds_and_it_stays_small():
    """Enough to cross-validate on; about half is risky; the file is small enough to be shipped."""
    rows = _rows()
    assert len(rows) >= 260
    assert 0.45 <= sum(row["risky"] for row in rows) / len(rows) <= 0.65
    assert OWN.stat().st_size < 600_000
    assert len({row["text"] for row in rows}) == len(rows)
    assert len({row["cwe"] for row in rows if row["risky"]}) >= 60


def test_every_snippet_is_python_and_has_its_label():
    """Each parses; a risky one has a CWE, a sound one has none; each says why."""
    for row in _rows():
        ast.parse(row["text"])
        assert (row["cwe"] is not None) is row["risky"], row["group"]
        assert row["why"]
        assert row["split"] in ("train", "test")


def test_no_task_is_on_both_sides_of_the_split():
    """Variants of one task share their words: parted, they would be remembered and not judged."""
    sides = defaultdict(set)
    for row in _rows():
        sides[row["group"]].add(row["split"])
    assert all(len(one) == 1 for one in sides.values())
    aside = [one for one in own_examples() if one.kept_aside]
    assert 0.15 <= len(aside) / len(_rows()) <= 0.3
    assert {one.risky for one in aside} == {True, False}


def test_no_snippet_says_what_it_is():
    """Comments and docstrings give no label away, in names neither."""
    for row in _rows():
        words = [
            token.string
            for token in tokenize.generate_tokens(io.StringIO(row["text"]).readline)
            if token.type in (tokenize.COMMENT, tokenize.NAME)
        ]
        words += [ast.get_docstring(node) or "" for node in ast.walk(ast.parse(row["text"])) if _may_say(node)]
        plain = [word for word in words if word not in _NAMES]
        assert not _GIVEAWAY.search(" ".join(plain).replace("_", " ")), row["group"]


def _may_say(node):
    return isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)


def test_nothing_is_fitted_on_the_blind_programs() -> None:
    """No program of the blind set is among the rows that are trained on, whatever its layout."""
    fitted = {"".join(one.text.split()) for one in own_examples()}
    assert not [one.group for one in blind_examples() if "".join(one.text.split()) in fitted]
    assert len(blind_examples()) > 100
