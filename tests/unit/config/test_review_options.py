from __future__ import annotations

import pytest

from leanvibe_lsp.config.layers import Layer, process_layers, settled
from leanvibe_lsp.config.options import read_options
from leanvibe_lsp.config.settings import MODEL_REVIEWS, EditorSettings


def test_a_person_says_when_a_model_reviews() -> None:
    """One of three, and the classifier on or off; without a word it is on demand."""
    assert EditorSettings().model_review == "demand"
    for chosen in MODEL_REVIEWS:
        reading = read_options({"diagnostics": {"model": chosen, "classifier": False}})
        assert reading.problems == []
        editor = settled((Layer("file", reading.values),)).editor
        assert (editor.model_review, editor.classifier) == (chosen, False)
    (problem,) = read_options({"diagnostics": {"model": "always"}}).problems
    assert problem.message == "must be one of off, demand, save, not 'always'"


@pytest.mark.parametrize(("said", "taken"), [("save", False), ("off", True), ("demand", True)])
def test_a_workspace_has_no_model_run_by_itself(said: str, taken: bool) -> None:
    """A folder that somebody else wrote may switch it off; a model at each save is a person's own choice."""
    reading = read_options({"diagnostics": {"model": said}}, workspace=True)
    assert ("diagnostics.model" in reading.values, [one.refused for one in reading.problems]) == (
        taken,
        [] if taken else [True],
    )


def test_the_environment_says_it_too() -> None:
    """As one of the three words."""
    layers = process_layers(None, None, {"LEANVIBE_DIAGNOSTICS_MODEL": "save", "LEANVIBE_DIAGNOSTICS_CLASSIFIER": "0"})
    editor = settled(tuple(layers)).editor
    assert (editor.model_review, editor.classifier) == ("save", False)
    (layer,) = [one for one in process_layers(None, None, {"LEANVIBE_DIAGNOSTICS_MODEL": "on"}) if one.problems]
    assert "must be one of off, demand, save" in layer.problems[0].message
