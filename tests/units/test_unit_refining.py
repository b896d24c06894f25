"""Orders of units that take more passes, beside the same done by hand."""

import dataclasses

import pytest
import torch
from torch import Tensor

from codingspot.ablation import edited
from codingspot.models import find_units, fingerprint
from codingspot.spot import MeasuredSpot, measure_spot
from codingspot.units import refining


def found(given, **parameters) -> MeasuredSpot:
    return measure_spot(given, recipe="units", **parameters)


def numbers(result: MeasuredSpot, given, unit: str) -> list[int]:
    units = find_units(given.loaded.model, unit)
    places = list(zip(units.layers.tolist(), units.experts.tolist(), units.indices.tolist(), strict=True))
    rows = result.units[["layer", "expert", "index"]].itertuples(index=False, name=None)
    return [places.index(tuple(row)) for row in rows]


@pytest.mark.parametrize("score", ["rms", "pls"])
def test_each_round_is_scored_without_the_units_chosen_before(make_given, score) -> None:
    given = make_given(k=17.7)  # twenty neurons
    before = fingerprint(given.loaded.model)
    result = found(given, score=score, contrast="difference", rounds=2)
    assert fingerprint(given.loaded.model) == before
    once = found(given, score=score, contrast="difference")
    first = once.spot.units.numbers[:10]
    assert result.spot.units.numbers[:10].equal(first)
    units = find_units(given.loaded.model, "neuron")
    with edited(given.loaded, units.positions(first)):
        anew = found(dataclasses.replace(given, measured={}), score=score, contrast="difference")
    again = numbers(anew, given, "neuron")
    expected = [number for number in again if number not in first.tolist()]
    assert numbers(result, given, "neuron") == [*first.tolist(), *expected]
    assert result.spot.units.numbers.tolist() != once.spot.units.numbers.tolist()
    assert result.spot.scores.tolist() == sorted(result.spot.scores.tolist(), reverse=True)


def test_the_best_are_put_in_order_by_what_their_silence_does(make_given) -> None:
    given = make_given(k=15.0)
    before = fingerprint(given.loaded.model)
    result = found(given, unit="head", refined=5, refined_tokens=30)
    assert fingerprint(given.loaded.model) == before
    order, first = numbers(result, given, "head"), numbers(found(given, unit="head"), given, "head")
    assert set(order[:5]) == set(first[:5])
    assert order[5:] == first[5:]
    model, units = given.loaded.model, find_units(given.loaded.model, "head")

    def loss(ids: Tensor) -> float:
        with torch.no_grad():
            logits = model(ids).logits[:, :-1].double().flatten(0, 1)
        return float(torch.nn.functional.cross_entropy(logits, ids[:, 1:].flatten()))

    def rises(texts, number: int) -> list[float]:
        ids = [text.input_ids[:3] for text in texts.values()]
        originals = [loss(each) for each in ids]
        with edited(given.loaded, units.positions(torch.tensor([number]))):
            return [loss(each) - old for each, old in zip(ids, originals, strict=True)]

    effects = [sum(rises(given.code, number)) / 2 - max(rises(given.general, number)) for number in order[:5]]
    assert effects == sorted(effects, reverse=True)
    assert result.units["effect"][:5].tolist() == pytest.approx(effects, abs=1e-5)
    assert result.units["effect"][5:].isna().all()


def test_the_last_in_rounds_and_by_effect_are_those_of_the_order_turned_around(make_given) -> None:
    given = make_given(k=15.0, worst_first=True)
    refined = found(given, unit="head", refined=8)
    assert refined.units["effect"].is_monotonic_increasing
    assert len(found(given, rounds=3).spot.units)


def test_masks_tell_the_units_that_matter_from_sets_zeroed_together(make_given, monkeypatch) -> None:
    """Where a set does what its units do together, two of which do something, fewer sets than units find these two."""
    given = make_given(k=15.0)
    units = find_units(given.loaded.model, "neuron")
    effect = torch.zeros(len(units), dtype=torch.float64)
    effect[[7, 30]] = torch.tensor([2.0, 1.0], dtype=torch.float64)
    zeroed: list[Tensor] = []

    def summed(_given, _units, _settings, sets, _tokens) -> Tensor:
        zeroed.extend(sets)
        return torch.stack([effect[each].sum() for each in sets])

    monkeypatch.setattr(refining, "effects_of_sets", summed)
    result = found(given, refined=48, masks=30, mask_share=0.2)
    assert numbers(result, given, "neuron")[:2] == [7, 30]
    times = torch.bincount(torch.cat(zeroed), minlength=len(units))
    assert len(zeroed) == 30
    assert int(times.max()) - int(times.min()) <= 1


def test_masks_of_one_unit_are_each_unit_by_itself(make_given) -> None:
    given = make_given(k=15.0)
    alone = found(given, unit="head", refined=8, refined_tokens=30).units["effect"]
    masks = found(given, unit="head", refined=8, refined_tokens=30, masks=64, mask_share=0.1).units["effect"]
    assert masks.corr(alone) > 0.9
    assert alone.std() > 0
