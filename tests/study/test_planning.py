from dataclasses import replace

import pytest
import torch

from codingspot.errors import StudyError
from codingspot.models import ParameterLayout
from codingspot.spot import Spot, WholeUnits
from codingspot.study import Study, parse_study
from codingspot.study.planning import plan_cells, with_own_sizes


def test_every_dose_of_every_spot_and_control_in_increasing_order(small_study: Study):
    cells = plan_cells(small_study, 1_000_000)
    assert [cell.name for cell in cells] == [
        "original",
        "paper-k0.01",
        "paper-k1",
        "paper-uniform-s3-k0.01",
        "paper-uniform-s3-k1",
        "paper-matched-s3-k0.01",
        "paper-matched-s3-k1",
        "blocks-k1",
    ]
    assert [cell.parameters for cell in cells] == [0, 100, 10_000, 100, 10_000, 100, 10_000, 10_000]
    assert cells[0].spot is None
    assert cells[3].control == "uniform"


def test_a_control_of_its_own_size_is_one_cell_and_sufficiency_has_its_own():
    study = parse_study(
        """
name: s
spots:
  - name: a
    k_percent: [0.1, 1]
    controls: [matched, super_weights]
    control_seeds: [4, 5]
    sufficiency: {k_percent: [1], largest_percent: 30}
""",
        "s.yaml",
    )
    cells = plan_cells(study, 10_000)
    alone = [cell for cell in cells if cell.control == "super_weights"]
    assert [cell.name for cell in alone] == ["a-super_weights-k0.1"]
    kept = [cell for cell in cells if cell.purpose == "sufficiency"]
    assert [(cell.name, cell.parameters) for cell in kept] == [
        ("a-keep-base", 0),
        ("a-keep-k1", 100),
        ("a-matched-s4-keep-k1", 100),
    ]
    assert {cell.edit for cell in kept} == {"keep_only"}
    layout = ParameterLayout(("a",), ((100, 100),))
    whole = Spot(torch.arange(100), torch.zeros(100), layout)
    found = {"a": whole, **{f"a-matched-s{seed}": whole for seed in (4, 5)}}
    sized = with_own_sizes(cells, {**found, "a-super_weights": Spot(torch.arange(3), torch.zeros(3), layout)})
    assert [cell.parameters for cell in sized if cell.control == "super_weights"] == [3]
    assert [cell for cell in sized if cell.control != "super_weights"] == [
        cell for cell in cells if cell.control != "super_weights"
    ]


_JUDGED = """
name: s
spots:
  - name: a
    recipe: {recipe}
    k_percent: [0.1, 1]
    controls: [uniform, {control}, top_magnitude]
    control_seeds: [1, 7]
    judged: {{k_percent: 1, draws: {draws}}}
evaluation: {{code: [testbed_humaneval], general: [], other: []}}
"""


@pytest.mark.parametrize(("recipe", "control"), [("sum", "matched_magnitude"), ("units", "matched_units")])
def test_matched_controls_are_drawn_further_at_the_dose_judged_for_perplexity_alone(recipe, control):
    study = parse_study(_JUDGED.format(recipe=recipe, control=control, draws=5), "s.yaml")
    cells = plan_cells(study, 10_000)
    further = [cell for cell in cells if cell.purpose == "draw"]
    assert [(cell.name, cell.control, cell.k_percent, cell.seed) for cell in further] == [
        (f"a-{control}-s{seed}-k1", control, 1.0, seed) for seed in (0, 2, 3)
    ]
    assert not any(study.evaluation.asks_at(cell) for cell in further)
    others = [cell for cell in cells if cell.purpose == "dose"]
    assert all(study.evaluation.asks_at(cell) for cell in others)
    without = plan_cells(parse_study(_JUDGED.format(recipe=recipe, control=control, draws=2), "s.yaml"), 10_000)
    assert [cell.name for cell in without] == [cell.name for cell in cells if cell not in further]


@pytest.mark.parametrize(
    ("spot", "named"),
    [
        ("judged: {k_percent: 0.5}, controls: [matched]", "spot a: judged.k_percent is 0.5, not in its k_percent"),
        ("judged: {k_percent: 1}, controls: [uniform]", "spot a: judged draws a matched control, and it has none"),
        ("judged: {k_percent: 1, draws: 0}, controls: [matched]", "draws"),
        ("judged: {k_percent: 1, draws: 1000000000}, controls: [matched]", "draws.*less than or equal to 10000"),
        ("judged: {k_percent: 1}, controls: [matched]", "spot a is judged at 1, where evaluation.tasks_at asks no"),
    ],
)
def test_a_spot_is_judged_where_it_is_evaluated_beside_matched_controls(spot, named):
    evaluation = "evaluation: {code: [], general: [], other: [], tasks_at: [0.1]}"
    with pytest.raises(StudyError, match=named):
        parse_study(f"name: s\nspots: [{{name: a, k_percent: [0.1, 1], {spot}}}]\n{evaluation}", "s.yaml")


def test_cells_of_a_spot_of_units_are_rounded_down_to_whole_ones_and_so_are_its_controls():
    study = parse_study(
        """
name: s
spots:
  - name: a
    recipe: units
    k_percent: [0.1, 0.3, 1]
    controls: [matched, matched_units]
    control_seeds: [4]
""",
        "s.yaml",
    )
    layout = ParameterLayout(("a",), ((100, 100),))
    units = WholeUnits("neuron", torch.arange(4), torch.tensor([10, 15, 25, 40]))
    single = Spot(torch.arange(90), torch.zeros(90), layout)
    whole = replace(single, units=units)
    spots = {"a": whole, "a-matched-s4": single, "a-matched_units-s4": whole}
    cells = {cell.name: (cell.parameters, cell.units) for cell in with_own_sizes(plan_cells(study, 10_000), spots)}
    assert cells == {
        "original": (0, None),
        **{f"a-k{k}": found for k, found in (("0.1", (10, 1)), ("0.3", (25, 2)), ("1", (90, 4)))},
        **{f"a-matched-s4-k{k}": (found, None) for k, found in (("0.1", 10), ("0.3", 25), ("1", 90))},
        **{f"a-matched_units-s4-k{k}": found for k, found in (("0.1", (10, 1)), ("0.3", (25, 2)), ("1", (90, 4)))},
    }
