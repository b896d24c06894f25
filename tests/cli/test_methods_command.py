import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from codingspot.ablation import CONTROLS, EDITS
from codingspot.cli.app import app
from codingspot.importance import ALIASES, ESTIMATORS
from codingspot.spot import RECIPES


def call(*arguments: str):
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "80", "TERM": "dumb"})


def test_everything_registered_is_listed_with_its_parameters():
    found = json.loads(call("methods", "--json").output)
    names = {(method["sort"], method["name"]): method for method in found}
    for registry in (ESTIMATORS, RECIPES, EDITS, CONTROLS):
        for name in registry:
            assert set(names[registry.sort, name]["parameters"]) == set(registry.parameters(name))
    assert {("estimator", alias) for alias in ALIASES} < set(names)
    assert names["recipe", "learned"]["parameters"]["shortlist"]["default"] == "set_difference"
    assert names["edit", "scale"]["parameters"] == {"alpha": {"type": "float"}}
    assert {method["source"] for method in found} == {"codingspot"}


def test_one_sort_fits_80_columns():
    result = call("methods", "recipe")
    assert result.exit_code == 0
    assert "set_difference" in result.output
    assert "keep_only" not in result.output
    assert max(map(len, result.output.splitlines())) <= 80
    assert "use one of estimator" in call("methods", "recipes").output


def test_an_installed_package_s_methods_are_named_and_a_faulty_one_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = tmp_path / "third_party-0.3.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: third-party\nVersion: 0.3\n")
    (folder / "entry_points.txt").write_text(
        "[codingspot.recipes]\nblend = third_party_recipes:blend\n[codingspot.edits]\ngone = nowhere:gone\n"
    )
    (tmp_path / "third_party_recipes.py").write_text(
        "def blend(candidates, *, parts: int = 3):\n"
        '    """Blends the languages."""\n'
        "    return lambda run: (run.magnitudes(candidates.code).amax(dim=0), None)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "third_party_recipes", raising=False)
    for registry in (RECIPES, EDITS):
        monkeypatch.delitem(registry.__dict__, "_installed", raising=False)
    try:
        found = {method["name"]: method for method in json.loads(call("methods", "--json").output)}
        assert found["blend"]["source"] == "third-party 0.3"
        assert found["blend"]["summary"] == "Blends the languages."
        assert found["blend"]["parameters"] == {"parts": {"type": "int", "default": "3"}}
        assert "can't be imported" in found["gone"]["error"]
        assert "third-party 0.3" in call("methods").output
    finally:
        for registry in (RECIPES, EDITS):
            registry.__dict__.pop("_installed", None)
