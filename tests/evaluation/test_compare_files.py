"""``finewave compare``: metrics of two files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from finewave.cli import main
from finewave.errors import InputError
from finewave.evaluation.compare_files import compare_files
from finewave.io.open_save import save_scene
from finewave.metrics import evaluate
from finewave.scene import make_scene
from finewave.warnings import FinewaveWarning

TRUTH = np.random.default_rng(2).random((4, 16, 18))
NM = [450.0, 550.0, 650.0, 750.0]


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    save_scene(make_scene(np.clip(TRUTH + 0.01, 0, 1), NM), tmp_path / "a.tif")
    save_scene(make_scene(TRUTH, NM), tmp_path / "b.nc")
    return tmp_path / "a.tif", tmp_path / "b.nc"


def test_scores_are_those_of_the_arrays(files: tuple[Path, Path]) -> None:
    expected = evaluate(np.clip(TRUTH + 0.01, 0, 1), TRUTH, 2)
    found = compare_files(*files, scale=2)
    assert found == pytest.approx(expected, rel=1e-4)
    result = CliRunner().invoke(main, ["compare", *map(str, files), "--scale", "2", "--json"], standalone_mode=False)
    assert json.loads(result.stdout)["metrics"] == pytest.approx(expected, rel=1e-4)
    result = CliRunner().invoke(main, ["compare", *map(str, files)], standalone_mode=False)
    assert result.stdout.splitlines()[2].split() == ["PSNR", "(dB)", f"{expected['psnr']:.2f}"]


def test_other_sizes_are_refused(files: tuple[Path, Path], tmp_path: Path) -> None:
    save_scene(make_scene(TRUTH[:3]), tmp_path / "c.tif")
    with pytest.raises(InputError, match=r"a\.tif has 4 bands of 18 x 16 pixels, .*c\.tif 3 of 18 x 16"):
        compare_files(files[0], tmp_path / "c.tif")


def test_other_wavelengths_are_refused(files: tuple[Path, Path], tmp_path: Path) -> None:
    save_scene(make_scene(TRUTH, [455.0, *NM[1:]]), tmp_path / "c.tif")
    with pytest.raises(InputError, match="bands at different wavelengths"):
        compare_files(files[0], tmp_path / "c.tif")


def test_other_places_are_said(tmp_path: Path) -> None:
    for name, left in (("a", 0.0), ("b", 10.0)):
        save_scene(make_scene(TRUTH, crs="EPSG:32631", transform=(10, 0, left, 0, -10, 0)), tmp_path / f"{name}.tif")
    with pytest.warns(FinewaveWarning, match="lie elsewhere on the ground"):
        compare_files(tmp_path / "a.tif", tmp_path / "b.tif")
