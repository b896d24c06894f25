"""The calibration of the verdict, over one spot of a few draws: its figures, and that a stopped run goes on."""

import json


def test_every_spot_is_measured_once_with_its_draws(call, capsys, tmp_path) -> None:
    out = tmp_path / "out.json"

    def run(*options: str) -> str:
        call("verdict_calibration", "--of", "neuron", "--draws", "3", "--tokens", "16", "--out", str(out), *options)
        return capsys.readouterr().out

    said = run("--spots", "1", "--null", "1", "5", "--power", "2")
    assert "null, 1 spots" in said
    assert "0 of 1 = 0.000" in said  # three draws can't reach 5%
    first = json.loads(out.read_text())
    assert {kind: [list(spot) for spot in spots] for kind, spots in first.items()} == {
        "null": [["1", "5"]],
        "power": [["2"]],
    }
    assert {len(changes) for spot in first["null"] for at in spot.values() for changes in at.values()} == {4}
    run("--spots", "2", "--null", "1", "5")
    again = json.loads(out.read_text())
    assert len(again["null"]) == 2
    assert again["null"][0] == first["null"][0]
