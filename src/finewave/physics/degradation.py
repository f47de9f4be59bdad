"""The observation model of training, evaluation and demo: blur, decimation by s, noise.

LR pixel i is centred at HR coordinate (i + 1/2) s - 1/2, for even and odd s. Kernels sum to one, so degradation
commutes with any mixing of bands: with a sensor's response R, ``R degrade(G) = degrade(R G)``. All kernels but the
anisotropic one are separable and symmetric about that centre, so degradation also commutes with flips and rotations.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np

from finewave.errors import InputError, unknown_name
from finewave.physics.anisotropic import anisotropic_gaussian, blur, mirrored

if TYPE_CHECKING:
    import torch
    import xarray as xr

    from finewave.physics.sensors import Sensor

KERNELS = ("gaussian", "bicubic", "bicubic-no-antialias", "bilinear-no-antialias")
"""The separable kernels."""
ANISOTROPIC = "anisotropic-gaussian"
SAMPLINGS = ("bicubic", "bilinear", "strided")


def degrade(
    image: Any,
    scale: int,
    sensor: str | Sensor | None = None,
    *,
    kernel: str = "gaussian",
    fwhm: float | None = None,
    mtf: float | None = None,
    size: int = 13,
    variances: tuple[float, float] = (2.0, 10.0),
    angle: float = math.pi / 2,
    sampling: str = "bicubic",
    centred: bool = True,
    noise: float = 0.0,
    clip: bool = False,
    seed: int | None = None,
    wavelengths: Any = None,
) -> Any:
    """Simulate an image of a coarser instrument: blur, decimate by ``scale``, and apply a sensor's response if given.

    Parameters
    ----------
    image : Tensor of shape (B, C, H, W) or (C, H, W), or xarray.DataArray with dims (band, y, x)
        Any floating dtype and device; differentiable. H and W are multiples of ``scale``.
    scale : int
        s >= 1; 1 keeps the pixels unchanged.
    sensor : str, Sensor or None
        Response that makes the multispectral image; None keeps the bands. A tensor then needs ``wavelengths``.
    kernel : {"gaussian", "bicubic", "bicubic-no-antialias", "bilinear-no-antialias", "anisotropic-gaussian"}
        Gaussian; cubic convolution (a = -0.5) stretched by s, as MATLAB's ``imresize`` shrinks; cubic interpolation
        (a = -0.75) or linear interpolation at the centres without a low-pass; a Gaussian with ``size``, ``variances``
        and ``angle``, followed by ``sampling``.
    fwhm : float, optional
        Full width at half maximum of the Gaussian, in HR pixels; default s, an MTF of 0.41.
    mtf : float, optional
        In place of ``fwhm``: the modulation transfer function of the Gaussian at the Nyquist frequency of the LR
        pixels, 1 / (2 s), between 0 and 1, as instruments' data sheets state it. See `fwhm_of_mtf`.
    size, variances, angle
        Of the anisotropic Gaussian: see `finewave.physics.anisotropic.anisotropic_gaussian`. The defaults are those of
        MulSR's tests: 13 x 13, variance 10 along x and 2 along y.
    sampling : {"bicubic", "bilinear", "strided"}
        After the anisotropic Gaussian: interpolation at the centres without a low-pass, or every s-th pixel of an image
        blurred about the centres.
    centred : bool
        False shifts the anisotropic Gaussian by (s - 1) / 2 whatever the sampling, as MulSR's public code does in its
        tests: LR pixels then show the image to the lower right of their position.
    noise : float
        Standard deviation of additive Gaussian noise, in the image's units; >= 0.
    clip : bool
        Clip the result to [0, 1].
    seed : int, optional
        Of the noise; the same seed gives the same noise on every device. Without one, noise comes from PyTorch's
        generator and differs from call to call (``torch.manual_seed`` makes a series of calls reproducible). Data sets
        use a separate seed for each scene.
    wavelengths : array of shape (C,), optional
        Band centres in nm of a tensor ``image``.

    Returns
    -------
    Tensor of shape (B, c or C, H/s, W/s), or DataArray with transform and coordinates of the coarser grid; of the
    sensor ``srgb`` it is a photograph, whose primaries have no wavelengths

    Raises
    ------
    InputError
        A ``ValueError``, if the size is not a multiple of ``scale``, the kernel is unknown, the sensor does not fit the
        bands, or a value is of the wrong kind or range.
    """
    import torch

    _check_values(scale, noise, fwhm, seed)
    if kernel == ANISOTROPIC:
        shrink = partial(_shrink_anisotropic, size=size, variances=variances, angle=angle, sampling=sampling)
        shrink = partial(shrink, centred=centred)
    else:
        if kernel not in KERNELS:
            raise unknown_name("degradation kernel", kernel, (*KERNELS, ANISOTROPIC))
        shrink = partial(_shrink, kernel=kernel, fwhm=gaussian_width(kernel, scale, fwhm, mtf))
    finish = partial(_finish, noise=noise, clip=clip, seed=seed)
    if isinstance(image, torch.Tensor):
        return _degrade_tensor(image, scale, sensor, shrink, finish, wavelengths)
    if hasattr(image, "dims"):
        return _degrade_scene(image, scale, sensor, shrink, finish)
    raise InputError(f"degrade takes a torch tensor or a scene (DataArray), not {type(image).__name__}")


def _check_values(scale: object, noise: object, fwhm: object, seed: object) -> None:
    """Raise an `InputError` for a number of the wrong kind or range."""
    for name, value, kind, holds, accepted in (
        ("scale", scale, Integral, lambda v: v >= 1, "an integer >= 1"),
        ("noise", noise, Real, lambda v: 0 <= v < math.inf, "a number >= 0"),
        ("fwhm", fwhm, Real, lambda v: 0 < v < math.inf, "a number > 0"),
        ("seed", seed, Integral, lambda v: True, "an integer"),
    ):
        if value is None and name in ("fwhm", "seed"):
            continue
        if isinstance(value, bool) or not isinstance(value, kind) or not holds(value):
            raise InputError(f"degrade: {name}={value!r}; it must be {accepted}")


def _degrade_tensor(
    image: torch.Tensor,
    scale: int,
    sensor: str | Sensor | None,
    shrink: Callable[[torch.Tensor, int], torch.Tensor],
    finish: Callable[[torch.Tensor], torch.Tensor],
    wavelengths: Any,
) -> torch.Tensor:
    if image.ndim not in (3, 4):
        raise InputError(f"degrade takes (B, C, H, W) or (C, H, W); given shape {tuple(image.shape)}")
    if not image.is_floating_point():
        raise InputError(f"degrade takes floating-point values; given {image.dtype}")
    H, W = image.shape[-2:]
    if H % scale or W % scale or not H or not W:
        raise InputError(f"image size {H} x {W} is not a multiple of scale {scale}; crop it first")
    if sensor is not None:
        if wavelengths is None:
            raise InputError("a tensor has no wavelengths: pass wavelengths= (nm, one per band) along with sensor=")
        from finewave.physics.sensors import apply_response, get_sensor

        response = get_sensor(sensor).response(np.asarray(wavelengths))
        image = apply_response(response, image if image.ndim == 4 else image[None]).view(*image.shape[:-3], -1, H, W)
    return finish(shrink(image, scale))


def _finish(image: torch.Tensor, noise: float, clip: bool, seed: int | None) -> torch.Tensor:
    """Add noise and clip to the range."""
    import torch

    if noise:
        generator = None if seed is None else torch.Generator().manual_seed(int(seed))
        image = image + noise * torch.randn(image.shape, generator=generator, dtype=torch.float32).to(image)
    return image.clamp(0, 1) if clip else image


def _shrink(image: torch.Tensor, scale: int, kernel: str, fwhm: float | None = None) -> torch.Tensor:
    """Shrink by a separable kernel."""
    taps = kernel_taps(kernel, scale, fwhm)
    for axis in (-2, -1):
        image = _filter_and_decimate(image, taps, scale, axis)
    return image


def _shrink_anisotropic(
    image: torch.Tensor,
    scale: int,
    size: int,
    variances: tuple[float, float],
    angle: float,
    sampling: str,
    centred: bool,
) -> torch.Tensor:
    """Blur by an anisotropic Gaussian, then take the LR pixels."""
    if sampling not in SAMPLINGS:
        raise unknown_name("sampling", sampling, SAMPLINGS)
    strided = sampling == "strided"
    # strided sampling takes the first pixel of each s x s block, so the blur is centred on the middle of the block
    gaussian = anisotropic_gaussian(size, variances, angle, shift=(scale - 1) / 2 if strided or not centred else 0.0)
    if strided:
        return blur(image, gaussian, stride=scale)
    return _shrink(blur(image, gaussian), scale, f"{sampling}-no-antialias")


def fwhm_of_mtf(mtf: float, scale: int) -> float:
    """Return the width of the Gaussian blur that has a given MTF at the Nyquist frequency of the LR pixels.

    The transfer function of a Gaussian is exp(-2 (pi sigma f)^2), so that sigma = s / pi sqrt(-2 ln MTF) at
    f = 1 / (2 s).

    Parameters
    ----------
    mtf : float
        Between 0 and 1.
    scale : int
        s.

    Returns
    -------
    float
        Full width at half maximum in HR pixels.

    Raises
    ------
    InputError
        If ``mtf`` is not a number between 0 and 1.
    """
    if isinstance(mtf, bool) or not isinstance(mtf, int | float) or not 0 < mtf < 1:
        raise InputError(f"an MTF at the Nyquist frequency lies between 0 and 1, e.g. 0.3; given {mtf!r}")
    sigma = scale / math.pi * math.sqrt(-2 * math.log(mtf))
    return sigma * math.sqrt(8 * math.log(2))


def gaussian_width(kernel: str, scale: int, fwhm: float | None, mtf: float | None) -> float | None:
    """Return the given FWHM, or the one equivalent to the given MTF; None if neither is given.

    Raises
    ------
    InputError
        If both are given, or an MTF for a kernel with a fixed width.
    """
    if mtf is None:
        return fwhm
    if fwhm is not None or kernel != "gaussian":
        raise InputError(f"mtf={mtf} is the width of the kernel 'gaussian': give it without fwhm=, not for {kernel!r}")
    return fwhm_of_mtf(mtf, scale)


def kernel_taps(kernel: str, scale: int, fwhm: float | None = None) -> np.ndarray:
    """Return the one-dimensional kernel, float64, summing to 1; its length has the parity of ``scale``.

    Tap j stands at distance j - (length - 1) / 2 HR pixels from the centre of the LR pixel.
    """
    if kernel not in KERNELS:
        raise unknown_name("degradation kernel", kernel, KERNELS)
    if scale == 1 and fwhm is None:
        return np.ones(1)
    if kernel == "gaussian":
        sigma = (scale if fwhm is None else fwhm) / math.sqrt(8 * math.log(2))
        reach = 4 * sigma  # less than 1e-4 of the mass lies beyond
    else:
        reach = 2.0 * scale if kernel == "bicubic" else 2.0
    margin = max(0, math.ceil(reach - scale / 2))
    length = scale + 2 * margin
    x = np.arange(length) - (length - 1) / 2
    if kernel == "gaussian":
        taps = np.exp(-0.5 * (x / sigma) ** 2)
    elif kernel == "bicubic":
        taps = _cubic(x / scale, -0.5)
    elif kernel == "bilinear-no-antialias":
        taps = np.maximum(0.0, 1 - np.abs(x))
    else:
        taps = _cubic(x, -0.75)
    return taps / taps.sum()


def _cubic(x: np.ndarray, a: float) -> np.ndarray:
    """Keys' cubic convolution kernel."""
    x = np.abs(x)
    near = (a + 2) * x**3 - (a + 3) * x**2 + 1
    far = a * (x**3 - 5 * x**2 + 8 * x - 4)
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def _filter_and_decimate(image: torch.Tensor, taps: np.ndarray, scale: int, axis: int) -> torch.Tensor:
    """Correlate along ``axis`` with stride ``scale``; beyond the border the image is mirrored."""
    import torch
    from torch.nn import functional as F

    padded = mirrored(image, (len(taps) - scale) // 2, axis)
    dtype = torch.promote_types(image.dtype, torch.float32)
    weight = torch.as_tensor(taps, dtype=dtype, device=image.device)
    flat = padded.to(dtype).reshape(-1, 1, *padded.shape[-2:])
    vertical = axis == -2
    shape = (1, 1, -1, 1) if vertical else (1, 1, 1, -1)
    result = F.conv2d(flat, weight.view(shape), stride=(scale, 1) if vertical else (1, scale))
    return result.view(*image.shape[:-2], *result.shape[-2:]).to(image.dtype)


def _degrade_scene(
    scene: xr.DataArray,
    scale: int,
    sensor: str | Sensor | None,
    shrink: Callable[[torch.Tensor, int], torch.Tensor],
    finish: Callable[[torch.Tensor], torch.Tensor],
) -> xr.DataArray:
    import torch

    from finewave.scene import MADE_BY, resized

    if tuple(scene.dims) != ("band", "y", "x"):
        raise InputError(f"a scene has dims (band, y, x); given {tuple(scene.dims)}")
    if sensor is not None:
        if "wavelength" not in scene.coords:
            raise InputError(
                "the scene has no wavelengths, so no sensor can be simulated: open it with wavelengths=..."
            )
        from finewave.physics.sensors import apply_response, get_sensor

        resolved = get_sensor(sensor)
        scene = apply_response(resolved.response(scene.wavelength.values), scene)
        scene = scene.assign_coords(band_name=("band", list(resolved.bands)))
        scene.attrs.pop("sensor", None)  # that of the hyperspectral image
        if resolved.name == "srgb":  # a photograph: display primaries, which have no wavelengths
            scene = scene.drop_vars("wavelength")
            scene.attrs["sensor"] = "srgb"
    values = torch.from_numpy(np.ascontiguousarray(scene.values))
    if not values.is_floating_point():
        values = values.float()
    result = _degrade_tensor(values, scale, None, shrink, finish, None)
    observed = resized(scene, result.numpy(), scale)
    for key in MADE_BY:  # the degraded scene is not the model's output
        observed.attrs.pop(key, None)
    return observed
