"""Chat templates: what transformers' environment offers, and an end for every template."""

from __future__ import annotations

import pytest

from leanvibe_lsp.config.limits import limit
from leanvibe_lsp.engine import templates
from leanvibe_lsp.engine.templates import TemplateRefused, render_template

MESSAGES = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}, {"role": "user", "content": "?"}]
GROW = "{% set ns = namespace(x='xxxxxxxxxxxxxxxx') %}{% for i in range(60) %}{% set ns.x = HERE %}{% endfor %}"


def rendered(source: str) -> str:
    return render_template(source, {"messages": MESSAGES})


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{% for m in messages %}{% if loop.index == 2 %}{% break %}{% endif %}{{ m.content }}{% endfor %}", "hi"),
        ("{% for m in messages %}{% if loop.index == 2 %}{% continue %}{% endif %}{{ m.content }}{% endfor %}", "hi?"),
        ("{{ strftime_now('%Y') | length }}", "4"),
        ("{{ {'a': '<é>', 'b': [1]} | tojson }}", '{"a": "<é>", "b": [1]}'),
        ("{{ [1] | tojson(indent=1) }}", "[\n 1\n]"),
        ("{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}", "3"),
        ("{% generation %}{{ messages[0].content }}{% endgeneration %}", "hi"),
        ("{% macro m(a) %}[{{ a }}]{% endmacro %}{{ m(1) }}{{ m('2025') }}", "[1][2025]"),
        ("{% macro m() %}<{{ caller() }}>{% endmacro %}{% call m() %}in{% endcall %}", "<in>"),
        ("{% set x %}a{{ messages[0].content | upper }}{% endset %}{{ x ~ x }}", "aHIaHI"),
        ("{{ messages | map(attribute='role') | join(',') }}", "user,assistant,user"),
        ("{{ messages | selectattr('role', 'equalto', 'user') | list | length }}", "2"),
        ("{{ messages[1:] | length }}{{ messages[-1].content }}{{ nope is defined }}", "2?False"),
        ("{% for a, b in [(1, 2)] %}{{ a + b }}{{ 'x' * 3 }}{{ '%s-%02d' % (a, b) }}{% endfor %}", "3xxx1-02"),
        ("{{ '{}{:>3}'.format(1, 2) }}{{ '%s' | format('y') }}{{ dict(a=1) }}", "1  2y{'a': 1}"),
        ("{% filter upper %}abc{% endfilter %}{{ 'a' in 'cat' }}{{ 1 < 2 }}", "ABCTrueTrue"),
        ("  {% if true %}\n  a\n  {% endif %}\n", "  a\n"),
    ],
)
def test_what_templates_are_written_for(source: str, expected: str) -> None:
    """Loop controls, the date, JSON, namespaces, macros, filters and operators do what they do in transformers."""
    assert rendered(source) == expected


@pytest.mark.parametrize(
    "source",
    [
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% for a in range(99999) %}{% for b in range(99999) if false %}{% endfor %}{% endfor %}",
        "{% for a in range(9999) %}{% for b in range(9999) | map('int') if false %}{% endfor %}{% endfor %}",
        "{% for i in range(99999) %}" + "x" * 1_000 + "{% endfor %}",
        "{% macro m(n) %}{{ m(n - 1) if n }}{{ m(n - 1) if n }}{% endmacro %}{{ m(60) }}",
        "{% for a in [1, 2] recursive %}{{ loop([1, 2]) if loop.depth < 60 }}{% endfor %}",
        "{% set x = 'a' * 100000 %}{% for i in range(99999) %}{{ 'b' if x == x ~ '' }}{% endfor %}",
    ],
)
def test_a_template_that_does_not_end_is_ended(source: str) -> None:
    """Loops, loops without output, recursion."""
    with pytest.raises(TemplateRefused, match="does not come to an end"):
        rendered(source)


