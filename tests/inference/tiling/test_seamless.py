"""Tiles equal the scene in one piece, for every system for which that can be."""

from __future__ import annotations

import warnings
from typing import Any

import dask.array as da
import numpy as np
import pytest
import torch

from finewave.errors import InputError
from finewave.inference.super_resolve import super_resolve
from finewave.inference.tiling.plan import FAST_OVERHEAD, plan_tiles
from finewave.inference.tiling.tiles import Tiling
from finewave.scene import make_scene
from finewave.systems.base import SRNetwork
from finewave.systems.registry import SYSTEMS
from finewave.warnings import FinewaveWarning
from finewave.zoo.card import describe
from finewave.zoo.distribution.listing import list_models
from finewave.zoo.model import Model
from tests.inference.tiny_models import scene_of
from tests.test_conformity import build

# those known to be exact, and what keeps the reach of each small, so that tiles are cut inside a small scene
EXACT: dict[str, dict[str, Any]] = {
    "jssunet": {
        **{"hs_bands": 4, "stages": 1, "patch": 3, "window": 3, "heads": 1, "features": 8},
        "initialisation": "framework",  # its own start adds little to interpolation
    },
    "jssunet-sr": {"hs_bands": 4, "stages": 1, "initialisation": "framework"},
    "jssunet-ssr": {"hs_bands": 4, "stages": 1, "initialisation": "framework"},
    "jssunet-fusion": {"hs_bands": 4, "stages": 1, "features": 8, "initialisation": "framework"},
    "sspsr": {"hs_bands": 4, "blocks": 1, "initialisation": "framework"},
    "ssfin": {"hs_bands": 4, "blocks": 1},
    "ssjsr": {"hs_bands": 4},
    "kernel-ridge": {"centres": 7},
    "scene-ridge": {"windows": [5]},
    "residual-sr": {"hs_bands": 4, "degradation": {"kernel": "bicubic"}},
    "edsr": {"hs_bands": 4, "blocks": 1, "initialisation": "framework"},
    "gdrrn": {"hs_bands": 4, "units": 1, "initialisation": "published"},
    "3d-fcnn": {"hs_bands": 4},
    "bicubic": {"hs_bands": 4},
    "ibp": {"hs_bands": 4},
    "ridge": {},
    "quadratic": {},
    "root-polynomial": {},
    "knn": {},
    "ridge-knn": {"pixels": 200},
    "local-regression": {"hs_bands": 4, "windows": [0.6], "ridge": [1e-3], "degradation": {"kernel": "bicubic"}},
    "residual-fusion": {"hs_bands": 4, "degradation": {"kernel": "bicubic"}},
    "ensemble-ssr": {},
    "ensemble-sr": {"hs_bands": 4},
    "ensemble-sssr": {"hs_bands": 4},
    "sr-ssr": {"hs_bands": 4},
    "ssr-sr": {"hs_bands": 4},
}
ALIGNED = [name for name in list_models() if SYSTEMS[name].task != "refsr"]  # a reference has no tiles


def model_of(name: str, scale: int = 2, dtype: torch.dtype = torch.float32, **config: Any) -> Model:
    net = build(name, scale=scale, **{**EXACT.get(name, {}), **config}).to(dtype).eval()
    return Model(net, describe(net, training_crop=6 * scale), precision="float32", pooling="local")


@pytest.mark.parametrize("scale", [2, 3])
@pytest.mark.parametrize("name", ALIGNED)
def test_tiles_equal_the_whole_or_are_said_not_to(name: str, scale: int) -> None:
    """In float64, because networks that have not learned make large numbers of which small ones are left."""
    model = model_of(name, scale, torch.float64)
    reach = model.reach
    if reach is None or not model.shift_equivariant:
        assert name not in EXACT
        for halo in ("exact", "fast", 5):
            with pytest.warns(FinewaveWarning, match="tiles differ from the scene in one piece.*tile as large as mem"):
                plan_tiles(model, 600, 600, tile=300, halo=halo)
        return
    tile = 7
    width = reach + 3 * tile + 4  # no multiple of the tile, and tiles that do not see all of it
    scene = scene_of(tile + 6, width, bands=model.bands_of(model.inputs[0]))
    guide = None
    if len(model.inputs) > 1:
        guide = scene_of((tile + 6) * scale, width * scale, bands=model.bands_of(model.inputs[1]))
    tiling = plan_tiles(model, *scene.shape[1:], tile=tile)
    assert any(tile.seen[1].stop - tile.seen[1].start < width for tile in tiling)
    whole = super_resolve(scene, model, guide, tile=10**6)
    tiled = super_resolve(scene, model, guide, tile=tile)
    assert np.abs(whole.values).max() > 1e-2
    np.testing.assert_allclose(tiled.values, whole.values, rtol=1e-6, atol=5e-6)


def test_a_smaller_halo_is_not_exact() -> None:
    """The test above can fail."""
    model = model_of("jssunet")
    scene = scene_of(13, 70)
    whole = super_resolve(scene, model, tile=10**6)
    with pytest.warns(FinewaveWarning, match="reaches 27 pixels and sees 0 around a tile") as said:
        tiled = super_resolve(scene, model, tile=16, halo="fast")
    difference = np.abs(tiled.values - whole.values)
    assert 1e-3 < difference.max() < 1
    middle = difference[:, :, 64:96]  # the third of five tiles of 32 columns; what was said of it is true
    measured = f"{np.sqrt(np.square(middle).mean()):.2g} root mean square, {middle.max():.2g} at most"
    assert measured in str(said[0].message)
    assert "does 1.00 times the scene's arithmetic instead of 2.88 times" in str(said[0].message)


