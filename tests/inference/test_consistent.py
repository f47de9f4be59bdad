"""Results that, degraded again, give back their inputs."""

from __future__ import annotations

import json
import pickle
import warnings
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

import finewave as fw
from finewave.errors import InputError
from finewave.inference.options import PredictOptions
from finewave.inference.processing import choose_processing
from finewave.inference.super_resolve import super_resolve
from finewave.inference.tiling.plan import plan_tiles
from finewave.physics.inversion.damped_projection import DampedProjection
from finewave.systems.registry import create_model
from finewave.warnings import FinewaveWarning
from finewave.zoo.card import describe
from finewave.zoo.model import Model
from finewave.zoo.observation_model import projection_of
from tests.inference.tiny_models import WAVELENGTHS, scene_of

OUTPUT_NM = np.arange(400.0, 701.0, 50.0)
SENSOR = "nikon-d5100"
CARD: dict[str, Any] = {
    "wavelengths_nm": OUTPUT_NM.tolist(),
    "ms_bands": ["R", "G", "B"],
    "ms_wavelengths_nm": WAVELENGTHS,
    "sensor": SENSOR,
    "degradation": {"kernel": "gaussian", "scale": 2, "noise": 0.01},
}


def model_of(system: str, precision: str = "float32", card: dict[str, Any] = CARD, **config: Any) -> Model:
    torch.manual_seed(5)
    net = create_model(system, hs_bands=len(OUTPUT_NM), **config)
    return Model(net, describe(net, **card), precision=precision)


def joint(**card: Any) -> Model:
    """LR-MSI to HR-HSI, at next to no cost."""
    return model_of("ssr-sr", card={**CARD, **card}, scale=2, sr="bicubic", ssr="ridge")


def jssunet(precision: str) -> Model:
    small = {"features": 8, "stages": 1, "patch": 3, "window": 3, "heads": 1, "n_clusters": 2}
    card = {**CARD, "recipe": {"data": {"crop": 12}}}
    return model_of("jssunet", precision, card, scale=2, initialisation="framework", **small)


def response() -> np.ndarray:
    return fw.get_sensor(SENSOR).response(OUTPUT_NM)


def observed(result: xr.DataArray, scale: int = 2) -> np.ndarray:
    """Degrade a result by `finewave.degrade` alone: NaN where a pixel that acts on it is missing."""
    values = torch.from_numpy(result.values)
    return fw.degrade(values, scale, sensor=SENSOR, wavelengths=OUTPUT_NM).numpy()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_joint_result_gives_back_its_input(precision: str) -> None:
    model, scene = jssunet(precision), scene_of(9, 12)
    plain, result = (super_resolve(scene, model, consistent=each) for each in (False, "exact"))
    assert np.abs(observed(plain) - scene.values).max() > 0.1
    assert np.abs(observed(result) - scene.values).max() < 1e-5


def test_the_change_is_the_smallest() -> None:
    """Its bands are mixtures of the responses, and the plain result's parts that no observation sees stay."""
    model, scene = joint(), scene_of(9, 12)
    change = super_resolve(scene, model, consistent="exact") - super_resolve(scene, model)
    R = response()
    unseen = np.eye(len(OUTPUT_NM)) - np.linalg.pinv(R) @ R
    assert np.abs(change).max() > 0.1
    np.testing.assert_allclose(np.einsum("ij,jyx->iyx", unseen, change.values), 0, atol=1e-5)
    # projected once more, nothing changes
    processing = choose_processing(model, PredictOptions(consistent="exact"))
    result = torch.from_numpy(super_resolve(scene, model, consistent="exact").values)[None]
    again = processing.projection(result, {"lr_msi": torch.from_numpy(scene.values)[None]})
    torch.testing.assert_close(again, result, rtol=0, atol=1e-5)


def test_the_truth_is_never_farther() -> None:
    """It is among the images that give back the input, and a projection on them comes nearer to each of them."""
    truth = scene_of(18, 22, bands=len(OUTPUT_NM), wavelengths=OUTPUT_NM)
    scene, model = fw.degrade(truth, 2, sensor=SENSOR), joint()
    errors = [
        float(np.square(super_resolve(scene, model, consistent=each).values - truth.values).mean())
        for each in (False, "exact")
    ]
    assert 0.01 < errors[1] < 0.9 * errors[0]


