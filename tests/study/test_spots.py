"""Spots of a study that leave the weights of earlier ones out."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from codingspot.errors import SelectionError
from codingspot.importance import score
from codingspot.spot import Spot, find_spot
from codingspot.study import parse_study
from codingspot.study.directory import RunDirectory
from codingspot.study.inputs import load_inputs
from codingspot.study.saved_spots import SavedSpots
from codingspot.study.spots import SpotFinder, study_spots

_STUDY = """
name: several
corpus: {{source: "{corpus}", evaluation_documents: 2}}
scoring: {{token_budget: 1024, sequence_length: 64}}
spots:
  - {{name: paper, k_percent: [0.25, 1]}}
  - {{name: next, k_percent: [1], without: [paper]{controls}}}
  - &mask
    {{name: mask, recipe: learned, scope: blocks, k_percent: [0.5],
     parameters: {{steps: 3, sequences: 2, validation_sequences: 2}}}}
  - {{<<: *mask, name: another, without: [mask]}}
"""


def _spots(corpus: Path, out: Path, controls: str = "") -> tuple[Mapping[str, Spot], Spot]:
    study = parse_study(_STUDY.format(corpus=corpus, controls=controls), "several.yaml")
    inputs = load_inputs(study, lambda _stage: None)
    store = score(inputs.loaded, inputs.scoring, out / "scores", token_budget=1024, sequence_length=64)
    spots = study_spots(SpotFinder(study, store, inputs.loaded, inputs.scoring), RunDirectory.claim(out / "run", study))
    return spots, find_spot(store, max_k_percent=2)


def test_a_spot_without_another_has_the_next_in_its_order(corpus_folder: Path, tmp_path: Path):
    spots, both = _spots(corpus_folder, tmp_path)
    half = len(spots["paper"])
    assert spots["paper"].positions.tolist() == both.positions[:half].tolist()
    assert spots["next"].positions.tolist() == both.positions[half:].tolist()[: len(spots["next"])]
    first, second = (set(spots[name].positions.tolist()) for name in ("mask", "another"))
    assert len(first) == len(second)
    assert not first & second


def test_a_spot_without_another_has_random_controls_only(corpus_folder: Path, tmp_path: Path):
    with pytest.raises(SelectionError, match="random controls only"):
        _spots(corpus_folder, tmp_path, ", controls: [bottom]")


def test_a_further_draw_is_drawn_to_the_dose_judged(corpus_folder: Path, tmp_path: Path):
    judged = ", k_percent: [0.25, 1], controls: [matched], control_seeds: [0], judged: {k_percent: 0.25, draws: 3}"
    study = parse_study(
        f"corpus: {{source: '{corpus_folder}', evaluation_documents: 2}}\nname: judged\n"
        "scoring: {token_budget: 1024, sequence_length: 64}\nspots:\n  - {name: paper" + judged + "}",
        "judged.yaml",
    )
    inputs = load_inputs(study, lambda _stage: None)
    store = score(inputs.loaded, inputs.scoring, tmp_path / "scores", token_budget=1024, sequence_length=64)
    spots = study_spots(
        SpotFinder(study, store, inputs.loaded, inputs.scoring), RunDirectory.claim(tmp_path / "run", study)
    )
    sizes = {name: len(spot) for name, spot in spots.items()}
    large, small = len(spots["paper"]), len(spots["paper"].top(0.25))
    assert small < large
    assert sizes == {
        "paper": large,
        "paper-matched-s0": large,
        "paper-matched-s1": small,
        "paper-matched-s2": small,
    }


def test_no_more_spots_are_held_than_fit(corpus_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    spots, _ = _spots(corpus_folder, tmp_path, ", controls: [matched], control_seeds: [0, 1, 2, 3, 4]")
    saved = SavedSpots(spots._directory, held_bytes=3 * 12 * len(spots["next"]))
    assert all(saved.resume(name) for name in spots)
    assert not saved.resume("absent")
    for name in (*spots, *spots):
        assert saved[name].positions.tolist() == spots[name].positions.tolist()
        assert sum(each.positions.nbytes + each.scores.nbytes for each in saved._held.values()) <= saved._held_bytes
    again = saved["next"]
    assert saved["next"] is again
    monkeypatch.setattr(saved, "_held_bytes", 1)  # two are held whatever they take: a spot and its control
    assert saved["next-matched-s0"] is not saved["next-matched-s1"]
    assert len(saved._held) == 2
    with pytest.raises(KeyError):
        saved["absent"]
