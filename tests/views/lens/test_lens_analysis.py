import pandas as pd
import pytest

from codingspot.corpus.parallel import ParallelCorpus
from codingspot.errors import CorpusError, FingerprintError
from codingspot.views import ViewInputs
from codingspot.views.lens import LensSettings
from codingspot.views.lens.analysis import keyword_layers
from codingspot.views.making import make_view

CORPUS = ParallelCorpus(
    "rows",
    {"java": ("class x ;", "class y ;", "for z", "x ; y"), "go": ("func x", "func y", "for x ; y", "z")},
)


def analyse_lens(loaded, corpus, directory, settings, *, batch_tokens=None, progress=lambda *_: None):
    given = ViewInputs(loaded, lambda *_, **__: corpus, batch_tokens=batch_tokens)
    return make_view("lens", settings, given, directory, progress)


SETTINGS = LensSettings(shots=1, items=3, generated=2, english=100)


def test_tables_are_saved_and_read_back_whatever_the_batches(loaded, tmp_path):
    made = analyse_lens(loaded, CORPUS, tmp_path, SETTINGS)
    assert not (tmp_path / "scratch").exists()
    read = analyse_lens(loaded, CORPUS, tmp_path, SETTINGS)
    again = analyse_lens(loaded, CORPUS, tmp_path / "other", SETTINGS, batch_tokens=1)
    assert len(made.tables) == 6
    for name in made.tables:
        pd.testing.assert_frame_equal(made[name], read[name])
        pd.testing.assert_frame_equal(made[name], again[name], rtol=1e-4)
    assert made["lens_targets"].groupby(["source", "target"], sort=False).size().to_dict() == {
        ("java", "go"): 3,
        ("go", "java"): 3,
    }
    assert set(made["lens_example"]["layer"]) == {0, 1, 2}
    assert (made["lens_example"]["source"] == "java").all()
    assert (made["lens_tokens"].groupby(["source", "layer"])["place"].max() == 10).all()
    lifted = made["lens_sets"]["probability"] * 16 / made["lens_sets"]["size"]
    assert made["lens_sets"]["lift"].tolist() == pytest.approx(lifted.tolist())
    written = made["lens_generation"].groupby("method")["answers"].sum()
    assert written.to_dict() == {"keywords": 4, "parsing": 4, "reference keywords": 4, "reference parsing": 4}


def test_a_stopped_analysis_resumes_and_other_settings_are_refused(loaded, tmp_path):
    class StopError(Exception):
        pass

    def stop(text: str, share: float) -> None:
        if share > 0:
            raise StopError

    with pytest.raises(StopError):
        analyse_lens(loaded, CORPUS, tmp_path, SETTINGS, progress=stop)
    kept = tmp_path / "scratch/lens/0-lens_targets.parquet"
    before = kept.stat().st_mtime_ns
    told = []
    resumed = analyse_lens(
        loaded, CORPUS, tmp_path, SETTINGS, progress=lambda text, _: told.append(kept.stat().st_mtime_ns)
    )
    assert told == [before, before]
    fresh = analyse_lens(loaded, CORPUS, tmp_path / "fresh", SETTINGS)
    pd.testing.assert_frame_equal(resumed["lens_sets"], fresh["lens_sets"])
    with pytest.raises(FingerprintError, match="analysis lens of another settings"):
        analyse_lens(loaded, CORPUS, tmp_path, SETTINGS.model_copy(update={"shots": 2}))


def test_bad_input_is_refused(loaded, tmp_path):
    with pytest.raises(CorpusError, match="the example's languages are two of java, go; not java and rust"):
        analyse_lens(loaded, CORPUS, tmp_path, SETTINGS.model_copy(update={"example": ("Java", "Rust")}))
    long = ParallelCorpus("long", {each: tuple(t + " x" * 70 for t in texts) for each, texts in CORPUS.texts.items()})
    with pytest.raises(CorpusError, match="use fewer shots"):
        analyse_lens(loaded, long, tmp_path, SETTINGS)


def test_the_layer_at_which_keywords_appear():
    sets = pd.DataFrame(
        [
            ("java", "go", layer, name, "all", p)
            for name in ("go", "english")
            for layer, p in enumerate((0, 0.1, 0.3, 0.5))
        ],
        columns=["source", "target", "layer", "set", "kind", "probability"],
    )
    sets.loc[sets["set"] == "english", "probability"] = [0.4, 0.1, 0.1, 0.1]
    targets = pd.DataFrame({"target": "go", "layer": range(4), "first": [0.6, 0.1, 0.5, 0.9]})
    assert keyword_layers(sets, targets).values.tolist() == [
        ["go", "keywords", 2, 3, 0.5, 2],
        ["go", "english", 0, 0, 0.4, 2],
    ]
