"""The public names are a promise, and importing them costs nothing until they are used."""

from __future__ import annotations

import inspect
import resource
import subprocess
import sys

import pytest

import finewave

PUBLIC = [
    "FinewaveWarning",
    "InputError",
    "Model",
    "create_model",
    "degrade",
    "export",
    "from_reference",
    "get_sensor",
    "info",
    "list_models",
    "load_model",
    "metrics",
    "open_scene",
    "plot",
    "save_scene",
    "super_resolve",
    "to_rgb",
]
HEAVY = ["colour", "h5py", "lightning", "matplotlib", "numpy", "rasterio", "scipy", "torch", "xarray", "zarr"]


def test_public_names_are_these() -> None:
    assert sorted(finewave.__all__) == PUBLIC
    assert set(PUBLIC) <= set(dir(finewave))


@pytest.mark.parametrize("name", PUBLIC)
def test_public_name_is_there_and_described(name: str) -> None:
    value = getattr(finewave, name)
    assert inspect.getdoc(value)
    if inspect.isfunction(value):
        assert value.__name__ == name
        assert "Parameters\n" in inspect.getdoc(value)


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="super_resolv"):
        _ = finewave.super_resolv


def test_import_is_light() -> None:
    code = f"import sys, finewave; print([name for name in {HEAVY} if name in sys.modules])"
    assert _run(code) == "[]"


def test_listing_models_needs_no_torch() -> None:
    listing = "finewave.list_models(); finewave.list_models(trained=True)"
    code = f"import sys, finewave; {listing}; print('torch' in sys.modules)"
    assert _run(code) == "False"


def test_command_line_starts_without_heavy_libraries() -> None:
    code = f"import sys, finewave.cli; print([name for name in {HEAVY} if name in sys.modules])"
    assert _run(code) == "[]"


def test_import_takes_less_than_half_a_second() -> None:
    """Of processor time, which is nearly the same on a busy machine."""
    assert min(_seconds("import finewave") - _seconds("pass") for _ in range(2)) < 0.5


def _seconds(code: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    _run(code)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()
