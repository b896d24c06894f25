import pytest

from codingspot.studies.presets import preset_study


@pytest.mark.parametrize("model", ["codellama/CodeLlama-7b-hf", "meta-llama/Llama-3.1-8B"])
def test_the_neurons_preset_says_what_the_paper_says(model: str) -> None:
    study = preset_study("neurons", model)
    assert study.model.id == model
    assert study.spots == ()
    neurons = study.views.neurons
    assert neurons is not None
    assert (neurons.selection, neurons.size, neurons.quantile) == ("per-language", 400, 0.95)
    assert len(study.corpus.languages) == 11
    assert study.corpus.documents == 50_000
    assert study.views.align is not None
    assert study.views.lens is not None