@pytest.mark.parametrize("kernel", ["gaussian", "bicubic"])
def test_spatial_super_resolution(kernel: str) -> None:
    degradation = {"kernel": kernel, "scale": 3}
    model = model_of("bicubic", card={"degradation": degradation}, scale=3)
    scene = scene_of(7, 8, bands=len(OUTPUT_NM))
    plain, result = (super_resolve(scene, model, consistent=each) for each in (False, "exact"))
    errors = [np.abs(fw.degrade(each, 3, kernel=kernel).values - scene.values).max() for each in (plain, result)]
    assert errors[0] > 0.05
    assert errors[1] < 1e-5


def test_spectral_super_resolution() -> None:
    model = model_of("ridge", ms_bands=3)
    scene = scene_of(6, 5)
    plain, result = (super_resolve(scene, model, consistent=each) for each in (False, "exact"))
    seen = [np.einsum("kc,cyx->kyx", response(), each.values) for each in (plain, result)]
    assert np.abs(seen[0] - scene.values).max() > 0.1
    np.testing.assert_allclose(seen[1], scene.values, atol=1e-5)


def fusion() -> Model:
    return model_of("gsa", scale=2, ms_bands=3)


def test_fusion_gives_back_both_images() -> None:
    truth = scene_of(16, 20, bands=len(OUTPUT_NM), wavelengths=OUTPUT_NM)
    scene, guide = fw.degrade(truth, 2), fw.degrade(truth, 1, sensor=SENSOR)
    plain, result = (super_resolve(scene, fusion(), guide, consistent=each) for each in (False, "exact"))
    assert np.abs(fw.degrade(plain, 2).values - scene.values).max() > 0.05
    np.testing.assert_allclose(fw.degrade(result, 2).values, scene.values, atol=1e-5)
    np.testing.assert_allclose(np.einsum("kc,cyx->kyx", response(), result.values), guide.values, atol=1e-5)


def test_fusion_of_images_that_contradict_each_other_gives_back_the_scene() -> None:
    scene, guide = scene_of(8, 10, bands=len(OUTPUT_NM)), scene_of(16, 20)
    result = super_resolve(scene, fusion(), guide, consistent="exact")
    np.testing.assert_allclose(fw.degrade(result, 2).values, scene.values, atol=1e-5)
    # where the two agree, in what decimation takes away, the guide is given back
    left = torch.from_numpy(np.einsum("kc,cyx->kyx", response(), result.values) - guide.values)
    least_norm = choose_processing(fusion(), PredictOptions(consistent="exact")).projection.constraints[-1].spatial
    unseen = left - least_norm(fw.degrade(left, 2)[None])[0]
    assert left.abs().max() > 0.1
    assert unseen.abs().max() < 1e-4


def test_a_reference_that_is_not_aligned_is_no_constraint(monkeypatch: pytest.MonkeyPatch) -> None:
    from finewave.systems.registry import SYSTEMS
    from tests.training.stand_ins import STAND_INS

    monkeypatch.setitem(SYSTEMS, "plain-refsr", STAND_INS["plain-refsr"])
    model = model_of("plain-refsr", scale=2)
    scene, reference = scene_of(8, 7, bands=len(OUTPUT_NM)), scene_of(13, 11)
    result = super_resolve(scene, model, reference, consistent="exact")
    np.testing.assert_allclose(fw.degrade(result, 2).values, scene.values, atol=1e-5)


@pytest.mark.parametrize("which", ["joint", "network", "fusion"])
def test_tiles_equal_the_whole(which: str) -> None:
    model = {"joint": joint, "network": lambda: jssunet("float32"), "fusion": fusion}[which]()
    if which == "fusion":  # without its statistics of the image
        model.net.receptive_field = 2
        bands = len(OUTPUT_NM)
        model.net.forward = lambda lr_hsi, hr_msi: (
            torch.nn.functional.interpolate(lr_hsi, scale_factor=2) + hr_msi.mean(1, True).expand(-1, bands, -1, -1)
        )
    scene = scene_of(9, 110, **({"bands": len(OUTPUT_NM)} if which == "fusion" else {}))
    guide = scene_of(18, 220) if which == "fusion" else None
    processing = choose_processing(model, PredictOptions(consistent="exact"))
    tiling = plan_tiles(model.with_pooling("local"), 9, 110, tile=10, beyond=processing.reach)
    assert any(tile.seen[1].stop - tile.seen[1].start < 110 for tile in tiling)
    whole = super_resolve(scene, model, guide, consistent="exact", tile=110)
    tiled = super_resolve(scene, model, guide, consistent="exact", tile=10)
    np.testing.assert_allclose(tiled.values, whole.values, rtol=0, atol=5e-5)
    assert np.abs(tiled.values - super_resolve(scene, model, guide, tile=10).values).max() > 0.05


