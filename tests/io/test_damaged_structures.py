"""JSON and headers with something else where a number, list or object belongs: refused by name, in plain words."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import finewave as fw
from finewave.io.ground.spectral_library import read_spectra
from finewave.io.ground.spots import read_spots
from tests.io.products import test_stac as stac

pytestmark = pytest.mark.filterwarnings("ignore::finewave.warnings.FinewaveWarning")
OTHERS: tuple[Any, ...] = (None, "x", [None], {"a": 1}, True)
# words of Python and NumPy, which say nothing to whoever made the file
FOREIGN = ("damaged, trunc", "object", "subscriptable", "iterable", "inhomogeneous", "argument", "literal", "NoneType")
SPOTS = {
    "type": "FeatureCollection",
    "crs": {"type": "name", "properties": {"name": "EPSG:32632"}},
    "features": [
        {
            "properties": {"name": "a", "radius": 2, "400": 0.1, "500": 0.2},
            "geometry": {"type": "Point", "coordinates": [1, 2]},
        },
        {
            "properties": {"spectrum": "white"},
            "geometry": {"type": "Polygon", "coordinates": [[[1, 2], [3, 4], [5, 5], [1, 2]]]},
        },
    ],
}


def changed(document: Any, others: tuple[Any, ...] = OTHERS) -> Iterator[Any]:
    """Yield a document with each of its parts replaced in turn."""

    def parts(part: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
        yield path
        keys = part if isinstance(part, dict) else range(len(part)) if isinstance(part, list) else ()
        for key in keys:
            yield from parts(part[key], (*path, key))

    for path in parts(document):
        for other in others:
            whole = {"": copy.deepcopy(document)}
            place: Any = whole
            for key in ("", *path)[:-1]:
                place = place[key]
            place[("", *path)[-1]] = other
            yield whole[""]


def refused_in_plain_words(documents: Iterator[Any], path: Path, read: Callable[[Path], Any]) -> int:
    refused = 0
    for each in documents:
        path.write_text(json.dumps(each))
        try:
            read(path)
        except fw.InputError as error:
            text = str(error).replace(str(path), "")
            assert not [word for word in FOREIGN if word in text], (each, text)
            refused += 1
    return refused


@pytest.mark.parametrize("version", ["1.0.0", "1.1.0"])
def test_stac_items(version: str, tmp_path: Path) -> None:
    stac.band_file(tmp_path / "red.tif", 2000)
    item = stac.item_of({"red": stac.asset("red", version)}, version)
    assert refused_in_plain_words(changed(item, ("x",)), tmp_path / "item.json", fw.open_scene) > 6
    item["assets"]["red"]["raster:scale"] = "x"
    with pytest.raises(fw.InputError, match="asset red: raster:scale is 'x', where a number is expected"):
        fw.open_scene(stac.write(tmp_path, item))
    with pytest.raises(fw.InputError, match=r"leads to .*blue\.tif with its asset blue, which is missing"):
        fw.open_scene(stac.write(tmp_path, stac.item_of({"blue": stac.asset("blue", version)}, version)))


def test_spots(tmp_path: Path) -> None:
    assert refused_in_plain_words(changed(SPOTS), tmp_path / "spots.geojson", read_spots) > 90
    broken = copy.deepcopy(SPOTS)
    broken["features"][0]["geometry"]["coordinates"][1] = "north"  # type: ignore[index]
    (tmp_path / "spots.geojson").write_text(json.dumps(broken))
    with pytest.raises(fw.InputError, match="a coordinate of a is 'north', where a number is expected"):
        read_spots(tmp_path / "spots.geojson")


@pytest.mark.parametrize("field", ["samples", "lines", "wavelength"])
@pytest.mark.parametrize("value", ["x", "-1", "0", "{}", "1e400", "99999999999", "nan", "2.5"])
def test_headers_of_spectral_libraries(field: str, value: str | None, tmp_path: Path) -> None:
    fields = {
        "samples": "3", "lines": "2", "bands": "1", "data type": "4", "header offset": "0",
        "wavelength": "{400, 500, 600}", "reflectance scale factor": "1",
    }  # fmt: skip
    fields = {key: each for key, each in {**fields, field: value}.items() if each is not None}
    np.ones((2, 3), "f4").tofile(tmp_path / "a.sli")
    (tmp_path / "a.hdr").write_text("ENVI\n" + "".join(f"{key} = {each}\n" for key, each in fields.items()))
    with pytest.raises(fw.InputError) as caught:
        read_spectra(tmp_path / "a.sli")
    assert not [word for word in FOREIGN if word in str(caught.value)], str(caught.value)
