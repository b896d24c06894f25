"""Spots as objects: what two share, either has, one has alone; tables of them; what they are made from."""

import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))  # for architectures.py

from architectures import make_model

from codingspot.cli.app import app
from codingspot.errors import FingerprintError, ModelError, SelectionError
from codingspot.models import ParameterLayout, UnitKind, find_units
from codingspot.spot import Spot, WholeUnits, overlap_by, overlap_in_all

LAYOUT = ParameterLayout(("model.embed_tokens.weight", "model.layers.0.mlp.up_proj.weight"), ((4, 4), (4, 4)))
places = st.lists(st.integers(0, 31), unique=True, max_size=12)


def spot(positions: list[int], **metadata: object) -> Spot:
    scores = torch.arange(len(positions), 0, -1, dtype=torch.float32)
    return Spot(torch.tensor(positions, dtype=torch.int64), scores, LAYOUT, metadata)


def of_units(model: torch.nn.Module, numbers: list[int], kind: UnitKind = "neuron") -> Spot:
    units = find_units(model, kind)
    chosen = torch.tensor(numbers)
    positions = units.positions(chosen)
    whole = WholeUnits(kind, chosen, units.sizes[chosen])
    return Spot(positions, torch.zeros(len(positions)), units.layout, {}, whole)


@settings(deadline=None)
@given(places, places)
def test_they_are_sets_in_an_order(first: list[int], second: list[int]) -> None:
    one, other = spot(first), spot(second)
    assert (one & other).positions.tolist() == [p for p in first if p in second]
    assert (one - other).positions.tolist() == [p for p in first if p not in second]
    union = (one | other).positions.tolist()
    assert sorted(union) == sorted({*first, *second})
    in_turn = [p for rank in range(12) for side in (first, second) for p in side[rank : rank + 1]]
    assert union == list(dict.fromkeys(in_turn))
    assert len(one | other) == len(one - other) + len(other - one) + len(one & other)


def test_a_key_stays_with_its_parameter() -> None:
    one, other = spot([5, 3, 9]), spot([9, 7])
    scores = {**dict(zip([9, 7], [2.0, 1.0], strict=True)), **dict(zip([5, 3], [3.0, 2.0], strict=True))}
    union = one | other
    assert dict(zip(union.positions.tolist(), union.scores.tolist(), strict=True)) == scores
    assert (one & other).scores.tolist() == [1.0]


def test_units_stay_whole_and_prefixes_end_with_them() -> None:
    model = make_model("llama", tied=False)
    one, other = of_units(model, [4, 9, 2, 30]), of_units(model, [30, 4, 7])
    both = one & other
    assert both.units.numbers.tolist() == [4, 30]
    assert torch.equal(both.positions, of_units(model, [4, 30]).positions)
    either = one | other
    assert either.units.numbers.tolist() == [4, 30, 9, 2, 7]
    assert torch.equal(either.positions, of_units(model, [4, 30, 9, 2, 7]).positions)
    assert len(either.prefix(len(both) + 1)) == len(both)
    single = Spot(one.positions, one.scores, one.layout)
    assert (single - other).units is None
    assert torch.equal((single - other).positions, (one - other).positions)


def test_what_a_combination_is_made_from(tmp_path: Path) -> None:
    model = {"id": "m", "revision": None, "fingerprint": "f" * 64}
    one = spot([1, 2], model=model, recipe={"name": "sum"}, scope="blocks", scope_parameters=16, k_percent=6.25)
    other = spot([2, 3], model=model, recipe={"name": "sum"}, scope="all", scope_parameters=32)
    made = one & other
    assert made.fingerprint == "f" * 64
    assert made.metadata["combination"]["operation"] == "intersection"
    assert [part["scope"] for part in made.metadata["combination"]["parts"]] == ["blocks", "all"]
    assert [part["parameters"] for part in made.metadata["combination"]["parts"]] == [2, 2]
    assert not {"recipe", "scope", "k_percent"} & made.metadata.keys()
    assert repr(made) == "<Spot: 1 parameters, combination intersection, k = 3.125%>"
    made.save(tmp_path / "spot.safetensors")
    assert Spot.load(tmp_path / "spot.safetensors").metadata == made.metadata
    assert ((one | other) - one).metadata["combination"]["parts"][0]["combination"]["operation"] == "union"


def test_spots_that_cannot_be_combined_are_one_line() -> None:
    one, other = (spot([1], model={"fingerprint": letter * 64}) for letter in "ab")
    with pytest.raises(FingerprintError, match="found in different weights"):
        _ = one | other
    layout = ParameterLayout(("a",), ((2,),))
    with pytest.raises(SelectionError, match="of different models"):
        _ = one & Spot(torch.tensor([1]), torch.zeros(1), layout)
    with pytest.raises(TypeError):
        _ = one & {1}  # type: ignore[operator]


