from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from leanvibe_lsp.tiers.policy import Action, believed, decide, needed_for
from leanvibe_lsp.tiers.rung import LADDER, Cost, Offer, Opinion, Rung

PLENTY = Cost(1e9, 1 << 40)

_SURE = st.floats(0, 1)
_COSTS = st.builds(Cost, st.floats(0, 100), st.integers(0, 10_000))
_OPINIONS = st.lists(
    st.builds(
        Opinion,
        st.sampled_from(LADDER[:-1]),
        st.sampled_from(["risky", "fine"]),
        st.none() | _SURE,
        _COSTS,
        st.sampled_from(["", "", "", "the model is missing"]),
    ),
    max_size=5,
)
_OFFERS = st.lists(st.builds(Offer, st.sampled_from(LADDER), _COSTS, st.sampled_from(["", "switched off"])), max_size=5)


@given(_OPINIONS, _OFFERS, _COSTS, _SURE)
def test_nothing_is_accepted_below_what_is_needed(
    opinions: list[Opinion], offers: list[Offer], budget: Cost, needed: float
) -> None:
    """An accepted verdict is one that a rung gave, at the confidence needed; and always there is a reason."""
    decision = decide(opinions, offers, budget, needed=needed)
    assert decision.reasons
    if decision.action is Action.ACCEPT:
        assert decision.confidence is not None
        assert decision.confidence >= needed
        assert decision.verdict in {opinion.verdict for opinion in opinions if not opinion.failure}


@given(_OPINIONS, _OFFERS, _COSTS, _SURE)
def test_a_climb_goes_up_and_stays_within_the_budget(
    opinions: list[Opinion], offers: list[Offer], budget: Cost, needed: float
) -> None:
    """The rung asked next is above all asked so far, was offered without an obstacle, and is paid for."""
    decision = decide(opinions, offers, budget, needed=needed)
    if decision.action is Action.CLIMB:
        assert all(LADDER.index(decision.rung) > LADDER.index(opinion.rung) for opinion in opinions)
        assert any(offer.rung is decision.rung and not offer.obstacle and offer.cost.fits(budget) for offer in offers)
    assert (decision.rung is Rung.PERSON) == (decision.action is Action.PERSON)


@given(_OPINIONS, _OFFERS, _COSTS, _SURE)
def test_the_ladder_ends(opinions: list[Opinion], offers: list[Offer], budget: Cost, needed: float) -> None:
    """However the rungs answer, after as many steps as there are rungs somebody has decided."""
    asked = list(opinions)
    for _ in LADDER:
        decision = decide(asked, offers, budget, needed=needed)
        if decision.action is not Action.CLIMB:
            return
        asked.append(Opinion(decision.rung, "risky", 0.0))
    raise AssertionError(asked)


@given(_OPINIONS, _SURE)
def test_who_contradicts_never_adds_confidence(opinions: list[Opinion], sure: float) -> None:
    """Another rung's contrary opinion, given before, leaves the verdict as sure as it was, or less."""
    last = Opinion(Rung.BIGGER, "risky", sure)
    contrary = Opinion(Rung.RULES, "fine", 0.9)
    verdict, before = believed([*opinions, last])
    again, after = believed([contrary, *opinions, last])
    assert verdict == again == "risky"
    assert before is not None
    assert after is not None
    assert 0 <= after <= before <= 1


@given(_SURE, _SURE, _SURE)
def test_a_surer_rung_is_believed_more(one: float, other: float, contrary: float) -> None:
    """With the same contradiction, what is believed grows with the rung's own confidence."""
    low, high = sorted((one, other))
    against = Opinion(Rung.CLASSIFIER, "fine", contrary)
    _, less = believed([against, Opinion(Rung.MODEL, "risky", low)])
    _, more = believed([against, Opinion(Rung.MODEL, "risky", high)])
    assert less is not None
    assert more is not None
    assert less <= more + 1e-12


def test_doubt_climbs_and_the_end_is_a_person() -> None:
    """A doubtful classifier asks the model; a doubtful model hands over and says what it lacked."""
    doubtful = Opinion(Rung.CLASSIFIER, "risky", 0.6)
    offers = [Offer(Rung.MODEL, Cost(3.0, 900)), Offer(Rung.BIGGER, obstacle="no server is switched on")]
    climb = decide([doubtful], offers, PLENTY, needed=0.75)
    assert (climb.action, climb.rung) == (Action.CLIMB, Rung.MODEL)
    assert climb.reasons == ("classifier is 0.60 sure, and 0.75 is needed",)
    end = decide([doubtful, Opinion(Rung.MODEL, "risky", 0.7)], offers, PLENTY, needed=0.75)
    assert (end.action, end.verdict, end.confidence) == (Action.PERSON, "risky", 0.7)
    assert end.reasons == ("model is 0.70 sure, and 0.75 is needed", "bigger: no server is switched on")


def test_what_costs_too_much_is_not_asked() -> None:
    """A rung that the budget does not cover is named with what it would take; the next one that it covers is asked."""
    offers = [Offer(Rung.MODEL, Cost(5.0, 100)), Offer(Rung.BIGGER, Cost(1.0, 100))]
    decision = decide([], offers, Cost(2.0, 1000), needed=0.5)
    assert decision.rung is Rung.BIGGER
    assert decision.reasons == ("model: would take 5.0 s, and 2.0 s are left",)


def test_a_rung_that_failed_is_told_and_passed_by() -> None:
    """No model: the next rung is asked, and the decision names the failure."""
    failed = Opinion(Rung.MODEL, "", None, failure="no model is installed")
    decision = decide([failed], [Offer(Rung.MODEL), Offer(Rung.BIGGER)], PLENTY, needed=0.5)
    assert (decision.action, decision.rung) == (Action.CLIMB, Rung.BIGGER)
    assert decision.reasons == ("model: no model is installed",)


def test_every_intent_has_its_threshold() -> None:
    """A fix has to be surer than talk; an intent that nobody knows is held to the strictest."""
    assert needed_for("fix") > needed_for("chat")
    assert needed_for("no such intent") == max(needed_for(name) for name in ("fix", "edit", "review", "intent"))
