"""Measured responses from files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from finewave import InputError, get_sensor
from finewave.locations import data_folder
from finewave.physics.sensors import list_sensors

GOOD = "wavelength_nm,Red,Green\n400,0,0.5\n500,0.25,1\n600,1,0\n"


def write(folder: Path, text: str, name: str = "my_camera.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_good_file(tmp_path: Path) -> None:
    sensor = get_sensor(write(tmp_path, GOOD))
    assert (sensor.name, sensor.bands) == ("my-camera", ("Red", "Green"))
    np.testing.assert_array_equal(sensor.wavelengths, [400, 500, 600])
    np.testing.assert_array_equal(sensor.curves, [[0, 0.25, 1], [0.5, 1, 0]])
    np.testing.assert_allclose(sensor.response([400, 500, 600]), [[0, 0.2, 0.8], [1 / 3, 2 / 3, 0]])


def test_order_of_columns_byte_order_mark_and_remarks(tmp_path: Path) -> None:
    text = "\ufeff# measured in May\n\nRed, Wavelength_nm ,Green\n0,400,0.5\n0.25,500,1\n\n1,600,0\n"
    sensor = get_sensor(str(write(tmp_path, text)))
    assert sensor.bands == ("Red", "Green")
    np.testing.assert_array_equal(sensor.curves, [[0, 0.25, 1], [0.5, 1, 0]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("\n\n# nothing\n", "is empty"),
        ("wl,R\n400,1\n500,1\n", "no column wavelength_nm; its columns: wl, R"),
        ("band,b1,b2\n0,1,1\n1,1,1\n", "keyed by band number.*columns: band, b1, b2"),
        ("wavelength_nm\n400\n500\n", "no band besides"),
        ("wavelength_nm,R,r\n400,1,1\n500,1,1\n", "must be unique"),
        ("wavelength_nm,R,\n400,1,1\n500,1,1\n", "must be unique"),
        ("wavelength_nm,R\n400,1\n", "1 line"),
        ("wavelength_nm,R\n", "0 line"),
        ("wavelength_nm,R\n400,1\n500\n", "line 3: 1 values"),
        ("wavelength_nm,R\n400,1\n500,x\n", "line 3, R: 'x'"),
        ("wavelength_nm,R\n400,nan\n500,1\n", "line 2, R: 'nan'"),
        ("wavelength_nm,R\n400,1\n500,\n", "line 3, R: ''"),
        ("wavelength_nm,R\n400,1\n\n500,1\n500,1\n", "line 5: wavelengths must increase; 500 nm follows 500"),
        ("wavelength_nm,R\n500,1\n400,1\n", "line 3: wavelengths must increase; 400 nm follows 500"),
        ("wavelength_nm,R\n-400,1\n500,1\n", "-400 nm is not positive"),
        ("wavelength_nm,R\n0.4,1\n0.5,1\n", "micrometres"),
        ("wavelength_nm,R,G\n400,1,0\n500,1,0\n", "'G' is zero at every wavelength"),
        ("wavelength_nm,R\n400,-1\n500,-1\n", "area under its response"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        get_sensor(write(tmp_path, text))


def test_a_file_that_is_not_there_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read.*nowhere\.csv"):
        get_sensor(tmp_path / "nowhere.csv")
    (tmp_path / "image.csv").write_bytes(b"\x89PNG\xff\xfe\x00")
    with pytest.raises(InputError, match=r"cannot read.*image\.csv"):
        get_sensor(tmp_path / "image.csv")


def test_files_of_the_data_folder_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "srf").mkdir()
    write(tmp_path / "srf", GOOD, "My_Phone_5nm.csv")
    write(tmp_path / "srf", "band,b1\n0,1\n1,1\n", "by_number.csv")
    monkeypatch.setenv("FINEWAVE_DATA", str(tmp_path))
    assert get_sensor("my-phone-5nm").bands == get_sensor("MY_PHONE_5NM").bands == ("Red", "Green")
    assert "my-phone-5nm" in list_sensors()
    assert "by-number" not in list_sensors()
    with pytest.raises(InputError, match="keyed by band number"):
        get_sensor("by-number")


def test_without_a_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINEWAVE_DATA", str(tmp_path / "nowhere"))
    assert "sentinel2" in list_sensors()


@pytest.mark.data
def test_the_usual_response_of_cave() -> None:
    path = data_folder() / "srf" / "nikon_d700_cave31.csv"
    if not path.is_file():
        pytest.skip(f"no {path}; set FINEWAVE_DATA")
    table = np.loadtxt(path, delimiter=",", skiprows=1)
    response = get_sensor("nikon-d700-cave31").response(np.arange(400.0, 701.0, 10.0))
    # The file's columns sum to one but for its digits.
    np.testing.assert_allclose(response, table[:, 1:].T, atol=1e-9)
