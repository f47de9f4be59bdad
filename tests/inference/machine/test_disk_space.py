"""Room for an output and its tiles is looked for before the work."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from finewave.errors import InputError
from finewave.inference.machine.disk_space import Part, check_space, output_part
from finewave.inference.predict import predict_file
from finewave.warnings import FinewaveWarning
from tests.inference.tiny_models import save_model, write_scene

TILE, BYTES = 20, 4 * 100 * 150 * 4  # float32 numbers of four bands of twice the size


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_scene(tmp_path / "scene.tif", 50, 75)


def disk_of(free: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(total=2**40, used=2**40 - free, free=free))


@pytest.mark.parametrize(
    ("name", "options", "needed"),
    [
        ("out.img", {}, 2 * BYTES),
        ("out.img", {"dtype": "uint16"}, BYTES),
        ("out.img", {"tile": 200}, BYTES),  # one tile: nothing is stored beside
        ("out.tif", {}, BYTES),
        ("out.mat", {"spread": True, "self_ensemble": True}, 4 * BYTES),
    ],
)
def test_what_does_not_fit_is_refused_before_the_work(
    name: str, options: dict[str, object], needed: int, source: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk_of(needed - 1, monkeypatch)
    monkeypatch.setattr("finewave.inference.predict_file._SMALL_BYTES", 0)
    monkeypatch.setattr("finewave.zoo.model.Model.run_arrays", lambda *_: pytest.fail("the work was begun"))
    with pytest.raises(
        InputError, match=rf"cannot write .*{name}: it needs .*MB for {name}.*, and its disk has .* left"
    ) as refused:
        predict_file(source, source.with_name(name), model, **{"tile": TILE, **options})
    assert [each.name for each in source.parent.iterdir()] == ["scene.tif"]
    assert ("--dtype uint16" in str(refused.value)) == ("dtype" not in options)


@pytest.mark.parametrize(("name", "free"), [("out.tif", BYTES + 2**13), ("out.zarr", BYTES - 1)])
def test_what_may_fit_is_made_with_a_warning(
    name: str, free: int, source: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk_of(free, monkeypatch)
    with pytest.warns(FinewaveWarning, match="may not fit its disk"):
        predict_file(source, source.with_name(name), model, tile=TILE)


@pytest.mark.parametrize("tile", [TILE, 200])
def test_only_tiles_are_said_to_be_kept(
    tile: int, source: Path, model: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    disk_of(BYTES + 2**13 if tile == TILE else BYTES - 1, monkeypatch)
    monkeypatch.setattr("finewave.inference.predict_file._SMALL_BYTES", 0)
    predict_file(source, source.with_name("out.tif"), model, tile=tile)
    (warned,) = [str(each.message) for each in recwarn if "may not fit its disk" in str(each.message)]
    assert ("finished tiles are kept" in warned) == (tile == TILE)


def test_what_is_there_already_is_not_needed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [output_part(tmp_path / "a.img", 1000), Part("temporary tiles", 1000, packed=False)]
    disk_of(1500, monkeypatch)
    check_space(tmp_path / "a.img", parts, present=600)
    with pytest.raises(InputError, match="free some space"):
        check_space(tmp_path / "a.img", parts, present=400)


@pytest.mark.parametrize(("name", "packed"), [("a.tif", True), ("a.zarr", True), ("a.png", True), ("a.nc", False)])
def test_what_is_packed_may_be_small(name: str, packed: bool) -> None:
    assert output_part(Path(name), 2**30).packed is packed
    assert output_part(Path("a.nc"), 2**20).packed  # put together in memory
    assert output_part(Path("a.nc"), 2**30, of_tiles=False).packed


@pytest.mark.parametrize("answer", [SimpleNamespace(total=0, used=0, free=0), OSError("not supported")])
def test_a_file_system_that_does_not_say_refuses_nothing(
    answer: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    def usage(path: Path) -> object:
        if isinstance(answer, OSError):
            raise answer
        return answer

    monkeypatch.setattr(shutil, "disk_usage", usage)
    check_space(tmp_path / "a.img", [output_part(tmp_path / "a.img", 2**50)])
    assert not recwarn.list
