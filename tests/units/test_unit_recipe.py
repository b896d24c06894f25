"""The recipe ``units`` and its controls."""

import dataclasses

import pytest
import torch

from codingspot.ablation import CONTROLS, Controlled, edited
from codingspot.errors import ArtefactError, SelectionError, StudyError
from codingspot.models import find_units
from codingspot.spot import RECIPES, MeasuredSpot, Spot, find_spot, measure_spot
from codingspot.units.contrast import contrasted, normalised, together

TOTAL_NEURONS = 48


def found(given, **parameters) -> MeasuredSpot:
    return measure_spot(given, recipe="units", **parameters)


def test_the_spot_is_whole_units_best_first(make_given) -> None:
    given = make_given(k=10.0)
    result = found(given)
    spot, table = result.spot, result.units
    units = find_units(given.loaded.model, "neuron")
    assert spot.positions.equal(units.positions(spot.units.numbers))
    assert len(spot) == spot.units.parameters <= spot.count(10) < len(spot) + 48
    assert spot.scores.tolist() == sorted(spot.scores.tolist(), reverse=True)
    assert spot.metadata["units"] == {
        "kind": "neuron", "selected": len(spot.units), "eligible": TOTAL_NEURONS, "all": TOTAL_NEURONS,
    }  # fmt: skip
    assert len(table) == TOTAL_NEURONS
    assert table["selected"].sum() == len(spot.units)
    assert table["key"].is_monotonic_decreasing
    best = spot.units.numbers[0]
    assert (table["layer"][0], table["index"][0]) == (int(units.layers[best]), int(units.indices[best]))


