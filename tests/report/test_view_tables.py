"""Tables of views pool domains by their kind, whatever they are called."""

from pathlib import Path

import pandas as pd
import pytest
from synthetic_runs import RunMaker

from codingspot.report.run_files import read_run
from codingspot.report.table import Number, Table
from codingspot.views.across.report import across_section


def across_ablation(run_directory: Path, generals: tuple[str, ...], ratios: dict[str, float]) -> Table:
    """The table of a run whose domains are the keys of ``ratios``, in which zeroing gives these ratios."""
    run = read_run(run_directory)
    one = run.plan.domains[0]
    domains = tuple(
        one.model_copy(update={"name": name, "kind": "general" if name in generals else "code"}) for name in ratios
    )
    zeroed = pd.DataFrame(
        {"ablated": "neurons", "spot": "", "evaluated": list(ratios), "parameters": 9, "ratio": list(ratios.values())}
    )
    tables = {
        "across_profiles": pd.DataFrame(),
        "across_spots": pd.DataFrame(columns=["spot_name", "domain", "layer", "spot", "inside", "expected"]),
        "across_ablation": zeroed,
    }
    plan = run.plan.model_copy(update={"domains": domains})
    return next(table for table in across_section(tables, plan).tables if table.name == "across_ablation")


@pytest.mark.parametrize("generals", [("english",), ("german",), ("german", "encyclopaedia"), ()])
def test_code_is_the_mean_of_code_domains_alone_and_each_general_domain_has_its_own(
    generals: tuple[str, ...], maker: RunMaker, run_directory: Path
):
    ratios = {"go": 4.0, "rust": 9.0} | dict(zip(generals, (100.0, 1000.0), strict=False))
    table = across_ablation(run_directory, generals, ratios)
    assert [column.key for column in table.columns] == ["zeroed", "parameters", "code", *generals]
    code, *others = table.rows[0].values[2:]
    assert isinstance(code, Number)
    assert code.value == pytest.approx(6.0)
    assert [other.value for other in others if isinstance(other, Number)] == pytest.approx(
        [ratios[name] for name in generals]
    )
    for name in generals:
        assert name.capitalize() in table.caption
    assert "nglish" not in table.caption or "english" in generals
