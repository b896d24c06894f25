"""Spots of a study that leave the weights of earlier ones out."""

from pathlib import Path

import pytest

from codingspot.errors import SelectionError
from codingspot.importance import score
from codingspot.spot import Spot, find_spot
from codingspot.study import parse_study
from codingspot.study.directory import RunDirectory
from codingspot.study.inputs import load_inputs
from codingspot.study.spots import study_spots

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


def _spots(corpus: Path, out: Path, controls: str = "") -> tuple[dict[str, Spot], Spot]:
    study = parse_study(_STUDY.format(corpus=corpus, controls=controls), "several.yaml")
    inputs = load_inputs(study, lambda _stage: None)
    store = score(inputs.loaded, inputs.scoring, out / "scores", token_budget=1024, sequence_length=64)
    spots = study_spots(study, store, inputs.loaded, inputs.scoring, RunDirectory.claim(out / "run", study))
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
