"""Spots and their spectra from tables, vector files and libraries."""

from __future__ import annotations

import json
import sqlite3
import struct
from pathlib import Path

import numpy as np
import pytest

from finewave.errors import InputError
from finewave.io.ground.spectral_library import Spectrum, read_spectra
from finewave.io.ground.spots import PIXELS, read_spots, refuse_same_places


def text(path: Path, content: str) -> Path:
    path.write_text(content, encoding="utf-8")
    return path


def test_a_table_in_pixels_or_map_coordinates(tmp_path: Path) -> None:
    spots = read_spots(text(tmp_path / "a.csv", "name,column,row,radius,400,410.5 nm\nmoss,3.5,7.5,2,0.1,0.2\n"))
    assert (spots[0].name, spots[0].crs, spots[0].radius) == ("moss", PIXELS, 2)
    assert isinstance(spots[0].spectrum, Spectrum)
    np.testing.assert_array_equal(spots[0].spectrum.wavelengths, [400, 410.5])
    np.testing.assert_array_equal(spots[0].spectrum.values, [0.1, 0.2])
    assert read_spots(text(tmp_path / "b.csv", "x,y,500,400\n1,2,0.3,0.1\n"))[0].crs is None
    assert read_spots(text(tmp_path / "c.csv", "Longitude,Latitude,400,500\n1,2,.3,.1\n"))[0].crs == "EPSG:4326"
    assert read_spots(text(tmp_path / "d.csv", "Lon,Lat,400,500\n1,2,.3,.1\n"))[0].crs == "EPSG:4326"
    (spot,) = read_spots(text(tmp_path / "e.csv", "Easting,Northing,400 nm,500 nm\n1,2,.3,.1\n"))
    assert (spot.crs, spot.points.tolist()) == (None, [[1, 2]])


def test_a_table_with_semicolons(tmp_path: Path) -> None:
    (spot,) = read_spots(text(tmp_path / "a.csv", "name;x;y;400;500\nmoss, wet;1;2;0.1;0.2\n"))
    assert spot.name == "moss, wet"
    assert isinstance(spot.spectrum, Spectrum)
    np.testing.assert_array_equal(spot.spectrum.values, [0.1, 0.2])