def test_pooling_over_the_image_makes_tiles_differ_and_says_so() -> None:
    model = model_of("jssunet")
    scene = scene_of(13, 150)
    whole = super_resolve(scene, model, tile=10**6, pooling="image")
    with pytest.warns(FinewaveWarning, match="looks at the whole image.*pooling='local' makes them equal"):
        tiled = super_resolve(scene, model, tile=16, pooling="image")
    assert np.abs(tiled.values - whole.values).max() > 1e-4


def test_holes_are_filled_as_those_of_the_whole() -> None:
    model = model_of("jssunet")
    scene = scene_of(60, 90)
    holes = np.zeros((60, 90), bool)
    holes[20:45, 30:60] = True  # an island larger than a tile: one tile has nothing else
    holes[3, 70] = holes[50:, :4] = True
    scene.values[:, holes] = np.nan
    with pytest.warns(FinewaveWarning, match=f"{holes.sum()} of 5400 pixels"):
        whole = super_resolve(scene, model, tile=10**6)
    with pytest.warns(FinewaveWarning, match=f"{holes.sum()} of 5400 pixels"):
        tiled = super_resolve(scene, model, tile=11)
    expected = holes.repeat(2, 0).repeat(2, 1)
    for result in (whole, tiled):
        assert (np.isnan(result.values) == expected).all()
    np.testing.assert_allclose(tiled.values, whole.values, rtol=0, atol=1e-4)


def test_dask_arrays_stay_lazy() -> None:
    model = model_of("sspsr")
    scene = scene_of(20, 33, bands=4, crs="EPSG:32631", transform=(10.0, 0.0, 5e5, 0.0, -10.0, 4e6))
    calls = []

    def spy(block: np.ndarray) -> np.ndarray:
        calls.append(block.shape)
        return block

    chunked = scene.copy(data=da.from_array(scene.values, chunks=(4, 9, 8)).map_blocks(spy, meta=np.empty((0, 0, 0))))
    lazy = super_resolve(chunked, model, tile=8)
    assert calls == []
    assert lazy.data.chunks[1:] == ((16, 16, 8), (16, 16, 16, 16, 2))
    expected = super_resolve(scene, model)
    np.testing.assert_allclose(lazy.isel(x=slice(0, 4)).values, expected.values[..., :4], atol=1e-5)
    np.testing.assert_allclose(lazy.values, expected.values, atol=1e-5)
    np.testing.assert_array_equal(lazy.x, expected.x)


def test_tiles_near_the_border_see_as_far_inwards() -> None:
    tiling = Tiling(50, 43, 10, 4, border=6)
    last = tiling[len(tiling) - 1]
    assert last.core == (slice(40, 50), slice(40, 43))
    assert last.seen == (slice(36, 50), slice(33, 43))  # 43 - 6 - 4
    assert Tiling(50, 43, 2, 4, border=6)[0].seen == (slice(0, 10), slice(0, 10))


def test_halo_and_overhead() -> None:
    model = model_of("bicubic")
    net = model_of("jssunet").with_precision("bfloat16")  # in float32 its tiles are smaller
    fast = plan_tiles(net, 2048, 2048, halo="fast")
    assert fast.side == 256
    assert 0.15 < fast.overhead <= FAST_OVERHEAD
    assert plan_tiles(model, 2048, 2048).halo == 2
    assert plan_tiles(model, 2048, 2048, halo="fast").halo == 2  # more would change nothing
    assert plan_tiles(model, 2048, 2048, halo=9).halo == 9
    assert len(plan_tiles(model, 260, 250)) == 1  # no larger than what is seen for a tile
    for wrong in ("wide", -1, True, 1.5):
        with pytest.raises(InputError, match="halo="):
            plan_tiles(model, 2048, 2048, halo=wrong)
    with pytest.raises(InputError, match="tile=0"):
        plan_tiles(model, 2048, 2048, tile=0)


@pytest.mark.parametrize("name", EXACT)
def test_the_others_have_no_reason_to(name: str) -> None:
    model = model_of(name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(plan_tiles(model, 600, 600, tile=100)) == 36


def test_patches_counted_from_a_corner_are_the_reason() -> None:
    model = Model(build("fusformer", scale=2, ms_bands=3, hs_bands=4))
    assert model.reach is not None
    scene, guide = scene_of(9, 30, bands=4), scene_of(18, 60)
    whole = super_resolve(scene, model, guide, tile=30)
    with pytest.warns(FinewaveWarning, match="counted from a corner"):
        tiled = super_resolve(scene, model, guide, tile=8)
    assert np.abs(tiled.values - whole.values).max() > 1e-4
    composed = Model(build("sr-ssr-fusion", scale=2))
    with pytest.warns(FinewaveWarning, match="counted from a corner"):
        plan_tiles(composed, 600, 600, tile=300)


def test_values_of_a_photograph_without_bands_to_name() -> None:
    """A network may not say how many bands it makes; only a lazy result needs to know."""

    class Silent(SRNetwork):
        task, receptive_field = "ssr", 0

        def forward(self, hr_msi: torch.Tensor) -> torch.Tensor:
            return hr_msi.repeat(1, 2, 1, 1)

    scene = make_scene(np.ones((2, 4, 5), np.float32))
    assert super_resolve(scene, Model(Silent())).shape == (4, 4, 5)
    with pytest.raises(InputError, match="how many bands"):
        super_resolve(scene.chunk(), Model(Silent()))
