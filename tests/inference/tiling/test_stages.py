"""Networks in stages: the same values as in one piece, at the price that the stages' arithmetic says."""

from __future__ import annotations

import warnings
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from finewave.datasets.registry import open_scenes
from finewave.inference.self_ensemble import ORIENTATIONS
from finewave.inference.super_resolve import super_resolve, super_resolve_with_spread
from finewave.inference.tiling.halo_check import warn_halo_error
from finewave.inference.tiling.plan import halos_of, n_cheap, plan_tiles
from finewave.inference.tiling.smallest_halos import TOLERANCE, smallest_halos
from finewave.inference.tiling.tiles import Tiling
from finewave.nn.kernels import fused_conv
from finewave.physics.degradation import degrade
from finewave.systems.awan.network import AWAN
from finewave.systems.baselines import gaussian_windows
from finewave.systems.baselines.nearest_neighbours import NearestNeighbours
from finewave.systems.baselines.residual_neighbours import ResidualNeighbours
from finewave.systems.residual_sr.bandwise import BandwiseSR
from finewave.systems.tile_stages import Margins, TileStage
from finewave.zoo.card import Card, describe
from finewave.zoo.distribution.bundled_weights import weight_folders
from finewave.zoo.model import Model, load_model
from tests.inference.tiny_models import scene_of
from tests.test_conformity import build

OUTPUT_TILE = 512
MORE = {
    "residual-fusion-cave-x4": 0.29,
    "residual-fusion-cave-x8": 0.42,
    "bandwise-sr-any-x4": 0.4,
    "jssunet-cave-x8": 0.31,
}
"""What they see around a tile of 128 or 64 pixels of the first input is 4 to 11 pixels wide (docs/scenes.md)."""
EXACT = {2: 0.65, 4: 1.4}
"""By scale, of compositions that enlarge by bandwise-sr: none were measured, so it sees its whole receptive field."""
SMALL = {"hs_bands": 4, "stages": 1, "patch": 3, "window": 3, "heads": 1, "features": 8, "initialisation": "framework"}


def staged(dtype: torch.dtype = torch.float64, **facts: Any) -> Model:
    """Return a small JSSUNet with all of its stages."""
    net = build("jssunet", scale=2, **SMALL).to(dtype).eval()
    card = describe(net, training_crop=12, **facts)
    return Model(net, card, precision="float32", pooling="local")


class Made(TorchDispatchMode):
    """Counts the operations of what PyTorch's counter leaves out: one for each number made, of interpolation more."""

    OF = MappingProxyType({"add": 2, "addcmul": 2, "upsample_bicubic2d": 40, "mul": 1, "sub": 1, "sqrt": 1, "div": 1})

    def __init__(self) -> None:
        super().__init__()
        self.operations = 0

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), options: Any = None) -> Any:
        result = function(*arguments, **(options or {}))
        name = function.overloadpacket.__name__.rstrip("_")
        if isinstance(result, torch.Tensor):
            self.operations += self.OF.get(name, 0) * result.numel()
            if name == "_linalg_solve_ex":
                n = arguments[0].shape[-1]
                self.operations += 2 * n * result.numel()
        return result


def arithmetic(model: Model, side: int, halos: list[int]) -> int:
    """Return how much a square tile inside a scene takes, counted from shapes, without doing any of it.

    Multiplications and additions of convolutions and products by PyTorch; of all else, those for each number made.
    """
    margins = [Margins(*[halos[0] - each] * 4) for each in halos]
    with FakeTensorMode(allow_non_fake_inputs=True), FlopCounterMode(display=False) as counter, Made() as made:
        whole = side + 2 * halos[0]
        finer = {"hr_msi": model.scale if "lr_hsi" in model.inputs else 1}  # a guide, beside the image at LR
        image = {
            name: torch.empty(1, model.bands_of(name) or 4, *[whole * finer.get(name, 1)] * 2) for name in model.inputs
        }
        model.run(image, margins if any(halos) else ())
    return counter.get_total_flops() + made.operations


