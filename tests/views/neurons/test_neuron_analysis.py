from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from codingspot.corpus import Corpus, Domain
from codingspot.errors import FingerprintError
from codingspot.evaluation.evaluator import Evaluator
from codingspot.views import ViewInputs
from codingspot.views.making import make_view
from codingspot.views.neurons import NeuronSettings
from codingspot.views.neurons.summary import compare, differing_inputs, domain_summary, summary, sweep_summary

SETTINGS = NeuronSettings(token_budget=64, sequence_length=8, size=0.1, quantile=0.6, parts=2, control_seeds=(0, 1))


def run(loaded, corpus, directory, settings=SETTINGS, *, batch_tokens=None, progress=lambda *_: None):
    given = ViewInputs(loaded, no_parallel_code, corpus, corpus, batch_tokens=batch_tokens)
    return make_view("neurons", settings, given, directory, progress)


def no_parallel_code(*_, **__):
    raise AssertionError


def test_an_analysis_is_saved_and_read_back(loaded, corpus, tmp_path):
    made = run(loaded, corpus, tmp_path, batch_tokens=8)
    assert sorted(path.name for path in (tmp_path / "analysis").iterdir())[0] == "neurons.json"
    assert not (tmp_path / "scratch").exists()
    read = run(loaded, corpus, tmp_path)
    again = run(loaded, corpus, tmp_path / "other", batch_tokens=128)
    assert len(made.tables) == 6
    for name in made.tables:
        pd.testing.assert_frame_equal(made[name], read[name])
        pd.testing.assert_frame_equal(made[name], again[name])
    assert set(made["neurons"]["selection"]) == {"lape", "per-language"}
    assert len(made["neurons_ablation"]) == 3 * 3 * (1 + 2)
    by_domain = domain_summary(made)
    assert by_domain["domain"].tolist() == ["go", "rust", "english"]
    assert by_domain["neurons"].max() == 5  # a tenth of 48
    told = summary(made)
    assert sum(told["neurons_per_layer"]["go"]) == by_domain["neurons"].iloc[0]
    beside = compare([made, replace(made, inputs={**made.inputs, "model": "other"})])
    assert beside["model"].tolist() == ["tiny", "other"]
    assert beside["own"].iloc[0] == pytest.approx(np.exp(np.log(by_domain["own"]).mean()))


def test_a_stopped_analysis_resumes(loaded, corpus, tmp_path, monkeypatch):
    class StopError(Exception):
        pass

    def stop(text: str, share: float) -> None:
        if text.startswith("silencing random neurons of rust"):
            raise StopError

    with pytest.raises(StopError):
        run(loaded, corpus, tmp_path, progress=stop)
    pieces = sorted((tmp_path / "scratch/neurons").glob("edit-*"))
    assert len(pieces) == 5  # the original model, go with its controls, rust
    evaluated = []
    evaluate = Evaluator.evaluate
    monkeypatch.setattr(
        Evaluator, "evaluate", lambda self, cell, **options: evaluated.append(cell) or evaluate(self, cell, **options)
    )
    resumed = run(loaded, corpus, tmp_path)
    assert len(evaluated) == 10 - 5
    fresh = run(loaded, corpus, tmp_path / "fresh")
    pd.testing.assert_frame_equal(resumed["neurons_ablation"], fresh["neurons_ablation"])


def test_pieces_of_other_settings_are_not_used_and_a_finished_analysis_is_refused(loaded, corpus, tmp_path):
    run(loaded, corpus, tmp_path)
    other = SETTINGS.model_copy(update={"quantile": 0.9})
    with pytest.raises(FingerprintError, match="analysis neurons of another settings"):
        run(loaded, corpus, tmp_path, other)


def test_a_domain_with_little_text_has_fewer_parts(loaded, corpus, tmp_path):
    short = Corpus("short", (*corpus.domains[:2], Domain("english", "general", ("w1 w2 w3 w4 w5 w6 w7 w8 w9",))))
    made = run(loaded, short, tmp_path)
    text = made["neurons_sweep"][
        (made["neurons_sweep"]["varied"] == "text") & (made["neurons_sweep"]["selection"] == "lape")
    ]
    assert text.groupby("domain", sort=False)["tokens"].apply(list).to_dict() == {
        "go": [32, 64],
        "rust": [32, 64],
        "english": [8, 8],
    }


def test_the_sweep_in_few_numbers(loaded, corpus, tmp_path):
    made = run(loaded, corpus, tmp_path)
    found = sweep_summary(made)
    settings = made.inputs["settings"]
    assert found["varied"].tolist() == ["quantile"] * len(settings["quantiles"]) + ["text"] * settings["parts"]
    assert found["quantile"].tolist()[: len(settings["quantiles"])] == list(settings["quantiles"])
    last = found.iloc[-1]
    assert (last["share"], last["jaccard"], last["lowest"]) == (1, 1, 1)
    rows = made["neurons_sweep"]
    rows = rows[(rows["selection"] == settings["selection"]) & (rows["varied"] == "quantile")]
    first = rows[rows["quantile"] == settings["quantiles"][0]]
    assert found.loc[0, "selected"] == first["selected"].sum()
    assert found.loc[0, "jaccard"] == pytest.approx(first["jaccard"].mean())
    assert found.loc[0, "lowest"] == first["jaccard"].min()


def test_what_differs_is_named_but_not_how_much_was_evaluated(loaded, corpus, tmp_path):
    made = run(loaded, corpus, tmp_path)
    settings = made.inputs["settings"]
    more = replace(made, inputs={**made.inputs, "model": "other", "settings": {**settings, "control_seeds": [7]}})
    assert differing_inputs([made, more]) == []
    changed = {**made.inputs, "corpus_fingerprint": "x", "settings": {**settings, "sequence_length": 99}}
    assert differing_inputs([made, more, replace(made, inputs=changed)]) == ["texts counted", "sequence length"]
