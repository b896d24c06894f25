"""Options come from the settings that they set."""

from typing import Literal

import pytest
import typer
from pydantic import Field
from typer.testing import CliRunner

from codingspot.cli.app import app
from codingspot.cli.options import command, given_settings, option_name, settings_options
from codingspot.models.section import ModelSection
from codingspot.settings import Settings


class Example(Settings):
    quantile: float = Field(0.5, gt=0, description="the bar")
    quantiles: tuple[float, ...] = Field((0.1, 0.2), description="compared")
    seeds: tuple[int, ...] = Field((0, 1), json_schema_extra={"none": "--no-seeds"})
    pair: tuple[str, str] | None = None
    way: Literal["up", "down"] = "up"
    exclusive: bool = False
    nested: dict[str, int] = {}  # noqa: RUF012 - pydantic copies it


def given(*arguments: str) -> dict[str, object]:
    found: dict[str, object] = {}
    made = typer.Typer()
    made.command()(command(found.update, settings_options(Example), "example", ""))
    result = CliRunner().invoke(made, list(arguments))
    assert result.exit_code == 0, result.output
    return given_settings(Example, found)


def test_what_is_not_given_is_the_settings_default():
    assert Example.model_validate(given()) == Example()


def test_options_set_what_they_are_called():
    arguments = ("--quantile", "0.7", "--quantiles", "0.3", "--seed", "5", "--seed", "6", "--pair", "a", "b")
    found = Example.model_validate(given(*arguments, "--way", "down", "--exclusive"))
    assert found == Example(quantile=0.7, quantiles=(0.3,), seeds=(5, 6), pair=("a", "b"), way="down", exclusive=True)
    assert Example.model_validate(given("--no-seeds")).seeds == ()


def test_a_list_s_option_is_of_one_value_unless_another_bears_that_name():
    assert option_name(Example, "seeds") == "--seed"
    assert option_name(Example, "quantiles") == "--quantiles"
    assert "nested" not in {each.name for each in settings_options(Example)}


@pytest.mark.parametrize("name", ["score", "eval", "units", "neurons", "align", "lens"])
def test_every_command_that_takes_a_model_can_load_it_in_every_way(name: str):
    text = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "300"}).output
    for field in ModelSection.model_fields.keys() - {"id"}:
        assert option_name(ModelSection, field) in text


def test_a_wrong_way_of_loading_names_its_option(tmp_path):
    result = CliRunner().invoke(app, ["eval", "testbed", "--dtype", "int3", "--out", str(tmp_path / "x")])
    assert result.exit_code == 1
    assert "--dtype: Input should be 'float32'" in result.output