def test_doses_are_rounded_down_to_whole_units(make_given) -> None:
    spot = found(make_given(k=10.0)).spot
    for k in (10.0, 7.0, 5.0, 2.0):
        part = spot.top(k)
        assert len(part) <= spot.count(k) < len(part) + 48
        assert len(part) % 48 == 0
        assert part.units.numbers.tolist() == spot.units.numbers[: len(part) // 48].tolist()
    with pytest.raises(SelectionError, match="fewer than the first of the spot's units has"):
        spot.top(0.1)
    with pytest.raises(SelectionError, match="exceeds the spot's own"):
        spot.top(11)


def test_a_spot_of_units_is_saved_with_them(make_given, tmp_path) -> None:
    spot = found(make_given(), unit="head", score="abs").spot
    spot.save(tmp_path / "spot.safetensors")
    read = Spot.load(tmp_path / "spot.safetensors")
    assert read.units.kind == "head"
    assert read.units.numbers.equal(spot.units.numbers)
    assert len(read.top(5.0)) == len(spot.top(5.0))
    wrong = dataclasses.replace(spot, units=dataclasses.replace(spot.units, sizes=spot.units.sizes + 1))
    wrong.save(tmp_path / "wrong.safetensors")
    with pytest.raises(ArtefactError, match="its units don't have as many weights"):
        Spot.load(tmp_path / "wrong.safetensors")


@pytest.mark.parametrize("unit", ["neuron", "head", "group", "layer"])
@pytest.mark.parametrize(
    ("score", "contrast"),
    [("rms", "ratio"), ("pls", "difference"), ("attribution", "difference"), ("weights", "share")],
)
@pytest.mark.parametrize("name", ["llama", "gpt2", "mixtral"])
def test_every_unit_by_every_kind_of_score(make_given, name, unit, score, contrast) -> None:
    given = make_given(name, k=60.0)
    spot = found(given, unit=unit, score=score, contrast=contrast, normalise="domain").spot
    assert len(spot.units)
    assert len(torch.unique(spot.positions)) == len(spot)
    with edited(given.loaded, spot):
        pass


def test_units_that_do_more_on_code_come_first(make_given) -> None:
    given = make_given(k=10.0)
    code_first = found(given).units
    general_first = found(dataclasses.replace(given, code=given.general, general=given.code)).units
    assert (code_first["code"] > code_first["general"])[:5].all()
    assert set(code_first["index"][:5]) != set(general_first["index"][:5])


def test_a_token_budget_reads_the_beginning_of_each_domain(make_given) -> None:
    given = make_given()
    part = {name: dataclasses.replace(each, input_ids=each.input_ids[:2]) for name, each in given.code.items()}
    general = {name: dataclasses.replace(each, input_ids=each.input_ids[:2]) for name, each in given.general.items()}
    expected = found(dataclasses.replace(given, code=part, general=general, measured={})).units
    assert found(given, token_budget=20).units["key"].tolist() == expected["key"].tolist()
    assert found(given).units["key"].tolist() != expected["key"].tolist()


def test_a_text_is_read_once_for_several_spots(make_given, monkeypatch) -> None:
    from codingspot.units import ranking

    read = []
    measure = ranking.measure
    monkeypatch.setattr(ranking, "measure", lambda *a, **k: read.append(a[2].domain) or measure(*a, **k))
    given = make_given()
    found(given)
    found(given, score="write", contrast="share")
    assert read == ["go", "rust", "english", "stories"]


def test_units_with_a_weight_that_is_left_out_are_passed_over(make_given) -> None:
    given = make_given(k=10.0)
    first = found(given).spot
    rest = found(dataclasses.replace(given, without=first.positions[::7])).spot
    both = found(dataclasses.replace(given, max_k_percent=20.0)).spot
    assert rest.units.numbers.tolist() == both.units.numbers[len(first.units) :][: len(rest.units)].tolist()


@pytest.mark.parametrize(
    ("options", "parameters", "error", "named"),
    [
        ({"scope": "attention"}, {}, SelectionError, "scope 'attention' holds no whole neuron"),
        ({"k": 0.1}, {}, SelectionError, "less than the best neuron has"),
        ({}, {"score": "attribution"}, StudyError, "'attribution' is signed, which has no ratio"),
        ({}, {"score": "rsm"}, StudyError, "unknown unit_score 'rsm'; use one of abs, rms, std"),
        ({}, {"unit": "weight"}, StudyError, "unit is 'weight'"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(make_given, options, parameters, error, named) -> None:
    with pytest.raises(error, match=named):
        found(make_given(**options), **parameters)


def test_what_does_not_fit_the_model_is_known_before_it_is_run(make_given) -> None:
    model = make_given().loaded.model
    fits = RECIPES.traits("units", {"unit": "head"}).fits
    fits(model, "blocks", [8.0, 18.0])
    for doses, named in (([1.0], "one head has"), ([8.0, 90.0], "all heads in scope 'blocks' have")):
        with pytest.raises(SelectionError, match=named):
            fits(model, "blocks", doses)
    with pytest.raises(SelectionError, match="holds no whole head"):
        fits(model, "mlp", [8.0])


def test_only_what_is_made_of_weights_scores_needs_those_of_each_language() -> None:
    assert RECIPES.traits("units").folds
    assert not RECIPES.traits("units", {"score": "weights"}).folds


def test_it_is_not_found_in_scores_alone(make_given) -> None:
    given = make_given()
    with pytest.raises(SelectionError, match="'units' reads activations"):
        find_spot(given.store, recipe="units", max_k_percent=1)
    with pytest.raises(SelectionError, match="'sum' doesn't read activations"):
        measure_spot(given, recipe="sum")


def test_contrasts() -> None:
    every = torch.ones(3, dtype=torch.bool)
    code, general = torch.tensor([[4.0, 2.0, 0.0], [1.0, 4.0, 0.0]], dtype=torch.float64)
    assert contrasted(code, general, "ratio", 0.0, every).tolist() == [4.0, 0.5, 0.0]
    smoothed = [5 / (1 + 5 / 6), 3 / (4 + 5 / 6), 1 / (5 / 6)]
    assert contrasted(code, general, "ratio", 0.5, every).tolist() == pytest.approx(smoothed)
    assert contrasted(code, general, "share", 0.0, every).tolist() == pytest.approx([0.8, 1 / 3, 0.0])
    assert contrasted(code, general, "difference", 0.0, every).tolist() == [3.0, -2.0, 0.0]
    assert contrasted(code, general, "none", 0.0, every).tolist() == [4.0, 2.0, 0.0]
    scores = torch.stack([code, general])
    assert normalised(scores, "domain", every).tolist()[0] == [2.0, 1.0, 0.0]
    assert together(scores, "least").tolist() == [1.0, 2.0, 0.0]
    assert together(scores, "largest").tolist() == [4.0, 4.0, 0.0]
    assert together(scores, "mean").tolist() == [2.5, 3.0, 0.0]


def control(given, spot, name: str, apart: bool = True, **parameters) -> Spot:
    return CONTROLS.bind(name, parameters)(Controlled(spot, given.store, given.loaded, lambda: given, apart=apart))


@pytest.mark.parametrize(("unit", "count"), [("neuron", 10), ("head", 3), ("group", 2)])
@pytest.mark.parametrize("name", ["llama", "gpt2", "qwen3-moe"])
def test_random_units_are_as_many_of_each_layer_and_tensor_at_every_dose(make_given, name, unit, count) -> None:
    given = make_given(name)
    size = int(find_units(given.loaded.model, unit).sizes[0])
    k = 100 * (count + 0.1) * size / given.store.layout.total
    given = dataclasses.replace(given, max_k_percent=k)
    spot = found(given, unit=unit).spot
    units = find_units(given.loaded.model, unit)
    drawn = [control(given, spot, "matched_units", seed=seed) for seed in range(4)]
    for each in drawn:
        assert not set(each.units.numbers.tolist()) & set(spot.units.numbers.tolist())
        assert len(each.units.numbers.unique()) == len(spot.units)
        for dose in (k, 0.7 * k, 0.5 * k):
            one, other = spot.top(dose), each.top(dose)
            assert len(one) == len(other)
            if each.metadata["control"]["unmatched"] == 0:
                assert units.layers[one.units.numbers].tolist() == units.layers[other.units.numbers].tolist()
                counts = [{n: len(o) for n, o in part.grouped().items()} for part in (one, other)]
                assert counts[0] == counts[1]
    assert control(given, spot, "matched_units", seed=3).positions.equal(drawn[3].positions)
    any_of_them = [control(given, spot, "matched_units", apart=False, seed=seed) for seed in range(20)]
    assert {len(each.units.numbers.unique()) for each in any_of_them} == {len(spot.units)}
    assert any(set(each.units.numbers.tolist()) & set(spot.units.numbers.tolist()) for each in any_of_them)
    assert {each.metadata["control"]["unmatched"] for each in any_of_them} == {0}
    assert all(units.layers[each.units.numbers].equal(units.layers[spot.units.numbers]) for each in any_of_them)
    if unit != "group":  # of which a layer has two
        assert len({tuple(each.units.numbers.tolist()) for each in drawn}) > 1


def test_random_units_of_a_layer_that_leaves_too_few_come_from_others(make_given) -> None:
    given = make_given(k=22.0)
    spot = found(given, unit="group", contrast="none", score="abs").spot
    assert len(spot.units) == 3
    with pytest.raises(SelectionError, match="the spot has 3 of the model's 4 groups, more than it leaves"):
        control(given, spot, "matched_units")
    two = spot.prefix(len(spot) * 2 // 3)
    drawn = control(given, two, "matched_units")
    layers = find_units(given.loaded.model, "group").layers
    alike = (layers[two.units.numbers] == layers[drawn.units.numbers]).sum()
    assert drawn.metadata["control"]["unmatched"] == 2 - alike


def test_random_units_are_for_spots_of_units(make_given) -> None:
    given = make_given()
    with pytest.raises(SelectionError, match="matched_units needs a spot of whole units"):
        control(given, find_spot(given.store, max_k_percent=1), "matched_units")


def test_the_units_of_general_text_and_the_last_are_found_by_the_same_recipe(make_given) -> None:
    given = make_given(k=10.0)
    spot = found(given).spot
    exchanged = dataclasses.replace(given, code=given.general, general=given.code)
    general = control(given, spot, "general_spot")
    assert general.units.numbers.equal(found(exchanged).spot.units.numbers)
    assert general.metadata["control"]["name"] == "general_spot"
    last = control(given, spot, "bottom")
    table = found(given).units
    units = find_units(given.loaded.model, "neuron")
    assert units.indices[last.units.numbers].tolist() == table["index"].tolist()[::-1][: len(last.units)]


@pytest.mark.parametrize("name", ["uniform", "matched", "matched_magnitude", "matched_general", "top_magnitude"])
def test_controls_of_single_weights_are_as_large(make_given, name) -> None:
    given = make_given(k=10.0)
    spot = found(given).spot
    assert len(control(given, spot, name)) == len(spot)
