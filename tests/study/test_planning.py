from codingspot.study import Study
from codingspot.study.planning import plan_cells


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
