"""The recipe ``unit_prior``: ranks of units and of weights, added."""

import dataclasses

import numpy as np
import pytest
import torch

from codingspot.ablation import CONTROLS, Controlled
from codingspot.errors import SelectionError, StudyError
from codingspot.importance import ScoreStore
from codingspot.models import find_units, unique_parameters
from codingspot.spot import RECIPES, Spot, TrainingInput, measure_spot
from codingspot.spot.candidates import candidates
from codingspot.spot.ranks import shared_ranks
from codingspot.units.prior import prior_keys


def found(given: TrainingInput, **parameters: object) -> Spot:
    return measure_spot(given, recipe="unit_prior", **parameters).spot


def all_keys(given: TrainingInput, **parameters: object) -> torch.Tensor:
    """Every weight's key, minus infinity outside the scope."""
    store = given.scores
    inside = candidates(store, given.scope, 1)
    keys = torch.full((store.layout.total,), -torch.inf)
    for chunk in inside.source(prior_keys(given, inside, **parameters))():
        keys[chunk.start : chunk.start + len(chunk.keys)] = chunk.keys
    return keys


@pytest.mark.parametrize("name", ["llama", "gpt2", "mixtral"])
def test_values_of_units_are_spread_over_their_weights(make_given, name) -> None:
    model = make_given(name).loaded.model
    weights = unique_parameters(model)
    for kind in ("neuron", "head", "group"):
        units = find_units(model, kind)
        layout = units.layout
        expected = torch.full((layout.total,), torch.nan, dtype=torch.float64)
        numbers = torch.arange(len(units))
        expected[units.positions(numbers)] = numbers.double().repeat_interleave(units.sizes)
        for parameter, values in units.spread(numbers.double()).items():
            whole = values.expand(weights[parameter].shape).flatten()
            torch.testing.assert_close(whole, expected[layout.slice(parameter)], equal_nan=True)
            expected[layout.slice(parameter)] = torch.nan
        assert expected.isnan().all()


def test_a_key_is_the_rank_of_the_unit_and_of_the_weight(make_given, monkeypatch) -> None:
    from codingspot.spot import candidates as runs
    from codingspot.units import prior

    given = make_given(scope="blocks")
    monkeypatch.setattr(prior, "_unit_ranks", lambda _g, units, *_: torch.arange(len(units)).double())
    monkeypatch.setattr(runs, "_RUN", 101)  # runs begin and end inside rows
    keys = all_keys(given, contrast="share")
    store, layout = given.scores, given.scores.layout
    expected = torch.zeros(layout.total)
    for kind in ("group", "head", "neuron"):
        units = find_units(given.loaded.model, kind)
        numbers = torch.arange(len(units))
        expected[units.positions(numbers)] = numbers.float().repeat_interleave(units.sizes)
    blocks = keys > -torch.inf
    inside = candidates(store, "blocks", 1)
    own = torch.cat([chunk.keys for chunk in inside.source(RECIPES.bind("share", {})(inside))()])
    torch.testing.assert_close(keys[blocks], expected[blocks] + shared_ranks(own).float(), atol=1e-3, rtol=0)


def test_the_spot_is_the_best_keys_and_doses_are_its_prefixes(make_given) -> None:
    given = make_given(scope="blocks", k=20.0)
    keys = all_keys(given, contrast="log_ratio")
    spot = found(given)
    assert spot.units is None
    assert spot.positions.equal(torch.argsort(keys, descending=True, stable=True)[: len(spot)])
    smaller = found(dataclasses.replace(given, max_k_percent=5.0))
    assert smaller.positions.equal(spot.positions[: len(smaller)])
    rest = found(dataclasses.replace(given, max_k_percent=5.0, without=smaller.positions))
    assert rest.positions.equal(spot.positions[len(smaller) : 2 * len(smaller)])
    worst = found(dataclasses.replace(given, max_k_percent=5.0, worst_first=True))
    assert worst.positions.equal(torch.argsort(keys.where(keys > -torch.inf, torch.inf), stable=True)[: len(worst)])


def test_what_a_contrast_drops_is_no_part_of_it(make_given) -> None:
    given = make_given(scope="blocks", k=5.0)
    english = {name: given.scores.tensor("english", name).abs() for name in given.scores.layout.names}
    spot = found(given, contrast="set_difference", units=["neuron"])
    assert spot.metadata["recipe"]["units"] == ("neuron",)
    everywhere = torch.cat([english[name].flatten() for name in given.scores.layout.names])
    assert everywhere[spot.positions].max() < everywhere.quantile(0.85)


def test_text_is_read_once(make_given, monkeypatch) -> None:
    from codingspot.units import ranking

    read = []
    measure = ranking.measure
    monkeypatch.setattr(ranking, "measure", lambda *a, **k: read.append((a[2].domain, a[3])) or measure(*a, **k))
    found(make_given())
    both = ("square", "effect")
    assert read == [("go", ("square",)), ("rust", ("square",)), ("english", both), ("stories", both)]


def test_controls_take_their_place(make_given) -> None:
    given = make_given(scope="blocks", k=5.0)
    spot = found(given)
    controlled = Controlled(spot, given.scores, given.loaded, lambda: given)
    matched = CONTROLS["matched"](controlled, seed=0)
    assert not np.intersect1d(matched.positions, spot.positions).size
    exchanged = CONTROLS["general_spot"](controlled)
    assert len(exchanged) == len(spot)
    assert not exchanged.positions.equal(spot.positions)


def test_it_reads_the_sum_of_the_languages_where_the_contrast_does(make_given) -> None:
    assert RECIPES.traits("unit_prior").folds
    assert RECIPES.traits("unit_prior").scored
    assert not RECIPES.traits("unit_prior").from_scores


@pytest.mark.parametrize(
    ("options", "parameters", "error", "named"),
    [
        ({}, {"contrast": "sum"}, StudyError, "'sum' is no contrast of scores; use one such as log_ratio"),
        ({}, {"contrast": "unit_prior"}, StudyError, "'unit_prior' is no contrast of scores"),
        ({}, {"contrast": "log_ration"}, StudyError, "unknown recipe 'log_ration'"),
        ({"scope": "norms"}, {}, SelectionError, "scope 'norms' holds no whole group or head or neuron"),
        ({"store": None}, {}, SelectionError, "score the model first"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(make_given, options, parameters, error, named) -> None:
    given = make_given(**{key: value for key, value in options.items() if key != "store"}, k=0.5)
    if "store" in options:
        given = dataclasses.replace(given, store=None)
    with pytest.raises(error, match=named):
        found(given, **parameters)
    assert isinstance(given.store, ScoreStore) or "store" in options