def test_json_that_is_not_geojson(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not GeoJSON"):
        read_spots(text(tmp_path / "a.geojson", "[1]"))


def test_targets_and_libraries_by_name(tmp_path: Path) -> None:
    np.array([[10, 20, 30], [40, 50, 60]], "<i2").tofile(tmp_path / "lib.sli")
    text(
        tmp_path / "lib.hdr",
        "ENVI\nsamples = 3\nlines = 2\nbands = 1\ndata type = 2\nbyte order = 0\nreflectance scale factor = 100\n"
        "wavelength units = Micrometers\nwavelength = {0.4, 0.5, 0.6}\nspectra names = {moss, bare soil}\n",
    )
    text(tmp_path / "asd.txt", "Wavelength\tleaf.000\n350\t0.05\n351\t0.06\n352\t0.07\n")
    rows = "column,row,spectrum\n1,1,white\n2,1,grey-50\n3,1,lib.sli:bare soil\n4,1,asd.txt\n"
    white, grey, soil, leaf = (each.spectrum for each in read_spots(text(tmp_path / "a.csv", rows)))
    assert (white, grey) == (0.99, 0.5)
    assert isinstance(soil, Spectrum)
    assert isinstance(leaf, Spectrum)
    np.testing.assert_allclose(soil.wavelengths, [400, 500, 600])
    np.testing.assert_allclose(soil.values, [0.4, 0.5, 0.6])
    np.testing.assert_allclose(leaf.values, [0.05, 0.06, 0.07])


def test_a_text_of_several_spectra(tmp_path: Path) -> None:
    content = "made by a program\nWavelength;a;b\n700;0.3;0.4\n400;0.1;0.2\n"
    found = read_spectra(text(tmp_path / "two.txt", content))
    assert list(found) == ["a", "b"]
    np.testing.assert_array_equal(found["b"].values, [0.2, 0.4])


def test_points_and_polygons_of_geojson(tmp_path: Path) -> None:
    square = [[[0, 0], [4, 0], [4, 4], [0, 0]]]
    features = [
        {"geometry": {"type": "Point", "coordinates": [11.5, 48.1]}, "properties": {"400": 0.1, "500": 0.2}},
        {"geometry": {"type": "Polygon", "coordinates": square}, "properties": {"name": "b", "spectrum": "white"}},
    ]
    content = {"type": "FeatureCollection", "features": features}
    first, second = read_spots(text(tmp_path / "a.geojson", json.dumps(content)))
    assert (first.crs, first.points.tolist()) == ("EPSG:4326", [[11.5, 48.1]])
    assert (second.name, len(second.points)) == ("b", 4)
    content["crs"] = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32631"}}
    assert read_spots(text(tmp_path / "b.json", json.dumps(content)))[0].crs == "urn:ogc:def:crs:EPSG::32631"


def test_points_of_a_geopackage(tmp_path: Path) -> None:
    path = tmp_path / "a.gpkg"
    point = b"GP\x00\x01" + struct.pack("<i", 32631) + struct.pack("<BI2d", 1, 1, 500005.0, 3999995.0)
    ring = [(0.0, 0.0), (0.0, 3.0), (3.0, 3.0), (0.0, 0.0)]
    polygon = b"GP\x00\x03" + struct.pack("<i", 32631) + struct.pack("<4d", 0, 3, 0, 3)  # with an envelope
    polygon += struct.pack("<BIII", 1, 3, 1, 4) + b"".join(struct.pack("<2d", *corner) for corner in ring)
    connection = sqlite3.connect(path)
    connection.executescript(
        "CREATE TABLE gpkg_geometry_columns (table_name, column_name, geometry_type_name, srs_id, z, m);"
        "INSERT INTO gpkg_geometry_columns VALUES ('spots', 'geom', 'GEOMETRY', 32631, 0, 0);"
        "CREATE TABLE gpkg_spatial_ref_sys (srs_name, srs_id, organization, organization_coordsys_id, definition);"
        "INSERT INTO gpkg_spatial_ref_sys VALUES ('u', 32631, 'EPSG', 32631, '');"
        'CREATE TABLE spots (fid, geom, name, "400", "500");'
    )
    connection.executemany(
        "INSERT INTO spots VALUES (?, ?, ?, ?, ?)", [(1, point, "p", 0.1, 0.2), (2, polygon, "q", 0.3, 0.4)]
    )
    connection.commit()
    connection.close()
    first, second = read_spots(path)
    assert (first.name, first.crs, first.points.tolist()) == ("p", "EPSG:32631", [[500005.0, 3999995.0]])
    assert second.points.tolist() == [list(corner) for corner in ring]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("column,row,400,500\n", "holds no spots"),
        ("east,north,400,500\n1,2,.1,.2\n", "does not say where"),
        ("x,y\n1,2\n", "has no spectrum"),
        ("x,y,400,500\n1,2,0,0\n", "zeros or of nothing"),
        ("x,y,400,500\n1,2,,\n", "zeros or of nothing"),
        ("x,y,400,500\n1,2,12,35\n", "percent"),
        ("x,y,400,500\n1,here,.1,.2\n", "not a number"),
        ("x,y,400,500\n1,2,.1,low\n", "not a number"),
        ("x,y,400,500\n1,nan,.1,.2\n", "not a number"),
        ("x,y,radius,400,500\n1,2,-1,.1,.2\n", "radius"),
        ("x,y,radius,400,500\n1,2,inf,.1,.2\n", "radius"),
        ("x,y,spectrum\n1,2,purple\n", "neither a target"),
        ("x,y,spectrum\n1,2,grey\n", "how bright"),
        ("x,y,spectrum\n1,2,missing.sli:a\n", "no such file"),
        ("x,y,spectrum\n1,2,../secret.csv:a\n", "leads out of its folder"),
        ("x,y,spectrum\n1,2,/home/secret.csv:a\n", "leads out of its folder"),
    ],
)
def test_what_cannot_be_a_spot_is_said_in_one_line(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        read_spots(text(tmp_path / "a.csv", content))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "geometry",
    [
        {"type": "Point", "coordinates": [9.0]},
        {"type": "Polygon", "coordinates": [[]]},
        {"type": "Polygon", "coordinates": [[[9.0], [9.1]]]},
    ],
)
def test_a_geometry_without_x_and_y_is_refused(tmp_path: Path, geometry: dict) -> None:
    features = [{"type": "Feature", "geometry": geometry, "properties": {"400": 0.1, "500": 0.2}}]
    with pytest.raises(InputError, match="spot 1 has no place"):
        read_spots(text(tmp_path / "a.geojson", json.dumps({"type": "FeatureCollection", "features": features})))


def test_removed_channels_of_a_library_are_not_values(tmp_path: Path) -> None:
    np.array([0.1, -1.23e34, -9.0, 0.3], "<f4").tofile(tmp_path / "lib.sli")
    text(
        tmp_path / "lib.hdr",
        "ENVI\nsamples = 4\nlines = 1\nbands = 1\ndata type = 4\nbyte order = 0\ndata ignore value = -9\n"
        "wavelength units = Nanometers\nwavelength = {400, 500, 600, 700}\nspectra names = {moss}\n",
    )
    values = read_spectra(tmp_path / "lib.sli")["moss"].values
    np.testing.assert_allclose(values, [0.1, np.nan, np.nan, 0.3], rtol=1e-6)


