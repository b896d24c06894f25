"""Ticks are numbers a reader knows, and never printed over one another."""

import itertools
import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from synthetic_runs import RunMaker

from codingspot.analyses.prediction import _draw as draw_prediction
from codingspot.analyses.reductions import _draw as draw_agreement
from codingspot.evaluation.results import Results
from codingspot.report.drawing import Panel, to_svg
from codingspot.report.plots import draw_perplexity
from codingspot.report.run_files import read_run
from codingspot.report.summary import summarise
from codingspot.report.theme import figure_style
from codingspot.report.ticks import decades, set_ticks, write_numbers


@pytest.mark.parametrize(
    ("values", "written"),
    [
        ([0.0, 0.01, -0.01, 10.0, 10_000.0], ["0", "0.01", "−0.01", "10", "10,000"]),
        ([1.0, 1.5, 5.0], ["1", "1.5", "5"]),
        ([100_000.0, 1_000.0, 1.0], ["10⁵", "10³", "10⁰"]),
        ([0.0, 1.0, -0.0001], ["0", "10⁰", "−10⁻⁴"]),
    ],
)
def test_an_axis_writes_its_numbers_in_one_way(values: list[float], written: list[str]):
    assert write_numbers(values) == written


def test_decades_are_thinned_from_the_largest():
    assert decades(0.01, 30) == pytest.approx([10, 1, 0.1, 0.01])
    assert decades(1, 1e12) == pytest.approx([1e12, 1e9, 1e6, 1e3, 1])


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_texts_of_ticks_don_t_overlap(scale: str):
    values = [0.0025, 0.005, 0.01, 0.02, 0.05, 0.09, 0.1, 0.11, 0.25, 0.3, 0.5, 0.75, 1, 2, 3.652, 4]
    with figure_style():
        figure = Figure(figsize=(4.1, 3.3), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        axes.set_xscale(scale)
        axes.set_xlim(0.002, 6)
        set_ticks(axes.xaxis, values, [f"{value:g}" for value in values])
        figure.draw_without_rendering()
        labels = [label for label in axes.get_xticklabels() if label.get_text()]
        boxes = sorted((label.get_window_extent() for label in labels), key=lambda box: box.x0)
    assert len(axes.get_xticks()) == len(values)
    assert len(boxes) >= 3
    assert all(one.x1 < other.x0 for one, other in itertools.pairwise(boxes))


def texts(panel: Panel) -> list[str]:
    """Every text that the panel's SVG shows."""
    root = ET.fromstring(to_svg(panel, "x"))
    return ["".join(element.itertext()) for element in root.iter() if element.tag.endswith("text")]


@pytest.mark.parametrize("largest", [0.002, 0.3, 8.0, 400.0])
def test_the_prediction_s_axes_are_readable(largest: float):
    sizes = [0.0, largest / 1000, largest / 20, largest]
    joined = pd.DataFrame({"kind": "code", "predicted": [-size for size in sizes] + sizes})
    joined["change"] = joined["predicted"].abs()
    shown = texts(Panel("", "", lambda axes: draw_prediction(axes, joined=joined), size=(4.4, 3.8)))
    assert not [text for text in shown if "$" in text or "math" in text or "e-" in text or "e+" in text]
    numbers = [text for text in shown if re.fullmatch("−?[0-9⁰¹²³⁴⁵⁶⁷⁸⁹⁻.,]+", text)]
    assert "0" in numbers
    assert len(numbers) >= 6


def test_large_perplexities_are_powers_of_ten_throughout(maker: RunMaker, tmp_path: Path):
    folder = maker.write(tmp_path / "run")
    results = Results.read(folder)
    losses = results.losses
    losses["loss"] += 15 * losses["tokens"] * losses["cell"].eq("paper-k1")
    Results(results.outcomes, losses).write(folder, force=True)
    summary = summarise(read_run(folder))
    shown = texts(Panel("", "", lambda axes: draw_perplexity(axes, summary=summary, spot="paper")))
    ticks = [text for text in shown if text.endswith("×")]
    assert len(ticks) >= 3
    assert all(re.fullmatch("10[⁰¹²³⁴⁵⁶⁷⁸⁹]+×", tick) for tick in ticks), json.dumps(ticks)


def test_token_budgets_are_whole_numbers():
    curve = pd.DataFrame(
        {"token_budget": [1024.0, 4096.0], "k_percent": 1.0, "jaccard": [0.5, 0.6], "lowest_jaccard": [0.4, 0.5]}
    )
    shown = texts(Panel("", "", lambda axes: draw_agreement(axes, curve=curve)))
    assert {"1,024", "4,096"} <= set(shown)
