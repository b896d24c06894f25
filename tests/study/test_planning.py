import torch

from codingspot.models import ParameterLayout
from codingspot.spot import Spot
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
    found = {"a-super_weights": Spot(torch.arange(3), torch.zeros(3), layout)}
    sized = with_own_sizes(cells, found)
    assert [cell.parameters for cell in sized if cell.control == "super_weights"] == [3]
