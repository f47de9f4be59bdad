"""How JSSUNet starts: no stage of any branch makes worse what the stage before gave, and training images are used."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from finewave.datasets.registry import open_scenes
from finewave.nn.sampling import bicubic
from finewave.physics.degradation import degrade
from finewave.physics.sensors import get_sensor
from finewave.systems.jssunet.branches import JSSUNetFusion, JSSUNetSR, JSSUNetSSR
from finewave.systems.jssunet.network import JSSUNet
from finewave.systems.jssunet.start import fit_spectral_operators

SIZE = 72
"""HR pixels a side, less what is not a multiple of the scale."""


def natural_image(bands: int, seed: int) -> Tensor:
    """Return (1, bands, SIZE, SIZE) in [0, 1]: eight materials, the same in all images, that meet at natural edges.

    What is where follows from random fields whose power falls as 1 / f^2.
    """
    generator = torch.Generator().manual_seed(seed)
    frequency = torch.fft.fftfreq(SIZE)[:, None].square() + torch.fft.rfftfreq(SIZE).square()
    noise = torch.fft.rfft2(torch.randn(8, SIZE, SIZE, generator=generator))
    fields = torch.fft.irfft2(noise / frequency.clamp(min=1 / SIZE**2).sqrt(), s=(SIZE, SIZE))
    fields = fields / fields.std((1, 2), keepdim=True)
    shares = (4 * fields).softmax(0) * (0.8 + 0.2 * torch.tanh(fields[:1]))
    wave = torch.linspace(0, 3, bands)
    phase = torch.arange(8.0)[:, None]
    spectra = 0.5 + 0.4 * torch.sin(wave + 0.8 * phase) * torch.sin(3 * wave + phase.square())
    return torch.einsum("mhw,mb->bhw", shares, spectra)[None].clamp(0, 1)


RESPONSE = torch.stack([torch.exp(-0.5 * ((torch.arange(12.0) - centre) / 2) ** 2) for centre in (9, 6, 2)])
RESPONSE = RESPONSE / RESPONSE.sum(1, keepdim=True)


def images(scale: int, seed: int = 0, kernel: str = "gaussian") -> dict[str, Tensor]:
    side = SIZE - SIZE % scale
    hr_hsi = natural_image(12, seed)[..., :side, :side]
    lr_hsi = degrade(hr_hsi, scale, kernel=kernel)
    hr_msi, lr_msi = (torch.einsum("cb,nbhw->nchw", RESPONSE, x) for x in (hr_hsi, lr_hsi))
    return {"hr_hsi": hr_hsi, "lr_hsi": lr_hsi, "hr_msi": hr_msi, "lr_msi": lr_msi}


def decibels(u: Tensor, v: Tensor) -> float:
    return float(-10 * (u - v).square().mean().log10())


def started(scale: int, stages: int, seed: int = 0, **options: Any) -> JSSUNet:
    torch.manual_seed(seed)
    small: dict[str, Any] = {"features": 16, "n_clusters": 4, "hs_bands": 12}
    return JSSUNet(scale, stages=stages, post=False, **{**small, **options}).eval()


def each_after_the_other(estimates: list[Tensor], target: Tensor) -> Iterator[tuple[float, float]]:
    return itertools.pairwise(decibels(u, target) for u in estimates)


OPTIONS: dict[str, dict[str, Any]] = {
    "as published": {},
    "linear adjoint": {"adjoint_relu": False},
    "forward, single": {"upsampling": "forward", "progressive": False},
    "forward": {"upsampling": "forward", "clusters": "none"},
    "single": {"progressive": False, "n_clusters": 1},
    "hidden SpecDown, all to HFI": {"spec_down_hidden": 16, "hfi_with_low": True},
    "wide": {"features": 32},
    "residual blocks in HFI": {"features": 32, "hfi_blocks": 2, "hfi_with_low": True},
}


CASES = [(scale, options) for scale in range(2, 9) for options in OPTIONS if scale in (3, 4) or "forward" in options]


@pytest.mark.parametrize("prepared", [False, True], ids=["grey", "fitted"])
@pytest.mark.parametrize(("scale", "options"), [*CASES, *((scale, "as published") for scale in (2, 5, 6, 7, 8))])
def test_no_stage_makes_worse_what_came_in(scale: int, options: str, prepared: bool) -> None:
    """Eight stages; the first K of them are those of a network of K stages but for their random weights."""
    known = images(scale)
    net = started(scale, 8, **OPTIONS[options])
    if prepared:
        net.prepare_from([images(scale, seed) for seed in (1, 2)], seed=0)
    with torch.no_grad():
        f = known["lr_msi"]
        stages = net.forward_stages(f)
        first = {
            "sr": (bicubic(f, known["hr_msi"].shape[2:]), known["hr_msi"]),
            "ssr": (net.ssr(f)[0], known["lr_hsi"]),
            "fusion": (net.fusion.prepare(stages.sr[-1], stages.ssr[-1])[3], known["hr_hsi"]),
        }
        # the fusion of true images, as it will be when the other branches have learned
        true = net.fusion(known["hr_msi"], known["lr_hsi"])
        initial = net.fusion.prepare(known["hr_msi"], known["lr_hsi"])[3]
    for branch, (start, target) in first.items():
        for before, after in each_after_the_other([start, *getattr(stages, branch)], target):
            assert after > before - 0.02, branch
    for before, after in each_after_the_other([initial, *true], known["hr_hsi"]):
        assert after > before - 0.02
    # and the stages are there for something: the interpolation gets sharper
    assert decibels(stages.sr[0], known["hr_msi"]) > decibels(first["sr"][0], known["hr_msi"])
    assert decibels(stages.sr[-1], known["hr_msi"]) > decibels(first["sr"][0], known["hr_msi"]) + 0.05


@pytest.mark.data
@pytest.mark.parametrize("scale", [2, 4, 8])
@pytest.mark.parametrize("adjoint_relu", [True, False])
def test_no_stage_makes_a_real_scene_worse(scale: int, adjoint_relu: bool, real_images: Path) -> None:
    """In the middle of scenes of CAVE: fitted to one, eight stages on another."""
    source = open_scenes("cave", ("cloth", "watercolors"))
    response = torch.from_numpy(get_sensor("nikon-d5100").response(source.wavelengths)).float()

    def middle(name: str) -> dict[str, Tensor]:
        crop = source.read(name)[:, 208:304, 208:304].astype(np.float32) / source.full_scale(name)
        hr_hsi = torch.from_numpy(crop)[None]
        lr_hsi = degrade(hr_hsi, scale)
        hr_msi, lr_msi = (torch.einsum("cb,nbhw->nchw", response, x) for x in (hr_hsi, lr_hsi))
        return {"hr_hsi": hr_hsi, "lr_hsi": lr_hsi, "hr_msi": hr_msi, "lr_msi": lr_msi}

    net, known = started(scale, 8, hs_bands=31, n_clusters=10, adjoint_relu=adjoint_relu), middle("cloth")
    net.prepare_from([middle("watercolors")], seed=0)
    with torch.no_grad():
        f = known["lr_msi"]
        stages = net.forward_stages(f)
        interpolated = bicubic(f, known["hr_msi"].shape[2:])
        fused = net.fusion.prepare(stages.sr[-1], stages.ssr[-1])[3]
        for start, estimates, target in (
            (interpolated, stages.sr, "hr_msi"),
            (net.ssr(f)[0], stages.ssr, "lr_hsi"),
            (fused, stages.fusion, "hr_hsi"),
        ):
            for before, after in each_after_the_other([start, *estimates], known[target]):
                assert after > before - 0.02, target
    assert decibels(stages.sr[-1], known["hr_msi"]) > decibels(interpolated, known["hr_msi"]) + 0.05


@pytest.mark.parametrize("stages", range(1, 9))
def test_any_number_of_stages(stages: int) -> None:
    known = images(4)
    with torch.no_grad():
        for seed in range(2):
            estimates = started(4, stages, seed).forward_stages(known["lr_msi"])
            interpolated = bicubic(known["lr_msi"], known["hr_msi"].shape[2:])
            assert decibels(estimates.sr[-1], known["hr_msi"]) > decibels(interpolated, known["hr_msi"])
            spectra = bicubic(estimates.ssr[-1], known["hr_hsi"].shape[2:])
            assert decibels(estimates.fusion[-1], known["hr_hsi"]) > decibels(spectra, known["hr_hsi"]) - 0.02


@pytest.mark.parametrize("upsampling", ["back-projection", "forward"])
def test_an_image_that_was_less_blurred_is_not_harmed(upsampling: str) -> None:
    known = images(4, kernel="bicubic")
    net = started(4, 3, upsampling=upsampling)
    with torch.no_grad():
        estimates = [bicubic(known["lr_msi"], known["hr_msi"].shape[2:]), *net.sr(known["lr_msi"])]
    for before, after in each_after_the_other(estimates, known["hr_msi"]):
        assert after > before - 0.2


def test_fitted_spectra_are_those_of_the_training_images() -> None:
    training, known = [images(4, seed) for seed in (1, 2, 3)], images(4, 1)
    grey, fitted, untouched = (started(4, 2) for _ in range(3))
    fitted.prepare_from(iter(training), seed=0)
    f, g = known["lr_msi"], known["lr_hsi"]
    with torch.no_grad():
        # the best linear map of all pixels of all clusters is a bound that maps by cluster keep to
        x = torch.cat([s["lr_msi"] for s in training], 2).flatten(2)[0].T
        y = torch.cat([s["lr_hsi"] for s in training], 2).flatten(2)[0].T
        linear = torch.linalg.lstsq(x, y).solution
        bound = decibels((f.flatten(2)[0].T @ linear).T, g.flatten(2)[0])
        assert decibels(fitted.ssr(f)[0], g) > bound - 0.1
        assert decibels(fitted.ssr(f)[0], g) > decibels(grey.ssr(f)[0], g) + 5
        for stage in fitted.ssr.stages:  # S is the response
            assignment = fitted.ssr(f)[2]
            assert decibels(stage.spec_down(g, assignment), f) > 40
        whole = fitted.forward_stages(f).fusion[-1]
        assert decibels(whole, known["hr_hsi"]) > decibels(grey(f), known["hr_hsi"]) + 2
    for one, other in zip(grey.parameters(), untouched.parameters(), strict=True):
        assert torch.equal(one, other)  # from the same seed


def test_no_learned_cluster_starts_empty() -> None:
    training = [images(2, seed) for seed in (1, 2, 3)]
    net = started(2, 1, n_clusters=10)
    net.prepare_from(training, seed=0)
    with torch.no_grad():
        shares = torch.stack([net.ssr(sample["lr_msi"])[2].mean((0, 2, 3)) for sample in training]).mean(0)
    assert shares.min() > 0.002
    assert shares.max() < 0.6


@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore:One of the clusters is empty")  # of k-means
def test_images_of_one_colour_and_of_few_pixels_do_no_harm() -> None:
    for training in (
        [{"lr_msi": torch.full((1, 3, 8, 8), 0.3), "lr_hsi": torch.full((1, 12, 8, 8), 0.3)}],
        [{"lr_msi": torch.zeros(1, 3, 8, 8), "lr_hsi": torch.zeros(1, 12, 8, 8)}],
        [{"lr_msi": torch.rand(1, 3, 5, 4), "lr_hsi": torch.rand(1, 12, 5, 4)}],
    ):
        net = started(2, 1, n_clusters=10)
        net.prepare_from(training, seed=0)
        assert all(torch.isfinite(value).all() for value in net.state_dict().values())


def test_other_ways_of_starting_see_no_training_images() -> None:
    training = [images(2, 1)]
    net = started(2, 1, initialisation="framework")
    before = {key: value.clone() for key, value in net.state_dict().items()}
    net.prepare_from(training, seed=0)
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
    net = started(2, 1, initialisation="framework", clusters="kmeans")
    net.prepare_from(iter(training), seed=0)
    assert net.ssr.clusters.centroids.std() > 0


def test_clusters_without_pixels_start_at_the_map_of_all() -> None:
    net = started(2, 1, clusters="kmeans", n_clusters=3)
    net.ssr.clusters.set_centroids(torch.tensor([[0.5, 0.5, 0.5], [9.0, 9.0, 9.0], [0.2, 0.2, 0.2]]))
    known = images(2, 1)
    operators = fit_spectral_operators(net.ssr, [(known["lr_msi"], known["lr_hsi"])], seed=0)
    torch.testing.assert_close(operators.up_of_clusters[1], operators.up)
    assert not torch.allclose(operators.up_of_clusters[0], operators.up, atol=1e-3)


def test_branches_alone_start_as_in_the_whole() -> None:
    known = images(2)
    torch.manual_seed(0)
    sr = JSSUNetSR(2, 3, stages=2, features=8)
    with torch.no_grad():
        interpolated = bicubic(known["lr_msi"], known["hr_msi"].shape[2:])
        assert decibels(sr(known["lr_msi"]), known["hr_msi"]) > decibels(interpolated, known["hr_msi"])
    ssr = JSSUNetSSR(3, 12, stages=2, features=16, n_clusters=4)
    with torch.no_grad():
        before = decibels(ssr(known["hr_msi"]), known["hr_hsi"])
        ssr.prepare_from([images(2, 1)], seed=0)
        assert decibels(ssr(known["hr_msi"]), known["hr_hsi"]) > before + 3


def test_a_fusion_branch_alone_is_fitted_too() -> None:
    known = images(4)
    torch.manual_seed(0)
    net = JSSUNetFusion(4, 3, 12, stages=2, features=32)
    given = {"lr_hsi": known["lr_hsi"], "hr_msi": known["hr_msi"]}
    with torch.no_grad():
        net.prepare_from(iter([images(4, 1), images(4, 2)]), seed=0)
        interpolated = bicubic(known["lr_hsi"], known["hr_hsi"].shape[2:])
        assert decibels(net(**given), known["hr_hsi"]) > decibels(interpolated, known["hr_hsi"]) + 0.5


@pytest.mark.parametrize("options", [{}, {"hfi_blocks": 1, "hfi_with_low": True, "spec_down_hidden": 16}], ids=str)
def test_everything_learns(options: dict[str, Any]) -> None:
    """No operator starts behind a zero that lets no gradient pass."""
    known = images(2)
    net = started(2, 2, features=32, **options).train()
    net.prepare_from([images(2, 1)], seed=0)
    stages = net.forward_stages(known["lr_msi"])
    loss = sum(
        F.mse_loss(u, known[target])
        for branch, target in (("sr", "hr_msi"), ("ssr", "lr_hsi"), ("fusion", "hr_hsi"))
        for u in getattr(stages, branch)
    )
    loss.backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("features", [1, 2, 3, 5, 13, 14, 15, 40])
def test_narrow_networks_start_too(features: int) -> None:
    """With fewer features than bands, spectra are carried by their slow waves."""
    known = images(2)
    net = started(2, 2, features=features)
    net.prepare_from([images(2, 1)], seed=0)
    with torch.no_grad():
        stages = net.forward_stages(known["lr_msi"])
        spectra = bicubic(stages.ssr[-1], known["hr_hsi"].shape[2:])
    assert torch.isfinite(stages.fusion[-1]).all()
    if features >= 3:  # one for each MS band
        allowed = 0.1 if features >= 15 else 3
        assert decibels(stages.fusion[-1], known["hr_hsi"]) > decibels(spectra, known["hr_hsi"]) - allowed
