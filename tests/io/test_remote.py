"""Files that lie elsewhere: what is fetched of them, what is said when they cannot be, and what stays here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import rasterio

import finewave as fw
from finewave.errors import InputError
from finewave.io.network import location
from finewave.io.network.location import remote_of
from finewave.scene import make_scene
from tests.http_server import FileServer, file_server

TILE = 256
TRANSFORM = (10.0, 0.0, 5e5, 0.0, -10.0, 5e6)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture(scope="module")
def values() -> np.ndarray:
    return np.random.default_rng(17).random((4, 1024, 1024), dtype=np.float32)


@pytest.fixture(scope="module")
def folder(values: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same image as a tiled TIFF of floats, one of integers without a scale, and a Zarr store."""
    folder = tmp_path_factory.mktemp("served")
    scene = make_scene(values, [490, 560, 665, 842], crs="EPSG:32632", transform=TRANSFORM)
    fw.save_scene(scene, folder / "scene.zarr")
    for name, dtype, size in (
        ("floats.tif", "float32", 1024),
        ("integers.tif", "uint16", 1024),
        ("small.tif", "float32", 32),
    ):
        stored = values[:, :size, :size] if dtype == "float32" else (values * 9000 + 1).astype(np.uint16)
        profile = {"driver": "GTiff", "dtype": dtype, "count": 4, "height": size, "width": size, "interleave": "pixel"}
        place = {"crs": "EPSG:32632", "transform": rasterio.Affine(*TRANSFORM)}
        with rasterio.open(
            folder / name, "w", tiled=True, blockxsize=TILE, blockysize=TILE, **profile, **place
        ) as dataset:
            dataset.write(stored)
            dataset.descriptions = ("490 nm", "560 nm", "665 nm", "842 nm")
    return folder


@pytest.fixture
def server(folder: Path) -> Iterator[FileServer]:
    with file_server(folder) as served:
        yield served


def test_a_window_of_a_tiled_file_costs_its_tiles(server: FileServer, values: np.ndarray) -> None:
    scene = fw.open_scene(f"{server.url}/floats.tif")
    part = scene[:, 256:768, 512:1024].values
    np.testing.assert_array_equal(part, values[:, 256:768, 512:1024])
    assert server.sent <= 1.3 * part.nbytes, server.requests
    assert scene.rio.transform() == rasterio.Affine(*TRANSFORM)


def test_a_scale_is_guessed_from_little(server: FileServer) -> None:
    with pytest.warns(fw.FinewaveWarning, match="assumed that 10000"):
        scene = fw.open_scene(f"{server.url}/integers.tif")
    part = scene[:, :512, :512].values
    tile = TILE * TILE * 4 * 2
    assert server.sent <= 1.3 * (part.nbytes / 2) + 4 * tile  # beside the window a spot in the middle, four tiles
    assert server.sent < (server.folder / "integers.tif").stat().st_size / 2


def test_a_window_of_a_zarr_store_costs_its_chunks(server: FileServer, values: np.ndarray, folder: Path) -> None:
    chunk = (folder / "scene.zarr" / "scene" / "0.1.1").stat().st_size
    scene = fw.open_scene(f"{server.url}/scene.zarr")
    for _ in range(3):  # what was fetched is kept
        np.testing.assert_array_equal(scene[:, 512:, 512:].values, values[:, 512:, 512:])
    assert server.sent <= 1.3 * chunk, server.requests
    assert scene.wavelength.values.tolist() == [490, 560, 665, 842]


@pytest.mark.parametrize("name", ["floats.tif", "scene.zarr"])
def test_predict_fetches_and_writes_the_window_alone(name: str, server: FileServer, tmp_path: Path) -> None:
    from finewave.inference.predict import predict_file

    out = tmp_path / "out.tif"
    predict_file(f"{server.url}/{name}", out, "bicubic", scale=2, window=(512, 512, 1024, 1024), bands=[560, 842])
    needed = 512 * 512 * 4 * 4
    assert server.sent <= 1.3 * needed, server.requests
    result = fw.open_scene(out)
    assert result.shape == (2, 1024, 1024)
    assert result.rio.transform() == rasterio.Affine(5, 0, 5e5 + 5120, 0, -5, 5e6 - 5120)


def test_bbox_fetches_its_part_alone(server: FileServer, tmp_path: Path) -> None:
    from finewave.inference.predict import predict_file

    box = (5e5, 5e6 - 2560, 5e5 + 2560, 5e6)
    predict_file(f"{server.url}/floats.tif", tmp_path / "out.nc", "bicubic", scale=2, bbox=box)
    assert server.sent <= 1.3 * TILE * TILE * 4 * 4
    assert fw.open_scene(tmp_path / "out.nc").shape == (4, 512, 512)


def test_info_and_compare_take_urls(server: FileServer, folder: Path) -> None:
    told = fw.info(f"{server.url}/small.tif?token=hush", models=False)
    assert told["path"] == f"{server.url}/small.tif?..."
    assert (told["bands"], told["crs"]) == (4, "EPSG:32632")
    from finewave.evaluation.compare_files import compare_files

    scores = compare_files(f"{server.url}/small.tif", folder / "small.tif")
    assert scores["rmse"] == 0


