"""Maps of a spot: what each place counts, and what it would by chance."""

import pandas as pd
import pytest
import torch
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from codingspot.models import ParameterLayout
from codingspot.report.heatmap import draw_density
from codingspot.report.unit_map import draw_units
from codingspot.spot import Spot

DENSITY = pd.DataFrame(
    [
        (0, "attention", "q", 100, 30),
        (0, "mlp", "down", 300, 10),
        (0, "mlp", "down", 100, 0),  # a bias
        (None, "embedding", "embedding", 500, 0),
    ],
    columns=["layer", "block", "kind", "parameters", "selected"],
)


@pytest.fixture
def axes() -> Axes:
    return Figure().subplots()


@pytest.mark.parametrize(
    ("scope", "chance"),
    [("blocks", ("8", "32", "0")), ("all", ("4", "16", "20")), ("of a package that isn't here", ("4", "16", "20"))],
)
def test_a_module_s_count_stands_beside_that_of_random_parameters_of_the_scope(
    axes: Axes, scope: str, chance: tuple[str, ...]
):
    (series,) = draw_density(axes, rows=DENSITY, spot="here", scope=scope).series
    rows = {point.values[0]: dict(zip(series.columns, point.values, strict=True)) for point in series.points}
    assert list(rows) == ["layer 0, q", "layer 0, down", "embedding"]
    assert tuple(row["By chance"] for row in rows.values()) == chance
    assert rows["layer 0, down"] | {"By chance": "", "Times chance": ""} == {
        "Module": "layer 0, down", "In the spot": "10", "Parameters": "400", "By chance": "", "Times chance": "",
        "Of the module": "2.5%", "Of the spot": "25%",
    }  # fmt: skip
    assert rows["layer 0, q"]["Times chance"] == f"{30 / int(chance[0]):.2f}"
    assert rows["embedding"]["Of the spot"] == "0%"


def units(of_a_layer: int) -> pd.DataFrame:
    """Units of two layers, those of the second layer the best."""
    places = [(layer, index) for layer in (1, 0) for index in range(of_a_layer)]
    table = pd.DataFrame(places, columns=["layer", "index"])
    ranks = range(1, len(table) + 1)
    return table.assign(rank=ranks, expert=0, code=2.0, general=float("nan"))


def test_heads_are_shown_one_by_one_with_their_ranks(axes: Axes):
    (series,) = draw_units(axes, units=units(4), spot="here", chosen=3, kind="head").series
    assert len(series.points) == 8
    assert [point.values for point in series.points[3:6]] == [
        ("layer 0, head 3", "8", "2", "–", "no"),
        ("layer 1, head 0", "1", "2", "–", "yes"),
        ("layer 1, head 1", "2", "2", "–", "yes"),
    ]
    assert sorted(text.get_text() for text in axes.texts if text.get_text()) == ["1", "2", "3"]


def test_neurons_are_counted_by_layer_against_chance(axes: Axes):
    (series,) = draw_units(axes, units=units(100), spot="here", chosen=3, kind="neuron").series
    assert [point.values for point in series.points] == [
        ("layer 0", "0", "100", "1.5", "0.00", ""),
        ("layer 1", "3", "100", "1.5", "2.00", "0, 1, 2"),
    ]


def test_a_spot_draws_itself_and_leaves_the_user_s_settings(axes: Axes):
    layout = ParameterLayout(("model.embed_tokens.weight", "model.layers.0.mlp.up_proj.weight"), ((4, 4), (4, 4)))
    spot = Spot(torch.tensor([1, 20, 21]), torch.zeros(3), layout, {"recipe": {"name": "sum"}, "scope": "mlp"})
    before = dict(rcParams)
    assert spot.plot(axes) is axes
    assert dict(rcParams) == before
    assert axes.get_title(loc="left") == "Spot: 3 parameters, recipe sum, scope mlp,\nk = 9.375%"
    assert {text.get_text() for text in axes.texts} >= {"12", "6.2 (33%)"}  # 2 of 16, and 1 of 16: a third of the spot
    assert Spot(torch.tensor([], dtype=torch.int64), torch.zeros(0), layout).plot(Figure().subplots()).texts
