"""Fitting to scenes of one's own: from files to a model with its scores, and every way in which it may not go."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import finewave as fw
from finewave.scene import make_scene
from finewave.training.fit import FitOptions, fit
from tests.training.dying import dying

WAVELENGTHS = np.linspace(450.0, 700.0, 6)
SENSOR = """
source: nobody
gsd_m: 20
bands:
  green: {centre_nm: 550, width_nm: 60, mtf: 0.25}
  red: {centre_nm: 650, width_nm: 60, mtf: 0.25}
"""
SMALL = (
    "model.features=4",
    "model.stages=1",
    "data.crop=16",
    "data.batch_size=1",
    "phase1.validate_every=4",
)
# Checkpoints after every step, so that a kill at any moment finds one.
SCRIPT = """
import sys
from finewave.cli import main
from tests.training.dying import die_if_asked
die_if_asked()
main(sys.argv[1:])
"""


def blobs(seed: int, height: int = 72, width: int = 40) -> np.ndarray:
    """Soft blobs of smooth spectra, float32 (6, H, W)."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / 40
    cube = np.full((6, height, width), 0.1)
    for _ in range(12):
        centre, size = random.uniform(0, 1.8, 2), random.uniform(0.05, 0.3)
        spectrum = np.exp(-(((WAVELENGTHS - random.uniform(450, 700)) / 80) ** 2))
        cube += 0.3 * spectrum[:, None, None] * np.exp(-((y - centre[0]) ** 2 + (x - centre[1]) ** 2) / size**2)
    return cube.clip(0, 1).astype(np.float32)


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    path = tmp_path / "scene.tif"
    place = {"crs": "EPSG:32631", "transform": (10.0, 0.0, 500000.0, 0.0, -10.0, 4400000.0)}
    fw.save_scene(make_scene(blobs(0), wavelengths=WAVELENGTHS, **place), path)
    return path


@pytest.fixture
def options(tmp_path: Path) -> FitOptions:
    (tmp_path / "mine.yaml").write_text(SENSOR)
    return FitOptions(2, str(tmp_path / "mine.yaml"), system="jssunet", steps=8, overrides=SMALL)


def test_scenes_become_a_model_with_its_scores(scene: Path, options: FitOptions, tmp_path: Path) -> None:
    out = tmp_path / "model"
    fit([scene], out, options)
    model = fw.load_model(out)
    card = model.card
    assert card is not None
    assert (card.name, card.scale, card.ms_bands) == ("model", 2, ["green", "red"])
    assert fw.load_model(out / "training" / "model").card.system == "jssunet"
    np.testing.assert_allclose(card.wavelengths_nm, WAVELENGTHS)
    assert card.degradation == {"kernel": "gaussian", "mtf": 0.25, "scale": 2}
    assert card.data["sensor"]["source"] == "nobody"
    assert card.data["regions"]["scene_val"] == {"image": "scene", "rows": [56, 72], "columns": [0, 40]}
    assert card.data["split"]["train"] == ["scene_train1"]
    assert list(card.data["files"]) == ["scene.tif"]
    (scores,) = card.metrics.values()
    kinds = ("linear", "quadratic", "kernel ridge")
    assert {f"bicubic + {kind} regression" for kind in kinds} <= set(scores["baselines"])
    assert 10 < scores["mean"]["psnr"] < 60
    assert model.predict(lr_msi=torch.rand(1, 2, 5, 6)).shape == (1, 6, 10, 12)


def test_the_scores_are_those_of_the_held_out_block(scene: Path, options: FitOptions, tmp_path: Path) -> None:
    """By hand: the block of the file, seen by the sensor, through the model that was saved."""
    model = fit([scene], tmp_path / "model", options)
    target = torch.from_numpy(blobs(0)[None, :, 56:72])
    seen = fw.degrade(target, 2, sensor=options.sensor, wavelengths=WAVELENGTHS, mtf=0.25)
    expected = fw.metrics.evaluate(model.with_precision("float32").predict(lr_msi=seen), target, scale=2)
    (scores,) = model.card.metrics.values()
    assert scores["mean"] == pytest.approx(expected, rel=1e-3)


