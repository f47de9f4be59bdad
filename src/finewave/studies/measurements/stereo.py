"""A real unaligned pair from scikit-image's stereo photographs: one view as LR-HSI, the other as reference.

The pair "motorcycle" is from the Middlebury 2014 stereo data (D. Scharstein et al., GCPR 2014) and comes with the true
disparities of the left view.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from finewave.errors import InputError
from finewave.extras import importing
from finewave.physics.rendering.srgb import linear_to_srgb, srgb_to_linear
from finewave.viz.series_colours import MAP

if TYPE_CHECKING:
    from torch import Tensor

    from finewave.zoo.model import Model

SHRINK = 4  # of the photographs: their disparities reach 60 pixels
LARGEST_DIFFERENCE = 0.3
"""Mean over red, green and blue, at the end of the colour scale."""
OFFSET = 8  # shift of the right view, in pixels of the result: middle depths then hardly move


def smoothest_spectra(rgb: np.ndarray, response: np.ndarray) -> np.ndarray:
    """Return the smoothest spectra (C, H, W) that a camera maps to ``rgb`` (c, H, W).

    Minimises |D x|^2, the second differences, subject to R x = rgb; linear in rgb, not clipped.

    Parameters
    ----------
    rgb : ndarray (c, H, W)
        Linear.
    response : ndarray (c, C)
        R.
    """
    c, bands = response.shape
    second = np.diff(np.eye(bands), 2, axis=0)
    # optimality conditions of the constrained problem, one linear system for all pixels
    system = np.block([[second.T @ second, response.T], [response, np.zeros((c, c))]])
    mixing = np.linalg.solve(system, np.vstack([np.zeros((bands, c)), np.eye(c)]))[:bands]
    return np.einsum("kc,chw->khw", mixing, rgb)


def stereo_pair(response: np.ndarray, scale: int) -> dict[str, Tensor]:
    """Return the pair as a batch of one.

    Parameters
    ----------
    response : ndarray (3, C)
        Response of the camera assumed for the photographs.
    scale : int
        s.

    Returns
    -------
    dict of Tensor
        ``hr_hsi`` (1, C, H, W), spectra made from the left view; ``lr_hsi`` (1, C, H/s, W/s), degraded; ``ref_rgb``
        (1, 3, H, W), the right view; ``source_rgb`` (1, 3, H, W), the left one; ``flow`` (1, 2, H, W), the true
        displacement in pixels, and ``visible`` (1, 1, H, W), where it is known.

    Raises
    ------
    InputError
        If scikit-image lacks the photographs.
    """
    import torch
    from skimage import data

    from finewave.physics.degradation import degrade

    try:
        left, right, disparity = data.stereo_motorcycle()
    except Exception as error:
        raise InputError(f"scikit-image's stereo photographs are not there: {error}") from error
    step = SHRINK * scale
    height, width = (n - n % step for n in (left.shape[0], left.shape[1] - SHRINK * OFFSET))

    def shrunk(photograph: np.ndarray, first: int) -> Tensor:
        part = srgb_to_linear(photograph[:height, first : first + width].astype(np.float32) / 255)
        return degrade(torch.from_numpy(np.ascontiguousarray(part.transpose(2, 0, 1))).float(), SHRINK)

    # crops start at the left edge of the right view and OFFSET pixels later in the left view, to balance disparities
    source, reference = shrunk(left, SHRINK * OFFSET), shrunk(right, 0)
    d = disparity[:height, SHRINK * OFFSET : SHRINK * OFFSET + width]
    d = d[SHRINK // 2 :: SHRINK, SHRINK // 2 :: SHRINK] / SHRINK
    known = np.isfinite(d)
    flow = np.stack([np.where(known, OFFSET - d, 0), np.zeros_like(d)])
    hr_hsi = torch.from_numpy(smoothest_spectra(source.numpy(), response)).float().clamp(0, 1)
    return {
        "hr_hsi": hr_hsi[None],
        "lr_hsi": degrade(hr_hsi, scale)[None],
        "ref_rgb": reference[None],
        "source_rgb": source[None],
        "flow": torch.from_numpy(flow).float()[None],
        "visible": torch.from_numpy(known).float()[None, None],
    }


def show_alignment(model: Model, path: Path, sensor: str | None = None) -> dict[str, float]:
    """Align the stereo pair with a reference-guided network, and draw the result as a PNG.

    Parameters
    ----------
    model : Model
        An SSC-HSR network.
    path : Path
        Of the picture.
    sensor : str, optional
        RGB camera of the photographs; by default that of the model's card.

    Returns
    -------
    dict
        ``end_point_error`` and ``no_flow``, mean distance in pixels to the true flow of the estimate and of zero;
        ``psnr_reference``, ``psnr_warped`` and ``psnr_refined``, the reference before and after each stage of the
        alignment against the left view; ``psnr_bicubic`` and ``psnr``, the interpolated and the resulting HR-HSI.

    Raises
    ------
    InputError
        If the network is another, or matplotlib is missing.
    """
    import torch

    from finewave.metrics import psnr
    from finewave.nn.sampling import bicubic
    from finewave.physics.sensors import get_sensor
    from finewave.systems.sschsr.network import SSCHSR

    net = model.net
    if not isinstance(net, SSCHSR):
        raise InputError(f"the alignment of ssc-hsr can be shown; {model.name} is a {type(net).__name__}")
    sensor_name = sensor or (model.card.sensor if model.card else None) or "nikon-d5100"
    wavelengths = np.linspace(400, 700, net.hs_bands)
    response = get_sensor(sensor_name).response(wavelengths)
    pair = stereo_pair(response, net.scale)
    with torch.no_grad():
        stages = net.eval().forward_stages(pair["lr_hsi"], pair["ref_rgb"])
    known = pair["visible"][:, 0] > 0
    source, target = pair["source_rgb"][0], pair["hr_hsi"][0]
    size = (target.shape[1], target.shape[2])
    images = {"reference": pair["ref_rgb"], "warped": stages.warped, "refined": stages.refined}
    scores = {
        "end_point_error": float((stages.flow - pair["flow"]).norm(dim=1)[known].mean()),
        "no_flow": float(pair["flow"].norm(dim=1)[known].mean()),
        **{f"psnr_{name}": psnr(image[0].clamp(0, 1), source) for name, image in images.items()},
        "psnr_bicubic": psnr(bicubic(pair["lr_hsi"], size)[0], target),
        "psnr": psnr(stages.hr_hsi[0], target),
    }
    as_seen = torch.from_numpy(response).float()  # by the camera, so that all have its colours
    coarse = torch.einsum("kc,chw->khw", as_seen, bicubic(pair["lr_hsi"], size)[0])
    _draw(Path(path), coarse, pair, stages, scores)
    return scores


def _draw(path: Path, coarse: Tensor, pair: dict[str, Tensor], stages: Any, scores: dict[str, float]) -> None:
    with importing("demo", "the picture"):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    from finewave.io.atomic import atomic_output

    def srgb(image: Tensor) -> np.ndarray:
        return linear_to_srgb(image.clamp(0, 1).permute(1, 2, 0).numpy())

    source = pair["source_rgb"][0]
    error = [(image[0] - source).abs().mean(0).numpy() for image in (pair["ref_rgb"], stages.refined)]
    reach = float(pair["flow"].abs().max())
    true_flow = np.where(pair["visible"][0, 0] > 0, pair["flow"][0, 0], np.nan)
    flow_colours: dict[str, Any] = {"cmap": "coolwarm", "vmin": -reach, "vmax": reach}
    error_colours: dict[str, Any] = {"cmap": MAP, "vmin": 0, "vmax": LARGEST_DIFFERENCE}
    panels: list[tuple[str, np.ndarray, dict[str, Any]]] = [
        ("LR-HSI, interpolated, as the camera sees it", srgb(coarse), {}),
        (f"Reference: the other view, {scores['psnr_reference']:.1f} dB", srgb(pair["ref_rgb"][0]), {}),
        ("True flow, horizontal (px)", true_flow, flow_colours),
        (f"Difference before, up to {error[0].max():.2f}", error[0], error_colours),
        (f"Reference warped, {scores['psnr_warped']:.1f} dB", srgb(stages.warped[0]), {}),
        (f"Reference refined, {scores['psnr_refined']:.1f} dB", srgb(stages.refined[0]), {}),
        (
            f"Estimated flow, {scores['end_point_error']:.1f} px off (zero: {scores['no_flow']:.1f})",
            stages.flow[0, 0].numpy(),
            flow_colours,
        ),
        (f"Difference after, up to {error[1].max():.2f}", error[1], error_colours),
    ]
    figure = Figure(figsize=(13, 5.2), dpi=100, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (caption, picture, options) in zip(figure.subplots(2, 4).flat, panels, strict=True):
        shown = axes.imshow(picture, interpolation="nearest", **options)
        if options:
            ends = "both" if options is flow_colours else "max"
            figure.colorbar(shown, ax=axes, shrink=0.7, extend=ends).ax.tick_params(labelsize=7)
        axes.set_title(caption, fontsize=9, loc="left")
        axes.set_axis_off()
    with atomic_output(path) as temporary:
        figure.savefig(temporary, format="png")