def test_a_photograph_is_fetched_whole_and_linearised(tmp_path: Path) -> None:
    rgb = np.random.default_rng(1).integers(0, 255, (40, 50, 3), dtype=np.uint8)
    iio.imwrite(tmp_path / "photo.png", rgb)
    iio.imwrite(tmp_path / "photo.tif", rgb)
    with file_server(tmp_path) as served:
        for name in ("photo.png", "photo.tif"):
            far, near = fw.open_scene(f"{served.url}/{name}"), fw.open_scene(tmp_path / name)
            np.testing.assert_array_equal(far.values, near.values)
            assert far.attrs["transfer_function"] == near.attrs["transfer_function"]


def test_a_server_without_ranges_sends_small_files_whole(folder: Path, values: np.ndarray) -> None:
    with file_server(folder, ranges=False) as served:
        scene = fw.open_scene(f"{served.url}/floats.tif")
        np.testing.assert_array_equal(scene.values, values)


SECRET = "X-Amz-Signature=0123456789abcdef"


@pytest.mark.parametrize("name", ["missing.tif", "missing.zarr", "missing.json", "missing.png", "missing"])
def test_what_is_not_there(name: str, server: FileServer) -> None:
    query = "" if name.endswith("zarr") else f"?{SECRET}"
    with pytest.raises(InputError, match="404") as caught:
        fw.open_scene(f"{server.url}/{name}{query}")
    assert f"{server.url}/{name}" in str(caught.value)
    assert "0123" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_what_a_server_refuses(status: int, server: FileServer) -> None:
    server.answers = status
    with pytest.raises(InputError, match=str(status)):
        fw.open_scene(f"{server.url}/floats.tif")


def test_a_server_that_goes_away_while_it_is_read(server: FileServer) -> None:
    scene = fw.open_scene(f"{server.url}/floats.tif?{SECRET}")
    server.answers = 403
    with pytest.raises(InputError) as caught:
        _ = scene[:, :300, :300].values
    assert "0123" not in str(caught.value)
    assert "/vsi" not in str(caught.value)
    assert server.url in str(caught.value)


