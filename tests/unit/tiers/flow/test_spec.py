"""A rule as it is written, and what is said about one that cannot be understood."""

from __future__ import annotations

from typing import Any

import pytest

from leanvibe_lsp.core.text import LineIndex
from leanvibe_lsp.documents.grammars import grammar
from leanvibe_lsp.documents.syntax import syntax_of
from leanvibe_lsp.errors import UsageError
from leanvibe_lsp.tiers.flow.look import look
from leanvibe_lsp.tiers.flow.spec import FlowSpec, Sink, read_flow
from leanvibe_lsp.tiers.rule_files import read_rules

_LEAST: dict[str, Any] = {"kind": "command", "sinks": [{"call": "os.system"}]}


def test_the_least_is_filled_up() -> None:
    """A kind and a sink are enough; no parameter is a source unless asked for."""
    spec = read_flow(_LEAST)
    assert spec == FlowSpec(kind="command", sources=spec.sources, sinks=(Sink(calls=("os.system",)),))
    assert "request" in spec.sources
    assert "parameter" not in spec.sources


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"kind": 3}, "flow.kind"),
        ({"sinks": []}, "flow.sinks"),
        ({"sinks": [{}]}, "flow.sinks.0"),
        ({"sinks": [{"call": "os.system", "assign": "a"}]}, "flow.sinks.0"),
        ({"sinks": [{"call": "os..system"}]}, "flow.sinks.0.call"),
        ({"sinks": [{"call": "a", "argument": 1.5}]}, "flow.sinks.0.argument"),
        ({"sinks": [{"call": "a", "part": "half"}]}, "flow.sinks.0.part"),
        ({"sinks": [{"returned": "json"}]}, "flow.sinks.0.returned"),
        ({"sinks": [{"call": "a", "where": {"b": [1.5]}}]}, "flow.sinks.0.where.b"),
        ({"sinks": [{"call": "a", "parameters": 3}]}, "flow.sinks.0.parameters"),
        ({"sinks": [{"call": "a", "without": [3]}]}, "flow.sinks.0.without"),
        ({"sources": {"sky": 1}}, "sky"),
        ({"sources": {"request": 2}}, "flow.sources.request"),
        ({"sources": 3}, "flow.sources"),
        ({"unknown": "much"}, "flow.unknown"),
        ({"harmless_after": "("}, "flow.harmless_after"),
        ({"parameter_after": 3}, "flow.parameter_after"),
        ({"cleaner": "a"}, "cleaner"),
    ],
)
def test_what_cannot_be_understood_is_named(change: dict[str, Any], named: str) -> None:
    """An error says which field is wrong."""
    with pytest.raises(UsageError, match=named):
        read_flow({**_LEAST, **change})


_OWN = """
id: own/flow
language: python
message: $SOURCE goes to $SINK.
confidence: 0.8
flow:
  kind: own
  sources: {request: 1}
  origins: [shop.mailbox]
  cleaners: [shop.checked]
  sinks:
    - call: "*.send_raw"
      argument: body
    - call: shop.Printer().show
    - call: shop.store
      unless: {check: "*", "1": "*"}
    - call: shop.write
      without: [careful]
"""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import shop\nx.send_raw(body=shop.mailbox[0])\n", "`shop.mailbox` goes to x.send_raw."),
        (
            "from shop import mailbox as m\ntext = m.strip()\ny.send_raw(body=text)\n",
            "`shop.mailbox` goes to y.send_raw.",
        ),
        ("import shop\np = shop.Printer()\np.show(shop.mailbox())\n", "`shop.mailbox()` goes to shop.Printer().show."),
        ("import shop\nx.send_raw(body=shop.checked(shop.mailbox[0]))\n", None),
        ("import shop\nx.send_raw(subject=shop.mailbox[0])\n", None),
        ("import shop\nother.show(shop.mailbox[0])\n", None),
        ("import shop\nshop.store(shop.mailbox[0])\n", "`shop.mailbox` goes to shop.store."),
        ("import shop\nshop.store(shop.mailbox[0], check=other())\n", None),
        ("import shop\nshop.store(shop.mailbox[0], 1)\n", None),
        ("import shop\nshop.write(shop.mailbox[0])\n", "`shop.mailbox` goes to shop.write."),
        ("import shop.careful\nshop.write(shop.mailbox[0])\n", None),
        (
            "import shop\ndef careful():\n    pass\nshop.write(shop.mailbox[0])\n",
            "`shop.mailbox` goes to shop.write.",
        ),
    ],
)
def test_a_rule_for_functions_of_ones_own_works(text: str, message: str | None) -> None:
    """Own sources, sinks and cleaners are named in the rule; nothing else is needed."""
    language = grammar("python")
    assert language is not None
    findings = look(syntax_of(LineIndex(text), language), read_rules(_OWN, source="own.yml")).findings
    assert [finding.message for finding in findings] == ([] if message is None else [message])
