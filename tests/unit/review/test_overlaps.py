from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from leanvibe_lsp.core.text import Span
from leanvibe_lsp.review.overlaps import told_once
from leanvibe_lsp.tiers.finding import Finding, Severity

FLOW = frozenset({"flow"})


def finding(rule: str, start: int, end: int, confidence: float = 0.5, cwe: int | None = 78) -> Finding:
    return Finding(rule, "m", Severity.ERROR, Span(start, end), "q", confidence, cwe=cwe)


_FINDINGS = st.lists(
    st.builds(
        finding,
        st.sampled_from(["flow", "shape"]),
        st.integers(0, 6),
        st.integers(7, 12),
        st.sampled_from([0.2, 0.5, 0.9]),
        st.sampled_from([78, 89, None]),
    ),
    max_size=8,
)


def test_the_surer_one_is_told() -> None:
    """It says for which other one it stands; of two that are as sure the flow's."""
    flow, shape = finding("flow", 3, 9, 0.5), finding("shape", 0, 10, 0.8)
    assert told_once([shape, flow], FLOW) == ((shape, (flow,)),)
    sure = finding("flow", 3, 9, 0.9)
    assert told_once([shape, sure], FLOW) == ((sure, (shape,)),)
    even = finding("flow", 3, 9, 0.8)
    assert told_once([shape, even], FLOW) == ((even, (shape,)),)


def test_what_is_not_the_same_stays() -> None:
    """Another weakness, another place, two rules of one kind, no known weakness."""
    shape = finding("shape", 0, 10)
    for other in (
        finding("flow", 3, 9, cwe=89),
        finding("flow", 10, 12),
        finding("other", 3, 9),
    ):
        assert [one for one, _ in told_once([shape, other], FLOW)] == [shape, other]
    bare = [finding("shape", 0, 10, cwe=None), finding("flow", 0, 10, cwe=None)]
    assert [one for one, _ in told_once(bare, FLOW)] == bare


@given(_FINDINGS)
def test_nothing_is_lost(findings: list[Finding]) -> None:
    """Each is told or stands with one that is at least as sure, in the order that they came in."""
    told = told_once(findings, FLOW)
    assert sorted(map(id, [one for kept, gone in told for one in (kept, *gone)])) == sorted(map(id, findings))
    places = [next(at for at, one in enumerate(findings) if one is kept) for kept, _ in told]
    assert places == sorted(places)
    for kept, gone in told:
        assert all(one.confidence <= kept.confidence and one.cwe == kept.cwe for one in gone)
