"""The command line has every option of a prediction, by the same name and default."""

from __future__ import annotations

from dataclasses import fields

from finewave.cli.options import numbers_or_names
from finewave.cli.predict import KERNELS, predict
from finewave.inference.options import PredictOptions
from finewave.physics import degradation

OWN = {"source", "output", "model", "as_json"}


def test_options_and_defaults_are_those_of_python() -> None:
    parameters = {each.name: each for each in predict.params if each.name not in OWN}
    options = {field.name: field.default for field in fields(PredictOptions)}
    assert set(parameters) == set(options)
    for name, default in options.items():
        given = parameters[name].default
        stated = bool(default) and default is not None
        assert given == default if stated else not given or "UNSET" in repr(given), name
    assert KERNELS == degradation.KERNELS


def test_bands_are_wavelengths_or_names() -> None:
    assert numbers_or_names("550, 650.5,B2") == [550.0, 650.5, "B2"]
    assert numbers_or_names(None) is None