@pytest.mark.parametrize("name", ["llama", "gpt2", "falcon-40b", "phi3", "mixtral"])
def test_frames_count_every_parameter_once(name: str) -> None:
    model = make_model(name, tied=False)
    layout = ParameterLayout.of(model)
    positions = torch.randperm(layout.total, generator=torch.Generator().manual_seed(0))[:2000]
    found = Spot(positions, torch.zeros(2000), layout)
    plain, headed = found.frame(), found.frame(model)
    assert plain["count"].sum() == headed["count"].sum() == 2000
    assert plain["head"].isna().all()
    assert headed["share"].sum() == pytest.approx(1)
    assert headed.groupby("tensor")["count"].sum().to_dict() == plain.set_index("tensor")["count"].to_dict()
    assert set(headed[headed["kind"] == "o"]["head"].dropna()) == {0, 1, 2, 3}


def test_a_head_s_weights_are_counted_as_its() -> None:
    model = make_model("gpt2", tied=True)
    frame = of_units(model, [1, 6], "head").frame(model)
    assert set(frame["head"]) == {1, 2}
    assert set(frame[frame["layer"] == 0]["head"]) == {1}
    assert set(frame["kind"]) == {"q", "k", "v", "o"}


def test_units_that_a_spot_touches() -> None:
    model = make_model("llama", tied=False)
    whole = of_units(model, [4, 30])
    frame = whole.unit_frame(model)
    assert frame["unit"].tolist() == [4, 30]
    assert frame["layer"].tolist() == [0, 1]
    assert (frame["share"] == 1).all()
    single = Spot(whole.positions[:10], whole.scores[:10], whole.layout)
    assert single.unit_frame(model, "neuron")["count"].tolist() == [10]
    with pytest.raises(SelectionError, match="name a kind"):
        single.unit_frame(model)
    with pytest.raises(ModelError, match="model with other parameters"):
        single.frame(make_model("gpt2", tied=True))


def test_a_notebook_shows_it_and_nothing_in_it_is_markup() -> None:
    html = spot([1, 20, 21], scope="<b>")._repr_html_()
    assert "<td>mlp up</td><td>2</td><td>66.7%</td><td>12.500%</td>" in "".join(
        line.strip() for line in html.splitlines()
    )
    assert "<b>" not in html
    assert "&lt;b&gt;" in html
    assert "<table" in spot([])._repr_html_()


def test_overlap_in_all_and_by_layer() -> None:
    one, other = spot([0, 1, 16, 17]), spot([1, 2, 17, 16])
    whole = overlap_in_all(one, other)
    assert (whole["common"], whole["expected"], whole["jaccard"]) == (3, 0.5, 0.6)
    # 4 of 32 and 4: at least 3 shared is (4 * 28 + 1) / C(32, 4).
    assert whole["p_value"] == pytest.approx(113 / 35960)
    table = overlap_by(one, other, "layer")
    assert table["common"].tolist() == [1, 2]
    assert table["expected"].tolist() == [0.25, 0.25]
    assert table["jaccard"].tolist() == pytest.approx([1 / 3, 1])
    with pytest.raises(SelectionError, match="a spot is empty"):
        overlap_in_all(one, spot([]))


@pytest.mark.parametrize(("first", "second", "population"), [(16, 16, 16), (16, 20, 32), (3, 3, 32), (None, None, 32)])
def test_the_population_is_the_scope_where_both_can_be_of_it(first, second, population: int) -> None:
    one, other = (spot([0, 1, 16, 17], scope="mlp", scope_parameters=size) for size in (first, second))
    assert overlap_in_all(one, other)["population"] == population


def test_the_command(tmp_path: Path) -> None:
    for name, positions in (("a", [0, 1, 16, 17]), ("b", [1, 2, 17, 16])):
        spot(positions).save(tmp_path / name)
    files = [str(tmp_path / "a"), str(tmp_path / "b")]
    shown = CliRunner().invoke(app, ["diff", *files], env={"COLUMNS": "120"})
    assert shown.exit_code == 0, shown.output
    assert "3 shared of 4 and 4 parameters" in shown.output
    assert "Jaccard 0.600; 0.5 shared and 0.067 by chance among 32 (p 0.0031)" in shown.output
    told = CliRunner().invoke(app, ["diff", *files, "--by", "kind", "--json"])
    assert '"kind": "embedding"' in told.output
    larger = CliRunner().invoke(app, ["diff", *files, "--k", "50"])
    assert larger.output.startswith(f"error: {files[0]}: k = 50.0% exceeds the spot's own 12.5%")
    refused = CliRunner().invoke(app, ["diff", *files, "--by", "colour"])
    assert refused.output == "error: --by is 'colour'; use one of tensor, layer, kind\n"
