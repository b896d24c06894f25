"""The matrix of each language's own spot against every language."""

from codingspot.analyses.language_matrix import _ORIGINAL, _rows
from codingspot.evaluation.results import DocumentLoss, Results
from codingspot.study.cells import Cell


def test_without_tasks_it_is_of_losses_alone() -> None:
    cells = [Cell(name=_ORIGINAL), Cell(name="language-matrix-go", spot="go", parameters=3)]
    losses = [Results.of_cell(cell.name, (), [DocumentLoss("go", 0, 10, 20.0 + n)]) for n, cell in enumerate(cells)]
    rows = list(_rows(Results.concat(losses), cells, {"go": "code"}))
    assert [(row["measure"], row["of"]) for row in rows] == [("loss", "go")]
