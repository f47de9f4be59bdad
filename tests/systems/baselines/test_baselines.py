"""What needs no training: each against what is known of its result without it."""

from __future__ import annotations

from itertools import combinations_with_replacement
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from finewave.nn.sampling import bicubic
from finewave.physics.degradation import degrade
from finewave.systems.baselines.cnmf import nonnegative_response, successive_projections
from finewave.systems.registry import create_model
from finewave.zoo.model import Model, load_model
from tests.fork_server import ForkServer


def relative(one: Tensor, other: Tensor) -> float:
    return float((one - other).norm() / other.norm())


def detailed(bands: int, size: int = 48, seed: int = 0) -> Tensor:
    """An image (1, bands, size, size) of edges and noise, in [0, 1]."""
    generator = torch.Generator().manual_seed(seed)
    coarse = (
        torch.rand(1, bands, size // 6, size // 6, generator=generator).repeat_interleave(6, 2).repeat_interleave(6, 3)
    )
    return (0.7 * coarse + 0.3 * torch.rand(1, bands, size, size, generator=generator)).double()


def test_bicubic_is_the_cubic_convolution_of_sixteen_neighbours() -> None:
    """Keys' kernel with a = -0.75 on half-pixel centres, pixel by pixel."""

    def weight(x: float, a: float = -0.75) -> float:
        x = abs(x)
        if x <= 1:
            return (a + 2) * x**3 - (a + 3) * x**2 + 1
        return a * (x**3 - 5 * x**2 + 8 * x - 4) if x < 2 else 0.0

    low = torch.rand(7, 8).double()
    fine = create_model("bicubic", scale=3, hs_bands=1)(low[None, None])[0, 0]
    for row, column in ((9, 9), (10, 14), (8, 11)):
        y, x = (row + 0.5) / 3 - 0.5, (column + 0.5) / 3 - 0.5
        expected = sum(low[i, j] * weight(y - i) * weight(x - j) for i in range(7) for j in range(8))
        assert float(fine[row, column]) == pytest.approx(float(expected), rel=1e-9)


@pytest.mark.parametrize(("kernel", "scale"), [("gaussian", 2), ("gaussian", 3), ("gaussian", 4), ("bicubic", 4)])
def test_back_projection_gives_back_its_input(kernel: str, scale: int) -> None:
    """Degraded, the result is the input: the fixed point of Irani and Peleg's iteration."""
    low = degrade(detailed(2, 12 * scale), scale, kernel=kernel)
    errors = []
    for iterations in (0, 20, 400):
        net = create_model("ibp", scale=scale, hs_bands=2, iterations=iterations, degradation={"kernel": kernel})
        errors.append(relative(degrade(net(low), scale, kernel=kernel), low))
    assert errors[0] > 0.02
    assert errors[1] < errors[0] / 10
    assert errors[2] < 1e-5


def test_back_projection_of_a_known_width() -> None:
    low = degrade(detailed(1), 4, fwhm=2.5)
    net = create_model("ibp", scale=4, hs_bands=1, iterations=200, degradation={"fwhm": 2.5, "noise": 0.1})
    assert relative(degrade(net(low), 4, fwhm=2.5), low) < 1e-5
    assert relative(degrade(net(low), 4, fwhm=5), low) > 1e-3


@pytest.mark.parametrize("system", ["ridge", "quadratic"])
def test_a_regression_finds_the_polynomial_that_there_is(system: str) -> None:
    ms = torch.rand(2, 3, 9, 8)
    terms = [torch.ones_like(ms[:, 0]), *ms.unbind(1)]
    if system == "quadratic":
        terms += [ms[:, i] * ms[:, j] for i, j in combinations_with_replacement(range(3), 2)]
    hs = torch.einsum("kt,tbhw->bkhw", torch.randn(5, len(terms)), torch.stack(terms))
    net = create_model(system, ms_bands=3, hs_bands=5, penalty=0.0)
    net.prepare_from(({"hr_msi": ms[i : i + 1], "hr_hsi": hs[i : i + 1]} for i in range(2)), 0)
    torch.testing.assert_close(net(ms), hs, rtol=1e-4, atol=1e-4)


def test_root_polynomial_regression_finds_the_geometric_means_that_there_are() -> None:
    """And its answer is that to a darker image, made brighter."""
    ms = torch.rand(1, 3, 9, 8)
    r, g, b = ms.unbind(1)
    terms = torch.stack([r, g, b, (r * g).sqrt(), (r * b).sqrt(), (g * b).sqrt()])
    hs = torch.einsum("kt,tbhw->bkhw", torch.randn(5, 6), terms)
    net = create_model("root-polynomial", ms_bands=3, hs_bands=5)
    net.prepare_from([{"hr_msi": ms, "hr_hsi": hs}], 0)
    torch.testing.assert_close(net(ms), hs, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(net(0.01 * ms), 0.01 * hs, rtol=1e-4, atol=1e-5)


def test_root_polynomial_regression_of_black_and_negative_values() -> None:
    """Linear sRGB has negative values; the root of zero has no slope."""
    net = create_model("root-polynomial", ms_bands=3, hs_bands=2)
    ms = torch.tensor([0.0, -0.1, 0.5]).view(1, 3, 1, 1).requires_grad_()
    net(ms).sum().backward()
    assert ms.grad is not None
    assert torch.isfinite(ms.grad).all()


def test_every_coefficient_but_the_constants_is_penalised() -> None:
    sample = {"hr_msi": torch.rand(1, 3, 9, 8), "hr_hsi": 0.5 + 0.1 * torch.rand(1, 2, 9, 8)}
    for system, constant in (("ridge", 0.5), ("root-polynomial", 0.0)):
        net = create_model(system, ms_bands=3, hs_bands=2, penalty=1e9)
        net.prepare_from([sample], 0)
        np.testing.assert_allclose(net(sample["hr_msi"]).mean().item(), constant, atol=0.06)


def test_ridge_regression_is_that_of_the_normal_equations() -> None:
    """Closed form with the constant removed by centring: (X'X / N + p I)^-1 X'Y / N."""
    ms, hs = torch.rand(1, 3, 7, 6), torch.rand(1, 4, 7, 6)
    net = create_model("ridge", ms_bands=3, hs_bands=4, penalty=0.02)
    net.prepare_from([{"hr_msi": ms, "hr_hsi": hs}], 0)
    x, y = (image[0].flatten(1).double().numpy().T for image in (ms, hs))
    mean_x, mean_y = x.mean(0), y.mean(0)
    xc, yc = x - mean_x, y - mean_y
    slopes = np.linalg.solve(xc.T @ xc / len(x) + 0.02 * np.eye(3), xc.T @ yc / len(x))
    expected = (xc @ slopes + mean_y).T.reshape(4, 7, 6)
    np.testing.assert_allclose(net(ms)[0].detach().numpy(), expected, rtol=1e-5, atol=1e-6)


def test_back_projection_through_an_anisotropic_blur() -> None:
    blur = {"kernel": "anisotropic-gaussian", "size": 7, "variances": [2.0, 1.0]}
    low = degrade(detailed(1), 2, **blur)
    net = create_model("ibp", scale=2, hs_bands=1, iterations=100, degradation=blur)
    assert relative(degrade(net(low), 2, **blur), low) < 0.1 * relative(degrade(bicubic(low, (48, 48)), 2, **blur), low)


def test_a_regression_needs_images() -> None:
    with pytest.raises(ValueError, match="ridge needs training images"):
        create_model("ridge").prepare_from([], 0)


def test_gsa_reproduces_an_image_whose_detail_is_in_the_msi() -> None:
    """Where every HS band is an affine map of the MS bands, the synthesised bands are the HS bands."""
    msi = detailed(3)
    weights, offset = torch.rand(6, 3).double(), torch.rand(6).double()
    hsi = torch.einsum("kc,bchw->bkhw", weights, msi) + offset[:, None, None]
    for kernel in ("gaussian", "bicubic"):
        net = create_model("gsa", scale=4, ms_bands=3, hs_bands=6, degradation={"kernel": kernel})
        low = degrade(hsi, 4, kernel=kernel)
        assert relative(bicubic(low, (48, 48)), hsi) > 0.05
        assert relative(net(low, msi), hsi) < 1e-6


def test_gsa_adds_no_detail_that_has_nothing_to_do_with_the_bands() -> None:
    """An MSI without structure at the LR pixels leaves the interpolated image as it is."""
    hsi, flat = detailed(4), torch.full((1, 2, 48, 48), 0.3).double()
    low = degrade(hsi, 4)
    net = create_model("gsa", scale=4, ms_bands=2, hs_bands=4)
    torch.testing.assert_close(net(low, flat), bicubic(low, (48, 48)), rtol=1e-6, atol=1e-8)


def test_gsa_against_band_by_band_regressions() -> None:
    """The formulas again, one band at a time, by another library."""
    hsi, msi = detailed(5, seed=1), detailed(2, seed=2)
    low, low_msi = degrade(hsi, 4)[0].flatten(1).numpy(), degrade(msi, 4)[0].flatten(1).numpy()
    up = bicubic(degrade(hsi, 4), (48, 48))[0].flatten(1).numpy()
    sharp = msi[0].flatten(1).numpy()

    def one(x: np.ndarray) -> np.ndarray:
        return np.vstack((np.ones(x.shape[1]), x)).T

    result = create_model("gsa", scale=4, ms_bands=2, hs_bands=5)(degrade(hsi, 4), msi)[0].flatten(1).numpy()
    for k in range(5):
        a = np.linalg.lstsq(one(low_msi), low[k], rcond=None)[0]
        b = np.linalg.lstsq(one(low), one(low_msi) @ a, rcond=None)[0]
        intensity = one(low) @ b
        gain = np.cov(low[k], intensity)[0, 1] / np.var(intensity, ddof=1)
        expected = up[k] + gain * (one(sharp) @ a - one(up) @ b)
        np.testing.assert_allclose(result[k], expected, rtol=1e-6, atol=1e-8)


def mixture(materials: int, bands: int, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Spectra, abundances that sum to one, with a patch of each pure material, and their image."""
    generator = torch.Generator().manual_seed(5)
    spectra = torch.rand(bands, materials, generator=generator).double() + 0.05
    abundances = torch.rand(materials, size, size, generator=generator).double() ** 4
    abundances = abundances / abundances.sum(0)
    for m in range(materials):
        abundances[:, :20, 20 * m : 20 * (m + 1)] = 0
        abundances[m, :20, 20 * m : 20 * (m + 1)] = 1
    return spectra, abundances, torch.einsum("km,mhw->khw", spectra, abundances)[None]


def test_cnmf_recovers_an_exact_low_rank_mixture() -> None:
    """Three materials seen in ten bands at low, in four at high resolution: the factors are determined."""
    _, _, hsi = mixture(3, 10, 64)
    response = torch.rand(4, 10).double()
    msi = torch.einsum("ck,bkhw->bchw", response, hsi)
    low = degrade(hsi, 4)
    assert relative(bicubic(low, (64, 64)), hsi) > 0.1
    for sum_to_one in (0.0, 0.5):
        errors = []
        for iterations in (600, 6000):
            options = {"endmembers": 3, "turns": 2, "iterations": iterations, "sum_to_one": sum_to_one}
            net = create_model("cnmf", scale=4, ms_bands=4, hs_bands=10, **options)
            errors.append(relative(net(low, msi), hsi))
        assert errors[1] < 2e-3
        assert errors[1] < errors[0] / 5  # and on to zero


def test_the_endmembers_are_the_pure_pixels() -> None:
    spectra, _, hsi = mixture(3, 10, 64)
    found = successive_projections(hsi[0].flatten(1), 8)
    assert found.shape == (10, 3)  # no more than there are
    distances = torch.cdist(found.T, spectra.T)
    assert distances.min(0).values.max() < 1e-9


def test_the_response_is_found_and_is_not_negative() -> None:
    hs = torch.rand(6, 200).double()
    response = torch.rand(3, 6).double()
    response[0, 2] = 0
    torch.testing.assert_close(nonnegative_response(hs, response @ hs), response, rtol=1e-8, atol=1e-8)
    signed = response.clone()
    signed[1, 1] = -0.5
    found = nonnegative_response(hs, signed @ hs)
    assert found.min() >= 0
    assert found[1, 1] == 0


@pytest.mark.parametrize("system", ["gsa", "cnmf"])
def test_a_fusion_beats_interpolation_where_the_sensor_sees_the_detail(system: str) -> None:
    _, _, hsi = mixture(4, 12, 80)
    msi = torch.einsum("ck,bkhw->bchw", torch.rand(3, 12).double(), hsi)
    low = degrade(hsi, 4)
    net = create_model(system, scale=4, ms_bands=3, hs_bands=12, **({"iterations": 300} if system == "cnmf" else {}))
    assert relative(net(low, msi), hsi) < 0.6 * relative(bicubic(low, (80, 80)), hsi)


@pytest.mark.parametrize(
    ("system", "config", "message"),
    [
        ("ibp", {"iterations": -1}, "iterations=-1"),
        ("ibp", {"degradation": {"kernel": "gauss"}}, "did you mean 'gaussian'"),
        (
            "gsa",
            {"degradation": {"kernle": "gaussian"}},
            "key of the degradation of gsa 'kernle'; did you mean 'kernel'",
        ),
        ("cnmf", {"degradation": "gaussian"}, "degradation='gaussian' is not a mapping"),
        ("ridge", {"penalty": -1.0}, "penalty=-1.0"),
        ("cnmf", {"endmembers": 0}, "endmembers=0"),
        ("cnmf", {"sum_to_one": -1.0}, "sum_to_one=-1.0"),
    ],
)
def test_what_is_wrong_is_named(system: str, config: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        create_model(system, **config)


def nearest_neighbours(ms: np.ndarray, hs: np.ndarray, x: np.ndarray, k: int) -> np.ndarray:
    """Return the spectra of pixels ``x`` (n, c) by all distances to training pixels ``ms`` (N, c), ``hs`` (N, C)."""

    def features(pixels: np.ndarray) -> np.ndarray:
        total = pixels.sum(1, keepdims=True)
        # of three bands: chromaticity and a tenth of the logarithm of the mean
        scale = np.sqrt(3 / pixels.shape[1])
        return np.hstack([pixels.shape[1] / 3 * scale * pixels / total, 0.1 * np.log(total / pixels.shape[1])])

    def nearest(of: np.ndarray, among: np.ndarray, count: int) -> np.ndarray:
        return np.argsort(((of[:, None] - among[None]) ** 2).sum(2), axis=1)[:, :count]

    relative = hs / ms.mean(1, keepdims=True)
    around = relative[nearest(features(ms), features(ms), k)].mean(1)
    spectra = around[nearest(features(x), features(ms), 8)].mean(1) * x.mean(1, keepdims=True)
    response = np.linalg.lstsq(hs, ms, rcond=None)[0].T
    return spectra + (x - spectra @ response.T) @ np.linalg.pinv(response).T


@pytest.mark.parametrize("bands", [1, 3, 5])
def test_neighbours_are_those_of_all_distances(bands: int) -> None:
    generator = np.random.default_rng(4)
    hs = generator.random((120, 8)) + 0.1
    response = generator.random((bands, 8))
    x = generator.random((30, 8)) @ response.T
    net = create_model("knn", ms_bands=bands, hs_bands=8, neighbours=6, pixels=500).double()
    images = (as_image(hs[part] @ response.T, hs[part]) for part in (slice(50), slice(50, 120)))
    net.prepare_from(images, 0)
    made = net(torch.from_numpy(x.T.reshape(1, bands, 5, 6)))[0].flatten(1).numpy().T
    expected = nearest_neighbours(hs @ response.T, hs, x, 6)
    np.testing.assert_allclose(made, expected, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(made @ response.T, x, rtol=1e-6, atol=1e-8)  # what the camera saw


def as_image(ms: np.ndarray, hs: np.ndarray) -> dict[str, Tensor]:
    return {key: torch.from_numpy(each.T[None, :, None]) for key, each in (("hr_msi", ms), ("hr_hsi", hs))}


def test_neighbours_are_drawn_evenly_without_what_is_not_finite() -> None:
    """Of 3 bright and 1 dark image, a quarter of the drawn pixels are dark, whatever the order."""
    generator = torch.Generator().manual_seed(0)
    images = [torch.rand(1, 2, 40, 40, generator=generator) * light + 0.5 * light for light in (0.001, 1, 1, 1)]
    images[2][0, 1, :3] = torch.nan
    shares = []
    for order in (images, images[::-1]):
        net = create_model("knn", ms_bands=2, hs_bands=2, neighbours=1, pixels=800, nodes=800)
        net.prepare_from(({"hr_msi": image, "hr_hsi": image} for image in order), 0)
        assert int(net.used) == 800
        assert torch.isfinite(net.spectra).all()
        shares.append(float((net.nodes[:, -1] < -0.3).float().mean()))
    assert all(abs(share - 0.25) < 0.05 for share in shares), shares


def test_neighbours_of_dark_negative_and_foreign_colours_are_finite() -> None:
    hs = torch.rand(1, 6, 5, 5, generator=torch.Generator().manual_seed(0))
    net = create_model("knn", hs_bands=6, neighbours=3, pixels=20, nodes=10)
    net.prepare_from([{"hr_msi": hs[:, :3], "hr_hsi": hs}], 0)
    strange = torch.tensor([[0.0, 0.0, 0.0], [-0.2, 0.1, 0.05], [5.0, 0.0, 0.0]]).T.view(1, 3, 1, 3)
    made = net(strange)
    assert torch.isfinite(made).all()
    torch.testing.assert_close(made[:, :3], strange, atol=1e-4, rtol=1e-4)  # the bands that the camera saw


def test_neighbours_of_fewer_pixels_than_asked_for() -> None:
    net = create_model("knn", ms_bands=1, hs_bands=2)
    net.prepare_from([{"hr_msi": torch.tensor([[[[0.5]]]]), "hr_hsi": torch.tensor([[[[0.2]], [[0.8]]]])}], 0)
    torch.testing.assert_close(net(torch.full((1, 1, 2, 2), 0.25))[0, :, 0, 0], torch.tensor([0.1, 0.4]))
    with pytest.raises(ValueError, match="knn needs training images to look up pixels in; there are none"):
        create_model("knn").prepare_from([], 0)
    with pytest.raises(ValueError, match="knn: neighbours=0 is out of range"):
        create_model("knn", neighbours=0)


@pytest.mark.parametrize("system", ["knn", "ridge-knn"])
def test_black_bands_where_denormal_numbers_are_flushed(system: str, fork_server: ForkServer) -> None:
    """In a process of its own, which a balanced tree of SciPy would end."""
    program = f"""
import torch
import finewave as fw
torch.set_flush_denormal(True)
torch.manual_seed(0)
hs = torch.rand(1, 6, 40, 50)
ms = hs[:, :3].clone()
ms[:, 0] *= torch.rand(40, 50) < 0.4
net = fw.create_model({system!r}, ms_bands=3, hs_bands=6, pixels=2000)
net.prepare_from([{{"hr_msi": ms, "hr_hsi": hs}}], 0)
print(*net(ms).shape)
"""
    done = fork_server.run(program)
    assert (done.returncode, done.stdout.split()) == (0, ["1", "6", "40", "50"]), done.stderr


def test_residuals_of_the_nearest_pixels_are_added_to_a_linear_regression() -> None:
    random = np.random.default_rng(2)
    ms = random.uniform(0.1, 0.5, (1, 2, 9, 8))
    hs = np.concatenate([ms, np.sin(9 * ms[:, :1])], 1)
    net = create_model("ridge-knn", ms_bands=2, hs_bands=3, neighbours=4, pixels=72).double()
    sample = {"hr_msi": torch.from_numpy(ms), "hr_hsi": torch.from_numpy(hs)}
    net.prepare_from([sample], 1)
    x, y = ms[0].reshape(2, -1).T, hs[0].reshape(3, -1).T
    design = np.column_stack([np.ones(72), x])
    line = np.linalg.lstsq(design, y, rcond=None)[0]
    left = y - design @ line
    other = random.uniform(0.1, 0.5, (1, 2, 3, 4))
    expected = []
    for pixel in other[0].reshape(2, -1).T:
        distances = np.linalg.norm((x - pixel) / x.std(0, ddof=1), axis=1)
        expected.append(np.r_[1, pixel] @ line + left[np.argsort(distances)[:4]].mean(0))
    with torch.no_grad():
        found = net.eval()(torch.from_numpy(other))[0].reshape(3, -1).T.numpy()
    np.testing.assert_allclose(found, np.array(expected), atol=1e-9)
    dark = {key: torch.zeros_like(image) for key, image in sample.items()}
    with pytest.raises(ValueError, match="ridge-knn needs training images to look up pixels in; theirs are zero"):
        net.prepare_from([dark], 1)


def test_residuals_are_stored_in_16_bits_and_those_of_older_files_load(tmp_path: Path) -> None:
    """Two digits of them are kept, whatever the file has."""
    random = np.random.default_rng(3)
    ms = random.uniform(0.1, 0.5, (1, 2, 9, 8)).astype(np.float32)
    hs = np.concatenate([ms, np.sin(9 * ms[:, :1])], 1)
    sample = {"hr_msi": torch.from_numpy(ms), "hr_hsi": torch.from_numpy(hs)}
    x = torch.from_numpy(random.uniform(0.1, 0.5, (1, 2, 5, 4)).astype(np.float32))
    net, older = (create_model("ridge-knn", ms_bands=2, hs_bands=3, neighbours=4, pixels=72).eval() for _ in range(2))
    older.float()
    files = []
    for each, name in ((net, "new"), (older, "old")):
        each.prepare_from([sample], 1)
        files.append(load_file(Model(each).save(tmp_path / name) / "model.safetensors"))
        assert torch.equal(load_model(tmp_path / name).predict(hr_msi=x), net(x))
    assert [each["residuals"].dtype for each in files] == [torch.bfloat16, torch.float32]
    assert (older(x) - net(x)).abs().max() <= 2**-9 * files[1]["residuals"].abs().max() + 1e-6
