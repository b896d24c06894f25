from dataclasses import replace

import torch

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