def test_waits_are_bounded(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(location, "CONNECT_SECONDS", 0.2)
    server.hangs = True
    with pytest.raises(InputError, match="did not answer within"):
        fw.open_scene(f"{server.url}/floats.tif")


def test_an_answer_that_stops_after_its_headers(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(location, "CONNECT_SECONDS", 0.2)
    server.stalls = True
    with pytest.raises(InputError, match="did not answer within"):
        fw.open_scene(f"{server.url}/floats.tif")


def test_a_file_that_does_not_arrive_whole(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones((3, 40, 50), np.float32))
    with file_server(tmp_path, cuts=True) as served, pytest.raises(InputError, match=r"ended after \d+ of \d+ bytes"):
        fw.open_scene(f"{served.url}/a.npy")


def test_a_name_with_other_letters_is_escaped_once(server: FileServer, tmp_path: Path) -> None:
    from finewave.io.network.http import look_at

    server.folder = tmp_path
    (tmp_path / "%C3%A9%20t.npy").write_bytes(b"abc")
    for name in ("é t.npy", "%C3%A9%20t.npy"):
        assert look_at(remote_of(f"{server.url}/{name}")).beginning == b"abc"


def test_a_password_stays_with_its_server(server: FileServer) -> None:
    from finewave.io.network.http import look_at

    with file_server(server.folder) as first:
        first.leads_to = server.url
        look_at(remote_of(first.url.replace("//", "//me:word@") + "/small.tif"))
        assert first.passwords == ["Basic bWU6d29yZA=="]
    assert server.passwords == [None]


def test_warnings_of_a_fetched_file_name_its_url(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones((3, 4, 5), np.uint16))
    with file_server(tmp_path) as served, pytest.warns(fw.FinewaveWarning) as caught:
        fw.open_scene(f"{served.url}/a.npy")
    assert any(f"{served.url}/a.npy holds uint16 values" in str(each.message) for each in caught)


def test_nothing_listens_and_no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    with pytest.raises(InputError, match=r"http://127\.0\.0\.1:9/a\.tif: the connection was refused"):
        fw.open_scene("http://me:word@127.0.0.1:9/a.tif")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"s3://bucket/a\.zarr needs the package fsspec.*pip install"):
        fw.open_scene("s3://bucket/a.zarr")


def test_the_command_line_names_the_url_in_one_line(server: FileServer, tmp_path: Path) -> None:
    from tests.cli.command_line import run

    result = run(
        "predict", f"{server.url}/missing.tif?{SECRET}", "-o", tmp_path / "a.tif", "--model", "bicubic", "--scale", "2"
    )
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert f"{server.url}/missing.tif?..." in result.stderr


@pytest.mark.parametrize(
    ("name", "url", "shown"),
    [
        ("https://a.b/c.tif", "https://a.b/c.tif", "https://a.b/c.tif"),
        ("HTTPS://u:p@a.b/c.tif?x=//y", "https://u:p@a.b/c.tif?x=//y", "https://a.b/c.tif?..."),
        ("https:/a.b/c.tif", "https://a.b/c.tif", "https://a.b/c.tif"),
        (" https://a.b/c.tif ", "https://a.b/c.tif", "https://a.b/c.tif"),
        ("/vsicurl/https://a.b/c.tif", "https://a.b/c.tif", "https://a.b/c.tif"),
        ("/vsicurl/https:/a.b/c.tif", "https://a.b/c.tif", "https://a.b/c.tif"),
        ("/vsicurl?empty_dir=yes&url=https%3A%2F%2Fa.b%2Fc.tif", "https://a.b/c.tif", "https://a.b/c.tif"),
        ("/vsis3/bucket/c.tif", "s3://bucket/c.tif", "s3://bucket/c.tif"),
        ("/vsizip//vsicurl/https://u:p@a.b/c.zip/d.tif", None, "/vsizip//vsicurl/https://a.b/c.zip/d.tif"),
    ],
)
def test_names(name: str, url: str | None, shown: str) -> None:
    remote = remote_of(name)
    assert remote is not None
    assert remote.url == (url or name)
    assert str(remote) == shown


@pytest.mark.parametrize("name", ["scene.tif", "/data/scene.tif", "https.tif", "C:/scene.tif", "/vsizip/a.zip/b.tif"])
def test_names_of_this_machine(name: str) -> None:
    assert remote_of(name) is None


def _vrt(source: str) -> str:
    return (
        "<VRTDataset rasterXSize='16' rasterYSize='16'><VRTRasterBand dataType='Float32' band='1'><SimpleSource>"
        f"<SourceFilename>{source}</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"
    )


def test_a_virtual_raster_of_elsewhere_reads_no_file_of_this_machine(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "a.vrt").write_text(_vrt(str(folder / "small.tif")))
    with file_server(tmp_path) as served, pytest.raises(InputError, match="download it first"):
        fw.open_scene(f"{served.url}/a.vrt")


@pytest.mark.parametrize("content", [b"", b"II*\0" + b"\xff" * 500])
def test_a_damaged_file_is_not_called_a_slow_server(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "timeout-404.tif").write_bytes(content)
    with file_server(tmp_path) as served, pytest.raises(InputError, match="the file is damaged, of another kind, or"):
        fw.open_scene(f"{served.url}/timeout-404.tif")


@pytest.mark.parametrize("option", [{"variable": "x"}, {"band_axis": 1}, {"resolution": 10}])
def test_options_without_a_meaning_are_refused(option: dict[str, object], server: FileServer) -> None:
    with pytest.raises(InputError, match="has no meaning"):
        fw.open_scene(f"{server.url}/floats.tif", **option)
    if "resolution" in option:
        with pytest.raises(InputError, match="has no meaning"):
            fw.open_scene(f"{server.url}/scene.zarr", **option)


@pytest.mark.parametrize("prefix", ["/vsicurl/", "/vsicurl_streaming/", "", "/vsizip//vsicurl/"])
def test_a_local_virtual_raster_opens_no_network(prefix: str, server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "inner.vrt").write_text(_vrt(f"{prefix}{server.url}/floats.tif"))
    (tmp_path / "outer.vrt").write_text(
        _vrt("inner.vrt").replace("<SourceFilename>", "<SourceFilename relativeToVRT='1'>")
    )
    for name in ("inner.vrt", "outer.vrt"):
        with pytest.raises(InputError, match="leads to the network"):
            fw.open_scene(tmp_path / name)
    assert server.requests == []


@pytest.mark.parametrize("prefix", ["/vsicurl/", "/vsicurl_streaming/", ""])
def test_metadata_beside_a_local_file_open_no_network(
    prefix: str, server: FileServer, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.delenv("no_proxy")
    (tmp_path / "scene.tif").write_bytes((folder / "floats.tif").read_bytes())
    (tmp_path / "scene.tif.aux.xml").write_text(
        "<PAMDataset><Metadata domain='OVERVIEWS'>"
        f"<MDI key='OVERVIEW_FILE'>{prefix}{server.url}/floats.tif</MDI></Metadata></PAMDataset>"
    )
    scene = fw.open_scene(tmp_path / "scene.tif")
    assert scene[:, :16, :16].values.shape == (4, 16, 16)
    assert server.requests == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ftp://a.b/c.tif", r"ftp:// cannot be read; https, s3"),
        ("http://[::1", r"'http://\[::1' is not a URL"),
        ("https://", r"no such file|cannot be read"),
    ],
)
def test_names_that_lead_nowhere(name: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        fw.open_scene(name)


def test_file_urls_are_of_this_machine(folder: Path) -> None:
    assert fw.open_scene(f"file://{folder / 'small.tif'}").shape == (4, 32, 32)
