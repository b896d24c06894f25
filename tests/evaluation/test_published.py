"""Published figures ship with the package."""

from __future__ import annotations

from codingspot.evaluation import published


def test_the_paper_s_tables_are_complete() -> None:
    cells = published.paper_cells()
    assert len(cells) == 18
    assert {cell.condition for cell in cells} == {"original", "spot", "random"}
    (llama,) = [c for c in cells if c.model.endswith("3.1-8B-Instruct") and c.condition == "original"]
    assert llama.rates["humaneval"] == 0.9756
    assert llama.k_percent is None


def test_the_replication_and_the_code_region_are_there() -> None:
    assert {cell.condition for cell in published.replication_cells()} == {"original", "spot", "random", "bottom"}
    assert published.code_region()[0]["humaneval_change_percent"] == -85.32
    assert "truthfulqa mc2" in published.setup_note()
