"""The experiments on the uses of a spot, over a few tokens: what they do, and that they resume."""

import json

import pandas as pd
import pytest
import torch

TINY = ("--seeds", "1", "--tokens", "256", "--held-out", "128")


@pytest.fixture
def run(call, tmp_path):
    """Runs a script and gives the rows that it saved."""

    def run(name: str, *options: str) -> pd.DataFrame:
        out = tmp_path / f"{name}.json"
        call(name, *TINY, *options, "--out", str(out))
        return pd.DataFrame([row for rows in json.loads(out.read_text())["rows"].values() for row in rows])

    return run


def test_every_way_of_removal_does_the_same_harm_before_it_is_relearned(run, capsys) -> None:
    ways = ("neurons, as many of each layer, cut out", "ascent, CIR", "broken MLPs, CIR")
    options = ("--rise", "0.1", "--most", "15", "--programs", "12", "--rates", "1e-3", "--steps", "1")
    rows = run("lasting_removal", *options, "--ways", *ways)
    harmed = rows[rows["step"] == 0].set_index("way")
    rises = harmed["code"] - harmed["code_original"]
    assert list(rises.index) == list(ways)
    assert rises.between(0.1, 0.3).all()
    assert (harmed["parameters"] > 0).tolist() == [True, False, False]
    assert len(rows) == 6
    capsys.readouterr()
    again = run("lasting_removal", *options, "--ways", ways[0])
    assert again.equals(rows)
    assert "done" not in capsys.readouterr().out
    with pytest.raises(SystemExit, match="was made with"):
        run("lasting_removal", "--rise", "0.2")


def test_what_is_recovered_is_told_against_the_model_from_which_nothing_was_removed(script, call, tmp_path) -> None:
    about = {"seed": 0, "parameters": 0, "programs": 9, "rate": 1e-4, "code_original": 2.0}
    about |= {f"{name}{end}": 1.0 for name in ("python", "english") for end in ("", "_original")}
    losses = {"nothing": (2.0, 1.5), "a way": (3.0, 1.75)}
    rows = [
        {**about, "way": way, "step": step, "code": code}
        for way, codes in losses.items()
        for step, code in zip((0, 10), codes, strict=True)
    ]
    (table,) = script("lasting_removal").show(pd.DataFrame(rows))
    header, _, nothing, way = (line.split(" | ") for line in table.split("\n\n")[1].splitlines())
    at = header.index("recovered 10")
    assert (nothing[at], way[at]) == ("", "0.75")
    (tmp_path / "lasting.json").write_text(json.dumps({"rows": {"all": rows}}))
    call("lasting_figure", f"a model={tmp_path / 'lasting.json'}", "--out", str(tmp_path))
    assert (tmp_path / "lasting.png").stat().st_size > 10_000


def test_an_output_along_the_originals_is_broken_only_so_far_as_it_points_away(script) -> None:
    along = script("lasting_removal").still_along
    before = [torch.tensor([[3.0, 4.0], [0.0, 5.0]])]  # mean norm 5
    assert along(before, before) == 1
    assert along([-before[0]], before) == 0
    assert along([torch.tensor([[3.0, 4.0], [7.0, -1.0]])], before) == 0.5


def test_edits_are_told_from_those_of_controls_by_dose(run, capsys) -> None:
    doses = ["times 0.75", "times 0.25", "times 0"]
    rows = run("editing_doses", "--draws", "1", "--items", "0", "--edits", *doses)
    changes = rows[rows["domain"] == "code"].pivot_table(index="cell", columns=["spot", "what"], values="change")
    for spot in ("weights", "neurons"):
        assert changes[spot, "spot"].loc[doses].is_monotonic_increasing
        assert changes[spot, "spot"]["times 0"] > 2 * changes[spot, "control 0"]["times 0"]
    assert "| times 0.25 | " in capsys.readouterr().out


def test_what_is_protected_is_not_pruned(run) -> None:
    rows = run("pruning", "--sparsities", "0.5", "--by", "wanda").set_index(["by", "protected"])
    zeros = rows["protected_zeros"].loc["wanda"]
    assert zeros["the spot"] < 0.01 * zeros["all but the spot"]
    code = rows["code"].loc["wanda"]
    assert code["all but the spot"] > 2 * code["the spot"]


def test_adapters_of_every_placement_learn_at_one_budget(run) -> None:
    rows = run("lora_placement", "--programs", "8", "--steps", "4", "--budget", "20000").set_index(
        ["placement", "step"]
    )
    spent = rows["trainable"].unstack()[0]
    assert spent.between(19_000, 20_000).all()
    losses = rows["new"].unstack()
    assert (losses[4] < losses[0]).all()
    assert losses[0].nunique() == 1


def test_programs_are_decoded_against_every_model_without_a_spot(run, capsys) -> None:
    rows = run("contrastive_decoding", "--languages", "Python", "--items", "2", "--betas", "0.5")
    cells = ["plain plain", "weights spot", "weights control 0", "neurons spot", "neurons control 0"]
    assert (rows["spot"] + " " + rows["what"]).tolist() == cells
    assert [len(outcomes) for outcomes in rows["outcomes"]] == [2] * 5
    assert "| neurons, spot | 0.5 | " in capsys.readouterr().out


def test_students_of_every_choice_of_layers_learn_from_their_teacher(run, capsys) -> None:
    rows = run("distil", "--layers", "4", "--steps", "4", "--sequences", "2", "--items", "0").set_index("keep")
    students = rows.drop("teacher")
    assert rows["kept"].loc["teacher"] == "all"
    assert students["kept"].loc["even"].unique().tolist() == ["0, 2, 3, 5"]
    assert students["kept"].loc["dense"].iloc[0] != students["kept"].loc["sparse"].iloc[0]
    losses = students.set_index("step", append=True)["code"].unstack()
    assert losses.index.tolist() == ["dense", "even", "sparse"]
    assert (losses[4] < losses[0]).all()
    assert (losses[0] > rows["code"].loc["teacher"]).all()
    assert "| 4 | dense | " in capsys.readouterr().out
