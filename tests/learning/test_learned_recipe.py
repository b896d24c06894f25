"""The recipe ``learned`` by its name in the registry, as a study and the benchmark ask for it."""

import pytest

from codingspot.errors import SelectionError, StudyError
from codingspot.learning import Learner
from codingspot.spot import TrainedSpot, TrainingInput, find_spot, train_spot, training_cost

QUICK = {"steps": 2, "sequences": 2, "validation_sequences": 2, "shortlist_percent": 6.0}


def trained(learner: Learner, max_k_percent: float, **parameters) -> TrainedSpot:
    code, general = ({name: learner.texts[name] for name in learner.store.names(kind)} for kind in ("code", "general"))
    given = TrainingInput(learner.loaded, learner.store, code, general, "blocks", max_k_percent)
    return train_spot(given, recipe="learned", **{**QUICK, **parameters})


def test_it_is_learned_at_the_usual_doses_below_its_largest_and_that(learner) -> None:
    found = trained(learner, 0.4)
    assert found.spot.metadata["recipe"]["doses"] == (0.1, 0.25, 0.4)
    assert found.spot.metadata["recipe"]["shortlist"]["name"] == "set_difference"
    assert len(found.spot) == found.spot.count(0.4)
    assert set(found.spot.positions.tolist()) < set(found.shortlist.positions.tolist())
    assert set(trained(learner, 2.0, doses=(2.0,)).curve["k_percent"]) == {2.0}


def test_it_tells_how_far_it_is(learner) -> None:
    told: list[str] = []
    texts = [{name: learner.texts[name] for name in learner.store.names(kind)} for kind in ("code", "general")]
    given = TrainingInput(learner.loaded, learner.store, *texts, "blocks", 0.4, stage=told.append)
    train_spot(given, recipe="learned", **{**QUICK, "steps": 20})
    assert told == [f"learning a mask, {done} of 20 steps" for done in range(2, 21, 2)]


def test_its_cost_follows_from_its_parameters() -> None:
    cost = training_cost("learned", {"steps": 9, "shortlist": "share"}, 1.0)
    assert cost is not None
    assert (cost.shortlist, cost.shortlist_percent, cost.steps, cost.sequences) == ("share", 5.0, 9, 4)
    assert training_cost("sum", {}, 1.0) is None


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"shortlist": "shar"}, "unknown recipe 'shar'"),
        ({"shortlist_percent": 1.0}, "chosen from more than that"),
        ({"doses": (0.5,)}, "doses end at 0.5%, below the spot's 1%"),
        ({"steps": 0}, "steps is 0"),
    ],
)
def test_parameters_that_do_not_go_together_are_refused(parameters, named) -> None:
    with pytest.raises(StudyError, match=named):
        training_cost("learned", parameters, 1.0)


def test_what_is_trained_is_not_computed_and_the_other_way_round(learner) -> None:
    with pytest.raises(SelectionError, match="'learned' is trained"):
        find_spot(learner.store, recipe="learned", max_k_percent=1)
    given = TrainingInput(learner.loaded, learner.store, {}, {}, "all", 1.0)
    with pytest.raises(SelectionError, match="'sum' is computed from scores"):
        train_spot(given, recipe="sum")