def test_a_halo_is_the_networks_alone() -> None:
    """What the projection needs lies within it, so that tiles agree at their border."""
    model, scene = jssunet("float32"), scene_of(9, 110)
    with pytest.warns(FinewaveWarning, match=r"sees 0 around a tile.* does 2.* times .* instead of [4-9].* times"):
        result = super_resolve(scene, model, consistent="exact", tile=16, halo="fast")
    assert np.abs(observed(result) - scene.values).max() < 1e-3


def test_islands_without_a_value_stay_and_do_not_ring() -> None:
    model, scene = joint(), scene_of(24, 30)
    holes = np.zeros((24, 30), bool)
    holes[8:14, 10:19] = holes[3, 22] = True
    scene.values[:, holes] = np.nan
    filled = scene.copy(deep=True)
    from finewave.zoo.invalid_pixels import fill_invalid

    filled.values[:] = fill_invalid(torch.from_numpy(scene.values)[None])[0][0].numpy()
    marked = scene.copy(data=np.nan_to_num(scene.values, nan=-9999.0))
    marked.attrs["_FillValue"] = -9999.0
    expected = super_resolve(filled, model, consistent="exact").values
    missing = holes.repeat(2, 0).repeat(2, 1)
    for each in (scene, marked):
        with pytest.warns(FinewaveWarning, match=f"{holes.sum()} of 720 pixels"):
            result = super_resolve(each, model, consistent="exact")
        assert (np.isnan(result.values) == missing).all()
        # to its neighbours an island is what surrounds it: nothing rings
        np.testing.assert_array_equal(result.values[:, ~missing], expected[:, ~missing])
        back = observed(result)
        known = np.isfinite(back)
        assert known.mean() > 0.6
        assert np.abs(back - scene.values)[known].max() < 1e-5


def test_dask_arrays_stay_lazy() -> None:
    model, scene = joint(), scene_of(8, 40)
    lazy = super_resolve(scene.chunk({"x": 20}), model, consistent="exact", tile=10)
    assert lazy.chunks is not None
    np.testing.assert_allclose(lazy.values, super_resolve(scene, model, consistent="exact").values, atol=1e-5)


def test_bands_of_the_sensor_are_those_of_the_model() -> None:
    scene = scene_of(6, 7)
    turned = joint(ms_bands=["B", "G", "R"], ms_wavelengths_nm=WAVELENGTHS[::-1])
    result = super_resolve(scene, turned, consistent="exact")
    assert np.abs(observed(result) - scene.values).max() < 1e-5
    two = {**CARD, "ms_bands": ["red", "green"], "ms_wavelengths_nm": None}
    model = model_of("ssr-sr", card=two, scale=2, ms_bands=2, sr="bicubic", ssr="ridge")
    with pytest.raises(InputError, match="sensor nikon-d5100 of the card of untrained has 3 bands, its input lr_msi 2"):
        super_resolve(scene_of(6, 7, bands=2), model, consistent="exact")


