"""One image has one colour wherever it is plotted."""

from __future__ import annotations

import re
from importlib.resources import files

import numpy as np

import finewave as fw
from finewave.scene import make_scene
from finewave.viz.series_colours import ROLES, SERIES
from tests.viz.scenes import WAVELENGTHS, truth_values


def test_a_report_has_the_colours_of_the_viewer() -> None:
    style = (files("finewave.viz.report") / "report.css").read_text(encoding="utf-8")
    for role, colours in ROLES.items():
        assert re.findall(rf"--{role}: (#\w+);", style) == list(colours)


def test_results_of_a_figure_have_no_colour_of_an_input_or_a_reference() -> None:
    assert len(set(SERIES)) == len(SERIES)
    assert SERIES[0] == ROLES["result"][0]
    assert not {each.lower() for each in SERIES} & {ROLES[role][0].lower() for role in ("input", "reference")}


def test_a_figure_has_the_colours_of_the_viewer() -> None:
    truth = make_scene(truth_values(), wavelengths=WAVELENGTHS)
    coarse = make_scene(truth_values().reshape(7, 12, 4, 16, 4).mean((2, 4)), wavelengths=WAVELENGTHS)
    figure = fw.plot.compare({"ours": truth + np.float32(0.01), "theirs": truth}, truth, coarse, points=[(3, 2)])
    (axes,) = [each for each in figure.axes if each.get_xlabel() == "wavelength (nm)"]
    colours = {line.get_label(): line.get_color() for line in axes.lines}
    expected = {"reference": ROLES["reference"][0], "input": ROLES["input"][0], "ours": SERIES[0], "theirs": SERIES[1]}
    assert colours == expected
