"""Bands of scenes and models: a model of some of a sensor's bands knows that sensor."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import finewave as fw
from finewave.inference.band_matching import warn_of_other_sensor
from finewave.scene import make_scene
from finewave.zoo.card import describe
from finewave.zoo.model import Model


@pytest.mark.parametrize(
    ("trained_on", "warned"), [("sentinel2a", False), ("sentinel2a:B2,B3", False), ("sentinel2b:B2,B3", True)]
)
def test_another_sensor_is_noticed(trained_on: str, warned: bool) -> None:
    net = fw.create_model("ridge", ms_bands=2, hs_bands=4)
    model = Model(net, describe(net, sensor=trained_on))
    scene = make_scene(np.ones((2, 3, 3), np.float32), attrs={"sensor": "sentinel2a"})
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        warn_of_other_sensor(scene, model)
    assert [issubclass(each.category, fw.FinewaveWarning) for each in told] == [True] * warned
