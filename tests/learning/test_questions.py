"""Answers to questions about masks: on masks of no meaning, what each row says is checked against its definition."""

from dataclasses import replace

import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from codingspot.ablation import edited
from codingspot.errors import SelectionError
from codingspot.learning import (
    Split,
    arbitrary_splits,
    each_against_others,
    held_out_in_turn,
    rises,
    shuffled_splits,
    stability,
    uniqueness,
)
from codingspot.models import fingerprint


def without_seconds(table: pd.DataFrame) -> pd.DataFrame:
    return table.drop(columns="seconds")


def positions(spot) -> set[int]:
    return set(spot.positions.tolist())


def test_each_mask_has_weights_of_its_own(learner) -> None:
    answer = uniqueness(learner, masks=3)
    first, second, third = (positions(answer.spots[name]) for name in ("1", "2", "3"))
    assert first == positions(learner.learn(learner.split)[0].spot)
    assert not first & second
    assert not (first | second) & third
    assert answer.table.groupby("mask")["excluded"].first().tolist() == [0, len(first), 2 * len(first)]
    assert (answer.overlap["common"] == 0).all()


def test_shortlists_may_be_excluded_whole(learner) -> None:
    answer = uniqueness(learner, masks=2, excluded="shortlist")
    shortlist = learner.shortlist(learner.split)
    assert positions(answer.spots["1"]) <= positions(shortlist)
    assert not positions(answer.spots["2"]) & positions(shortlist)
    assert answer.table["excluded"].max() == len(shortlist)


def test_a_row_says_what_the_model_measures_without_the_dose(learner) -> None:
    before = fingerprint(learner.loaded.model)
    original = learner.measure()
    answer = uniqueness(learner, masks=1)
    assert fingerprint(learner.loaded.model) == before
    table = answer.table.set_index(["k_percent", "measure"])
    assert set(table.index) == {(k, name) for k in (1.0, 3.0) for name in ("go", "rust", "english")}
    for k in (1.0, 3.0):
        dose = answer.spots["1"].top(k)
        with edited(learner.loaded, dose):
            measured = learner.measure()
        for name, value in measured.items():
            row = table.loc[(k, name)]
            assert row["value"] == value
            assert row["original"] == original[name] != value
            assert row["parameters"] == len(dose)
    assert table["part"].unstack(0)[1.0].to_dict() == {"english": "kept", "go": "removed", "rust": "removed"}


def test_an_answer_is_the_same_again_but_for_the_time_it_took(learner) -> None:
    one, again = (uniqueness(learner, masks=2) for _ in range(2))
    pd.testing.assert_frame_equal(without_seconds(one.table), without_seconds(again.table))
    pd.testing.assert_frame_equal(one.overlap, again.overlap)


def test_masks_of_equal_seeds_agree_and_their_core_is_what_all_chose(learner) -> None:
    same = stability(learner, seeds=[4, 4])
    assert list(same.spots) == ["4"]
    answer = stability(learner, seeds=[0, 1, 2])
    core = set.intersection(*(positions(spot.top(1.0)) for spot in answer.spots.values()))
    rows = answer.table[answer.table["seed"] == "core"]
    assert set(rows.loc[rows["k_percent"] == 1.0, "parameters"]) == {len(core)}
    assert (rows["tokens"] == 0).all()
    assert set(answer.table["seed"]) == {"0", "1", "2", "core"}
    sizes = rows.groupby("k_percent")["parameters"].first()
    with edited(learner.loaded, torch.tensor(sorted(core), dtype=torch.int64)):
        measured = learner.measure()
    found = rows[rows["k_percent"] == 1.0].set_index("measure")["value"]
    assert found.to_dict() == pytest.approx(measured)
    assert len(sizes) == 2


def test_seeds_are_compared_with_chance_on_the_shortlist_and_with_its_top(learner) -> None:
    overlap = stability(learner, seeds=[0, 1]).overlap
    assert {*overlap["first"], *overlap["second"]} == {"0", "1", "shortlist"}
    n = len(learner.shortlist(learner.split))
    row = overlap[overlap["k_percent"] == 3.0].iloc[0]
    assert row["expected"] == pytest.approx(row["parameters"] ** 2 / n)


def test_a_language_is_held_out_of_shortlist_and_text(learner) -> None:
    answer = held_out_in_turn(learner)
    assert list(answer.spots) == ["go", "java", "rust"]
    for language, spot in answer.spots.items():
        assert language not in spot.metadata["languages"]
        assert len(spot.metadata["languages"]) == 2
    rows = answer.table[answer.table["measure"] == "go"].groupby("held_out")["part"].first()
    assert rows.to_dict() == {"go": "neither", "java": "removed", "rust": "removed"}
    assert list(held_out_in_turn(learner, languages=["java"]).spots) == ["java"]
    with pytest.raises(SelectionError, match="a domain to remove"):
        held_out_in_turn(replace(learner, store=replace(learner.store, domains=learner.store.domains[2:])))


def test_any_split_can_be_learned(learner) -> None:
    splits = {"english": Split(("english",), ("go", "stories")), "usual": learner.split}
    answer = arbitrary_splits(learner, splits)
    assert positions(answer.spots["usual"]) == positions(learner.learn(learner.split)[0].spot)
    parts = answer.table[answer.table["split"] == "english"].groupby("measure")["part"].first()
    assert parts.to_dict() == {"english": "removed", "go": "kept", "rust": "neither"}


@given(
    count=st.integers(2, 14),
    share=st.floats(0, 1),
    seed=st.integers(0, 1 << 30),
)
def test_shuffled_splits_divide_all_domains(count, share, seed) -> None:
    domains = [f"d{index}" for index in range(count)]
    removed = min(count - 1, max(1, round(share * count)))
    splits = shuffled_splits(domains, removed=removed, draws=2, seed=seed)
    assert splits == shuffled_splits(domains, removed=removed, draws=2, seed=seed)
    for split in splits.values():
        assert len(split.removed) == removed
        assert sorted(split.removed + split.kept) == sorted(domains)


def test_shuffled_splits_differ_by_draw_and_seed() -> None:
    domains = [f"d{index}" for index in range(12)]
    drawn = [s for seed in (0, 1) for s in shuffled_splits(domains, removed=6, draws=4, seed=seed).values()]
    assert len(set(drawn)) == 8
    with pytest.raises(SelectionError, match="at least one on either side"):
        shuffled_splits(domains, removed=12)


def test_each_domain_stands_alone_once() -> None:
    splits = each_against_others(["a", "b", "c"])
    assert splits["b"] == Split(("b",), ("a", "c"))
    assert list(splits) == ["a", "b", "c"]


def test_rises_are_means_over_the_domains_of_each_part() -> None:
    def row(measure, part, original, value):
        about = {"mask": 1, "k_percent": 0.5, "parameters": 9, "steps": 1, "tokens": 2, "seconds": 0.1}
        return {**about, "measure": measure, "part": part, "original": original, "value": value}

    table = pd.DataFrame(
        [
            row("go", "removed", 1.0, 3.0),
            row("rust", "removed", 0.5, 4.5),
            row("english", "kept", 2.0, 2.25),
            row("pass@1", "neither", 1.0, 0.0),
        ]
    )
    expected = {"mask": 1, "k_percent": 0.5, "parameters": 9, "removed": 3.0, "kept": 0.25}
    assert rises(table).to_dict("records") == [expected]


def test_no_mask_is_no_question(learner) -> None:
    with pytest.raises(SelectionError, match="at least one"):
        uniqueness(learner, masks=0)