@pytest.mark.parametrize(
    "source",
    [
        "{{ 'x' * 1000000000 }}",
        "{{ 1000000000 * [0] }}",
        "{{ 9 ** 9 ** 9 }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ '%*d' % (1000000000, 1) }}",
        "{{ '%1000000000d' | format(1) }}",
        "{{ ['%1000000000d'] | map('format', 1) | list }}",
        "{{ '{:>1000000000}'.format(1) }}",
        "{{ '{:>{}}'.format(1, 1000000000) }}",
        "{{ '{a:>1000000000}'.format_map({'a': 1}) }}",
        "{{ strftime_now('%1000000000d') | length }}",
        "{{ 'a'.center(1000000000) }}",
        "{{ 'a' | center(1000000000) }}",
        "{{ 'a'.ljust(width=1000000000) }}",
        "{{ (5).to_bytes(1000000000, 'big') | length }}",
        "{{ messages | tojson(indent=1000000000) }}",
        "{{ [1] | batch(1000000000, 0) | list }}",
        "{{ ''.join(['a' * 50000] * 50000) }}",
        GROW.replace("HERE", "ns.x + ns.x"),
        GROW.replace("HERE", "ns.x ~ ns.x"),
        GROW.replace("HERE", "[ns.x, ns.x]"),
        GROW.replace("HERE", "{'a': ns.x, 'b': ns.x}"),
        GROW.replace("HERE", "(ns.x, ns.x)"),
        GROW.replace("HERE", "ns.x.replace('x', ns.x)"),
        GROW.replace("HERE", "ns.x | replace('x', ns.x)"),
        GROW.replace("HERE", "ns.x.join(ns.x)"),
        GROW.replace("HERE", "'{0}{0}'.format(ns.x)"),
        GROW.replace("HERE", "dict(a=ns.x, b=ns.x)"),
        GROW.replace("HERE", "y").replace("{% set ns.x", "{% set y %}{{ ns.x }}{{ ns.x }}{% endset %}{% set ns.x"),
        "{% set ns = namespace(x=99999) %}{% for i in range(60) %}{% set ns.x = ns.x * ns.x %}{% endfor %}",
    ],
)
def test_a_template_that_makes_a_huge_value_is_ended(source: str) -> None:
    """Before the memory is taken, however the value is made."""
    with pytest.raises(TemplateRefused, match=r"huge (value|width)|takes powers"):
        rendered(source)


def test_a_template_that_is_too_long_is_refused() -> None:
    """It is not even parsed."""
    with pytest.raises(TemplateRefused, match="too long"):
        rendered("x" * (limit("template.source_characters") + 1))


@pytest.mark.parametrize("source", ["{{ lipsum() }}", "{% set ns.x = 1 %}", "{% break %}", "{{ messages.clear() }}"])
def test_what_is_not_there_is_an_error(source: str) -> None:
    """Whatever jinja2 raises comes as one error."""
    with pytest.raises(TemplateRefused):
        rendered(source)


def test_a_namespace_says_nothing_of_what_it_holds() -> None:
    """Chained namespaces would print more than there is room for."""
    assert rendered("{% set a = namespace(x='secret') %}{% set b = namespace(a=a, c=a) %}{{ b }}") == "<namespace>"


def test_a_long_conversation_is_within_the_limits() -> None:
    """A thousand messages through a template with macros and two loops."""
    messages = [{"role": "user", "content": "\ue000123\ue001"}] * 1_000
    source = (
        "{% macro turn(m) %}<|{{ m.role }}|>\n{{ m.content | trim }}<|end|>\n{% endmacro %}"
        "{% set ns = namespace(last=0) %}{% for m in messages[::-1] %}{% if m.role == 'user' %}"
        "{% set ns.last = loop.index0 %}{% endif %}{% endfor %}{% for m in messages %}{{ turn(m) }}{% endfor %}"
    )
    assert render_template(source, {"messages": messages}).count("<|end|>") == 1_000


def test_a_template_is_compiled_once() -> None:
    """The second prompt does not parse it again."""
    source = "{{ messages[0].content }} once"
    before = templates._compiled.cache_info()
    assert rendered(source) == rendered(source) == "hi once"
    after = templates._compiled.cache_info()
    assert (after.misses - before.misses, after.hits - before.hits) == (1, 1)