def test_a_finished_fit_is_not_run_again_and_another_not_mixed_in(
    scene: Path, options: FitOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "model"
    fit([scene], out, options)
    before = (out / "model.safetensors").stat().st_mtime_ns
    with pytest.raises(fw.InputError, match=r"another recipe \(different: phase1\)"):
        fit([scene], out, replace(options, steps=9))
    with pytest.raises(fw.InputError, match="holds a fit of other scenes, another scale or other crops"):
        fit([scene], out, replace(options, scale=4))
    monkeypatch.setattr("lightning.Trainer.fit", None)
    fit([scene], out, options)
    monkeypatch.chdir(tmp_path)
    for same in (Path("model"), Path("./model"), tmp_path / "x" / ".." / "model"):  # is the same run
        fit([scene], same, options)
    for spelling in ("mine.yaml", "./mine.yaml", str(out / ".." / "mine.yaml")):  # is the same sensor
        fit([scene], out, replace(options, sensor=spelling))
    assert (out / "model.safetensors").stat().st_mtime_ns == before


def test_spectra_alone(scene: Path, options: FitOptions, tmp_path: Path) -> None:
    model = fit([scene], tmp_path / "model", replace(options, scale=1, mtf=None, system=None))
    assert fw.load_model(tmp_path / "model" / "training" / "model").card.system == "jssunet-ssr"
    assert model.card.degradation == {"kernel": "gaussian", "scale": 1}
    (scores,) = model.card.metrics.values()
    assert {f"{kind} regression" for kind in ("linear", "quadratic", "kernel ridge")} <= set(scores["baselines"])
    assert model.predict(hr_msi=torch.rand(1, 2, 8, 8)).shape == (1, 6, 8, 8)


def test_measured_images_take_the_place_of_a_sensor(scene: Path, options: FitOptions, tmp_path: Path) -> None:
    """What the second camera saw is the first band and noise: only from its file can the scores be what they are."""
    cube = blobs(0)
    noise = np.random.default_rng(1).random((1, 72, 40), dtype=np.float32)
    pair = tmp_path / "msi.tif"
    bands = {"band_names": ["first", "noise"], "wavelengths": [450.0, 600.0]}
    fw.save_scene(make_scene(np.concatenate((cube[:1], noise)), **bands), pair)
    chosen = replace(options, scale=1, sensor=None, msi=(str(pair),), system=None)
    model = fit([scene], tmp_path / "model", chosen)
    card = model.card
    assert (card.sensor, card.ms_bands, card.ms_wavelengths_nm) == (None, ["first", "noise"], [450.0, 600.0])
    assert card.recipe["data"]["augment"] is False
    (scores,) = card.metrics.values()
    target = torch.from_numpy(cube[None, :, 56:72])
    given = torch.from_numpy(np.concatenate((cube[:1], noise))[None, :, 56:72])
    expected = fw.metrics.evaluate(model.with_precision("float32").predict(hr_msi=given), target, scale=1)
    assert scores["mean"] == pytest.approx(expected, rel=1e-4)


def test_trained_weights_can_be_the_start(scene: Path, options: FitOptions, tmp_path: Path) -> None:
    fit([scene], tmp_path / "first", options)
    still = replace(options, start=str(tmp_path / "first"), steps=1, overrides=(*SMALL[2:], "phase1.learning_rate=0"))
    second = fit([scene], tmp_path / "second", still)
    networks = [tmp_path / name / "training" / "model" for name in ("first", "second")]  # floors are kept beside them
    assert second.card.data["started_from"] == str(networks[0])
    first, after = (fw.load_model(folder).card.config for folder in networks)
    assert after == first
    ours, theirs = (load_file(folder / "model.safetensors") for folder in networks)
    assert all(torch.allclose(ours[key], theirs[key], atol=1e-6) for key in ours)
    with pytest.raises(fw.InputError, match="has scale 2; it cannot be the start for scale 4"):
        fit([scene], tmp_path / "third", replace(still, scale=4))
    with pytest.raises(fw.InputError, match="is a jssunet; it cannot be the start of a ssfin"):
        fit([scene], tmp_path / "third", replace(still, system="ssfin"))


def test_what_is_assumed_is_said(scene: Path, options: FitOptions, tmp_path: Path) -> None:
    unknown = tmp_path / "unknown.yaml"
    unknown.write_text(SENSOR.replace(", mtf: 0.25", "").replace("gsd_m: 20", "gsd_m: 100"))
    with pytest.warns(fw.FinewaveWarning) as told:
        model = fit([scene], tmp_path / "model", replace(options, sensor=str(unknown)))
    messages = " ".join(str(each.message) for each in told)
    assert "the MTF of unknown is not known" in messages
    assert "2 x its pixels is 20 m, the pixels of unknown have 100 m" in messages
    assert "MTF of the sensor was not known" in model.card.notes
    assert model.card.degradation == {"kernel": "gaussian", "scale": 2}


def test_what_does_not_go_together_is_refused(scene: Path, options: FitOptions, tmp_path: Path) -> None:
    out = tmp_path / "model"

    def refuse(message: str, **changes: object) -> None:
        with pytest.raises(fw.InputError, match=message):
            fit([scene], out, replace(options, **changes))
        assert not out.exists()

    refuse("scale 0 is out of range", scale=0)
    refuse("a sensor is needed", sensor=None, system="jssunet")
    refuse("unknown sensor", sensor="sentinel9")
    refuse("unknown band of sensor mine", sensor_bands=("blue",))
    refuse("awan is a system for ssr, which does not go with scale 2", system="awan")
    refuse("jssunet is a system for sssr, which does not go with scale 1", scale=1, system="jssunet")
    refuse("unknown model 'jsunet'", system="jsunet")
    refuse("gsa is a baseline, which needs no training: finewave predict --model gsa", system="gsa")
    refuse("no key 'phase1.step'", overrides=("phase1.step=3",))
    refuse("cover less than 50%.*B11", sensor="sentinel2a:B3,B11")


def test_a_folder_with_something_else_is_left_alone(scene: Path, options: FitOptions, tmp_path: Path) -> None:
    with pytest.raises(fw.InputError, match="holds something else than a fit"):
        fit([scene], tmp_path, options)
    with pytest.raises(fw.InputError, match="is a file; give a folder"):
        fit([scene], scene, options)


def command(scene: Path, options: FitOptions, out: Path, steps: int) -> list[str]:
    words = ["fit", str(scene), "--sensor", str(options.sensor), "--scale", "2", "-o", str(out), "--steps", str(steps)]
    return [*words, "--system", "jssunet", *SMALL]


@pytest.mark.slow
def test_killed_and_started_again_it_ends_the_same(scene: Path, options: FitOptions, tmp_path: Path) -> None:
    fit([scene], tmp_path / "calm", replace(options, steps=16))
    killed = [sys.executable, "-c", SCRIPT, *command(scene, options, tmp_path / "model", 16)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    root = Path(__file__).parents[2]
    ended = subprocess.run(killed, env=environment | dying("after 2"), cwd=root, stdout=subprocess.DEVNULL)
    assert ended.returncode == -signal.SIGKILL
    assert not (tmp_path / "model" / "model.safetensors").exists()
    done = subprocess.run(killed, env=environment, cwd=root, check=True, capture_output=True, text=True)
    assert "continuing phase1" in done.stdout
    folders = [tmp_path / name / "training" / "model" for name in ("calm", "model")]
    calm, resumed = (load_file(folder / "model.safetensors") for folder in folders)
    assert all(torch.equal(calm[key], resumed[key]) for key in calm)


@pytest.mark.slow
def test_two_processes_train_one_model(scene: Path, options: FitOptions, tmp_path: Path) -> None:
    """On processors, as several GPUs would: the second process has batches of its own, the first writes."""
    out = tmp_path / "model"
    words = [*command(scene, options, out, 8), "--devices", "2", "--minutes", "5"]
    several = [sys.executable, "-m", "finewave", *words]  # which the first process starts the second one with
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(several, env=environment, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("fitted: ") == 1
    assert fw.load_model(out).predict(lr_msi=torch.rand(1, 2, 5, 6)).shape == (1, 6, 10, 12)
    assert torch.load(out / "training" / "phase1" / "last.ckpt", weights_only=True)["global_step"] == 8