def test_one_place_twice_is_refused(tmp_path: Path) -> None:
    spots = read_spots(text(tmp_path / "a.csv", "x,y,400,500\n1,2,.1,.2\n1,2,.3,.4\n"))
    with pytest.raises(InputError, match="spot 1 and spot 2 are at the same place"):
        refuse_same_places(spots)


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_spots(tmp_path / "none.csv")
    with pytest.raises(InputError, match=r"read from \.csv"):
        read_spots(text(tmp_path / "a.kml", "<kml/>"))
    with pytest.raises(InputError):
        read_spots(text(tmp_path / "a.geojson", "{"))


def test_decimal_commas_between_semicolons(tmp_path: Path) -> None:
    """As the message about too many values advises."""
    (spot,) = read_spots(text(tmp_path / "a.csv", "name;x;y;400;410,5 nm\na, b;1,5;-2,25;0,1;,2\n"))
    assert spot.name == "a, b"
    assert spot.points.tolist() == [[1.5, -2.25]]
    assert spot.spectrum.wavelengths.tolist() == [400, 410.5]
    assert spot.spectrum.values.tolist() == [0.1, 0.2]


def test_separators_at_the_end_of_rows_are_no_values(tmp_path: Path) -> None:
    (spot,) = read_spots(text(tmp_path / "a.csv", "x,y,400,410\n1,2,0.1,0.2,, \n"))
    assert spot.points.tolist() == [[1, 2]]


def test_a_hole_of_a_polygon_is_kept(tmp_path: Path) -> None:
    outer, inner = [[0, 0], [9, 0], [9, 9], [0, 9], [0, 0]], [[3, 3], [6, 3], [6, 6], [3, 3]]
    feature = {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [outer, inner]},
        "properties": {"400": 0.1, "500": 0.2},
    }
    path = text(tmp_path / "a.geojson", json.dumps({"type": "FeatureCollection", "features": [feature]}))
    (spot,) = read_spots(path)
    assert spot.points.tolist() == outer
    assert [each.tolist() for each in spot.holes] == [inner]
    feature["geometry"]["coordinates"][1] = [[3, 3], [6, 3]]
    with pytest.raises(InputError, match="a hole of fewer than three corners"):
        read_spots(text(path, json.dumps({"type": "FeatureCollection", "features": [feature]})))


POINT = {"type": "Point", "coordinates": [1.0, 2.0]}


@pytest.mark.parametrize(
    "content",
    [
        [],
        {"type": "FeatureCollection", "features": {"a": 1}},
        {"type": "FeatureCollection", "features": [None]},
        {"type": "FeatureCollection", "features": ["a"]},
        {"features": [{"geometry": [1, 2], "properties": {"400": 0.1, "500": 0.2}}]},
        {"features": [{"geometry": {"type": "Point", "coordinates": "here"}, "properties": {"400": 1, "500": 1}}]},
        {"features": [{"geometry": {"type": "Point", "coordinates": [{}, 1]}, "properties": {"400": 1, "500": 1}}]},
        {"features": [{"geometry": {"type": "Polygon", "coordinates": 7}, "properties": {"400": 1, "500": 1}}]},
        {"features": [{"geometry": {"type": "LineString", "coordinates": [[1, 2], [3, 4]]}, "properties": {}}]},
        {"features": [{"geometry": POINT, "properties": ["400"]}]},
        {"features": [{"geometry": POINT, "properties": {"400": [1], "500": 0.2}}]},
        {"features": [{"geometry": POINT, "properties": {"400": 0.1, "500": 0.2, "radius": "wide"}}]},
        {"features": [{"geometry": POINT, "properties": {"400": 0.1}}]},
        {"features": [{"geometry": None, "properties": {"400": 0.1, "500": 0.2}}]},
        {"features": []},
        {},
    ],
)
def test_damaged_geojson_is_one_line(tmp_path: Path, content: object) -> None:
    with pytest.raises(InputError) as caught:
        read_spots(text(tmp_path / "a.geojson", json.dumps(content)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00\x01\x02\xff",
        b"x,y,400,500\n1,2\n",
        b"x,y,400,500\n1,2,.1,.2,.3,.4\n1\n",
        b'x,y,400,500\n"1,2,.1,.2\n',
        b"x,y,400,400\n1,2,.1,.2\n",
        b"\xff\xfex,y,400,500\n",
        b"x,y,400,500\n" + b"1," * 20_000,
        b"x" * 200_000,
    ],
)
def test_damaged_tables_are_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_spots(tmp_path / "a.csv")
    assert "\n" not in str(caught.value)


