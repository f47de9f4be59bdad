"""``finewave sensors``: the list, one sensor, its curves, without PyTorch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from finewave import get_sensor
from finewave.cli import main
from finewave.errors import InputError
from finewave.physics.sensors import list_sensors


def run(*words: str) -> str:
    result = CliRunner().invoke(main, ["sensors", *words])
    assert result.exit_code == 0, result.output
    return result.output


def test_all_are_listed_with_their_ranges_and_without_pytorch() -> None:
    code = (
        "import sys; from finewave.cli import main; main(['sensors'], standalone_mode=False); "
        "assert not {'torch', 'matplotlib'} & set(sys.modules), 'heavy import'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    listed = {line.split()[0]: line for line in done.stdout.splitlines()[2:]}
    assert set(list_sensors()) <= set(listed)
    assert listed["landsat9"].split()[1:3] == ["9", "432-2337"]
    assert "YAML" in done.stdout


def test_one_sensor_says_centre_width_and_source() -> None:
    told = json.loads(run("superdove", "--json"))
    assert told["source"].startswith("Planet")
    yellow = next(band for band in told["each"] if band["band"] == "yellow")
    assert (yellow["centre_nm"], yellow["pixel_m"], yellow["mtf"]) == (610.0, 3.7, None)
    assert yellow["width_nm"] == pytest.approx(20, abs=0.2)
    lines = run("sentinel2a:B4,B8").splitlines()
    assert lines[-2].split() == ["B4", "664.6", "31", "10", "0.24"]


@pytest.mark.parametrize(("name", "band"), [("landsat8", "B5"), ("enmap", "60"), ("quickbird", "nir")])
def test_widths_are_those_of_the_table(name: str, band: str) -> None:
    from finewave.physics.sensors.satellites import nominal_bands

    assert get_sensor(name, bands=band).widths[0] == pytest.approx(nominal_bands(name)[band][1], rel=0.02)


def test_the_curves_are_drawn(tmp_path: Path) -> None:
    for name, file in (("rapideye", "curves.png"), ("nikon-d5100", "curves.pdf")):
        assert "written" in run(name, "--figure", str(tmp_path / file))
    from PIL import Image

    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.size[0] > 1000
        assert len(picture.convert("RGB").getcolors(1 << 24)) > 20
    assert (tmp_path / "curves.pdf").read_bytes().startswith(b"%PDF")


def test_an_unknown_sensor_names_the_way_to_ones_own() -> None:
    with pytest.raises(InputError, match=r"rapideye.*YAML file with the centre and width.*CSV"):
        get_sensor("rapid-eye-5")


@pytest.mark.parametrize("words", [["--figure", "x.png"], ["modis", "--figure", "x.bmp"]])
def test_figures_that_cannot_be_drawn_are_bad_usage(words: list[str]) -> None:
    assert CliRunner().invoke(main, ["sensors", *words]).exit_code == 2
