"""The card of a trained file."""

from __future__ import annotations

import json

import pytest

from leanvibe_lsp.errors import ModelDamaged, UsageError
from leanvibe_lsp.tiers.calibration import Bin
from leanvibe_lsp.tiers.training.card import Card, Source, data_digest, seal, unseal

_CARD = Card("risk", 2, "2026-01-02", 7, "ab", (Source("own", "MIT", 3),), {"auc": 0.5}, (Bin(0.0, 0.1, 3, 0.05, 0.0),))


def test_a_card_survives_its_file():
    """Every field, through JSON."""
    assert Card.from_json(json.loads(json.dumps(_CARD.to_json()))) == _CARD


def test_a_sealed_file_opens_and_a_changed_one_does_not():
    """The digest covers everything but the date."""
    text = seal({"card": _CARD.to_json(), "weights": [1, 2]})
    assert unseal(text, kind="risk", form=2, name="x")["weights"] == [1, 2]
    assert unseal(text.replace("2026-01-02", "2027-01-02"), kind="risk", form=2, name="x")["weights"] == [1, 2]
    with pytest.raises(ModelDamaged):
        unseal(text.replace("[1,2]", "[1,3]"), kind="risk", form=2, name="x")


@pytest.mark.parametrize("wrong", ["", "[]", "{}", '{"card": {}}', '{"card": {"kind": "risk", "format": 2}}'])
def test_what_is_no_trained_file_is_a_usage_error(wrong):
    """With the file's name in it."""
    with pytest.raises(UsageError, match=r"x\.json"):
        unseal(wrong, kind="risk", form=2, name="x.json")


def test_another_kind_or_format_is_a_usage_error():
    """Even when it is whole."""
    text = seal({"card": _CARD.to_json()})
    for kind, form in (("intent", 2), ("risk", 1)):
        with pytest.raises(UsageError, match="is wanted"):
            unseal(text, kind=kind, form=form, name="x")


def test_a_card_that_lacks_a_field_is_a_usage_error():
    """Named in the message."""
    content = _CARD.to_json()
    del content["seed"]
    with pytest.raises(UsageError, match="seed"):
        Card.from_json(content)


def test_the_order_of_rows_is_in_their_digest():
    """And nothing else but the rows."""
    assert data_digest([["a"], ["b"]]) == data_digest([["a"], ["b"]]) != data_digest([["b"], ["a"]])