def test_damaged_geopackages_are_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.gpkg"
    for content in (b"", b"GP", b"SQLite format 3\x00" + b"\x07" * 200):
        path.write_bytes(content)
        with pytest.raises(InputError) as caught:
            read_spots(path)
        assert "\n" not in str(caught.value)
    head = b"GP\x00\x01" + struct.pack("<i", 32631)
    for blob in (
        b"GP", head, head + b"\x01", head + struct.pack("<BII", 1, 3, 9), head + struct.pack("<BII", 1, 3, 0),
        head + struct.pack("<BIII", 1, 3, 1, 4_000_000_000), head + struct.pack("<BI", 1, 2),
    ):  # fmt: skip
        path.unlink()
        connection = sqlite3.connect(path)
        connection.executescript(
            "CREATE TABLE gpkg_geometry_columns (table_name, column_name, geometry_type_name, srs_id, z, m);"
            "INSERT INTO gpkg_geometry_columns VALUES ('spots', 'geom', 'GEOMETRY', 32631, 0, 0);"
            "CREATE TABLE gpkg_spatial_ref_sys (srs_name, srs_id, organization, organization_coordsys_id, definition);"
            'CREATE TABLE spots (fid, geom, name, "400", "500");'
        )
        connection.execute("INSERT INTO spots VALUES (1, ?, 'p', 0.1, 0.2)", (blob,))
        connection.commit()
        connection.close()
        with pytest.raises(InputError) as caught:
            read_spots(path)
        assert "\n" not in str(caught.value)


ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"


@pytest.mark.parametrize(
    "statements",
    [
        f"CREATE VIEW gpkg_geometry_columns AS {ENDLESS} SELECT max(i) table_name, 1 column_name, 1 srs_id FROM n",
        "CREATE TABLE gpkg_geometry_columns (table_name, column_name, srs_id);"
        "INSERT INTO gpkg_geometry_columns VALUES ('spots', 'geom', 0);"
        "CREATE TABLE gpkg_spatial_ref_sys (srs_id, organization, organization_coordsys_id);"
        f"CREATE VIEW spots AS {ENDLESS} SELECT count(i) AS geom FROM n",
        "CREATE TABLE gpkg_geometry_columns (table_name, column_name, srs_id);"
        "INSERT INTO gpkg_geometry_columns VALUES ('spots', 'geom', 0);"
        "CREATE TABLE gpkg_spatial_ref_sys (srs_id, organization, organization_coordsys_id);"
        "CREATE VIEW spots AS SELECT zeroblob(900000000) AS geom",
        "CREATE TABLE gpkg_geometry_columns (table_name, column_name, srs_id);"
        "INSERT INTO gpkg_geometry_columns VALUES ('x\" UNION SELECT \"', 'geom', 0);"
        "CREATE TABLE gpkg_spatial_ref_sys (srs_id, organization, organization_coordsys_id);",
        "CREATE TABLE gpkg_geometry_columns (table_name, column_name, srs_id);"
        "INSERT INTO gpkg_geometry_columns VALUES ('spots', 'geom', 0);"
        "CREATE TABLE gpkg_spatial_ref_sys (srs_id, organization, organization_coordsys_id);"
        "CREATE TABLE spots (geom); INSERT INTO spots VALUES ('text')",
    ],
    ids=["endless layer", "endless table", "a gigabyte", "a name with quotes", "a text for a geometry"],
)
def test_queries_in_the_place_of_tables_end(statements: str, tmp_path: Path) -> None:
    path = tmp_path / "a.gpkg"
    connection = sqlite3.connect(path)
    connection.executescript(statements)
    connection.close()
    with pytest.raises(InputError) as caught:
        read_spots(path)
    assert "\n" not in str(caught.value)
    assert "a.gpkg" in str(caught.value)


def test_geometries_in_geometries_without_end(tmp_path: Path) -> None:
    nested = struct.pack("<BII", 1, 4, 1) * 5000 + struct.pack("<BI2d", 1, 1, 1.0, 2.0)
    path = tmp_path / "a.gpkg"
    connection = sqlite3.connect(path)
    connection.executescript(
        "CREATE TABLE gpkg_geometry_columns (table_name, column_name, srs_id);"
        "INSERT INTO gpkg_geometry_columns VALUES ('spots', 'geom', 0);"
        "CREATE TABLE gpkg_spatial_ref_sys (srs_id, organization, organization_coordsys_id);"
        'CREATE TABLE spots (geom, "400");'
    )
    connection.execute("INSERT INTO spots VALUES (?, 0.5)", (b"GP\x00\x01" + struct.pack("<i", 0) + nested,))
    connection.commit()
    connection.close()
    with pytest.raises(InputError, match=r"a\.gpkg"):
        read_spots(path)