MANY_BANDS = ("aviris", "enmap", "vnir100")
"""In names of weights of a hundred bands and more, whose operations take seconds to count."""


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] * any(each in name for each in MANY_BANDS))
        for name in sorted(weight_folders())
    ],
)
def test_tiles_of_shipped_models_cost_little_more_than_the_scene_in_one_piece(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tile of 512 output pixels inside a scene, with the default halo: below 25 % more arithmetic."""
    monkeypatch.setattr(fused_conv, "_onednn_takes", lambda x: False)  # PyTorch does not count its convolutions
    monkeypatch.setattr(gaussian_windows, "AT_ONCE", 1000)  # fewer operations to be counted
    model = load_model(name, precision="float32").with_pooling("local")
    if "ref_rgb" in model.inputs:
        assert len(plan_tiles(model, 2048, 2048)) == 1  # never in tiles
        return
    side = OUTPUT_TILE // model.upscaling
    halos = halos_of(model, "auto", side)
    shares = [stage.share for stage in model.tile_stages]
    overhead = sum(share * (side + 2 * each) ** 2 for share, each in zip(shares, halos, strict=True)) / side**2 - 1
    # to choose how it attends, to look up neighbours: not without doing it
    by_values = (AWAN, NearestNeighbours, ResidualNeighbours)
    if not any(isinstance(each, by_values) for each in model.net.modules()):
        counted = arithmetic(model, side, halos) / arithmetic(model, side, [0] * len(halos)) - 1
        assert overhead == pytest.approx(counted, abs=0.03)
    exact = model.measured_halos is None and any(isinstance(each, BandwiseSR) for each in model.net.modules())
    most = EXACT[model.upscaling] if exact else MORE.get(name, 0.25)
    assert 0 <= overhead < most, "python -m benchmarks.halos --write finds smaller halos"


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "noise"),
    [
        ("residual-sr-cave-x2", 0.0),
        ("residual-sr-cave-x4", 0.0),
        ("residual-sr-cave-x8", 0.0),
        ("bandwise-sr-any-x2", 0.0),
        ("bandwise-sr-any-x4", 0.0),
        ("residual-fusion-cave-x4", 0.0),
        ("residual-fusion-cave-x4", 0.02),
        ("residual-fusion-cave-x8", 0.0),
    ],
)
def test_a_tile_of_shipped_models_is_that_of_the_scene(name: str, noise: float) -> None:
    """A tile in the middle of a photographed scene on which no halo was measured, with the card's halos."""
    model = load_model(name, precision="float32").with_pooling("local")
    if noise:
        model = model.with_options(noise="estimated")
        assert model.measured_halos is not None
    source = open_scenes("cave", ["stuffed_toys"])
    image = torch.from_numpy(source.read("stuffed_toys").astype(np.float32) / source.full_scale("stuffed_toys"))
    s, fused = model.scale, len(model.inputs) > 1
    if not fused:
        image = image[:, 208:304, 208:304]  # as the camera sees it, at full resolution
    msi = degrade(image, 1, sensor=model.card.sensor, wavelengths=source.wavelengths)
    images = {"lr_hsi": degrade(image, s) if fused else image, "hr_msi": msi, "lr_msi": msi}
    random = torch.Generator().manual_seed(0)
    inputs = {each: images[each][None] for each in model.inputs}
    inputs = {each: x + noise * torch.randn(x.shape, generator=random) for each, x in inputs.items()}
    core = 8
    margin = (inputs[model.inputs[0]].shape[2] - core) // 2
    halos = [min(each, margin) for each in halos_of(model, "auto", core)]
    tile = model.run(inputs, [Margins(*[margin - each] * 4) for each in halos])
    whole = Margins(*[margin] * 4).cut(model.run(inputs), s)
    assert margin > halos[-1]
    assert (Margins(*[halos[-1]] * 4).cut(tile, s) - whole).abs().max() < TOLERANCE


@pytest.mark.parametrize("name", ["jssunet", "bicubic", "residual-fusion", "sr-ssr"])
def test_stages_one_after_the_other_are_the_network(name: str) -> None:
    options = {"sr": "residual-sr", "ssr": "quadratic"} if name == "sr-ssr" else {}
    net = build(name, **options).eval()
    assert len(net.tile_stages()) > 1 or name == "bicubic"
    assert sum(stage.share for stage in net.tile_stages()) == pytest.approx(1)
    model = Model(net, precision="float32")
    size = 2 * model.size_multiple * 4
    finer = {"hr_msi": model.scale if "lr_hsi" in model.inputs else 1}
    generator = torch.Generator().manual_seed(0)
    image = {
        each: torch.rand(1, model.bands_of(each) or 4, *[size * finer.get(each, 1)] * 2, generator=generator)
        for each in model.inputs
    }
    stages = net.tile_stages()
    made = dict(image)
    with torch.no_grad():
        for stage in stages:
            made.update(net.run_tile_stage(stage.name, made))
    torch.testing.assert_close(made[net.output], model.run(image))


def test_stages_need_ever_less() -> None:
    model = staged()
    halos = [stage.halo for stage in model.tile_stages]
    assert {stage.name for stage in model.tile_stages[:2]} == {"ssr", "sr"}
    assert [stage.name for stage in model.tile_stages[2:]] == ["fusion", "post"]
    assert halos == sorted(halos, reverse=True)
    assert halos[0] == model.reach
    assert model.with_pooling("image").tile_stages[0].halo is None


def test_no_stage_needs_more_than_it_says_and_each_needs_something() -> None:
    model = staged()
    exact = [each.halo for each in model.tile_stages]
    reach, core = exact[0], 2
    side = core + 2 * reach
    generator = torch.Generator().manual_seed(2)
    image = {"lr_msi": torch.rand(1, 3, side, side, dtype=torch.float64, generator=generator)}
    whole = Margins(*[reach] * 4).cut(model.run(image), 2)
    torch.testing.assert_close(core_of(model, image, exact), whole, rtol=0, atol=1e-9)
    for stage in range(4):
        less = [*exact[:stage], *[0] * (4 - stage)]
        assert (core_of(model, image, less) - whole).abs().max() > 1e-5, model.tile_stages[stage]


def core_of(model: Model, image: dict[str, torch.Tensor], halos: list[int]) -> torch.Tensor:
    """Return the output for what lies ``halos[0]`` pixels inside an image, by stages with these halos."""
    exact = model.reach
    output = model.run(image, [Margins(*[exact - each] * 4) for each in halos])
    return Margins(*[halos[-1]] * 4).cut(output, model.upscaling)


def test_tiles_in_stages_equal_the_whole_in_every_orientation() -> None:
    model = staged()
    scene = scene_of(14, 50)
    whole, of_whole = super_resolve_with_spread(scene, model, tile=10**6)
    tiled, of_tiles = super_resolve_with_spread(scene, model, tile=14)
    np.testing.assert_allclose(tiled.values, whole.values, rtol=0, atol=5e-6)
    np.testing.assert_allclose(of_tiles.values, of_whole.values, rtol=0, atol=5e-6)


@pytest.mark.parametrize("orientation", ORIENTATIONS, ids=str)
def test_margins_turn_with_their_image(orientation: Any) -> None:
    margins, image = Margins(1, 2, 3, 5), torch.arange(14 * 15).view(1, 1, 14, 15)
    turned = orientation.turn_margins(margins).cut(orientation.turn(image), 1)
    torch.testing.assert_close(orientation.turn_back(turned), margins.cut(image, 1))


def test_halos_are_found_by_measuring_and_the_card_keeps_them() -> None:
    model = staged(torch.float32)
    core = 6
    side = core + 2 * model.reach
    generator = torch.Generator().manual_seed(3)
    first, second = ({"lr_msi": torch.rand(1, 3, side, side, generator=generator)} for _ in range(2))
    halos = smallest_halos(model, [first], core)
    exact = {stage.name: stage.halo for stage in model.tile_stages}
    assert list(halos) == list(exact)
    cheap = [stage.name for stage in model.tile_stages[: n_cheap(model.tile_stages, 256)]]
    assert all(halos[name] == exact[name] for name in cheap)
    assert all(halos[name] <= exact[name] for name in exact)
    assert halos["sr"] < exact["sr"]
    card = Card.from_json(model.card.with_facts(halos=halos).to_json())
    known = Model(model.net, card, precision="float32", pooling="local")
    assert known.measured_halos == list(halos.values())
    assert known.with_pooling("image").measured_halos is None
    difference = core_of(model, second, halos_of(known, "auto", core)) - core_of(model, second, list(exact.values()))
    assert 0 < difference.abs().max() < TOLERANCE


def test_what_adds_next_to_nothing_keeps_its_halo_if_nothing_dear_stands_before_it() -> None:
    pooled, dear, little = TileStage("ssr", 46, 0.012), TileStage("sr", 32, 0.9), TileStage("post", 3, 0.088)
    assert n_cheap([pooled, dear, little], 128) == 1
    assert n_cheap([pooled, dear, little], 64) == 0  # of a smaller tile it would be six times its pixels
    assert n_cheap([dear, little], 128) == 0
    assert n_cheap([TileStage("network", None, 1.0)], 128) == 0


def test_halos_of_every_kind() -> None:
    model = staged(halos={"sr": 30, "ssr": 29, "fusion": 5, "post": 2})
    exact = [stage.halo for stage in model.tile_stages]
    assert halos_of(model, "auto", 256) == [30, 29, 5, 2]
    assert halos_of(model, "exact", 256) == exact
    assert halos_of(model, 4, 256) == [4, 4, 4, min(4, exact[3])]
    assert max(halos_of(model, "fast", 16)[1:]) <= max(1, exact[-1])
    other = staged(halos={"network": 3})  # measured of another division
    assert halos_of(other, "auto", 256) == exact


def test_overhead_is_of_the_arithmetic() -> None:
    tiling = Tiling(100, 100, 50, 10, later=(4,), shares=(0.25, 0.75))
    seen = (60 / 50) ** 2, (54 / 50) ** 2
    assert tiling.overhead == pytest.approx(0.25 * seen[0] + 0.75 * seen[1] - 1)
    tile = tiling[0]
    assert tiling.windows(tile) == (tile.seen, (slice(0, 54), slice(0, 54)))
    assert tiling.margins(tile) == (Margins(0, 0, 0, 0), Margins(0, 6, 0, 6))
    assert Tiling(100, 100, 50, 10).margins(tile) == ()


def test_what_the_card_does_not_know_is_measured_once_and_said() -> None:
    model = staged(torch.float32, halos={"sr": 30, "ssr": 29, "fusion": 5, "post": 2})
    scene = scene_of(13, 90)
    with pytest.warns(UserWarning, match="sees 0 around a tile"):
        super_resolve(scene, model, tile=16, halo=0)
    tiling = plan_tiles(model, 13, 900, tile=16)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_halo_error(model, {}, tiling)


@pytest.mark.parametrize("name", sorted(weight_folders()))
def test_with_default_options_no_tile_is_computed_to_check_the_halo(name: str) -> None:
    """Where tiles can be exact, the card says which halo is enough; there are no images here to check it with."""
    model = load_model(name).with_pooling("local")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of networks that look at the whole image
        tiling = plan_tiles(model, 2048, 2048)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_halo_error(model, {}, tiling)