@pytest.mark.parametrize(
    ("card", "message"),
    [
        ({"degradation": None}, "a consistent result needs to know.*card of untrained does not say degradation"),
        ({"sensor": None}, "does not say sensor and wavelengths"),
        ({"degradation": {"kernel": "gaussian", "fwhm": 9.0}}, "blurs so much"),
    ],
)
def test_what_cannot_be_made_consistent_is_refused(card: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        super_resolve(scene_of(6, 7), joint(**card), consistent="exact")


def test_bands_that_are_mixtures_of_others_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from finewave.physics.sensors.sensor import Sensor

    def twice(self: Sensor, wavelengths: Any) -> np.ndarray:
        return np.tile(np.full(len(wavelengths), 1 / len(wavelengths)), (3, 1))

    monkeypatch.setattr(Sensor, "response", twice)
    with pytest.raises(InputError, match="a band of the sensor is a mixture"):
        super_resolve(scene_of(6, 7), joint(), consistent="exact")


def test_without_a_card() -> None:
    model = Model(create_model("bicubic", scale=2, hs_bands=3))
    with pytest.raises(InputError, match="the card of Bicubic does not say degradation"):
        super_resolve(scene_of(6, 7), model, consistent="exact")


def test_what_is_cut_is_counted() -> None:
    model, scene = joint(), scene_of(6, 7)
    plain = super_resolve(scene, model)
    outside = int(((plain.values < 0.1) | (plain.values > 0.2)).sum())
    assert outside > 10
    with pytest.warns(FinewaveWarning, match=f"^{outside} values were cut to 0.1 to 0.2$"):
        cut = super_resolve(scene, model, clip=(0.1, 0.2))
    np.testing.assert_array_equal(cut.values, plain.values.clip(0.1, 0.2))
    with pytest.warns(FinewaveWarning, match="cut to 0.1 to 0.2, where the result is no longer exactly consistent"):
        super_resolve(scene, model, consistent="exact", clip=(0.1, 0.2))
    for wrong in ((1, 0), (0.5,), (0, np.nan), (0, 0)):
        with pytest.raises(InputError, match="is not a range"):
            super_resolve(scene, model, clip=wrong)


def test_workers_get_it_by_pickle() -> None:
    model = joint()
    processing = choose_processing(model, PredictOptions(consistent="exact", spread=True, clip=(0, 1)))
    again = pickle.loads(pickle.dumps(processing))
    assert again.identity() == processing.identity()
    image, scene = torch.rand(1, len(OUTPUT_NM), 12, 10), {"lr_msi": torch.rand(1, 3, 6, 5)}
    torch.testing.assert_close(again.projection(image, scene), processing.projection(image, scene))


def test_by_default_noise_is_left_out_in_tiles_too() -> None:
    model = joint()
    scene = scene_of(36, 40)
    scene.values[:] = 0.4 + 0.2 * np.linspace(0, 1, 40, dtype=np.float32)
    scene.values[:] += 1e-4 * np.random.default_rng(1).standard_normal(scene.shape)
    plain, damped, exact = (super_resolve(scene, model, consistent=each) for each in (False, True, "exact"))
    change, whole = (np.abs(each.values - plain.values) for each in (damped, exact))
    lifted = np.maximum(0.3 * plain.values, -plain.values)  # what is negative becomes 0
    assert (change <= lifted + 1e-6).all()
    assert change.max() > 0
    assert change.mean() < whole.mean()
    tiled = super_resolve(scene, model, consistent=True, tile=12)
    np.testing.assert_allclose(tiled.values, damped.values, atol=1e-5)


@pytest.mark.parametrize(("height", "width"), [(37, 53), (5, 5), (1, 40)])
def test_odd_sizes_in_tiles(height: int, width: int) -> None:
    model, scene = jssunet("float32"), scene_of(height, width)
    known = {"noise": 0.001, "doubt": 0.1}  # an estimate from few pixels may be anything
    whole, tiled = (super_resolve(scene, model, consistent=known, tile=tile) for tile in (64, 12))
    assert whole.shape == (len(OUTPUT_NM), 2 * height, 2 * width)
    assert whole.values.min() >= 0
    np.testing.assert_allclose(tiled.values, whole.values, atol=5e-5)


def blocks(height: int, width: int, fwhm: float, scale: int = 2) -> xr.DataArray:
    """Return a scene of sharp rectangles, seen through a blur of a width in pixels of the result."""
    random, image = np.random.default_rng(7), np.full((3, scale * height, scale * width), 0.3, np.float32)
    for _ in range(height * width // 12):
        top, left = random.integers(0, scale * height), random.integers(0, scale * width)
        rows, columns = random.integers(4, 30, 2)
        image[:, top : top + rows, left : left + columns] = random.uniform(0.1, 0.9, (3, 1, 1))
    scene = scene_of(height, width)
    return scene.copy(data=fw.degrade(torch.from_numpy(image), scale, fwhm=fwhm).numpy())


def test_what_it_went_by_is_said_and_a_contradiction_is_warned_of() -> None:
    model = joint()  # trained for a Gaussian of FWHM 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = super_resolve(blocks(96, 101, 2.0), model, consistent=True)
    facts = json.loads(result.attrs["consistency"])
    assert facts["kind"] == "damped"
    found = facts["inputs"]["lr_msi"]
    assert found["blur"] == pytest.approx(2, rel=0.1)
    assert found["estimated_blur"] == pytest.approx(2, rel=0.3)
    assert found["given"] == []
    assert found["noise"] < 0.01
    for consistent, words in ((True, "corrected less"), ("exact", "exact brings")):
        with pytest.warns(FinewaveWarning, match=f"lr_msi looks more blurred than it should: FWHM about .*{words}"):
            result = super_resolve(blocks(96, 101, 4.0), model, consistent=consistent)
    with pytest.warns(FinewaveWarning, match="looks more blurred"):
        result = super_resolve(blocks(96, 101, 4.0), model, consistent=True)
    assert json.loads(result.attrs["consistency"])["inputs"]["lr_msi"]["doubt"] > 0.4
    assert "consistency" not in super_resolve(blocks(9, 9, 2.0), model).attrs


def test_a_window_goes_by_the_noise_and_blur_of_its_scene() -> None:
    model, scene = joint(), blocks(60, 64, 3.0)
    scene.values[:, :, 40:] += 0.05 * np.random.default_rng(3).standard_normal((3, 60, 24)).astype(np.float32)
    whole, part = (super_resolve(scene, model, consistent=True, window=window) for window in (None, (4, 6, 24, 30)))
    assert part.attrs["consistency"] == whole.attrs["consistency"]
    np.testing.assert_allclose(part.values[:, 16:-16, 16:-16], whole.values[:, 28:44, 24:32], atol=1e-4)


def test_noise_blur_and_doubt_are_given() -> None:
    model, scene = joint(), blocks(40, 41, 3.0)
    result = super_resolve(scene, model, consistent="noise=0.02, blur=3,doubt=0")
    found = json.loads(result.attrs["consistency"])["inputs"]["lr_msi"]
    assert (found["noise"], found["doubt"]) == (0.02, 0)
    assert found["blur"] == pytest.approx(3, rel=0.05)
    assert found["given"] == ["noise", "blur", "doubt"]
    same = super_resolve(scene, model, consistent={"noise": np.float32(0.02), "blur": 3, "doubt": 0.0})
    np.testing.assert_allclose(same.values, result.values, rtol=0, atol=1e-6)
    plain = super_resolve(scene, model)
    deaf = super_resolve(scene, model, consistent={"noise": 10.0})
    np.testing.assert_allclose(deaf.values, np.maximum(plain.values, 0), rtol=0, atol=1e-6)


def test_unfinished_work_with_another_blur_is_told_apart() -> None:
    """Tiles of two blurs must not be mixed when a run is resumed, even if nothing else differs."""
    noise = {"lr_msi": 0.01}
    kinds = [DampedProjection(projection_of(joint(), blur), noise).kind for blur in (4.0, 4.1, 4.1, None)]
    assert kinds[1] == kinds[2]
    assert len(set(kinds)) == 3


@pytest.mark.parametrize(
    "wrong",
    [
        "roughly",
        "noise",
        "noise=",
        "noise=-1",
        "noise=nan",
        "blur=0",
        "doubt=inf",
        "haste=1",
        {"noise": True},
        0.5,
        [1],
    ],
)
def test_other_ways_to_ask_are_refused_in_one_line(wrong: Any) -> None:
    with pytest.raises(InputError, match="True, False, 'exact', or noise=, blur= and doubt=") as error:
        PredictOptions(consistent=wrong)
    assert "\n" not in str(error.value)


def test_a_blur_is_refused_where_there_is_none() -> None:
    with pytest.raises(InputError, match=r"a blur was given.*leave it out"):
        super_resolve(scene_of(6, 5), model_of("ridge", ms_bands=3), consistent={"blur": 3})


def test_one_value_twice_is_refused() -> None:
    with pytest.raises(InputError, match="'noise' twice; give it once"):
        PredictOptions(consistent="noise=0.1, noise=0.2")
